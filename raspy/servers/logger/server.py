# SPDX-License-Identifier: GPL-3.0-or-later
"""The logger server: follows the bus, keeps what is to be kept, and shows it.

=========================  =====================================================================
``HOST.logger.graph``      ``list_keys``, ``list``, ``add KEY JSON``, ``remove KEY``,
                           ``fetch KEY START END``
``HOST.logger.log``        ``list_keys``, ``log KEY LEVEL MESSAGE``,
                           ``readlines KEY [START [END [LIMIT]]]``, ``rotate``
HTTP                       see pages.py
=========================  =====================================================================

Its folder: `rrd/` and `series.json` (numbers), `spool/` (samples that are not in `rrd/` yet),
`log/` (text), `graphs.json` (a copy of the graphs in titanic's store).
"""

from __future__ import annotations

import fcntl
import json
import os
import threading
import time
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from raspy.common import systemd
from raspy.common.config import ConfigError, Option
from raspy.common.kvcliapi import KvSubscriberClient
from raspy.common.mdcliapi import MajorDomoClient
from raspy.common.server import Server
from raspy.common.statistics import SNMP
from raspy.common.store import Store
from raspy.servers.logger.graphs.gallery import Gallery
from raspy.servers.logger.graphs.graph import Graph
from raspy.servers.logger.graphs.nights import Nights
from raspy.servers.logger.rrd.backend import AUTO, DIRECT, UNIX, Backend
from raspy.servers.logger.samples.declared import Declarations
from raspy.servers.logger.samples.intake import DOCS, Intake
from raspy.servers.logger.samples.newcomers import Newcomers
from raspy.servers.logger.samples.series import Catalogue
from raspy.servers.logger.samples.spool import Spool
from raspy.servers.logger.samples.writer import Writer
from raspy.servers.logger.services import GraphService, LogService
from raspy.servers.logger.text.logs import TextLogs
from raspy.servers.logger.web import pages
from raspy.servers.logger.web.http import ThreadedTCPRequestHandler, ThreadedTCPServer, read_address

DEVICES, EVENTS = "/device/", "/event/"

COALESCE_S = 0.05
BUSY_BURST = 200
"""After a burst of values the intake waits for more, rather than wake up for each; not after a big one."""

INTAKE_QUEUE = 100_000
"""Values that wait when the machine has no time for the intake: five seconds of the greatest load."""

ALIVE_EVERY = 1000
"""So many values of one burst are progress."""

FOLLOW_S = 20.0
"""How long the start waits for the first snapshot of the tree."""

HOLD_EVERY_S = 5.0
LOOK_S = 1.0
NIGHTS_EVERY_S = 3600.0
GRAPHS_EVERY_S = 60.0
STATUS_EVERY_S = 10.0
LISTEN_AGAIN_S = 10.0

DESCRIPTOR = "http"
"""The name of the listening socket that systemd passes (FileDescriptorName=)."""

LOCK = "lock"


