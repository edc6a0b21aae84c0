"""The feeder: delivers one Spark partition's rows to the nodes."""
