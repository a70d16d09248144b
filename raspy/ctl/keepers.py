# SPDX-License-Identifier: GPL-3.0-or-later
"""What servers keep by name: cron jobs, scenarios, sync jobs; on one machine or on several.

A name is ``NAME``, or ``HOST/NAME`` where several machines have one.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, NamedTuple

import click

from raspy.ctl.errors import NotFound, WrongUse, missing

if TYPE_CHECKING:
    from raspy.ctl.connection import Bus


class Place(NamedTuple):
    """Where something is kept.

    Args:
        host: the machine.
        name: its name there.
    """

    host: str
    name: str

    @property
    def path(self) -> str:
        """``HOST/NAME``."""
        return "/".join(self)


class Keeper(NamedTuple):
    """A service that keeps things by name.

    Args:
        what: what they are, for sentences: ``"cron job"``.
        server: whose service it is.
        suffix: the service that lists them.
    """

    what: str
    server: str
    suffix: str

    def service(self, host: str, suffix: str = "") -> str:
        """The service of a machine, the one that lists them or another one of the same server."""
        return f"{host}.{self.server}.{suffix or self.suffix}"

    def hosts(self, bus: Bus) -> list[str]:
        """The machines that have it.

        Raises:
            NotFound: none has.
        """
        end = f".{self.server}"
        found = [server.removesuffix(end) for server in bus.servers() if server.endswith(end)]
        if not found:
            raise NotFound(f"no machine on this bus has the server {self.server}; see: raspyctl status")
        return found

    def listed(self, bus: Bus) -> dict[str, dict[str, Any]]:
        """All of them with what is known of each, by ``HOST/NAME``."""
        found: dict[str, dict[str, Any]] = {}
        for host in self.hosts(bus):
            for name, one in sorted(bus.json(self.service(host), "list").items()):
                found[f"{host}/{name}"] = one
        return found

    def places(self, bus: Bus) -> list[Place]:
        """All of them."""
        return [
            Place(host, name)
            for host in self.hosts(bus)
            for name in bus.names(self.service(host), "list_keys")
        ]

    def find(self, bus: Bus, text: str) -> Place:
        """The one that *text* means.

        Raises:
            NotFound: there is none.
            WrongUse: there are several.
        """
        places = self.places(bus)
        found = [place for place in places if text in (place.path, place.name)]
        if not found:
            raise missing(self.what, text, (place.name for place in places))
        if len(found) > 1:
            raise WrongUse(f"{text!r} can mean several: {', '.join(place.path for place in found)}")
        return found[0]

    def room(self, bus: Bus, text: str) -> Place:
        """Where a new one is to be kept.

        Raises:
            NotFound: no machine can, or not that one.
            WrongUse: several can, and none is said.
        """
        hosts = self.hosts(bus)
        host, slash, name = text.rpartition("/")
        if slash and host not in hosts:
            raise missing("machine", host, hosts)
        if not slash and len(hosts) > 1:
            choices = " or ".join(f"{one}/{text}" for one in hosts)
            raise WrongUse(f"{', '.join(hosts)} all have the server {self.server}: write {choices}")
        return Place(host if slash else hosts[0], name)

    @property
    def complete(self) -> Callable[[click.Context, click.Parameter, str], list[str]]:
        """What completes the name of one."""

        def completed(ctx: click.Context, _parameter: click.Parameter, incomplete: str) -> list[str]:
            from raspy.ctl.complete import ask, fitting, forms

            def question(bus: Bus) -> list[str]:
                places = self.places(bus)
                return [form for place in places for form in forms(place, places)]

            return fitting(incomplete, ask(ctx, question))

        return completed


CRON = Keeper("cron job", "core", "cron")
SCENARIOS = Keeper("scenario", "core", "scenarios")
SYNC = Keeper("sync job", "sync", "sync")
GRAPHS = Keeper("graph", "logger", "graph")
LOGS = Keeper("log", "logger", "log")


def shown(path: str, paths: dict[str, Any]) -> str:
    """A path as it is shown: without the machine where there is only one."""
    hosts = {one.partition("/")[0] for one in paths}
    return path if len(hosts) > 1 else path.partition("/")[2]
