"""Values as bytes in Redis: JSON, compressed where large, encrypted where a key is set.

Plain JSON has no mark, so that any client reads it; the two others begin with a byte that no JSON
begins with. What cannot be decoded is a miss, never an error.
"""

import zstandard
from cryptography.fernet import Fernet, InvalidToken, MultiFernet

from app.errors import SettingsError
from app.settings import Settings

COMPRESSED, ENCRYPTED = b"\x01", b"\x02"

#: zstd's level: on 2 kB of JSON 1 and 3 differ by 2 % in size, 1 is the faster one.
LEVEL = 1

#: A value of ours is kilobytes; a frame that claims more than this is not ours.
MAX_VALUE_BYTES = 16 * 1024 * 1024


class UndecodableError(ValueError):
    """A value in Redis is not what the codec writes."""


class Codec:
    """Encodes and decodes values; compresses from `compress_bytes` on (0: never)."""

    def __init__(self, compress_bytes: int = 0, fernet: MultiFernet | None = None) -> None:
        self._compress_bytes, self._fernet = compress_bytes, fernet
        self._compressor, self._decompressor = zstandard.ZstdCompressor(LEVEL), zstandard.ZstdDecompressor()

    @classmethod
    def from_settings(cls, settings: Settings) -> "Codec":
        """The codec that the settings ask for. Raises `SettingsError`: a key is no Fernet key."""
        return cls(settings.cache_compress_bytes, _fernet(settings))

    def encode(self, data: bytes) -> bytes:
        """JSON as it is kept."""
        if self._compress_bytes and len(data) >= self._compress_bytes:
            data = COMPRESSED + self._compressor.compress(data)
        if self._fernet is not None:
            data = ENCRYPTED + self._fernet.encrypt(data)
        return data

    def decode(self, data: bytes) -> bytes:
        """JSON from what was kept. Raises `UndecodableError`: a wrong key, or not ours."""
        try:
            if data.startswith(ENCRYPTED):
                if self._fernet is None:
                    raise UndecodableError("the value is encrypted and no key is set")
                data = self._fernet.decrypt(data[1:])
            elif self._fernet is not None:
                # Accepting plain values would let anyone who can write to Redis pass the encryption by.
                raise UndecodableError("the value is not encrypted although a key is set")
            if data.startswith(COMPRESSED):
                if zstandard.frame_content_size(data[1:]) > MAX_VALUE_BYTES:
                    raise UndecodableError(f"the value claims to be larger than {MAX_VALUE_BYTES} bytes")
                data = self._decompressor.decompress(data[1:], max_output_size=MAX_VALUE_BYTES)
        except (InvalidToken, zstandard.ZstdError) as error:
            raise UndecodableError(f"the value is damaged or of another key: {type(error).__name__}") from error
        return data


def _fernet(settings: Settings) -> MultiFernet | None:
    if settings.cache_encryption_key is not None:
        text = settings.cache_encryption_key.get_secret_value()
    elif settings.cache_encryption_key_file is not None:
        text = settings.cache_encryption_key_file.read_text(encoding="utf-8")
    else:
        return None
    try:
        return MultiFernet([Fernet(key.strip()) for key in text.split(",") if key.strip()])
    except ValueError as error:
        raise SettingsError(
            "TAPEREADER_CACHE_ENCRYPTION_KEY = (hidden): expected Fernet keys (32 bytes in URL-safe base64), "
            "comma-separated; make one with `Fernet.generate_key()` of the package cryptography"
        ) from error
