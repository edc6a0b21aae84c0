"""The user's program on its way to other processes: pickled by value, with its source text."""
