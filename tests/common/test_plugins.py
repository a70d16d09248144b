# SPDX-License-Identifier: GPL-3.0-or-later
"""Entry points of other packages: found, loaded, and a broken one left out."""

from pathlib import Path

import pytest

from raspy.common import plugins

GROUP = "raspy.test"


def package(folder: Path, name: str, text: str | bytes, kind: str = "dist-info") -> None:
    metadata = folder / f"{name}.{kind}"
    metadata.mkdir(parents=True)
    (metadata / "entry_points.txt").write_bytes(text.encode() if isinstance(text, str) else text)


def test_finds_the_group_in_every_kind_of_metadata(tmp_path: Path) -> None:
    package(tmp_path / "a", "one-1", f"[console_scripts]\nx = y:z\n\n[{GROUP}]\nOne.x = m.one:One [extra]\n")
    package(tmp_path / "b", "two-1", f"[{GROUP}]\ntwo = m.two\nOne.x = other:One\n", "egg-info")
    package(tmp_path / "b", "three-1", "[raspy.other]\nthree = m:three\n")
    (tmp_path / "b" / "empty-1.dist-info").mkdir()
    path = [str(tmp_path / "a"), str(tmp_path / "b"), str(tmp_path / "missing")]
    assert plugins.find(GROUP, path) == {"One.x": "m.one:One", "two": "m.two"}


DAMAGED = [
    f"[{GROUP}]\nno value\n = x\n[",
    f"x [{GROUP}]\n",
    f"[{GROUP}]\n[{GROUP}]\n",
    f"[{GROUP}]\na=".encode() + b"\xff",
]


@pytest.mark.parametrize("text", DAMAGED)
def test_a_damaged_file_is_left_out(
    tmp_path: Path, text: str | bytes, caplog: pytest.LogCaptureFixture
) -> None:
    package(tmp_path, "bad-1", text)
    package(tmp_path, "good-1", f"[{GROUP}]\ngood = m:good\n")
    assert plugins.find(GROUP, [str(tmp_path)]) == {"good": "m:good"}
    assert "bad-1.dist-info/entry_points.txt" in caplog.text


def test_a_huge_file_is_left_out(tmp_path: Path) -> None:
    package(tmp_path, "big-1", f"[{GROUP}]\nbig = m:big\n" + "#" * plugins.FILE_MAX)
    assert plugins.find(GROUP, [str(tmp_path)]) == {}


def test_loads_what_works_and_logs_what_does_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "raspy_test_good.py").write_text("class Outer:\n    inner = 5\n")
    (tmp_path / "raspy_test_bad.py").write_text("1 / 0\n")
    package(
        tmp_path, "mixed-1",
        f"[{GROUP}]\ngood = raspy_test_good:Outer.inner\nmodule = raspy_test_good\nbad = raspy_test_bad:x\n"
        "gone = raspy_test_gone:x\nmissing = raspy_test_good:Nothing\n",
    )  # fmt: skip
    monkeypatch.syspath_prepend(str(tmp_path))
    loaded = plugins.load(GROUP)
    assert sorted(loaded) == ["good", "module"]
    assert loaded["good"] == 5
    broken = [record for record in caplog.records if record.exc_info]
    assert len(broken) == 3
    assert all(GROUP in record.getMessage() for record in broken)
    assert "ZeroDivisionError" in caplog.text


def test_nobody_brings_anything_here() -> None:
    assert plugins.find("raspy.nobody") == {}
