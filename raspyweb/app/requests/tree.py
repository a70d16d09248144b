# SPDX-License-Identifier: GPL-3.0-or-later
"""What may be asked on the bus: hosts, their servers, the servers' services, and the services' actions."""

from __future__ import annotations

import re
from collections.abc import Collection
from typing import Any, NamedTuple

from raspy.common import MDP
from raspyweb.app.bus import Refused, bus

SERVICE = re.compile(r"(?P<host>[^./]{1,100})\.(?P<server>[^./]{1,100})\.(?P<suffix>[^./]{1,100})")

MANY = 1000
"""As many arguments as one likes."""

TELL_S = 10.0
"""How long a server may take to start and to tell its actions, in seconds."""

Actions = dict[str, dict[str, Any]]


def _takes(least: int, most: int, info: str) -> dict[str, Any]:
    """An action, as ``HOST.NAME.mmi actions`` tells it."""
    return {"least": least, "most": most, "info": info}


def _told(one: object) -> dict[str, Any]:
    """What a server tells of an action, as far as it can be used; it may be of any make."""
    told = one if isinstance(one, dict) else {}
    least, most = (told.get(key) if isinstance(told.get(key), int) else None for key in ("least", "most"))
    return _takes(max(0, least or 0), MANY if most is None else most, str(told.get("info") or ""))


# The services without actions of their own: the request is the arguments. RFC 8, RFC 9.
PLAIN = {
    "mmi.service": _takes(1, 1, "SERVICE: 200 when it is there, 404 when not."),
    "mmi.discovery": _takes(1, 1, "REGEX: the services that match, a frame each."),
    "mmi.workers": _takes(1, 1, "SERVICE: the number of its workers; of all if it is empty."),
    "titanic.request": _takes(2, MANY, "SERVICE FRAME...: keep a request; the answer is its id."),
    "titanic.submit": _takes(3, MANY, "ID SERVICE FRAME...: keep a request under this id."),
    "titanic.reply": _takes(1, 1, "ID: the reply to a request; 300 while there is none."),
    "titanic.close": _takes(1, 1, "ID: forget a request and its reply."),
}
# Titanic's store has actions, and no server's name before it.
STORE = "titanic.store"
STORE_ACTIONS = {
    "get": _takes(2, 3, "get SERVICE SECTION [KEY]: its value; without KEY all keys and values in turn."),
    "set": _takes(4, MANY, "set SERVICE SECTION KEY VALUE [KEY VALUE]...: an empty value deletes."),
    "delete": _takes(2, 3, "delete SERVICE SECTION [KEY]: forget that key, or the whole section."),
    "list": _takes(0, 2, "list [SERVICE [SECTION]]: the services, the sections of one, the keys of these."),
}


class Server(NamedTuple):
    """A server on the bus.

    Args:
        name: ``HOST.NAME``.
        awake: whether it runs: a request would not have to start it first.
        services: the full names of its services.
    """

    name: str
    awake: bool
    services: list[str]


def servers() -> tuple[dict[str, list[Server]], list[str]]:
    """The servers of each host, by name; and the services that belong to no host."""
    names = bus().services()
    awake = bus().awake()
    found: dict[str, dict[str, list[str]]] = {}
    others = []
    for name in names:
        match = SERVICE.fullmatch(name)
        if match is None:
            others.append(name)
        else:
            found.setdefault(match["host"], {}).setdefault(f"{match['host']}.{match['server']}", []).append(
                name
            )
    hosts = {
        host: [
            Server(name, _awake(name, services, awake), services)
            for name, services in sorted(found[host].items())
        ]
        for host in sorted(found)
    }
    return hosts, sorted({*others, *(name for name in PLAIN if name.startswith("mmi."))})


def _awake(name: str, services: list[str], awake: set[str]) -> bool:
    # The broker answers for itself, and has no workers for that.
    return name.endswith(".broker") or any(service in awake for service in services)


def there(service: str) -> bool:
    """Whether a request for *service* finds somebody, be it a server that it has to start."""
    return bus().send("mmi.service", [service]) == [MDP.T_OK]


def actions(service: str, names: Collection[str]) -> Actions:
    """The actions of a service, by name; ``""`` for one that has only arguments.

    Asking a server for them starts it if it does not run.

    Args:
        service: its full name.
        names: those of all services on the bus.
    """
    if service in PLAIN:
        return {"": PLAIN[service]}
    if service == STORE:
        return STORE_ACTIONS
    match = SERVICE.fullmatch(service)
    teller = "" if match is None else f"{match['host']}.{match['server']}.mmi"
    if match is None or teller not in names:
        return {}
    try:
        listed = bus().json(teller, "actions", timeout_s=TELL_S)
    except Refused:
        # A server of another make, which does not tell.
        return {}
    found = listed.get(match["suffix"]) if isinstance(listed, dict) else None
    return {name: _told(one) for name, one in found.items()} if isinstance(found, dict) else {}
