# SPDX-License-Identifier: GPL-3.0-or-later
"""The journal's catalog explains every message that has an id, and nothing else."""

from __future__ import annotations

import re

import pytest

from tests.support.processes import ROOT

CATALOG = ROOT / "systemd" / "catalog" / "raspy.catalog"
# As they stand in the code: NAME = "32 hexadecimal digits".
IN_CODE = re.compile(r'^([A-Z_]+) = "([0-9a-f]{32})"$', re.MULTILINE)
ENTRY = re.compile(r"^-- ([0-9a-f]{32})\n(.*?)(?=^-- |\Z)", re.MULTILINE | re.DOTALL)


def ids() -> dict[str, str]:
    """Id by name, of all modules."""
    found = {}
    for package in ("raspy", "raspyweb"):
        for path in (ROOT / package).rglob("*.py"):
            found.update(IN_CODE.findall(path.read_text()))
    return found


def entries() -> dict[str, str]:
    """Text by id."""
    return dict(ENTRY.findall(CATALOG.read_text()))


def test_code_and_catalog_have_the_same_ids() -> None:
    code = ids()
    assert "UNIT_FAILED" in code and "ACTUATOR_CHANGED" in code
    assert sorted(code.values()) == sorted(entries())


@pytest.mark.parametrize("name", sorted(ids()))
def test_an_entry_says_what_it_is_and_what_to_do(name: str) -> None:
    text = entries()[ids()[name]]
    headers, _, body = text.partition("\n\n")
    assert re.match(r"Subject: \S.*\nDefined-By: RasPy$", headers)
    assert re.search(r"What to do|Nothing needs to be done|journalctl", body), body
    assert max(map(len, body.splitlines())) <= 80
