"""A placement as people read it: brokers by rack with a bar each, then what it costs."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from kafkaops.cli.output import Table, Text

if TYPE_CHECKING:
    from kafkaops.placement.planning.plan import BrokerLoad, Placement

_BAR = 20
_UNITS = ("B", "KiB", "MiB", "GiB", "TiB", "PiB")


def brokers(placement: Placement, *, after: bool, narrow: bool = False) -> Table:
    """A row a broker, by rack; with `after` both now and then. `narrow` is for 80 columns: now and
    then in one, and what becomes of a broker in the place of its bar."""
    sized = any(b.now.bytes or b.after.bytes for b in placement.brokers)
    top = max((b.after.replicas for b in placement.brokers), default=0)
    if narrow:
        return _narrow(placement, after, sized, top)
    columns = ["rack", "broker", *_heads("replicas", after), *_heads("leaders", after)]
    columns += _heads("bytes", after) if sized else []
    rows = []
    for b in _by_rack(placement):
        row: list[object] = [
            b.rack,
            b.id,
            *_both(b, "replicas", after),
            *_both(b, "leaders", after),
        ]
        row += [amount(int(str(v))) for v in _both(b, "bytes", after)] if sized else []
        rows.append([*row, _bar(b.after.replicas, top, _BAR), _state(b)])
    return Table([*columns, "share", "state"], rows, title="brokers")


def _narrow(placement: Placement, after: bool, sized: bool, top: int) -> Table:
    names = ["replicas", "leaders", *(["bytes"] if sized else [])]
    rows = []
    for b in _by_rack(placement):
        pairs = [[_short(n, v) for v in _both(b, n, after)] for n in names]
        changes = [" > ".join(dict.fromkeys(pair)) for pair in pairs]
        share = _state(b) or _bar(b.after.replicas, top, _BAR // 2)
        rows.append([b.rack, b.id, *changes, share])
    title = "brokers, now > after" if after else "brokers"
    return Table(["rack", "broker", *names, "share"], rows, title=title)


def _short(name: str, value: object) -> str:
    return amount(int(str(value))).replace("iB", "") if name == "bytes" else str(value)


def _by_rack(placement: Placement) -> list[BrokerLoad]:
    return sorted(placement.brokers, key=lambda b: (b.rack is None, b.rack or "", b.id))


def words(placement: Placement) -> Iterator[Text]:
    """What it costs, the least that it could, and what changes besides."""
    unit = placement.objective.value
    yield Text(
        f"{placement.replicas_moved} replicas moved"
        + (f" ({amount(placement.bytes_moved)})" if placement.bytes_moved else "")
        + f", {placement.leaders_changed} preferred leaders changed,"
        f" {len(placement.moves)} partitions changed"
        + (f", {len(placement.dir_moves)} replicas to another disk" if placement.dir_moves else "")
    )
    if placement.gap:
        yield Text(
            f"{unit}: {placement.cost}, at least {placement.bound} ({placement.proof}),"
            f" gap {placement.gap}"
        )
    else:
        yield Text(
            f"{unit}: {placement.cost}; fewer are impossible ({placement.proof},"
            f" bound {placement.bound}, gap 0)"
        )
    yield Text(violations(placement))
    for note in placement.notes:
        yield Text(f"note: {note}")


def violations(placement: Placement) -> str:
    """Partitions whose racks are uneven, before and after."""
    some = placement.after.some or placement.before.some
    return f"rack violations: {placement.before.count} now, {placement.after.count} after" + (
        f" ({', '.join(some)}{' ...' if placement.before.count > len(some) else ''})"
        if some
        else ""
    )


def amount(count: int) -> str:
    """Bytes with a unit that keeps the number short."""
    value, unit = float(count), 0
    while value >= 1024 and unit < len(_UNITS) - 1:
        value, unit = value / 1024, unit + 1
    return f"{value:.1f}{_UNITS[unit]}" if unit else f"{count}B"


def _heads(name: str, after: bool) -> list[str]:
    return [f"{name} now", f"{name} after"] if after else [name]


def _both(load: BrokerLoad, name: str, after: bool) -> list[object]:
    now, then = getattr(load.now, name), getattr(load.after, name)
    return [now, then] if after else [now]


def _bar(count: int, top: int, width: int) -> str:
    full = round(width * count / top) if top else 0
    return "#" * full + "." * (width - full)


def _state(load: BrokerLoad) -> str:
    if load.emptied:
        return "emptied"
    return "" if load.live else "not in the cluster"
