"""Whole numbers that were written as decimals: `1795186801500.0` where the vendor's documents promise 1795186801500."""

from collections.abc import Callable
from types import UnionType
from typing import Any, TypeVar, overload

import msgspec

T = TypeVar("T")


@overload
def decoder_of(shape: type[T]) -> Callable[[bytes], T]: ...
@overload
def decoder_of(shape: UnionType) -> Callable[[bytes], Any]: ...
def decoder_of(shape: Any) -> Callable[[bytes], Any]:
    """A decoder of JSON that takes whole numbers in either form; a number with a fraction stays none.

    What is as documented is read as fast as without it. msgspec's lax mode does not do: it would take texts for
    numbers as well, "nan" among them. Raises `msgspec.DecodeError` for what is not of the shape, as msgspec does.
    """
    strict = msgspec.json.Decoder(shape).decode

    def decode(value: bytes) -> Any:
        try:
            return strict(value)
        except msgspec.ValidationError as error:
            try:
                return msgspec.convert(_whole(msgspec.json.decode(value)), shape)
            except msgspec.ValidationError:
                raise error from None

    return decode


def _whole(value: Any) -> Any:
    match value:
        case float() if value.is_integer():
            # A field of decimals takes it back as what it was.
            return int(value)
        case list():
            return [_whole(each) for each in value]
        case dict():
            return {name: _whole(each) for name, each in value.items()}
    return value
