"""Inference by the nodes of a running cluster: Spark's side."""
