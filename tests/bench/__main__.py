"""Runs every bench module: `python -m tests.bench [--only NAME] [--out build/bench.json]`.

A module `bench_<noun>.py` has `figures() -> list[dict]`, each with name, value, unit, baseline and
ratio (value over baseline; both None where there is nothing to compare with).
"""

from __future__ import annotations

import argparse
import importlib
import json
import sys
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent


def main() -> int:
    parser = argparse.ArgumentParser(prog="make bench")
    parser.add_argument("--out", default="build/bench.json")
    parser.add_argument(
        "--only",
        default="",
        help="one noun: batches, help, health, placement, pause, roll, snapshot, verify, volume",
    )
    args = parser.parse_args()
    names = sorted(p.stem for p in HERE.glob("bench_*.py"))
    found: list[dict[str, Any]] = []
    for name in names:
        if args.only and name != f"bench_{args.only}":
            continue
        print(f"==> {name.removeprefix('bench_')}", file=sys.stderr, flush=True)
        found += importlib.import_module(f"tests.bench.{name}").figures()
    out = Path(args.out)
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_text(json.dumps(found, indent=2) + "\n")
    show(found)
    return 0


def show(found: list[dict[str, Any]]) -> None:
    width = max((len(f["name"]) for f in found), default=4)
    print(f"{'name':{width}}  {'value':>12} {'unit':10} {'baseline':>12} {'ratio':>7}")
    for f in found:
        base = "" if f["baseline"] is None else f"{f['baseline']:,.3f}"
        ratio = "" if f["ratio"] is None else f"{f['ratio']:.2f}"
        print(f"{f['name']:{width}}  {f['value']:>12,.3f} {f['unit']:10} {base:>12} {ratio:>7}")


if __name__ == "__main__":
    sys.exit(main())
