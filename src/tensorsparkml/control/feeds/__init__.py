"""How rows become shares, deliveries and steps of the nodes: pure, without sockets or clocks."""
