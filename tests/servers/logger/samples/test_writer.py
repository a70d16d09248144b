# SPDX-License-Identifier: GPL-3.0-or-later
"""The writer: nothing that was spooled is lost, whatever dies meanwhile."""

import logging
import math
import os
import signal
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from raspy.servers.logger.rrd import archives
from raspy.servers.logger.rrd.backend import Backend
from raspy.servers.logger.rrd.rrdcached import RrdError
from raspy.servers.logger.samples import files
from raspy.servers.logger.samples import writer as module
from raspy.servers.logger.samples.files import sample_time
from raspy.servers.logger.samples.intake import Intake
from raspy.servers.logger.samples.series import Catalogue, Series
from raspy.servers.logger.samples.spool import Spool
from raspy.servers.logger.samples.writer import Writer
from tests.support.logger import body, full_disk
from tests.support.waiting import wait_for

T = 1_700_000_000 // 60 * 60


def at(number: int) -> int:
    """The time of a sample: one a minute."""
    return T + 60 * (number + 1)


class Bench:
    """A writer and what it needs, in one folder; `again` is another start of the logger."""

    def __init__(self, folder: Path, backend: Backend, boot_id: str = "this boot", **more: float) -> None:
        self.folder = folder
        self.backend = backend
        self.said: list[tuple[str, str]] = []
        self.catalogue = Catalogue(folder)
        self.catalogue.rrd.mkdir(exist_ok=True)
        self.intake = Intake(lambda *value: None, lambda: None)
        self.spool = Spool(folder / "spool", boot_id)
        self.writer = Writer(
            self.catalogue,
            self.intake,
            self.spool,
            backend,
            say=lambda *event: self.said.append(event),
            alive=lambda: None,
            log=logging.getLogger("test"),
            flush_s=more.get("flush_s", 60),
            checkpoint_s=more.get("checkpoint_s", 3600),
        )

    def open(self, name: str = "tank", first: float = T, unit: str = "°C") -> Series:
        """Connect, and open the series of a device for samples from *first* on."""
        self.writer.step()
        series = self.catalogue.find(f"pi/fake/{name}/temperature", unit, "GAUGE")
        assert series is not None
        self.writer.open_series(series, first)
        self.intake.series[series.key] = series
        self.catalogue.save()
        return series

    def take(self, series: Series, start: int, end: int) -> None:
        """Samples by their numbers, which are their values; see `at`."""
        for number in range(start, end):
            self.intake.take(series.key, body(number, at(number)))

    def known(self, series: Series, hours: int = 24) -> list[float]:
        with closing(self.backend.connect()) as connection:
            _step, rows = connection.fetch(series.path, "AVERAGE", T - 60, T + 3600 * hours)
        return [value for _moment, value in rows if not math.isnan(value)]

    def last(self, series: Series) -> float:
        """The time of the last update in the file."""
        with closing(self.backend.connect()) as connection:
            return archives.inspect(connection, series.path, series.kind)

    def forget(self, series: Series) -> None:
        """Let rrdcached lose what it holds for the file, and all it knows of it."""
        with closing(self.backend.connect()) as connection:
            connection.forget(series.path)

    def flush(self, series: Series) -> None:
        """Have the file written."""
        with closing(self.backend.connect()) as connection:
            connection.flush(series.path)

    def die(self) -> None:
        """End as by SIGKILL: what is in memory is gone."""
        if self.writer._connection is not None:
            self.writer._connection.close()
        if self.spool._file is not None:
            os.close(self.spool._file._fd)

    def again(self, boot_id: str = "this boot", **more: float) -> "Bench":
        return Bench(self.folder, self.backend, boot_id, **more)


@pytest.fixture
def bench(rrd_dir: Path, rrdcached: Backend) -> Iterator[Bench]:
    made = Bench(rrd_dir, rrdcached)
    yield made
    made.writer.close()


