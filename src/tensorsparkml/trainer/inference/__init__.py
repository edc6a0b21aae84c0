"""Inference: the program's side."""
