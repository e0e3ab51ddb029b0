"""Consent: what each tier takes, and that nothing is asked where nobody can answer."""

from __future__ import annotations

import pytest

from kafkaops.cli import session
from kafkaops.cli.consent import Tier, require, tier_of
from kafkaops.cli.terminal import Terminal
from kafkaops.engine.errors import Exit, OpsError
from tests.unit.cli.fake_terminal import Seated, Tty


def agree(
    tier: Tier, *, yes: bool = False, confirm: str | None = None, seat: Terminal | None = None
) -> int:
    session.begin([], Seated(seat or Terminal()))
    try:
        require(tier, "move the clients", name="orders", yes=yes, confirm=confirm)
    except OpsError as error:
        return int(error.exit)
    return 0


def test_without_a_terminal_the_missing_flag_is_named() -> None:
    session.begin([], Seated())
    for tier, flag in ((Tier.DISRUPTIVE, "--yes"), (Tier.SEVERE, "--confirm orders")):
        with pytest.raises(OpsError) as caught:
            require(tier, "move the clients", name="orders", yes=False, confirm=None)
        assert flag in caught.value.hint
        assert caught.value.exit is Exit.USAGE


def test_reads_need_nothing() -> None:
    assert agree(Tier.READ) == 0


def test_yes_is_enough_for_the_disruptive_and_never_for_the_severe() -> None:
    assert agree(Tier.DISRUPTIVE, yes=True) == 0
    assert agree(Tier.SEVERE, yes=True) == Exit.USAGE


def test_the_right_name_satisfies_both_and_a_wrong_one_neither() -> None:
    assert agree(Tier.SEVERE, confirm="orders") == 0
    assert agree(Tier.DISRUPTIVE, confirm="orders") == 0
    assert agree(Tier.SEVERE, confirm="order") == Exit.USAGE
    assert agree(Tier.DISRUPTIVE, yes=True, confirm="order") == Exit.USAGE


@pytest.mark.parametrize(
    ("tier", "answer", "code"),
    [
        (Tier.DISRUPTIVE, "y\n", 0),
        (Tier.DISRUPTIVE, "YES\n", 0),
        (Tier.DISRUPTIVE, "\n", Exit.DECLINED),
        (Tier.DISRUPTIVE, "n\n", Exit.DECLINED),
        (Tier.DISRUPTIVE, "", Exit.DECLINED),
        (Tier.SEVERE, "orders\n", 0),
        (Tier.SEVERE, "y\n", Exit.DECLINED),
    ],
)
def test_at_a_terminal(
    capsys: pytest.CaptureFixture[str], tier: Tier, answer: str, code: int
) -> None:
    shown = Tty()
    assert agree(tier, seat=Terminal(Tty(answer), shown)) == code
    assert capsys.readouterr().out == ""
    assert "move the clients" in shown.getvalue()


def test_tiers() -> None:
    assert tier_of(changes=False, severe=True, protected=True) is Tier.READ
    assert tier_of(changes=True) is Tier.DISRUPTIVE
    assert tier_of(changes=True, protected=True) is Tier.SEVERE
