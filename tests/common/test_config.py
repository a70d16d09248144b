# SPDX-License-Identifier: GPL-3.0-or-later
"""A wrong configuration is one line that names file, section, key and what is allowed."""

import socket
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from raspy.common import config
from raspy.common.config import ConfigError, Option, Settings

OPTIONS = (
    Option("poll_s", float, 5.0, "how often to look", 0.1, 3600),
    Option("workers", int, 4, "threads", 1, 64),
    Option("at_least", int, 0, "a lower bound", minimum=0),
    Option("at_most", float, 0, "an upper bound", maximum=9),
    Option("any_number", float, 0, "no bounds"),
    Option("colour", str, "red", "a choice", choices=("red", "green")),
    Option("title", str, "", "a text"),
    Option("verbose", bool, False, "a switch"),
    Option("folder", Path, None, "a path"),
    Option("names", list, [], "words"),
)


@pytest.fixture
def etc(tmp_path):
    """Write the main file, and conf.d files by name."""

    def write(main=None, **parts):
        if main is not None:
            (tmp_path / "raspy.conf").write_text(main)
        (tmp_path / "conf.d").mkdir(exist_ok=True)
        for name, text in parts.items():
            (tmp_path / "conf.d" / f"{name}.conf").write_text(text)
        return tmp_path / "raspy.conf"

    return write


def load(path, *assignments):
    return config.load("fake", OPTIONS, path, assignments)


def test_without_a_file_there_are_defaults(monkeypatch, tmp_path):
    monkeypatch.setattr(config, "DEFAULT_FILE", tmp_path / "none" / "raspy.conf")
    settings = config.load("fake", OPTIONS)
    assert (settings.poll_s, settings.workers, settings.names, settings.folder) == (5.0, 4, [], None)
    assert settings.broker == "ipc:///run/raspy"
    assert settings.hostname == socket.gethostname().partition(".")[0]


def test_drop_ins_without_a_main_file_are_read(monkeypatch, etc):
    monkeypatch.setattr(config, "DEFAULT_FILE", etc(None, a="[fake]\nworkers = 7\n"))
    assert config.load("fake", OPTIONS).workers == 7


def test_a_file_that_was_named_must_exist(tmp_path):
    with pytest.raises(ConfigError, match=r"raspy.conf: can't be read: No such file"):
        load(tmp_path / "raspy.conf")


def test_every_type_is_read(etc):
    path = etc(
        "[raspy]\nhostname = pi\nlatitude = -48.9\n"
        "[fake]\npoll_s = 0.5\nworkers = 2\ncolour = green\ntitle = Big tank\n"
        "verbose = yes\nfolder = /sys/bus\nnames = a, b ,,c\n"
    )
    settings = load(path)
    assert settings.hostname == "pi"
    assert settings.latitude == -48.9
    assert (settings.poll_s, settings.workers, settings.colour) == (0.5, 2, "green")
    assert (settings.title, settings.verbose) == ("Big tank", True)
    assert settings.folder == Path("/sys/bus")
    assert settings.names == ["a", "b", "c"]


def test_drop_ins_win_in_the_order_of_their_names(etc):
    path = etc("[fake]\nworkers = 1\ntitle = kept\n", a="[fake]\nworkers = 2\n", b="[fake]\nworkers = 3\n")
    assert load(path).workers == 3
    assert load(path).title == "kept"


def test_files_in_conf_d_with_another_ending_are_not_read(etc, tmp_path):
    path = etc("[fake]\nworkers = 1\n")
    (tmp_path / "conf.d" / "old.conf~").write_text("nonsense")
    assert load(path).workers == 1


def test_the_servers_own_section_goes_before_the_common_one(etc):
    path = etc("[fake]\nlog_level = debug\n[raspy]\nlog_level = error\n", a="[raspy]\nlog_level = warning\n")
    assert load(path).log_level == "debug"
    assert config.load("host", (), path).log_level == "warning"


def test_assignments_go_before_files(etc):
    path = etc("[fake]\nworkers = 1\n")
    assert load(path, "workers=9").workers == 9
    with pytest.raises(ConfigError, match=r"command line: \[fake\] workers = 'x': must be a whole number"):
        load(path, "workers=x")


