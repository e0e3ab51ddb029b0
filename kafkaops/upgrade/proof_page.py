"""The proof bundle as one readable page: a timeline, the pause in its parts, every figure.

Pure. Invariant: the page stands alone (no script, no other file) and every text is escaped.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from html import escape

from kafkaops.upgrade import proof_groups
from kafkaops.upgrade.proof import ELECTED, Bundle, MoveProof, Pause, PhaseTiming

STYLE = """
:root { --ink:#1b1f24; --soft:#5b6570; --line:#d8dde3; --back:#fff; --panel:#f5f7f9;
  --ok:#1a7f37; --bad:#c62828; --warn:#9a6700;
  --c0:#3366b0; --c1:#7a4fb0; --c2:#1f8a80; --c3:#b0602a; --c4:#5c7f1f;
  --c5:#a8446b; }
@media (prefers-color-scheme: dark) { :root { --ink:#e6e9ed; --soft:#9aa5b1; --line:#343b43;
  --back:#14181c; --panel:#1d2329; --ok:#4cc26a; --bad:#ff7b72; --warn:#d9a53a; } }
* { box-sizing: border-box; }
body { margin: 0 auto; padding: 2rem 1.25rem 4rem; max-width: 78rem; color: var(--ink);
  background: var(--back); font: 15px/1.5 system-ui, sans-serif; }
h1 { font-size: 1.5rem; margin: 0 0 .25rem; } h2 { font-size: 1.15rem; margin: 2.5rem 0 .75rem; }
h3 { font-size: 1rem; margin: 1.5rem 0 .5rem; } .soft { color: var(--soft); }
.ok { color: var(--ok); } .bad { color: var(--bad); } .warn { color: var(--warn); }
.tiles { display: grid; grid-template-columns: repeat(auto-fill, minmax(9.5rem, 1fr));
  gap: .75rem; margin: 1.25rem 0; }
.tile { background: var(--panel); border: 1px solid var(--line); border-radius: 6px;
  padding: .6rem .9rem; } .tile b { display: block; font-size: 1.35rem; }
.scroll { overflow-x: auto; } table { border-collapse: collapse; width: 100%; }
th, td { text-align: left; padding: .3rem .6rem; border-bottom: 1px solid var(--line);
  white-space: nowrap; vertical-align: top; } th, td.text { white-space: normal; }
th { vertical-align: bottom; } td.num, th.num { text-align: right;
  font-variant-numeric: tabular-nums; } code { font-size: .9em; }
.rows { display: grid; grid-template-columns: minmax(10rem, 16rem) 1fr 6rem; gap: .3rem .75rem;
  align-items: center; } .track { position: relative; height: 1rem; background: var(--panel);
  border-radius: 3px; } .track i { position: absolute; top: 0; bottom: 0; min-width: 3px;
  background: var(--c0); border-radius: 3px; } .track i.cut { background: var(--bad); }
.track i.open { opacity: .45; } .num { text-align: right; }
.pause { display: flex; height: 2.2rem; border-radius: 4px; overflow: hidden; margin: .5rem 0; }
.pause i { min-width: 2px; } .key { display: inline-block; width: .8rem; height: .8rem;
  border-radius: 2px; margin-right: .4rem; }
details > summary { cursor: pointer; margin: .5rem 0; }
@media (max-width: 40rem) { body { padding: 1.25rem .75rem 3rem; }
  .rows { grid-template-columns: 1fr auto; grid-auto-flow: row dense; }
  .track { grid-column: 1 / -1; } }
@media print { :root { --ink:#000; --soft:#444; --line:#bbb; --back:#fff; --panel:#f2f2f2; }
  body { max-width: none; padding: 0; font-size: 10px; } .scroll { overflow: visible; }
  th, td { padding: .15rem .35rem; } tr, .tile, .pause { break-inside: avoid; }
  h2, h3 { break-after: avoid; } details::details-content { content-visibility: visible; }
  * { print-color-adjust: exact; -webkit-print-color-adjust: exact; } }
"""

DASH = "-"
"""Stands for a figure that is not known."""
FEW = 200
"""Tables longer than this are folded."""


def report_html(bundle: Bundle) -> str:
    """The whole page."""
    body = [
        _head(bundle),
        _tiles(bundle),
        _timeline(bundle.phases),
        *(_move(move) for move in bundle.moves),
        _steps(bundle),
        _list("Accepted by name", bundle.accepted),
        _list("Notes", bundle.notes),
    ]
    title = f"{bundle.cluster}: {bundle.operation} {bundle.run}"
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{escape(title)}</title>\n<style>{STYLE}</style>\n</head>\n<body>\n"
        + "\n".join(part for part in body if part)
        + "\n</body>\n</html>\n"
    )


def _head(bundle: Bundle) -> str:
    mood = "ok" if bundle.outcome == "done" else "warn"
    words = [f"run <code>{escape(bundle.run)}</code>", _when(bundle.created)]
    if bundle.who:
        words.append(f"by {escape(bundle.who)}")
    if bundle.reason:
        words.append(f"reason: {escape(bundle.reason)}")
    if bundle.fingerprint:
        words.append(f"snapshot <code>{escape(bundle.fingerprint[:12])}</code>")
    return (
        f"<header><h1>{escape(bundle.cluster)}: {escape(bundle.operation)}"
        f' <span class="{mood}">{escape(bundle.outcome)}</span></h1>'
        f'<div class="soft">{" · ".join(words)}</div></header>'
    )


def _tiles(bundle: Bundle) -> str:
    """A row of them a move."""
    rows = []
    for move in bundle.moves:
        tiles: list[tuple[str, str]] = []
        way = f" {move.source} to {move.target}" if len(bundle.moves) > 1 else ""
        if move.pause is not None:
            tiles.append((_seconds(move.pause.total), f"{move.pause.kind}{way}"))
        if move.partitions:
            tiles.append((f"{move.records:,}", f"records proven equal{way}"))
            tiles.append((f"{len(move.partitions):,}", f"partitions{way}"))
        if move.positions:
            tiles.append((_figure(move.skipped), f"skipped by groups{way}"))
            tiles.append((_figure(move.replayed), f"replayed by groups{way}"))
        cells = "".join(f'<div class="tile"><b>{v}</b>{escape(k)}</div>' for v, k in tiles)
        rows.append(f'<div class="tiles">{cells}</div>' if tiles else "")
    return "".join(rows)


def _timeline(phases: Sequence[PhaseTiming]) -> str:
    if not phases:
        return ""
    start = min(p.started for p in phases)
    whole = max(max(p.ended for p in phases) - start, 0.001)
    rows = []
    for phase in phases:
        left = 100 * (phase.started - start) / whole
        width = 100 * phase.seconds / whole
        kinds = " ".join(
            name for name, on in (("cut", phase.name == "cutover"), ("open", not phase.done)) if on
        )
        text = f"{phase.title}: {_seconds(phase.seconds)}, from {_when(phase.started)}"
        rows.append(
            f"<div>{escape(phase.title)}</div>"
            f'<div class="track" role="img" aria-label="{escape(text)}" title="{escape(text)}">'
            f'<i class="{kinds}" style="left:{min(left, 99.5):.3f}%;width:{width:.3f}%"></i></div>'
            f'<div class="num">{_seconds(phase.seconds)}</div>'
        )
    return (
        f"<section><h2>Timeline</h2><p class='soft'>{_when(start)} and {_seconds(whole)} from"
        f" there; the cutover in red.</p><div class='rows'>{''.join(rows)}</div></section>"
    )


def _move(move: MoveProof) -> str:
    parts = [f"<h2>Clients moved from {escape(move.source)} to {escape(move.target)}</h2>"]
    if move.pause is not None:
        parts.append(_pause(move.pause))
    if move.partitions:
        rows = [
            (
                f"{p.topic}-{p.partition}",
                p.records,
                f"{p.source_start:,} to {p.source_end:,}",
                f"{p.target_start:,} to {p.target_end:,}",
                p.fenced_high_watermark,
                p.fenced_stable,
                p.digest,
                "latest per key" if p.compacted else "",
            )
            for p in move.partitions
        ]
        heads = (
            "partition",
            "records",
            f"{move.source} offsets",
            f"{move.target} offsets",
            "fenced end",
            "fenced LSO",
            "digest, equal on both",
            "",
        )
        parts.append("<h3>Proven equal, record by record, in order</h3>")
        parts.append(_table(heads, rows))
    if move.positions:
        lines = [
            (
                p.group,
                f"{p.topic}-{p.partition}",
                *(DASH if f is None else f for f in (p.source, p.target, p.skipped, p.replayed)),
                p.note,
            )
            for p in move.positions
        ]
        titles = ("group", "partition", move.source, move.target, "skipped", "replayed", "")
        parts.append("<h3>Positions of consumer groups</h3>")
        parts.append(
            "<p class='soft'>Skipped and replayed in records. Skipped: what lies between the exact"
            " position and the one that the target showed after the commit. Replayed, at the most:"
            " what lay between the committed position and the end of the log at the fence.</p>"
        )
        parts.append(_table(titles, lines))
        parts.append(
            _list(f"Not among it, {proof_groups.UNKNOWN}", proof_groups.unknown(move.positions), 3)
        )
    parts.append(_list("Groups seen consuming before and after", move.consuming, 3))
    parts.append(_list("Topics seen growing before and after", move.growing, 3))
    parts.append(
        _list("Silent topics: nothing was written there to be seen", move.silent_topics, 3)
    )
    parts.append(_list("Transactions aborted at the fence", move.aborted, 3))
    parts.append(_list(f"Look here: {ELECTED}", move.elected, 3))
    return f"<section>{''.join(parts)}</section>"


def _pause(pause: Pause) -> str:
    whole = max(sum(p.seconds for p in pause.parts), 0.001)
    bars, rows = [], []
    for index, part in enumerate(pause.parts):
        colour = f"var(--c{index % 6})"
        share = 100 * part.seconds / whole
        label = escape(f"{part.name}: {_seconds(part.seconds)}")
        bars.append(f'<i style="width:{share:.3f}%;background:{colour}" title="{label}"></i>')
        rows.append(
            f'<tr><td><span class="key" style="background:{colour}"></span>{escape(part.name)}</td>'
            f'<td class="num">{_seconds(part.seconds)}</td>'
            f'<td class="text">{escape(part.text)}</td></tr>'
        )
    if pause.client_return is not None:
        rows.append(
            f"<tr><td>client return</td><td class='num'>{_seconds(pause.client_return)}</td>"
            f"<td class='text'>after the {pause.kind}: until every client was seen</td></tr>"
        )
    outage = pause.kind == "outage"
    mood = "ok" if outage or pause.total <= pause.budget else "bad"
    about = _seconds(pause.budget)
    bound = (
        f", about {about} and the hooks' own time expected" if outage else f" of at most {about}"
    )
    skew = f", hosts within {pause.skew * 1000:.0f} ms" if pause.skew is not None else ""
    return (
        f"<h3>The {pause.kind}: <span class='{mood}'>{_seconds(pause.total)}</span>"
        f"{bound}{skew}</h3>"
        f'<div class="pause" role="img" aria-label="the {pause.kind} in its parts">'
        f"{''.join(bars)}</div>"
        f'<div class="scroll"><table><tbody>{"".join(rows)}</tbody></table></div>'
    )


def _steps(bundle: Bundle) -> str:
    rows = [
        (
            s.phase,
            s.title,
            s.state,
            _when(s.started) if s.started is not None else "",
            _seconds(s.ended - s.started) if s.started is not None and s.ended is not None else "",
        )
        for s in bundle.steps
    ]
    if not rows:
        return ""
    table = _table(("phase", "step", "state", "begun", "took"), rows)
    return f"<section><h2>Steps</h2>{table}</section>"


def _table(heads: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    """Columns where no row says anything are left out."""
    said = [i for i in range(len(heads)) if any(row[i] not in ("", None) for row in rows)]
    heads, rows = [heads[i] for i in said], [[row[i] for i in said] for row in rows]
    numeric = [
        all(isinstance(row[i], int) or row[i] == DASH for row in rows) for i in range(len(heads))
    ]
    head = "".join(
        f"<th{' class=num' if number else ''}>{escape(text)}</th>"
        for text, number in zip(heads, numeric, strict=True)
    )
    body = "".join(
        "<tr>"
        + "".join(
            f"<td class=num>{_figure(value)}</td>" if number else f"<td>{escape(_text(value))}</td>"
            for value, number in zip(row, numeric, strict=True)
        )
        + "</tr>"
        for row in rows
    )
    table = (
        f'<div class="scroll"><table><thead><tr>{head}</tr></thead><tbody>{body}</tbody>'
        "</table></div>"
    )
    if len(rows) > FEW:
        return f"<details><summary>{len(rows):,} rows</summary>{table}</details>"
    return table


def _list(title: str, items: Iterable[str], level: int = 2) -> str:
    lines = "".join(f"<li>{escape(item)}</li>" for item in items)
    return f"<h{level}>{escape(title)}</h{level}><ul>{lines}</ul>" if lines else ""


def _text(value: object) -> str:
    return "" if value is None else str(value)


def _figure(value: object) -> str:
    return f"{value:,}" if isinstance(value, int) else DASH


def _seconds(seconds: float) -> str:
    if seconds < 60:
        return f"{seconds:.2f} s"
    if seconds < 3600:
        return f"{int(seconds // 60)} min {int(seconds % 60):02} s"
    return f"{int(seconds // 3600)} h {int(seconds % 3600 // 60):02} min"


def _when(epoch: float) -> str:
    return f"{datetime.fromtimestamp(epoch, UTC):%Y-%m-%d %H:%M:%S} UTC"
