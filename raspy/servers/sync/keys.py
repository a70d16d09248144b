# SPDX-License-Identifier: GPL-3.0-or-later
"""The server's own ssh key, and the host keys it trusts. Everything lies in one folder.

===============================  ====================================================
``id_ed25519``, ``.pub``         our key; the public half goes to the remote's authorized_keys
``known_hosts``                  the host keys whose fingerprint a job named
``ssh_config``                   written anew at each start; the only configuration ssh reads
===============================  ====================================================

A host key is never trusted because it was there first. A person gives the job the fingerprint that the
remote machine itself says; the key is then fetched from the network and kept only if it fits.

Sources: ssh-keygen(1), ssh-keyscan(1), ssh_config(5), sshd(8) "SSH_KNOWN_HOSTS FILE FORMAT".
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import os
from collections.abc import Callable
from pathlib import Path

from raspy.common.MDP import ServerError
from raspy.servers.sync import process

KEY = "id_ed25519"
KNOWN_HOSTS = "known_hosts"
CONFIG = "ssh_config"
SCAN_S = 10  # how long a host may take to show its keys

# Paths are relative: ssh runs in this folder, so none needs quoting.
_CONFIG = f"""\
# Written by RasPy at each start.
IdentityFile {KEY}
IdentitiesOnly yes
UserKnownHostsFile {KNOWN_HOSTS}
StrictHostKeyChecking yes
UpdateHostKeys no
HashKnownHosts no
BatchMode yes
ConnectTimeout 20
ServerAliveInterval 15
ServerAliveCountMax 4
ClearAllForwardings yes
ControlMaster no
PermitLocalCommand no
LogLevel ERROR
"""


def _nothing() -> None:
    """A tick for those who have none."""


class SshKeyError(ServerError):
    """A key could not be made, or a host's key is not to be trusted."""


class HostKeyError(SshKeyError):
    """A host shows another key than the one that a person gave."""


def make_key(folder: Path, comment: str = "raspy-sync") -> str:
    """Make the key if there is none yet; ``raspyctl key`` and the server call this.

    Args:
        folder: the server's data folder.
        comment: what stands at the end of the public key.

    Returns:
        The public key: the line for ``authorized_keys`` on the remote.

    Raises:
        SshKeyError: ssh-keygen failed, or is missing; its words are in the message.
    """
    private = folder / KEY
    public = folder / f"{KEY}.pub"
    if not private.exists():
        folder.mkdir(parents=True, exist_ok=True)
        command = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", comment, "-f", str(private)]
        _run(command, "can't make an ssh key", _nothing)
        _give_to_owner_of(folder, private, public)
    elif not public.exists():
        public.write_text(_run(["ssh-keygen", "-y", "-f", str(private)], "can't read the ssh key", _nothing))
    return public.read_text(encoding="utf-8").strip()


def _give_to_owner_of(folder: Path, *files: Path) -> None:
    """As root, let the files belong to whom the folder belongs to: the server must be able to read them."""
    if os.geteuid() == 0:
        owner = folder.stat()
        for file in files:
            os.chown(file, owner.st_uid, owner.st_gid)


def write_config(folder: Path) -> None:
    """Write the configuration that ssh is run with."""
    (folder / CONFIG).write_text(_CONFIG, encoding="utf-8")


def trust(folder: Path, host: str, port: int, fingerprint: str, tick: Callable[[], None] = _nothing) -> None:
    """Keep the host key that has this fingerprint, unless it is kept already.

    Args:
        folder: the server's data folder.
        host, port: the remote.
        fingerprint: ``SHA256:...``, from a person.
        tick: called twice a second while the host is asked.

    Raises:
        HostKeyError: the host shows other keys only.
        SshKeyError: it can't be asked.
    """
    name = host.strip("[]")
    name = name if port == 22 else f"[{name}]:{port}"
    known = folder / KNOWN_HOSTS
    lines = known.read_text(encoding="utf-8").splitlines() if known.exists() else []
    if any(line.startswith(f"{name} ") and fingerprint_of(line) == fingerprint for line in lines):
        return
    shown = scan(host, port, tick)
    fitting = [line for line in shown if fingerprint_of(line) == fingerprint]
    if not fitting:
        raise HostKeyError(
            f"the host key of {name} is not the one that the job names: it shows"
            f" {' and '.join(sorted(map(fingerprint_of, shown)))}, the job has {fingerprint}"
        )
    # another key of the same host is one that it had before
    kept = [line for line in lines if not line.startswith(f"{name} ")]
    known.write_text("\n".join([*kept, *fitting]) + "\n", encoding="utf-8")


def scan(host: str, port: int, tick: Callable[[], None] = _nothing) -> list[str]:
    """The host keys that a remote shows, as lines of known_hosts; they are not to be trusted as such.

    Raises:
        SshKeyError: it could not be asked.
    """
    command = ["ssh-keyscan", "-T", str(SCAN_S), "-p", str(port), "-t", "ed25519,ecdsa,rsa", host.strip("[]")]
    text = _run(command, f"can't ask {host} for its host key", tick)
    shown = [line for line in text.splitlines() if not line.startswith("#") and fingerprint_of(line)]
    if not shown:
        raise SshKeyError(f"{host} shows no host key")
    return shown


def fingerprint_of(line: str) -> str:
    """The fingerprint of the key in a line of known_hosts, as ssh-keygen -l prints it; empty for no key."""
    words = line.split()
    if len(words) < 3:
        return ""
    try:
        blob = base64.b64decode(words[2], validate=True)
    except binascii.Error:
        return ""
    return "SHA256:" + base64.b64encode(hashlib.sha256(blob).digest()).decode().rstrip("=")


def _run(command: list[str], failed: str, tick: Callable[[], None]) -> str:
    try:
        done = process.run(command, limit_s=2 * SCAN_S, tick=tick)
    except FileNotFoundError:
        raise SshKeyError(f"{failed}: {command[0]} is missing (Debian package openssh-client)") from None
    if done.timed_out:
        raise SshKeyError(f"{failed}: {command[0]} did not end within {2 * SCAN_S} s")
    if done.status != 0:
        reason = done.errors[-1] if done.errors else f"{command[0]} ended with status {done.status}"
        raise SshKeyError(f"{failed}: {reason}")
    return done.output
