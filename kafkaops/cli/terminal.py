"""The operator at the other end: what they are asked, and what they type.

Invariant: questions go to stderr, so that stdout holds nothing but the result.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass
from typing import TextIO


@dataclass
class Terminal:
    """`keys` is where answers come from and `screen` where questions go; where None, the streams
    that the process has when they are used."""

    keys: TextIO | None = None
    screen: TextIO | None = None

    def interactive(self) -> bool:
        """Whether somebody is there to answer."""
        return self._keys.isatty() and self._screen.isatty()

    def ask(self, question: str) -> str:
        """One line; the end of input is an empty answer."""
        print(question, end="", file=self._screen, flush=True)
        answer = self._keys.readline()
        if not answer.endswith("\n"):
            print(file=self._screen)
        return answer.strip()

    def piped(self) -> str:
        """All that comes in, to its end."""
        return self._keys.read()

    @property
    def _keys(self) -> TextIO:
        return self.keys or sys.stdin

    @property
    def _screen(self) -> TextIO:
        return self.screen or sys.stderr
