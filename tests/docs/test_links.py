# SPDX-License-Identifier: GPL-3.0-or-later
"""Links between the pages lead somewhere, in a plain Markdown viewer as in the built manual."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.docs import pages
from tests.support.processes import ROOT


def anchors(text: str) -> set[str]:
    """What GitHub and MyST make of the headings."""
    headings = re.findall(
        r"^#+ (.+)$", re.sub(r"^```.*?^```$", "", text, flags=re.MULTILINE | re.DOTALL), re.MULTILINE
    )
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", pages.all_pages(), ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_somewhere(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    for target in re.findall(r"\]\(([^)\s]+)\)", text):
        if target.startswith(("https://", "http://", "mailto:")):
            continue
        name, _, anchor = target.partition("#")
        file = (page.parent / name).resolve() if name else page
        assert file.exists(), f"{page.name}: there is no {target}"
        assert file.is_relative_to(ROOT)
        if anchor:
            assert anchor in anchors(file.read_text(encoding="utf-8")), (
                f"{page.name}: {target} has no such heading"
            )


@pytest.mark.parametrize("page", pages.all_pages(), ids=lambda page: str(page.relative_to(ROOT)))
def test_no_page_is_an_orphan(page: Path) -> None:
    if page.parent == ROOT or page.name == "index.md":
        return
    index = (page.parent / "index.md").read_text(encoding="utf-8")
    trees = "\n".join(pages.blocks(index, r"\{toctree\}"))
    listed = re.findall(r"^([\w*.-]+)$", trees, re.MULTILINE)
    assert any(page.match(f"{name}.md") for name in listed), f"{page.name} is in no table of contents"
