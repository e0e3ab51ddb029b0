"""Rates and sizes with their units."""

from __future__ import annotations

import pytest

from kafkaops.engine.errors import UsageFault
from kafkaops.placement.applying import rates


@pytest.mark.parametrize(
    ("text", "count"),
    [
        ("80MiB/s", 80 << 20),
        ("80MB/s", 80_000_000),
        ("1.5 GiB/s", 3 << 29),
        ("512B/s", 512),
        ("10kB/s", 10_000),
    ],
)
def test_a_rate_has_its_unit(text: str, count: int) -> None:
    assert rates.rate(text) == count


@pytest.mark.parametrize("text", ["80", "80MiB", "80 mib/s", "-1MiB/s", "0MiB/s", "MiB/s", "80M/s"])
def test_anything_else_is_refused(text: str) -> None:
    with pytest.raises(UsageFault, match="not a rate with its unit"):
        rates.rate(text)


def test_a_size_has_one_too() -> None:
    assert rates.size("10GiB") == 10 << 30
    assert rates.size("0B") == 0
    with pytest.raises(UsageFault, match="not a size"):
        rates.size("10GiB/s")


def test_for_people() -> None:
    assert rates.words(80 << 20, per_second=True) == "80 MiB/s"
    assert rates.words(1536) == "1.5 KiB"
    assert rates.words(0) == "0 B"
    assert [rates.lasting(s) for s in (45, 600, 12_000)] == ["45 s", "10 min", "3 h 20 min"]
