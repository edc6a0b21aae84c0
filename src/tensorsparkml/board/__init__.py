"""The process in which TensorBoard runs."""
