# SPDX-License-Identifier: GPL-3.0-or-later
"""Debian's build of the theme furo, mended for pages that are opened from the disk.

Its script is not bundled and imports another one, on Debian 13 as a module, and a browser takes neither from
the disk; its style sheet asks a web server for normalize.css, and has lost the rule for whose system is dark.
"""

from __future__ import annotations

import re
from pathlib import Path

from sphinx.application import Sphinx

IMPORT = re.compile(r"^import .*gumshoe-patched\.js.*$", re.MULTILINE)
NORMALIZE = re.compile(r"@import url\(/javascript/[^)]*\);")
DARK = re.compile(r'body\[data-theme="dark"\] \{([^}]*)\}')
SYSTEM_IS_DARK = '@media screen and (prefers-color-scheme: dark) {{ body[data-theme="auto"] {{{}}} }}\n'


def mend_script(text: str) -> str:
    """The theme's script without its import; the page loads that file before it."""
    return IMPORT.sub("", text)


def mend_page(text: str) -> str:
    """A page that loads the script as no module, but as late as one."""
    return re.sub(r'<script type="module" (src="[^"]*furo\.js)', r"<script defer \1", text)


def mend_style(text: str) -> str:
    """The theme's style sheet with all that it needs in itself."""
    text = NORMALIZE.sub("body { margin: 0; }", text)
    dark = DARK.search(text)
    return text + SYSTEM_IS_DARK.format(dark[1]) if dark else text


def mend(app: Sphinx, error: Exception | None) -> None:
    """Mend the copies in the html that was built."""
    if error is not None or app.builder.format != "html":
        return
    built = Path(app.outdir)
    todo = [(built / "_static/scripts/furo.js", mend_script), (built / "_static/styles/furo.css", mend_style)]
    for file, mended in [*todo, *((page, mend_page) for page in built.rglob("*.html"))]:
        text = file.read_text(encoding="utf-8")
        if mended(text) != text:
            file.write_text(mended(text), encoding="utf-8")


def setup(app: Sphinx) -> dict[str, bool]:
    """Called by Sphinx."""
    app.add_js_file("scripts/gumshoe-patched.js", priority=150)
    app.connect("build-finished", mend)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
