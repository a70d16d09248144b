# SPDX-License-Identifier: GPL-3.0-or-later
"""Series, their files, and the catalogue of them."""

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from raspy.servers.logger.samples import series as module
from raspy.servers.logger.samples.series import Catalogue, check_key, file_name

KEY = "pi/fake/tank/temperature"


@pytest.mark.parametrize(
    "key",
    [
        KEY,
        "pi/fake/tv.volume/level",
        "pi/fake/Wasser Temperatur/x",
        "pi/1wire/水温/temperature",
        "a/b/c/d/e/f/g/h",
    ],
)
def test_keys_that_may_be(key: str) -> None:
    assert check_key(key) is None


@pytest.mark.parametrize(
    "key",
    [
        "",
        "a",
        "a/b/c",
        "a/b/c/",
        "/a/b/c",
        "a/../b/c",
        "a/./b/c",
        "a/.b/c/d",
        "a//b/c",
        "a/b/c/d\n",
        "a/b/c/\x00",
        "a/b/c/" + "x" * 81,
        "a/b/c/" + "水" * 80 + "x",
        "/".join("abcdefghi"),
        "a/-b/c/d",
        "a/b/c/%2e",
    ],
)
def test_keys_that_may_not(key: str) -> None:
    assert check_key(key)


def test_file_names_are_readable() -> None:
    assert file_name(KEY) == "pi/fake/tank/temperature.rrd"
    assert file_name(KEY, 3) == "pi/fake/tank/temperature.3.rrd"
    assert file_name("pi/fake/tv.vol/Größe é") == "pi/fake/tv%2Evol/Größe%20é.rrd"


@given(st.lists(st.text(max_size=90), min_size=4, max_size=8))
def test_no_key_leads_out_of_the_folder(parts: list[str]) -> None:
    key = "/".join(parts)
    if check_key(key) is not None:
        return
    name = file_name(key)
    path = Path("/folder") / name
    assert (
        path.is_relative_to("/folder")
        and ".." not in path.parts
        and len(path.parts) == 2 + len(key.split("/"))
    )
    assert all(len(part.encode()) <= 255 for part in path.parts)
    assert " " not in name and ":" not in name and "\\" not in name and name.isprintable()


@given(st.sets(st.text("aB. %é", min_size=1, max_size=6), min_size=2, max_size=2))
def test_two_keys_have_two_files(names: set[str]) -> None:
    first, second = (f"a/b/c/{name}" for name in names)
    assert file_name(first) != file_name(second)
    assert file_name(first, 2) not in (file_name(second), file_name(first))


def test_what_was_found_once_is_found_again(tmp_path: Path) -> None:
    catalogue = Catalogue(tmp_path)
    series = catalogue.find(KEY, "°C", "GAUGE")
    assert series is not None and series is catalogue.find(KEY, "°C", "GAUGE") is catalogue.series[KEY]
    assert series.path == tmp_path / "rrd/pi/fake/tank/temperature.rrd"
    assert (
        series.label == b"pi/fake/tank/temperature " and catalogue.files["pi/fake/tank/temperature"] is series
    )
    catalogue.save()
    again = Catalogue(tmp_path).series[KEY]
    assert (again.file, again.unit, again.kind) == (series.file, "°C", "GAUGE")


def test_a_catalogue_that_did_not_change_is_not_written(tmp_path: Path) -> None:
    catalogue = Catalogue(tmp_path)
    catalogue.save()
    assert not catalogue.path.exists()
    catalogue.find(KEY, "°C", "GAUGE")
    catalogue.save()
    catalogue.path.unlink()
    catalogue.find(KEY, "°C", "GAUGE")
    catalogue.save()
    assert not catalogue.path.exists()


def test_another_unit_gets_another_file_and_the_first_its_own_again(tmp_path: Path) -> None:
    catalogue = Catalogue(tmp_path)
    celsius = catalogue.find(KEY, "°C", "GAUGE")
    fahrenheit = catalogue.find(KEY, "°F", "GAUGE")
    assert celsius is not None and fahrenheit is not None and celsius.file != fahrenheit.file
    assert catalogue.series[KEY] is fahrenheit
    assert catalogue.find(KEY, "°C", "GAUGE") is celsius is catalogue.series[KEY]
    counter = catalogue.find(KEY, "°C", "COUNTER")
    assert counter is not None and counter.file.endswith("temperature.3.rrd")
    catalogue.save()
    again = Catalogue(tmp_path)
    assert again.series[KEY].kind == "COUNTER" and len(again.files) == 3


def test_units_of_one_key_are_bounded(tmp_path: Path) -> None:
    catalogue = Catalogue(tmp_path)
    for number in range(module.FILES_MAX):
        assert catalogue.find(KEY, f"unit{number}", "GAUGE")
    assert catalogue.find(KEY, "one more", "GAUGE") is None
    assert catalogue.find(KEY, "unit0", "GAUGE")


@pytest.mark.parametrize(
    "content",
    [
        "",
        "{",
        "[]",
        "5",
        '{"a/b/c/d": 5}',
        '{"a/b/c/d": [{}]}',
        "\x00" * 100,
        json.dumps({KEY: [{"file": "../../etc/passwd", "unit": "", "kind": "GAUGE"}]}),
        json.dumps({KEY: [{"file": "pi/fake/tank/temperature.rrd", "unit": "", "kind": "EVIL"}]}),
        json.dumps({KEY: [{"file": "pi/fake/tank/temperature.rrd", "unit": 5, "kind": "GAUGE"}]}),
    ],
)
def test_a_damaged_catalogue_is_put_aside(tmp_path: Path, content: str) -> None:
    (tmp_path / "series.json").write_text(content)
    catalogue = Catalogue(tmp_path)
    assert catalogue.damaged and catalogue.series == {} == catalogue.files
    assert (tmp_path / "series.json.damaged").read_text() == content
    assert catalogue.find(KEY, "°C", "GAUGE")
    catalogue.save()
    assert Catalogue(tmp_path).damaged == ""
