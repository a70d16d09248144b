# SPDX-License-Identifier: GPL-3.0-or-later
"""``tools/run-systemtests [SUITE...]``: what the packages in dist/ do on a booted Debian, in one table.

It is started in a mount namespace of its own, so what it mounts goes when it ends, however that is.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
import threading
import traceback
from collections.abc import Callable, Sequence
from pathlib import Path

from tests.system.checks import (
    activation,
    control,
    dashboard,
    install,
    journal,
    memory,
    newcomer,
    reboot,
    remote,
    removal,
    scenario,
    supervision,
    surroundings,
    units,
    upgrade,
)
from tests.system.installed import INSIDE, REPOSITORY, Raspy
from tests.system.machine import Machine
from tests.system.report import Report, table

ROOT = Path(__file__).parents[2]
SUITES = ("bookworm", "trixie")
# Enough for what a run writes; it is taken from memory only as it is used.
SPACE = "size=4g"

CHECKS: tuple[tuple[str, Callable[[Raspy, Report], None]], ...] = (
    ("install", install.check),
    ("units", units.check),
    ("supervision", supervision.check),
    ("activation", activation.check),
    ("journal", journal.check),
    ("scenario", scenario.check),
    ("surroundings", surroundings.check),
    ("other machines", remote.check),
    ("dashboard", dashboard.check),
    ("stop, start, restart", control.check),
    ("upgrade", upgrade.check),
    ("reboot", reboot.check),
    ("memory", memory.check),
    ("removal", removal.check),
    ("a newcomer's first evening", newcomer.check),
)


def examine(suite: str, work: Path, report: Report) -> None:
    """Boot one Debian and check everything on it."""
    root = subprocess.run(
        [ROOT / "tools" / "debian-root", suite, "boot"], check=True, text=True, stdout=subprocess.PIPE
    ).stdout.split()[-1]
    binds = {INSIDE: ROOT / "tests" / "system" / "inside", REPOSITORY: ROOT / "dist" / "repo"}
    try:
        with report.part("boot"), Machine(suite, Path(root), work, binds) as machine:
            raspy = Raspy(machine)
            report.say("booted")
            for name, check in CHECKS:
                with report.part(name):
                    check(raspy, report)
                if name == "install" and not all(row.met for row in report.rows):
                    break
            if not all(row.met for row in report.rows):
                report.say("the last warnings:\n" + "\n".join(machine.journal("-p", "warning", "-n", "80")))
    except BaseException:
        report.add("the run", "to its end", traceback.format_exc(limit=-1), False)
        raise


def run(suites: Sequence[str]) -> list[Report]:
    """Examine these suites, side by side, each on a fresh machine."""
    reports = [Report(suite) for suite in suites]
    with tempfile.TemporaryDirectory(prefix="raspy-system-") as folder:
        subprocess.run(["mount", "-t", "tmpfs", "-o", SPACE, "raspy", folder], check=True)
        threads = []
        for report in reports:
            work = Path(folder) / report.suite
            work.mkdir()
            threads.append(threading.Thread(target=examine, args=(report.suite, work, report)))
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        subprocess.run(["umount", "--lazy", folder], check=True)
    return reports


def tell(reports: Sequence[Report]) -> list[str]:
    """Print the table, and whatever was not met; return the suites where that is something."""
    print(table(reports))
    rows = [row for report in reports for row in report.rows]
    failed = sum(not row.met for row in rows)
    for report in reports:
        for row in report.rows:
            if not row.met:
                print(f"\n{report.suite}: {row.part}: {row.what}")
                print(f"  asked:    {row.asked}\n  measured: {row.measured}")
    print(f"\n{len(rows) - failed} passed, {failed} failed", flush=True)
    return [report.suite for report in reports if not all(row.met for row in report.rows)]


def main() -> int:
    """Examine the suites; 0 when everything was met.

    A Debian where something was not met is examined once more, from its installation on and with the
    machine to itself: what was only late passes then, what is broken does not, and both tables are there.
    """
    parser = argparse.ArgumentParser(prog="tools/run-systemtests", description=__doc__)
    parser.add_argument("suites", nargs="*", metavar="SUITE", help=f"of {', '.join(SUITES)}; all by default")
    suites = parser.parse_args().suites or SUITES
    if unknown := set(suites) - set(SUITES):
        parser.error(f"no suite is called {', '.join(unknown)}; there are: {', '.join(SUITES)}")
    failed = tell(run(suites))
    if failed:
        print(f"\nOnce more: {' '.join(failed)}\n", flush=True)
        failed = [suite for suite in failed if tell(run([suite]))]
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
