"""A node's files: who can read them, and that its temporary ones end with it."""

import os
import shutil
import stat
import tempfile
from pathlib import Path

import pytest

import tensorsparkml as tsm
from tensorsparkml import errors

ROOT = f"tensorsparkml-{os.geteuid()}"


def use_files(args, ctx):
    """Write files, and let node 1 delete what its agent has made."""
    inside, temporary = Path(args), Path(tempfile.gettempdir())
    (inside / f"{ctx.rank}.made").touch()
    with tempfile.NamedTemporaryFile(delete=False) as left:
        left.write(b"left")
    (temporary / "closed").mkdir(mode=0o500)
    print("hello")
    if ctx.rank == 1:
        shutil.rmtree(temporary.parent)
        shutil.rmtree(Path(ctx.log_dir).parent / "worker-0.spool")
    return str(temporary), left.name, os.umask(0)


def mode(path):
    return stat.S_IMODE(path.stat().st_mode)


def test_folders_of_a_cluster(spark, tmp_path):
    results = tsm.run(
        use_files, str(tmp_path), spark=spark, num_workers=2, packages=(), work_dir=str(tmp_path)
    )
    temporary, left, umasks = zip(*results, strict=True)
    assert len(set(temporary)) == 2
    assert [Path(file).parent for file in left] == [Path(folder) for folder in temporary]
    for folder in temporary:
        assert len(folder) < 60  # Unix sockets in it have room
        assert not Path(folder).parent.exists()
    # Files that main makes are as its user makes files; the agents' are for that user alone.
    os.umask(own := os.umask(0o077))
    assert umasks == (own, own)
    assert mode(tmp_path / "0.made") == 0o666 & ~own
    [cluster] = (tmp_path / ROOT).iterdir()
    assert mode(tmp_path / ROOT) == mode(cluster) == 0o700
    assert [path.name for path in cluster.iterdir()] == ["logs"]
    logs = sorted((cluster / "logs" / "nodes").iterdir())
    assert [log.name for log in logs] == [
        f"{node}{kind}.log" for node in ("chief-0", "worker-0") for kind in (".agent", "")
    ]
    assert {mode(log) for log in logs} == {0o600}
    assert logs[1].read_text() == "hello\n"
    assert "trainer runs as process" in logs[0].read_text()


def test_root_of_somebody_else(spark, tmp_path):
    root = tmp_path / ROOT
    root.symlink_to(tmp_path)
    with pytest.raises(errors.ConfigurationError) as caught:
        tsm.run(lambda args, ctx: None, spark=spark, packages=(), work_dir=str(tmp_path))
    assert f"{root} must be a folder that only user" in caught.value.message
    assert "it is a symbolic link; remove it, or set work_dir" in caught.value.message
