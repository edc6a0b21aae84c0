"""Columns: from Python objects to Arrow, and from Arrow to arrays."""
