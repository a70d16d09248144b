# SPDX-License-Identifier: GPL-3.0-or-later
"""The main of every daemon, in real processes; the broker stands for all."""

import os
import signal
from pathlib import Path

import pytest

from raspy.common import curve, daemon
from raspy.common.config import ConfigError, Settings
from raspy.common.mdcliapi import MajorDomoClient
from tests.support.curved import CurvedBroker

BROKER = "raspy.servers.broker"


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_it_runs_until_it_is_asked_to_stop(processes, run_dir, number):
    broker = processes.start_ready(BROKER, "--broker", f"ipc://{run_dir}/run")
    broker.signal(number)
    assert broker.wait() == 0
    broker.notify.wait("STOPPING=1")
    assert not list((run_dir / "run").glob("*.sock"))


def test_the_command_line_goes_before_the_configuration(processes, run_dir):
    conf = run_dir / "raspy.conf"
    conf.write_text(f"[raspy]\nhostname = conf\nbroker = ipc://{run_dir}/run\nlog_level = error\n")
    arguments = ["--config", conf, "--hostname", "line", "--log-level", "debug", "--set", "max_keys=77"]
    broker = processes.start_ready(BROKER, *arguments)
    with MajorDomoClient(f"ipc://{run_dir}/run") as client:
        assert client.call("line.broker.mmi", "loglevel") == [b"debug"]
    assert broker.stop() == 0


@pytest.mark.parametrize(
    ("conf", "arguments", "message"),
    [
        ("[broker]\nmax_kays = 1\n", [], "[broker] max_kays: no such key, did you mean max_keys?"),
        ("", ["--broker", "pi"], "broker address 'pi': write ipc:///run/raspy or tcp://HOST:5514"),
        ("", ["--broker", "tcp://0.0.0.0:5514"], "plain TCP is allowed on loopback only"),
        ("", ["--set", "listen=nonsense"], "[broker] listen: broker address 'nonsense'"),
    ],
)
def test_a_wrong_configuration_is_one_line_and_status_78(processes, run_dir, conf, arguments, message):
    (run_dir / "raspy.conf").write_text(conf)
    given = ["--config", run_dir / "raspy.conf", "--broker", f"ipc://{run_dir}/run", *arguments]
    broker = processes.start(BROKER, *given)
    assert broker.wait() == 78
    lines = broker.output.splitlines()
    assert len(lines) == 1
    assert lines[0].startswith("raspy-broker: ")
    assert message in lines[0]


def test_the_service_manager_hears_what_is_wrong(processes, run_dir, notify):
    broker = processes.start(BROKER, "--set", "max_keys=none", notify=notify)
    assert broker.wait() == 78
    notify.wait("STATUS=command line: [broker] max_keys = 'none': must be a whole number")


def test_a_second_broker_on_the_same_folder_is_refused(processes, run_dir):
    first = processes.start_ready(BROKER, "--broker", f"ipc://{run_dir}/run")
    second = processes.start(BROKER, "--broker", f"ipc://{run_dir}/run")
    assert second.wait() == 1
    assert f"another broker is running at ipc://{run_dir}/run; stop it, or choose another" in second.output
    assert "Traceback" not in second.output
    with MajorDomoClient(f"ipc://{run_dir}/run") as client:
        assert client.send("mmi.service", "x") == [b"404"]
    assert first.stop() == 0


def test_a_server_whose_thread_fails_ends_with_1(processes, run_dir):
    """A server of a few lines, as a plug-in's author writes it."""
    (run_dir / "failing.py").write_text(
        "import sys\n"
        "from raspy.common import daemon\n"
        "from raspy.common.server import Server\n"
        "class Failing(Server):\n"
        "    SERVICE = 'failing'\n"
        "    def worker_bad(self):\n"
        "        raise OSError('the wire came off')\n"
        "if __name__ == '__main__':\n"
        "    sys.exit(daemon.run(Failing))\n"
    )
    processes.start_ready(BROKER, "--broker", f"ipc://{run_dir}/run")
    failing = processes.start("failing", "--broker", f"ipc://{run_dir}/run", cwd=run_dir)
    assert failing.wait() == 1
    assert "OSError: the wire came off" in failing.output


def test_version_and_help(processes):
    child = processes.start(BROKER, "--version")
    assert child.wait() == 0
    assert child.output.startswith("RasPy ")
    child = processes.start(BROKER, "--help")
    assert child.wait() == 0
    assert "Majordomo Protocol broker" in child.output


def test_where_state_is_kept(monkeypatch, tmp_path):
    monkeypatch.setenv("STATE_DIRECTORY", "/var/lib/raspy/fake:/var/lib/other")
    assert daemon.state_folder("fake") == Path("/var/lib/raspy/fake")
    monkeypatch.delenv("STATE_DIRECTORY")
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    assert daemon.state_folder("fake") == tmp_path / "raspy" / "fake"
    monkeypatch.setenv("XDG_STATE_HOME", "relative/is/ignored")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert daemon.user_state_folder() == tmp_path / ".local" / "state" / "raspy"
    assert os.environ["HOME"] == str(tmp_path)


def test_a_broker_on_another_machine(processes):
    """A device server there registers here, for the host that its key may serve."""
    broker = CurvedBroker(processes, host="127.0.0.1")
    broker.server("titanic")
    own = curve.make(processes.home / "key")
    broker.authorize("garden", own.public, " serve=greenhouse")
    fake = processes.start_ready(
        "raspy.servers.fake", "--broker", broker.tcp, "--hostname", "greenhouse",
        "--data-dir", processes.home / "fake", "--config", broker.config,
        "--set", f"broker_key={broker.public}", "--set", f"key_file={processes.home}/key",
    )  # fmt: skip
    with MajorDomoClient(broker.url) as client:
        client.timeout, client.retries = 20_000, 1
        assert client.call("greenhouse.fake.mmi", "status")
        assert client.call("greenhouse.fake.devices", "list_keys") == []
    assert fake.stop() == 0


def test_keys_that_cannot_be_used(run_dir):
    good = {"broker_key": "rq:rM>}U?@Lns47E1%kR.o@n%FcmmsL/@{H8]yf7", "key_file": run_dir / "key"}
    url = "tcp://pi:5514"

    def fails(**changes):
        with pytest.raises(ConfigError) as caught:
            daemon.broker_of(url, Settings.defaults(**{**good, **changes}))
        return str(caught.value)

    assert "a key has 40 characters" in fails(broker_key="short")
    assert "broker_key needs key_file" in fails(key_file=None)
    assert "there is no such file" in fails()
    (run_dir / "key").write_text("nothing")
    (run_dir / "key").chmod(0o644)
    assert "others may read this secret key" in fails()
    (run_dir / "key").unlink()
    own = curve.make(run_dir / "key")
    keys = daemon.broker_of(url, Settings.defaults(**good)).keys
    assert keys is not None and keys.own == own
    assert daemon.broker_of(url, Settings.defaults()).keys is None
    assert daemon.broker_of("ipc:///run/raspy", Settings.defaults(**good)).keys is None
