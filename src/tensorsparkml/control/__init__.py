"""What driver, agents and feeders say to each other, and the pure rules behind it."""
