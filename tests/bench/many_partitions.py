"""A real cluster with many empty partitions, and commands from a cold start against it."""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from kafkaops.lab import kit
from kafkaops.lab.enter import run_inside
from kafkaops.lab.layout import Settings
from kafkaops.lab.up import down, up

ROOT = Path(__file__).resolve().parents[2]
CREATE = """
import sys
from confluent_kafka.admin import AdminClient, NewTopic
admin = AdminClient({"bootstrap.servers": "127.0.1.1:9094"})
for at in range(0, int(sys.argv[1]), 10):
    made = admin.create_topics([NewTopic(f"t{at + i}", 100, 3) for i in range(10)])
    [future.result() for future in made.values()]
"""


@dataclass(frozen=True)
class Lab:
    directory: Path

    @property
    def scratch(self) -> Path:
        return self.directory.parent

    def kafkaops(self, *argv: str) -> list[str]:
        """The command line of ours, entered as an operator's shell would be."""
        config = ["-c", str(ROOT / "configs/lab.yaml"), "--set", f"lab.dir={self.directory}"]
        return [*self._enter, sys.executable, "-m", "kafkaops", *argv, *config]

    def kafka(self, tool: str, *argv: str) -> list[str]:
        """The same of Kafka's own tool, by its class."""
        java = [str(kit.java()), "-Xmx256m", "-cp", kit.classpath("3.9.2")]
        return [*self._enter, *java, tool, "--bootstrap-server", "127.0.1.1:9094", *argv]

    @property
    def _enter(self) -> list[str]:
        shell = [sys.executable, "-m", "kafkaops", "lab", "shell"]
        return [*shell, "--dir", str(self.directory), "--"]


@contextmanager
def lab_of(topics: int) -> Iterator[Lab]:
    """Blue with this many topics of 100 partitions, RF 3; a multiple of 10."""
    with tempfile.TemporaryDirectory() as scratch:
        lab = Lab(Path(scratch) / "lab")
        up(lab.directory, Settings(), say=lambda line: None)
        try:
            made = run_inside(lab.directory, [sys.executable, "-c", CREATE, str(topics)])
            assert made.wait(300) == 0
            yield lab
        finally:
            down(lab.directory, say=lambda line: None)
