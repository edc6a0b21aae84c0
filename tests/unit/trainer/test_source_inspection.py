"""Which Keras releases are refused for several nodes."""

from importlib import metadata

import pytest

from tensorsparkml.errors import UnsupportedVersionError
from tensorsparkml.trainer.repairs.source_inspection import require_version


@pytest.mark.parametrize("version", ["3.12.0", "3.15.1", "3.20.0rc1", "4.0.0"])
def test_new_enough(monkeypatch, version):
    monkeypatch.setattr(metadata, "version", lambda name: version)
    require_version((3, 12))


@pytest.mark.parametrize("version", ["3.9.2", "3.11.3", "2.15.0"])
def test_too_old(monkeypatch, version):
    monkeypatch.setattr(metadata, "version", lambda name: version)
    with pytest.raises(UnsupportedVersionError, match=rf"Keras {version} .* 3\.12 or newer"):
        require_version((3, 12))
