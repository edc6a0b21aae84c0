"""The agent: the process beside each node that supervises it and owns its data."""
