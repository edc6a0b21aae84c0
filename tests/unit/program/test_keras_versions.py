"""Files of Keras models tell which Keras wrote them."""

import json
import zipfile

import pytest

from tensorsparkml.program.keras_versions import is_of_keras_2, package_of


def archive(path, **files):
    with zipfile.ZipFile(path, "w") as written:
        for name, content in files.items():
            written.writestr(name.replace("_", ".", 1), json.dumps(content))
    return str(path)


@pytest.mark.parametrize(
    ("metadata", "package"),
    [
        ({"keras_version": "2.21.0"}, "tf_keras"),
        ({"keras_version": "3.12.0"}, "keras"),
        ({"keras_version": "20.1.0"}, "keras"),
        ({}, "keras"),
    ],
)
def test_a_file_names_the_package_that_reads_it(tmp_path, metadata, package):
    assert package_of(archive(tmp_path / "model.keras", metadata_json=metadata)) == package


def test_what_says_nothing_is_of_keras_3(tmp_path):
    assert package_of(archive(tmp_path / "model.keras", config_json={})) == "keras"
    (tmp_path / "model.h5").write_bytes(b"\x89HDF")
    assert package_of(str(tmp_path / "model.h5")) == "keras"
    assert package_of(str(tmp_path)) == "keras"


def test_a_class_is_known_by_its_bases():
    base = type("Model", (), {"__module__": "tf_keras.src.engine.training"})
    assert is_of_keras_2(type("Mine", (base,), {"__module__": "mine"}))
    assert not is_of_keras_2(dict)
