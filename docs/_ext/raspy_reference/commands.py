# SPDX-License-Identifier: GPL-3.0-or-later
"""raspyctl's command line, from its declarations."""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterator

import click

from raspy.ctl.frame import Verbs, common_options

# What every verb takes, described once.
COMMON = tuple(option.name for option in common_options())


def verbs() -> dict[str, click.Command]:
    """All verbs by name."""
    group = Verbs()
    found = {
        name: group.get_command(click.Context(group), name)
        for name in group.list_commands(click.Context(group))
    }
    return {name: command for name, command in found.items() if command is not None}


def markdown(part: str) -> Iterator[str]:
    """The part of the reference: ``verbs`` or ``options``."""
    yield from {"verbs": reference, "options": common}[part]()


def common() -> Iterator[str]:
    """The options that every verb takes, as a list of definitions."""
    for option in common_options():
        if isinstance(option, click.Option):
            yield from _option(option)
    yield "`--version`\n:   Show the version and end.\n"
    yield "`-h`, `--help`\n:   Show what a verb does and takes, and end.\n"


def reference() -> Iterator[str]:
    """All verbs, each with a heading."""
    for name in verbs():
        yield f"### {name}\n"
        yield from verb(name)


def verb(name: str) -> Iterator[str]:
    """A verb with its actions, arguments and options, as a list of definitions.

    Raises:
        ValueError: there is no such verb, or it does not say what it does.
    """
    command = verbs().get(name)
    if command is None:
        raise ValueError(f"raspyctl has no verb {name!r}; it has: {', '.join(verbs())}")
    if isinstance(command, click.Group):
        text, *examples = _paragraphs(command, name)
        for block in (text, *examples):
            yield f"{block}\n"
        context = click.Context(command)
        for action in command.list_commands(context):
            found = command.get_command(context, action)
            assert found is not None
            yield from _definition(found, f"{name} {action}")
    else:
        yield from _definition(command, name)


def _definition(command: click.Command, path: str) -> Iterator[str]:
    arguments = [
        argument.make_metavar() for argument in command.params if isinstance(argument, click.Argument)
    ]
    options = [
        option for option in command.params if isinstance(option, click.Option) and option.name not in COMMON
    ]
    yield f"`raspyctl {' '.join([path, *arguments])}{' [OPTIONS]' if options else ''}`"
    first, *more = _paragraphs(command, path)
    yield f":   {first}\n"
    for block in more:
        yield "\n".join(f"    {line}".rstrip() for line in block.splitlines()) + "\n"
    for option in options:
        yield from (f"    {line}".rstrip() for text in _option(option) for line in text.splitlines())
        yield ""


def _option(option: click.Option) -> Iterator[str]:
    context = click.Context(click.Command("raspyctl"))
    record = option.get_help_record(context)
    assert record is not None, f"{option.name} has no help"
    usage, text = record
    if not text.strip():
        raise ValueError(f"the option {usage} says nothing of itself")
    yield f"`{usage}`\n:   {_sentence(text)}\n"


def _paragraphs(command: click.Command, path: str) -> list[str]:
    """What a command says of itself, as Markdown: paragraphs, and blocks of examples as they are."""
    text = inspect.cleandoc(command.help or "")
    if not text:
        raise ValueError(f"raspyctl {path} does not say what it does")
    found = []
    for block in re.split(r"\n\n+", text):
        lines = block.splitlines()
        if lines[0] == "\b":
            found.append("```text\n" + "\n".join(line.removeprefix("  ") for line in lines[1:]) + "\n```\n")
        else:
            found.append(_escaped(" ".join(block.split())))
    return found


def _sentence(text: str) -> str:
    # click puts two spaces before what it adds itself: [default: 5]
    flowing = _escaped(" ".join(text.split()))
    return flowing if flowing.endswith((".", "]")) else flowing + "."


def _escaped(text: str) -> str:
    """Text as it is meant, where Markdown would see marks."""
    return re.sub(r"([\[\]*_<>`])", r"\\\1", text)
