# SPDX-License-Identifier: GPL-3.0-or-later
"""From the intake to the disk: spool, rrdcached, checkpoints, and what is done when one of them fails.

Every second the writer takes what came, adds it to the spool and gives it to rrdcached, which
keeps it in memory. Once in `flush_s` the spool is synced: that makes the loss bound true. Once in
`checkpoint_s`, or when much has come, all RRDs are written and synced, and the spool starts again
from nothing.

- rrdcached died: its values are told again from the spool.
- the logger died: likewise, at its next start.
- the power went: RRDs that may be half written are rolled back to the last checkpoint first.
- an RRD is damaged: it is put aside, a new one is begun from the spool, and an event says so.
- the disk is full, so that the spool can't grow: RRDs are as big as they ever get, so they are
  written and synced once in `flush_s` instead, and the loss bound stays true.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterable
from pathlib import Path

from raspy.servers.logger.rrd.archives import Connection
from raspy.servers.logger.rrd.backend import Backend
from raspy.servers.logger.samples.files import Files, Say, sample_time
from raspy.servers.logger.samples.intake import Intake, Update
from raspy.servers.logger.samples.series import Catalogue, Series
from raspy.servers.logger.samples.spool import Spool

BATCH_S = 1.0
"""How long a sample waits for others before they are sent together."""

SYNC_MARGIN_S = 2.0
"""The spool is synced so much before `flush_s` is over."""

ADVANCE_S = 0.25
"""How long a checkpoint may keep new samples waiting, before it goes on a second later."""

CLOSE_S = 3.0
"""How long the last checkpoint may take; the next start goes on with it."""

CHECKPOINT_SAMPLES = 200_000
"""So many samples bring a checkpoint forward; they take 10 MB in rrdcached."""

REPLAY_BATCH = 1_000

MEND_AGAIN_S = 60.0
"""How long a file that could not be mended is left alone."""

SAMPLE_BYTES, SYNC_BYTES, FILE_BYTES = 15, 18_000, 60_000
"""What reaches the disk for a sample in the spool, for each sync of it, and for each RRD of a checkpoint."""

BENIGN = "illegal attempt to update using time"
"""rrdcached's words for a value that is not newer than the last one: it had it already."""


