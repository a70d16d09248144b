# SPDX-License-Identifier: GPL-3.0-or-later
"""What is shown over HTTP.

==============================================  ==============================================
``/graph``                                      the graphs there are, JSON
``/graph/KEY/PERIOD[.svg|.png|.json]``          a graph of a day, week, month, year or decade
``/graph/KEY[.svg|.png|.json]?start=&end=``     a graph of any range
``/log``                                        the logs there are, JSON
``/log/KEY?start=&end=&limit=``                 lines of a log, JSON
==============================================  ==============================================

``start`` and ``end`` are seconds since 1970, or negative: so many seconds before now. Further:
``width``, ``height`` (pixels), ``theme`` (light, dark); for JSON ``points``.
"""

from __future__ import annotations

import json
import logging
import time
import zlib
from collections.abc import Mapping
from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import parse_qsl, unquote

from raspy.common.MDP import ClientError, NotFoundError, ServerError
from raspy.servers.logger.graphs import charts, drawing
from raspy.servers.logger.rrd.archives import ARCHIVES, SPANS_S
from raspy.servers.logger.text.logs import LIMIT_MAX
from raspy.servers.logger.web.http import Answer, matches, refusal

if TYPE_CHECKING:
    from raspy.servers.logger.graphs.gallery import Gallery
    from raspy.servers.logger.text.logs import TextLogs

log = logging.getLogger("raspy.logger")

JSON = "application/json"
DEFAULT_PERIOD = "day"
DEFAULT_FORMAT = "svg"
FORMATS = (*drawing.FORMATS, "json")

SPAN_MIN_S = 60
SPAN_MAX_S = ARCHIVES[-1][1]

FRESH_S = 60
"""A graph up to now is drawn anew at most so often, in seconds; that is a row of the finest archive."""

SETTLED_S = 3600
"""How long a graph may be used in which nothing will change any more."""

PARAMETERS = ("start", "end", "width", "height", "theme", "points", "limit")


class Range(NamedTuple):
    """What is asked for.

    Args:
        start, end: seconds since 1970.
        fresh_s: how long until it would be another one.
    """

    start: int
    end: int
    fresh_s: int


def answer(gallery: Gallery, logs: TextLogs, target: str, headers: Mapping[str, str]) -> Answer:
    """Answer a GET.

    Arguments:
        gallery, logs: what is shown.
        target: path and query.
        headers: those of the request, names in lower case.
    """
    path, _, query = target.partition("?")
    try:
        first, *parts = [unquote(part, errors="strict") for part in path.split("/")[1:]] or [""]
        given = _parameters(query)
        if first == "graph":
            return _graph(gallery, parts, given, headers) if parts else _named(gallery.describe())
        if first == "log":
            return _log(logs, parts, given) if parts else _named(logs.list_keys())
        return refusal(404, "there are /graph and /log")
    except NotFoundError as error:
        return refusal(404, str(error))
    except (ClientError, ValueError) as error:
        return refusal(400, str(error))
    except (ServerError, OSError) as error:
        log.warning("HTTP: %s: %s", path[:200], error)
        return refusal(503, str(error))


def _parameters(query: str) -> dict[str, str]:
    given = dict(parse_qsl(query, keep_blank_values=True, strict_parsing=bool(query), max_num_fields=20))
    for name in given:
        if name not in PARAMETERS:
            raise ClientError(f"{name[:40]!r} is not known; allowed: {', '.join(PARAMETERS)}")
    return given


def _named(body: object) -> Answer:
    data = json.dumps(body, ensure_ascii=False).encode()
    return Answer(200, data, JSON, f'"{zlib.crc32(data):08x}"')


def _log(logs: TextLogs, parts: list[str], given: Mapping[str, str]) -> Answer:
    data = read_log(logs, "/".join(parts), given).encode()
    return Answer(200, data, JSON, f'"{zlib.crc32(data):08x}"')


