# SPDX-License-Identifier: GPL-3.0-or-later
"""Discovery by pattern: whatever a peer sends as one, the answer comes soon."""

import subprocess
import sys
import time

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from raspy.common.MDP import ClientError
from raspy.servers.broker.mmi import MAX_PATTERN, discover

NAMES = [b"pi.core.cron", b"pi.core.mmi", b"pi.host.mmi", b"a" * 255]
SOON_S = 5
"""Far more than any answer takes, far less than a hostile pattern could."""


@pytest.mark.parametrize(
    ("pattern", "found"),
    [
        (rb".*\.mmi", [b"pi.core.mmi", b"pi.host.mmi"]),
        (rb"pi\.core\..*", [b"pi.core.cron", b"pi.core.mmi"]),
        (rb"pi\.(?:core|host)\.mmi", [b"pi.core.mmi", b"pi.host.mmi"]),
        (rb"pi\.(core|host)\.[^.]+", NAMES[:3]),
        (b"core", []),
        (b"pi.core", []),
        (b"", []),
        (b".*", NAMES),
    ],
)
def test_names_match_as_a_whole(pattern: bytes, found: list[bytes]) -> None:
    assert discover(NAMES, pattern) == found


@pytest.mark.parametrize(
    "pattern",
    [b"(", b"*", b"[", b"\\", b"(?u)a", b"(?i)(?L)x", b"(?R)", b"(?(DEFINE)x)", b"(?<=a)b",
     b"(?e)(?:a){e<=9999999999}",
     b"a{99999999999999}", b"x" * (MAX_PATTERN + 1), b"(?P<n>x)(?&n)", b"(?::?(?u)a)"],
)  # fmt: skip
def test_what_is_no_pattern_is_refused_with_a_reason(pattern: bytes) -> None:
    with pytest.raises(ClientError, match=r"pattern|regular expression"):
        discover(NAMES, pattern)


def test_counts_of_counts_take_no_memory() -> None:
    """Compiling one of these once took all memory there was, and the broker with it."""
    code = (
        "import resource; resource.setrlimit(resource.RLIMIT_AS, (1 << 29, 1 << 29))\n"
        "from raspy.servers.broker.mmi import discover\n"
        "from raspy.common.MDP import ClientError\n"
        "for pattern in (b'(?:a{1000}){1000}', b'(?:(?:a{1,9999}){1,9999}){1,9999}', b'((a{99}){99}){99}'):\n"
        "    try: discover([b'a'], pattern)\n"
        "    except ClientError as error: print(error)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=20, check=False
    )
    assert done.stdout.count("no counts") == 3, done.stderr
    assert done.returncode == 0


@pytest.mark.parametrize("pattern", [b"(a|aa)*b.c", b"(a|aa)+!c", b"(?:a|a)*b.c"])
def test_a_pattern_that_takes_for_ever_is_given_up(pattern: bytes) -> None:
    started = time.monotonic()
    with pytest.raises(ClientError, match="too long"):
        discover([b"a" * 60 + b"!b.c"], pattern)
    assert time.monotonic() - started < SOON_S


PARTS = st.sampled_from(
    [bytes([byte]) for byte in b"()[]{}?*+|\\^$.<>=!&#:,-0129PLRNabix\xff\x00"]
    + [b"(?:", b"(?", b"[^.]*", b")*", b")+", b"\\d", b"\\w+", b"[[:", b"\\p{", b"(?P<"]
)


@given(st.lists(PARTS, max_size=60).map(b"".join))
@example(b"(?:" * 60 + b"a" + b")*" * 60)
def test_any_bytes_are_answered_or_refused_soon(pattern: bytes) -> None:
    started = time.monotonic()
    try:
        assert set(discover(NAMES, pattern)) <= set(NAMES)
    except ClientError as error:
        assert str(error)
    assert time.monotonic() - started < SOON_S
