"""The header that makes a flush whole: which source offsets the state in it covers.

A flush is one Kafka record batch, so it is there entirely or not at all. Its last record carries
this header and no record of its own is needed, so a public topic holds rows and nothing else; the
newest record of a partition is never compacted away, so the newest offsets survive too.
"""

import msgspec

#: Name of the header.
COVERS_HEADER = "covers"


class Covers(msgspec.Struct, frozen=True, rename={"records": "n", "before": "from", "after": "to"}):
    """How many records the flush has, and per source topic the next offset before and after it.

    `restart` marks a flush whose offsets start afresh, since a source topic was made anew.
    """

    records: int
    before: dict[str, int]
    after: dict[str, int]
    restart: bool = False

    def is_stale(self, known: dict[str, int]) -> bool:
        """Whether a writer wrote this that did not know what is covered already.

        A worker that lost its partition without noticing (a long pause) may still append. Its
        flush starts before what the rightful owner has covered since; its rows must not count.
        """
        if self.restart:
            return False
        return any(self.before.get(topic, 0) < offset for topic, offset in known.items())


_encoder = msgspec.json.Encoder()
_decoder = msgspec.json.Decoder(Covers)


def encode(covers: Covers) -> tuple[str, bytes]:
    """The header of a flush's last record."""
    return COVERS_HEADER, _encoder.encode(covers)


def decode(headers: "list[tuple[str, bytes]] | tuple[tuple[str, bytes], ...]") -> Covers | None:
    """The covers header among a record's headers, None where there is none."""
    for name, value in headers:
        if name == COVERS_HEADER:
            return _decoder.decode(value)
    return None
