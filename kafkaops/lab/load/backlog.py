"""What the groups still have to read before a load may end."""

from __future__ import annotations

from kafkaops.lab.load.ledger import Ledger


class Backlog:
    """What was acknowledged and is not yet received, by group. Looks at each line once, for
    ledgers that only grow; the producers have ended."""

    def __init__(self) -> None:
        self.missing: dict[str, set[tuple[str, int]]] = {}
        self._seen: dict[str, int] = {}

    def update(self, written: Ledger) -> bool:
        """Take in what is new; whether anything was."""
        for group in written.groups():
            if group not in self.missing:
                topics = {t for m in written.members(group) for t in m.topics}
                self.missing[group] = {
                    (p.name, a.seq) for p in written.producers for a in p.acks if a.topic in topics
                }
        news = False
        for member in written.consumers:
            fresh = member.deliveries[self._seen.get(member.name, 0) :]
            self._seen[member.name] = len(member.deliveries)
            self.missing[member.group].difference_update((d.producer, d.seq) for d in fresh)
            news = news or bool(fresh)
        return news
