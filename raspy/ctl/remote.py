# SPDX-License-Identifier: GPL-3.0-or-later
"""Other machines: our key, and the keys of the brokers that we know.

Our own pair is ``~/.config/raspy/key``; ``known_hosts`` beside it has a line ``HOST:PORT KEY`` for each
broker whose public key was given once with ``--host-key``. A broker with another key is not talked to.
"""

from __future__ import annotations

from pathlib import Path

from raspy.common import curve, durable
from raspy.common.address import PORT, BrokerAddress
from raspy.common.connection import DENIED
from raspy.ctl.errors import CtlError, NoBroker, WrongUse, nearest

KNOWN = "known_hosts"
MAX_BYTES = 1 << 20


def address(host: str, key: str) -> BrokerAddress:
    """The address of another machine's broker, with the keys to it.

    Args:
        host: NAME or NAME:PORT, as given with ``--host``.
        key: the public key of its broker, as given with ``--host-key``; kept for the next time. Empty for
            the one that is kept.

    Raises:
        WrongUse: no such name or key is possible.
        NoBroker: its key is not known, or we have none.
    """
    try:
        plain = BrokerAddress.parse(f"tcp://{host}")
    except ValueError as error:
        raise WrongUse(f"--host {host}: write NAME or NAME:PORT") from error
    known = hosts()
    name = plain.url.removeprefix("tcp://")
    if key and not curve.is_key(key):
        raise WrongUse(f"--host-key {key}: a key has 40 characters; quote it like this: '...'")
    if not key and name not in known:
        near = nearest(host, names())
        hint = f"; did you mean {' or '.join(near)}?" if near else "."
        raise NoBroker(
            f"the key of {host} is not known here{hint} 'raspyctl key show' there tells it; then once:"
            f" raspyctl --host {host} --host-key 'KEY' status"
        )
    own = own_pair()
    if key and known.get(name) != key:
        known[name] = key
        _keep(known)
    return plain.secured(curve.CurveKeys(known[name], own))


def own_pair() -> curve.Pair:
    """This user's keys.

    Raises:
        NoBroker: there are none yet, or they can't be used.
    """
    try:
        return curve.load(curve.user_key_file())
    except FileNotFoundError:
        raise NoBroker("you have no key yet; 'raspyctl key' makes one and says what to do with it") from None
    except curve.KeyFault as error:
        raise NoBroker(str(error)) from error


def hosts() -> dict[str, str]:
    """The public keys of the brokers that are known, by ``HOST:PORT``; other lines are left out."""
    try:
        with _file().open(encoding="utf-8", errors="replace") as file:
            words = [line.split() for line in file.read(MAX_BYTES).splitlines()]
    except FileNotFoundError:
        return {}
    except OSError as error:
        raise CtlError(f"{_file()}: can't be read: {error.strerror}") from error
    return {pair[0]: pair[1] for pair in words if len(pair) == 2 and curve.is_key(pair[1])}


def names() -> list[str]:
    """What may stand after ``--host``."""
    return [name.removesuffix(f":{PORT}") for name in hosts()]


def _keep(known: dict[str, str]) -> None:
    text = "".join(f"{name} {key}\n" for name, key in sorted(known.items()))
    try:
        durable.replace(_file(), text)
    except OSError as error:
        raise CtlError(f"{_file()}: can't be written: {error.strerror}") from error


def _file() -> Path:
    return curve.user_folder() / KNOWN


def why_refused(address: BrokerAddress, refusal: str, here: str) -> str:
    """What to do when a broker and we do not know each other's keys.

    Args:
        address: the broker's, with our keys.
        refusal: what the client says.
        here: what this machine is called.
    """
    assert address.keys is not None
    if refusal == DENIED:
        return (
            f"the broker at {address} does not know your key; there: sudo raspyctl key authorize {here}"
            f" '{address.keys.own.public}'"
        )
    return (
        f"the broker at {address} has another key than the one that is known here, or something else listens"
        " there. 'raspyctl key show' there tells its key; give it once with --host-key if it was set up anew"
    )
