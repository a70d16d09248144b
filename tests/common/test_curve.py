# SPDX-License-Identifier: GPL-3.0-or-later
"""Keys, and the files that they are kept in."""

import stat
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import zmq
from hypothesis import given
from hypothesis import strategies as st

from raspy.common import curve
from raspy.common.address import BrokerAddress
from raspy.common.curve import CurveKeys, KeyFault, Pair

# The test pair of zmq_curve(7).
PUBLIC, SECRET = "Yne@$w-vo<fVvi]a<NY6T1ed:M$fCG*[IaLV{hID", "D:)Q[IlAW!ahhC2ac:9*A}h:p?([4%wOTJ%JR%cs"


def written(folder: Path, text: str, mode: int = 0o600) -> Path:
    file = folder / "key"
    file.write_text(text)
    file.chmod(mode)
    return file


def test_a_pair_is_made_once_and_found_again(run_dir: Path) -> None:
    file = run_dir / "folder" / "key"
    made = curve.load_or_make(file)
    assert curve.is_key(made.public) and curve.is_key(made.secret)
    assert zmq.curve_public(made.secret.encode()).decode() == made.public
    assert curve.load_or_make(file) == made == curve.load(file)
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert stat.S_IMODE(file.parent.stat().st_mode) == 0o700
    assert list(file.parent.iterdir()) == [file], "nothing is left beside it"
    with pytest.raises(FileExistsError):
        curve.make(file)
    assert curve.load(file) == made


def test_many_at_once_get_the_same_pair(run_dir: Path) -> None:
    with ThreadPoolExecutor(8) as pool:
        assert len(set(pool.map(lambda _: curve.load_or_make(run_dir / "key"), range(32)))) == 1
    assert [file.name for file in run_dir.iterdir()] == ["key"]


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o660, 0o644])
def test_a_secret_that_others_may_read_is_refused(run_dir: Path, mode: int) -> None:
    file = written(run_dir, SECRET, mode)
    with pytest.raises(KeyFault, match=f"others may read this secret key .mode {mode:04o}.; chmod 600"):
        curve.load_or_make(file)


@pytest.mark.parametrize(
    "text", ["", "# nothing\n", SECRET[:-1], f"{SECRET}\n{SECRET}\n", "é" * 40, "~" * 40]
)
def test_a_file_without_a_key_is_refused_and_kept(run_dir: Path, text: str) -> None:
    file = written(run_dir, text)
    with pytest.raises(KeyFault, match="key"):
        curve.load_or_make(file)
    assert file.read_text() == text


def test_no_key_can_be_made(run_dir: Path) -> None:
    (run_dir / "file").touch()
    with pytest.raises(KeyFault, match=r"file/key: (no key can be made|can't be read): Not a directory"):
        curve.load_or_make(run_dir / "file" / "key")
    (run_dir / "key").mkdir()
    with pytest.raises(KeyFault, match="can't be read: Is a directory"):
        curve.load(run_dir / "key")


def test_the_secret_is_not_shown() -> None:
    own = Pair(PUBLIC, SECRET)
    address = BrokerAddress.parse("tcp://pi").secured(CurveKeys(PUBLIC, own))
    for shown in (repr(own), str(own), repr(address), str(address), f"{address}", f"{address.keys!r}"):
        assert SECRET not in shown
    assert str(address) == "tcp://pi:5514"


def test_keys_are_for_tcp_only() -> None:
    with pytest.raises(ValueError, match="keys are for tcp"):
        BrokerAddress.parse("ipc:///run/raspy").secured(CurveKeys(PUBLIC, Pair(PUBLIC, SECRET)))


@given(
    st.text(max_size=45)
    | st.text(st.characters(min_codepoint=33, max_codepoint=126), min_size=40, max_size=40)
)
def test_what_is_taken_for_a_key_is_one(text: str) -> None:
    if curve.is_key(text):
        # libzmq agrees: it takes 40 characters for a secret key and tells the public one.
        assert len(zmq.curve_public(text.encode())) == 40


def test_where_the_users_key_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/home/anna")
    monkeypatch.delenv("XDG_CONFIG_HOME", raising=False)
    assert curve.user_key_file() == Path("/home/anna/.config/raspy/key")
    monkeypatch.setenv("XDG_CONFIG_HOME", "/elsewhere")
    assert curve.user_key_file() == Path("/elsewhere/raspy/key")
    monkeypatch.setenv("XDG_CONFIG_HOME", "relative")
    assert curve.user_key_file() == Path("/home/anna/.config/raspy/key")
