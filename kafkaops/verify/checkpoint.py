"""A comparison on disk: one file, replaced whole, from which a new process goes on.

Pending records are not kept: positions are saved as far as everything is compared, and what was
pending is read again.

Invariant: the file is either the old state or the new one; a damaged file is refused, never
read as empty.
"""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Iterable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from kafkaops.engine.errors import ConfigError
from kafkaops.engine.files import Files, OsFiles
from kafkaops.model.partition import TopicPartition
from kafkaops.ports.verification import Difference
from kafkaops.verify.alignment import Segment
from kafkaops.verify.compacted import Compacted
from kafkaops.verify.offset_map import OffsetMap
from kafkaops.verify.sequence import Sequence
from kafkaops.verify.side import SOURCE, TARGET

NAME = "comparison.npz"
VERSION = 1

Part = Sequence | Compacted


def freeze(part: Part) -> tuple[dict[str, Any], dict[str, Any]]:
    """One partition as a JSON value and arrays; its lock must be held."""
    source, target = part.sides
    common = {
        "topic": part.tp.topic,
        "partition": part.tp.partition,
        "starts": [source.start, target.start],
        "positions": [source.compared, target.compared],
        "stable": [source.stable, target.stable],
        "stopped": part.stopped,
        "gaps": [_difference_out(d) for d in part.gaps],
    }
    if isinstance(part, Compacted):
        arrays = {
            f"{side}.{name}": column
            for side in (SOURCE, TARGET)
            for name, column in zip(
                ("keys", "values", "places"), part.latest[side].sorted(), strict=True
            )
        }
        return common | {"compacted": True, "seen": list(part.seen)}, arrays
    more = {
        "compacted": False,
        "anchored": part.anchored,
        "exact": part.exact,
        "records": part.records,
        "digest": int(part.digest),
        "segments": [asdict(s) for s in part.segments],
    }
    return common | more, {
        **part.map.arrays(),
        "digests": np.array(part.blocks, np.uint64).reshape(-1, 2),
    }


def thaw(state: dict[str, Any], arrays: dict[str, Any]) -> Part:
    """The inverse of `freeze`."""
    tp = TopicPartition(state["topic"], state["partition"])
    part: Part = (Compacted if state["compacted"] else Sequence)(tp, *state["starts"])
    for side, position, stable in zip(part.sides, state["positions"], state["stable"], strict=True):
        side.position, side.stable = position, stable
    part.stopped = state["stopped"]
    part.gaps = tuple(_difference_in(d) for d in state["gaps"])
    if isinstance(part, Compacted):
        part.seen = list(state["seen"])
        for index in (SOURCE, TARGET):
            columns = (arrays[f"{index}.{name}"] for name in ("keys", "values", "places"))
            part.latest[index].restore(*columns)
        return part
    part.anchored, part.exact = state["anchored"], state["exact"]
    part.records, part.digest = state["records"], np.uint64(state["digest"])
    part.segments = [
        Segment(
            tuple((o, h) for o, h in s["source"]),
            tuple((o, h) for o, h in s["target"]),
            s["source_next"],
            s["target_next"],
        )
        for s in state["segments"]
    ]
    part.map = OffsetMap.of(arrays)
    part.blocks = [(int(o), int(d)) for o, d in arrays["digests"].tolist()]
    return part


def save(
    directory: Path,
    frozen: Iterable[tuple[dict[str, Any], dict[str, Any]]],
    files: Files | None = None,
) -> None:
    """Write all partitions (each as `freeze` gave it). OpsError for a full disk."""
    states: list[dict[str, Any]] = []
    columns: dict[str, Any] = {}
    for index, (state, arrays) in enumerate(frozen):
        states.append(state)
        columns |= {f"{index}.{name}": array for name, array in arrays.items()}
    head = json.dumps({"version": VERSION, "partitions": states}).encode()
    out = io.BytesIO()
    np.savez(out, head=np.frombuffer(head, np.uint8), **columns)
    (files or OsFiles()).create(directory / NAME, out.getvalue())


def load(directory: Path, files: Files | None = None) -> list[Part] | None:
    """The partitions of the last checkpoint; None where there is none. ConfigError
    KO-VERIFY-CHECKPOINT for a file that is damaged or of another version."""
    path = directory / NAME
    content = (files or OsFiles()).read(path)
    if content is None:
        return None
    try:
        with np.load(io.BytesIO(content), allow_pickle=False) as stored:
            columns = {name: stored[name] for name in stored.files}
        head = json.loads(columns.pop("head").tobytes())
        if head["version"] != VERSION:
            raise ValueError(f"version {head['version']}, expected {VERSION}")
        by_part: dict[int, dict[str, Any]] = {}
        for name, column in columns.items():
            index, _, rest = name.partition(".")
            by_part.setdefault(int(index), {})[rest] = column
        return [thaw(s, by_part.get(i, {})) for i, s in enumerate(head["partitions"])]
    except (ValueError, KeyError, TypeError, OSError, zipfile.BadZipFile) as error:
        raise ConfigError(
            "KO-VERIFY-CHECKPOINT",
            f"the comparison's checkpoint cannot be read: {error}",
            where=str(path),
            hint="move the file away and the comparison begins anew",
        ) from error


def _difference_out(difference: Difference) -> list[Any]:
    tp = difference.tp
    return [
        tp.topic,
        tp.partition,
        difference.kind,
        difference.source_offset,
        difference.target_offset,
        difference.detail,
    ]


def _difference_in(row: list[Any]) -> Difference:
    topic, partition, *rest = row
    return Difference(TopicPartition(topic, partition), *rest)
