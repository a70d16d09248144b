# SPDX-License-Identifier: GPL-3.0-or-later
"""One try of a job, to a real sshd, a real rsync daemon and a mounted folder."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from raspy.servers.sync import job, keys, process
from raspy.servers.sync.attempt import Place, attempt, keep_password
from raspy.servers.sync.job import Job
from raspy.servers.sync.transfer import PARTIAL_DIR, Meter, Outcome, Progress, command, judge, tidy_command

from .conftest import MODULE_PASSWORD, MODULE_USER, USER, Rsyncd, Sshd, Wire, free_port, tree

BIG = 3_000_000
HOSTILE = [
    "a b",
    "-rf", "--delete", "$(touch pwned)", "`touch pwned`", ";touch pwned", "a'b\"c", "new\nline", "tab\there",
    "*", "?[x]", "\\", "~", "#", "%s", "Größe", "写真", "\x7f", ".rsync-partial-not", "-", "a" * 250,
]  # fmt: skip


@pytest.fixture
def place(tmp_path: Path, mounted: Path) -> Place:
    """A server's state folder, beside it what may be copied."""
    folder = tmp_path / "state" / "sync"
    folder.mkdir(parents=True)
    keys.write_config(folder)
    return Place(folder, [tmp_path / "state"], [mounted])


@pytest.fixture
def source(place: Place) -> Path:
    folder = place.folder.parent / "data"
    (folder / "sub" / "empty").mkdir(parents=True)
    (folder / "one").write_bytes(b"1" * 1000)
    (folder / "sub" / "two").write_bytes(os.urandom(20_000))
    (folder / "sub" / "two").chmod(0o600)
    (folder / "link").symlink_to("sub/two")
    return folder


def make(source: Path, remote: str, **values: object) -> Job:
    checked = job.check({"source": str(source), "remote": remote, **values}, None)
    return Job("test", checked)


def run(made: Job, place: Place, limit_s: float = 60) -> Outcome:
    return attempt(made, place, limit_s, lambda progress: None)


def ssh_job(source: Path, sshd: Sshd, place: Place, target: Path, port: int = 0, **values: object) -> Job:
    """A job over ssh to a host that we know and that knows us."""
    sshd.authorized.write_text(keys.make_key(place.folder) + "\n")
    remote = f"ssh://{USER}@127.0.0.1:{port or sshd.port}{target}"
    return make(source, remote, **{"host_key": sshd.fingerprint, **values})


@pytest.fixture
def targets(tmp_path: Path, sshd: Sshd, rsyncd: Rsyncd, mounted: Path, place: Place,
            request: pytest.FixtureRequest) -> Callable[[Path], tuple[Job, Path]]:  # fmt: skip
    """Make a job to each kind of remote: the job, and the folder where its files arrive."""

    def to(source: Path) -> tuple[Job, Path]:
        if request.param == "ssh":
            target = tmp_path / "target dir; touch pwned"
            return ssh_job(source, sshd, place, target), target
        if request.param == "rsync":
            name = f"t{free_port()}"
            return make(source, rsyncd.url("open", f"/{name}")), rsyncd.folder / "open" / name
        return make(source, f"{mounted}/target"), mounted / "target"

    return to


ALL = pytest.mark.parametrize("targets", ["ssh", "rsync", "path"], indirect=True)


@ALL
def test_the_trees_are_equal_afterwards(
    targets: Callable[[Path], tuple[Job, Path]], source: Path, place: Place
) -> None:
    made, target = targets(source)
    outcome = run(made, place)
    assert outcome.ok, outcome
    assert (outcome.files, outcome.bytes, outcome.status) == (2, 21_000, 0)
    assert tree(target) == tree(source)
    assert (target / "sub" / "two").stat().st_mode & 0o777 == 0o600
    assert int((target / "one").stat().st_mtime) == int((source / "one").stat().st_mtime)
    again = run(made, place)
    assert again.ok and (again.files, again.bytes) == (0, 0)
    assert again.sent < 2000


