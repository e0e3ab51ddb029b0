"""The codes that can be accepted are one list: what findings carry, what a config may name, what
the pages and the example say."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml

from kafkaops.config import accepting
from kafkaops.config.accepting import ACCEPTABLE, FINDINGS
from kafkaops.upgrade.refusals_codes import CODES, Finding, Kind

ROOT = Path(__file__).resolve().parents[3]


def test_every_code_of_the_list_is_used_and_no_other_can_be_accepted() -> None:
    assert {code for code, (kind, _) in CODES.items() if kind is Kind.ASK} == set(FINDINGS)
    rooms = "".join(path.read_text() for path in (ROOT / "kafkaops/upgrade").rglob("*.py"))
    names = {
        getattr(accepting, n): n
        for n in ("NOT_SEEN", "RACK_SPREAD", "MESSAGE_FORMAT", "GHOST", "STRANGER")
    }
    for code in ACCEPTABLE:
        assert f'"{code}"' in rooms or re.search(rf"\b{names.get(code, code)}\b", rooms), code
    with pytest.raises(ValueError, match="KO-NEW"):
        Finding("KO-NEW", "x", "y", acceptable=True)


def test_globs_and_subjects_name_known_codes() -> None:
    good = ("KO-*", "*", "KO-RF-*:scratch-*", "KO-DISK", "KO-TXN-IDS:a:b", "KO-CLIENT-NOT-SEEN:x")
    assert list(accepting.faults(good)) == []
    bad = ("KO-TXN", "KO-NAME-MISSING", "", ":x", "KO-CLIENT-NOT-SEEN:", "KO-STRANGER")
    assert [f.key for f in accepting.faults(bad)] == [f"accept.{n}" for n in range(6)]


def test_the_codes_in_the_examples_comments_can_be_accepted() -> None:
    text = (ROOT / "configs/aws-example.yaml").read_text()
    (given,) = re.findall(r"^accept: \[\]\n((?:#.*\n)+)", text, re.MULTILINE)
    entries = yaml.safe_load(re.sub(r"(?m)^#", "", given))
    assert len(entries) == 2
    assert list(accepting.faults(tuple(entries))) == []


def test_codes_that_pages_tell_to_accept_can_be() -> None:
    pages = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
    told = re.compile(r"`(KO-[A-Z0-9-]+)(?::NAME)?`[^.;|`]*`?accept")
    found = {code for page in pages for code in told.findall(page.read_text())}
    assert {"KO-CLIENT-NOT-SEEN", "KO-USERS-UNPROVEN"} <= found
    assert found - {"KO-FENCE-CLIENTS"} <= set(ACCEPTABLE), "that one cannot be, says the page"


def test_what_is_accepted_of_a_code_is_a_list_of_globs() -> None:
    given = ("KO-RACK*", "KO-STRANGER:a-*", "KO-STRANGER", "KO-CLIENT-*:readers", "KO-DISK:x")
    assert accepting.subjects(given, "KO-RACK-SPREAD") == ("*",)
    assert accepting.subjects(("KO-RACK-SPREAD:orders",), "KO-RACK-SPREAD") == ("orders",)
    assert accepting.subjects(given, "KO-STRANGER") == ("a-*",)  # never all of them
    assert accepting.subjects(given, "KO-CLIENT-NOT-SEEN") == ("readers",)
    assert accepting.subjects(given, "KO-TIERED") == ()
