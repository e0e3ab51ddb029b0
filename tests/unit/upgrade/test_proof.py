"""The proof bundle: from facts, into JSON and one page; nothing claimed that was not measured."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from html.parser import HTMLParser
from typing import Any

import pytest

from kafkaops.upgrade import proof_groups
from kafkaops.upgrade.proof import (
    Bundle,
    PhaseTiming,
    StepTiming,
    moves_of,
    phases_of,
)
from kafkaops.upgrade.proof_page import report_html


def stamp(seconds: float, *, steady: float | None = None) -> dict[str, float]:
    return {"wall": 1000.0 + seconds, "monotonic": seconds if steady is None else steady}


FACTS: dict[str, Any] = {
    "ttl.before": {"kafka.test": 60},
    "forward.before": {"consuming": ["g"], "growing": ["t"]},
    "forward.time.fence.fired": stamp(10.0),
    "forward.time.fence.closed": stamp(11.6),
    "forward.time.stands-still": stamp(11.8),
    "forward.time.proven": stamp(12.1),
    "forward.time.committed": stamp(12.4),
    "forward.time.mirror.stopped": stamp(12.2),
    "forward.time.opened": stamp(12.5),
    "forward.time.clients.seen": stamp(14.5),
    "forward.fence": {"skew": 0.012, "hosts": {"blue-1": 11.5}},
    "forward.ends": {"t/0": [0, 42, 41], "t/1": [5, 10, 10], "a/b/0": [0, 0, 0]},
    "forward.proof": {
        "t/0": {
            "tp": "t-0",
            "records": 40,
            "digest": "ab12",
            "source_start": 0,
            "source_end": 41,
            "target_start": 0,
            "target_end": 40,
            "compacted": False,
        },
        "a/b/0": {
            "tp": "a/b-0",
            "records": 0,
            "digest": "00",
            "source_start": 0,
            "source_end": 0,
            "target_start": 0,
            "target_end": 0,
            "compacted": True,
        },
    },
    "forward.groups": [
        {
            "group": "<g>",
            "kind": "classic",
            "members": 2,
            "positions": [
                {
                    "topic": "t",
                    "partition": 0,
                    "committed": 30,
                    "target": 29,
                    "expired": 0,
                    "unread": 11,
                    "kept": 29,
                    "skipped": 0,
                    "repeated": 0,
                }
            ],
        },
        {
            "group": "stopped",
            "kind": "classic",
            "members": 0,
            "positions": [
                {
                    "topic": "t",
                    "partition": 0,
                    "committed": 1,
                    "target": 1,
                    "expired": 2,
                    "unread": 40,
                    "kept": 1,
                    "skipped": 0,
                    "repeated": 0,
                }
            ],
        },
    ],
    "forward.aborted": ["producer 7"],
    "forward.clients.seen": {
        "silent_topics": ["quiet"],
        "elected": ["t-0"],
        "consuming": ["g"],
        "growing": ["t"],
    },
}

STEPS = (
    StepTiming("ttl", "ttl", "lower the TTL", "done", 1000.0, 1001.0),
    StepTiming("fence", "cutover", "fence", "done", 1010.0, 1011.6),
    StepTiming("open", "cutover", "open", "done", 1012.4, 1012.5),
    StepTiming("bake", "bake", "bake", "todo"),
)


def bundle() -> Bundle:
    return Bundle(
        run="r1",
        operation="blue-green",
        cluster="orders",
        outcome="done",
        created=1000.0,
        who="op@host",
        reason="<script>alert(1)</script>",
        phases=phases_of(STEPS, {"ttl": "lower the TTL", "cutover": "fence, prove, open"}),
        steps=STEPS,
        moves=moves_of(FACTS, budget=20.0),
        accepted=("KO-RF1:scratch",),
    )


def test_phases_from_steps() -> None:
    assert phases_of(STEPS, {"ttl": "T"}) == (
        PhaseTiming("ttl", "T", 1000.0, 1001.0, True),
        PhaseTiming("cutover", "cutover", 1010.0, 1012.5, True),
    )


def test_a_phase_that_did_not_end_is_not_done() -> None:
    steps = [*STEPS[:2], replace(STEPS[2], state="intent", ended=None)]
    assert phases_of(steps, {})[1] == PhaseTiming("cutover", "cutover", 1010.0, 1012.4, False)


def test_the_pause_in_its_parts_adds_up() -> None:
    (move,) = moves_of(FACTS, budget=20.0)
    assert move.pause is not None
    parts = {p.name: round(p.seconds, 6) for p in move.pause.parts}
    assert parts == {"fence": 1.6, "drain": 0.2, "proof": 0.3, "commit": 0.3, "open": 0.1}
    assert round(sum(parts.values()), 6) == round(move.pause.total, 6) == 2.5
    assert move.pause.client_return == 2.0
    assert move.pause.skew == 0.012


def test_a_part_ends_with_the_slower_of_what_runs_side_by_side() -> None:
    (move,) = moves_of({**FACTS, "forward.time.mirror.stopped": stamp(12.45)}, budget=20.0)
    assert move.pause is not None
    parts = {p.name: round(p.seconds, 6) for p in move.pause.parts}
    assert (parts["commit"], parts["open"]) == (0.35, 0.05)


OUTAGE = {
    **{k: v for k, v in FACTS.items() if "fence" not in k},
    "forward.outage": {"expected": 78.0},
    "forward.time.hooks.stopping": stamp(9.0),
    "forward.time.hooks.stopped": stamp(10.0),
    "forward.time.hooks.started": stamp(14.0),
}


def test_an_outage_runs_from_the_first_stop_hook_to_the_last_start_hook() -> None:
    (move,) = moves_of(OUTAGE, budget=20.0)
    assert move.pause is not None
    assert (move.pause.kind, move.pause.total, move.pause.budget) == ("outage", 5.0, 78.0)
    parts = {p.name: round(p.seconds, 6) for p in move.pause.parts}
    assert list(parts) == ["hooks-stop", "still", "proof", "commit", "names", "hooks-start"]
    assert round(sum(parts.values()), 6) == 5.0
    assert move.pause.client_return == 0.5
    page = Page()
    page.feed(report_html(replace(bundle(), moves=(move,))))
    assert "5.00 s with about 78.00 s" not in page.text
    assert "5.00 s, about 1 min 18 s and the hooks' own time expected" in page.text


def test_each_part_has_a_colour_of_its_own() -> None:
    (move,) = moves_of(OUTAGE, budget=20.0)
    page = report_html(replace(bundle(), moves=(move,)))
    assert len(set(re.findall(r'class="key" style="background:(var[^"]+)"', page))) == 6


def test_a_column_in_which_no_row_says_anything_is_left_out() -> None:
    (move,) = moves_of(FACTS, budget=20.0)
    plain = replace(move, partitions=tuple(replace(p, compacted=False) for p in move.partitions))
    kept = replace(move, partitions=tuple(replace(p, compacted=True) for p in move.partitions))
    pages = [report_html(replace(bundle(), moves=(m,))) for m in (plain, kept)]
    assert ["latest per key" in page for page in pages] == [False, True]
    assert pages[1].count("<th") - pages[0].count("<th") == 1


def test_an_outage_that_has_not_ended_is_not_measured() -> None:
    for missing in ("forward.time.opened", "forward.time.hooks.started"):
        (move,) = moves_of({k: v for k, v in OUTAGE.items() if k != missing}, budget=20.0)
        assert move.pause is None


def test_a_clock_that_jumps_does_not_lengthen_the_pause() -> None:
    jumped = {**FACTS, "forward.time.opened": {"wall": 9999.0, "monotonic": 12.5}}
    (move,) = moves_of(jumped, budget=20.0)
    assert move.pause is not None
    assert round(move.pause.total, 6) == 2.5


def test_another_boot_is_timed_by_the_wall() -> None:
    rebooted = {**FACTS, "forward.time.opened": stamp(40.0, steady=3.0)}
    (move,) = moves_of(rebooted, budget=20.0)
    assert move.pause is not None
    assert move.pause.total == 30.0


def test_what_was_not_measured_is_absent() -> None:
    facts = {k: v for k, v in FACTS.items() if "time.opened" not in k and "clients" not in k}
    (move,) = moves_of(facts, budget=20.0)
    assert move.pause is None
    assert moves_of({"ttl.before": {}}, budget=20.0) == ()
    undone = {**FACTS, "forward.proof": None, "forward.ends": None}
    assert moves_of(undone, budget=20.0) == ()


def test_partitions_and_positions() -> None:
    (move,) = moves_of(FACTS, budget=20.0)
    assert [(p.topic, p.partition, p.fenced_stable) for p in move.partitions] == [
        ("a/b", 0, 0),
        ("t", 0, 41),
    ]
    assert (move.records, move.skipped, move.replayed) == (40, 0, 11)


def told(*rows: dict[str, Any], members: int = 1, unset: tuple[str, ...] = ()) -> dict[str, Any]:
    """The facts with one group of these rows instead of theirs."""
    base = {"topic": "t", "expired": 0, "committed": 30, "target": 29, "unread": 11}
    positions = [{**base, "partition": n, **row} for n, row in enumerate(rows)]
    group = {"group": "g", "members": members, "positions": positions, "unset": list(unset)}
    return {**FACTS, "forward.groups": [group]}


EVEN = {"kept": 29, "skipped": 0, "repeated": 0}
AHEAD = {"kept": 34, "skipped": 3, "repeated": 0}
SHORT = {"kept": 25, "skipped": 0, "repeated": 4}
BLANK = {"kept": None, "skipped": None, "repeated": None}


@pytest.mark.parametrize(
    ("facts", "skipped", "replayed", "unknown", "words"),
    [
        (told(EVEN, EVEN), 0, 22, [], "groups skipped 0, may see 22 again"),
        (told(EVEN, AHEAD), 3, 22, [], "groups skipped 3, may see 22 again"),
        (told(EVEN, SHORT), 0, 26, [], "groups skipped 0, may see 26 again"),
        (told(SHORT, members=0), 0, 4, [], "groups skipped 0, may see 4 again"),
        (told({}), None, None, ["g t-0"], "skipped -, may see - again; not among it, for it"),
        (told(EVEN, BLANK), None, None, ["g t-1"], "skipped 0, may see 11 again; not among it"),
        (
            told(AHEAD, unset=("a-b-7",)),
            *(None, None, ["g a-b-7"]),
            "groups skipped 3, may see 11 again; not among it, for it cannot be known: g a-b-7",
        ),
        ({**FACTS, "forward.groups": []}, 0, 0, [], "groups skipped 0, may see 0 again"),
        ({**FACTS, "forward.groups": None}, None, None, [], ""),
    ],
)
def test_what_groups_skip_and_see_again(
    facts: dict[str, Any],
    skipped: int | None,
    replayed: int | None,
    unknown: list[str],
    words: str,
) -> None:
    (move,) = moves_of(facts, budget=20.0)
    assert (move.skipped, move.replayed) == (skipped, replayed)
    assert list(proof_groups.unknown(move.positions)) == unknown
    assert words in proof_groups.words(move.positions)
    (shown,) = replace(bundle(), moves=(move,)).to_json()["moves"]
    totals = shown["totals"]
    assert (totals["skipped"], totals["replayed"]) == (skipped, replayed)
    assert totals["unknown"] == len(unknown)


def test_the_page_shows_a_dash_and_names_what_is_not_known() -> None:
    (move,) = moves_of(told(AHEAD, unset=("u-7",)), budget=20.0)
    page = report_html(replace(bundle(), moves=(move,)))
    assert "<b>-</b>skipped by groups" in page
    assert "<li>g u-7</li>" in page
    rows = re.findall(r"<tr><td>g</td><td>([^<]+)</td>((?:<td class=num>[^<]+</td>)+)", page)
    assert {name: re.findall(r">([^<>]+)</td>", cells) for name, cells in rows} == {
        "t-0": ["30", "34", "3", "11"],
        "u-7": ["-", "-", "-", "-"],
    }


def test_json_is_whole_and_counts() -> None:
    document = json.loads(json.dumps(bundle().to_json()))
    assert document["schema_version"] == 1
    assert document["moves"][0]["totals"] == {
        "partitions": 2,
        "records": 40,
        "groups": 2,
        "skipped": 0,
        "replayed": 11,
        "unknown": 0,
    }
    assert document["moves"][0]["pause"]["total"] == 2.5


class Page(HTMLParser):
    """Checks that tags close, and gathers text and what would be fetched."""

    VOID = ("meta", "br")

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.text = ""
        self.fetched: list[str] = []
        self.seen: set[str] = set()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.seen.add(tag)
        self.fetched += [str(v) for k, v in attrs if k in ("src", "href")]
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += data


def test_the_page_stands_alone_and_escapes() -> None:
    page = Page()
    page.feed(report_html(bundle()))
    assert page.open == []
    assert page.fetched == []
    assert "script" not in page.seen
    for words in (
        "<script>alert(1)</script>",
        "2.50 s of at most 20.00 s",
        "fence, prove, open",
        "t-0",
        "ab12",
        "<g>",
        "client return",
        "quiet",
        "KO-RF1:scratch",
        "producer 7",
        "leaders changed while clients arrived",
    ):
        assert words in page.text, words


def test_a_page_of_a_run_that_did_not_come_far() -> None:
    early = replace(bundle(), moves=(), phases=(), steps=(), outcome="failed")
    page = Page()
    page.feed(report_html(early))
    assert "failed" in page.text
    assert "Timeline" not in page.text
