# SPDX-License-Identifier: GPL-3.0-or-later
"""What the doctor finds in RasPy itself."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from raspy.common import curve
from raspy.ctl import units
from raspy.ctl.checkup import Finding, house
from raspy.ctl.place import Place
from tests.support.curved import pair


def only(found: list[Finding]) -> Finding:
    (one,) = found
    assert one.todo or one.state == "good", "it says what to do"
    return one


@pytest.fixture
def place(run_dir: Path) -> Place:
    state, configuration = run_dir / "state", run_dir / "etc"
    state.mkdir(mode=0o750)
    (configuration / "authorized_keys.d").mkdir(parents=True)
    (configuration / "authorized_keys.d").chmod(0o755)
    return Place(state, configuration)


def test_configuration(place: Place) -> None:
    assert place.configuration is not None
    file = place.configuration / "raspy.conf"
    file.write_text("[raspy]\nlatitude = 48.85\nlongitude = 2.35\n[titanic]\ntries = 5\n")
    assert only(list(house.configuration(place))).what == "the configuration can be read"
    file.write_text("[broker]\nmax_kays = 5\n[titanic]\ntries = many\n")
    found = list(house.configuration(place))
    assert [finding.state for finding in found] == ["problem", "problem"]
    assert "did you mean max_keys" in found[0].what and found[0].todo.endswith(
        "systemctl restart raspy-broker"
    )
    assert "tries = 'many'" in found[1].what
    file.write_text("[kettle]\n")
    assert "no such section" in only(list(house.configuration(place))).what, "said once, not by each server"
    file.write_text("[raspy]\n")
    assert [finding.state for finding in house.configuration(place)] == ["good", "warning"]


UNITS = (
    "Id=raspy-{}.service\nLoadState=loaded\nActiveState={}\nSubState=x\nResult=exit-code\nExecMainStatus={}\n"
)


def test_services(run_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program = run_dir / "systemctl"
    program.write_text(f"#!/bin/sh\ncat {run_dir}/units\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{run_dir}:{os.environ['PATH']}")

    def found(*lines: tuple[str, str, int]) -> list[Finding]:
        (run_dir / "units").write_text("\n".join(UNITS.format(*line) for line in lines))
        return list(house.services())

    assert (
        only(found(("core", "active", 0), ("sync", "inactive", 0))).what
        == "1 daemons run, and none has failed"
    )
    assert (
        "raspy-core has failed: its configuration is wrong"
        in only(found(("core", "failed", 78), ("x", "active", 0))).what
    )
    assert only(found(("core", "inactive", 0))).what == "nothing of RasPy runs"
    assert only(found()).what == "systemd has no units of RasPy"
    assert units.all_units() == []


def test_state(place: Place, run_dir: Path) -> None:
    mine = Place(place.state, None)
    assert only(list(house.state(mine))).state == "good"
    place.state.chmod(0o755)
    assert "anybody on this machine may look into it" in only(list(house.state(mine))).what
    assert "not to raspy" in only(list(house.state(place))).what
    assert only(list(house.state(Place(run_dir / "none", None)))).state == "problem"


def test_secrets(place: Place) -> None:
    assert list(house.secrets(place)) == []
    for name in house.SECRETS:
        file = place.state / name
        file.parent.mkdir(exist_ok=True)
        file.write_text("secret")
        file.chmod(0o600)
    assert only(list(house.secrets(place))).what == f"{len(house.SECRETS)} secrets are their servers' alone"
    (place.state / "broker" / "key").chmod(0o640)
    found = only(list(house.secrets(place)))
    assert found.state == "problem" and "mode 0640" in found.what and "chmod 600" in found.todo


def test_secrets_that_are_not_shown(place: Place) -> None:
    (place.state / "broker").write_text("no folder")
    assert "1 secrets could not be looked at" in only(list(house.secrets(place))).what


def test_authorized(place: Place) -> None:
    assert place.configuration is not None
    folder = place.configuration / "authorized_keys.d"
    assert list(house.authorized(place)) == []
    (folder / "desktop.pub").write_text(pair().public)
    (folder / "desktop.pub").chmod(0o644)
    assert only(list(house.authorized(place))).what == "may come in from other machines: desktop"
    (folder / "broken.pub").write_text("nonsense")
    (folder / "broken.pub").chmod(0o666)
    found = list(house.authorized(place))
    assert [finding.where for finding in found] == [f"{folder}/broken.pub"] * 2
    assert "others may write it" in found[0].what and "it lets nobody in" in found[1].what
    assert list(house.authorized(Place(place.state, None))) == []


def test_own_key(run_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(run_dir))
    assert list(house.own_key()) == []
    curve.make(curve.user_key_file())
    assert only(list(house.own_key())).state == "good"
    curve.user_key_file().chmod(0o644)
    assert only(list(house.own_key())).state == "problem"


def test_folder_of_the_bus(run_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run_dir.chmod(0o770)
    assert only(list(house.folder_of_the_bus(run_dir))).state == "good"
    run_dir.chmod(0o777)
    assert "anybody on this machine may use the bus" in only(list(house.folder_of_the_bus(run_dir))).what
    run_dir.chmod(0o770)
    monkeypatch.setattr(os, "access", lambda *_: False)
    assert "adduser $USER raspy" in only(list(house.folder_of_the_bus(run_dir))).todo
    assert only(list(house.folder_of_the_bus(run_dir / "none"))).state == "problem"
