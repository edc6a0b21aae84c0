"""Feeding: sources of rows, the Spark jobs that deliver them, and reports."""
