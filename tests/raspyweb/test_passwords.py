# SPDX-License-Identifier: GPL-3.0-or-later
"""Passwords as they are kept."""

import base64

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


def test_a_very_long_password_is_not_taken_for_its_beginning():
    kept = passwords.hash_password("a" * passwords.LENGTH_MAX)
    assert not passwords.is_password("a" * (passwords.LENGTH_MAX + 1), kept)
