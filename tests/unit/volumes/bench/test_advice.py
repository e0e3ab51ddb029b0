"""What figures advise: gains beyond the noise, and nothing lost."""

from __future__ import annotations

import pytest

from kafkaops.model.disk_speed import LOADS, PLAIN, QUEUES, WAYS, Load, Sample, Way
from kafkaops.volumes.bench.advice import advise, cost, figures

WRITE, READ, RANDOM = LOADS
READ_FLAG, WRITE_FLAG, BOTH = WAYS[2:]


def samples(
    rates: dict[tuple[Load, Way], tuple[float, ...]], default: tuple[float, ...] = (100, 101, 99)
) -> dict[tuple[Load, Way], tuple[Sample, ...]]:
    return {
        (load, way): tuple(Sample(r, 0.001, 1.0) for r in rates.get((load, way), default))
        for load in LOADS
        for way in WAYS
    }


@pytest.mark.parametrize(
    ("rates", "flags"),
    [
        pytest.param({}, (), id="no difference"),
        pytest.param({(READ, READ_FLAG): (130, 131, 129)}, READ_FLAG.flags, id="one gains"),
        pytest.param({(READ, READ_FLAG): (104, 104, 104)}, (), id="4 % is nothing"),
        pytest.param({(READ, READ_FLAG): (80, 130, 170)}, (), id="less than the rounds differ"),
        pytest.param(
            {(READ, READ_FLAG): (130, 131, 129), (RANDOM, READ_FLAG): (80, 81, 79)},
            (),
            id="gains here, loses there",
        ),
        pytest.param(
            {
                (READ, READ_FLAG): (130, 131, 129),
                (READ, BOTH): (130, 131, 129),
                (WRITE, BOTH): (140, 141, 139),
            },
            BOTH.flags,
            id="the most of those that gain",
        ),
        pytest.param(
            {(WRITE, WRITE_FLAG): (150, 150, 150), (READ, BOTH): (120, 120, 120)},
            WRITE_FLAG.flags,
            id="the larger gain",
        ),
        pytest.param({(READ, PLAIN): (300, 300, 300)}, (), id="plain is no choice"),
    ],
)
def test_flags_that_gain_beyond_the_noise_and_lose_nowhere(
    rates: dict[tuple[Load, Way], tuple[float, ...]], flags: tuple[str, ...]
) -> None:
    assert advise(figures(samples(rates))).flags == flags


def test_rounds_that_differ_too_much_are_no_answer() -> None:
    noisy = advise(figures(samples({}, (50, 100, 150))))
    assert (noisy.flags, noisy.certain) == ((), False)
    assert "100%" in noisy.why
    assert advise(figures(samples({}))).certain


def test_medians_spread_and_what_encryption_costs() -> None:
    taken = samples({(READ, PLAIN): (200, 400, 210), (READ, QUEUES): (100, 105, 110)})
    found = {(f.load, f.way): f for f in figures(taken)}
    plain, encrypted = found[READ, PLAIN], found[READ, QUEUES]
    assert (plain.rate, encrypted.rate) == (210, 105)
    assert plain.spread == pytest.approx(200 / 210)
    assert encrypted.ratio == pytest.approx(0.5)
    assert dict(cost(list(found.values())))[READ] == pytest.approx(0.5)
    assert list(found) == [(load, way) for load in LOADS for way in WAYS]


def test_a_way_that_was_not_to_be_had_is_not_advised() -> None:
    taken = {k: v for k, v in samples({(READ, BOTH): (150, 150, 150)}).items() if k[1] != BOTH}
    assert advise(figures(taken)).flags == ()
