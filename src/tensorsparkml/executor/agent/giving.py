"""Moving rows from one node's spool to another's, when a feed is evened out."""

from __future__ import annotations

import pyarrow as pa

from tensorsparkml.control.protocol.directives import Give
from tensorsparkml.control.protocol.failures import Failure, from_exception
from tensorsparkml.control.protocol.keys import Credentials
from tensorsparkml.control.protocol.peers import Peer
from tensorsparkml.data.spool.store import Spool
from tensorsparkml.data.spool.transport import NodeGoneError, send_segment
from tensorsparkml.errors import FeedError


def give(directive: Give, target: Peer, spool: Spool, credentials: Credentials) -> Failure | None:
    """Send rows of a spool to another node.

    Args:
        directive: Which rows.
        target: The other node.
        spool: Where the rows are.
        credentials: Those of a feeder.

    Returns:
        Why they did not arrive, or None.
    """
    try:
        batches = spool.rows_to_give(directive)
        send_segment(target, credentials, directive.feed, directive.segment, batches)
    except FeedError as error:
        return from_exception(error, kind="FeedError", message=error.message)
    except (pa.ArrowException, OSError) as error:
        message = f"could not send {directive.rows} rows of {directive.feed!r} to {target.name}"
        return Failure(
            "FeedError", f"{message}: {error}", consequence=isinstance(error, NodeGoneError)
        )
    return None
