"""Directives that wait until their node has acknowledged them."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from tensorsparkml.control.coordinator.mailbox import Mailbox
from tensorsparkml.control.protocol.directives import Release


def directive(number: int) -> Release:
    return Release("train", number)


def test_a_mailbox_forgets_what_its_node_has_acknowledged() -> None:
    mailbox = Mailbox()
    for number in range(100_000):
        mailbox.put(directive(number))
        mailbox.acknowledge(number)
        assert mailbox.has_news(number)
        assert mailbox.after(number) == [directive(number)]
        assert len(mailbox) == 1
    mailbox.acknowledge(100_000)
    assert len(mailbox) == 0
    assert not mailbox.has_news(100_000)


def test_a_reply_that_was_lost_is_given_again() -> None:
    mailbox = Mailbox()
    mailbox.put(directive(0))
    assert mailbox.after(0) == [directive(0)]
    mailbox.put(directive(1))
    assert mailbox.after(0) == [directive(0), directive(1)]


def test_a_call_that_its_node_has_given_up_gets_nothing() -> None:
    mailbox = Mailbox()
    for number in range(3):
        mailbox.put(directive(number))
    mailbox.acknowledge(2)
    assert mailbox.after(1) == []
    assert mailbox.after(2) == [directive(2)]


@given(st.lists(st.tuples(st.booleans(), st.booleans())))
def test_each_directive_arrives_once_and_in_order(steps: list[tuple[bool, bool]]) -> None:
    mailbox, received, sent = Mailbox(), [], 0
    for puts, arrives in [*steps, (False, True)]:
        if puts:
            mailbox.put(directive(sent))
            sent += 1
        mailbox.acknowledge(len(received))
        reply = mailbox.after(len(received))
        assert bool(reply) == mailbox.has_news(len(received))
        if arrives:
            received += reply
    assert received == [directive(number) for number in range(sent)]
