"""The config's page cannot rot: it is generated, and compared here."""

from __future__ import annotations

from pathlib import Path

from kafkaops.config import reference
from kafkaops.config.faults import key_paths
from kafkaops.config.schema import Config

PAGE = Path(__file__).resolve().parents[3] / "docs" / "configuration.md"


def test_the_page_is_what_the_schema_says() -> None:
    hint = "kafkaops config schema --markdown > docs/configuration.md"
    assert PAGE.read_text() == reference.markdown(), hint


def test_every_key_is_on_the_page() -> None:
    page = reference.markdown()
    assert [p for p in key_paths(Config) if f"| `{p[-1]}` |" not in page] == []
