"""An operator who types what the test says, and keeps what was asked."""

from __future__ import annotations

import io
from dataclasses import dataclass, field

from kafkaops.cli.operations import Operations
from kafkaops.cli.terminal import Terminal


class Tty(io.StringIO):
    """A stream that says it is a terminal."""

    def isatty(self) -> bool:
        return True


@dataclass
class Seated(Operations):
    """Operations of a command that is typed at this terminal."""

    seat: Terminal = field(default_factory=Terminal)

    def terminal(self) -> Terminal:
        return self.seat


@dataclass
class Typing(Terminal):
    """Answers in turn, each to one question."""

    answers: list[str] = field(default_factory=list)
    asked: list[str] = field(default_factory=list)

    def interactive(self) -> bool:
        return True

    def ask(self, question: str) -> str:
        self.asked.append(question)
        return self.answers.pop(0)
