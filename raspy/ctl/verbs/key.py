# SPDX-License-Identifier: GPL-3.0-or-later
"""``raspyctl key``: who may come in from other machines, and the keys that it takes."""

from __future__ import annotations

import re
import subprocess
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from raspy.ctl.errors import CtlError, WrongUse, missing
from raspy.ctl.frame import family
from raspy.ctl.output import Cell
from raspy.ctl.session import Session

if TYPE_CHECKING:
    from raspy.servers.broker.keyring import Client

SOCKET = "raspy-broker-tcp.socket"
BROKER = "raspy-broker.service"
# How long the broker may take to start again, in seconds.
RESTART_S = 30.0


@family("key")
def command() -> None:
    """Work from another machine: make a key, let it in, take it back.

    \b
      raspyctl key                                     on the desktop: make and show its key
      sudo raspyctl key authorize desktop 'KEY' --listen       on the Pi: let it in
      raspyctl --host pi --host-key 'KEY' devices      on the desktop; without --host-key from then on

    Each of the first two says what the next one is, with the keys in it.
    """


@command.command()
@click.pass_obj
def mine(session: Session) -> None:
    """Show your own key, made at the first time, and how to let it in."""
    from raspy.common import curve
    from raspy.common.config import default_hostname

    try:
        pair = curve.load_or_make(curve.user_key_file())
    except curve.KeyFault as error:
        raise CtlError(str(error)) from error
    if session.as_json:
        session.print_json({"public_key": pair.public, "file": str(curve.user_key_file())})
        return
    name = re.sub("[^A-Za-z0-9_-]", "-", default_hostname()).strip("-_") or "desktop"
    session.say(f"Your public key is {pair.public}")
    session.say("To let it in, on the machine that runs RasPy:")
    session.say(f"  sudo raspyctl key authorize {name} '{pair.public}' --listen", "strong")


@command.command()
@click.argument("name")
@click.argument("public_key", metavar="KEY")
@click.option(
    "--serve",
    metavar="HOST",
    default="",
    help="It may also run servers of HOST here: offer services HOST.* and publish /device/HOST/.",
)
@click.option(
    "--listen", is_flag=True, help="Open the TCP ports for those with a key, if they are not open yet."
)
@click.pass_obj
def authorize(session: Session, name: str, public_key: str, serve: str, listen: bool) -> None:  # fmt: skip
    """Let a machine in: NAME is what you call it, KEY what 'raspyctl key' shows there. It holds at once."""
    from raspy.common import durable
    from raspy.common.curve import is_key
    from raspy.servers.broker import keyring

    if not keyring.NAME.fullmatch(name):
        raise WrongUse(f"{name!r} can't be a name; letters, digits, '-' and '_' can, 63 at most")
    if not is_key(public_key):
        raise WrongUse(f"{public_key!r} is no key; a key has 40 characters; quote it like this: '...'")
    if serve and not keyring.NAME.fullmatch(serve):
        raise WrongUse(f"--serve {serve!r}: that is no name of a machine")
    folder = _folder(session)
    file = folder / f"{name}{keyring.SUFFIX}"
    if file.exists() and public_key not in file.read_text(errors="replace").split():
        raise CtlError(f"{name} has another key already; take that back first: raspyctl key revoke {name}")
    try:
        if not folder.exists():
            folder.mkdir(mode=0o755)
            folder.chmod(0o755)
        durable.replace(file, public_key + (f" serve={serve}" if serve else "") + "\n", mode=0o644)
    except PermissionError as error:
        raise CtlError(f"{file} can't be written: use sudo") from error
    except OSError as error:
        raise CtlError(f"{file} can't be written: {error.strerror}") from error
    about = _about(session)
    if listen and not about["remote"]:
        about = _listen(session)
    if session.as_json:
        session.print_json({"name": name, "file": str(file), **_seen(about)})
        return
    session.say(f"{name} may come in.", "good")
    _say_how(session, about)


def _say_how(session: Session, about: dict[str, Any]) -> None:
    """Say what to do on the other machine, or what is still to be done on this one."""
    if not about["remote"]:
        session.say("No TCP port is open yet. Open them with --listen, or by hand:")
        session.say(f"  sudo systemctl enable {SOCKET} && sudo systemctl restart {BROKER}", "strong")
        session.say("or for a stack in the foreground: python3 -m raspy --listen 'tcp://*:5514'")
        return
    port = str(about["remote"][0]).rpartition(":")[2]
    host = str(about["name"]).partition(".")[0] + ("" if port == "5514" else f":{port}")
    session.say("On the other machine, the first time (its name or address may be another one there):")
    session.say(f"  raspyctl --host {host} --host-key '{about['public_key']}' devices", "strong")


