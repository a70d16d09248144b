# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from raspy.servers.titanic import packing


@given(st.lists(st.binary(max_size=300)))
def test_frames_come_out_as_they_went_in(frames):
    assert packing.unpack(packing.pack(frames)) == frames


@given(st.lists(st.binary(min_size=1, max_size=20), min_size=1), st.data())
def test_a_value_cut_short_is_never_taken_for_other_frames(frames, data):
    packed = packing.pack(frames)
    cut = packed[: data.draw(st.integers(1, len(packed) - 1))]
    try:
        assert packing.unpack(cut) == frames[: len(packing.unpack(cut))]
    except ValueError as error:
        assert "ends within a frame" in str(error)


@given(st.binary())
def test_any_bytes_give_frames_or_a_value_error(data):
    try:
        assert packing.pack(packing.unpack(data)) == data
    except ValueError:
        pass


@pytest.mark.parametrize("data", [b"\0", b"\0\0\0\1", b"\xff\xff\xff\xffabc"])
def test_a_damaged_length_is_refused(data):
    with pytest.raises(ValueError, match="within a frame"):
        packing.unpack(data)
