"""Messages and results of inference."""
