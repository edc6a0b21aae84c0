"""The certificate of a cluster, created when it starts and discarded when it ends."""

from __future__ import annotations

from datetime import UTC, datetime

from tensorsparkml.control.protocol.rpc import SERVER_NAME
from tensorsparkml.errors import MissingPackageError

# The certificate is of use as long as its cluster is there, so clocks that differ must not matter.
_FROM = datetime(2000, 1, 1, tzinfo=UTC)
_UNTIL = datetime(9999, 12, 31, 23, 59, 59, tzinfo=UTC)


def make_certificate() -> tuple[str, str]:
    """Return a self-signed certificate and its private key, both as PEM.

    The servers of one cluster share it. They all have the same name in it, and their clients trust
    no other certificate. The key is on the curve P-256; an RSA key would take a tenth of a second.

    Raises:
        MissingPackageError: The package `cryptography` is not installed.
    """
    try:
        from cryptography import x509
        from cryptography.hazmat.primitives import hashes, serialization
        from cryptography.hazmat.primitives.asymmetric import ec
        from cryptography.x509.oid import NameOID
    except ImportError as error:
        raise MissingPackageError(
            f"the driver needs the package cryptography to encrypt connections ({error}); install "
            "it on the driver's host, or set tls=False"
        ) from error
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, SERVER_NAME)])
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(_FROM)
        .not_valid_after(_UNTIL)
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(SERVER_NAME)]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .sign(key, hashes.SHA256())
    )
    pem = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    return certificate.public_bytes(serialization.Encoding.PEM).decode(), pem.decode()
