# SPDX-License-Identifier: GPL-3.0-or-later
"""The benchmarks' own parts: what they compute, and that the load generator counts honestly."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.benchmarks.anchors import start_relay
from tests.benchmarks.harness import Table, against, interleave, medians, number
from tests.benchmarks.loadgen import LoadGenerator, Updates
from tests.benchmarks.processes import Room


def test_runs_are_interleaved() -> None:
    order: list[str] = []

    def variant(name: str) -> dict[str, float]:
        order.append(name)
        return {"rate": float(len(order))}

    results = interleave(3, {"a": lambda: variant("a"), "b": lambda: variant("b")})
    assert order == ["a", "b"] * 3
    assert results["b"] == [{"rate": 2.0}, {"rate": 4.0}, {"rate": 6.0}]


def test_medians_but_losses_add_up() -> None:
    runs = [{"rate": 5.0, "lost": 0}, {"rate": 1.0, "lost": 2}, {"rate": 3.0, "lost": 0}]
    assert medians(runs) == {"rate": 3.0, "lost": 2}


def test_reach() -> None:
    assert against(0.2, 0.18) == (0.2, ">= 0.18", "yes")
    assert against(0.17, 0.18)[2] == "NO"
    assert against(17.0, 16.0, at_most=True) == (17.0, "<= 16", "NO")


def test_table_text_and_json() -> None:
    table = Table("Fruit", ("work", "rate"), "A note.")
    table.add("apples", 12345.678)
    table.add("pears")
    assert table.text().splitlines() == ["## Fruit", "",
                                         "| work   |   rate |",
                                         "|--------|-------:|",
                                         "| apples | 12 346 |",
                                         "| pears  |        |",
                                         "", "A note."]
    assert table.plain()["rows"] == [{"work": "apples", "rate": 12345.678}, {"work": "pears", "rate": ""}]
    with pytest.raises(ValueError, match="3 cells for 2 columns"):
        table.add(1, 2, 3)


@pytest.mark.parametrize(("value", "text"), [(0.12345, "0.123"), (99.96, "100"), (123.45, "123.5"), (7, "7"),
                                              ("x", "x")])
def test_numbers(value: object, text: str) -> None:
    assert number(value) == text


@pytest.fixture(scope="module")
def load() -> LoadGenerator:
    return LoadGenerator()


@pytest.mark.parametrize("transport", ["ipc", "tcp"])
def test_requests_through_the_relay(load: LoadGenerator, transport: str) -> None:
    with Room(transport) as room:
        relay = start_relay(room, load)
        with load.workers(room, relay.back, workers=3, bare=True):
            run = load.client(relay.front, "any", count=100, outstanding=7, size=64, broker=relay.process)
    assert (run["requests"], run["lost"], run["wrong"]) == (100, 0, 0)
    assert run["rate"] > 0 and run["p99_us"] >= run["p50_us"] > 0 and run["cpu_us"] > 0


def test_requests_that_nobody_answers_are_lost(load: LoadGenerator) -> None:
    with Room() as room:
        relay = start_relay(room, load)
        run = load.client(relay.front, "any", count=10, outstanding=5, timeout=0.1)
    assert (run["requests"], run["lost"]) == (0, 5)


def test_an_answer_that_is_no_echo_is_wrong(load: LoadGenerator) -> None:
    with Room() as room:
        relay = start_relay(room, load)
        with load.workers(room, relay.back, bare=True):
            run = load.client(relay.front, "any", count=10, frames=("set", "key"), check="first")
    assert (run["requests"], run["refused"]) == (10, 10)


def test_updates_through_the_relay(load: LoadGenerator) -> None:
    with Room() as room:
        relay = start_relay(room, load, pubsub=True)
        run = load.key_value(relay.front, relay.back, Updates(100, subscribers=3))
    assert (run["deliveries"], run["lost"], run["disordered"]) == (300, 0, 0)


def test_what_does_not_compile_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tests.benchmarks.loadgen.FLAGS", ("-DMDPC01=)",))
    with pytest.raises(RuntimeError, match="does not compile"):
        LoadGenerator(tmp_path)
