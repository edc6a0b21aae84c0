"""Files on a real HDFS, through `hdfs-native`, which needs no Java."""

import pytest
from hdfs_server import hdfs_server, write_settings
from server_processes import HOST, free_ports
from store_outcome import (
    check_damaged,
    check_failures,
    check_replacing,
    check_saved,
    check_shares,
    check_tfrecords,
    run_script,
)

pytestmark = pytest.mark.full


@pytest.fixture(scope="module")
def hdfs(tmp_path_factory, pytestconfig):
    cache = pytestconfig.cache.mkdir("hadoop")
    with hdfs_server(tmp_path_factory.mktemp("hdfs"), cache) as server:
        yield server


@pytest.fixture(scope="module")
def unreachable():
    return f"hdfs://{HOST}:{free_ports(1)[0]}/table"


@pytest.fixture(scope="module")
def saved(hdfs, tmp_path_factory):
    """Where pipelines are saved."""
    return [f"{hdfs.url}/saved/pipeline", f"file://{tmp_path_factory.mktemp('saved')}/pipeline"]


@pytest.fixture(scope="module")
def outcome(hdfs, unreachable, saved, tmp_path_factory):
    """By itself the client tries 15 times, for minutes, as it waits for another name node."""
    conf = tmp_path_factory.mktemp("conf")
    write_settings(conf / "core-site.xml", {"fs.defaultFS": hdfs.url})
    write_settings(conf / "hdfs-site.xml", {"dfs.client.failover.max.attempts": 1})
    return run_script(
        table=f"{hdfs.url}/data/table",
        records="hdfs:///data/records",  # of the default filesystem
        missing=f"{hdfs.url}/no/table",
        unreachable=unreachable,
        environment={"HADOOP_CONF_DIR": str(conf)},
        saved=saved,
        end_to_end=True,
    )


@pytest.fixture(scope="module")
def loaded(outcome, saved):
    return run_script("load_script.py", saved=saved, damaged=saved[0])


@pytest.mark.parametrize("kind", ["parquet", "tfrecord", "fed"])
def test_each_row_is_on_one_node(outcome, kind):
    check_shares(outcome, kind)


def test_a_model_that_is_overwritten_is_loaded_anew(outcome):
    assert outcome["predicted"] == [[1.0, 2.0, 3.0], [2.0, 3.0, 4.0]]


def test_a_saved_pipeline_predicts_the_same_in_another_application(outcome, loaded):
    check_saved(outcome, loaded)


def test_a_damaged_model_is_refused(loaded, saved):
    check_damaged(loaded, saved[0])


def test_missing_and_unreachable(outcome, hdfs, unreachable):
    check_failures(outcome, f"{hdfs.url}/no/table", unreachable)


def test_tfrecords_as_tables(outcome, hdfs):
    check_tfrecords(outcome, f"{hdfs.url}/data/table")


def test_from_a_table_to_predictions_by_tfrecords(outcome):
    assert outcome["trained"] == pytest.approx([0.0, 3.6, 1.2, 4.8], abs=0.2)


def test_a_folder_is_written_and_replaced(hdfs):
    check_replacing(hdfs.filesystem(), "/models", f"{hdfs.url}/models")