def read_log(logs: TextLogs, key: str, given: Mapping[str, str]) -> str:
    """Lines of a log as a JSON list, by ``start``, ``end`` and ``limit``.

    Raises:
        NotFoundError: there is no such log.
        ClientError: a value is no number, or too large.
    """
    limit = _number(given, "limit", 20, 1, LIMIT_MAX)
    lines = logs.read(key, _moment(given, "start", 0), _moment(given, "end", -1), limit)
    return "[" + ",\n".join(lines) + "]\n"


def _graph(
    gallery: Gallery, parts: list[str], given: Mapping[str, str], headers: Mapping[str, str]
) -> Answer:
    *parts, last = parts
    name, dot, kind = last.rpartition(".")
    if not dot or kind not in FORMATS:
        name, kind = last, DEFAULT_FORMAT
    period = DEFAULT_PERIOD
    if parts and name in SPANS_S:
        period = name
    else:
        parts.append(name)
    graph = gallery.find("/".join(parts))
    wanted = drawing.Picture(
        kind,
        _number(given, "width", drawing.WIDTH, drawing.WIDTH_MIN, drawing.WIDTH_MAX),
        _number(given, "height", drawing.HEIGHT, drawing.HEIGHT_MIN, drawing.HEIGHT_MAX),
        given.get("theme", "light"),
    )
    if wanted.theme not in drawing.THEMES:
        raise ClientError(f"theme: must be one of {', '.join(drawing.THEMES)}")
    points = _number(given, "points", charts.POINTS, 2, charts.POINTS_MAX)
    asked = read_range(given, period, points if kind == "json" else wanted.width)
    etag, settled = gallery.version(graph, asked.end, f"{asked.start} {wanted} {points}")
    max_age_s = SETTLED_S if settled and "end" in given else asked.fresh_s
    if matches(headers.get("if-none-match", ""), etag):
        # Becomes a 304: nothing needs to be drawn for it.
        return Answer(200, b"", "", etag, max_age_s)
    if kind == "json":
        chart = gallery.chart(graph, asked.start, asked.end, points)
        return Answer(200, json.dumps(chart, ensure_ascii=False).encode(), JSON, etag, max_age_s)
    return Answer(
        200, gallery.picture(graph, asked.start, asked.end, wanted), drawing.FORMATS[kind], etag, max_age_s
    )


def read_range(given: Mapping[str, str], period: str, across: int = charts.POINTS) -> Range:
    """The range that ``start`` and ``end`` mean.

    Arguments:
        given: may have them.
        period: what is meant without ``start``, a key of `SPANS_S`.
        across: how many points or pixels there will be.

    Raises:
        ClientError: a value is no number, or the range is too short or too long.
    """
    now = int(time.time())
    end = _moment(given, "end", now)
    start = _moment(given, "start", end - SPANS_S[period])
    span = end - start
    if not SPAN_MIN_S <= span <= SPAN_MAX_S:
        raise ClientError(
            f"start, end: the range must be from {SPAN_MIN_S} to {SPAN_MAX_S} s long, not {span} s"
        )
    # Up to now: in steps of a pixel, so that the same picture serves for a while.
    step = max(FRESH_S, span // across // FRESH_S * FRESH_S)
    if "end" in given:
        return Range(start, end, step)
    late = now % step
    return Range(start if "start" in given else start - late, end - late, step - late)


def _moment(given: Mapping[str, str], name: str, default: int) -> int:
    if name not in given:
        return default
    value = _number(given, name, 0, -SPAN_MAX_S, 1 << 40)
    return value if value >= 0 else int(time.time()) + value


def _number(given: Mapping[str, str], name: str, default: int, least: int, most: int) -> int:
    text = given.get(name)
    if text is None:
        return default
    digits = text.removeprefix("-")
    if not (digits.isascii() and digits.isdigit() and len(digits) <= 13 and least <= int(text) <= most):
        raise ClientError(f"{name}: must be a whole number from {least} to {most}, not {text[:20]!r}")
    return int(text)
