# SPDX-License-Identifier: GPL-3.0-or-later
"""A docstring of an action, taken apart."""

from __future__ import annotations

import inspect
import re
import textwrap
from typing import NamedTuple

# What a handler raises, and the status that its client gets (raspy/common/MDP.py).
STATUS = {"ClientError": "400", "NotFoundError": "404", "ServerError": "500", "DeviceFault": "500"}

_FIRST = re.compile(r"(?:Action )?``(?P<request>[^`]+)``[:.,]?\s*(?P<text>.*)", re.DOTALL)
_SECTION = re.compile(r"(Args|Arguments|Returns|Raises):\Z")


class Action(NamedTuple):
    """What is said of an action.

    Attributes:
        request: the request as it is sent, ``add NAME JSON``.
        text: what it does, paragraphs of Markdown.
        parts: what stands under ``Args`` and ``Returns``, heading and text.
        refusals: status and reason.
    """

    request: str
    text: list[str]
    parts: list[tuple[str, str]]
    refusals: list[tuple[str, str]]


def read(function: object) -> Action:
    """Take the docstring of an action's handler apart.

    Raises:
        ValueError: it has none, does not begin with the request, or does not say what it does.
    """
    where = getattr(function, "__qualname__", repr(function))
    first, _, rest = (inspect.getdoc(function) or "").partition("\n\n")
    match = _FIRST.match(first)
    if match is None:
        raise ValueError(f"{where}: the docstring of an action begins with its request: ``add NAME JSON``")
    if len(match["text"].split()) < 2:
        raise ValueError(f"{where}: the docstring does not say what {match['request']!r} does")
    text = [_flow(match["text"])]
    parts: list[tuple[str, str]] = []
    refusals: list[tuple[str, str]] = []
    for block in re.split(r"\n\n+", rest):
        head, _, body = block.partition("\n")
        section = _SECTION.match(head)
        if section is None:
            if block.strip():
                text.append(_flow(block))
        elif section[1] == "Raises":
            for names, reason in _items(body):
                refusals += [(STATUS[name.strip()], reason) for name in names.split(",")]
        elif section[1] == "Returns":
            parts.append(("The reply", _flow(body)))
        else:
            parts += [(f"`{name}`", text) for name, text in _items(body)]
    return Action(" ".join(match["request"].split()), text, parts, refusals)


def _items(body: str) -> list[tuple[str, str]]:
    """``name: text`` of a section, each with its further lines."""
    items = re.findall(r"^([\w, ]+): (.*(?:\n +.*)*)", textwrap.dedent(body), re.MULTILINE)
    return [(name, _flow(text)) for name, text in items]


def _flow(text: str) -> str:
    """One paragraph on one line, in sentences."""
    flowing = " ".join(text.split()).replace("``", "`")
    return flowing[:1].upper() + flowing[1:] if flowing[:1].isalpha() else flowing
