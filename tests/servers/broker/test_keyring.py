# SPDX-License-Identifier: GPL-3.0-or-later
"""The folder of the keys that may come in."""

import logging
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from raspy.common.curve import is_key
from raspy.servers.broker.keyring import MAX_CLIENTS, Client, Keyring, parse

# The test keys of zmq_curve(7).
KEY, OTHER = "Yne@$w-vo<fVvi]a<NY6T1ed:M$fCG*[IaLV{hID", "rq:rM>}U?@Lns47E1%kR.o@n%FcmmsL/@{H8]yf7"
LOG = logging.getLogger("raspy.keyring")


@pytest.fixture
def folder(run_dir: Path) -> Path:
    folder = run_dir / "authorized_keys.d"
    folder.mkdir(mode=0o755)
    return folder


def put(folder: Path, name: str, text: str) -> Path:
    file = folder / name
    file.write_text(text)
    file.chmod(0o644)
    return file


def test_keys_come_and_go(folder: Path) -> None:
    keyring = Keyring(folder, LOG)
    assert not keyring.look()
    file = put(folder, "desktop.pub", f"# Anna's\n\n{KEY}\n")
    assert keyring.find(KEY) is None, "not before a look"
    assert not keyring.look(), "nobody lost anything"
    assert keyring.find(KEY) == keyring.named("desktop") == Client("desktop", KEY, "")
    assert not keyring.look()
    put(folder, "greenhouse.pub", f"{OTHER} serve=greenhouse\n")
    assert not keyring.look()
    assert keyring.find(OTHER) == Client("greenhouse", OTHER, "greenhouse")
    put(folder, "greenhouse.pub", f"{OTHER}\n")
    assert keyring.look(), "it may do less"
    assert keyring.find(OTHER) == Client("greenhouse", OTHER, "")
    file.unlink()
    assert keyring.look()
    assert keyring.find(KEY) is None and keyring.named("desktop") is None
    assert not keyring.look()


def test_a_folder_that_is_not_there_yet(run_dir: Path, caplog: pytest.LogCaptureFixture) -> None:
    keyring = Keyring(run_dir / "none", LOG)
    assert not keyring.look()
    (run_dir / "none").mkdir(mode=0o755)
    put(run_dir / "none", "x.pub", KEY)
    assert not keyring.look()
    assert keyring.find(KEY) is not None
    assert caplog.text == ""


@pytest.mark.parametrize(
    "name", ["desktop", "desktop.pub~", ".x.pub", "x.pub.dpkg-old", "a b.pub", "é.pub", ".pub"]
)
def test_other_files_do_not_count(folder: Path, name: str) -> None:
    put(folder, name, KEY)
    keyring = Keyring(folder, LOG)
    keyring.look()
    assert keyring.find(KEY) is None


@pytest.mark.parametrize(
    ("text", "why"),
    [("", "it holds no keys"), ("# only words\n", "it holds no keys"),
     (f"{KEY}\n{OTHER}\n", "it holds 2 keys"),
     (KEY[:-1], "is no key; it has 40 characters"), ("secret", "'secret' is no key"),
     (f"{KEY} admin=yes", "'admin=yes' after the key; there is only serve=HOST"),
     (f"{KEY} serve=", "'serve=' after the key"), (f"{KEY} serve=a/b", "'serve=a/b' after the key"),
     (f"{KEY} serve=a.b", "'serve=a.b' after the key"), ("\0" * 50, "is no key")],
)  # fmt: skip
def test_a_file_that_is_wrong_lets_nobody_in_and_is_told_once(
    folder: Path, caplog: pytest.LogCaptureFixture, text: str, why: str
) -> None:
    put(folder, "desktop.pub", text)
    keyring = Keyring(folder, LOG)
    for _ in range(3):
        assert not keyring.look()
    assert keyring.named("desktop") is None
    assert keyring.find(KEY) is None
    (record,) = caplog.records
    assert record.getMessage().startswith(f"{folder}/desktop.pub does not count: ")
    assert why in record.getMessage()


def test_what_others_may_write_does_not_count(folder: Path, caplog: pytest.LogCaptureFixture) -> None:
    file = put(folder, "desktop.pub", KEY)
    file.chmod(0o664)
    keyring = Keyring(folder, LOG)
    keyring.look()
    assert keyring.find(KEY) is None
    assert "others may write it; chmod go-w it" in caplog.text
    file.chmod(0o644)
    keyring.look()
    assert keyring.find(KEY) is not None
    folder.chmod(0o777)
    assert keyring.look(), "whoever was let in is not any more"
    assert keyring.find(KEY) is None
    assert "others may write there, so none of its keys counts" in caplog.text


def test_a_folder_that_cannot_be_read(run_dir: Path, caplog: pytest.LogCaptureFixture) -> None:
    (run_dir / "file").touch(mode=0o644)
    keyring = Keyring(run_dir / "file", LOG)
    assert not keyring.look()
    assert not keyring.look()
    assert [record.getMessage() for record in caplog.records] == [
        f"{run_dir}/file: can't be read (Not a directory), so nobody is let in"
    ]


def test_a_file_that_cannot_be_read(folder: Path, caplog: pytest.LogCaptureFixture) -> None:
    (folder / "x.pub").mkdir()
    keyring = Keyring(folder, LOG)
    keyring.look()
    assert "x.pub does not count: Is a directory" in caplog.text


def test_there_is_an_end_to_keys(folder: Path, caplog: pytest.LogCaptureFixture) -> None:
    for number in range(MAX_CLIENTS + 5):
        put(folder, f"c{number}.pub", KEY)
    keyring = Keyring(folder, LOG)
    keyring.look()
    assert sum(keyring.named(f"c{number}") is not None for number in range(MAX_CLIENTS + 5)) == MAX_CLIENTS
    assert f"has more than {MAX_CLIENTS} keys" in caplog.text


@given(
    st.text(max_size=200)
    | st.builds(lambda a, b: f"{KEY} {a}\n{b}", st.text(max_size=50), st.text(max_size=50))
)
def test_any_text_is_one_client_or_refused(text: str) -> None:
    try:
        client = parse("x", text)
    except ValueError:
        return
    assert is_key(client.key) and client.key in text
    assert client.serve == "" or f"serve={client.serve}" in text
