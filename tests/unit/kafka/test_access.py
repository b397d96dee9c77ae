"""Settings of Kafka's security: what is missing is said in one sentence, and no secret is shown."""

from pathlib import Path

import pytest
from faust import auth

from app.errors import SettingsError
from app.kafka.access import KafkaAccess
from app.settings import Settings

SASL = {"kafka_security_protocol": "SASL_PLAINTEXT"}


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (SASL, "TAPEREADER_KAFKA_USERNAME is not set"),
        (SASL | {"kafka_username": "u"}, "TAPEREADER_KAFKA_PASSWORD is not set"),
        (SASL | {"kafka_username": "u", "kafka_password_file": Path("/none")}, "KAFKA_PASSWORD_FILE = /none: No such"),
        (SASL | {"kafka_sasl_mechanism": "OAUTHBEARER"}, "needs TAPEREADER_KAFKA_OAUTH_TOKEN_FILE, or"),
        ({"kafka_security_protocol": "SSL", "kafka_tls_ca_file": Path("/none")}, "KAFKA_TLS_CA_FILE = /none"),
        (
            {"kafka_security_protocol": "SSL", "kafka_tls_certificate_file": Path("/none")},
            "KAFKA_TLS_CERTIFICATE_FILE = /none",
        ),
    ],
    ids=["user", "password", "password-file", "oauth", "authority", "certificate"],
)
def test_what_is_missing_is_named(given: dict[str, object], said: str) -> None:
    with pytest.raises(SettingsError, match=said):
        KafkaAccess.of(Settings.load(**given))


@pytest.mark.parametrize("name", ["kafka_security_protocol", "kafka_sasl_mechanism", "kafka_acks"])
def test_a_word_that_kafka_does_not_know_is_refused(name: str) -> None:
    with pytest.raises(SettingsError, match=f"TAPEREADER_{name.upper()} = 'nonsense'"):
        Settings.load(**{name: "nonsense"})


def test_a_plain_address_has_no_login_and_no_tls() -> None:
    access = KafkaAccess.of("host:9092")
    assert access.options() == {
        "bootstrap_servers": "host:9092", "client_id": "tapereader", "security_protocol": "PLAINTEXT",
    }  # fmt: skip
    assert access.faust_credentials() is None


def test_aiokafka_and_faust_are_told_the_same(tmp_path: Path) -> None:
    (tmp_path / "password").write_text("from-a-file\n")
    settings = Settings.load(
        kafka_bootstrap_servers="one:9093,two:9093",
        kafka_security_protocol="SASL_SSL",
        kafka_sasl_mechanism="SCRAM-SHA-512",
        kafka_username="tape",
        kafka_password_file=tmp_path / "password",
        kafka_client_id="desk",
    )
    access = KafkaAccess.of(settings)
    options, credentials = access.options("gateway"), access.faust_credentials()
    assert isinstance(credentials, auth.SASLCredentials)
    assert options["client_id"] == "desk-gateway"
    assert (options["sasl_mechanism"], options["sasl_plain_username"]) == ("SCRAM-SHA-512", "tape")
    assert options["sasl_plain_password"] == credentials.password == "from-a-file"
    assert options["ssl_context"] is credentials.ssl_context
    assert options["security_protocol"] == credentials.protocol.value == "SASL_SSL"
