"""Parquet and TFRecord files, and their division among nodes."""
