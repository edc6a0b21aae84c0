"""Predictions over DataFrames."""
