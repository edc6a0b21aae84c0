"""Inference between Spark tasks, agents and programs."""
