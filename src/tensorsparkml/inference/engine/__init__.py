"""What happens in a Spark task: rows become batches, and these predictions."""
