"""`make demo`: the main job on real parts, under load, judged by the load's own ledger.

    python -m kafkaops.lab.demo [--rollback] [--keep] [--out build/demo]

Brings the lab up, starts four producers and three consumer groups, types the command that an
operator would type, and then lets the ledger say what was lost, skipped or duplicated, and whether
any group saw more again than kafkaops stated. Exits 0 only when the ledger agrees. A signal is
passed on to the command at hand, which is waited for, and the lab goes down all the same: 128 and
the signal's number is the exit code.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import sys
import time
from pathlib import Path
from typing import Any

from kafkaops.lab import child

ROOT = Path(__file__).resolve().parents[2]
PATIENCE = 90.0
"""Seconds for a command that was asked to stop: a cutover's pause goes back in less."""
RATE = 100
"""Records a second of each producer. Six brokers, two mirrors and eight clients share two
processors here; more of them would only make each step longer."""
SETTLE = 4.0
"""Seconds that the load runs before and after a move."""
ZERO = ("lost", "skipped", "duplicated_in_log")


class Failed(Exception):
    """A command of the demo ended badly; the message says which and how."""


def main() -> int:
    args = _arguments()
    out = Path(args.out).resolve()
    out.mkdir(parents=True, exist_ok=True)
    demo = Demo(out, Path(args.config).resolve())
    with child.asked():
        try:
            return carried(demo, rollback=args.rollback, keep=args.keep)
        except Failed as failed:
            print(f"\ndemo: {failed}", file=sys.stderr)
            return 1
        except child.Asked as stop:
            name = signal.Signals(stop.number).name
            print(f"\ndemo: stopped by {name}; {demo.goes_on(args.keep)}", file=sys.stderr)
            return 128 + stop.number


def carried(demo: Demo, *, rollback: bool, keep: bool) -> int:
    """The demo between its lab's up and down. A lab that did not come up by itself may be somebody
    else's; one that a signal cut short is ours."""
    ours = True
    try:
        try:
            demo.up()
        except Failed:
            ours = False
            raise
        return demo.run(rollback=rollback)
    finally:
        if ours and not keep:
            demo.down()


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="make demo", description=__doc__)
    parser.add_argument("--out", default="build/demo", help="where report.json goes")
    parser.add_argument("--config", default=str(ROOT / "configs" / "lab.yaml"))
    parser.add_argument("--rollback", action="store_true", help="move there, and back again")
    parser.add_argument("--keep", action="store_true", help="leave the lab up")
    return parser.parse_args()


