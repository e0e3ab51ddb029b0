"""A server.properties as java.util.Properties reads it, case by case."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kafkaops.upgrade.install.properties import entries, settings


@pytest.mark.parametrize(
    ("data", "wanted"),
    [
        (b"a=1\nb=2", {"a": "1", "b": "2"}),
        (b"a=1\r\nb=2\rc=3\r\n", {"a": "1", "b": "2", "c": "3"}),
        # an empty value takes nothing of the next line
        (
            b"zookeeper.connect=\ninter.broker.protocol.version=3.8\n",
            {"zookeeper.connect": "", "inter.broker.protocol.version": "3.8"},
        ),
        (b"p=  \t\r\nlog.segment.bytes=1000\n", {"p": "", "log.segment.bytes": "1000"}),
        (b"p:\nq=1\n", {"p": "", "q": "1"}),
        (b"p\nq=1\n", {"p": "", "q": "1"}),
        # what parts a name from its value
        (b" a : 1 \n\tb 2\nc\t=\t3\nd==4\ne : = 5\n", dict(a="1", b="2", c="3", d="=4", e="= 5")),
        (b"a b=c\n", {"a": "b=c"}),
        (b"a\\:b\\ c\\=d=1\n", {"a:b c=d": "1"}),
        # comments, and what only looks like one
        (b"# a=1\n  ! b=2\n\n \t\nc=3 # no comment\n", {"c": "3 # no comment"}),
        (b"#a=1\\\nb=2\n", {"b": "2"}),
        (b"a#=1\na!b=2\n", {"a#": "1", "a!b": "2"}),
        # lines that go on
        (b"log.dirs=/a,\\\n  /b,\\\r\n\t/c\nd=1\n", {"log.dirs": "/a,/b,/c", "d": "1"}),
        (b"a=1\\\n# 2\nb=3\n", {"a": "1# 2", "b": "3"}),
        (b"na\\\n  me=1\n", {"name": "1"}),
        (b"a \\\n = 1\n", {"a": "1"}),
        (b"a=\\\n\nb=2\n", {"a": "", "b": "2"}),
        (b"a=C:\\\\\nb=2\n", {"a": "C:\\", "b": "2"}),
        (b"a=1\\", {"a": "1"}),
        (b"\\\n# c\na=1\n", {"a": "1"}),
        # escapes, bytes, and a setting that is there twice
        (b"a=x\\ty\\u00e9\\qz\n", {"a": "x\ty\u00e9qz"}),
        (b"a=\xe9\n", {"a": "\u00e9"}),
        (b"a=1\na=2\n", {"a": "2"}),
        (b"", {}),
        (b"\n \n#", {}),
    ],
)
def test_what_it_says(data: bytes, wanted: dict[str, str]) -> None:
    assert settings(data) == wanted


@given(st.binary(max_size=60))
def test_every_value_lies_where_it_says_and_after_the_one_before(data: bytes) -> None:
    at = 0
    for entry in entries(data):
        assert at <= entry.begin <= entry.end <= len(data)
        if b"\\" not in data[entry.begin : entry.end]:
            assert data[entry.begin : entry.end].decode("latin-1").strip() == entry.value
        at = entry.end


@given(st.binary(max_size=40).filter(lambda b: not b.endswith(b"\\")))
def test_a_line_of_its_own_is_read_whatever_stands_before_it(before: bytes) -> None:
    assert settings(before + b"\nx.y=1\nz=2")["x.y"] == "1"
