# SPDX-License-Identifier: GPL-3.0-or-later
"""What all verbs have in common: how they are found, and the options that each of them takes.

The options stand before or after the verb, as people write them: ``raspyctl --json devices`` and
``raspyctl devices list --json`` are the same. A verb of several actions is a `Family`; without an action it
does the first that was declared, its list.
"""

from __future__ import annotations

import importlib
import inspect
import os
import re
from collections.abc import Callable
from typing import Any

import click

import raspy
from raspy.ctl.errors import nearest
from raspy.ctl.session import Session

FOLDER = os.path.join(os.path.dirname(__file__), "verbs")
PACKAGE = "raspy.ctl.verbs"
# A negative number.
_NUMBER = re.compile(r"-\.?\d")
CONTEXT = {"help_option_names": ["-h", "--help"], "max_content_width": 110}


def _keep(ctx: click.Context, parameter: click.Parameter, value: Any) -> Any:
    if value is not None and value is not False:
        setattr(ctx.ensure_object(Session), parameter.name or "", value)
    return value


def _hosts(ctx: click.Context, _parameter: click.Parameter, incomplete: str) -> list[str]:
    from raspy.ctl.complete import known_hosts

    return known_hosts(incomplete)


def common_options() -> list[click.Parameter]:
    """The options that each verb takes, fresh for each."""
    option: Callable[..., click.Option] = click.Option
    return [
        option(["--json", "as_json"], is_flag=True, expose_value=False, callback=_keep,
               help="Print JSON for scripts."),
        option(["--broker"], metavar="URL", expose_value=False, callback=_keep,
               help="The broker: ipc://FOLDER or tcp://HOST:PORT.  [env: RASPY_BROKER]"),
        option(["--host"], metavar="NAME", expose_value=False, callback=_keep, shell_complete=_hosts,
               help="Another machine, NAME or NAME:PORT, that has authorized your key (raspyctl key)."),
        option(["--host-key"], metavar="KEY", expose_value=False, callback=_keep,
               help="The public key of that machine; it is kept, so once is enough."),
        option(["--timeout", "timeout_s"], metavar="SECONDS", type=click.FloatRange(0.1, 3600),
               expose_value=False, callback=_keep, help="How long to wait for an answer.  [default: 5]"),
    ]  # fmt: skip


class Verb(click.Command):
    """A verb, or an action of one: a command that takes the common options."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **{"context_settings": CONTEXT, **kwargs})
        self.params += common_options()

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """As usual, but a negative number is a value and no option."""
        ctx.ignore_unknown_options = True
        self._check_options(ctx, args)
        return super().parse_args(ctx, args)

    def _check_options(self, ctx: click.Context, args: list[str]) -> None:
        """Refuse what looks like an option and is none.

        Raises:
            NoSuchOption: with those that were perhaps meant.
        """
        known = {name: option for option in self.get_params(ctx) for name in option.opts}
        skip = False
        for word in args:
            if word == "--":
                return
            if skip or word == "-" or not word.startswith("-") or _NUMBER.match(word):
                skip = False
                continue
            name = word.partition("=")[0] if word.startswith("--") else word[:2]
            option = known.get(name)
            if option is None:
                raise click.NoSuchOption(name, possibilities=nearest(name, known), ctx=ctx)
            takes_value = isinstance(option, click.Option) and not option.is_flag and name == word
            skip = takes_value and name not in ctx.help_option_names


class Family(click.Group):
    """A verb with several actions; without one of them it does the first that was declared."""

    command_class = Verb

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        fixed = {"context_settings": CONTEXT, "invoke_without_command": True, "callback": self._by_itself}
        super().__init__(*args, **{**kwargs, **fixed})
        self.params += common_options()
        self._first = ""
        self.subcommand_metavar = "[ACTION] [ARGS]..."

    def add_command(self, cmd: click.Command, name: str | None = None) -> None:
        super().add_command(cmd, name)
        self._first = self._first or name or cmd.name or ""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """In the order of their declaration, which is that of their use."""
        return list(self.commands)

    def _by_itself(self, **_parameters: Any) -> Any:
        """Do the first action when none is given."""
        ctx = click.get_current_context()
        if ctx.invoked_subcommand is not None:
            return None
        command = self.commands[self._first]
        with command.make_context(self._first, [], parent=ctx) as inner:
            return command.invoke(inner)

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """The action; a word that is none is what the first action is asked about, as ``devices fake``."""
        first = self.commands[self._first]
        word = args[0]
        takes_words = any(isinstance(parameter, click.Argument) for parameter in first.params)
        if takes_words and word not in self.commands and not nearest(word, self.commands):
            return self._first, first, args
        _check_word(self, ctx, word, "action")
        return super().resolve_command(ctx, args)


class Verbs(click.Group):
    """All verbs, each found by the name of its file and imported when it is needed."""

    def __init__(self) -> None:
        super().__init__(
            "raspyctl",
            context_settings=CONTEXT,
            help=HELP,
            params=[*common_options()],
            subcommand_metavar="VERB [ARGS]...",
        )
        click.version_option(raspy.__version__, message="RasPy %(version)s")(self)

    def list_commands(self, ctx: click.Context) -> list[str]:
        """The names of the files."""
        files = (os.path.splitext(file) for file in os.listdir(FOLDER))
        return sorted(name for name, extension in files if extension == ".py" and not name.startswith("_"))

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import one; the name is one of the files', so nothing else can be asked for."""
        if cmd_name not in self.list_commands(ctx):
            return None
        command = importlib.import_module(f"{PACKAGE}.{cmd_name}").command
        assert isinstance(command, click.Command)
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        _check_word(self, ctx, args[0], "verb")
        return super().resolve_command(ctx, args)


def _check_word(group: click.Group, ctx: click.Context, word: str, what: str) -> None:
    there = group.list_commands(ctx)
    if word in there:
        return
    near = nearest(word, there, 2)
    hint = f"did you mean {' or '.join(near)}?" if near else f"there are: {', '.join(there)}"
    raise click.UsageError(f"there is no {what} {word!r}; {hint}", ctx)


def verb(name: str) -> Callable[[Callable[..., Any]], click.Command]:
    """Make a function a verb without actions: ``@verb("status")``."""
    return click.command(name, cls=Verb)


def family(name: str) -> Callable[[Callable[..., Any]], Family]:
    """Make a function a verb of several actions, which are added with ``@command.command("list")``.

    The function itself is never called; its docstring is the help.
    """

    def decorate(function: Callable[..., Any]) -> Family:
        return Family(name, help=inspect.getdoc(function))

    return decorate


HELP = """See and steer RasPy: this machine's, or another one's with --host.

Devices are called HOST/SERVER/DEVICE, and by the shortest part of that which is clear: tank, or fake/tank.

\b
  raspyctl status                  how everything is, problems first
  raspyctl get tank                a value
  raspyctl set heater on --hold 60
  raspyctl watch                   all values, live

Exit status: 0 done, 1 error, 2 wrong command line, 3 not found, 4 no broker."""
