# SPDX-License-Identifier: GPL-3.0-or-later
"""Scenarios out to one JSON file, to keep or to share with friends, and in from such a file."""

from __future__ import annotations

import json
from contextlib import closing

from flask import Blueprint, Response, abort, flash, redirect, request, url_for
from werkzeug.wrappers import Response as AnyResponse

from raspyweb.app import cores
from raspyweb.app.auth import admin, viewer
from raspyweb.app.texts import _

FILE_MAX = 1 << 20
"""Bytes of a file that is imported."""


@viewer
def export(host: str) -> Response:
    """All scenarios, or those that ``name`` names, as a file."""
    wanted = request.args.getlist("name")
    found = cores.ask(host, "scenarios", "export", *wanted)
    # What may stand in a file's name: names of scenarios have nothing else.
    plain = len(wanted) == 1 and wanted[0].replace("-", "").replace("_", "").isalnum() and wanted[0].isascii()
    name = f"scenario-{wanted[0]}.json" if plain else "scenarios.json"
    answer = Response(json.dumps(found, indent=2, ensure_ascii=False) + "\n", mimetype="application/json")
    answer.headers["Content-Disposition"] = f'attachment; filename="{name}"'
    return answer


@admin
def import_(host: str) -> AnyResponse:
    """Take the scenarios of a file; none of them is active then."""
    sent = request.files.get("file")
    content = b""
    if sent is not None:
        with closing(sent):
            content = sent.read(FILE_MAX + 1)
    if not content:
        abort(400, _("Choose a file that was exported here or by a friend."))
    if len(content) > FILE_MAX:
        abort(413, _("The file is larger than {count} bytes.", count=FILE_MAX))
    mode = ["replace"] if "replace" in request.form else []
    names = cores.ask(host, "scenarios", "import", content, *mode)
    flash(_("Imported, and not active yet: {names}. Read them, and put your own keys into their entries.",
            names=", ".join(names)))  # fmt: skip
    return redirect(url_for("scenarios.index"))


def install(blueprint: Blueprint) -> None:
    """Add both to the pages of scenarios; no scenario has a name that begins with -."""
    blueprint.add_url_rule("/scenarios/<host>/-export", "export", export)
    blueprint.add_url_rule("/scenarios/<host>/-import", "import_", import_, methods=["POST"])