def _listen(session: Session) -> dict[str, Any]:
    """Open the TCP ports, and wait until the broker is there again.

    Raises:
        CtlError: systemd could not do it, or there is none.
    """
    from raspy.ctl import units
    from raspy.ctl.place import place

    if not units.available() or not place(session).installed:
        raise CtlError(
            "the key is let in, but this stack was started without --listen: stop it and start it again with"
            " python3 -m raspy --listen 'tcp://*:5514'"
        )
    # Starts that were asked for are no failures that add up to the limit of the unit.
    for words in (("enable", SOCKET), ("reset-failed", BROKER), ("restart", BROKER)):
        done = subprocess.run(["systemctl", *words], capture_output=True, timeout=RESTART_S, check=False)
        if done.returncode:
            reason = done.stderr.decode(errors="replace").strip() or f"status {done.returncode}"
            raise CtlError(f"the key is let in, but 'systemctl {' '.join(words)}' failed: {reason}")
    deadline = time.monotonic() + RESTART_S
    while True:
        session.close()
        try:
            about = _about(session)
            if about["remote"]:
                return about
        except CtlError:
            if time.monotonic() > deadline:
                raise
        if time.monotonic() > deadline:
            raise CtlError(f"the broker has not opened its TCP ports; see: journalctl -u {BROKER} -n 20")
        time.sleep(0.2)


@command.command("list")
@click.pass_obj
def list_(session: Session) -> None:
    """List who may come in."""
    clients, faults = _clients(_folder(session))
    for fault in faults:
        session.say(f"does not count: {fault}", "warn")
    if session.as_json:
        session.print_json([client._asdict() for client in clients])
        return
    rows = [(Cell(client.name, "strong"), client.key, client.serve or "-") for client in clients]
    session.table(("name", "key", "serves"), rows, "Nobody may come in from another machine.")


def _clients(folder: Path) -> tuple[list[Client], list[str]]:
    """Who may come in, and what is wrong with files that do not count."""
    from raspy.servers.broker import keyring

    clients, faults = [], []
    try:
        for file in sorted(folder.glob(f"*{keyring.SUFFIX}")):
            try:
                clients.append(keyring.parse(file.stem, file.read_text()[: keyring.MAX_FILE_BYTES]))
            except ValueError as error:
                faults.append(f"{file}: {error}")
    except OSError as error:
        raise CtlError(f"{error.filename}: can't be read: {error.strerror}") from error
    return clients, faults


def _complete(ctx: click.Context, _parameter: click.Parameter, incomplete: str) -> list[str]:
    try:
        clients, _ = _clients(_folder(ctx.obj))
    except CtlError:
        return []
    return [client.name for client in clients if client.name.startswith(incomplete)]


@command.command()
@click.argument("name", shell_complete=_complete)
@click.pass_obj
def revoke(session: Session, name: str) -> None:
    """Take a key back: no more connections, and those there are end at once."""
    folder = _folder(session)
    there = {file.stem: file for file in folder.glob("*.pub")}
    if name not in there:
        raise missing("key", name, there)
    try:
        there[name].unlink()
    except PermissionError as error:
        raise CtlError(f"{there[name]} can't be removed: use sudo") from error
    session.done(f"{name} may not come in any more.", name)


@command.command()
@click.pass_obj
def show(session: Session) -> None:
    """Show the public key of the broker, and where others come in."""
    about = _about(session)
    if session.as_json:
        session.print_json(_seen(about))
        return
    session.say(f"The broker's public key is {about['public_key']}")
    if about["remote"]:
        session.say(f"Those with a key come in at {' and '.join(about['remote'])}")
    _say_how(session, about)


@command.command()
@click.pass_obj
def ssh(session: Session) -> None:
    """Show the public ssh key that sync copies with, made at the first time.

    It goes into ~USER/.ssh/authorized_keys on the machine that is copied to.
    """
    from raspy.ctl.place import as_owner_of, place
    from raspy.servers.sync.keys import SshKeyError, make_key

    folder = place(session).state / "sync"
    try:
        with as_owner_of(folder):
            line = make_key(folder)
    except SshKeyError as error:
        raise CtlError(str(error)) from error
    except OSError as error:
        raise CtlError(f"{error.filename}: {error.strerror}: use sudo") from error
    if session.as_json:
        session.print_json({"public_key": line})
    else:
        session.write(line)


def _about(session: Session) -> dict[str, Any]:
    """What the broker tells of itself."""
    brokers = [name for name in session.bus.services() if name.endswith(".broker.mmi")]
    if not brokers:
        raise CtlError("this broker is not one of RasPy's; it has no keys")
    about: dict[str, Any] = session.bus.json(brokers[0], "info")
    if not about.get("public_key"):
        raise CtlError("the broker has no key: it could not write one; see: journalctl -u raspy-broker -n 20")
    return about


def _seen(about: dict[str, Any]) -> dict[str, Any]:
    return {name: about[name] for name in ("public_key", "remote", "authorized_keys")}


def _folder(session: Session) -> Path:
    """Where the broker has the keys of those who may come in.

    Raises:
        WrongUse: it is another machine's.
    """
    if not session.bus.target.address.is_local:
        raise WrongUse("who may come in is decided on the machine itself; run it there, by ssh for example")
    return Path(_about(session)["authorized_keys"])
