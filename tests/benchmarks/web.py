# SPDX-License-Identifier: GPL-3.0-or-later
"""web: 20 browsers following 100 values, the first page, and memory when nobody looks."""

from __future__ import annotations

import http.client
import json
import re
import selectors
import socket
import threading
import time
from collections.abc import Iterator
from functools import partial
from urllib.parse import urlencode

from raspy.common.kvcliapi import KvPublisherClient
from raspyweb.accounts import Accounts

from .harness import Options, Run, Table, against, interleave, medians, say
from .processes import Process, Room, free_port

BROWSERS = 20
VALUES = 100
PORTIONS = 10
"""The values of a second are published in so many portions, as they come from real devices."""
FOLLOW_S = 10.0
"""How long one run measures, for each second of --seconds."""
SETTLE_S = 2.0
PASSWORD = "correct horse"

CPU_REACH = 15.0
LATENCY_REACH_MS = 1000.0
PAGE_REACH_MS = 150.0
PAGE_REACH_KB = 200.0
PSS_REACH_MIB = 30.0


class Bench:
    """A running dashboard, somebody who is logged in, and a publisher."""

    def __init__(self, room: Room) -> None:
        url = room.broker.url
        folder = room.path / "web"
        self.port = free_port(1)
        room.daemon("raspy.servers.broker", "--broker", url)
        room.daemon("raspy.servers.host", "--broker", url, "--data-dir", room.path / "host")
        Accounts(folder).add("ann", "admin", PASSWORD)
        self.web = room.daemon(
            "raspyweb.run", "--broker", url, "--data-dir", folder, "--set", f"port={self.port}"
        )
        self.cookie = self._log_in()
        self.publisher = KvPublisherClient(broker=url)

    def _log_in(self) -> str:
        page, cookie = self.get("/login", "")[1:]
        token = re.search(r'name="csrf_token" value="([^"]+)"', page.decode())
        assert token, "no form on the login page"
        form = urlencode({"name": "ann", "password": PASSWORD, "csrf_token": token[1]})
        return self.get("/login", cookie, form)[2]

    def get(self, path: str, cookie: str, form: str | None = None) -> tuple[int, bytes, str]:
        """A request: status, body, the cookie that comes with it."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        headers = {"Cookie": cookie, "Content-Type": "application/x-www-form-urlencoded"}
        connection.request("POST" if form else "GET", path, form, headers)
        answer = connection.getresponse()
        body = answer.read()
        connection.close()
        return answer.status, body, (answer.headers.get("Set-Cookie") or cookie).partition(";")[0]

    def publish(self, stopping: threading.Event) -> None:
        """Every value once a second, with the time of its publication."""
        due = time.monotonic()
        portion = 0
        while not stopping.wait(max(0.0, due - time.monotonic())):
            for number in range(portion, VALUES, PORTIONS):
                body = {"value": time.monotonic(), "unit": "s", "quality": "good", "time": time.time()}
                self.publisher.send("/device/", f"bench/load/d{number}/value", json.dumps(body))
            portion = (portion + 1) % PORTIONS
            due += 1 / PORTIONS


class Browsers:
    """Windows that follow the values; they take in what comes, and how late it is."""

    def __init__(self, bench: Bench) -> None:
        self._selector = selectors.DefaultSelector()
        self.latencies: list[float] = []
        for _ in range(BROWSERS):
            peer = socket.create_connection(("127.0.0.1", bench.port), timeout=30)
            peer.sendall(f"GET /ajax/events HTTP/1.1\r\nHost: x\r\nCookie: {bench.cookie}\r\n\r\n".encode())
            self._selector.register(peer, selectors.EVENT_READ, bytearray())

    def follow(self, seconds: float) -> None:
        """Take in what comes for a while."""
        self.latencies.clear()
        end = time.monotonic() + seconds
        while (left := end - time.monotonic()) > 0:
            for key, _ in self._selector.select(left):
                data = key.fileobj.recv(1 << 16)  # type: ignore[union-attr]
                if not data:
                    raise RuntimeError("the dashboard hung up")
                buffer: bytearray = key.data
                buffer += data
                self._take(buffer)

    def _take(self, buffer: bytearray) -> None:
        now = time.monotonic()
        end = buffer.rfind(b"\n\n")
        if end < 0:
            return
        for found in re.finditer(rb'"/device/bench/[^"]+":\{"value":([0-9.]+)', bytes(buffer[:end])):
            self.latencies.append((now - float(found[1])) * 1000)
        del buffer[: end + 2]

    def close(self) -> None:
        """Hang up."""
        for key in list(self._selector.get_map().values()):
            key.fileobj.close()  # type: ignore[union-attr]
        self._selector.close()


def measure(options: Options) -> Iterator[Table]:
    """Three tables: idle memory, the first page, followers."""
    with Room(options.transport) as room:
        bench = Bench(room)
        try:
            yield resting(bench)
            yield pages(bench, options.runs)
            yield following(bench, options)
        finally:
            bench.publisher.destroy()


def resting(bench: Bench) -> Table:
    """Its memory after one visit, with nobody following."""
    table = Table("The dashboard when nobody looks", ("state", "PSS MiB", "reach", "met"))
    bench.get("/", bench.cookie)
    table.add("after a visit", *against(bench.web.pss_mib(), PSS_REACH_MIB, at_most=True))
    return table


def pages(bench: Bench, runs: int) -> Table:
    """The first page with all that it loads."""
    say("web: pages")
    table = Table(
        "The first page",
        ("what", "ms", "reach", "met", "KB", "KB reach", "ok"),
        "KB: with its style sheet, scripts and picture, uncompressed.",
    )
    found = interleave(runs, {"overview": partial(page, bench)})
    result = medians(found["overview"])
    size = against(result["kb"], PAGE_REACH_KB, at_most=True)
    table.add("overview", *against(result["ms"], PAGE_REACH_MS, at_most=True), *size)
    return table


def page(bench: Bench) -> Run:
    """Load the overview as a browser does that has nothing yet."""
    begin = time.monotonic()
    status, body, _ = bench.get("/", bench.cookie)
    milliseconds = (time.monotonic() - begin) * 1000
    if status != 200:
        raise RuntimeError(f"the overview answers {status}")
    parts = re.findall(rb'(?:src|href)="(/static/[^"]+)"', body)
    # What a script imports stands in the script.
    parts += [b"/static/live.js", b"/static/shown.js"]
    size = len(body) + sum(len(bench.get(part.decode(), bench.cookie)[1]) for part in set(parts))
    return {"ms": milliseconds, "kb": size / 1000}


def following(bench: Bench, options: Options) -> Table:
    """What the followers cost, and how late the values are."""
    seconds = FOLLOW_S * options.seconds
    say(f"web: {BROWSERS} browsers, {options.runs} times {seconds:g} s")
    table = Table(
        f"{BROWSERS} browsers following {VALUES} values at one update a second each",
        ("what", "CPU %", "reach", "met", "p99 ms", "ms reach", "ok", "values/s", "lost %"),
        "CPU: of one core, all threads of the dashboard. ms: from the publication to a browser.",
    )
    stopping = threading.Event()
    publisher = threading.Thread(target=bench.publish, args=(stopping,))
    publisher.start()
    try:
        browsers = Browsers(bench)
        try:
            browsers.follow(SETTLE_S)
            runs = interleave(options.runs, {"follow": partial(follow, bench.web, browsers, seconds)})
        finally:
            browsers.close()
    finally:
        stopping.set()
        publisher.join()
    result = medians(runs["follow"])
    late = against(result["p99"], LATENCY_REACH_MS, at_most=True)
    cpu = against(result["cpu"], CPU_REACH, at_most=True)
    table.add("all follow", *cpu, *late, result["rate"], result["missing"])
    return table


def follow(web: Process, browsers: Browsers, seconds: float) -> Run:
    """One run."""
    before, begun = web.cpu_s(), time.monotonic()
    browsers.follow(seconds)
    took = time.monotonic() - begun
    latencies = sorted(browsers.latencies)
    if not latencies:
        raise RuntimeError("no value has come")
    rate = len(latencies) / took
    return {
        "cpu": (web.cpu_s() - before) / took * 100,
        "p99": latencies[int(len(latencies) * 0.99)],
        "rate": rate,
        "missing": max(0.0, 100 * (1 - rate / (BROWSERS * VALUES))),
    }
