"""What users see of a running cluster: progress, logs, TensorBoard."""
