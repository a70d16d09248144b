# SPDX-License-Identifier: GPL-3.0-or-later
"""The generated reference: all that the code declares is described, and stands on the pages."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator

import click
import pytest

from raspy.common import MDP, config
from tests.docs import pages

sys.path.insert(0, str(pages.EXTENSIONS))

from raspy_reference import commands, docstring, options, services

SERVICES = services.all_services()


@pytest.mark.parametrize("service", SERVICES)
def test_every_action_says_what_it_does(service: str) -> None:
    text = "\n".join(services.markdown(service))
    for name, handler in SERVICES[service].items():
        action = docstring.read(handler)
        assert f"`{action.request}`\n:   " in text
        if not service.startswith("titanic.") or service == "titanic.store":
            assert action.request.split()[0] == name, f"{service}: the docstring of {name} is that of another"


def test_an_action_without_text_is_refused() -> None:
    def undescribed() -> None:
        """``remove NAME``."""

    def unnamed() -> None:
        """Removes it."""

    for handler, reason in ((undescribed, "does not say what"), (unnamed, "begins with its request")):
        with pytest.raises(ValueError, match=reason):
            docstring.read(handler)


def test_what_is_refused_stands_with_its_status() -> None:
    def action() -> None:
        """Action ``add NAME``: add it.

        It is kept.

        Args:
            name: of two
                lines.

        Returns:
            its name.

        Raises:
            ClientError: it is wrong.
            NotFoundError, ServerError: it is gone.
        """

    read = docstring.read(action)
    assert read.text == ["Add it.", "It is kept."]
    assert read.parts == [("`name`", "Of two lines."), ("The reply", "Its name.")]
    assert read.refusals == [("400", "It is wrong."), ("404", "It is gone."), ("500", "It is gone.")]


def test_the_statuses_of_the_errors_are_those_of_the_protocol() -> None:
    for name in ("ClientError", "NotFoundError", "ServerError"):
        assert getattr(MDP, name).status.decode() == docstring.STATUS[name]
    table = pages.read("bus.md")
    for name, status in vars(MDP).items():
        if name.startswith("T_"):
            assert f"\n| {status.decode()} |" in table, f"{name} is not in the table of docs/bus.md"


def test_every_service_has_its_place_in_the_chapter() -> None:
    found = re.findall(r"### `(.+)`\n[^#]*```\{raspy-service\} (.+)\n```", pages.read("protocols.md"))
    assert sorted(directive for _, directive in found) == sorted(SERVICES)
    for service in ("mmi.service", "mmi.discovery", "mmi.workers"):
        assert f"### `{service}`\n" in pages.read("protocols.md")
    for heading, directive in found:
        assert heading == (directive if directive.startswith("titanic.") else f"HOST.{directive}")


def sections() -> Iterator[str]:
    yield config.COMMON_SECTION
    yield from services.servers()


@pytest.mark.parametrize("section", sections())
def test_every_key_of_the_configuration_is_described(section: str) -> None:
    assert f"```{{raspy-options}} {section}\n" in pages.read("man/raspy.conf.5.md")
    text = "\n".join(options.section(section))
    for option in options.settings(section):
        assert f"`{option.name}`\n:   " in text
        assert len(option.info.split()) > 1, f"[{section}] {option.name} says nothing of itself"


def test_defaults_are_words() -> None:
    assert options.shown(32 << 20, in_bytes=True) == "; the default is `33554432` (32 MiB)"
    assert options.shown(64 << 10, in_bytes=True) == "; the default is `65536` (64 KiB)"
    shown = [options.shown(value) for value in (None, "", [], True, False, ["/mnt", "/media"], 3.5, 604800.0)]
    assert shown == [
        *["; not set by default"] * 3, "; the default is `yes`", "; the default is `no`",
        "; the default is `/mnt, /media`", "; the default is `3.5`", "; the default is `604800`",
    ]  # fmt: skip


@pytest.mark.parametrize("server", services.servers())
def test_every_daemon_has_a_man_page(server: str) -> None:
    page = pages.read(f"man/raspy-{server}.8.md")
    assert page.startswith(f"# raspy-{server}(8): ")
    assert f"```{{raspy-arguments}} {server}\n" in page and f"```{{raspy-options}} {server}\n" in page
    assert f"(raspy-{server}.8.md)" in pages.read("man/raspy.7.md")
    assert "`--set KEY=VALUE`" in "\n".join(options.arguments(server))


@pytest.mark.parametrize("verb", commands.verbs())
def test_every_verb_says_what_it_does_and_takes(verb: str) -> None:
    text = "\n".join(commands.verb(verb))
    assert f"raspyctl {verb}" in text
    assert f"### {verb}\n" in "\n".join(commands.markdown("verbs"))


def test_a_command_without_help_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(commands, "verbs", lambda: {"mute": click.Command("mute")})
    with pytest.raises(ValueError, match="raspyctl mute does not say"):
        list(commands.verb("mute"))
    silent = click.Command("mute", help="Say nothing.", params=[click.Option(["--loud"])])
    monkeypatch.setattr(commands, "verbs", lambda: {"mute": silent})
    with pytest.raises(ValueError, match="--loud"):
        list(commands.verb("mute"))
