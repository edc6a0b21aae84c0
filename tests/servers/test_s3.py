"""Files on a real S3 server: credentials and endpoint come from the nodes' environment."""

import os
import subprocess

import pytest
from s3_jars import s3_jars
from s3_server import BUCKET, KEY, SECRET, VERSIONED, s3_server
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

from tensorsparkml.data.files.listing import find_files
from tensorsparkml.errors import DataError

pytestmark = pytest.mark.full

MISSING = "s3://no-such-bucket/table"
SAVED = f"s3a://{VERSIONED}/saved/pipeline"  # Hadoop's name


@pytest.fixture(scope="module")
def s3(tmp_path_factory):
    with s3_server(tmp_path_factory.mktemp("s3")) as server:
        yield server


@pytest.fixture(scope="module")
def jars(pytestconfig):
    """Those of Spark, or none where they cannot be downloaded."""
    try:
        return s3_jars(pytestconfig.cache.mkdir("hadoop"))
    except (OSError, subprocess.TimeoutExpired):
        if "CI" in os.environ:
            raise
        return []


@pytest.fixture(scope="module")
def spark_settings(s3, jars):
    return {
        "spark.jars": ",".join(map(str, jars)),
        "spark.hadoop.fs.s3a.endpoint": s3.url,
        "spark.hadoop.fs.s3a.endpoint.region": "us-east-1",
        "spark.hadoop.fs.s3a.path.style.access": "true",
    }


@pytest.fixture(scope="module")
def outcome(s3, jars, spark_settings):
    return run_script(
        table=f"s3://{BUCKET}/table",
        records=f"s3://{BUCKET}/records",
        missing=MISSING,
        unreachable=f"{BUCKET}/table",
        native=s3.url,
        nobody=f"http://{HOST}:{free_ports(1)[0]}",
        options={"key": KEY, "secret": SECRET, "endpoint_url": s3.url},
        environment=s3.environment,
        spark=spark_settings,
        saved=[SAVED] if jars else [],
    )


@pytest.fixture(scope="module")
def loaded(s3, jars, spark_settings, outcome):
    if not jars:
        pytest.skip("Hadoop's jars for S3 cannot be downloaded")
    return run_script(
        "load_script.py",
        options={"key": KEY, "secret": SECRET, "endpoint_url": s3.url},
        environment=s3.environment,
        spark=spark_settings,
        saved=[SAVED],
        damaged=SAVED,
    )


@pytest.mark.parametrize("kind", ["parquet", "tfrecord", "native", "fed"])
def test_each_row_is_on_one_node(outcome, kind):
    check_shares(outcome, kind)


def test_a_model_that_is_overwritten_is_loaded_anew(outcome):
    assert outcome["predicted"] == [[1.0, 2.0, 3.0], [2.0, 3.0, 4.0]]


def test_a_saved_pipeline_predicts_the_same_in_another_application(outcome, loaded):
    check_saved(outcome, loaded)


def test_a_damaged_model_is_refused(loaded):
    check_damaged(loaded, SAVED)


def test_tfrecords_as_tables(outcome):
    check_tfrecords(outcome, f"s3://{BUCKET}/table")


def test_missing_and_unreachable(outcome):
    check_failures(outcome, MISSING, f"{BUCKET}/table")


def test_wrong_credentials(s3):
    import s3fs

    wrong = s3fs.S3FileSystem(key=KEY, secret="wrong", endpoint_url=s3.url)
    with pytest.raises(DataError, match=rf"^cannot list {BUCKET}/table: PermissionError"):
        find_files([f"{BUCKET}/table"], wrong)


def test_nobody_answers_s3fs():
    import s3fs

    url = f"http://{HOST}:{free_ports(1)[0]}"
    down = s3fs.S3FileSystem(
        key=KEY, secret=SECRET, endpoint_url=url, config_kwargs={"retries": {"max_attempts": 0}}
    )
    with pytest.raises(DataError, match=rf"^cannot list {BUCKET}/table: EndpointConnectionError"):
        find_files([f"{BUCKET}/table"], down)


def test_files_of_others_are_seen(s3):
    mine, other = s3.filesystem(), s3.filesystem()
    for count in (1, 2, 3):
        other.pipe(f"{BUCKET}/growing/{count}", b"x" * count)
        other.pipe(f"{BUCKET}/growing/1", b"x" * count)
        found = find_files([f"{BUCKET}/growing"], mine)
        assert [file.size for file in found] == [count, *range(2, count + 1)]


def test_a_folder_is_written_and_replaced(s3, monkeypatch):
    for name, value in s3.environment.items():
        monkeypatch.setenv(name, value)
    check_replacing(s3.filesystem(), f"{BUCKET}/models", f"s3://{BUCKET}/models")
