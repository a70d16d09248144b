# SPDX-License-Identifier: GPL-3.0-or-later
"""A real broker for a test, as a child process.

A process and not a thread of the test: it can be killed and started again like the real one, what a test
does to it (or to the interpreter's signals, environment and threads) stays apart, and its speed does not
depend on what the test does with the interpreter's lock. It costs about 0.3 s a test.
"""

from __future__ import annotations

from raspy.common.address import BrokerAddress

from .processes import START_S, Child, Processes

HOSTNAME = "test"
"""HOST in the services of the servers that `RunningBroker.server()` starts."""


class RunningBroker:
    """A broker on the unix sockets of `folder`, with a configuration that is empty but for `settings`.

    :param processes: what starts it and the servers beside it, and ends them with the test.
    :param settings: keys of the broker's section, as `KEY=VALUE`.
    """

    def __init__(self, processes: Processes, *settings: str):
        self.processes = processes
        self.folder = processes.home
        self.url = f"ipc://{self.folder}"
        self.address = BrokerAddress.parse(self.url)
        # Whatever the machine has in /etc/raspy is not for a test.
        self.config = self.folder / "raspy.conf"
        self.config.touch()
        self._settings = settings
        self.child = self.start()

    def start(self) -> Child:
        """Start it (again) and wait until it is ready."""
        self.child = self.server("broker", *self._settings)
        return self.child

    def kill(self) -> None:
        """SIGKILL it; `start()` starts another one with what it left behind."""
        self.child.kill()

    def server(self, name: str, *settings: str, module: str = "", timeout_s: float = START_S) -> Child:
        """Start a server on this broker and wait until it is ready.

        :param name: of the server; its state folder is `folder / name`.
        :param settings: keys of its section, as `KEY=VALUE`.
        :param module: the module that runs it, `raspy.servers.NAME` if left out.
        """
        arguments = ["--config", self.config, "--broker", self.url, "--hostname", HOSTNAME]
        arguments += ["--data-dir", self.folder / name]
        for setting in settings:
            arguments += ["--set", setting]
        return self.processes.start_ready(module or f"raspy.servers.{name}", *arguments, timeout_s=timeout_s)
