# SPDX-License-Identifier: GPL-3.0-or-later
"""Real remotes on loopback: an sshd and an rsync daemon of the test's own, and a wire that can be cut."""

from __future__ import annotations

import getpass
import os
import shutil
import socket
import subprocess
import tempfile
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.conftest import Processes, wait_for

USER = getpass.getuser()
MODULE_USER, MODULE_PASSWORD = "backup", "correct horse"


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def listens(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), 1).close()
    except OSError:
        return False
    return True


def tree(folder: Path) -> dict[str, bytes | str]:
    """Everything in a folder: content by path, links by their target."""
    found: dict[str, bytes | str] = {}
    for path in sorted(folder.rglob("*")):
        name = str(path.relative_to(folder))
        if path.is_symlink():
            found[name] = os.readlink(path)
        elif path.is_file():
            found[name] = path.read_bytes()
        else:
            found[name + "/"] = ""
    return found


class Sshd:
    """An sshd on loopback that lets our own user in with the keys in `authorized`.

    Attributes:
        port, fingerprint: where it listens, and its host key's.
        authorized: its authorized_keys.
    """

    def __init__(self, folder: Path, processes: Processes) -> None:
        folder.mkdir()
        self.authorized = folder / "authorized_keys"
        self.authorized.touch()
        self.port = free_port()
        host_key = folder / "host_key"
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(host_key)], check=True)
        line = subprocess.run(
            ["ssh-keygen", "-lf", str(host_key)], check=True, capture_output=True, text=True
        )
        self.fingerprint = line.stdout.split()[1]
        config = folder / "sshd_config"
        config.write_text(
            f"ListenAddress 127.0.0.1\nPort {self.port}\nHostKey {host_key}\nPidFile none\n"
            f"AuthorizedKeysFile {self.authorized}\nStrictModes no\nUsePAM no\nPasswordAuthentication no\n"
            "PermitRootLogin prohibit-password\nKbdInteractiveAuthentication no\nMaxStartups 100\n"
        )
        if os.geteuid() == 0:
            Path("/run/sshd").mkdir(mode=0o755, exist_ok=True)  # the package's service makes it otherwise
        self.child = processes.start_command("sshd", ["/usr/sbin/sshd", "-D", "-e", "-f", str(config)])
        wait_for(lambda: listens(self.port), what="sshd")


class Rsyncd:
    """An rsync daemon on loopback with the modules ``open``, ``closed`` (a password) and ``full`` (1 MB).

    Attributes:
        port: where it listens.
        folder: the modules' folders lie in it.
    """

    def __init__(self, folder: Path, processes: Processes) -> None:
        self.folder = folder
        self.port = free_port()
        for name in ("open", "closed", "full"):
            (folder / name).mkdir(parents=True)
        secrets = folder / "secrets"
        secrets.write_text(f"{MODULE_USER}:{MODULE_PASSWORD}\n")
        secrets.chmod(0o600)
        config = folder / "rsyncd.conf"
        as_root = os.geteuid() == 0
        identity = "uid = 0\ngid = 0\n" if as_root else ""
        config.write_text(
            f"port = {self.port}\naddress = 127.0.0.1\nuse chroot = no\nmunge symlinks = no\n"
            f"read only = no\n{identity}"
            f"log file = /dev/stderr\npid file = {folder}/pid\n"
            f"[open]\npath = {folder}/open\n"
            f"[closed]\npath = {folder}/closed\nauth users = {MODULE_USER}\nsecrets file = {secrets}\n"
            f"[full]\npath = {folder}/full\n"
        )
        # A mount of its own, that goes with the daemon; without root, in a user namespace, and from there in
        # a second one as ourselves again: its root may not call setgroups(2), and rsync does.
        mount = f"mount -t tmpfs -o size=1m none '{folder}/full'"
        again = "" if as_root else f"unshare --user --map-user={os.getuid()} --map-group={os.getgid()} "
        daemon = f"exec {again}rsync --daemon --no-detach --config='{config}'"
        user = [] if as_root else ["--user", "--map-root-user"]
        self.child = processes.start_command(
            "rsyncd", ["unshare", *user, "--mount", "sh", "-c", f"{mount} && {daemon}"]
        )
        wait_for(lambda: listens(self.port), what="the rsync daemon")

    def url(self, module: str, path: str = "", port: int = 0, user: str = "") -> str:
        return f"rsync://{user and user + '@'}127.0.0.1:{port or self.port}/{module}{path}"


class Wire:
    """A TCP connection's way through us, cut after so many bytes went to the remote.

    Attributes:
        port: connect here.
        cut_after: bytes; None never cuts. Counted for each connection.
        connections: how many there were.
    """

    def __init__(self, port: int, cut_after: int | None) -> None:
        self.target = port
        self.cut_after = cut_after
        self.connections = 0
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        self._open: list[socket.socket] = []
        self._threads = [threading.Thread(target=self._accept)]
        self._threads[0].start()

    def _accept(self) -> None:
        while True:
            try:
                near, _ = self._listener.accept()
            except OSError:
                return
            self.connections += 1
            far = socket.create_connection(("127.0.0.1", self.target))
            self._open += [near, far]
            for source, target, limit in ((near, far, self.cut_after), (far, near, None)):
                thread = threading.Thread(target=self._forward, args=(source, target, limit))
                self._threads.append(thread)
                thread.start()

    def _forward(self, source: socket.socket, target: socket.socket, limit: int | None) -> None:
        passed = 0
        try:
            while data := source.recv(65536):
                target.sendall(data)
                passed += len(data)
                if limit is not None and passed >= limit:
                    break
        except OSError:
            pass
        for end in (source, target):
            try:
                end.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass

    def close(self) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for end in self._open:
            try:
                end.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass
        for thread in self._threads:
            thread.join(30)
        for end in self._open:
            end.close()


@pytest.fixture(scope="session")
def remotes() -> Iterator[Processes]:
    """The processes of the remotes: they last for all tests of this folder."""
    home = Path(tempfile.mkdtemp(prefix="raspy-remotes-", dir="/tmp"))
    started = Processes(home)
    yield started
    for child in started.children:
        child.examined = True  # an sshd ends with 255 on SIGTERM
    wrong = started.close()
    shutil.rmtree(home, ignore_errors=True)
    assert not wrong, wrong


@pytest.fixture(scope="session")
def sshd(remotes: Processes) -> Sshd:
    return Sshd(remotes.home / "sshd", remotes)


@pytest.fixture(scope="session")
def rsyncd(remotes: Processes) -> Rsyncd:
    return Rsyncd(remotes.home / "rsyncd", remotes)


@pytest.fixture
def wire() -> Iterator[Callable[..., Wire]]:
    """Lay a wire: ``wire(port, cut_after=bytes)``."""
    laid: list[Wire] = []

    def lay(port: int, cut_after: int | None = None) -> Wire:
        laid.append(Wire(port, cut_after))
        return laid[-1]

    yield lay
    for one in laid:
        one.close()


@pytest.fixture
def mounted() -> Iterator[Path]:
    """A folder on a file system that is not the system's own disk."""
    path = Path(tempfile.mkdtemp(prefix="raspy-", dir="/dev/shm"))
    yield path
    shutil.rmtree(path)
