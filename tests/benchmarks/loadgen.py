# SPDX-License-Identifier: GPL-3.0-or-later
"""The load generator in C (`load/`): compiled on demand, driven from here.

    load = LoadGenerator()
    with load.workers(room, room.broker.mdp, "echo", workers=16, credit=16):
        run = load.client(room.broker.mdp, "echo", outstanding=200, seconds=1.0)
    print(run["rate"], run["p99_us"])

The modes and options are described at the top of `load/main.c`.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from .processes import ROOT, Process, Room

SOURCE = Path(__file__).parent / "load"
CACHE = ROOT / ".cache" / "bench"
FLAGS = ("-std=gnu11", "-O2", "-Wall", "-Wextra", "-Wshadow", "-Werror", "-pthread")
LIBRARIES = ("-lzmq",)
REMEDY = "apt-get install gcc libc6-dev libzmq3-dev"
LONGEST_S = 120.0
"""What one run may take besides the seconds that it measures."""


class Updates(NamedTuple):
    """What is published to subscribers."""

    number: int
    subscribers: int = 1
    size: int = 16
    """Of a body, in bytes; at least 16."""
    timeout_s: float = 3.0
    """After this silence, what has not arrived is lost."""


class LoadGenerator:
    """The compiled program."""

    def __init__(self, cache: Path = CACHE) -> None:
        """Compile it into `cache` unless that very source is there already.

        Raises:
            RuntimeError: gcc, the C library's or libzmq's headers are missing, or the source is wrong.
        """
        sources = sorted(SOURCE.glob("*.[ch]"))
        digest = hashlib.sha256(b"".join(path.read_bytes() for path in sources) + repr(FLAGS).encode())
        self.program = cache / f"load-{digest.hexdigest()[:16]}"
        if self.program.exists():
            return
        cache.mkdir(parents=True, exist_ok=True)
        fresh = self.program.with_suffix(".new")
        units = [str(path) for path in sources if path.suffix == ".c"]
        command = ["gcc", *FLAGS, "-o", str(fresh), *units, *LIBRARIES]
        try:
            done = subprocess.run(command, capture_output=True, text=True, check=False)
        except FileNotFoundError:
            raise RuntimeError(f"no gcc for the load generator: {REMEDY}") from None
        if done.returncode:
            raise RuntimeError(f"the load generator does not compile ({REMEDY}?):\n{done.stderr}")
        fresh.rename(self.program)

    def run(self, mode: str, *arguments: object) -> dict[str, float]:
        """One measurement; `mode` and its options as at the top of `load/main.c`.

        Returns:
            The numbers that it printed. Losses are numbers too, they raise nothing.

        Raises:
            RuntimeError: it measured nothing.
        """
        command = [str(self.program), mode, *(str(argument) for argument in arguments)]
        done = subprocess.run(command, capture_output=True, text=True, timeout=LONGEST_S, check=False)
        if not done.stdout:
            raise RuntimeError(f"{' '.join(command)}: {done.stderr.strip() or done.returncode}")
        return dict(json.loads(done.stdout))

    def client(self, endpoint: str, service: str, *, outstanding: int = 1, size: int = 16, count: int = 0,
               seconds: float = 1.0, warmup: float = 0.2, timeout: float = 5.0, clients: int = 1,
               frames: tuple[str, ...] = (), check: str = "echo",
               broker: Process | None = None) -> dict[str, float]:
        """Send requests [frames...][payload of `size` bytes], `outstanding` under way in each client.

        Args:
            count: this many requests in each client, instead of `seconds`.
            check: ``echo``: the reply's last frame must be the payload; ``first`` or ``last``: that frame
                must be the status 200 (others are counted as ``refused``).
            broker: a process whose CPU time goes into the result as ``cpu_us``, a request.

        Returns:
            rate (requests/s), p50_us, p99_us, requests (answered, with the warm-up), lost, wrong, refused.
        """
        arguments: list[object] = [
            "--endpoint", endpoint, "--service", service, "--outstanding", outstanding, "--size", size,
            "--clients", clients, "--check", check, "--warmup", warmup, "--timeout", timeout]
        for frame in frames:
            arguments += ["--frame", frame]
        arguments += ["--count", count] if count else ["--seconds", seconds]
        before = broker.cpu_s() if broker else 0.0
        result = self.run("client", *arguments)
        if broker:
            result["cpu_us"] = (broker.cpu_s() - before) * 1e6 / max(result["requests"], 1)
        return result

    @contextlib.contextmanager
    def workers(self, room: Room, endpoint: str, service: str = "", *, workers: int = 1,
                credit: int = 0, bare: bool = False) -> Iterator[Process]:
        """Echoing MDP workers, or (`bare`) echoing sockets behind a relay, until the block ends.

        Args:
            credit: what each says it takes at once; 0: it says nothing, as any MDP/0.1 worker.
        """
        options = ["--bare"] if bare else ["--service", service, "--credit", str(credit)]
        process = room.start(self.program, "workers", "--endpoint", endpoint, "--workers", str(workers),
                             *options)
        try:
            yield process
        finally:
            room.stop(process)

    def key_value(self, collector: str, publisher: str, updates: Updates,
                  broker: Process | None = None) -> dict[str, float]:
        """Publish to `collector` and count what subscribers get from `publisher`.

        Returns:
            rate (deliveries/s), updates_per_s, deliveries, lost, disordered, seconds; and cpu_us of `broker`,
            for an update.
        """
        return self._deliveries("kv", updates, broker, "--endpoint", collector, "--back", publisher)

    def mqtt(self, socket: Path, updates: Updates, broker: Process | None = None) -> dict[str, float]:
        """The same as `key_value()` through an MQTT broker, at QoS 0."""
        return self._deliveries("mqtt", updates, broker, "--endpoint", socket)

    def mqtt_publish(self, socket: Path, *, qos: int, outstanding: int = 64, size: int = 16,
                     seconds: float = 1.0, retain: bool = False, durable: bool = False) -> dict[str, float]:
        """Acknowledged publications to an MQTT broker.

        Args:
            retain: they are kept, one for each of 1000 topics.
            durable: a persistent subscriber is away, so that the broker must queue all of them.

        Returns:
            rate (acknowledged/s), p50_us, p99_us, requests, lost.
        """
        flags = ["--retain"] * retain + ["--durable"] * durable
        return self.run("mqtt-publish", "--endpoint", socket, "--qos", qos, "--outstanding", outstanding,
                        "--size", size, "--seconds", seconds, *flags)

    def _deliveries(self, mode: str, updates: Updates, broker: Process | None,
                    *endpoints: object) -> dict[str, float]:
        before = broker.cpu_s() if broker else 0.0
        result = self.run(mode, *endpoints, "--count", updates.number, "--subscribers", updates.subscribers,
                          "--size", updates.size, "--timeout", updates.timeout_s)
        if broker:
            result["cpu_us"] = (broker.cpu_s() - before) * 1e6 / updates.number
        return result
