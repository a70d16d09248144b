# SPDX-License-Identifier: GPL-3.0-or-later
"""Passwords as they are kept."""

import base64
import threading

import psutil
import pytest

from raspyweb import passwords


def test_only_the_password_itself_fits_its_hash_and_each_hash_is_another():
    kept = passwords.hash_password("correct horse")
    assert "correct" not in kept
    assert passwords.is_password("correct horse", kept)
    assert not passwords.is_password("correct horsf", kept)
    assert kept != passwords.hash_password("correct horse")


@pytest.mark.parametrize(
    "kept",
    [
        "",
        "plain",
        "scrypt$16384$8$5$AAAA",
        "scrypt$many$8$5$AAAA$AAAA",
        "scrypt$16384$8$5$!!!!$" + base64.b64encode(bytes(32)).decode(),
        # It would take gigabytes.
        "scrypt$1073741824$8$5$AAAA$" + base64.b64encode(bytes(32)).decode(),
        "scrypt$16384$8000000$5$AAAA$" + base64.b64encode(bytes(32)).decode(),
        # An empty hash must not fit everything.
        "scrypt$16384$8$5$AAAA$",
        "md5$16384$8$5$AAAA$" + base64.b64encode(bytes(32)).decode(),
    ],
)
def test_a_damaged_hash_fits_nothing(kept):
    assert not passwords.is_password("correct horse", kept)


def test_a_very_long_password_is_not_taken_for_its_beginning(monkeypatch):
    monkeypatch.setattr(passwords, "PARALLEL", 1)
    kept = passwords.hash_password("a" * passwords.LENGTH_MAX)
    assert not passwords.is_password("a" * (passwords.LENGTH_MAX + 1), kept)


def test_what_a_computation_took_is_given_back():
    """In threads that live on, as the web server's do: 16 MiB would stay for each of them otherwise."""
    kept = passwords.hash_password("correct horse")
    computed, seen = threading.Barrier(7, timeout=60), threading.Event()

    def compute():
        passwords.is_password("correct horse", kept)
        computed.wait()
        seen.wait(60)

    begin = psutil.Process().memory_info().rss
    threads = [threading.Thread(target=compute) for _ in range(6)]
    for thread in threads:
        thread.start()
    computed.wait()
    grown = psutil.Process().memory_info().rss - begin
    seen.set()
    for thread in threads:
        thread.join(30)
    assert grown < 48 << 20
