"""What stands in the headers of a changelog: which source offsets a flush covers, and who claims the partition.

A flush is one Kafka record batch, so it is there entirely or not at all. Its last record carries `covers`, so that a
public topic holds rows and nothing else. A claim is a tombstone of a key that no row has, with the header `claim`.
"""

from collections.abc import Iterable
from typing import Final

import msgspec

#: Name of the header of a flush's last record.
COVERS_HEADER: Final = "covers"

#: Name of the header of a claim.
CLAIM_HEADER: Final = "claim"

#: Key of claims. Its value is null, so that no reader sees a row.
CLAIM_KEY: Final = b"#claim"

#: Key of records that only carry `covers`, null as well. Not the claims' key: compaction would take what is covered for
#: the next claim's sake, before its writer has read it.
COVERS_KEY: Final = b"#covers"


class Covers(msgspec.Struct, frozen=True, rename={"after": "to"}):
    """Per source topic the next offset that is not in the state, and the topic's id where it is known.

    A topic that is deleted and made anew has another id, so that offsets of the old one do not count for it.
    `epoch` is the writer's. What came before a claim can have any epoch, what comes after it only the claim's. `owner`
    is the writer's app: claims are tombstones, and compaction forgets them.
    """

    after: dict[str, int]
    ids: dict[str, str] = {}
    epoch: int = -1
    owner: str = ""


class Claim(msgspec.Struct, frozen=True):
    """A worker has taken this partition over: `owner` is the app's id, `epoch` that of its producer."""

    owner: str
    epoch: int
    producer_id: int


_encode = msgspec.json.Encoder().encode
_decode_covers = msgspec.json.Decoder(Covers).decode
_decode_claim = msgspec.json.Decoder(Claim).decode


def encode(covers: Covers) -> tuple[str, bytes]:
    """The header of a flush's last record."""
    return COVERS_HEADER, _encode(covers)


def encode_claim(claim: Claim) -> tuple[str, bytes]:
    """The header of a claim."""
    return CLAIM_HEADER, _encode(claim)


def decode(headers: Iterable[tuple[str, bytes]]) -> Covers | None:
    """What a record's headers say of covered offsets, None where nothing. Raises `msgspec.MsgspecError`."""
    for name, value in headers:
        if name == COVERS_HEADER:
            return _decode_covers(value)
    return None


def decode_claim(headers: Iterable[tuple[str, bytes]]) -> Claim | None:
    """The claim among a record's headers, None where there is none. Raises `msgspec.MsgspecError`."""
    for name, value in headers:
        if name == CLAIM_HEADER:
            return _decode_claim(value)
    return None
