# SPDX-License-Identifier: GPL-3.0-or-later
"""The manual: one set of sources for the html and the man pages. ``make docs`` builds both."""

from __future__ import annotations

import re
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE.parent), str(HERE / "_ext")]

import raspy  # noqa: E402

project = "RasPy"
author = "the RasPy developers"
copyright = "2015-2026, " + author
version = release = raspy.__version__

extensions = [
    "myst_parser",
    "sphinx.ext.autodoc",
    "sphinx.ext.graphviz",
    "sphinx.ext.napoleon",
    "furo_of_debian",
    "raspy_reference",
]
exclude_patterns = ["_build", "_ext"]
nitpicky = True
# Types of Python's own library and of ZeroMQ: their manuals are on other sites.
nitpick_ignore_regex = [("py:.*", ".*")]
# A single backquote in a docstring is a name in the code.
default_role = "code"

myst_enable_extensions = ["deflist", "fieldlist"]
myst_heading_anchors = 4
suppress_warnings = ["myst.header"]

autodoc_member_order = "bysource"
autodoc_typehints = "signature"
autodoc_class_signature = "mixed"
napoleon_numpy_docstring = False

html_theme = "furo"
html_title = f"RasPy {release}"
html_copy_source = False
html_show_sphinx = False
html_static_path = ["_static"]
html_css_files = ["manual.css"]
graphviz_output_format = "svg"


def man_page(file: Path) -> tuple[str, str, str, list[str], int]:
    """The entry of one page in ``man_pages``; its heading is ``NAME(SECTION): description``."""
    heading = re.match(r"# ([\w.-]+)\((\d)\): (.+)\n", file.read_text(encoding="utf-8"))
    assert heading, f"{file} must begin with '# NAME(SECTION): description'"
    name, section, description = heading.groups()
    return f"man/{file.stem}", name, description, [], int(section)


man_pages = [man_page(file) for file in sorted((HERE / "man").glob("*.md")) if file.stem != "index"]
man_show_urls = True
