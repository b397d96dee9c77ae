"""A real broker behind TLS and SASL, with certificates made for it, and settings that log in there."""

import base64
import datetime
import ipaddress
import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from app.local.kafka import LocalKafka
from tests.conftest import free_port

USER, PASSWORD = "tape", "pa55-w0rd-of-tape"
_MODULES = "org.apache.kafka.common.security"


@dataclass(frozen=True)
class Certificates:
    """PEM files: an authority, a broker's certificate and a client's, each with its key in the same file."""

    authority: Path
    broker: Path
    client: Path


def make_certificates(directory: Path) -> Certificates:
    """An authority and what it signed, valid for an hour."""
    directory.mkdir(parents=True, exist_ok=True)
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Tapereader's tests")])
    authority = _certificate(name, key, name, key, authority=True)
    (directory / "ca.pem").write_bytes(authority.public_bytes(serialization.Encoding.PEM))
    for holder in ("broker", "client"):
        own = ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, holder)])
        signed = _certificate(subject, own, name, key)
        private = own.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        (directory / f"{holder}.pem").write_bytes(private + signed.public_bytes(serialization.Encoding.PEM))
    return Certificates(*(directory / f"{name}.pem" for name in ("ca", "broker", "client")))


def _certificate(subject: x509.Name, key: Any, issuer: x509.Name, by: Any, *, authority: bool = False) -> Any:
    now = datetime.datetime.now(datetime.UTC)
    hosts = [x509.DNSName("localhost"), x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(minutes=5))
        .not_valid_after(now + datetime.timedelta(hours=1))
        .add_extension(x509.BasicConstraints(ca=authority, path_length=None), critical=True)
        .add_extension(x509.SubjectAlternativeName(hosts), critical=False)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(by.public_key()), critical=False)
        .sign(by, hashes.SHA256())
    )


@dataclass(frozen=True)
class SecureKafka:
    """A running broker: `sasl` asks for a login within TLS, `mutual` for a certificate, `plain` for nothing."""

    certificates: Certificates
    plain: str
    sasl: str
    mutual: str

    def settings(self, mechanism: str, **others: Any) -> dict[str, Any]:
        """Settings that log in by a mechanism; `TLS` means by certificate."""
        common = {"kafka_tls_ca_file": self.certificates.authority, **others}
        if mechanism == "TLS":
            return common | {
                "kafka_bootstrap_servers": self.mutual,
                "kafka_security_protocol": "SSL",
                "kafka_tls_certificate_file": self.certificates.client,
            }
        own = {
            "kafka_bootstrap_servers": self.sasl,
            "kafka_security_protocol": "SASL_SSL",
            "kafka_sasl_mechanism": mechanism,
        }
        if mechanism != "OAUTHBEARER":
            own |= {"kafka_username": USER, "kafka_password": PASSWORD}
        return own | common


@contextmanager
def secure_kafka(directory: Path, **further: str) -> Iterator[SecureKafka]:
    """A broker with three listeners and one user, while the context lasts; `further` properties have _ for dots."""
    certificates = make_certificates(directory / "certificates")
    plain, controller, sasl, mutual = (free_port() for _ in range(4))
    addresses = f"PLAINTEXT://127.0.0.1:{plain},SECURE://127.0.0.1:{sasl},MUTUAL://127.0.0.1:{mutual}"
    scram = f"{_MODULES}.scram.ScramLoginModule required;"
    properties = {
        "listeners": f"{addresses},CONTROLLER://127.0.0.1:{controller}",
        "advertised.listeners": addresses,
        "listener.security.protocol.map": "PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT,SECURE:SASL_SSL,MUTUAL:SSL",
        "inter.broker.listener.name": "PLAINTEXT",
        "ssl.keystore.type": "PEM",
        "ssl.keystore.location": str(certificates.broker),
        "ssl.truststore.type": "PEM",
        "ssl.truststore.location": str(certificates.authority),
        "listener.name.mutual.ssl.client.auth": "required",
        "listener.name.secure.sasl.enabled.mechanisms": "PLAIN,SCRAM-SHA-256,SCRAM-SHA-512,OAUTHBEARER",
        "listener.name.secure.plain.sasl.jaas.config": (
            f'{_MODULES}.plain.PlainLoginModule required user_{USER}="{PASSWORD}";'
        ),
        "listener.name.secure.scram-sha-256.sasl.jaas.config": scram,
        "listener.name.secure.scram-sha-512.sasl.jaas.config": scram,
        "listener.name.secure.oauthbearer.sasl.jaas.config": (
            f'{_MODULES}.oauthbearer.OAuthBearerLoginModule required unsecuredLoginStringClaim_sub="broker";'
        ),
    }
    properties |= {name.replace("_", "."): value for name, value in further.items()}
    users = [
        part
        for mechanism in ("SCRAM-SHA-256", "SCRAM-SHA-512")
        for part in ("--add-scram", f"{mechanism}=[name={USER},password={PASSWORD}]")
    ]
    broker = LocalKafka(directory / "kafka", plain, controller, properties=properties, format_options=users)
    broker.start()
    try:
        broker.wait_ready()
        yield SecureKafka(certificates, *(f"localhost:{port}" for port in (plain, sasl, mutual)))
    finally:
        broker.stop()


def unsigned_token(subject: str, life_s: float = 300.0) -> str:
    """A token without a signature (RFC 7515, appendix A.5), as the broker's validator for tests takes it."""
    now_s = time.time()

    def part(value: dict[str, Any]) -> str:
        return base64.urlsafe_b64encode(json.dumps(value).encode()).rstrip(b"=").decode()

    return f"{part({'alg': 'none'})}.{part({'sub': subject, 'iat': now_s, 'exp': now_s + life_s})}."
