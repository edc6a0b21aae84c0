"""A model applied to DataFrames, against what people use now with the same model.

Both sides take their rows from the same Parquet files in the same application. Each has Python
workers of its own, since what one side does there would help or hinder the other. Spark throws the
results away where it would write them, so nothing but the prediction is measured. Each side is run
once before it is measured, and the sides take turns.
"""
