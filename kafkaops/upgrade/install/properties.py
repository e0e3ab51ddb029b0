"""A server.properties as Kafka reads it. Pure.

Form of the file: `java.util.Properties.load`: a comment begins with `#` or `!` and never goes on; a
name ends at the first `=`, `:` or blank that no backslash precedes; a line that ends in an odd
number of backslashes goes on in the next one, whose blanks at the front do not count; bytes are
ISO-8859-1. Of a setting that is there twice the last one holds. Kafka itself trims values.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

_ON = rb"\\(?:\r\n|\r|\n)[ \t\f]*"  # a line that goes on
_ESCAPED = rb"(?:" + _ON + rb"|\\[^\r\n]|\\\Z)"
_BLANKS = rb"(?:[ \t\f]|" + _ON + rb")*"
_ENTRY = re.compile(
    rb"(?:[ \t\f\r\n]|" + _ON + rb")*"
    rb"(?:[#!][^\r\n]*"
    rb"|(?P<name>(?:" + _ESCAPED + rb"|[^\\\r\n \t\f=:])*)"
    rb"(?P<apart>" + _BLANKS + rb"[=:]?" + _BLANKS + rb")"
    rb"(?P<value>(?:" + _ESCAPED + rb"|[^\\\r\n])*))"
)
_ESCAPE = re.compile(rb"(?s)" + _ON + rb"|\\u([0-9A-Fa-f]{4})|\\(.?)")
_CONTROLS = {b"t": "\t", b"n": "\n", b"r": "\r", b"f": "\f"}


@dataclass(frozen=True)
class Entry:
    """One setting. What the file says of its value, escapes and all, is its bytes from `begin` to
    `end`; blanks at the end of a line are not among them."""

    name: str
    value: str
    begin: int
    end: int


def entries(data: bytes) -> Iterator[Entry]:
    """Every setting, in the order of the file."""
    for found in _ENTRY.finditer(data):
        if found["name"] is None or not (found["name"] or found["apart"]):
            continue  # a comment, or the end
        begin = found.start("value")
        end = begin + len(found["value"].rstrip(b" \t\f"))
        yield Entry(_plain(found["name"]), _plain(found["value"]).strip(), begin, end)


def settings(data: bytes) -> dict[str, str]:
    """What holds, by name."""
    return {entry.name: entry.value for entry in entries(data)}


def _plain(raw: bytes) -> str:
    def one(found: re.Match[bytes]) -> str:
        if found[1] is not None:
            return chr(int(found[1], 16))
        letter = found[2] or b""
        return _CONTROLS.get(letter, letter.decode("latin-1"))

    at, parts = 0, []
    for found in _ESCAPE.finditer(raw):
        parts += [raw[at : found.start()].decode("latin-1"), one(found)]
        at = found.end()
    return "".join(parts) + raw[at:].decode("latin-1")
