# SPDX-License-Identifier: GPL-3.0-or-later
"""The pages of the manual, and what stands in them to be run."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from pathlib import Path

from tests.support.processes import ROOT, child_env

DOCS = ROOT / "docs"
EXTENSIONS = DOCS / "_ext"

ASK_S = 60
"""How long one command of a page may take."""


def all_pages() -> list[Path]:
    """The Markdown files of the manual, and those of the repository's root."""
    return [*sorted(ROOT.glob("*.md")), *sorted(DOCS.glob("*.md")), *sorted(DOCS.glob("man/*.md"))]


def read(name: str) -> str:
    """The text of a page."""
    return (DOCS / name).read_text(encoding="utf-8")


def blocks(text: str, language: str) -> list[str]:
    """The code blocks of a language, in their order."""
    return re.findall(rf"^```{language}\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)


def write_files(text: str, folder: Path) -> list[Path]:
    """Write the Python blocks that begin with a comment naming their file; return the files."""
    written = []
    for block in blocks(text, "python"):
        name = re.match(r"# ([\w/]+\.py)\n", block)
        if name is not None:
            file = folder / name[1]
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(block, encoding="utf-8")
            written.append(file)
    return written


def install(folder: Path) -> None:
    """Leave what an installation leaves for the daemons to find: the entry points that ``setup.py`` names."""
    setup = (folder / "setup.py").read_text(encoding="utf-8")
    groups = re.findall(r'"(raspy\.\w+)": \["(.+?)"\]', setup)
    metadata = folder / "example-1.0.dist-info"
    metadata.mkdir()
    (metadata / "entry_points.txt").write_text(
        "".join(f"[{group}]\n{point}\n" for group, point in groups), encoding="utf-8"
    )


def raspyctl(line: str, broker: str, home: Path, statuses: tuple[int, ...] = (0,)) -> str:
    """Run a line of a page that begins with ``raspyctl``, with patience; what it printed.

    :param statuses: how it may end.
    """
    words = shlex.split(line)
    assert words[0] == "raspyctl", line
    env = child_env(home, {"RASPY_BROKER": broker})
    done = subprocess.run(
        [sys.executable, "-m", "raspy.ctl", "--timeout", str(ASK_S / 2), *words[1:]],
        env=env, cwd=home, capture_output=True, text=True, timeout=ASK_S, stdin=subprocess.DEVNULL,
    )  # fmt: skip
    assert done.returncode in statuses, f"{line}\nended with {done.returncode}: {done.stdout}{done.stderr}"
    return done.stdout
