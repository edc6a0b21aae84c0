"""Measures what the library costs, side by side with what it is compared with: `make bench`."""
