"""The accounting of feeds: shares, deliveries and steps. No sockets and no clocks."""
