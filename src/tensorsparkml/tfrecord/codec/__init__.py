"""Records to columns and back: pure computation, with NumPy and Arrow."""