class Logger(Server):
    """Keep the history of numbers, write text logs of events, and show graphs of both.

    Args: those of `Server`; the data folder is `.raspy` if left out.

    Attributes:
        gallery: the graphs.
        logs: the text logs.
        writer: what writes samples.
    """

    SERVICE = "logger"
    SETTINGS = (
        Option(
            "rrdcached",
            str,
            AUTO,
            f"{AUTO} (our own, as a child process), {UNIX}/PATH of the socket of another one, or {DIRECT}",
        ),
        Option("flush_s", float, 60, "what a power cut may take, in seconds", 5, 3600),
        Option("write_s", float, 21600, "how often the RRD files are written, in seconds", 60, 43200),
        Option(
            "listen",
            str,
            "127.0.0.1:5518",
            "HTTP: ADDRESS:PORT, unix:/PATH, or off; systemd's socket goes first",
        ),
        Option("max_series", int, 1000, "how many numbers get a history, of 250 kB each", 1, 20000),
        Option("log_max_mb", int, 50, "what all text logs may take together, in MB", 10, 10000),
    )

    def __init__(
        self, hostname: str = "localhost", service: str = "logger", *args: Any, **kwargs: Any
    ) -> None:
        if len(args) > 2:
            # The short form with broker_ip, broker_port and the folder in the manual's order.
            *args, kwargs["data_dir"] = args  # type: ignore[assignment]
        kwargs["data_dir"] = kwargs.get("data_dir") or ".raspy"
        super().__init__(hostname, service, *args, **kwargs)
        assert self.data_dir is not None
        self.data_dir = self.data_dir.absolute()
        self._opened = ExitStack()
        self._http: ThreadedTCPServer | None = None
        self._status = "starting"
        self._status_at = 0.0
        self._status_samples = 0
        self._held_at = 0.0
        self._taken = 0
        self._burst_from = 0
        self._first_snapshot = True
        self._following = threading.Event()
        self._figures = [
            *(SNMP(f"samples.{name}", doc) for name, doc in DOCS.items()),
            SNMP("series.open", "numbers that are logged now"),
            SNMP("writer.checkpoints", "how often all RRD files were written"),
            SNMP("writer.replayed", "values told again from the spool"),
            SNMP("spool.bytes", "bytes written to the spool"),
            SNMP("log.lines", "lines taken into text logs"),
            SNMP("log.lost", "lines of text logs lost because the disk refused them"),
            SNMP("log.refused", "events that were none"),
            SNMP("http.requests", "HTTP requests"),
            SNMP("http.refused", "HTTP requests refused because there were too many"),
            SNMP("graphs.drawn", "pictures drawn"),
        ]
        for figure in self._figures:
            self.add_statistic(figure)

    # -- life --------------------------------------------------------------------------------------

    def setup(self) -> None:
        """Open what is kept."""
        super().setup()
        assert self.data_dir is not None
        folder = self.data_dir
        folder.mkdir(parents=True, exist_ok=True)
        self._lock(folder)
        self.catalogue = Catalogue(folder)
        self.catalogue.rrd.mkdir(exist_ok=True)
        if self.catalogue.damaged:
            why = f"{self.catalogue.path} was damaged ({self.catalogue.damaged})"
            self._say("damaged", f"{why}; it was put aside, and is made anew from what comes")
        try:
            self._listen_at = read_address(self.settings.listen)
            backend = Backend(self.settings.rrdcached, self.catalogue.rrd, self.log)
        except ValueError as error:
            raise ConfigError(f"[logger] {error}") from None
        self._opened.callback(backend.close)
        backend.keep()
        self._backend = backend
        self._open_intake(Spool(folder / "spool"), backend)
        max_bytes = self.settings.log_max_mb * 1_000_000
        self.logs = TextLogs(folder / "log", max_bytes, self.settings.flush_s, self.log)
        self._opened.callback(self.logs.close)
        store = Store(self.broker, self.get_instance_id(), copy=folder / "graphs.json")
        self._opened.callback(store.close)
        self.nights = Nights(self.settings.latitude, self.settings.longitude, self.settings.timezone)
        self.gallery = Gallery(
            self.catalogue, store, backend.connect, self.nights, self.settings.timezone, self.log
        )

    def _lock(self, folder: Path) -> None:
        """One logger a folder."""
        lock = os.open(folder / LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o640)
        self._opened.callback(os.close, lock)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise OSError(f"another logger writes to {folder}; give this one another --data-dir") from None

    def _open_intake(self, spool: Spool, backend: Backend) -> None:
        self.intake = Intake(lambda *value: self.newcomers.offer(*value), lambda: self.writer.wake())
        self.writer = Writer(
            self.catalogue,
            self.intake,
            spool,
            backend,
            say=self._say,
            alive=self.alive,
            log=self.log,
            flush_s=self.settings.flush_s,
            checkpoint_s=self.settings.write_s,
        )
        self._opened.callback(self.writer.close)
        client = MajorDomoClient(self.broker, name=self.service, ctx=self.ctx)
        client.retries = 2
        self._opened.callback(client.destroy)
        self.newcomers = Newcomers(
            self.catalogue,
            self.intake,
            lambda: self.writer.connected,
            self.writer.open_series,
            Declarations(client).of,
            self._progress,
            self.settings.max_series,
            self.log,
        )

    def ready(self) -> bool:
        """Whether the broker answers; and then nothing that is published from now on is missed."""
        return super().ready() and (self._following.wait(FOLLOW_S) or True)

    def _progress(self) -> bool:
        """Say that there is progress; whether to go on."""
        self.alive()
        return not self.stopping.is_set()

    def shutdown(self) -> None:
        """Shutdown executive."""
        super().shutdown()

    def teardown(self) -> None:
        """Write everything to the disk."""
        self._opened.close()
        super().teardown()

    # -- threads -----------------------------------------------------------------------------------

    def worker_intake(self) -> None:
        """Follow the bus."""
        subscriber = KvSubscriberClient(
            self.hostname,
            (DEVICES, EVENTS),
            broker=self.broker,
            callback=self._take,
            on_idle=lambda: self._between_bursts(subscriber),
            ctx=self.ctx,
            queue=INTAKE_QUEUE,
        )
        try:
            subscriber.run()
        finally:
            subscriber.destroy()

    def _take(self, key: str, body: bytes) -> None:
        self._taken += 1
        if self._taken % ALIVE_EVERY == 0:
            self.alive()
        if key.startswith(DEVICES):
            self.intake.take(key[len(DEVICES) :], body)
        elif body:
            name, _, rest = key[len(EVENTS) :].partition("/")
            self.logs.event(name, rest, body, retained=self._first_snapshot)

    def _between_bursts(self, subscriber: KvSubscriberClient) -> None:
        self.alive()
        if subscriber.synchronised:
            self._first_snapshot = False
            self._following.set()
        now = time.monotonic()
        if now - self._held_at >= HOLD_EVERY_S:
            self._held_at = now
            self.intake.hold()
        burst, self._burst_from = self._taken - self._burst_from, self._taken
        if self.stopping.wait(COALESCE_S if burst < BUSY_BURST else 0):
            subscriber.shutdown()

    def worker_writer(self) -> None:
        """Write samples and text."""
        while not self.stopping.is_set():
            self.alive()
            self.writer.wait()
            self.writer.step()
            self.logs.tick()

    def worker_keeper(self) -> None:
        """Everything that may wait for somebody else's answer."""
        graphs_at = -GRAPHS_EVERY_S
        nights_at = -NIGHTS_EVERY_S
        nights_said = ""
        while not self.stopping.wait(LOOK_S):
            self.alive()
            self.newcomers.look()
            now = time.monotonic()
            if self.gallery.away and now - graphs_at >= GRAPHS_EVERY_S:
                graphs_at = now
                self.gallery.load()
            if now - nights_at >= NIGHTS_EVERY_S:
                nights_at = now
                self.nights.prepare(self.alive)
            if self.nights.error != nights_said:
                nights_said = self.nights.error
                self.log.warning("graphs are drawn without nights: %s", nights_said)

    def worker_http(self) -> None:
        """Show graphs and logs over HTTP."""
        complained = False
        while not self.stopping.is_set():
            self.alive()
            try:
                server = self._listen()
            except OSError as error:
                if not complained:
                    complained = True
                    self.log.error(
                        "no graphs over HTTP: can't listen at %s: %s; trying again every %g s",
                        self.settings.listen,
                        error.strerror,
                        LISTEN_AGAIN_S,
                    )
                self._wait(LISTEN_AGAIN_S)
                continue
            if server is None:
                return
            self._http = server
            with server:
                while not self.stopping.is_set():
                    self.alive()
                    server.handle_request()

    def _wait(self, seconds: float) -> None:
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline and not self.stopping.wait(1.0):
            self.alive()

    def _listen(self) -> ThreadedTCPServer | None:
        """The HTTP server, listening; None when it is switched off."""
        passed = systemd.passed_sockets().get(DESCRIPTOR)
        if self._listen_at is None and passed is None:
            return None
        server = ThreadedTCPServer(self._listen_at, ThreadedTCPRequestHandler, descriptor=passed)
        server.logger = self
        server.answer = lambda target, headers: pages.answer(self.gallery, self.logs, target, headers)
        return server

    def worker_graph(self) -> None:
        """Create a worker to handle graph requests: serve ``HOST.logger.graph``."""
        self.serve("graph", GraphService(self.gallery).actions())

    def worker_log(self) -> None:
        """Create a worker to handle logger requests: serve ``HOST.logger.log``."""
        self.serve("log", LogService(self.logs).actions())

    @property
    def graphes(self) -> dict[str, Graph]:
        """The graphs that were added, by key; every series has one of its own besides."""
        return self.gallery.graphes

    # -- for a person ------------------------------------------------------------------------------

    def _say(self, kind: str, sentence: str) -> None:
        """Tell an event: to the journal, to the bus, and from there into our own log."""
        self.log.warning("%s", sentence)
        event = {"time": round(time.time(), 3), "event": kind, "message": sentence, "level": "warning"}
        self.publish(EVENTS, f"{self.service}/{kind}", json.dumps(event, ensure_ascii=False).encode())

    def tick(self) -> None:
        """Bring the figures up to date."""
        super().tick()
        self._backend.keep()
        counts, writer = self.intake.counts, self.writer
        figures = (
            *(getattr(counts, name) for name in DOCS),
            len(self.intake.series),
            writer.checkpoints,
            writer.replayed,
            writer.spool.bytes_written,
            self.logs.lines,
            self.logs.dropped,
            self.logs.refused,
            self._http.requests if self._http else 0,
            self._http.refused if self._http else 0,
            self.gallery.drawn,
        )
        for figure, value in zip(self._figures, figures, strict=True):
            figure.value = value

    def status_line(self) -> str:
        """How much is logged, what a power cut may take, and what is written."""
        now = time.monotonic()
        if now - self._status_at >= STATUS_EVERY_S:
            samples = self.intake.counts.samples
            rate = (samples - self._status_samples) / (now - self._status_at) if self._status_at else 0.0
            self._status_at, self._status_samples = now, samples
            count = len(self.intake.series)
            megabytes = self.writer.megabytes_a_day(rate)
            self._status = (
                f"{count} value{'' if count == 1 else 's'} logged, {rate:.2g} samples/s;"
                f" a power cut takes at most {self.settings.flush_s:g} s of them;"
                f" about {megabytes:.0f} MB a day are written"
            )
            if self.writer.paused:
                self._status += f"; the disk refuses: {self.writer.paused}"
        return self._status
