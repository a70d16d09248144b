# SPDX-License-Identifier: GPL-3.0-or-later
"""Give up everything but computing and talking on one descriptor; called once, before the scenario's code.

What is left to the process, and only to it:

* no other user's rights: root becomes nobody;
* no system call but those listed here (seccomp(2), through libseccomp): no file can be opened, no
  socket, process or thread made, no signal sent to others; what is not listed fails with EPERM;
* memory, files and processes limited by setrlimit(2) besides;
* the kernel kills it when core closes the lifeline, whatever it is doing, or when core dies.

Under systemd the unit ``raspy-scenario@.service`` confines it as well; this holds without it too.
"""

from __future__ import annotations

import fcntl
import os
import resource
import signal

NOBODY = 65534
# Lower priority than every daemon, so that an endless loop costs nobody else anything.
NICE = 10
# The kernel's name for it is not in Python's fcntl module (fcntl.h, Linux).
F_SETSIG = 10

# Talk on a descriptor that is open, wait, compute, end. Those with a number in their name are the same
# calls on 32-bit ARM; a name that a machine does not have is passed over.
CALLS = (
    "read",
    "readv",
    "recvfrom",
    "recvmsg",
    "write",
    "writev",
    "sendto",
    "sendmsg",
    "poll",
    "ppoll",
    "ppoll_time64",
    "select",
    "_newselect",
    "pselect6",
    "pselect6_time64",
    "clock_gettime",
    "clock_gettime64",
    "clock_getres",
    "clock_getres_time64",
    "gettimeofday",
    "time",
    "clock_nanosleep",
    "clock_nanosleep_time64",
    "nanosleep",
    "restart_syscall",
    "brk",
    "munmap",
    "mremap",
    "madvise",
    "futex",
    "futex_time64",
    "getpid",
    "gettid",
    "getrandom",
    "getrusage",
    "times",
    "sched_yield",
    "rt_sigreturn",
    "sigreturn",
    "rt_sigprocmask",
    "sigaltstack",
    "setitimer",
    "getitimer",
    "fstat",
    "fstat64",
    "exit",
    "exit_group",
)
# Memory that can be written or run, but is given neither anew: no PROT_EXEC (4) in the third argument.
MAPPING = ("mmap", "mmap2", "mprotect")
PROT_EXEC = 4


def walls(lifeline: int | None, memory_mb: float) -> None:
    """Put up all of them.

    Args:
        lifeline: the pipe from core, as a descriptor.
        memory_mb: how much more memory the process may map, in megabytes.
    """
    if lifeline is not None:
        arm(lifeline)
    limit(memory_mb)
    lock()


def drop_root() -> None:
    """Become nobody, if we are root. What is to be imported from a private folder is imported before."""
    if os.geteuid() == 0:
        os.setgroups([])
        os.setresgid(NOBODY, NOBODY, NOBODY)
        os.setresuid(NOBODY, NOBODY, NOBODY)


def arm(lifeline: int) -> None:
    """Let the kernel kill this process as soon as the other end of *lifeline* (a pipe) is closed.

    Source: fcntl(2), F_SETOWN, F_SETSIG, O_ASYNC. SIGKILL can be neither caught nor blocked, and the calls
    that could undo this are not among ``CALLS``.
    """
    fcntl.fcntl(lifeline, fcntl.F_SETOWN, os.getpid())
    fcntl.fcntl(lifeline, F_SETSIG, signal.SIGKILL)
    fcntl.fcntl(lifeline, fcntl.F_SETFL, fcntl.fcntl(lifeline, fcntl.F_GETFL) | os.O_ASYNC | os.O_NONBLOCK)


def limit(memory_mb: float) -> None:
    """Limit what the process may use from now on: memory beyond what it has, no files, no processes.

    Args:
        memory_mb: how much more memory it may map, in megabytes.
    """
    with open("/proc/self/statm", encoding="ascii") as file:
        pages = int(file.read().split()[0])
    space = pages * resource.getpagesize() + int(memory_mb * 1024 * 1024)
    _lower(resource.RLIMIT_AS, space)
    _lower(resource.RLIMIT_FSIZE, 0)
    _lower(resource.RLIMIT_CORE, 0)
    _lower(resource.RLIMIT_NPROC, 0)
    try:
        os.nice(NICE)
    except PermissionError:
        return  # the unit forbids the call, and has Nice= itself


def _lower(which: int, value: int) -> None:
    """Set a limit for good; one that is lower already stays."""
    hard = resource.getrlimit(which)[1]
    if hard != resource.RLIM_INFINITY:
        value = min(value, hard)
    resource.setrlimit(which, (value, value))


def lock() -> None:
    """Allow ``CALLS`` and nothing else from now on, for good.

    Raises:
        ImportError: python3-seccomp is not installed.
        OSError, RuntimeError: the kernel has no seccomp.
    """
    import seccomp

    calls = seccomp.SyscallFilter(seccomp.ERRNO(1))  # EPERM
    for name in CALLS:
        _allow(calls, name)
    for name in MAPPING:
        _allow(calls, name, seccomp.Arg(2, seccomp.MASKED_EQ, PROT_EXEC, 0))
    calls.load()  # also sets no_new_privs, see prctl(2)


def _allow(calls: object, name: str, *arguments: object) -> None:
    import seccomp

    try:
        calls.add_rule(seccomp.ALLOW, name, *arguments)  # type: ignore[attr-defined]
    except (RuntimeError, ValueError, OSError):
        # The library does not know a call of another machine or a newer kernel: it stays forbidden.
        return
