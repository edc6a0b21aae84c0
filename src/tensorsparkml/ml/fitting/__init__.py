"""A fit: its rows, its turn, and what the nodes do."""
