# SPDX-License-Identifier: GPL-3.0-or-later
"""Send any request, and see its frames and those of the reply."""

from __future__ import annotations

import json
import time
from typing import Any

from flask import Blueprint, abort, render_template, request

from raspy.common import MDP
from raspyweb.app.auth import current_user, viewer
from raspyweb.app.bus import bus
from raspyweb.app.requests import rights, tree
from raspyweb.app.texts import _

blueprint = Blueprint("requests", __name__, url_prefix="/requests")

ANSWER_S = 15.0
"""How long a request waits for its reply, in seconds."""

FRAMES_MAX = 50
FRAME_MAX = 256 << 10
"""How many frames the form takes, and how long each may be, in bytes."""

SHOWN_MAX = 65536
"""So much of a frame is shown, in bytes."""

HEX_MAX = 4096
"""So much of one that is no text, in bytes."""

SPARE = 3
"""So many empty frames the form has besides those that the action needs, without JavaScript."""


@blueprint.route("/", defaults={"path": ""}, endpoint="index", methods=("GET",))
@blueprint.route("/<path:path>", methods=("GET", "POST"))
@viewer
def requests(path: str) -> str | tuple[str, int]:
    """The tree of what may be asked, and the form of one request.

    Args:
        path: ``SERVICE/ACTION``; ``SERVICE`` alone for its actions; empty for the tree alone.
    """
    service, _slash, action = path.partition("/")
    hosts, others = tree.servers()
    names = {name for servers in hosts.values() for server in servers for name in server.services} | set(
        others
    )
    if service and service not in names and not tree.there(service):
        abort(404, _("There is no service {name} on the bus.", name=service[: MDP.MAX_NAME]))
    known = tree.actions(service, names) if service else {}
    frames = request.form.getlist("frame")
    while frames and not frames[-1]:
        frames.pop()
    exchange, wrong = None, ""
    if request.method == "POST":
        wrong = _check(service, action, frames)
        if not wrong:
            exchange = _send(service, [action, *frames] if action or service not in tree.PLAIN else frames)
    described = known.get(action, {})
    least = described.get("least", 0)
    page = render_template(
        "requests/index.html",
        hosts=hosts,
        others=others,
        service=service,
        action=action,
        actions=known,
        described=described,
        frames=frames,
        spare=min(FRAMES_MAX, max(1, least - len(frames))) if described else SPARE,
        exchange=exchange,
        wrong=wrong,
        rights=rights,
        asks=bool(service and (action or service in tree.PLAIN)),
    )
    return (page, 400) if wrong else page


def _check(service: str, action: str, frames: list[str]) -> str:
    """What is wrong with what was sent; a page that says so if this user may not send it."""
    user = current_user()
    needed = rights.role(service, action)
    if user is None or not user.may(needed):
        abort(403, _("To send this request needs the role {role}.", role=_(needed)))
    if len(frames) > FRAMES_MAX:
        return _("A request has at most {count} frames here.", count=FRAMES_MAX)
    if any(len(frame.encode(errors="replace")) > FRAME_MAX for frame in frames):
        return _("A frame has at most {count} bytes here.", count=FRAME_MAX)
    return ""


def _send(service: str, frames: list[str]) -> dict[str, Any]:
    """Send the request; both messages frame by frame, the status, and how long it took."""
    # A form's lines end with CR LF; nothing on the bus does. Half a character can't be sent.
    sent: list[str | bytes] = [frame.replace("\r\n", "\n").encode(errors="replace") for frame in frames]
    began = time.monotonic()
    reply = bus().send(service, sent or [b""], timeout_s=ANSWER_S)
    took_s = time.monotonic() - began
    first = service.encode().startswith(MDP.STATUS_FIRST_PREFIX)
    status = (reply[0] if first else reply[-1]).decode(errors="replace") if reply else ""
    return {
        "request": [_shown(frame) for frame in (b"", MDP.C_CLIENT, service.encode(), *(sent or [b""]))],
        "reply": [_shown(frame) for frame in (b"", MDP.C_CLIENT, service.encode(), *reply)],
        "status": status[:20],
        "good": status in ("200", "300"),
        "ms": round(took_s * 1000, 1),
    }


def _shown(frame: bytes | str) -> dict[str, Any]:
    """One frame for a person: JSON with indents, text as it is, anything else in hexadecimal."""
    raw = frame.encode() if isinstance(frame, str) else frame
    try:
        text, kind = raw.decode(), "text"
    except UnicodeDecodeError:
        text, kind = "", "bytes"
    if kind == "text" and not text.replace("\n", "").replace("\t", "").isprintable():
        kind = "bytes"
    if kind == "bytes":
        text = raw[:HEX_MAX].hex(" ")
        return {"size": len(raw), "kind": kind, "text": text, "cut": len(raw) > HEX_MAX}
    if text[:1] in ("{", "["):
        try:
            text, kind = json.dumps(json.loads(text), indent=2, ensure_ascii=False), "JSON"
        except (ValueError, RecursionError):
            pass
    return {"size": len(raw), "kind": kind, "text": text[:SHOWN_MAX], "cut": len(text) > SHOWN_MAX}
