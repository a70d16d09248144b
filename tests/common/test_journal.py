# SPDX-License-Identifier: GPL-3.0-or-later
import logging
import os
import subprocess
import sys

import pytest

from raspy.common import journal


@pytest.fixture(autouse=True)
def root_as_it_was():
    root = logging.getLogger()
    handlers, level = list(root.handlers), root.level
    yield
    root.handlers[:] = handlers
    root.setLevel(level)


def test_lines_for_a_person_outside_systemd(capsys):
    journal.set_up("fake", "warning")
    logging.getLogger("raspy.fake").info("not shown")
    logging.getLogger("raspy.fake").warning("heater %s", "off", extra={"RASPY_DEVICE": "heater"})
    error = capsys.readouterr().err
    assert "not shown" not in error
    assert error.rstrip().endswith("WARNING fake: heater off")


def test_the_only_handler_is_ours():
    first = journal.set_up("fake")
    second = journal.set_up("fake")
    assert logging.getLogger().handlers == [second]
    assert first is not second


def test_levels():
    journal.set_up("fake", "error")
    assert journal.get_level() == "error"
    journal.set_level("debug")
    assert journal.get_level() == "debug"
    with pytest.raises(ValueError, match="'loud': must be one of debug, info"):
        journal.set_level("loud")


def test_the_journal_gets_fields_when_stderr_is_the_journal():
    """What the handler hands to the journal, in a process whose stderr is said to be the journal."""
    code = """
import logging, os, sys
from systemd import journal as library
stat = os.fstat(2)
os.environ["JOURNAL_STREAM"] = f"{stat.st_dev}:{stat.st_ino}"
from raspy.common import journal
handler = journal.set_up("fake")
handler.send = lambda text, **fields: print(text, {k: fields[k] for k in sorted(fields) if k in
    ("SYSLOG_IDENTIFIER", "RASPY_SERVICE", "RASPY_DEVICE", "MESSAGE_ID", "PRIORITY")})
logging.getLogger("raspy.fake").error("too hot", extra={"RASPY_DEVICE": "tank", "MESSAGE_ID": "ab" * 16})
"""
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, capture_output=True, text=True, timeout=20, check=True, env=os.environ)
    assert done.stdout == (
        "too hot {'MESSAGE_ID': '" + "ab" * 16 + "', 'PRIORITY': '3', 'RASPY_DEVICE': 'tank',"
        " 'RASPY_SERVICE': 'fake', 'SYSLOG_IDENTIFIER': 'raspy-fake'}\n"
    )
