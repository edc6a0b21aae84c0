"""Messages ↔ JSON. A message is a frozen dataclass; its JSON object names the class as its kind.

What arrives is checked against the fields of the class, so that whoever handles a message knows
its types.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import MISSING, asdict, fields, is_dataclass
from functools import cache
from types import NoneType, UnionType
from typing import Any, Generic, TypeVar, get_args, get_origin, get_type_hints

T = TypeVar("T")
Message = TypeVar("Message")
_Read = Callable[[Any, str], Any]  # gets a value and its place, such as `Started.peer.rank`


class Codec(Generic[Message]):
    """Encodes and decodes the messages of one conversation.

    Args:
        kinds: The classes of the messages, which have different names.
    """

    def __init__(self, kinds: Iterable[type[Any]]) -> None:
        self._kinds = {kind.__name__: kind for kind in kinds}

    def encode(self, message: Message) -> dict[str, Any]:
        """Return a message as a JSON object that names its kind."""
        return {"kind": type(message).__name__, **asdict(message)}  # type: ignore[call-overload]

    def decode(self, body: Mapping[str, Any]) -> Message:
        """Return the message that `encode` wrote.

        Raises:
            ValueError: There is no message of that kind, or it has other fields.
        """
        kind = self._kinds.get(body.get("kind", ""))
        if kind is None:
            raise ValueError(
                f"unknown kind of message {body.get('kind')!r}; known are {', '.join(self._kinds)}"
            )
        message: Message = decode_fields(
            kind, {name: value for name, value in body.items() if name != "kind"}
        )
        return message


def decode_fields(kind: type[T], body: object, where: str = "") -> T:
    """Return a dataclass of what `dataclasses.asdict` and JSON have made of it.

    Args:
        kind: The class.
        body: The fields by name; those that have a default may be missing.
        where: What it is part of, for errors.

    Raises:
        ValueError: A field is missing, unknown or of another type.
    """
    where = where or kind.__name__
    if not isinstance(body, Mapping):
        raise _misfit(where, "an object", body)
    readers, required = _fields(kind)  # type: ignore[arg-type]  # classes are hashable
    if unknown := body.keys() - readers.keys():
        raise ValueError(f"{where} has no field {', '.join(sorted(unknown))}")
    if missing := required - body.keys():
        raise ValueError(f"{where} lacks the field {', '.join(sorted(missing))}")
    return kind(**{name: readers[name](value, f"{where}.{name}") for name, value in body.items()})


@cache
def _fields(kind: type[Any]) -> tuple[dict[str, _Read], frozenset[str]]:
    """Return what reads each field of a class, and the names of those without a default."""
    hints = get_type_hints(kind)
    required = (
        each.name
        for each in fields(kind)
        if each.default is MISSING and each.default_factory is MISSING
    )
    return {each.name: _reader(hints[each.name]) for each in fields(kind)}, frozenset(required)


def _reader(hint: Any) -> _Read:
    """Return what reads values of a type, of those that messages have."""
    if is_dataclass(hint):
        return lambda value, where: decode_fields(hint, value, where)  # type: ignore[arg-type]
    origin, arguments = get_origin(hint), get_args(hint)
    if origin is tuple:  # of any length, which JSON has made a list of
        item = _reader(arguments[0])

        def read_tuple(value: Any, where: str) -> Any:
            if not isinstance(value, list | tuple):
                raise _misfit(where, "a list", value)
            return tuple(item(each, where) for each in value)

        return read_tuple
    if origin is UnionType:  # with None
        [inner] = (_reader(each) for each in arguments if each is not NoneType)
        return lambda value, where: None if value is None else inner(value, where)
    if origin is dict:  # by name
        item = _reader(arguments[1])

        def read_dict(value: Any, where: str) -> Any:
            if not isinstance(value, dict):
                raise _misfit(where, "an object", value)
            return {name: item(each, where) for name, each in value.items()}

        return read_dict

    def read_plain(value: Any, where: str) -> Any:
        if type(value) is hint:
            return value
        if hint is float and type(value) is int:
            return float(value)
        raise _misfit(where, hint.__name__, value)

    return read_plain


def _misfit(where: str, expected: str, value: Any) -> ValueError:
    return ValueError(f"{where} must be {expected}, not {value!r:.80}")
