"""Repairs of Keras and TensorFlow, and guards against their misuse."""
