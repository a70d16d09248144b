# SPDX-License-Identifier: GPL-3.0-or-later
"""One run of a scenario: take the job from core, confine this process, run the code, say how it ended."""

from __future__ import annotations

import builtins
import importlib
import io
import os
import socket
import sys
from collections.abc import Callable, Mapping
from types import TracebackType

from raspy.common.dynamic import importCode
from raspy.servers.core.sandbox import confine
from raspy.servers.core.sandbox.api import RequestError, ScenarioView
from raspy.servers.core.sandbox.link import Link, ProcessorLimit, watch_processor
from raspy.servers.core.sandbox.wire import DONE, ERROR, LINE_BYTES, MEMORY, PROCESSOR, Lines, WireError

TYPE_CHECKING = False  # mypy knows it by its name; typing takes longer to import than all else here
if TYPE_CHECKING:
    from typing import Any

# What the code may import: pure computing. Imported before the walls go up: no file can be opened after.
MODULES = frozenset(
    (
        "__future__",
        "bisect",
        "calendar",
        "cmath",
        "collections",
        "copy",
        "dataclasses",
        "datetime",
        "decimal",
        "enum",
        "fractions",
        "functools",
        "heapq",
        "itertools",
        "json",
        "math",
        "numbers",
        "operator",
        "random",
        "re",
        "statistics",
        "string",
        "textwrap",
        "time",
        "typing",
    )
)
TRACE_LINES = 30
LINE = 300
# systemd passes descriptors from here on, sd_listen_fds(3).
LISTEN_FDS_START = 3


class Output(io.TextIOBase):
    """What the code prints, as lines of its log."""

    def __init__(self, say: Callable[[str], None]) -> None:
        super().__init__()
        self._say = say
        self._rest = ""

    def write(self, text: str) -> int:
        """Pass on every whole line."""
        *lines, self._rest = (self._rest + text).split("\n")
        for line in lines:
            self._say(line)
        if len(self._rest) > LINE_BYTES // 8:
            self._say(self._rest)
            self._rest = ""
        return len(text)


def connection_of(environment: Mapping[str, str]) -> socket.socket:
    """The connection to core: the descriptor that systemd passes with Accept=yes, else standard input."""
    passed = environment.get("LISTEN_FDS") == "1" and environment.get("LISTEN_PID") == str(os.getpid())
    return socket.socket(fileno=LISTEN_FDS_START if passed else 0)


def receive_job(connection: socket.socket) -> tuple[dict[str, Any], int | None]:
    """The first message, and the lifeline's descriptor that comes with it.

    Raises:
        WireError: the first message is no job, or core went away.
    """
    lines = Lines()
    lifeline: int | None = None
    while True:
        data, descriptors, _, _ = socket.recv_fds(connection, LINE_BYTES, 1)
        if descriptors:
            lifeline = descriptors[0]
        if not data:
            raise WireError("no job came before the connection was closed")
        for message in lines.feed(data):
            if not isinstance(message.get("job"), dict):
                raise WireError("the first message is no job")
            return message["job"], lifeline


def preload(code: str) -> None:
    """Import what the code names in its import statements, as far as it may; the rest fails when run."""
    if "import" not in code:
        return
    import ast

    for node in ast.walk(ast.parse(code)):
        names: list[str] = []
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module:
            names = [node.module]
        for name in names:
            if name.partition(".")[0] in MODULES:
                try:
                    importlib.import_module(name)
                except ImportError:
                    continue
    # Else imported by the first strptime, when it is too late.
    if "strptime" in code:
        importlib.import_module("_strptime")


def run(connection: socket.socket, walls: Callable[[int | None, float], None] = confine.walls) -> None:
    """Carry out one job, from its arrival to the last message.

    Args:
        connection: to core.
        walls: confines the process; only tests pass another.
    """
    job, lifeline = receive_job(connection)
    link = Link(connection, job["cpu_s"])
    link.entries = job["entries"]
    name, code = job["name"], job["code"]
    view = ScenarioView(link, name, job["reason"])
    builtins.__dict__.update(scenario=view, RequestError=RequestError)
    try:
        preload(code)
    except (SyntaxError, ValueError, RecursionError):
        pass  # running it will tell
    watch_processor()
    walls(lifeline, job["memory_mb"])
    sys.stdout = sys.stderr = Output(view.log)
    link.send({"ready": True})
    link.rearm()
    end = outcome(name, code)
    link.rest()
    link.send(end)


def outcome(name: str, code: str) -> dict[str, Any]:
    """Run the code; the message that says how it ended."""
    try:
        importCode(code, name)
    except SystemExit:
        pass
    except MemoryError as error:
        return {"end": MEMORY, "lines": trace(name, code, error)}
    except ProcessorLimit as error:
        return {"end": PROCESSOR, "lines": trace(name, code, error)}
    except BaseException as error:  # noqa: BLE001 - the extension boundary: core logs it with the traceback
        return {"end": ERROR, "lines": trace(name, code, error)}
    return {"end": DONE, "lines": []}


def trace(name: str, code: str, error: BaseException) -> list[str]:
    """The lines of a traceback that are in the scenario's own code, and what the error is."""
    source = code.splitlines()
    lines: list[str] = []
    step: TracebackType | None = error.__traceback__
    while step is not None:
        place = step.tb_frame.f_code
        if place.co_filename == f"<{name}>":
            text = source[step.tb_lineno - 1].strip() if 0 < step.tb_lineno <= len(source) else ""
            lines.append(f"line {step.tb_lineno}, in {place.co_name}: {text}"[:LINE])
        step = step.tb_next
    if isinstance(error, SyntaxError):
        lines.append(f"line {error.lineno}, column {error.offset}: {(error.text or '').strip()}"[:LINE])
    if len(lines) > TRACE_LINES:
        lines[TRACE_LINES // 2 : -TRACE_LINES // 2] = [f"... {len(lines) - TRACE_LINES} more ..."]
    try:
        lines.append(f"{type(error).__name__}: {error}"[:LINE])
    except Exception:  # noqa: BLE001 - an exception's own text is the scenario's code too, and may raise anything
        lines.append(type(error).__name__)
    return lines


def main() -> int:
    """The program: its only argument is its connection, on descriptor 0 or passed by systemd."""
    connection = connection_of(os.environ)
    confine.drop_root()
    try:
        run(connection)
    except (WireError, BrokenPipeError, ConnectionResetError) as error:
        os.write(2, f"scenario: {error}\n".encode())
        return 1
    return 0
