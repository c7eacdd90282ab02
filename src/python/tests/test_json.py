"""What may be asked for, and its canonical form."""

from __future__ import annotations

import hashlib
import json
import math
import random
import struct
from pathlib import Path
from typing import Any

import pytest

from countersign import InexactError, UsageError
from countersign._json import canonical, number, parse, payload_hash

# RFC 8785, appendix B: the bits of a double, and its text.
VECTORS = [
    ("0000000000000000", "0"), ("8000000000000000", "0"), ("0000000000000001", "5e-324"), ("8000000000000001", "-5e-324"),
    ("7fefffffffffffff", "1.7976931348623157e+308"), ("ffefffffffffffff", "-1.7976931348623157e+308"),
    ("4340000000000000", "9007199254740992"), ("c340000000000000", "-9007199254740992"),
    ("4430000000000000", "295147905179352830000"), ("44b52d02c7e14af5", "9.999999999999997e+22"),
    ("44b52d02c7e14af6", "1e+23"), ("44b52d02c7e14af7", "1.0000000000000001e+23"), ("444b1ae4d6e2ef4e", "999999999999999700000"),
    ("444b1ae4d6e2ef4f", "999999999999999900000"), ("444b1ae4d6e2ef50", "1e+21"), ("3eb0c6f7a0b5ed8c", "9.999999999999997e-7"),
    ("3eb0c6f7a0b5ed8d", "0.000001"), ("41b3de4355555553", "333333333.3333332"), ("41b3de4355555554", "333333333.33333325"),
    ("41b3de4355555555", "333333333.3333333"), ("41b3de4355555556", "333333333.3333334"), ("41b3de4355555557", "333333333.33333343"),
    ("becbf647612f3696", "-0.0000033333333333333333"), ("43143ff3c1cb0959", "1424953923781206.2"),
]  # fmt: skip


class Text(str):
    pass


class Lying(dict[str, Any]):
    def items(self) -> Any:
        return {}.items()


def nested(levels: int) -> Any:
    value: Any = 1
    for _ in range(levels):
        value = [value]
    return value


def endless() -> Any:
    value: list[Any] = []
    value.append(value)
    return value


@pytest.mark.parametrize(("bits", "text"), VECTORS)
def test_numbers_are_written_as_the_rfc_says(bits: str, text: str) -> None:
    assert number(struct.unpack(">d", bytes.fromhex(bits))[0]) == text


def test_numbers_are_read_back_as_they_were() -> None:
    source = random.Random(8785)
    for _ in range(20_000):
        (value,) = struct.unpack(">d", source.randbytes(8))
        if math.isfinite(value):
            again = parse(canonical([value]), doubles=True)[0]
            assert again == value and type(again) in (int, float)


def test_members_are_sorted_by_utf_16() -> None:
    names = ["\u20ac", "\r", "\ufb33", "1", "\U0001f600", "\u0080", "\u00f6"]
    assert list(json.loads(canonical(dict.fromkeys(names)))) == ["\r", "1", "\u0080", "\u00f6", "\u20ac", "\U0001f600", "\ufb33"]


def test_texts_have_the_shortest_escapes() -> None:
    assert canonical("\x00\x1f\x7f\b\t\n\f\r\"\\/é\u2028") == '"\\u0000\\u001f\x7f\\b\\t\\n\\f\\r\\"\\\\/é\u2028"'


@pytest.mark.parametrize("value", [2**53, -(2**53), 1e300, 0.1, True, None, "é\0", {"a": [{}]}, nested(100)])
def test_what_json_says_exactly_is_taken(value: Any) -> None:
    assert parse(canonical(value), doubles=True) == value


@pytest.mark.parametrize(
    "value",
    [2**53 + 1, -(2**53) - 1, 10**400, math.nan, math.inf, -math.inf, (1,), {1}, b"x", bytearray(b"x"), {1: 2}, {None: 1},
     {True: 1}, {b"a": 1}, Text("x"), {Text("x"): 1}, Lying(a=1), object(), "\ud800", {"\ud800": 1}, nested(128),
     nested(100_000), endless(), 1j, range(3)],
    ids=lambda value: type(value).__name__,
)  # fmt: skip
def test_what_json_cannot_say_exactly_is_refused(value: Any) -> None:
    for inside in (value, [value], {"a": {"b": [value]}}):
        with pytest.raises(InexactError, match="no exact JSON"):
            canonical(inside)
    assert issubclass(InexactError, UsageError) and issubclass(UsageError, ValueError)


@pytest.mark.parametrize(
    "text",
    ['{"a":1,"a":1}', '{"a":1,"\\u0061":2}', "NaN", "[Infinity]", "-Infinity", "1e999", "-1e999", "1" * 400, "", "{}x", "{} {}",
     b"\xff", b"\xef\xbb\xbf{}", "[" * 100_000],
    ids=lambda text: str(text)[:12],
)  # fmt: skip
def test_a_text_with_two_readings_is_not_read(text: Any) -> None:
    with pytest.raises((ValueError, RecursionError)):
        parse(text)


def test_an_integer_that_stands_for_a_double_is_that_double() -> None:
    text = canonical([123456789012345680000.0])
    value = parse(text, doubles=True)[0]
    assert type(value) is float and value == 123456789012345680000.0
    with pytest.raises(ValueError, match="beyond"):
        parse(text)


def test_hashes_are_those_that_passkeys_signed() -> None:
    receipts = Path(__file__).parents[3] / "fixtures" / "receipts"
    for name, action in [("good-payload", "unused"), ("good-action-payload", "Deploy")]:
        entry = json.loads((receipts / f"{name}.json").read_text())["entry"]
        payload = receipts / f"{name}.payload"
        value = parse(payload.read_bytes()) if payload.exists() else {"x": 1}
        assert payload_hash(entry["payloadEncoding"], action, canonical(value)) == entry["payloadHash"]
    assert payload_hash("raw-payload", "", "{}") is None and payload_hash(None, "", "{}") is None
    assert payload_hash("jcs-payload", "", "{}") == hashlib.sha256(b"{}").hexdigest()
