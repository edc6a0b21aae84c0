"""The life of a cluster in the driver, and the coordinator that it starts."""
