"""The part that runs inside a node's TensorFlow process."""
