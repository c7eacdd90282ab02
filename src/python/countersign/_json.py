"""JSON that means one thing: what may be asked for, its canonical form (RFC 8785), and a reader that repairs nothing.

The program reads numbers as doubles, as every reader of JSON may (RFC 7493). What Python could say and JSON could not,
or not exactly, is refused here, before anybody is asked.
"""

from __future__ import annotations

import hashlib
import json
import math
from typing import Any, NoReturn

from .errors import InexactError

MAX_DEPTH = 127
"""Nesting of a payload: the limit of the program's parser."""

MAX_INTEGER = 2**53
"""Beyond it, two readers can take one integer for two numbers."""


def canonical(value: object) -> str:
    """The canonical JSON of a value that JSON can say exactly.

    Raises `InexactError` for any other: a tuple would become a list, a key 1 the text "1", an instance of a subclass
    may mean more than it says.
    """
    try:
        out: list[str] = []
        _write(value, MAX_DEPTH, out)
        return "".join(out)
    except (TypeError, ValueError) as error:
        raise InexactError(f"the arguments have no exact JSON: {error}") from error


def _write(value: object, levels: int, out: list[str]) -> None:
    # Exact types everywhere: a subclass can lie about its items, its length and its text.
    if value is None or value is True or value is False:
        out.append({None: "null", True: "true", False: "false"}[value])
    elif type(value) is str:
        out.append(_text(value))
    elif type(value) is int:
        if abs(value) > MAX_INTEGER:
            raise ValueError("an integer beyond 2**53; write it as text")
        out.append(str(value))
    elif type(value) is float:
        out.append(number(value))
    elif type(value) is list or type(value) is dict:
        if levels == 0:
            raise ValueError(f"nested deeper than {MAX_DEPTH} levels")
        (_write_list if type(value) is list else _write_object)(value, levels - 1, out)
    else:
        raise TypeError(f"{type(value).__name__} is no type of JSON")


def _write_list(items: Any, levels: int, out: list[str]) -> None:
    out.append("[")
    for place, item in enumerate(items):
        if place:
            out.append(",")
        _write(item, levels, out)
    out.append("]")


def _write_object(members: Any, levels: int, out: list[str]) -> None:
    for name in members:
        if type(name) is not str:
            raise TypeError(f"the member name {name!r} is no text")
    out.append("{")
    # RFC 8785 sorts by UTF-16 code units. Encoding refuses lone surrogates.
    for place, name in enumerate(sorted(members, key=lambda name: name.encode("utf-16-be"))):
        out.append("," if place else "")
        out.append(_text(name))
        out.append(":")
        _write(members[name], levels, out)
    out.append("}")


def _text(text: str) -> str:
    text.encode("utf-8")  # lone surrogates
    return json.dumps(text, ensure_ascii=False)


def number(value: float) -> str:
    """A double as ECMAScript writes it (RFC 8785 section 3.2.2.3). Python's digits are the same shortest ones."""
    if not math.isfinite(value):
        raise ValueError(f"{value} is no number of JSON")
    if value == 0:
        return "0"
    sign = "-" if value < 0 else ""
    mantissa, _, exponent = repr(abs(value)).partition("e")
    whole, _, fraction = mantissa.partition(".")
    digits = (whole + fraction).lstrip("0")
    # The value is 0.DIGITS times ten to the power of `point`.
    point = len(whole) + int(exponent or 0) - (len(whole + fraction) - len(digits))
    digits = digits.rstrip("0")
    if len(digits) <= point <= 21:
        return sign + digits + "0" * (point - len(digits))
    if 0 < point <= 21:
        return f"{sign}{digits[:point]}.{digits[point:]}"
    if -6 < point <= 0:
        return f"{sign}0.{'0' * -point}{digits}"
    rest = f".{digits[1:]}" if len(digits) > 1 else ""
    return f"{sign}{digits[0]}{rest}e{point - 1:+d}"


def parse(text: bytes | str, *, doubles: bool = False) -> Any:
    """One JSON value, strictly: no repeated member names, no `NaN`, no number that is not finite, and no integer beyond
    `MAX_INTEGER`. With `doubles` such an integer is the double that it stands for: canonical JSON writes 1e17 like one.

    Raises `ValueError`, or `RecursionError` for what is nested too deep.
    """
    if isinstance(text, bytes):
        text = text.decode("utf-8")
    return json.loads(
        text, object_pairs_hook=_members, parse_constant=_refuse, parse_float=_finite,
        parse_int=_integer_or_double if doubles else _integer,
    )  # fmt: skip


def _members(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) != len(pairs):
        raise ValueError("a member name is repeated")
    return members


def _refuse(word: str) -> NoReturn:
    raise ValueError(f"{word} is no number of JSON")


def _finite(digits: str) -> float:
    value = float(digits)
    return value if math.isfinite(value) else _refuse(digits)


def _integer(digits: str) -> int:
    if not _is_exact(digits):
        raise ValueError("an integer beyond 2**53; write it as text")
    return int(digits)


def _integer_or_double(digits: str) -> int | float:
    return int(digits) if _is_exact(digits) else _finite(digits)


def _is_exact(digits: str) -> bool:
    return len(digits) <= 17 and abs(int(digits)) <= MAX_INTEGER


def payload_hash(encoding: object, action: str, payload: str) -> str | None:
    """The hash that a passkey signs, from the canonical payload; `None` for an encoding that a gate never accepts."""
    if encoding == "jcs-payload":
        signed = payload
    elif encoding == "jcs-action-payload":
        signed = f'{{"action":{canonical(action)},"payload":{payload}}}'
    else:
        return None
    return hashlib.sha256(signed.encode("utf-8")).hexdigest()
