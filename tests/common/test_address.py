# SPDX-License-Identifier: GPL-3.0-or-later
import pytest
from hypothesis import given
from hypothesis import strategies as st

from raspy.common.address import UNIX_PATH_MAX, BrokerAddress


def test_a_folder_of_unix_sockets():
    address = BrokerAddress.parse("ipc:///run/raspy/")
    assert str(address) == "ipc:///run/raspy"
    assert address.mdp == "ipc:///run/raspy/mdp.sock"
    assert address.snapshot == "ipc:///run/raspy/snapshot.sock"
    assert address.publisher == "ipc:///run/raspy/publisher.sock"
    assert address.collector == "ipc:///run/raspy/collector.sock"
    assert address.is_local
    assert address.folder == "/run/raspy"


@pytest.mark.parametrize(
    ("url", "mdp", "collector"),
    [
        ("tcp://pi:6000", "tcp://pi:6000", "tcp://pi:6003"),
        ("tcp://pi", "tcp://pi:5514", "tcp://pi:5517"),
        ("tcp://[::1]:6000", "tcp://[::1]:6000", "tcp://[::1]:6003"),
        ("tcp://[::1]", "tcp://[::1]:5514", "tcp://[::1]:5517"),
    ],
)
def test_a_tcp_address_has_four_ports(url, mdp, collector):
    address = BrokerAddress.parse(url)
    assert (address.mdp, address.collector) == (mdp, collector)
    assert not address.is_local
    assert address.folder == ""


@pytest.mark.parametrize(
    "url",
    [
        "",
        "pi:5514",
        "udp://pi:5514",
        "tcp://",
        "tcp://:5514",
        "tcp://pi:0",
        "tcp://pi:65533",
        "tcp://pi:http",
        "tcp://::1:5514",
        "ipc://run/raspy",
        "ipc://",
    ],
)
def test_anything_else_is_refused_by_name(url):
    with pytest.raises(ValueError, match="broker address") as caught:
        BrokerAddress.parse(url)
    assert repr(url) in str(caught.value)


def test_a_path_must_fit_into_a_unix_address():
    fits = "/" + "x" * (UNIX_PATH_MAX - 1 - len("/publisher.sock"))
    assert len(BrokerAddress.parse("ipc://" + fits).publisher) == UNIX_PATH_MAX + len("ipc://")
    with pytest.raises(ValueError, match="shorter path"):
        BrokerAddress.parse("ipc://" + fits + "x")


def test_an_address_is_taken_as_it_is():
    address = BrokerAddress.parse("tcp://pi:5514")
    assert BrokerAddress.parse(address) is address
    assert BrokerAddress.choose(None, "pi", 5514) == address
    assert BrokerAddress.choose("ipc:///run/raspy", "pi", 5514).folder == "/run/raspy"


@given(st.text())
def test_any_text_is_read_or_refused(text):
    try:
        address = BrokerAddress.parse(text)
    except ValueError:
        return
    assert BrokerAddress.parse(str(address)) == address
