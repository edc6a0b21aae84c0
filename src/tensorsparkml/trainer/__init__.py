"""What runs inside a node's TensorFlow process."""
