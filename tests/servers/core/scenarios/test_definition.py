# SPDX-License-Identifier: GPL-3.0-or-later
"""Definitions of scenarios, and their file to share: checked before anything is kept."""

from __future__ import annotations

import json
from typing import Any

import pytest

from raspy.common.MDP import ClientError
from raspy.servers.core.scenarios import definition as parts
from raspy.servers.core.scenarios import exchange
from raspy.servers.core.scenarios.scenario import Scenario

KEY = "/device/pi/fake/tank/temperature"


@pytest.mark.parametrize(
    ("code", "where"),
    [
        ("a b", "line 1, column 3"),
        ("x = 1\nif x\n", "line 2, column 5"),
        ("return 1", "line 1"),
        ("\0", "column"),
        ("(" * 500, "line 1"),
        ("x = [\n", "line 1"),
        ("def f():\npass", "line 2"),
        ("-" * 100_000 + "1", "at most"),
        ("-" * 60_000 + "1", "line 1"),
        ("é = '\udc80'", "line"),
    ],
)
def test_code_that_does_not_compile_says_where(code: str, where: str) -> None:
    with pytest.raises(ClientError, match=where):
        parts.check_code(code, "x")


def test_code_is_not_run_by_being_checked() -> None:
    assert parts.check_code("raise SystemExit", "x") == "raise SystemExit"


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"conf": 5}, "conf must be"),
        ({"conf": {"aktiv": True}}, "no 'aktiv'"),
        ({"conf": {"active": 1}}, "true or"),
        ({"conf": {"max_runtime_s": -1}}, "from 0"),
        ({"conf": {"restart": "maybe"}}, "never, failure, always"),
        ({"conf": {"memory_mb": 10_000}}, "from 8 to 512"),
        ({"conf": {"parallel": 5}}, "from 1 to 4"),
        ({"conf": {"when": "some"}}, "any, all"),
        ({"conf": {"restart_delay_s": 0}}, "from 0.05"),
        ({"entries": []}, "entries must be"),
        ({"entries": {"a/b": KEY}}, "can't be the name of a entry|entry 'a/b'"),
        ({"entries": {"t": {"key": "x"}}}, "entry 't'"),
        ({"entries": {f"e{i}": KEY for i in range(51)}}, "at most 50"),
        ({"code": 5}, "code must be"),
        ({"kode": ""}, "no 'kode'"),
    ],
)
def test_what_is_refused(given: dict[str, Any], words: str) -> None:
    with pytest.raises(ClientError, match=words):
        parts.check_definition("x", given)


@pytest.mark.parametrize("name", ["main", "a/b", "a.code", "", "..", "x" * 65])
def test_names_that_are_none(name: str) -> None:
    with pytest.raises(ClientError, match="can't be the name"):
        parts.check_definition(name, {})


def test_defaults() -> None:
    assert parts.check_definition("x", {})["conf"] == {
        "active": True,
        "startup": False,
        "when": "any",
        "max_runtime_s": 0.0,
        "restart": "failure",
        "restart_delay_s": 2.0,
        "parallel": 1,
        "memory_mb": 64.0,
        "cpu_s": 10.0,
        "info": "",
    }


class TestExchange:
    def scenario(self, name: str = "heat") -> Scenario:
        one = Scenario(name)
        one.define(
            parts.check_definition(
                name,
                {"code": "print(1)", "entries": {"t": {"key": KEY, "below": 20}}, "conf": {"startup": True}},
            )
        )
        return one

    def file(self, **changes: Any) -> bytes:
        return json.dumps({**exchange.export([self.scenario()]), **changes}).encode()

    def test_comes_back_inactive(self) -> None:
        found = exchange.read(self.file(), [])
        expected = self.scenario().definition()
        expected["conf"]["active"] = False
        assert found == {"heat": expected}

    @pytest.mark.parametrize(
        ("changes", "words"),
        [
            ({"format": "x"}, "no export of scenarios"),
            ({"version": 2}, "version 2"),
            ({"version": None}, "version None"),
            ({"scenarios": []}, "no scenarios"),
            ({"scenarios": {}}, "no scenarios"),
            ({"scenarios": [5]}, "no name"),
            ({"scenarios": [{"name": "a"}, {"name": "a"}]}, "two scenarios a"),
            ({"scenarios": [{"name": "a"}, {"name": "b", "code": "a b"}]}, "line 1"),
            ({"scenarios": [{"name": "../x"}]}, "can't be the name"),
            ({"scenarios": [{"name": "a", "run": True}]}, "no 'run'"),
        ],
    )
    def test_what_is_refused_whole(self, changes: dict[str, Any], words: str) -> None:
        with pytest.raises(ClientError, match=words):
            exchange.read(self.file(**changes), [])

    @pytest.mark.parametrize(
        "body", [b"", b"[]", b"\xff\xfe", b"{" * 100_000, b" " * (exchange.FILE_BYTES + 1)]
    )
    def test_what_is_no_file(self, body: bytes) -> None:
        with pytest.raises(ClientError):
            exchange.read(body, [])

    def test_a_name_that_is_taken_needs_the_word(self) -> None:
        with pytest.raises(ClientError, match="already"):
            exchange.read(self.file(), ["heat"])
        assert list(exchange.read(self.file(), ["heat"], replace=True)) == ["heat"]
