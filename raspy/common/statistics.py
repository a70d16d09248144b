# SPDX-License-Identifier: GPL-3.0-or-later
"""Figures that a server keeps about itself, named by oid, served as ``HOST.NAME.statistics``."""

from __future__ import annotations

from typing import Any

from raspy.common.MDP import NotFoundError


class SNMP:
    """A statistic: a whole number that is set.

    Args:
        oid: its name, ``module.key``.
        doc: what it counts, with its unit, for a person.
        initial: its first value.

    Attributes:
        KIND: ``value``, ``counter`` (it only grows, so how fast is what matters) or ``text``.
    """

    KIND = "value"

    def __init__(
        self, oid: str = "module.snmp.key", doc: str = "A statistic integer value", initial: Any = 0
    ) -> None:
        self.oid = oid
        self.doc = doc
        self.value = initial

    def set(self, value: Any) -> None:
        """Replace the value."""
        self.value = int(value)

    def as_json(self) -> dict[str, Any]:
        """Oid, value, doc and kind, to send; of a counter also where it starts again from 0."""
        return {"oid": self.oid, "value": self.value, "doc": self.doc, "kind": self.KIND}


class SNMPCounter(SNMP):
    """A number that only grows, and starts again from 0 when it would reach *overflow* (SMIv2 Counter32)."""

    KIND = "counter"

    def __init__(
        self,
        oid: str = "module.snmp.key",
        doc: str = "A statistic counter value with overflow",
        initial: int = 0,
        overflow: int = 4294967296,
    ) -> None:
        super().__init__(oid, doc, initial)
        self.overflow = overflow

    def set(self, value: Any = 1) -> None:
        """Add *value* (default 1)."""
        self.value = (self.value + int(value)) % self.overflow

    def as_json(self) -> dict[str, Any]:
        """As above."""
        return {**super().as_json(), "overflow": self.overflow}


class SNMPFloat(SNMP):
    """A number with a fraction."""

    def __init__(
        self, oid: str = "module.snmp.key", doc: str = "A statistic float value", initial: float = 0.0
    ) -> None:
        super().__init__(oid, doc, initial)

    def set(self, value: Any) -> None:
        """Replace the value."""
        self.value = float(value)


class SNMPString(SNMP):
    """A text."""

    KIND = "text"

    def __init__(
        self, oid: str = "module.snmp.key", doc: str = "A statistic string value", initial: str = ""
    ) -> None:
        super().__init__(oid, doc, initial)

    def set(self, value: Any) -> None:
        """Replace the value."""
        self.value = str(value)


class Statistics:
    """The statistics of one server, by oid."""

    def __init__(self) -> None:
        self.statistics: dict[str, SNMP] = {}

    def add_statistic(self, statistic: SNMP) -> SNMP:
        """Keep *statistic* from now on.

        Returns:
            It, so that it can be made and kept in one line.

        Raises:
            ValueError: there is one with this oid.
        """
        if statistic.oid in self.statistics:
            raise ValueError(f"statistic {statistic.oid} is there already")
        self.statistics[statistic.oid] = statistic
        return statistic

    def remove_statistic(self, oid: str) -> None:
        """Forget the statistic *oid*; one that is not there is no error."""
        self.statistics.pop(oid, None)

    def update_statistic(self, oid: str = "", value: Any = 1) -> None:
        """Set the statistic *oid* to *value*; a counter adds it (default 1).

        Raises:
            KeyError: there is none with this oid.
        """
        self.statistics[oid].set(value)

    def statistics_list_keys(self) -> tuple[str, ...]:
        """Action ``list_keys``: the oids, a frame each."""
        return tuple(sorted(self.statistics))

    def statistics_all(self) -> dict[str, Any]:
        """Action ``all``: every statistic, by oid."""
        return {oid: statistic.as_json() for oid, statistic in sorted(self.statistics.items())}

    def statistics_get(self, oid: bytes) -> dict[str, Any]:
        """Action ``get OID``: one statistic.

        Raises:
            NotFoundError: there is none with this oid.
        """
        name = oid.decode(errors="replace")
        if name not in self.statistics:
            raise NotFoundError(f"no statistic {name!r}; 'list_keys' lists them")
        return self.statistics[name].as_json()
