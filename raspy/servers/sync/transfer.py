# SPDX-License-Identifier: GPL-3.0-or-later
"""One try at a job: what rsync is told, what it says, and what that means for a person.

Nothing half-written is ever taken for whole: rsync writes to a file of another name and renames it
when it is complete; what a broken connection leaves is kept in ``.rsync-partial`` beside it, and the next
try goes on from there. Owner, group and devices are not copied: that would need root over there. A new
file gets the permissions of the source's; those of one that is there are left as they are, since
file systems of USB sticks have none.

Source: rsync(1), "EXIT VALUES" and "--info=progress2".
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

from raspy.servers.sync import keys, process
from raspy.servers.sync.job import Job
from raspy.servers.sync.stage import LIVE_PATTERNS

PARTIAL_DIR = ".rsync-partial"
SECLUDED = "--secluded-args"  # file names go in the protocol, never through the remote's shell
_RRSYNC = "option -s has been disabled"
IO_TIMEOUT_S = 60  # nothing sent or received for so long ends the try
CONNECT_TIMEOUT_S = 20

_PROGRESS = re.compile(
    rb"\s*(?P<bytes>[0-9]+)\s+(?P<percent>[0-9]{1,3})%\s+(?P<rate>[0-9.]+)(?P<unit>[kMGT]?)B/s\s+\S+"
    rb"(?:\s+\(xfr#(?P<files>[0-9]+))?"
)
_UNITS = {b"": 1, b"k": 1024, b"M": 1024**2, b"G": 1024**3, b"T": 1024**4}
_FILES = re.compile(r"^Number of regular files transferred: ([0-9]+)", re.MULTILINE)
_BYTES = re.compile(r"^Total transferred file size: ([0-9]+)", re.MULTILINE)
_SENT = re.compile(r"^Total bytes sent: ([0-9]+)", re.MULTILINE)

#: Exit statuses after which a second try may do better: connection, protocol stream, time-out.
PASSING = (10, 12, 30, 35, 255)

FULL = "the remote is full"
_FULL_HOUSE = "the remote has too many connections"

#: What standard error says, whatever the status: the sentence for it. The first that fits counts.
_MEANINGS = (
    (r"No space left on device|Disk quota exceeded", FULL),
    (r"Host key verification failed|host key .* changed", "the remote's host key is not trusted"),
    (r"Permission denied \((?:publickey|password|keyboard)", "the remote does not accept our ssh key"),
    (r"auth failed on module", "the remote does not accept the user or the password"),
    (r"Unknown module", "the remote has no such module"),
    (r"read-?only", "the remote can only be read"),
    (r"max connections", _FULL_HOUSE),
    (r"Could not resolve hostname|getaddrinfo", "the remote's name is not known"),
    (r"Connection refused", "nothing listens at the remote"),
    (r"Connection timed out|No route to host|Network is unreachable", "the remote can't be reached"),
    (r"rsync: (?:command )?not found|No such file or directory.*rsync", "the remote has no rsync"),
    (
        r"\[(?:receiver|generator)\].*(?:Permission denied|not permitted)",
        "the remote does not let us write there",
    ),
    (r"\[sender\].*Permission denied", "there are files that we may not read"),
)
_BY_STATUS = {
    10: "the connection broke", 12: "the connection broke", 30: "the remote did not answer in time",
    35: "the remote did not answer in time", 255: "the ssh connection failed",
    11: "a file could not be written", 23: "not everything could be copied",
}  # fmt: skip
#: Those of `_MEANINGS` that no second try changes.
_LASTING = (*(meaning for _, meaning in _MEANINGS[:6]), "the remote has no rsync")

#: Files that went away while they were copied: what is left is complete.
STATUS_VANISHED = 24


class Progress(NamedTuple):
    """How far a transfer is.

    Attributes:
        percent: of the bytes of all files, those included that need not be sent.
        bytes: so far.
        files: sent so far.
        rate_bps: bytes a second.
    """

    percent: int
    bytes: int
    files: int
    rate_bps: int


class Outcome(NamedTuple):
    """How one try ended.

    Attributes:
        ok: everything is there.
        again: another try may do better.
        status: rsync's exit status; negative: a signal.
        message: a sentence for a person.
        lines: the last lines that rsync and ssh said.
        files: files sent.
        bytes: their size.
        sent: bytes on the wire.
    """

    ok: bool
    again: bool
    status: int
    message: str
    lines: list[str]
    files: int
    bytes: int
    sent: int


def command(job: Job, sources: Sequence[str], password_file: str, exclude: str) -> list[str]:
    """The command line of rsync; it runs in the server's data folder.

    Args:
        job: the job, with a remote.
        sources: paths; of two files of the same name the first counts.
        password_file: for a daemon; empty for none.
        exclude: a pattern of what is not copied; empty for none.
    """
    words = [
        "rsync", "--recursive", "--links", "--times", "--no-inc-recursive",
        f"--partial-dir={PARTIAL_DIR}", "--info=progress2,stats2", "--no-human-readable", "--outbuf=L",
        *(f"--exclude={pattern}" for pattern in LIVE_PATTERNS), *_connection(job, password_file),
    ]  # fmt: skip
    if exclude:
        words.append(f"--exclude={exclude}")
    if job.delete:
        words.append("--delete-delay")
    if job.bandwidth_kib:
        words.append(f"--bwlimit={job.bandwidth_kib}")
    return [*words, "--", *sources, job.there.target]


def tidy_command(job: Job, source: str, password_file: str) -> list[str]:
    """The command line that removes ``.rsync-partial`` in a source's folders at the remote, and nothing else.

    Of the source only the folders are shown, at the remote everything but that is protected.
    """
    rules = (f"risk {PARTIAL_DIR}/", f"risk {PARTIAL_DIR}/**", "protect *", "show */", "hide *")
    words = ["rsync", "--recursive", "--existing", "--delete", *_connection(job, password_file)]
    return [*words, *(f"--filter={rule}" for rule in rules), "--", source, job.there.target]


def _connection(job: Job, password_file: str) -> list[str]:
    words = [SECLUDED, f"--timeout={IO_TIMEOUT_S}", "--no-motd"]
    if job.there.kind == "ssh":
        words.append(f"--rsh=ssh -F {keys.CONFIG} -p {job.there.port}")
    elif job.there.kind == "rsync":
        words.append(f"--contimeout={CONNECT_TIMEOUT_S}")
        if password_file:
            words.append(f"--password-file={password_file}")
    else:
        words.append("--modify-window=1")  # seconds; FAT keeps every other one
    return words


class Meter:
    """Reads rsync's progress as it comes."""

    def __init__(self) -> None:
        self.last = Progress(0, 0, 0, 0)
        self._rest = b""

    def feed(self, data: bytes) -> None:
        """Take a piece of standard output; lines of progress end with a carriage return."""
        *lines, self._rest = (self._rest + data).replace(b"\n", b"\r").split(b"\r")
        self._rest = self._rest[-200:]
        for line in reversed(lines):
            match = _PROGRESS.match(line)
            if match is not None:
                files = int(match["files"]) if match["files"] else self.last.files
                rate = int(float(match["rate"]) * _UNITS[match["unit"]])
                self.last = Progress(min(100, int(match["percent"])), int(match["bytes"]), files, rate)
                return


