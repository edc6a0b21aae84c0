"""What runs on the executors' hosts beside TensorFlow: launch task, agent, feeder."""
