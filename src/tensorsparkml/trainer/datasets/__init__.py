"""Datasets: passes over a node's share of rows, in lockstep with the other nodes."""
