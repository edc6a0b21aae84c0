"""TFRecords and DataFrames."""