def test_sections_of_other_servers_are_left_alone(etc):
    assert load(etc("[onewire]\nwhatever = 1\n[web]\nport = 1\n")).workers == 4


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[fake]\npol_s = 1\n", r"[fake] pol_s: no such key, did you mean poll_s? allowed: "),
        ("[raspy]\nworkers = 1\n", r"[raspy] workers: no such key"),
        ("[fake]\npoll_s = 0\n", r"[fake] poll_s = '0': must be a number from 0.1 to 3600"),
        ("[fake]\npoll_s = nan\n", r"must be a number from 0.1 to 3600"),
        ("[fake]\nany_number = nan\n", r"must be a number"),
        ("[fake]\nworkers = 2.5\n", r"[fake] workers = '2.5': must be a whole number from 1 to 64"),
        ("[fake]\nat_least = -1\n", r"must be a whole number of at least 0"),
        ("[fake]\nat_most = 10\n", r"must be a number of at most 9"),
        ("[fake]\ncolour = blue\n", r"must be one of red, green"),
        ("[fake]\nverbose = maybe\n", r"must be yes or no"),
        ("[fake]\nfolder = sys/bus\n", r"must be an absolute path"),
        ("[raspy]\nlog_level = loud\n", r"must be one of debug, info"),
        ("[raspy]\nlatitude = 91\n", r"must be a number from -90 to 90"),
        ("[fak]\n", r"[fak]: no such section; allowed: broker, core, fake"),
        ("[DEFAULT]\nworkers = 1\n", r"[DEFAULT]: no such section"),
        ("workers = 1\n", r"no section headers"),
        ("[fake]\nworkers = 1\nworkers = 2\n", r"option 'workers' in section 'fake' already exists"),
    ],
)
def test_what_is_wrong_is_said_in_one_line(etc, text, message):
    path = etc(text)
    with pytest.raises(ConfigError) as caught:
        load(path)
    line = str(caught.value)
    assert message in line
    assert line.startswith(str(path))
    assert "\n" not in line


def test_a_file_that_is_not_text(etc):
    path = etc("")
    path.write_bytes(b"[fake]\n\xff\xfe = 1\n")
    with pytest.raises(ConfigError, match=r"raspy.conf: not UTF-8 text at byte 7"):
        load(path)


def test_a_conf_d_that_is_a_file(tmp_path):
    (tmp_path / "raspy.conf").write_text("")
    (tmp_path / "conf.d").write_text("")
    with pytest.raises(ConfigError, match=r"conf.d: can't be listed: Not a directory"):
        load(tmp_path / "raspy.conf")


def test_the_section_of_a_plug_in_is_known(etc, monkeypatch, tmp_path):
    """A plug-in is an installed package with the entry point: its metadata is all that counts here."""
    metadata = tmp_path / "site" / "reef_pump-1.0.dist-info"
    metadata.mkdir(parents=True)
    (metadata / "METADATA").write_text("Metadata-Version: 2.1\nName: reef-pump\nVersion: 1.0\n")
    (metadata / "entry_points.txt").write_text("[raspy.servers]\nreefpump = reef_pump:Pump\n")
    path = etc("[reefpump]\nspeed = 3\n")
    with pytest.raises(ConfigError, match="no such section"):
        load(path)
    monkeypatch.syspath_prepend(str(tmp_path / "site"))
    assert load(path).workers == 4


def test_defaults_for_tests_and_programs():
    settings = Settings.defaults(OPTIONS, workers=2)
    assert (settings.workers, settings.poll_s) == (2, 5.0)
    with pytest.raises(ValueError, match="no such setting: wrong"):
        Settings.defaults(OPTIONS, wrong=1)
    with pytest.raises(AttributeError, match="not declared"):
        _ = settings.wrong


@given(st.text())
def test_any_text_is_read_or_refused_in_one_line(tmp_path_factory, text):
    path = tmp_path_factory.mktemp("etc") / "raspy.conf"
    path.write_text(text)
    try:
        load(path)
    except ConfigError as error:
        assert "\n" not in str(error)
