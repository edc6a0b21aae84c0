"""Files are divided among tasks."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from tensorsparkml.tfrecord.source.splits import Split, divide

MB = 2**20


@given(
    files=st.lists(st.tuples(st.integers(0, 900 * MB), st.booleans()), max_size=20),
    most=st.integers(MB, 200 * MB),
    parts=st.integers(1, 50),
)
def test_every_byte_is_read_once(files: list[tuple[int, bool]], most: int, parts: int) -> None:
    sizes = [size for size, _ in files]
    tasks = divide(sizes, [may_split for _, may_split in files], most, parts)
    splits = sorted(
        (split for task in tasks for split in task), key=lambda each: (each.file, each.begin)
    )
    for file, (size, may_split) in enumerate(files):
        own = [split for split in splits if split.file == file]
        assert own[0].begin == 0 and own[-1].end is None
        assert [split.end for split in own[:-1]] == [split.begin for split in own[1:]]
        assert all(split.begin < size for split in own[1:])
        assert may_split or len(own) == 1
    for task in tasks:
        bytes_of_task = sum(
            (sizes[split.file] if split.end is None else split.end) - split.begin for split in task
        )
        assert len(task) == 1 or bytes_of_task <= most


def test_small_files_share_a_task_and_large_ones_have_several() -> None:
    assert divide([MB] * 8, [True] * 8, 128 * MB, 2) == [
        [Split(file, 0, None) for file in range(4)],
        [Split(file, 0, None) for file in range(4, 8)],
    ]
    assert divide([100 * MB], [True], 40 * MB, 1) == [
        [Split(0, 0, 40 * MB)],
        [Split(0, 40 * MB, 80 * MB)],
        [Split(0, 80 * MB, None)],
    ]
    assert divide([100 * MB], [False], 40 * MB, 4) == [[Split(0, 0, None)]]
    assert divide([], [], 40 * MB, 4) == []
