"""Memory of arrays that TensorFlow takes over."""
