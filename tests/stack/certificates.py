"""A certificate authority for tests, and certificates for servers."""

import secrets
import ssl
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID


class Authority:
    """A certificate authority for one test."""

    def __init__(self, directory: Path) -> None:
        """Write certificates to this directory."""
        self._directory = directory
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = _name("authority of a test")
        self._certificate = (
            _builder(self._name, self._name, self._key.public_key())
            .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
            .sign(self._key, hashes.SHA256())
        )

    def trusted(self) -> ssl.SSLContext:
        """A client context with default settings that trusts only this authority."""
        return ssl.create_default_context(cadata=self._pem().decode("ascii"))

    def trust_file(self) -> Path:
        """A new file with this authority's certificate, for sslrootcert and SSL_CERT_FILE."""
        return self._write(self._pem())

    def certificate_file(self, *names: str) -> Path:
        """A new file with a certificate for these names or addresses and its key."""
        return self._write(self._issue(names))

    def revoked_file(self, certificate_file: Path) -> Path:
        """A new revocation list with this certificate."""
        now = datetime.now(UTC)
        serial_number = x509.load_pem_x509_certificate(certificate_file.read_bytes()).serial_number
        revoked = x509.RevokedCertificateBuilder().serial_number(serial_number).revocation_date(now).build()
        crl = (
            x509.CertificateRevocationListBuilder()
            .issuer_name(self._name)
            .last_update(now - timedelta(hours=1))
            .next_update(now + timedelta(hours=1))
            .add_revoked_certificate(revoked)
            .sign(self._key, hashes.SHA256())
        )
        return self._write(crl.public_bytes(serialization.Encoding.PEM))

    def server(self, *names: str) -> ssl.SSLContext:
        """A server context with a certificate for these names or addresses."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self.certificate_file(*names))
        return context

    def _pem(self) -> bytes:
        return self._certificate.public_bytes(serialization.Encoding.PEM)

    def _issue(self, names: tuple[str, ...]) -> bytes:
        key = ec.generate_private_key(ec.SECP256R1())
        certificate = (
            _builder(_name("server of a test"), self._name, key.public_key())
            .add_extension(x509.SubjectAlternativeName([_general_name(name) for name in names]), critical=False)
            .sign(self._key, hashes.SHA256())
        )
        return certificate.public_bytes(serialization.Encoding.PEM) + key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )

    def _write(self, pem: bytes) -> Path:
        path = self._directory / f"{secrets.token_hex(4)}.pem"
        path.write_bytes(pem)
        return path


def _name(text: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])


def _builder(subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePublicKey) -> x509.CertificateBuilder:
    now = datetime.now(UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(hours=1))
        .not_valid_after(now + timedelta(hours=1))
    )


def _general_name(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ip_address(name))
    except ValueError:
        return x509.DNSName(name)
