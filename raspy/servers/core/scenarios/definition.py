# SPDX-License-Identifier: GPL-3.0-or-later
"""What a scenario is made of, checked before it is kept: its configuration, entries and code.

The configuration (``conf``):

=================== ============================================================================
``active``          whether anything may start it; default true
``startup``         start it when core starts; default false
``when``            ``any`` (default) entry's condition fires it, or ``all`` must hold together
``max_runtime_s``   stop it after so many seconds; default 0, never
``restart``         after a crash: ``never``, ``failure`` (default), or ``always``: whenever it ends
``restart_delay_s`` wait so long before the first restart, twice as long before the next; default 2
``parallel``        how many of it may run at once, 1 (default) to 4
``memory_mb``       how much memory its code may take, 8 to 512; default 64
``cpu_s``           how long it may compute without waiting, seconds of processor time; default 10
``info``            a line for people
=================== ============================================================================
"""

from __future__ import annotations

from typing import Any

from raspy.common import MDP
from raspy.servers.core import names
from raspy.servers.core.scenarios.conditions import check_entry

CODE_BYTES = 64 * 1024
ENTRIES_MAX = 50
NEVER, FAILURE, ALWAYS = "never", "failure", "always"
ANY, ALL = "any", "all"
PARALLEL = 4
MONTH_S = 31 * 86400
# Of these the key of the store is made: a scenario of that name would collide with it.
RESERVED = ("main",)
PARTS = ("entries", "code", "conf")


def check_scenario_name(name: str | bytes) -> str:
    """The name of a scenario, as text.

    Raises:
        ClientError: it can't be one.
    """
    text = names.check_name(name, "scenario")
    if text in RESERVED:
        raise MDP.ClientError(f"{text!r} can't be the name of a scenario: the store uses it")
    return text


def check_conf(conf: object) -> dict[str, Any]:
    """The configuration with its defaults filled in.

    Raises:
        ClientError: something in it is wrong.
    """
    if conf is None:
        conf = {}
    if not isinstance(conf, dict):
        raise MDP.ClientError("conf must be a JSON object")
    names.only(conf, "conf", tuple(_CONF))
    checked = {}
    for key, (default, test) in _CONF.items():
        checked[key] = test(conf.get(key, default))
    checked["parallel"] = int(checked["parallel"])
    return checked


_CONF: dict[str, tuple[Any, Any]] = {
    "active": (True, lambda value: names.flag(value, "active")),
    "startup": (False, lambda value: names.flag(value, "startup")),
    "when": (ANY, lambda value: names.one_of(value, "when", (ANY, ALL))),
    "max_runtime_s": (0, lambda value: names.number(value, "max_runtime_s", 0, MONTH_S)),
    "restart": (FAILURE, lambda value: names.one_of(value, "restart", (NEVER, FAILURE, ALWAYS))),
    "restart_delay_s": (2, lambda value: names.number(value, "restart_delay_s", 0.05, 3600)),
    "parallel": (1, lambda value: names.number(value, "parallel", 1, PARALLEL)),
    "memory_mb": (64, lambda value: names.number(value, "memory_mb", 8, 512)),
    "cpu_s": (10, lambda value: names.number(value, "cpu_s", 0.1, 3600)),
    "info": ("", lambda value: names.text(value, "info", 500)),
}


def check_entries(entries: object) -> dict[str, dict[str, Any]]:
    """The entries by friendly name.

    Raises:
        ClientError: something in them is wrong; says in which.
    """
    if entries is None:
        entries = {}
    if not isinstance(entries, dict):
        raise MDP.ClientError('entries must be a JSON object {"friendly name": {"key": "/device/..."}}')
    if len(entries) > ENTRIES_MAX:
        raise MDP.ClientError(f"a scenario has at most {ENTRIES_MAX} entries, not {len(entries)}")
    checked = {}
    for name, entry in entries.items():
        try:
            checked[names.check_name(name, "entry")] = check_entry(entry)
        except MDP.ClientError as error:
            raise MDP.ClientError(f"entry {name!r}: {error}") from error
    return checked


def check_code(code: object, name: str) -> str:
    """The code, if it compiles; it is not run.

    Raises:
        ClientError: it does not; says in which line and column.
    """
    if not isinstance(code, str) or len(code.encode(errors="replace")) > CODE_BYTES:
        raise MDP.ClientError(f"code must be a text of at most {CODE_BYTES} bytes")
    try:
        compile(code, f"<{name}>", "exec", dont_inherit=True)
    except SyntaxError as error:
        raise MDP.ClientError(
            f"the code of {name} does not compile: line {error.lineno}, column {error.offset}: {error.msg}"
        ) from error
    except (ValueError, RecursionError, MemoryError, OverflowError) as error:
        raise MDP.ClientError(f"the code of {name} does not compile: line 1, column 1: {error}") from error
    return code


def check_definition(name: str | bytes, definition: dict[str, Any]) -> dict[str, Any]:
    """``entries``, ``code`` and ``conf`` of one scenario, all checked.

    Raises:
        ClientError: something in it is wrong.
    """
    text = check_scenario_name(name)
    names.only(definition, f"scenario {text}", PARTS)
    return {
        "entries": check_entries(definition.get("entries")),
        "code": check_code(definition.get("code") or "", text),
        "conf": check_conf(definition.get("conf")),
    }
