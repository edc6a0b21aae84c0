"""TFRecord files as a source and a sink of Spark's DataFrames."""
