# SPDX-License-Identifier: GPL-3.0-or-later
"""RasPy itself: its configuration, units, servers, and who may read and write what."""

from __future__ import annotations

import importlib
import inspect
import os
import pwd
import stat
from collections.abc import Iterator
from pathlib import Path

from raspy.common import config, curve
from raspy.common.config import ConfigError, Option
from raspy.common.executive import Executive
from raspy.ctl import units
from raspy.ctl.checkup import Finding, good, problem, warning
from raspy.ctl.connection import Target
from raspy.ctl.errors import CtlError
from raspy.ctl.place import Place
from raspy.ctl.session import Session
from raspy.servers.broker import keyring

# Below the state folder: files that only their server may read.
SECRETS = ("broker/key", "sync/id_ed25519", "web/accounts.json", "web/secret_key", "web/first-visit-token")
USER = "raspy"
_OTHERS, _GROUP_AND_OTHERS = 0o007, 0o077


def findings(session: Session, place: Place, target: Target) -> Iterator[Finding]:
    """All of them."""
    yield from configuration(place)
    if place.installed and units.available():
        yield from services()
    yield from bus(session)
    yield from state(place)
    yield from secrets(place)
    yield from authorized(place)
    yield from own_key()
    if place.installed:
        yield from folder_of_the_bus(Path(target.address.folder))


def configuration(place: Place) -> Iterator[Finding]:
    """Every section of raspy.conf and conf.d, read as its server reads it."""
    file = (
        config.DEFAULT_FILE if place.configuration is None else place.configuration / config.DEFAULT_FILE.name
    )
    faults: list[str] = []
    for name in config.SECTIONS:
        try:
            config.load(name, _options(name), file if file.exists() else None)
        except ConfigError as error:
            if str(error) not in faults:
                faults.append(str(error))
                yield problem(str(error), str(file), f"mend it, then: systemctl restart raspy-{name}")
        except ImportError:
            # A server that is not installed: the dashboard is a package of its own.
            continue
    if faults:
        return
    yield good("the configuration can be read", str(file))
    settings = config.load(config.COMMON_SECTION, (), file if file.exists() else None)
    if settings.latitude is None or settings.longitude is None:
        todo = f"set latitude and longitude in [raspy] of {file}, if anything shall follow the sun"
        yield warning("nobody knows where the sun rises", str(file), todo)


def _options(name: str) -> tuple[Option, ...]:
    """The keys of a server's section."""
    module = importlib.import_module("raspyweb.server" if name == "web" else f"raspy.servers.{name}")
    for _, found in inspect.getmembers(module, inspect.isclass):
        if issubclass(found, Executive) and name == found.SERVICE:
            return found.SETTINGS
    raise ImportError(f"{module.__name__} has no server")


def services() -> Iterator[Finding]:
    """Units as systemd sees them."""
    found = units.all_units()
    wrong = [unit for unit in found if unit.problem]
    for unit in wrong:
        yield problem(unit.problem, unit.name, f"journalctl -x -u {unit.name} -n 50")
    if not found:
        yield problem("systemd has no units of RasPy", "systemctl", "apt install --reinstall raspy")
    elif not any(unit.active == "active" for unit in found):
        yield problem("nothing of RasPy runs", "raspy.target", "systemctl enable --now raspy.target")
    elif not wrong:
        running = sum(unit.active == "active" for unit in found)
        yield good(f"{running} daemons run, and none has failed", "raspy.target")


def bus(session: Session) -> Iterator[Finding]:
    """The broker and the servers behind it."""
    from raspy.ctl.servers import gather

    try:
        connected = session.bus
    except CtlError as error:
        yield problem(str(error), "the broker", "raspyctl status")
        return
    servers = gather(connected.target, connected)
    wrong = [server for server in servers if server.problem]
    for server in wrong:
        yield problem(server.problem, server.name, "raspyctl status")
    if not wrong:
        yield good(f"the broker and {len(servers)} servers answer", str(connected.target.address))


