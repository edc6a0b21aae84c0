"""The certificate that a driver makes for its cluster."""

from __future__ import annotations

import ssl
import sys
from pathlib import Path

import pytest
from tests.unit.example_plan import example_plan

from tensorsparkml.config import ClusterConfig
from tensorsparkml.control.protocol.keys import FEEDER, Keys, of_node
from tensorsparkml.control.protocol.plan import ClusterPlan
from tensorsparkml.driver.lifecycle.certificate import make_certificate
from tensorsparkml.errors import ConfigurationError, MissingPackageError


def test_other_libraries_read_it_too(tmp_path: Path) -> None:
    certificate, key = make_certificate()
    (tmp_path / "both.pem").write_text(certificate + key)
    ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(tmp_path / "both.pem")
    context = ssl.create_default_context(cadata=certificate)
    [own] = [each for each in context.get_ca_certs() if "tensorsparkml" in str(each["subject"])]
    assert own["subjectAltName"] == (("DNS", "cluster.tensorsparkml.internal"),)
    assert own["notAfter"].split()[3] == "9999"  # no clock of a host is too far ahead


def test_each_is_another_one() -> None:
    (first, first_key), (second, second_key) = make_certificate(), make_certificate()
    assert first != second
    assert first_key != second_key


def test_without_the_package_the_error_says_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "cryptography", None)
    with pytest.raises(MissingPackageError, match=r"package cryptography.*or set tls=False"):
        make_certificate()


def test_tls_is_on_unless_it_is_left_out() -> None:
    assert ClusterConfig().tls
    assert not ClusterConfig(tls=False).tls
    with pytest.raises(ConfigurationError, match="tls must be True or False"):
        ClusterConfig(tls="no")  # type: ignore[arg-type]


def test_the_plan_of_an_agent_has_no_secret() -> None:
    certificate, private_key = make_certificate()
    plan = example_plan(keys=Keys("the secret", {}, certificate, private_key))
    sent = plan.for_agent(1).encode()
    assert b"the secret" not in sent
    keys = ClusterPlan.decode(sent).keys
    assert keys.credentials(of_node(1)) == plan.keys.credentials(of_node(1))
    assert keys.guard(FEEDER).private_key == private_key
    with pytest.raises(KeyError):
        keys.token(of_node(0))
