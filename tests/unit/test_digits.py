from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

DATA = Path(__file__).parents[2] / "examples" / "data"
ROWS = {"mnist_train.parquet": 12_000, "mnist_test.parquet": 2_000}


@pytest.fixture(scope="module", params=ROWS)
def file(request: pytest.FixtureRequest) -> tuple[str, pa.Table]:
    return request.param, pq.read_table(DATA / request.param)


def pixels(table: pa.Table) -> np.ndarray:
    return table["image"].combine_chunks().values.to_numpy()


def test_columns_are_those_that_spark_reads_as_numbers(file: tuple[str, pa.Table]) -> None:
    _, table = file
    assert table.schema.names == ["image", "label"]
    assert table.schema.field("image").type.value_type == pa.int16()
    assert table.schema.field("label").type == pa.int32()
    assert table["image"].null_count == table["label"].null_count == 0


def test_rows_are_shared_equally_by_the_classes(file: tuple[str, pa.Table]) -> None:
    name, table = file
    assert table.num_rows == ROWS[name]
    counts = np.bincount(table["label"].to_numpy(), minlength=10)
    assert counts.tolist() == [ROWS[name] // 10] * 10


def test_every_image_has_784_pixels_of_0_to_255(file: tuple[str, pa.Table]) -> None:
    _, table = file
    offsets = table["image"].combine_chunks().offsets.to_numpy()
    assert set(np.diff(offsets)) == {784}
    values = pixels(table)
    assert (values.min(), values.max()) == (0, 255)


def test_rows_are_shuffled_and_no_image_comes_twice(file: tuple[str, pa.Table]) -> None:
    _, table = file
    for start in range(0, table.num_rows, 1_000):
        assert set(table["label"][start : start + 1_000].to_pylist()) == set(range(10))
    images = pixels(table).reshape(-1, 784)
    assert len(np.unique(images, axis=0)) == table.num_rows


def test_spark_can_split_the_files(file: tuple[str, pa.Table]) -> None:
    name, _ = file
    metadata = pq.ParquetFile(DATA / name).metadata
    assert metadata.num_row_groups == ROWS[name] // 1_000
    assert metadata.row_group(0).column(0).compression == "ZSTD"


def test_the_files_are_small_enough_to_ship() -> None:
    assert sum((DATA / name).stat().st_size for name in ROWS) < 3_000_000
