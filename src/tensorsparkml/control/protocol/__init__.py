"""What the processes of a cluster tell each other, and how it travels."""
