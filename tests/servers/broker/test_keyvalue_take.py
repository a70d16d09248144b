# SPDX-License-Identifier: GPL-3.0-or-later
"""An update from a peer: taken exactly when the limits allow, however its fast path finds that out."""

import logging

import pytest
from hypothesis import given
from hypothesis import strategies as st

from raspy.servers.broker.keyvalue import KvMap, Refused

LOG = logging.getLogger("test.keyvalue")
MAX_KEYS = 3
MAX_BYTES = 60

KEYS = st.sampled_from((b"/a", b"/b", b"/device/long", b"/d", b"no slash", b"/\xff", b"/\n", b"", b"/"))
BODIES = st.integers(0, 30).map(lambda size: b"x" * size)


@given(updates=st.lists(st.tuples(KEYS, BODIES), max_size=40))
def test_take_is_what_refuses_allows_and_put_does(updates: list[tuple[bytes, bytes]]) -> None:
    fast, plain = (KvMap(None, MAX_KEYS, MAX_BYTES, LOG) for _ in range(2))
    for key, body in updates:
        reason = plain.refuses(key, body)
        if reason:
            with pytest.raises(Refused) as refused:
                fast.take(key, body)
            assert str(refused.value) == reason
        else:
            assert fast.take(key, body) == plain.put(key, body)
        assert (fast.values, fast.sequence, fast.size) == (plain.values, plain.sequence, plain.size)
        held = sum(len(name) + len(value) for name, (_, value) in fast.values.items())
        assert fast.size == held <= MAX_BYTES