@pytest.fixture
def own(run_dir: Path) -> Iterator[Bench]:
    """With an rrdcached of its own, which may be killed."""
    (run_dir / "rrd").mkdir()
    backend = Backend("auto", run_dir / "rrd", logging.getLogger("test"))
    backend.keep()
    made = Bench(run_dir, backend)
    yield made
    made.writer.close()
    backend.close()


def test_samples_reach_rrdcached_with_the_next_step(bench: Bench) -> None:
    series = bench.open()
    bench.take(series, 0, 60)
    bench.writer.step()
    assert bench.known(series) == list(range(60))
    assert bench.said == []


def test_the_spool_is_synced_before_the_time_is_over(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    now = 1000.0
    monkeypatch.setattr(module.time, "monotonic", lambda: now)
    series = bench.open()
    bench.take(series, 0, 5)
    bench.writer.step()
    assert bench.spool.syncs == 0
    now += 57.9
    bench.writer.step()
    assert bench.spool.syncs == 0
    now += 0.2
    bench.writer.step()
    assert bench.spool.syncs == 1
    assert [sample for _label, sample in Spool(bench.spool.folder).read()][-1] == b"%d.000:4" % at(4)


def test_a_checkpoint_writes_and_syncs_all_and_empties_the_spool(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    synced: list[str] = []
    original = os.fdatasync

    def fdatasync(fd: int) -> None:
        synced.append(os.readlink(f"/proc/self/fd/{fd}"))
        original(fd)

    monkeypatch.setattr(os, "fdatasync", fdatasync)
    first, second = bench.open("one"), bench.open("two")
    bench.take(first, 0, 60)
    bench.take(second, 0, 30)
    bench.writer.step()
    bench.spool.flush()
    bench.writer.checkpoint()
    bench.writer.step()
    assert {str(first.path), str(second.path)} <= set(synced)
    assert bench.spool.segments() == []
    assert bench.writer.checkpoints == 1 and bench.writer.files_written == 2
    assert [bench.last(one) for one in (first, second)] == [at(59), at(29)]


def test_a_checkpoint_keeps_new_samples_waiting_for_a_moment_only(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "ADVANCE_S", 0.0)
    series = [bench.open(f"s{number}") for number in range(5)]
    for one in series:
        bench.take(one, 0, 10)
    bench.writer.step()
    bench.writer.checkpoint()
    for written in range(1, 6):
        bench.writer.checkpoint()
        bench.take(series[0], 9 + written, 10 + written)
        bench.writer.step()
        assert bench.writer.files_written == written
        assert len(bench.spool.segments()) == (2 if written < 5 else 1)
    assert bench.writer.checkpoints == 1
    assert len(bench.known(series[0])) == 15 and len(bench.known(series[4])) == 10


def test_checkpoints_come_by_time_and_by_number(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    now = 1000.0
    monkeypatch.setattr(module.time, "monotonic", lambda: now)
    monkeypatch.setattr(module, "CHECKPOINT_SAMPLES", 100)
    series = bench.open()
    bench.writer._checkpoint_at = now + 3600
    bench.take(series, 0, 99)
    bench.writer.step()
    assert bench.writer.checkpoints == 0
    bench.take(series, 99, 100)
    bench.writer.step()
    assert bench.writer.checkpoints == 1
    bench.take(series, 100, 101)
    bench.writer.step()
    now += 3601
    bench.writer.step()
    assert bench.writer.checkpoints == 2 and bench.spool.segments() == []


def test_after_a_clean_end_the_rrds_have_all(bench: Bench) -> None:
    series = bench.open()
    bench.take(series, 0, 60)
    bench.writer.close()
    assert bench.spool.segments() == []
    assert bench.last(series) == at(59)


def test_a_killed_logger_is_made_up_for_by_its_next_start(bench: Bench) -> None:
    series = bench.open()
    bench.take(series, 0, 60)
    bench.writer.step()
    bench.spool.flush()
    bench.take(series, 60, 70)
    bench.die()
    again = bench.again()
    again.writer.step()
    assert bench.known(series) == list(range(60))
    later = again.open()
    assert later.last >= at(59)
    again.take(later, 50, 80)
    again.writer.step()
    assert again.known(later) == list(range(80))
    again.writer.close()


def test_a_killed_rrdcached_is_told_again_what_it_lost(own: Bench) -> None:
    series = own.open()
    own.take(series, 0, 60)
    own.writer.step()
    child = own.backend.child
    assert child is not None and child.pid is not None
    os.kill(child.pid, signal.SIGKILL)
    wait_for(lambda: child.pid is None)
    own.take(series, 60, 70)
    own.writer.step()
    own.take(series, 70, 80)
    own.writer.step()
    own.backend._again_at = 0.0
    own.backend.keep()
    own.take(series, 80, 90)
    own.writer.step()
    assert own.known(series) == list(range(90))
    assert own.writer.replayed == 90 or own.writer.replayed == 80


def test_both_killed_at_once(own: Bench) -> None:
    series = own.open()
    own.take(series, 0, 60)
    own.writer.step()
    own.spool.flush()
    own.die()
    child = own.backend.child
    assert child is not None and child.pid is not None
    os.kill(child.pid, signal.SIGKILL)
    wait_for(lambda: child.pid is None)
    own.backend._again_at = 0.0
    own.backend.keep()
    again = own.again()
    again.writer.step()
    assert again.known(series) == list(range(60))
    assert again.writer.checkpoints == 1 and again.spool.segments() == []
    again.writer.close()


def test_after_a_power_cut_half_written_files_are_rolled_back(bench: Bench) -> None:
    """What the disk got of the rows after the last checkpoint may be anything."""
    series = bench.open()
    bench.take(series, 0, 60)
    bench.writer.step()
    bench.writer.checkpoint()
    bench.writer.step()
    bench.take(series, 60, 100)
    bench.writer.step()
    bench.spool.flush()
    # Rows that were never measured stand where the samples should be.
    with closing(bench.backend.connect()) as connection:
        connection.update([series.prefix + b"%d:1e6" % at(number) for number in range(100, 120)])
    bench.flush(series)
    bench.die()
    again = bench.again("another boot")
    again.writer.step()
    assert again.known(series) == pytest.approx(list(range(100)), abs=1)
    assert again.writer.replayed == 40 and again.spool.segments() == []
    again.writer.close()


def test_after_a_power_cut_files_that_got_nothing_are_only_told_again(bench: Bench) -> None:
    series = bench.open()
    bench.take(series, 0, 60)
    bench.writer.step()
    bench.spool.flush()
    bench.forget(series)
    bench.die()
    again = bench.again("another boot")
    again.writer.step()
    assert again.known(series) == list(range(60))
    third = again.again("another boot")
    third.writer.step()
    assert third.writer.replayed == 0
    third.writer.close()
    again.writer.close()


def test_a_file_that_can_not_be_rolled_back_is_told_what_it_lacks(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    series = bench.open()
    bench.take(series, 0, 60)
    bench.writer.step()
    bench.spool.flush()
    bench.flush(series)
    bench.die()

    def fail(*arguments: object) -> None:
        raise RrdError("no")

    monkeypatch.setattr(files, "roll_back", fail)
    again = bench.again("another boot")
    again.writer.step()
    assert "can't be mended: no" in caplog.text
    assert again.known(series) == list(range(60))
    again.writer.close()


@pytest.mark.parametrize("damage", ["garbage", "cut", "gone", "kind"])
def test_a_damaged_file_is_put_aside_and_begun_anew_from_the_spool(bench: Bench, damage: str) -> None:
    """While the logger runs: noticed at the next checkpoint."""
    series = bench.open()
    bench.take(series, 0, 60)
    bench.writer.step()
    bench.writer.checkpoint()
    bench.writer.step()
    bench.take(series, 60, 90)
    bench.writer.step()
    if damage == "gone":
        series.path.unlink()
    elif damage == "kind":
        series.path.unlink()
        with closing(bench.backend.connect()) as connection:
            archives.create(connection, series.path, "COUNTER", T)
    else:
        content = series.path.read_bytes()
        series.path.write_bytes(b"garbage" * 1000 if damage == "garbage" else content[:5000])
    bench.writer.checkpoint()
    bench.writer.step()
    bench.take(series, 90, 100)
    bench.writer.step()
    # Of the first minute of the new file only the last ten seconds are known.
    assert bench.known(series) == list(range(61, 100))
    aside = [path.name for path in series.path.parent.iterdir() if "damaged" in path.name]
    assert len(aside) == (0 if damage == "gone" else 1)
    assert [kind for kind, _sentence in bench.said] == ([] if damage == "gone" else ["damaged"])


def test_a_file_that_was_damaged_before_the_start(bench: Bench) -> None:
    series = bench.open()
    bench.take(series, 0, 60)
    bench.writer.close()
    series.path.write_bytes(b"garbage")
    again = bench.again()
    later = again.open(first=at(60))
    again.take(later, 60, 70)
    again.writer.step()
    assert again.known(later) == list(range(61, 70))
    ((kind, sentence),) = again.said
    assert kind == "damaged" and "put aside as" in sentence and "pi/fake/tank/temperature" in sentence
    again.writer.close()


def test_a_file_that_rrdcached_does_not_know_is_made_from_the_spool(bench: Bench) -> None:
    """The first sample for a file that is missing is refused at once."""
    series = bench.open()
    series.path.unlink()
    bench.take(series, 0, 10)
    bench.writer.step()
    assert bench.known(series) == list(range(1, 10))
    series.path.unlink()
    bench.forget(series)
    bench.take(series, 10, 20)
    bench.writer.step()
    assert not series.path.exists(), "not again within a minute"
    bench.writer.checkpoint()
    bench.writer.step()
    assert bench.known(series) == list(range(1, 20))


def test_a_history_from_the_future_is_cut_at_now(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """The clock had been ahead; without this no sample would be taken until that time comes."""
    series = bench.open()
    bench.take(series, 0, 200)
    bench.writer.close()
    again = bench.again()
    monkeypatch.setattr(module.time, "time", lambda: float(at(100)))
    later = again.open(first=at(100))
    ((kind, sentence),) = again.said
    assert kind == "clock" and "5940 s into the future" in sentence
    again.take(later, 101, 110)
    again.writer.step()
    assert again.known(later) == [*range(101), *range(101, 110)]
    again.writer.close()


def test_a_small_step_of_the_clock_only_waits(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    series = bench.open()
    bench.take(series, 0, 10)
    bench.writer.close()
    again = bench.again()
    monkeypatch.setattr(module.time, "time", lambda: at(9) - 30.0)
    later = again.open()
    assert again.said == [] and later.last == at(9) + 0.999
    again.writer.close()


def test_nothing_is_opened_without_rrdcached(run_dir: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Samples wait in the spool; it is told once."""
    (run_dir / "rrd").mkdir()
    bench = Bench(run_dir, Backend(f"unix:{run_dir}/none", run_dir / "rrd", logging.getLogger("test")))
    series = bench.catalogue.find("pi/fake/tank/temperature", "°C", "GAUGE")
    assert series is not None
    with pytest.raises(ConnectionError, match="there is no rrdcached"):
        bench.writer.open_series(series, T)
    bench.intake.series[series.key] = series
    bench.catalogue.save()
    for number in range(3):
        bench.take(series, number, number + 1)
        bench.writer.step()
        bench.writer.checkpoint()
    bench.writer.close()
    assert caplog.text.count("values wait in the spool") == 1
    assert [sample for _label, sample in Spool(run_dir / "spool").read()][-1] == b"%d.000:2" % at(2)


def test_a_spool_that_is_too_long_is_told(run_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("raspy.servers.logger.samples.spool.SEGMENT_BYTES", 50)
    monkeypatch.setattr("raspy.servers.logger.samples.spool.SEGMENTS_MAX", 2)
    (run_dir / "rrd").mkdir()
    bench = Bench(run_dir, Backend(f"unix:{run_dir}/none", run_dir / "rrd", logging.getLogger("test")))
    series = bench.catalogue.find("pi/fake/tank/temperature", "°C", "GAUGE")
    assert series is not None
    bench.intake.series[series.key] = series
    for number in range(8):
        bench.take(series, number * 100, number * 100 + 100)
        bench.writer.step()
        bench.spool.flush()
    assert {kind for kind, _sentence in bench.said} == {"lost"}
    assert len(bench.spool.segments()) <= 3
    bench.writer.close()


def test_with_a_full_disk_the_rrds_are_written_instead_of_the_spool(bench: Bench) -> None:
    """The bound stays true, it is told once, and so is its end."""
    series = bench.open()
    bench.take(series, 0, 10)
    bench.writer.step()
    bench.writer._sync_s = 0.0
    assert bench.spool._file is not None
    with full_disk(bench.spool._file):
        bench.take(series, 10, 20)
        bench.writer.step()
        assert bench.writer.paused == "No space left on device"
        assert bench.writer.checkpoints == 1
        assert bench.last(series) == at(19)
    bench.take(series, 20, 30)
    bench.writer.step()
    assert bench.writer.paused == ""
    assert [kind for kind, _sentence in bench.said] == ["disk", "disk"]
    assert "No space left" in bench.said[0][1] and "free some space" in bench.said[0][1]
    assert bench.known(series) == list(range(30))


def test_a_spool_that_refuses_while_it_is_added_to(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    series = bench.open()

    def refuse(*arguments: object, **more: object) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(bench.spool, "add", refuse)
        patched.setattr(bench.spool, "flush", refuse)
        bench.take(series, 0, 10)
        bench.writer.step()
        bench.writer._mend_again.clear()
        series.path.unlink()
        bench.forget(series)
        bench.take(series, 10, 11)
        bench.writer.step()
    assert bench.writer.paused and len(bench.said) == 1


def test_rrdcached_goes_away_during_a_checkpoint(own: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "ADVANCE_S", 0.0)
    series = [own.open(f"s{number}") for number in range(3)]
    for one in series:
        own.take(one, 0, 10)
    own.writer.step()
    own.writer.checkpoint()
    own.writer.step()
    child = own.backend.child
    assert child is not None and child.pid is not None
    os.kill(child.pid, signal.SIGKILL)
    wait_for(lambda: child.pid is None)
    own.writer.step()
    assert own.writer.checkpoints == 0 and own.spool.segments()
    own.backend._again_at = 0.0
    own.backend.keep()
    own.writer.step()
    for _ in range(4):
        own.writer.step()
    assert own.writer.checkpoints == 1
    assert [own.known(one) for one in series] == [list(range(10))] * 3


def test_megabytes_a_day(bench: Bench) -> None:
    assert bench.writer.megabytes_a_day(0) == 0
    bench.open()
    one = bench.writer.megabytes_a_day(0.1)
    bench.open("two")
    assert 0 < one < bench.writer.megabytes_a_day(0.1) < bench.writer.megabytes_a_day(1.0)


def test_the_wait_ends_when_it_is_woken(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "BATCH_S", 30)
    bench.writer.wake()
    bench.writer.wait()


def test_times_of_samples() -> None:
    assert sample_time(b"1700000000.123:5") == 1700000000.123
    assert sample_time(b"nonsense") == 0.0 == sample_time(b"")