@ALL
def test_hostile_names(targets: Callable[[Path], tuple[Job, Path]], source: Path, place: Place) -> None:
    for name in HOSTILE:
        (source / name).write_text(name)
        (source / "sub" / name).mkdir()
        (source / "sub" / name / name[:100]).symlink_to(f"../../{name}")
    made, target = targets(source)
    outcome = run(made, place)
    assert outcome.ok, outcome
    assert tree(target) == tree(source)
    assert not list(place.folder.rglob("pwned")) and not Path("pwned").exists()


@ALL
def test_a_source_with_a_hostile_name(targets: Callable[[Path], tuple[Job, Path]], place: Place) -> None:
    source = place.folder.parent / "-e $(touch pwned) *;'"
    source.mkdir()
    (source / "x").touch()
    made, target = targets(source)
    assert run(made, place).ok
    assert tree(target) == {"x": b""}


@ALL
def test_a_single_file(targets: Callable[[Path], tuple[Job, Path]], source: Path, place: Place) -> None:
    made, target = targets(source / "one")
    assert run(made, place).ok
    assert tree(target) == {"one": b"1" * 1000}


@ALL
def test_deletes_only_when_told(
    targets: Callable[[Path], tuple[Job, Path]], source: Path, place: Place
) -> None:
    made, target = targets(source)
    assert run(made, place).ok
    (source / "one").unlink()
    assert run(made, place).ok
    assert (target / "one").exists()
    made.values["delete"] = True
    assert run(made, place).ok
    assert tree(target) == tree(source)


def test_a_remote_that_lets_us_write_one_folder_only(
    source: Path, sshd: Sshd, place: Place, tmp_path: Path
) -> None:
    """By rrsync, as docs/sync.md recommends."""
    target = tmp_path / "only here"
    target.mkdir()
    made = ssh_job(source, sshd, place, Path("/a b; touch pwned"))
    key = sshd.authorized.read_text()
    sshd.authorized.write_text(f"restrict,command=\"rrsync -wo '{target}'\" {key}")
    outcome = run(made, place)
    assert outcome.ok, outcome
    assert tree(target / "a b; touch pwned") == tree(source)
    assert not list(tmp_path.rglob("pwned"))


def test_ten_thousand_small_files(source: Path, place: Place, rsyncd: Rsyncd) -> None:
    for number in range(10_000):
        folder = source / f"{number % 100}"
        folder.mkdir(exist_ok=True)
        (folder / f"{number}.txt").write_text(str(number))
    seen: list[Progress] = []
    outcome = attempt(make(source, rsyncd.url("open", "/many")), place, 100, seen.append)
    assert outcome.ok, outcome
    assert outcome.files == 10_002
    assert tree(rsyncd.folder / "open" / "many") == tree(source)
    percents = [progress.percent for progress in seen]
    assert percents == sorted(percents)


