"""Which processes of a cluster are still there, and what the last one says."""
