"""Parts of documents, spliced from the bytes of Kafka without encoding a row again."""

from collections.abc import Iterable, Sequence

import msgspec

#: A row's fields as they stand in its JSON.
RawRow = dict[str, msgspec.Raw]

_list = msgspec.json.Decoder(list[msgspec.Raw])
_row = msgspec.json.Decoder(RawRow)
_rows = msgspec.json.Decoder(list[RawRow])


def first(document: bytes, limit: int | None) -> bytes:
    """A list's first entries; anything that is not a list is whole."""
    if limit is None or not document.startswith(b"["):
        return document
    return array(_list.decode(document)[:limit])


def array(items: Iterable[msgspec.Raw | bytes]) -> bytes:
    """A JSON list of JSON values."""
    return b"[" + b",".join(map(bytes, items)) + b"]"


def row_of(document: bytes) -> RawRow:
    """A row's fields. Raises `msgspec.DecodeError` where the document is no object."""
    return _row.decode(document)


def rows(document: bytes, limit: int | None = None) -> list[RawRow]:
    """The rows of a list, or of a document that is one row; null has none."""
    if document.startswith(b"["):
        return _rows.decode(document)[:limit]
    return [_row.decode(document)] if document.startswith(b"{") else []


def encode_row(row: RawRow, fields: Sequence[str] | None = None) -> bytes:
    """A row's JSON, or that of these fields of it; fields that it does not have are left out."""
    names = row.keys() if fields is None else [field for field in fields if field in row]
    return b"{" + b",".join(b"%s:%s" % (_quoted(name), bytes(row[name])) for name in names) + b"}"


def part(document: bytes, limit: int | None, fields: Sequence[str] | None) -> bytes:
    """A document's first entries with these fields of each row only."""
    if fields is None:
        return first(document, limit)
    if document.startswith(b"["):
        return array(encode_row(row, fields) for row in rows(document, limit))
    return encode_row(_row.decode(document), fields) if document.startswith(b"{") else document


def envelope(feed: str, epoch: str, offset: int, name: str, data: bytes, extra: bytes = b"") -> bytes:
    """A live message that says what it is: `data` under `name`; `extra` is more members, each with a comma before."""
    return b'{"feed":%s,"epoch":"%s","offset":%d%s,"%s":%s}' % (
        _quoted(feed), epoch.encode(), offset, extra, name.encode(), data,
    )  # fmt: skip


_names: dict[str, bytes] = {}


def _quoted(text: str) -> bytes:
    """A JSON string; field names come again and again."""
    found = _names.get(text)
    if found is None:
        found = msgspec.json.encode(text)
        if len(_names) < 50_000:
            _names[text] = found
    return found