def state(place: Place) -> Iterator[Finding]:
    """The state folder: whose it is, and who else may look."""
    where = str(place.state)
    try:
        status = place.state.stat()
    except OSError as error:
        yield problem(
            f"can't be looked at: {error.strerror}", where, "sudo raspyctl doctor; start RasPy once"
        )
        return
    owner = _name(status.st_uid)
    if place.installed and owner != USER:
        yield problem(f"it belongs to {owner}, not to {USER}", where, f"chown -R {USER}:{USER} {where}")
    elif status.st_mode & _OTHERS:
        yield warning("anybody on this machine may look into it", where, f"chmod o-rwx {where}")
    else:
        yield good(f"it belongs to {owner}", where)


def _name(number: int) -> str:
    try:
        return pwd.getpwuid(number).pw_name
    except KeyError:
        return str(number)


def secrets(place: Place) -> Iterator[Finding]:
    """Keys and passwords: nobody but their server may read them."""
    seen, hidden, wrong = 0, 0, 0
    for name in SECRETS:
        path = place.state / name
        try:
            status = path.lstat()
        except FileNotFoundError:
            continue
        except OSError:
            hidden += 1
            continue
        seen += 1
        if not stat.S_ISREG(status.st_mode) or status.st_mode & _GROUP_AND_OTHERS:
            wrong += 1
            mode = stat.S_IMODE(status.st_mode)
            todo = f"chmod 600 {path}; if others were at it, make a new one (docs: security)"
            yield problem(f"others may read this secret (mode {mode:04o})", str(path), todo)
    if hidden:
        yield warning(f"{hidden} secrets could not be looked at", str(place.state), "sudo raspyctl doctor")
    elif seen and not wrong:
        yield good(f"{seen} secrets are their servers' alone", str(place.state))


def authorized(place: Place) -> Iterator[Finding]:
    """Who may come in by TCP."""
    folder = (place.configuration or place.state) / "authorized_keys.d"
    try:
        files = sorted(folder.glob(f"*{keyring.SUFFIX}"))
        writable = [path for path in (folder, *files) if path.stat().st_mode & 0o022]
    except OSError:
        return
    for path in writable:
        todo = f"chmod go-w {path}"
        yield problem("others may write it, so that the broker does not heed it", str(path), todo)
    clients = []
    for file in files:
        try:
            clients.append(keyring.parse(file.stem, file.read_text(encoding="utf-8")).name)
        except (OSError, ValueError) as error:
            todo = f"raspyctl key revoke {file.stem}, and authorize it again"
            yield problem(f"it lets nobody in: {error}", str(file), todo)
    if clients and not writable:
        yield good(f"may come in from other machines: {', '.join(clients)}", str(folder))


def own_key() -> Iterator[Finding]:
    """The user's own key."""
    file = curve.user_key_file()
    try:
        curve.load(file)
    except FileNotFoundError:
        return
    except curve.KeyFault as error:
        yield problem(str(error), str(file), f"chmod 600 {file}")
    else:
        yield good("your key can be used", str(file))


def folder_of_the_bus(folder: Path) -> Iterator[Finding]:
    """Who may use the bus: whoever can reach its sockets may switch every device."""
    try:
        status = folder.stat()
    except OSError as error:
        yield problem(f"can't be looked at: {error.strerror}", str(folder), "systemctl start raspy.target")
        return
    if status.st_mode & _OTHERS:
        todo = f"chmod o-rwx {folder}, and see /usr/lib/tmpfiles.d/raspy.conf"
        yield problem("anybody on this machine may use the bus", str(folder), todo)
    elif not os.access(folder, os.X_OK):
        yield problem("you may not use the bus", str(folder), f"sudo adduser $USER {USER}, and log in again")
    else:
        yield good(f"the bus is for root and the group {USER}", str(folder))
