"""The launch task: starts the node's agent, and agrees with the others on resources."""
