# SPDX-License-Identifier: GPL-3.0-or-later
"""Sync: files and folders to a remote, by schedule or on demand, with rsync.

==============  ==================================================================
job.py          what a job is: its fields, and what they may hold
remote.py       where to: ssh, an rsync daemon, a mounted path
schedule.py     when
server.py       the service, and the threads
runs.py         which run may go now: one for each remote, retries with pauses
attempt.py      one try, from its checks to what it means
stage.py        safe copies of RRDs and SQLite databases
transfer.py     rsync: its arguments, its progress, its exit status
process.py      a child process, watched
keys.py         our ssh key, the host keys we trust
history.py      what came of the runs
alarm.py        being woken by core
==============  ==================================================================
"""

from raspy.servers.sync.server import Sync, main

__all__ = ["Sync", "main"]
