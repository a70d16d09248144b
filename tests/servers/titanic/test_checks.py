# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from raspy.common.MDP import ClientError
from raspy.servers.titanic import checks


def test_an_id_is_32_hexadecimal_digits_in_either_case():
    assert checks.request_id(b"0123456789abcdef0123456789ABCDEF").hex() == "0123456789abcdef" * 2


@pytest.mark.parametrize(
    "frame",
    [
        b"",
        b"../../../etc/passwd",
        b"0" * 31,
        b"0" * 33,
        b"g" * 32,
        b"0" * 32 + b"\n",
        "٠".encode() * 16,
        b"\xff" * 32,
    ],
)
def test_anything_else_is_no_id(frame):
    with pytest.raises(ClientError, match="32 hexadecimal digits"):
        checks.request_id(frame)


@given(st.binary(max_size=300))
def test_a_name_is_printable_text_of_bounded_length_or_refused(frame):
    try:
        text = checks.name(frame, "KEY")
    except ClientError as error:
        assert str(error).startswith("KEY must have")
    else:
        assert text.encode() == frame
        assert text.isprintable()
        assert 1 <= len(frame) <= checks.MAX_NAME_BYTES


@pytest.mark.parametrize("frame", [b"", b"x" * 256, b"a\0b", b"a\nb", b"\xff"])
def test_names_that_are_refused(frame):
    with pytest.raises(ClientError):
        checks.name(frame, "KEY")


def test_a_name_may_have_any_letters():
    assert checks.name("Bécs/Aquárium 1".encode(), "KEY") == "Bécs/Aquárium 1"
