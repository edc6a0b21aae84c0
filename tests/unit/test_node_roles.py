"""Which nodes a cluster has, and what each is there for."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from tensorsparkml.roles import Roles, make_roles


def test_all_train_together() -> None:
    roles = make_roles(3)
    assert roles.names == ["chief:0", "worker:0", "worker:1"]
    assert (roles.readers, roles.with_main, roles.training) == (3, [0, 1, 2], [0, 1, 2])


def test_with_parameter_servers_the_chief_runs_main_and_the_workers_read() -> None:
    roles = make_roles(3, num_ps=2, evaluator=True)
    assert roles.names == ["worker:0", "worker:1", "chief:0", "evaluator:0", "ps:0", "ps:1"]
    assert (roles.readers, roles.with_main, roles.training) == (2, [2, 3], [2])


def test_between_graphs_all_but_the_servers_run_main() -> None:
    roles = make_roles(2, num_ps=1, between_graph=True)
    assert roles.names == ["chief:0", "worker:0", "ps:0"]
    assert (roles.readers, roles.with_main, roles.training) == (2, [0, 1], [0, 1])


@given(st.builds(make_roles, st.integers(2, 5), st.integers(0, 3), st.booleans(), st.booleans()))
def test_readers_come_first_and_compute(roles: Roles) -> None:
    assert all(role in ("chief", "worker") for role, _ in roles.nodes[: roles.readers])
    assert [role for role, _ in roles.nodes].count("chief") == 1
    assert len(set(roles.nodes)) == len(roles.nodes)
    assert set(roles.training) <= set(roles.with_main)
