"""Values as bytes: what is encoded is decoded, and what is not ours is refused."""

import pytest
from cryptography.fernet import Fernet, MultiFernet
from hypothesis import given
from hypothesis import strategies as st

from app.errors import SettingsError
from app.reference.codec import COMPRESSED, ENCRYPTED, Codec, UndecodableError
from app.settings import Settings

KEY = Fernet(Fernet.generate_key())


@given(st.binary(max_size=500).map(lambda body: b'"' + body), st.sampled_from([0, 1, 64]), st.booleans())
def test_what_is_encoded_is_decoded(data: bytes, compress_bytes: int, encrypted: bool) -> None:
    codec = Codec(compress_bytes, MultiFernet([KEY]) if encrypted else None)
    assert codec.decode(codec.encode(data)) == data


def test_small_plain_values_are_json_for_any_client() -> None:
    assert Codec(64).encode(b"1.5") == b"1.5"
    large = b'"' + b"a" * 1000 + b'"'
    kept = Codec(64).encode(large)
    assert kept.startswith(COMPRESSED)
    assert len(kept) < 100


@pytest.mark.parametrize(
    "kept", [COMPRESSED + b"not zstd", ENCRYPTED + b"not a token", COMPRESSED], ids=["frame", "token", "empty"]
)
def test_what_is_not_ours_is_refused(kept: bytes) -> None:
    with pytest.raises(UndecodableError):
        Codec().decode(kept)
    with pytest.raises(UndecodableError):
        Codec(0, MultiFernet([KEY])).decode(kept)


def test_a_frame_that_claims_to_be_huge_is_refused() -> None:
    huge = Codec(1).encode(b"0" * (17 * 1024 * 1024))
    with pytest.raises(UndecodableError, match="larger than"):
        Codec().decode(huge)


def test_with_a_key_plain_values_are_refused() -> None:
    with pytest.raises(UndecodableError):
        Codec(0, MultiFernet([KEY])).decode(b"1.5")


def test_a_key_that_is_none_is_named_and_not_shown() -> None:
    with pytest.raises(SettingsError, match="CACHE_ENCRYPTION_KEY") as raised:
        Codec.from_settings(Settings.load(cache_encryption_key="hunter2"))
    assert "hunter2" not in str(raised.value)
