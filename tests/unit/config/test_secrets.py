"""Secrets: resolved by reference, named by reference, and never shown."""

from __future__ import annotations

import logging
from pathlib import Path

import pytest

from kafkaops.config.secrets import RedactingFilter, Secrets, redact
from kafkaops.engine.errors import ConfigError


def test_each_kind_of_reference(tmp_path: Path) -> None:
    (tmp_path / "password").write_text("from-file\n")
    stored = {"plain": "from-manager", "json": '{"password": "from-key"}'}
    secrets = Secrets(environ={"PW": "from-env"}, base=tmp_path, fetch=stored.__getitem__)
    references = ["env:PW", "file:password", "secretsmanager:plain", "secretsmanager:json#password"]
    values = [secrets.resolve(r) for r in references]
    assert values == ["from-env", "from-file", "from-manager", "from-key"]


@pytest.mark.parametrize(
    ("reference", "words"),
    [
        ("env:NONE", "NONE is not set"),
        ("env:EMPTY", "is empty"),
        ("file:none", "No such file"),
        ("secretsmanager:x", "nothing here can read"),
        ("vault:x", "not a kind of secret reference"),
    ],
)
def test_what_cannot_be_resolved_names_the_reference(
    tmp_path: Path, reference: str, words: str
) -> None:
    with pytest.raises(ConfigError, match=words) as caught:
        Secrets(environ={"EMPTY": ""}, base=tmp_path).resolve(reference)
    assert caught.value.where == reference


def test_a_missing_key_does_not_show_the_secret() -> None:
    secrets = Secrets(environ={}, fetch=lambda _: '{"user": "hidden-value"}')
    with pytest.raises(ConfigError) as caught:
        secrets.resolve("secretsmanager:x#password")
    assert "hidden-value" not in str(caught.value)


def test_resolved_values_are_redacted_in_text_and_logs(
    caplog: pytest.LogCaptureFixture,
) -> None:
    secrets = Secrets(environ={"PW": "s3cret-value"})
    secrets.resolve("env:PW")
    assert redact("login with s3cret-value failed") == "login with *** failed"
    logger = logging.getLogger("kafkaops.test")
    quiet = RedactingFilter()
    logger.addFilter(quiet)
    try:
        try:
            raise ValueError("s3cret-value refused")
        except ValueError:
            logger.exception("password %s", "s3cret-value")
    finally:
        logger.removeFilter(quiet)
    assert "s3cret-value" not in caplog.text
    assert "password ***" in caplog.text
    assert "*** refused" in caplog.text
