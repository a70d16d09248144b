# SPDX-License-Identifier: GPL-3.0-or-later
"""raspyctl passwd."""

from __future__ import annotations

import io
import os
import sys
from pathlib import Path

import pytest

from raspyweb.accounts import Accounts
from tests.support.ctl import Ctl, Result, Terminal

PASSWORD = "correct horse"


class Passwd:
    """raspyctl passwd on the accounts in a folder."""

    def __init__(self, ctl: Ctl, state: Path):
        self.ctl = ctl
        self.folder = state / "web"
        self.accounts = Accounts(self.folder)

    def __call__(self, *words: str, stdin: str = "") -> Result:
        self.ctl.monkeypatch.setattr(sys, "stdin", io.StringIO(stdin))
        return self.ctl("passwd", *words)


@pytest.fixture
def passwd(ctl: Ctl, run_dir: Path) -> Passwd:
    (run_dir / "s" / "web").mkdir(parents=True)
    ctl.use(f"ipc://{run_dir}/s/run")
    return Passwd(ctl, run_dir / "s")


def test_users(passwd: Passwd) -> None:
    assert "the first one is made on the first visit" in passwd("list").out
    assert passwd("add", "anna", "--role", "admin", stdin=PASSWORD + "\n").out == "anna is an admin now.\n"
    assert passwd("add", "ben", stdin=PASSWORD).out == "ben is an operator now.\n"
    assert passwd().rows() == [["anna", "admin", "0"], ["ben", "operator", "0"]]
    assert passwd("list", "--json").json()[1] == {"name": "ben", "role": "operator", "tokens": 0}
    user = passwd.accounts.check("anna", PASSWORD)
    assert user is not None and user.role == "admin"
    assert passwd("role", "ben", "viewer").out == "ben is a viewer now.\n"
    assert passwd("set", "ben", stdin="battery staple\n").out == "ben has a new password.\n"
    assert passwd.accounts.check("ben", PASSWORD) is None
    assert passwd.accounts.check("ben", "battery staple") is not None
    assert passwd("remove", "ben", "--json").json() == "ben"
    assert passwd.accounts.find("ben") is None


def test_tokens(passwd: Passwd) -> None:
    passwd("add", "anna", "--role", "admin", stdin=PASSWORD)
    text = passwd("token", "anna", "a script").out.strip()
    found = passwd.accounts.bearer(text)
    assert found is not None and (found[0].name, found[1]) == ("anna", "read")
    other = passwd("token", "anna", "another", "--scope", "steer", "--json").json()
    assert other["scope"] == "steer" and passwd.accounts.bearer(other["token"]) is not None
    listed = passwd("tokens", "anna", "--json").json()
    assert {one["label"] for one in listed} == {"a script", "another"}
    assert len(passwd("tokens", "anna").rows()) == 2
    (first,) = [one["id"] for one in listed if one["label"] == "a script"]
    assert passwd("revoke", "anna", first).out == f"The token {first} counts no more.\n"
    assert passwd.accounts.bearer(text) is None
    assert passwd("revoke", "anna", first).status == 3
    passwd("remove", "anna")
    assert "anna has no tokens" not in passwd("tokens", "ann").out


def test_what_is_refused(passwd: Passwd) -> None:
    passwd("add", "anna", "--role", "admin", stdin=PASSWORD)
    for words, status, why in (
        (
            ("add", "anna"),
            1,
            "there is a user anna already; to change the password: raspyctl passwd set anna",
        ),
        (("add", "../x"), 1, "A user's name is"),
        (("add", "ben"), 1, "password"),
        (("set", "ana"), 3, "there is no user 'ana'; did you mean anna?"),
        (("role", "anna", "king"), 2, "viewer"),
        (("role", "anna", "viewer"), 1, "admin"),
        (("remove", "anna"), 1, "admin"),
        (("token", "anna", ""), 1, "label"),
    ):
        refused = passwd(*words, stdin="short\n")
        assert (refused.status, why in refused.err) == (status, True), refused
    assert [user.name for user in passwd.accounts.users()] == ["anna"]


def test_on_a_terminal_it_asks(passwd: Passwd, run_dir: Path) -> None:
    passwd("add", "anna", "--role", "admin", stdin=PASSWORD)
    terminal = Terminal(f"ipc://{run_dir}/s/run", run_dir, "passwd", "set", "anna")
    # The blank after it comes when the echo is off and typing counts.
    terminal.read("Password for anna: ")
    terminal.type("battery staple\r")
    terminal.read("Again: ")
    terminal.type("battery staple\r")
    assert "battery" not in terminal.read("has a new password")
    assert terminal.close() == 0
    assert passwd.accounts.check("anna", "battery staple") is not None


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can be somebody else")
def test_what_root_makes_is_the_dashboards(passwd: Passwd) -> None:
    os.chown(passwd.folder, 1234, 1234)
    passwd.folder.chmod(0o700)
    for parent in (passwd.folder.parent, passwd.folder.parent.parent):
        parent.chmod(0o755)
    assert passwd("add", "anna", "--role", "admin", stdin=PASSWORD).status == 0
    owners = {file.name: file.stat().st_uid for file in passwd.folder.iterdir()}
    assert owners and set(owners.values()) == {1234}
    assert os.geteuid() == 0


def test_no_dashboard(ctl: Ctl, run_dir: Path) -> None:
    ctl.use(f"ipc://{run_dir}/none/run")
    result = ctl("passwd")
    assert result.status == 1
    assert f"{run_dir}/none/web: No such file or directory" in result.err
    ctl.monkeypatch.setitem(sys.modules, "raspyweb.accounts", None)
    assert "the dashboard is not installed: apt install raspyweb" in ctl("passwd").err


def test_not_ours(passwd: Passwd) -> None:
    passwd.ctl.monkeypatch.setattr(os, "geteuid", lambda: 4321)
    assert "is not yours: use sudo" in passwd("list").err


def test_a_damaged_file(passwd: Passwd) -> None:
    (passwd.folder / "accounts.json").write_text("{")
    assert passwd("list").status == 1
