# SPDX-License-Identifier: GPL-3.0-or-later
"""raspy.failed: what it finds in the journal, logs and publishes."""

from __future__ import annotations

import json
import logging
import re
import threading
from pathlib import Path

import pytest

from raspy import failed
from raspy.common import config
from raspy.common.kvcliapi import KvPublisherClient, KvSubscriberClient
from tests.conftest import RunningBroker, wait_for

UNIT = "raspy-host.service"
ROOT = Path(__file__).resolve().parent.parent


def test_the_reason_is_the_units_last_error_and_the_managers_word() -> None:
    entries = [
        {"MESSAGE": "x: Failed with result 'watchdog'.", "UNIT": UNIT, "UNIT_RESULT": "watchdog"},
        {"MESSAGE": "all is well", "_SYSTEMD_UNIT": UNIT, "PRIORITY": 6, "_TRANSPORT": "journal"},
        {"MESSAGE": "the last error", "_SYSTEMD_UNIT": UNIT, "PRIORITY": 3, "_TRANSPORT": "journal"},
        {"MESSAGE": "an older error", "_SYSTEMD_UNIT": UNIT, "PRIORITY": 3, "_TRANSPORT": "journal"},
        {"MESSAGE": "older", "UNIT": UNIT, "UNIT_RESULT": "signal"},
    ]
    assert failed.why(entries, UNIT) == ("watchdog", "the last error")


def test_what_stands_on_standard_error_counts_and_is_cut() -> None:
    entries = [{"MESSAGE": "E" * 9999, "_SYSTEMD_UNIT": UNIT, "PRIORITY": 6, "_TRANSPORT": "stdout"}]
    assert failed.why(entries, UNIT) == ("", "E" * failed.REASON)


def test_nothing_is_known() -> None:
    assert failed.why([], UNIT) == ("", "")


def test_the_event_is_on_the_bus(broker: RunningBroker, caplog: pytest.LogCaptureFixture) -> None:
    client = KvPublisherClient(broker=broker.url)
    with caplog.at_level(logging.ERROR, "raspy"):
        message = failed.report("raspy-host", failed.Why("signal", "it broke"), client, 12.5)
    client.destroy()
    assert message == "raspy-host has failed (signal): it broke"
    assert [record.__dict__["MESSAGE_ID"] for record in caplog.records] == [failed.UNIT_FAILED]
    subscriber = KvSubscriberClient(subtree="/event/", broker=broker.url)
    thread = threading.Thread(target=subscriber.run)
    thread.start()
    try:
        wait_for(lambda: "/event/failed/raspy-host" in subscriber.kvmap)
        body = json.loads(subscriber.kvmap["/event/failed/raspy-host"])
    finally:
        subscriber.shutdown()
        thread.join()
        subscriber.destroy()
    assert body["event"] == "failed" and body["unit"] == UNIT and body["reason"] == "it broke"


@pytest.mark.parametrize("arguments", [[], ["a", "b"], ["sshd"], ["raspy-../x"], ["raspy-x\n"]])
def test_a_wrong_argument_is_refused(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert failed.main(arguments) == 2
    assert "usage" in capsys.readouterr().err


def test_a_wrong_configuration_does_not_keep_it_from_reporting(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "raspy.conf").write_text("[raspy]\nnonsense = 1\n")
    monkeypatch.setattr(config, "DEFAULT_FILE", tmp_path / "raspy.conf")
    assert failed.broker() == "ipc:///run/raspy"


def test_the_program_reports(
    broker: RunningBroker, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(failed, "broker", lambda: broker.url)
    monkeypatch.setattr(failed, "lines", lambda unit: [])
    before = logging.getLogger().handlers[:]
    level = logging.getLogger().level
    try:
        assert failed.main(["raspy-host"]) == 0
    finally:
        logging.getLogger().handlers[:] = before
        logging.getLogger().setLevel(level)
    assert "raspy-host has failed (why is not known)" in capfd.readouterr().err


def test_a_unit_that_no_journal_knows_has_no_lines() -> None:
    assert failed.lines("raspy-no-such-unit-at-all.service") == []


def test_the_catalog_explains_every_message_id_and_no_other() -> None:
    catalog = (ROOT / "systemd/catalog/raspy.catalog").read_text()
    explained = re.findall(r"^-- ([0-9a-f]{32})$", catalog, re.MULTILINE)
    sources = [*ROOT.glob("raspy*/**/messages.py"), ROOT / "raspy/failed.py"]
    used = [found for path in sources for found in re.findall(r'"([0-9a-f]{32})"', path.read_text())]
    assert len(sources) >= 3 and sorted(explained) == sorted(used)
