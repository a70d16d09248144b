# SPDX-License-Identifier: GPL-3.0-or-later
"""What a kind of device declares, and what comes from it: the check of its JSON, and its form."""

from __future__ import annotations

import copy
import re
from collections.abc import Mapping
from typing import Any, ClassVar

from raspy.common.devices.command import Command
from raspy.common.devices.field import Field, check_name, load_json, show
from raspy.common.MDP import ClientError

POLL_MIN_S = 0.1
POLL_MAX_S = 86400.0

OID = re.compile(r"[a-z0-9]+(\.[a-z0-9_]+)*(-[a-z0-9_]+)?")

KEYS = ("oid", "name", "poll", "log", "config")

NAME_FIELD = Field("name", "String", info="the device's name, unique in its server", required=True)
POLL_FIELD = Field(
    "poll", "Float", 0.0, "how often it is read; 0 not at all", unit="s", minimum=-1, maximum=POLL_MAX_S
)
LOG_FIELD = Field("log", "Bool", False, "whether the logger keeps its values")


def read_object(json: Any, what: str) -> Mapping[str, Any]:
    """The object that JSON stands for.

    Args:
        json: JSON text, or the object.
        what: what it should be, for the sentence.

    Raises:
        ClientError: it is not JSON, or not an object.
    """
    given = load_json(json, what) if isinstance(json, (str, bytes)) else json
    if not isinstance(given, Mapping):
        raise ClientError(f"{what}: must be an object, not {show(given)}")
    return given


class Declaration:
    """What the class of a device says about its kind.

    Attributes:
        oid: the object identifier, ``category.device`` or ``category.device-part``.
        info: the kind in a sentence for a person.
        fields: what this class adds to the template; a subclass has its ancestors' as well, and one of
            the same name takes the ancestor's place.
        templates: by oid, that of the kind and of its ancestors: the fields by name.
        commands: by name; a subclass adds to its ancestors' in the same way.
        main: the name of the command that shows what the device is about; ``""`` if there is none.
        poll: how often it is read where nothing else is configured, in seconds; 0 not at all; -1 for a
            kind that can't be polled.
        log: whether the logger keeps its values where nothing else is configured.
    """

    oid = "base"
    info = "a device"
    fields: ClassVar[tuple[Field, ...]] = ()
    templates: ClassVar[Mapping[str, Mapping[str, Field]]] = {"base": {}}
    commands: dict[str, Command] = {}
    main = ""
    poll: float = -1
    log = False

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        if not OID.fullmatch(cls.oid):
            raise TypeError(f"{cls.__name__}.oid: {cls.oid!r} is not category.device or category.device-part")
        template: dict[str, Field] = {}
        commands: dict[str, Command] = {}
        templates: dict[str, Mapping[str, Field]] = {}
        # Nearest first: what is the kind's own stands before what all devices have, in forms and in lists.
        for base in cls.__mro__:
            own = vars(base)
            for field in own.get("fields", ()):
                template.setdefault(field.name, field)
            for name, command in own.get("commands", {}).items():
                command.name = name
                commands.setdefault(name, command)
            for oid, inherited in own.get("templates", {}).items():
                templates.setdefault(oid, inherited)
        cls.commands = commands
        cls.templates = {**templates, cls.oid: template}
        if cls.main and cls.main not in commands:
            raise TypeError(f"{cls.__name__}.main: there is no command {cls.main!r}")

    @classmethod
    def check(cls, json: Any = None) -> dict[str, Any]:
        """Check that the JSON is a valid device of this kind.

        Args:
            json: JSON text, or the object that it stands for.

        Returns:
            The object as it is kept: with the defaults of what was left out.

        Raises:
            ClientError: it is not; the sentence names the field and what is allowed.
        """
        given = read_object(json, "the device")
        for key in given:
            if key not in KEYS:
                raise ClientError(f"the device: {show(key)} is not known; allowed: {', '.join(KEYS)}")
        if given.get("oid", cls.oid) != cls.oid:
            raise ClientError(f"oid: must be {cls.oid!r}, not {show(given['oid'])}")
        config = dict(read_object(given.get("config", {}), "config"))
        # The name is a part of the configuration as well, where it comes from an object's.
        in_config = config.pop("name", None)
        name = check_name(given.get("name", in_config))
        if in_config not in (None, name):
            raise ClientError(f"config.name: {show(in_config)} is not the device's name, {show(name)}")
        checked = cls._check_fields(config)
        cls.check_config(checked)
        return {
            "oid": cls.oid,
            "name": name,
            "poll": cls.check_poll(given.get("poll", cls.poll)),
            "log": LOG_FIELD.check(given.get("log", cls.log)),
            "config": checked,
        }

    @classmethod
    def _check_fields(cls, config: Mapping[str, Any]) -> dict[str, Any]:
        template = cls.templates[cls.oid]
        for key in config:
            if key not in template:
                allowed = ", ".join(template) or "nothing"
                raise ClientError(f"config: {show(key)} is not known for {cls.oid}; allowed: {allowed}")
        checked: dict[str, Any] = {}
        for key, field in template.items():
            if key in config:
                checked[key] = field.check(config[key], f"config.{key}")
            elif field.required:
                raise ClientError(f"config.{key}: is missing; it must be {field.allowed()}")
            else:
                checked[key] = copy.copy(field.default)
        return checked

    @classmethod
    def check_config(cls, config: dict[str, Any]) -> None:
        """Check what concerns several fields at once. A subclass that overrides this calls it too.

        Args:
            config: the configuration; each field by itself is right.

        Raises:
            ClientError: they contradict each other.
        """

    @classmethod
    def check_poll(cls, poll: object) -> float:
        """The poll interval in seconds.

        Raises:
            ClientError: not -1, 0 or in range, or the kind can't be polled.
        """
        seconds = float(POLL_FIELD.check(poll))
        if seconds not in (-1, 0) and seconds < POLL_MIN_S:
            raise ClientError(
                f"poll: must be -1, 0, or from {POLL_MIN_S:g} to {POLL_MAX_S:g} s, not {show(poll)}"
            )
        if seconds > 0 and cls.poll == -1:
            raise ClientError(f"poll: {cls.oid} can't be polled, so it must be -1 or 0, not {show(poll)}")
        return seconds

    @classmethod
    def form(cls) -> list[dict[str, Any]]:
        """The description of an HTML form for a device of this kind; form.py reads what it sends.

        Returns:
            For each field: ``section`` (``""``, or ``config`` for a key of the configuration), ``name``,
            ``label``, ``type`` (of the HTML input, or ``json`` for a text area that holds JSON), ``unit``,
            ``min``, ``max``, ``step``, ``choices``, ``readonly``, ``required``, ``nullable`` (may be
            left empty), ``default``, ``help``. Nothing is escaped.
        """
        own = [NAME_FIELD.describe(), {**POLL_FIELD.describe(), "default": cls.poll}]
        own.append({**LOG_FIELD.describe(), "default": cls.log})
        described = [{"section": "", **field} for field in own]
        for field in cls.templates[cls.oid].values():
            described.append({"section": "config", **field.describe()})
        return described


