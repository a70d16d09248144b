# SPDX-License-Identifier: GPL-3.0-or-later
"""The services and their actions, from the code that serves them.

A server serves ``HOST.NAME.SUFFIX`` in its method ``worker_SUFFIX`` by calling ``serve`` with a table, action
to handler. The table is found in the source (nothing is started), the text in the handlers' docstrings.
"""

from __future__ import annotations

import ast
import importlib
import inspect
import textwrap
from collections.abc import Callable, Iterator, Mapping
from types import ModuleType
from typing import Any

from raspy.common.config import SECTIONS
from raspy.common.executive import Executive
from raspy_reference import docstring

Handlers = dict[str, Callable[..., object]]

# All servers have these two, and all device servers the third; they are documented once.
OF_EVERY_SERVER = ("mmi", "statistics")
OF_DEVICE_SERVERS = ("devices",)


def server(name: str) -> type[Executive]:
    """The class of a server.

    Args:
        name: its name, which is that of its module.
    """
    module = importlib.import_module("raspyweb.server" if name == "web" else f"raspy.servers.{name}")
    for found in (getattr(module, public) for public in getattr(module, "__all__", dir(module))):
        if inspect.isclass(found) and issubclass(found, Executive) and vars(found).get("SERVICE") == name:
            return found
    raise ValueError(f"{module.__name__} has no class with SERVICE = {name!r}")


def servers() -> list[str]:
    """The names of the servers there are."""
    return list(SECTIONS)


def tables(cls: type) -> dict[str, Handlers]:
    """The services that the ``worker_SUFFIX`` methods of a class serve: handler by action, by suffix."""
    found = {}
    for name, method in inspect.getmembers(cls, inspect.isfunction):
        if name.startswith("worker_"):
            for call in _calls_of_serve(method):
                suffix = ast.literal_eval(call.args[0])
                found[suffix] = _handlers(call.args[1], cls, inspect.getmodule(method))
    return found


def titanic() -> dict[str, Handlers]:
    """The services of titanic: one request each, but for the store."""
    from raspy.servers.titanic.desk import Desk
    from raspy.servers.titanic.keyvalue import KeyValueStore

    single: dict[str, Handlers] = {
        name: {name: getattr(Desk, name)} for name in ("request", "submit", "reply", "close")
    }
    return {**single, "store": _table_of(KeyValueStore.__init__, KeyValueStore)}


def all_services() -> dict[str, Handlers]:
    """Every service, by ``SERVER.SUFFIX`` (``titanic.SUFFIX`` is its whole name on the bus).

    Those of every server are ``NAME.mmi`` and ``NAME.statistics``; of every device server ``NAME.devices``.
    """
    found: dict[str, Handlers] = {}
    for name in servers():
        for suffix, handlers in tables(server(name)).items():
            shared = suffix in (*OF_EVERY_SERVER, *OF_DEVICE_SERVERS)
            found[f"NAME.{suffix}" if shared else f"{name}.{suffix}"] = handlers
    return {**found, **{f"titanic.{suffix}": handlers for suffix, handlers in titanic().items()}}


def markdown(service: str) -> Iterator[str]:
    """The actions of a service as a list of definitions.

    Raises:
        ValueError: there is no such service, or one of its actions is not described.
    """
    found = all_services()
    if service not in found:
        raise ValueError(f"there is no service {service!r}; there are: {', '.join(sorted(found))}")
    for handler in found[service].values():
        action = docstring.read(handler)
        yield f"`{action.request}`"
        first, *more = action.text
        yield f":   {first}"
        for paragraph in more:
            yield f"\n    {paragraph}"
        lines = [f"{name}: {text}" for name, text in action.parts]
        lines += [f"`{status}`: {reason}" for status, reason in action.refusals]
        if lines:
            yield ""
        for line in lines:
            yield f"    - {line}"
        yield ""


def _calls_of_serve(function: Callable[..., object]) -> Iterator[ast.Call]:
    """The calls of ``self.serve`` in a function."""
    for node in ast.walk(ast.parse(textwrap.dedent(inspect.getsource(function)))):
        if isinstance(node, ast.Call) and ast.unparse(node.func) == "self.serve":
            yield node


def _handlers(table: ast.expr, cls: type, module: ModuleType | None) -> Handlers:
    """The handlers that an expression stands for: a dict, ``self.X()``, or ``Class(...).X()``."""
    if isinstance(table, ast.Dict):
        return _read(table, cls)
    if isinstance(table, ast.Call) and isinstance(table.func, ast.Attribute):
        of, method = table.func.value, table.func.attr
        if isinstance(of, ast.Name) and of.id == "self":
            return _table_of(getattr(cls, method), cls)
        if isinstance(of, ast.Call) and isinstance(of.func, ast.Name):
            owner = vars(module)[of.func.id]
            return _table_of(getattr(owner, method), owner)
    raise ValueError(f"{cls.__name__}: can't read the table of actions {ast.unparse(table)}")


def _table_of(function: Callable[..., object], cls: type) -> Handlers:
    """The table that stands in a function."""
    tree = ast.parse(textwrap.dedent(inspect.getsource(function)))
    found = [node for node in ast.walk(tree) if isinstance(node, ast.Dict)]
    if len(found) != 1:
        raise ValueError(f"{function.__qualname__} has {len(found)} tables, not one")
    return _read(found[0], cls)


def _read(table: ast.Dict, cls: type) -> Handlers:
    members: Mapping[str, Any] = dict(inspect.getmembers(cls))
    handlers: Handlers = {}
    for key, value in zip(table.keys, table.values, strict=True):
        if key is None or not isinstance(value, ast.Attribute):
            raise ValueError(f"{cls.__name__}: can't read the action {ast.unparse(value)}")
        name = ast.literal_eval(key)
        handlers[name.decode() if isinstance(name, bytes) else name] = members[value.attr]
    return handlers
