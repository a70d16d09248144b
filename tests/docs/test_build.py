# SPDX-License-Identifier: GPL-3.0-or-later
"""The manual builds without a warning, needs nobody else's server, and its man pages are in order."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.docs import pages
from tests.support.processes import ROOT

BUILD_S = 300
# Made by docutils for every page and without effect: no line is left out, and C is a font that groff has.
HARMLESS = ("skipping paragraph macro: sp after", "unknown font, skipping request: ft C")


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder with html and man."""
    folder = tmp_path_factory.mktemp("manual")
    for kind in ("html", "man"):
        done = subprocess.run(
            ["/usr/bin/python3", "-m", "sphinx", "-q", "-W", "--keep-going", "-b", kind,
             "-d", folder / "doctrees", pages.DOCS, folder / kind],
            cwd=ROOT, capture_output=True, text=True, timeout=BUILD_S,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        assert done.stderr == ""
    return folder


pytestmark = pytest.mark.timeout(2 * BUILD_S)


def html(folder: Path) -> Iterator[Path]:
    yield from (folder / "html").rglob("*.html")


def test_every_page_is_there(built: Path) -> None:
    for page in pages.DOCS.glob("*.md"):
        assert (built / "html" / f"{page.stem}.html").is_file()
    wanted = {page.stem for page in (pages.DOCS / "man").glob("*.md")} - {"index"}
    assert {file.name for file in (built / "man").iterdir()} - {".doctrees"} == wanted


def test_nothing_comes_from_another_site(built: Path) -> None:
    loads = re.compile(
        r"<(?:script|img|link|iframe|object|source)\b[^>]*?\b(?:src|href|data)=\"(?:https?:)?//[^\"]*"
    )
    for page in html(built):
        assert not loads.findall(page.read_text(encoding="utf-8")), page
    for style in (built / "html" / "_static").rglob("*.css"):
        assert not re.search(
            r"(?:url\(|@import)\s*[\"']?(?:https?:)?//", style.read_text(encoding="utf-8")
        ), style


def test_the_theme_works_from_the_disk(built: Path) -> None:
    static = built / "html" / "_static"
    for page in html(built):
        assert 'type="module"' not in page.read_text(encoding="utf-8"), page
    assert "import " not in (static / "scripts" / "furo.js").read_text(encoding="utf-8")
    style = (static / "styles" / "furo.css").read_text(encoding="utf-8")
    assert "/javascript/" not in style
    assert re.search(r"prefers-color-scheme: dark\) \{ body\[data-theme=\"auto\"\] \{\s+--color", style)


def test_what_is_generated_is_there(built: Path) -> None:
    text = re.sub(r"<[^>]+>", "", (built / "html" / "protocols.html").read_text(encoding="utf-8"))
    assert "exec DEVICE COMMAND" in text and "sync_ntp_to_rtc" in text
    page = (built / "man" / "raspy.conf.5").read_text(encoding="utf-8")
    assert "max_database_mib" in page


def test_man_pages_are_in_order(built: Path) -> None:
    for page in sorted((built / "man").glob("raspy*")):
        text = page.read_text(encoding="utf-8")
        assert re.search(r"^\.SH NAME\n[\w.-]+ \\- .+", text, re.MULTILINE), page
        # As lintian looks at them.
        shown = subprocess.run(
            ["man", "--warnings", "-E", "UTF-8", "-l", "-Tutf8", "-Z", page],
            env={"LC_ALL": "C.UTF-8", "MANROFFSEQ": "", "MANWIDTH": "80", "PATH": "/usr/bin:/bin"},
            stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, timeout=60,
        )  # fmt: skip
        assert shown.stderr == "", page
        lint = subprocess.run(
            ["mandoc", "-T", "lint", "-W", "warning", page], capture_output=True, text=True, timeout=60
        )
        wrong = [line for line in lint.stdout.splitlines() if not any(what in line for what in HARMLESS)]
        assert not wrong, page
