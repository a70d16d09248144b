# SPDX-License-Identifier: GPL-3.0-or-later
"""What a route of the JSON interface is, and how its parameters are checked.

One declaration serves three: the URL that Flask knows, the check of what came, and the OpenAPI document.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, NoReturn

from flask import abort, request

TEXT_MAX = 256
"""The longest text that a parameter may be, if it does not say more, in characters."""

BODY_MAX = 256 << 10
"""The largest body, in bytes."""

Schema = Mapping[str, Any]


@dataclass(frozen=True)
class Parameter:
    """One value that a caller gives.

    Args:
        name: its name in the path, the query or the body.
        kind: ``string``, ``integer``, ``number``, ``object``, or ``any`` (whatever JSON can hold).
        info: what it is, for a person.
        where: ``path``, ``query`` or ``body`` (a member of the JSON object that is sent).
        required: whether it has to be there; what is in the path always has.
        minimum, maximum: bounds of a number; of a string, its length.
        choices: the only values; empty for any.
        pattern: a regular expression that the whole of a string matches; empty for any.
    """

    name: str
    kind: str
    info: str
    where: str = "query"
    required: bool = False
    minimum: float | None = None
    maximum: float | None = None
    choices: tuple[str, ...] = ()
    pattern: str = ""

    def schema(self) -> dict[str, Any]:
        """As JSON Schema."""
        found: dict[str, Any] = {} if self.kind == "any" else {"type": self.kind}
        if self.kind == "string":
            found |= {"minLength": int(self.minimum or 0), "maxLength": int(self.maximum or TEXT_MAX)}
        else:
            named = {"minimum": self.minimum, "maximum": self.maximum}
            found |= {name: bound for name, bound in named.items() if bound is not None}
        if self.choices:
            found["enum"] = list(self.choices)
        if self.pattern:
            found["pattern"] = f"^(?:{self.pattern})$"
        return found

    def read(self, text: str) -> Any:
        """A value that came as text, in the path or the query.

        Raises:
            ValueError: it is not what was declared.
        """
        if self.kind == "string":
            return self.check(text)
        return self.check(float(text) if re.fullmatch(r"-?[0-9]{1,15}(\.[0-9]{1,9})?", text) else None)

    def check(self, value: Any) -> Any:
        """A value that came as JSON.

        Raises:
            ValueError: it is not what was declared; the text says what would be.
        """
        if self.kind == "any":
            return value
        if self.kind == "object":
            if not isinstance(value, dict):
                raise ValueError("must be a JSON object")
            return value
        return self._string(value) if self.kind == "string" else self._figure(value)

    def _string(self, value: Any) -> str:
        least, most = int(self.minimum or 0), int(self.maximum or TEXT_MAX)
        if not isinstance(value, str) or not least <= len(value) <= most:
            raise ValueError(f"must be a text of {least} to {most} characters")
        if self.choices and value not in self.choices:
            raise ValueError(f"must be one of {', '.join(self.choices)}")
        if self.pattern and not re.fullmatch(self.pattern, value):
            raise ValueError(f"must look like {self.pattern}")
        return value

    def _figure(self, value: Any) -> float | int:
        low = -math.inf if self.minimum is None else self.minimum
        high = math.inf if self.maximum is None else self.maximum
        good = isinstance(value, (int, float)) and not isinstance(value, bool) and low <= value <= high
        if self.kind == "integer":
            good = good and value == value // 1
        if not good:
            kind = "a whole number" if self.kind == "integer" else "a number"
            raise ValueError(f"must be {kind} from {low:g} to {high:g}")
        return int(value) if self.kind == "integer" else float(value)


@dataclass(frozen=True)
class Route:
    """One thing that a program may ask.

    Args:
        method: of HTTP.
        path: below ``/api/v1``, with ``{name}`` for what stands in it.
        role: the least that the caller must be: ``viewer``, ``operator``, ``admin``.
        tag: the group in which it stands.
        info: what it does, in one sentence.
        handler: gets what was given by name, and returns what is sent as JSON.
        answer: the JSON Schema of that.
        parameters: what may be given.
    """

    method: str
    path: str
    role: str
    tag: str
    info: str
    handler: Callable[..., Any]
    answer: Schema
    parameters: tuple[Parameter, ...] = ()

    @property
    def name(self) -> str:
        """Unique among all: ``get_devices_host_server_device``."""
        return self.method.lower() + re.sub(r"\W+", "_", self.path).rstrip("_")

    def of(self, where: str) -> tuple[Parameter, ...]:
        """The parameters of one place."""
        return tuple(parameter for parameter in self.parameters if parameter.where == where)

    def read(self, path: Mapping[str, str]) -> dict[str, Any]:
        """What the request at hand gives, checked; a 400 that says what is wrong."""
        values: dict[str, Any] = {}
        for parameter in self.of("path"):
            values[parameter.name] = _checked(parameter, parameter.read, path[parameter.name])
        _only(self.of("query"), request.args, "the query")
        for parameter in self.of("query"):
            given = request.args.getlist(parameter.name)
            if len(given) > 1:
                wrong(f"{parameter.name}: stands in the query {len(given)} times")
            if given:
                values[parameter.name] = _checked(parameter, parameter.read, given[0])
            elif parameter.required:
                wrong(f"{parameter.name}: is missing in the query")
        return values | self._body()

    def _body(self) -> dict[str, Any]:
        wanted = self.of("body")
        if (request.content_length or 0) > BODY_MAX:
            abort(413, f"the body may have at most {BODY_MAX} bytes")
        text = request.get_data()
        if not wanted:
            if text:
                wrong(f"{self.method} {self.path} takes no body")
            return {}
        body = _json_object(text)
        _only(wanted, body, "the body")
        missing = [
            parameter.name for parameter in wanted if parameter.required and parameter.name not in body
        ]
        if missing:
            wrong(f"{missing[0]}: is missing in the body")
        return {
            parameter.name: _checked(parameter, parameter.check, body[parameter.name])
            for parameter in wanted
            if parameter.name in body
        }


def wrong(why: str) -> NoReturn:
    """End the request: what was sent can't be used."""
    abort(400, why)


def _json_object(text: bytes) -> dict[str, Any]:
    def constant(name: str) -> NoReturn:
        raise ValueError(name)

    try:
        body = json.loads(text or b"{}", parse_constant=constant)
    except (ValueError, RecursionError):
        wrong("the body must be JSON, in UTF-8")
    if not isinstance(body, dict):
        wrong("the body must be a JSON object")
    return body


def _only(wanted: tuple[Parameter, ...], given: Mapping[str, Any], where: str) -> None:
    allowed = [parameter.name for parameter in wanted]
    for name in given:
        if name not in allowed:
            wrong(f"{name[:40]!r} is not known; {where} may have: {', '.join(allowed) or 'nothing'}")


def _checked(parameter: Parameter, check: Callable[[Any], Any], given: Any) -> Any:
    try:
        return check(given)
    except ValueError as error:
        wrong(f"{parameter.name}: {error}")
