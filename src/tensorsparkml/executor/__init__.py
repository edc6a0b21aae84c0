"""The part that runs on executors' hosts beside TensorFlow: launch task, agent, feeder."""
