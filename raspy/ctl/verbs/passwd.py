# SPDX-License-Identifier: GPL-3.0-or-later
"""``raspyctl passwd``: the dashboard's users and their API tokens."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import click

from raspy.ctl.errors import CtlError, missing
from raspy.ctl.frame import family
from raspy.ctl.output import Cell
from raspy.ctl.session import Session

if TYPE_CHECKING:
    from raspyweb.accounts import Accounts

ROLES = ("viewer", "operator", "admin")
SCOPES = ("read", "steer", "admin")


@family("passwd")
def command() -> None:
    """The dashboard's users, their passwords and API tokens. All of it counts at once.

    A password is asked for on a terminal; elsewhere it is the first line of standard input.

    \b
      sudo raspyctl passwd set anna              a new password for who forgot it
      sudo raspyctl passwd add guest --role viewer
    """


@contextmanager
def _accounts(session: Session) -> Iterator[Accounts]:
    """The accounts of the dashboard of this machine.

    Raises:
        CtlError: there is no dashboard, its accounts are not ours to change, or the change can't be made.
    """
    try:
        from raspyweb.accounts import AccountError, Accounts
    except ImportError:
        raise CtlError("the dashboard is not installed: apt install raspyweb") from None
    from raspy.ctl.place import as_owner_of, place

    folder = place(session).state / "web"
    try:
        with as_owner_of(folder):
            yield Accounts(folder)
    except AccountError as error:
        raise CtlError(str(error)) from error
    except OSError as error:
        raise CtlError(f"{error.filename}: {error.strerror}") from error


def _check(accounts: Accounts, name: str) -> None:
    if accounts.find(name) is None:
        raise missing("user", name, (user.name for user in accounts.users()))


def _password(name: str) -> str:
    if sys.stdin.isatty():
        password: str = click.prompt(
            f"Password for {name}", hide_input=True, confirmation_prompt="Again", err=True
        )
        return password
    return sys.stdin.readline().rstrip("\r\n")


def _complete(ctx: click.Context, _parameter: click.Parameter, incomplete: str) -> list[str]:
    try:
        with _accounts(ctx.obj) as accounts:
            return [user.name for user in accounts.users() if user.name.startswith(incomplete)]
    except CtlError:
        return []


NAME = click.argument("name", shell_complete=_complete)
ROLE = click.Choice(ROLES)


@command.command("list")
@click.pass_obj
def list_(session: Session) -> None:
    """List the users."""
    with _accounts(session) as accounts:
        users = [(user.name, user.role, len(accounts.tokens(user.name))) for user in accounts.users()]
    if session.as_json:
        session.print_json([{"name": name, "role": role, "tokens": tokens} for name, role, tokens in users])
        return
    rows = [(Cell(name, "strong"), role, str(tokens)) for name, role, tokens in users]
    session.table(("name", "role", "tokens"), rows, "No users yet; the first one is made on the first visit.")


@command.command()
@click.argument("name")
@click.option("--role", type=ROLE, default="operator", show_default=True, help="What the user may do.")
@click.pass_obj
def add(session: Session, name: str, role: str) -> None:
    """Add a user: a viewer looks, an operator steers devices, an admin changes everything."""
    with _accounts(session) as accounts:
        if accounts.find(name) is not None:
            raise CtlError(
                f"there is a user {name} already; to change the password: raspyctl passwd set {name}"
            )
        accounts.add(name, role, _password(name))
    session.done(f"{name} is {'an' if role[0] in 'ao' else 'a'} {role} now.", {"name": name, "role": role})


@command.command("set")
@NAME
@click.pass_obj
def set_(session: Session, name: str) -> None:
    """Give a user a new password; whoever is logged in as that user is logged out."""
    with _accounts(session) as accounts:
        _check(accounts, name)
        accounts.set_password(name, _password(name))
    session.done(f"{name} has a new password.", name)


@command.command()
@NAME
@click.argument("role", type=ROLE)
@click.pass_obj
def role(session: Session, name: str, role: str) -> None:
    """Change what a user may do."""
    with _accounts(session) as accounts:
        _check(accounts, name)
        accounts.set_role(name, role)
    session.done(f"{name} is {'an' if role[0] in 'ao' else 'a'} {role} now.", {"name": name, "role": role})


@command.command()
@NAME
@click.pass_obj
def remove(session: Session, name: str) -> None:
    """Remove a user, with all tokens."""
    with _accounts(session) as accounts:
        _check(accounts, name)
        accounts.remove(name)
    session.done(f"{name} is removed.", name)


@command.command()
@NAME
@click.pass_obj
def tokens(session: Session, name: str) -> None:
    """List the API tokens of a user."""
    with _accounts(session) as accounts:
        _check(accounts, name)
        found = accounts.tokens(name)
    if session.as_json:
        session.print_json(found)
        return
    rows = [
        (
            Cell(one["id"], "strong"),
            one["scope"],
            time.strftime("%Y-%m-%d %H:%M", time.localtime(one["made"])),
            one["label"],
        )
        for one in found
    ]
    session.table(("id", "scope", "made", "what for"), rows, f"{name} has no tokens.")


@command.command()
@NAME
@click.argument("label")
@click.option("--scope", type=click.Choice(SCOPES), default="read", show_default=True, help="What it may do.")
@click.pass_obj
def token(session: Session, name: str, label: str, scope: str) -> None:
    """Make an API token for a user; LABEL says what it is for. It is shown this once."""
    with _accounts(session) as accounts:
        _check(accounts, name)
        text = accounts.add_token(name, label, scope)
    if session.as_json:
        session.print_json({"token": text, "scope": scope})
    else:
        session.say(text, "strong")


@command.command()
@NAME
@click.argument("token_id", metavar="ID")
@click.pass_obj
def revoke(session: Session, name: str, token_id: str) -> None:
    """Take an API token back; ID is what 'tokens' lists."""
    with _accounts(session) as accounts:
        _check(accounts, name)
        there = [one["id"] for one in accounts.tokens(name)]
        if token_id not in there:
            raise missing("token", token_id, there)
        accounts.remove_token(name, token_id)
    session.done(f"The token {token_id} counts no more.", token_id)
