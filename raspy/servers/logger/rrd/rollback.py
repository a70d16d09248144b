# SPDX-License-Identifier: GPL-3.0-or-later
"""Roll an RRD back: forget what it has of the time after a moment, so that it can be told again.

RRDs only go forward. So the file goes through `rrdtool dump`, loses its newest rows, and comes back
through `rrdtool restore`. The rows that were being consolidated at that moment (the six hours, the
day) are made up from those of a minute. (`rrdtool create --source` would do it alone, but it fills
gaps from coarser rows: a gap must stay one.)

Source: rrddump(1), rrdrestore(1); what `cdp_prep` holds: rrd_format.h and rrd_update.c of rrdtool 1.7.2.
"""

from __future__ import annotations

import math
import re
import subprocess
from collections.abc import Iterable, Iterator
from pathlib import Path

from raspy.common.durable import sync_folder
from raspy.servers.logger.rrd.archives import ARCHIVES, STEP_S, Connection
from raspy.servers.logger.rrd.rrdcached import RrdError

FINEST_S = ARCHIVES[0][0]

TAG = re.compile(r"<(cf|pdp_per_row|lastupdate|last_ds|value|unknown_sec|unknown_datapoints)>([^<]*)<")
ROW = re.compile(r"/ (\d+) --> <row><v>([^<]*)</v></row>")
NO_ROW = "<row><v>NaN</v></row>\n"


def roll_back(connection: Connection, path: Path, moment: float) -> float:
    """Forget what a file has of the time after *moment*.

    Returns:
        The time of its last update then, a little before *moment*, in seconds since 1970.

    Raises:
        RrdError: it is damaged, or rrdtool is not installed; the file stays as it is.
        OSError: rrdcached went away, or the disk refuses; likewise.
    """
    begin = int(moment) // FINEST_S * FINEST_S
    fresh = path.with_name(path.name + ".new")
    connection.flush(path)
    try:
        _restore(rewrite(_dump(path), begin), fresh)
        connection.forget(path)
        fresh.replace(path)
    finally:
        fresh.unlink(missing_ok=True)
    sync_folder(path.parent)
    return float(begin)


def _dump(path: Path) -> Iterator[str]:
    with _rrdtool("dump", path, stdout=subprocess.PIPE) as child:
        assert child.stdout is not None
        yield from child.stdout
        _check(child)


def _restore(lines: Iterable[str], path: Path) -> None:
    with _rrdtool("restore", "-", path, "--force-overwrite", stdin=subprocess.PIPE) as child:
        assert child.stdin is not None
        try:
            child.stdin.writelines(lines)
            child.stdin.close()
        except BrokenPipeError:
            pass  # it has ended, and says why
        _check(child)


def _rrdtool(*arguments: str | Path, stdin: int = subprocess.DEVNULL,
             stdout: int = subprocess.DEVNULL) -> subprocess.Popen[str]:  # fmt: skip
    try:
        return subprocess.Popen(["rrdtool", *arguments], stdin=stdin, stdout=stdout, stderr=subprocess.PIPE,
                                encoding="utf-8")  # fmt: skip
    except FileNotFoundError:
        raise RrdError("rrdtool is not installed: apt install rrdtool") from None


def _check(child: subprocess.Popen[str]) -> None:
    assert child.stderr is not None
    complaint = child.stderr.read().strip()
    if child.wait() != 0:
        raise RrdError(complaint.removeprefix("ERROR: "))


def rewrite(lines: Iterable[str], begin: int) -> Iterator[str]:
    """The dump of a file as it would have been at *begin*, a whole number of finest rows.

    The finest archives come first in our files, so their rows are known when the others need them.
    """
    finest: dict[str, list[tuple[int, float]]] = {}
    function, row_s = "", 0
    rows: list[tuple[int, str]] = []
    for line in lines:
        if row := ROW.search(line):
            rows.append((int(row[1]), row[2]))
            continue
        if "</database>" in line:
            kept = [(moment, value) for moment, value in rows if moment <= begin]
            yield NO_ROW * (len(rows) - len(kept))
            yield from (f"<row><v>{value}</v></row>\n" for _moment, value in kept)
            if row_s == FINEST_S:
                finest[function] = [(moment, float(value)) for moment, value in kept]
            rows = []
        tag = TAG.search(line)
        if tag is None:
            yield line
            continue
        name, content = tag[1], tag[2].strip()
        if name == "cf":
            function = content
        elif name == "pdp_per_row":
            row_s = int(content) * STEP_S
        elif name == "unknown_datapoints" or (name == "value" and function):
            total, unknown = _begun(function, row_s, begin, finest.get(function, []))
            content = str(unknown) if name == "unknown_datapoints" else f"{total:.10e}"
        else:
            # Nothing is begun of the next step; a counter's next value is its first.
            content = {"lastupdate": str(begin), "last_ds": "U", "value": "0", "unknown_sec": "0"}[name]
        yield f"<{name}>{content}</{name}>\n"


def _begun(function: str, row_s: int, begin: int, finest: list[tuple[int, float]]) -> tuple[float, int]:
    """What of a row has passed at *begin*.

    Returns:
        Sum, least or greatest of its steps so far (NaN: none is known), and how many are unknown.
    """
    since = begin // row_s * row_s
    known = [value for moment, value in finest if moment > since and value == value]
    per_row = FINEST_S // STEP_S
    unknown = (begin - since) // STEP_S - per_row * len(known)
    if not known:
        return math.nan, unknown
    if function == "AVERAGE":
        return math.fsum(known) * per_row, unknown
    return (min(known) if function == "MIN" else max(known)), unknown