def test_a_connection_that_is_cut_goes_on_where_it_was(
    source: Path, place: Place, rsyncd: Rsyncd, wire: Callable[..., Wire]
) -> None:
    (source / "big").write_bytes(os.urandom(BIG))
    cut = wire(rsyncd.port, cut_after=BIG // 2)
    target = rsyncd.folder / "open" / "cut"
    broken = run(make(source, rsyncd.url("open", "/cut", port=cut.port), bandwidth_kib=20_000), place)
    assert not broken.ok and broken.again
    assert broken.message == "the connection broke"
    # nothing half-written stands there under its name
    assert not (target / "big").exists()
    partial = (target / PARTIAL_DIR / "big").stat().st_size
    assert 0 < partial < BIG
    cut.cut_after = None
    done = run(make(source, rsyncd.url("open", "/cut", port=cut.port)), place)
    assert done.ok and done.bytes >= BIG
    assert done.sent < BIG - partial + 100_000
    assert tree(target) == tree(source)


def test_a_cut_ssh_connection(source: Path, place: Place, sshd: Sshd, tmp_path: Path,
                              wire: Callable[..., Wire]) -> None:  # fmt: skip
    (source / "big").write_bytes(os.urandom(BIG))
    cut = wire(sshd.port, cut_after=BIG // 2)
    made = ssh_job(source, sshd, place, tmp_path / "target", port=cut.port)
    broken = run(made, place)
    assert not broken.ok and broken.again, broken
    assert not (tmp_path / "target" / "big").exists()
    cut.cut_after = None
    assert run(made, place).ok
    assert tree(tmp_path / "target") == tree(source)


def test_a_remote_that_is_full(source: Path, place: Place, rsyncd: Rsyncd) -> None:
    (source / "big").write_bytes(os.urandom(BIG))
    outcome = run(make(source, rsyncd.url("full")), place)
    assert (outcome.ok, outcome.again, outcome.message) == (False, False, "the remote is full")
    assert any("No space left on device" in line for line in outcome.lines)
    # what did not fit is not left there: there is room for the others
    (source / "big").unlink()
    assert run(make(source, rsyncd.url("full")), place).ok


def test_tidying_removes_what_was_begun_and_nothing_else(source: Path, place: Place, mounted: Path) -> None:
    target = mounted / "x"
    for name in ("one", "sub/two", "sub/other", "old/file", "old/.rsync-partial/part", "old/empty/"):
        path = target / name
        (path if name.endswith("/") else path.parent).mkdir(parents=True, exist_ok=True)
        if not name.endswith("/"):
            path.write_text("there before")
    before = tree(target)
    for name in (".rsync-partial", "sub/.rsync-partial"):
        (target / name).mkdir()
        (target / name / "big").write_text("half")
    process.run(tidy_command(make(source, str(target)), f"{source}/", ""), limit_s=10)
    assert tree(target) == before


def test_a_wrong_password(source: Path, place: Place, rsyncd: Rsyncd) -> None:
    made = make(source, rsyncd.url("closed", user=MODULE_USER))
    wrong = "the remote does not accept the user or the password"
    for password in ("", "wrong"):
        keep_password(place.folder, "test", password)
        outcome = run(made, place)
        assert (outcome.ok, outcome.again, outcome.message) == (False, False, wrong)
    keep_password(place.folder, "test", MODULE_PASSWORD)
    assert (place.folder / "passwords" / "test").stat().st_mode & 0o777 == 0o600
    assert run(made, place).ok
    assert tree(rsyncd.folder / "closed") == tree(source)


def test_an_unknown_host_key(source: Path, place: Place, sshd: Sshd, tmp_path: Path) -> None:
    made = ssh_job(source, sshd, place, tmp_path / "target", host_key="")
    outcome = run(made, place)
    assert not outcome.ok and not outcome.again
    assert outcome.message.startswith("the remote's host key is not trusted: it shows ")
    assert sshd.fingerprint in outcome.message and "set the job's host_key" in outcome.message
    assert not (tmp_path / "target").exists()


def test_a_host_key_that_is_another(source: Path, place: Place, sshd: Sshd, tmp_path: Path) -> None:
    other = "SHA256:" + "A" * 43
    outcome = run(ssh_job(source, sshd, place, tmp_path / "target", host_key=other), place)
    assert not outcome.ok and not outcome.again
    assert sshd.fingerprint in outcome.message and other in outcome.message
    assert not (tmp_path / "target").exists()


def test_a_host_key_that_changed(source: Path, place: Place, sshd: Sshd, tmp_path: Path) -> None:
    """Known before, and now it shows another one: somebody in the middle."""
    made = ssh_job(source, sshd, place, tmp_path / "target", host_key="")
    name = f"[127.0.0.1]:{sshd.port}"
    key = keys.make_key(tmp_path / "elsewhere").rpartition(" ")[0]
    (place.folder / "known_hosts").write_text(f"{name} {key}\n")
    outcome = run(made, place)
    assert not outcome.ok and not outcome.again
    assert outcome.message.startswith("the remote's host key is not trusted")


def test_a_key_that_the_remote_does_not_accept(
    source: Path, place: Place, sshd: Sshd, tmp_path: Path
) -> None:
    made = ssh_job(source, sshd, place, tmp_path / "target")
    sshd.authorized.write_text("")
    outcome = run(made, place)
    assert not outcome.ok and not outcome.again
    assert outcome.message.startswith("the remote does not accept our ssh key: put the public_key")


@pytest.mark.parametrize(
    ("remote", "message", "again"),
    [
        ("rsync://127.0.0.1:{free}/open", "nothing listens at the remote", True),
        ("ssh://pi@127.0.0.1:{free}/x", "nothing listens at the remote", True),
        ("rsync://127.0.0.1:{rsync}/nothing", "the remote has no such module", False),
        ("rsync://nowhere.invalid/x", "the remote's name is not known", True),
        ("ssh://pi@nowhere.invalid/x", "the remote's name is not known", True),
    ],
)
def test_remotes_that_are_not_there(
    source: Path, place: Place, rsyncd: Rsyncd, remote: str, message: str, again: bool
) -> None:
    outcome = run(make(source, remote.format(free=free_port(), rsync=rsyncd.port)), place)
    assert (outcome.ok, outcome.message, outcome.again) == (False, message, again), outcome


def test_a_disk_that_is_not_mounted(source: Path, place: Place, tmp_path: Path, mounted: Path) -> None:
    for path, words in (
        (tmp_path / "x", "lies outside the folders for disks and shares"),
        (mounted / ".." / "x", "may not contain '..'"),
    ):
        try:
            outcome = run(make(source, str(path)), place)
        except job.ClientError as error:
            assert words in str(error)
        else:
            assert not outcome.ok and words in outcome.message
    # Not below /tmp, which Debian 13 mounts.
    outcome = run(make(source, "/no-disk/x"), place._replace(mounts=[Path("/")]))
    assert not outcome.ok and "nothing is mounted at" in outcome.message
    (mounted / "way").symlink_to(tmp_path)
    outcome = run(make(source, f"{mounted}/way"), place)
    assert not outcome.ok and "lies outside" in outcome.message
    assert not (tmp_path / "x").exists()


def test_sources_that_are_not_there_or_not_allowed(source: Path, place: Place, mounted: Path) -> None:
    assert "there is no" in run(make(source / "nothing", f"{mounted}/x"), place).message
    (source / "out").symlink_to("/etc")
    assert "lies outside" in run(make(source / "out", f"{mounted}/x"), place).message
    assert "stays here" in run(make(place.folder, f"{mounted}/x"), place).message
    assert not (mounted / "x").exists()


def test_our_keys_stay_here_when_all_is_copied(source: Path, place: Place, mounted: Path) -> None:
    strange = place.folder.parent / "sy[n]*c"
    place.folder.rename(strange)
    place = place._replace(folder=strange)
    keys.make_key(strange)
    outcome = run(make(strange.parent, f"{mounted}/all"), place)
    assert outcome.ok, outcome
    assert (mounted / "all" / "data" / "one").exists()
    assert not (mounted / "all" / strange.name).exists()


def test_living_databases_arrive_whole(source: Path, place: Place, rsyncd: Rsyncd) -> None:
    living = sqlite3.connect(source / "sub" / "x.db")
    living.execute("PRAGMA journal_mode=wal")
    living.execute("CREATE TABLE t (n)")
    living.execute("INSERT INTO t VALUES (42)")
    living.commit()
    made = make(source, rsyncd.url("open", "/db"), delete=True)
    target = rsyncd.folder / "open" / "db"
    for _ in range(2):
        outcome = run(made, place)
        assert outcome.ok, outcome
        names = [name for name in tree(target) if name.startswith("sub/x.db")]
        assert names == ["sub/x.db"]
        copy = sqlite3.connect(target / "sub" / "x.db")
        assert copy.execute("SELECT n FROM t").fetchone() == (42,)
        copy.close()
    assert outcome.files == 0  # nothing changed: nothing is sent again
    assert (target / "one").exists()
    assert not (place.folder / "stage" / "test").exists()
    living.close()


def test_a_database_that_can_not_be_copied_stops_the_job(source: Path, place: Place, mounted: Path) -> None:
    (source / "x.sqlite").write_bytes(b"SQLite format 3\0" + b"\xff" * 5000)
    outcome = run(make(source, f"{mounted}/x"), place)
    assert not outcome.ok and "can't make a safe copy of" in outcome.message
    assert not (mounted / "x").exists()


def test_a_time_limit(source: Path, place: Place, rsyncd: Rsyncd) -> None:
    (source / "big").write_bytes(os.urandom(BIG))
    outcome = run(make(source, rsyncd.url("open", "/slow"), bandwidth_kib=100), place, limit_s=1)
    assert not outcome.ok and not outcome.again
    assert outcome.message == "stopped: its time limit is up"


def test_progress_and_bandwidth(source: Path, place: Place, rsyncd: Rsyncd) -> None:
    (source / "big").write_bytes(os.urandom(BIG))
    seen: list[Progress] = []
    outcome = attempt(make(source, rsyncd.url("open", "/bw"), bandwidth_kib=2000), place, 60, seen.append)
    assert outcome.ok
    underway = [progress for progress in seen if 0 < progress.percent < 100]
    assert underway
    assert any(progress.rate_bps for progress in underway)


def test_no_rsync_here(source: Path, place: Place, mounted: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    monkeypatch.setitem(process.ENVIRONMENT, "PATH", "/nowhere")
    outcome = run(make(source, f"{mounted}/x"), place)
    assert not outcome.ok and "rsync" in outcome.message


# what rsync says


@pytest.mark.parametrize(
    ("status", "errors", "message", "again"),
    [
        (0, [], "done", False),
        (24, ["file has vanished: x"], "done; some files went away meanwhile", False),
        (23, ["rsync: open failed: Permission denied (13)"], "not everything could be copied", False),
        (30, [], "the remote did not answer in time", True),
        (
            5,
            ["@ERROR: max connections (4) reached -- try again later"],
            "the remote has too many connections",
            True,
        ),
        (14, [], "rsync ended with status 14", False),
        (-9, [], "rsync ended with status -9", False),
        (12, ["sh: 1: rsync: not found"], "the remote has no rsync", False),
    ],
)
def test_what_an_end_means(status: int, errors: list[str], message: str, again: bool) -> None:
    outcome = judge(process.Finished(status, "", errors, False), Progress(50, 100, 2, 10))
    assert (outcome.message, outcome.again, outcome.ok) == (message, again, status in (0, 24))
    assert (outcome.files, outcome.bytes) == (2, 100)


def test_arguments() -> None:
    made = make(Path("/x"), "ssh://pi@nas:2222/b", delete=True, bandwidth_kib=50)
    words = command(made, ["/stage/", "/x/"], "", "/sync/")
    assert words[0] == "rsync"
    assert {"--delete-delay", "--bwlimit=50", "--exclude=/sync/", "--secluded-args"} < set(words)
    assert "--rsh=ssh -F ssh_config -p 2222" in words
    assert words[words.index("--") :] == ["--", "/stage/", "/x/", "pi@nas:/b/"]
    assert "--delete-delay" not in command(make(Path("/x"), "/mnt/y"), ["/x/"], "", "")


@given(st.lists(st.binary(max_size=100)))
def test_any_output_is_progress_or_nothing(pieces: list[bytes]) -> None:
    meter = Meter()
    for piece in pieces:
        meter.feed(piece)
    assert 0 <= meter.last.percent <= 100


def test_progress_in_pieces() -> None:
    meter = Meter()
    for piece in (
        b"\r   1000  10%   1.50",
        b"MB/s    0:00:12\r",
        b"   2000  20%  900.00kB/s  0:00:01 (xfr#3, to-ch",
    ):
        meter.feed(piece)
    assert meter.last == Progress(10, 1000, 0, 1572864)
    meter.feed(b"k=1/7)\n")
    assert meter.last == Progress(20, 2000, 3, 921600)