class Demo:
    """The steps of the demo. `out` receives report.json and the tool's own proof."""

    def __init__(self, out: Path, config: Path) -> None:
        self.out, self.config = out, config
        self.began = time.monotonic()
        self.lab = ROOT / "build" / "lab"

    def up(self) -> None:
        self.say("a lab: two real clusters, DNS, a firewall a host, emulated AWS")
        state = ROOT / "build" / "state"
        if state.exists():
            state.rename(state.with_name(f"state.{int(time.time())}"))
        self.kafkaops("lab", "up", "--dir", str(self.lab))

    def goes_on(self, keep: bool) -> str:
        """What the operator can do after a signal: a lab that is down has taken its run along."""
        if not keep:
            return "the lab is down, and its run with it; anew: make demo"
        config = os.path.relpath(self.config)
        return (
            f"the lab is left up; go on: kafkaops run resume -c {config}   or end it:"
            f" kafkaops lab down --dir {os.path.relpath(self.lab)}"
        )

    def down(self) -> None:
        self.kafkaops("lab", "down", "--dir", str(self.lab))

    def run(self, *, rollback: bool) -> int:
        self.say("load: 4 producers, 3 groups (librdkafka, Java 4.3.1 and 3.9.2, kafka-python)")
        self.kafkaops("lab", "load", "start", "--dir", str(self.lab), "--rate", str(RATE))
        time.sleep(SETTLE)
        self.say("the main job: kafkaops upgrade --strategy blue-green")
        self.kafkaops(
            "upgrade",
            "-c",
            str(self.config),
            "--strategy",
            "blue-green",
            "--yes",
            "--reason",
            "demo",
        )
        time.sleep(SETTLE)
        if rollback:
            self.say("and back: kafkaops run rollback")
            self.kafkaops("run", "rollback", "-c", str(self.config), "--yes", "--reason", "demo")
            time.sleep(SETTLE)
        self.say("load stops: producers first, consumers drain")
        self.kafkaops("lab", "load", "stop", "--dir", str(self.lab))
        return self.judge("blue" if rollback else "green")

    def judge(self, cluster: str) -> int:
        self.say(f"the ledger against the log of {cluster}")
        ledger = json.loads(
            self.kafkaops(
                "lab",
                "load",
                "report",
                "--dir",
                str(self.lab),
                "--cluster",
                cluster,
                "-o",
                "json",
                capture=True,
            )
        )
        proof = json.loads(
            self.kafkaops("run", "report", "-c", str(self.config), "-o", "json", capture=True)
        )
        report = {
            "schema_version": 1,
            "seconds": round(time.monotonic() - self.began, 1),
            "final_cluster": cluster,
            "ledger": ledger,
            "proof": proof,
        }
        (self.out / "report.json").write_text(json.dumps(report, indent=2) + "\n")
        totals: dict[str, Any] = ledger["total"]
        told, more = replays(ledger, proof)
        bad = [*(f"{key} {totals[key]}" for key in ZERO if totals[key]), *more]
        self.say(", ".join(f"{k} {v}" for k, v in totals.items() if not isinstance(v, dict | list)))
        self.say(told)
        self.say(f"{self.out / 'report.json'} written")
        if bad:
            print(f"demo: NOT as promised: {', '.join(bad)}", file=sys.stderr)
            return 1
        back = f"kafkaops run rollback -c {os.path.relpath(self.config)}"
        way = "clients are back on blue" if cluster == "blue" else f"to go back: {back}"
        self.say(f"0 lost, 0 skipped, 0 duplicated; {way}")
        return 0

    def kafkaops(self, *argv: str, capture: bool = False) -> str:
        command = [sys.executable, "-m", "kafkaops", *argv]
        print(f"$ kafkaops {' '.join(argv)}", file=sys.stderr, flush=True)
        code, said = child.run(command, capture=capture, patience=PATIENCE)
        if code != 0:
            raise Failed(f"`kafkaops {' '.join(argv)}` ended with {code}")
        return said

    def say(self, words: str) -> None:
        gone = time.monotonic() - self.began
        print(f"\n==> [{gone:5.1f} s] {words}", file=sys.stderr, flush=True)


def replays(ledger: dict[str, Any], proof: dict[str, Any]) -> tuple[str, list[str]]:
    """What is said of records that groups saw again, and each group that saw more of them than was
    stated, which makes the statement false. One that saw less does not: the bound holds what a
    consumer had not been given yet. Without a figure for a group there is nothing to hold against.
    """
    stated: dict[str, int | None] = dict.fromkeys(ledger["groups"], 0)
    for move in proof["moves"]:
        for row in move["positions"]:
            sofar, figure = stated.get(row["group"], 0), row["replayed"]
            stated[row["group"]] = None if None in (sofar, figure) else sofar + figure
    counted = {name: int(group["replayed"]) for name, group in ledger["groups"].items()}
    silent = sorted(name for name, figure in stated.items() if figure is None)
    known = {name: figure for name, figure in stated.items() if figure is not None}
    more = [
        f"{name} saw {counted[name]} again, stated were {known[name]} at most"
        for name in sorted(known.keys() & counted.keys())
        if counted[name] > known[name]
    ]
    all_stated, all_counted = sum(known.values()), sum(counted.values())
    if more:
        verdict = f"MORE than stated: {'; '.join(more)}"
    elif silent:
        verdict = f"no figure was stated for {', '.join(silent)}, which read without a commit"
    elif all_counted < all_stated:
        verdict = f"{all_stated - all_counted} fewer: a bound holds what no consumer was given, too"
    else:
        verdict = "equal, group by group"
    words = f"replayed: kafkaops stated {all_stated} at most, the ledger counts {all_counted}"
    return f"{words}: {verdict}", more


if __name__ == "__main__":
    sys.exit(main())
