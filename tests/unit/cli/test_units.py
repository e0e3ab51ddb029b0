"""Values with units: what they are worth, and what is refused."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from kafkaops.cli import units
from kafkaops.engine.errors import UsageFault


@pytest.mark.parametrize(
    ("read", "text", "worth"),
    [
        (units.rate, "80MiB/s", 80 * 2**20),
        (units.rate, "346.9MB/s", 346_900_000),
        (units.rate, "1Gbit/s", 125_000_000),
        (units.rate, " 2 gib/s ", 2 * 2**30),
        (units.size, "2TiB", 2 * 2**40),
        (units.size, "500GB", 500 * 10**9),
        (units.size, ".5kib", 512),
        (units.span, "7d", 604_800),
        (units.span, "12h", 43_200),
        (units.span, "90min", 5400),
        (units.span, "1.5m", 90),
    ],
)
def test_a_value_with_its_unit(read: Callable[..., float], text: str, worth: float) -> None:
    assert read(text, "--flag") == pytest.approx(worth)


@pytest.mark.parametrize(
    ("read", "text"),
    [
        (units.rate, "80"),
        (units.rate, "80MiB"),
        (units.rate, "80Mb/s"),
        (units.rate, "fast"),
        (units.rate, "-1MB/s"),
        (units.rate, "0MB/s"),
        (units.rate, "7d"),
        (units.size, "2TiB/s"),
        (units.size, "2Gbit"),
        (units.size, "nanTiB"),
        (units.span, "7"),
        (units.span, "7 years"),
        (units.span, "7d/s"),
    ],
)
def test_what_is_not_clear_is_refused_by_flag(read: Callable[..., float], text: str) -> None:
    with pytest.raises(UsageFault) as refused:
        read(text, "--flag")
    assert (refused.value.code, refused.value.where) == ("KO-UNIT", "--flag")
    assert text in refused.value.message


def test_for_people() -> None:
    assert units.of_rate(83_886_080) == "83.9 MB/s"
    assert units.of_rate(375e6) == "375 MB/s"
    assert units.of_rate(float("inf")) == "any MB/s"
    assert units.of_size(1.5 * 2**40) == "1.5 TiB"
    assert units.of_size(900 * 2**30) == "900 GiB"
    assert units.of_size(12) == "12 B"
    assert units.of_span(7810) == "2 h 10 min"
    assert units.of_span(0.2) == "under 1 s"
    assert units.of_share(0.1256) == "12.6 %"
    assert [units.of_rate(None), units.of_size(None), units.of_span(None)] == ["-"] * 3