def transfer(
    job: Job,
    sources: Sequence[str],
    folder: Path,
    password_file: str,
    exclude: str,
    limit_s: float,
    tick: Callable[[Progress], None],
) -> Outcome:
    """Run rsync once.

    Args:
        job, sources, password_file, exclude: as for `command`.
        folder: the server's data folder.
        limit_s: how long it may take.
        tick: called twice a second; an exception ends the transfer and passes on.

    Raises:
        OSError: there is no rsync here.
    """
    meter = Meter()
    environment = {"HOME": str(folder)}
    words = command(job, sources, password_file, exclude)

    def run() -> process.Finished:
        return process.run(
            words, limit_s=limit_s, cwd=folder, env=environment, on_output=meter.feed,
            tick=lambda: tick(meter.last),
        )  # fmt: skip

    done = run()
    if any(_RRSYNC in line for line in done.errors):
        # rrsync(1) reads the arguments itself, wants them in the open, and gives them to no shell.
        words.remove(SECLUDED)
        done = run()
    outcome = judge(done, meter.last)
    if outcome.message == FULL:
        # The part of the file that did not fit would keep the remote full for all others, for ever.
        process.run(
            tidy_command(job, sources[-1], password_file), limit_s=limit_s, cwd=folder, env=environment,
            tick=lambda: tick(meter.last),
        )  # fmt: skip
    return outcome


def judge(done: process.Finished, last: Progress) -> Outcome:
    """What the end of rsync means."""
    files, size, sent = (_number(pattern, done.output) for pattern in (_FILES, _BYTES, _SENT))
    counts = (files, size, sent) if sent else (last.files, last.bytes, last.bytes)
    if done.timed_out:
        message = "stopped: its time limit is up"
        return Outcome(False, False, done.status, message, done.errors, *counts)
    if done.status == 0:
        return Outcome(True, False, 0, "done", done.errors, *counts)
    if done.status == STATUS_VANISHED:
        return Outcome(True, False, done.status, "done; some files went away meanwhile", done.errors, *counts)
    text = "\n".join(done.errors)
    meaning = next((words for pattern, words in _MEANINGS if re.search(pattern, text, re.IGNORECASE)), "")
    message = meaning or _BY_STATUS.get(done.status, f"rsync ended with status {done.status}")
    again = (done.status in PASSING and meaning not in _LASTING) or meaning == _FULL_HOUSE
    return Outcome(False, again, done.status, message, done.errors, *counts)


def _number(pattern: re.Pattern[str], text: str) -> int:
    match = pattern.search(text)
    return int(match[1]) if match else 0
