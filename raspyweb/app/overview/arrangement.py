# SPDX-License-Identifier: GPL-3.0-or-later
"""Which tiles a user has as favourites, in which groups, in which order; kept with the user's account."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from raspyweb.app.devices import Device, Server
from raspyweb.app.texts import _

PREFERENCE = "overview"
DEVICES_MAX = 1000
GROUP_MAX = 40
PLACE_MAX = 9999


class Section(NamedTuple):
    """Some tiles under a heading.

    Args:
        title: the heading.
        devices: in their order.
        server: the server that they are all of; None for favourites and groups of the user's.
    """

    title: str
    devices: list[Device]
    server: Server | None = None


class Arrangement:
    """What one user made of the overview.

    Args:
        kept: the preference, as ``to_json`` made it; what does not fit is left out.
    """

    def __init__(self, kept: object) -> None:
        given = kept if isinstance(kept, Mapping) else {}
        self.favourites = {str(one) for one in _list(given.get("favourites"))}
        groups = given.get("groups")
        self.groups = {str(k): str(v) for k, v in groups.items()} if isinstance(groups, Mapping) else {}
        places = given.get("places")
        found = places if isinstance(places, Mapping) else {}
        self.places = {str(k): v for k, v in found.items() if isinstance(v, int)}

    def to_json(self) -> dict[str, Any]:
        """What is kept."""
        return {"favourites": sorted(self.favourites), "groups": self.groups, "places": self.places}

    def toggle(self, ident: str) -> None:
        """Make a device a favourite, or not any more."""
        self.favourites ^= {ident}

    def take(self, sent: Mapping[str, str], idents: Iterable[str]) -> None:
        """Take over what the form of the page "Arrange" sent.

        Args:
            sent: ``favourite:ID``, ``group:ID`` and ``place:ID``.
            idents: the devices that the form had; others keep what they have.
        """
        for ident in list(idents)[:DEVICES_MAX]:
            self.favourites.discard(ident)
            if f"favourite:{ident}" in sent:
                self.favourites.add(ident)
            group = " ".join(sent.get(f"group:{ident}", "").split())[:GROUP_MAX]
            place = sent.get(f"place:{ident}", "").strip()
            for kept, value in ((self.groups, group), (self.places, _place(place))):
                kept.pop(ident, None)
                if value:
                    kept[ident] = value  # type: ignore[assignment]

    def sections(self, servers: Iterable[Server]) -> list[Section]:
        """The tiles by favourites, groups of the user's, and what is left by server."""
        favourites: list[Device] = []
        groups: dict[str, list[Device]] = {}
        rest: list[Section] = []
        for server in servers:
            left = []
            for device in server.devices:
                if device.id in self.favourites:
                    favourites.append(device)
                elif device.id in self.groups:
                    groups.setdefault(self.groups[device.id], []).append(device)
                else:
                    left.append(device)
            if left or server.trouble:
                rest.append(Section(server.name, self._ordered(left), server))
        named = [Section(name, self._ordered(devices)) for name, devices in sorted(groups.items())]
        first = [Section(_("Favourites"), self._ordered(favourites))] if favourites else []
        return [*first, *named, *rest]

    def _ordered(self, devices: list[Device]) -> list[Device]:
        return sorted(devices, key=lambda one: (self.places.get(one.id, PLACE_MAX), one.id))


def _list(given: object) -> list[object]:
    return given if isinstance(given, list) else []


def _place(text: str) -> int:
    return int(text) if text.isascii() and text.isdigit() and len(text) <= len(str(PLACE_MAX)) else 0
