"""Spark: its session, columns, slots, jobs, failures, and private API."""
