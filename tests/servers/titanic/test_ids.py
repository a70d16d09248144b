# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import uuid

from hypothesis import given
from hypothesis import strategies as st

from raspy.servers.titanic.ids import Ids, seq_in

IDS = Ids()


@given(st.integers(1, 2**48 - 1))
def test_an_id_is_a_uuid_that_holds_its_number(seq):
    id = IDS.make(seq)
    assert seq_in(id) == seq
    assert uuid.UUID(bytes=id).version == 8
    assert uuid.UUID(bytes=id).variant == uuid.RFC_4122


@given(st.binary(min_size=16, max_size=16))
def test_any_other_id_has_a_number_or_none(id):
    assert (seq_in(id) == 0) == (id[6] >> 4 != 8 or id[:6] == bytes(6))


def test_no_two_are_alike_though_they_have_the_same_number():
    assert len({IDS.make(1) for _ in range(2000)}) == 2000