class Writer:
    """Writes samples. All calls but `wake` and `open_series` belong to one thread.

    Arguments:
        catalogue: all series.
        intake: where samples come from.
        spool: where they are until the RRDs have them.
        backend: what writes the RRDs.
        say: called as ``say(kind, sentence)`` for what a person should know: an event.
        alive: called often, to say that there is progress.
        log: for the rest.
        flush_s: what a power cut may take, in seconds.
        checkpoint_s: how often the RRDs are written, in seconds.

    Attributes:
        checkpoints: how many there were, and `files_written`, how many RRDs they wrote.
        replayed: samples told again from the spool.
        paused: why the spool can't be written; "" while it can.
    """

    def __init__(
        self,
        catalogue: Catalogue,
        intake: Intake,
        spool: Spool,
        backend: Backend,
        *,
        say: Say,
        alive: Callable[[], None],
        log: logging.Logger,
        flush_s: float,
        checkpoint_s: float,
    ) -> None:
        self.catalogue = catalogue
        self.intake = intake
        self.spool = spool
        self.backend = backend
        self.checkpoints = 0
        self.files_written = 0
        self.replayed = 0
        self.paused = ""
        self._files = Files(catalogue.rrd, say, log)
        self._say = say
        self._alive = alive
        self._log = log
        self._sync_s = max(flush_s - SYNC_MARGIN_S, flush_s / 2)
        self._checkpoint_s = checkpoint_s
        self._checkpoint_at = time.monotonic() + checkpoint_s
        self._since_checkpoint = 0
        self._connection: Connection | None = None
        self._complained = False
        self._told: dict[Series, bytes] = {}
        self._writing: dict[Series, bytes] | None = None
        self._segments: list[Path] = []
        self._mend_again: dict[Series, float] = {}
        self._wake = threading.Event()

    # -- the thread --------------------------------------------------------------------------------

    def wait(self) -> None:
        """Until a second is over, or `wake` is called."""
        self._wake.wait(BATCH_S)
        self._wake.clear()

    @property
    def connected(self) -> bool:
        """Whether rrdcached is there; also for other threads."""
        return self._connection is not None

    def wake(self) -> None:
        """Do not wait for the second to be over; from any thread."""
        self._wake.set()

    def step(self) -> None:
        """Write what has come."""
        if self._connection is None:
            self._connect()
        updates = self.intake.drain()
        if updates:
            self._keep(updates)
            self._tell(updates)
        unsynced = self.spool.unsynced_since
        if unsynced is not None and time.monotonic() - unsynced >= self._sync_s:
            self._sync()
        if self._since_checkpoint >= CHECKPOINT_SAMPLES or time.monotonic() >= self._checkpoint_at:
            self.checkpoint()
        self._advance(ADVANCE_S)

    def close(self) -> None:
        """Write everything, sync it, and hang up. What can't be written soon waits in the spool."""
        deadline = time.monotonic() + CLOSE_S
        self.step()
        self._sync()
        self._advance(deadline - time.monotonic())
        self.checkpoint()
        self._advance(deadline - time.monotonic())
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    # -- samples -----------------------------------------------------------------------------------

    def _keep(self, updates: list[Update]) -> None:
        try:
            self.spool.add([series.label + sample for series, sample in updates])
            for path in self.spool.bound():
                self._say(
                    "lost", f"no rrdcached for so long that {path.name} was dropped, the oldest of the spool"
                )
        except OSError as error:
            self._pause(error)

    def _sync(self) -> None:
        try:
            self.spool.flush()
        except OSError as error:
            self._pause(error)
            self.checkpoint()
        else:
            self._resume()

    def _pause(self, error: OSError) -> None:
        if not self.paused:
            self.paused = error.strerror or str(error)
            why = f"can't write to {self.spool.folder}: {self.paused}"
            what = "text logs and new values wait, values that have a history are kept still; free some space"
            self._say("disk", f"{why}; {what}")

    def _resume(self) -> None:
        if self.paused:
            self.paused = ""
            self._say("disk", f"writing to {self.spool.folder} again")

    def _tell(self, updates: list[Update]) -> None:
        self._since_checkpoint += len(updates)
        self._told.update(updates)
        if self._connection is None:
            return
        try:
            refused = self._connection.update([series.prefix + sample for series, sample in updates])
            for series in {updates[place][0] for place, why in refused if not why.startswith(BENIGN)}:
                self._mend(self._connection, series)
        except OSError as error:
            self._lost(error)

    # -- rrdcached ---------------------------------------------------------------------------------

    def _connect(self) -> None:
        """Connect, and tell what the other end does not know; the next step tries again what fails."""
        try:
            self._connection = self.backend.connect()
            self._recover(self._connection)
        except OSError as error:
            self._lost(error)
        else:
            self._complained = False

    def _lost(self, error: OSError) -> None:
        if not self._complained:
            self._complained = True
            self._log.warning("no %s (%s); values wait in the spool", self.backend.words, error)
        if self._connection is not None:
            self._connection.close()
            self._connection = None
        if self._writing is not None:
            self._told, self._writing = {**self._writing, **self._told}, None

    def _recover(self, connection: Connection) -> None:
        """Tell again what is in the spool and in no RRD."""
        segments = self._spooled()
        if not segments:
            return
        power_cut = self.spool.from_another_boot()
        count = self._replay(connection, segments, torn=power_cut)
        if count:
            why = "the machine" if power_cut else "rrdcached or the logger"
            self._log.warning("%d values were told again from the spool: %s ended without a word", count, why)
        if count or power_cut:
            self.checkpoint()

    def _spooled(self) -> list[Path]:
        """The segments, up to date."""
        try:
            self.spool.flush(sync=False)
        except OSError as error:
            self._pause(error)
        return self.spool.segments()

    def _replay(
        self,
        connection: Connection,
        segments: Iterable[Path],
        *,
        torn: bool = False,
        only: Series | None = None,
    ) -> int:
        """Tell the RRDs what the spool has and they do not.

        Returns:
            How many values.
        """
        floors: dict[Series, float] = {}
        batch: list[bytes] = []
        count = 0
        for label, sample in self.spool.read(segments):
            series = self.catalogue.files.get(label)
            if series is None or (only is not None and series is not only):
                continue
            moment = sample_time(sample)
            if series not in floors:
                self._alive()
                floors[series] = self._files.floor(connection, series, moment, torn)
            # Even what the RRD has already may not be on the disk: the next checkpoint sees to it.
            self._told[series] = sample
            if moment <= floors[series]:
                continue
            batch.append(series.prefix + sample)
            count += 1
            if len(batch) == REPLAY_BATCH:
                connection.update(batch)
                batch.clear()
                self._alive()
        if batch:
            connection.update(batch)
        self.replayed += count
        return count

    def open_series(self, series: Series, first: float) -> None:
        """Make a series ready for samples from *first* on, in seconds since 1970; from another thread.

        Raises:
            RrdError: its RRD can't be made, for example because the disk is full.
            OSError: rrdcached is away, or the folder can't be written.
        """
        if self._connection is None:
            raise ConnectionError(f"there is no {self.backend.words}")
        connection = self.backend.connect()
        try:
            # rrdcached tells whole seconds only, and refuses what is not newer than the last update.
            last = int(self._files.usable(connection, series, first)) + 0.999
        finally:
            connection.close()
        series.last = max(series.last, last)

    def _mend(self, connection: Connection, series: Series) -> None:
        """A file refuses values: see why, and tell it again what the spool has."""
        now = time.monotonic()
        if now < self._mend_again.get(series, 0):
            return
        self._mend_again[series] = now + MEND_AGAIN_S
        self._replay(connection, self._spooled(), only=series)

    # -- checkpoints -------------------------------------------------------------------------------

    def checkpoint(self) -> None:
        """Begin to write and sync all RRDs that were told something; `step` goes on with it."""
        self._checkpoint_at = time.monotonic() + self._checkpoint_s
        if self._connection is None or self._writing is not None:
            return
        self._writing, self._told, self._since_checkpoint = self._told, {}, 0
        self._segments = self.spool.rotate()

    def _advance(self, seconds: float) -> None:
        """Go on with a checkpoint for so long; at its end, drop the part of the spool from before it."""
        if self._writing is None or self._connection is None:
            return
        deadline = time.monotonic() + seconds
        try:
            while self._writing:
                series = next(iter(self._writing))
                self._alive()
                if not self._files.write_out(self._connection, series, self._writing[series]):
                    self._replay(self._connection, self._segments, only=series)
                    self._files.write_out(self._connection, series, self._writing[series])
                del self._writing[series]
                self.files_written += 1
                if self._writing and time.monotonic() >= deadline:
                    return
            self._files.sync_new()
            self.spool.remove(self._segments)
        except OSError as error:
            self._lost(error)
        else:
            self._writing = None
            self.checkpoints += 1

    def megabytes_a_day(self, rate: float) -> float:
        """What reaches the disk on a day at *rate* samples a second, in MB, as measured on ext4."""
        syncs = 86400 / self._sync_s if rate else 0.0
        files = len(self.intake.series) * max(86400 / self._checkpoint_s, 86400 * rate / CHECKPOINT_SAMPLES)
        return (syncs * SYNC_BYTES + 86400 * rate * SAMPLE_BYTES + files * FILE_BYTES) / 1e6
