"""Keys of a cluster, for tests that need some."""

from dataclasses import replace

from tensorsparkml.control.protocol.keys import FEEDER, Keys, of_node
from tensorsparkml.driver.lifecycle.certificate import make_certificate

KEYS = Keys(secret="5e884898da280471")
COORDINATOR = KEYS.guard_of_coordinator()
AGENT = KEYS.guard(FEEDER)
FEEDERS = KEYS.credentials(FEEDER)
NODES = [KEYS.credentials(of_node(rank)) for rank in range(3)]


def with_certificate(keys: Keys) -> Keys:
    """Return keys whose servers use TLS, with a certificate of their own."""
    certificate, private_key = make_certificate()
    return replace(keys, certificate=certificate, private_key=private_key)
