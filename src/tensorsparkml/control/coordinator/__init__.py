"""The parts of the coordinator that need no sockets, threads or clocks."""
