# SPDX-License-Identifier: GPL-3.0-or-later
"""Majordomo protocol: constants, status codes, errors (RFC 7/MDP 0.1, RFC 8/MMI).

Frames, after the routing id that a ROUTER adds::

    client -> broker   [""] [MDPC01] [service] [body]...
    broker -> client   [""] [MDPC01] [service] [body]...
    worker -> broker   [""] [MDPW01] [READY]      [service] [credit, optional]
                       [""] [MDPW01] [REPLY]      [client] [""] [body]...
                       [""] [MDPW01] [HEARTBEAT]
                       [""] [MDPW01] [DISCONNECT]
    broker -> worker   [""] [MDPW01] [REQUEST]    [client] [""] [body]...
                       [""] [MDPW01] [HEARTBEAT]
                       [""] [MDPW01] [DISCONNECT]

*credit* is RasPy's one addition: ASCII decimal, how many requests the worker takes
before it has replied to the first. A broker that does not know the frame ignores it
and sends one request at a time.

A request's body is ``[action] [argument]...``; a reply's is ``[result]... [status]``, the
status last; the ``titanic.`` services put it first (RFC 9). With 4xx and 5xx the frame next
to the status says why, for a person.

Source: https://rfc.zeromq.org/spec/7/, https://rfc.zeromq.org/spec/8/
"""

from __future__ import annotations

import logging

logger = logging.getLogger(__name__)

C_CLIENT = b"MDPC01"
W_WORKER = b"MDPW01"

W_READY = b"\x01"
W_REQUEST = b"\x02"
W_REPLY = b"\x03"
W_HEARTBEAT = b"\x04"
W_DISCONNECT = b"\x05"

T_OK = b"200"
T_PENDING = b"300"
T_UNKNOWN = b"400"
T_NOTFOUND = b"404"
T_ERROR = b"500"
T_NOTIMPLEMENTED = b"501"

# Bytes of a service's name. In the reply to a request for a longer one the name is cut.
MAX_NAME = 255

# The services whose replies begin with the status (RFC 9).
STATUS_FIRST_PREFIX = b"titanic."

# How the reason begins when the broker itself says no, for want of a worker that answered: whoever may
# repeat a request (titanic does) can then tell this from a worker's own reply.
UNANSWERED = "not answered: "


class GenericError(Exception):
    """What went wrong with a request; the base of all errors that cross the bus.

    Args:
        value: a sentence for a person: what happened, where, what to do.
    """

    status = T_ERROR

    def __init__(self, value: object) -> None:
        super().__init__(value)
        self.value = value

    def __str__(self) -> str:
        return str(self.value)


class ClientError(GenericError):
    """Client side error: the request is wrong and would be wrong again (400)."""

    status = T_UNKNOWN


class NotFoundError(ClientError):
    """The request names something that is not there (404)."""

    status = T_NOTFOUND


class NotImplementedActionError(ClientError):
    """The service has no such action (501)."""

    status = T_NOTIMPLEMENTED


class ServerError(GenericError):
    """Server side error: the request may be right, but could not be carried out (500)."""


_ERRORS: dict[bytes, type[GenericError]] = {
    T_UNKNOWN: ClientError,
    T_NOTFOUND: NotFoundError,
    T_NOTIMPLEMENTED: NotImplementedActionError,
}


def routing_key(hostname: str, service: str) -> str:
    """The name of a server on the network, ``HOST.NAME``; its services add ``.SUFFIX``.

    Args:
        hostname: the machine's name, without its domain.
        service: the server's name, such as ``core``.
    """
    return f"{hostname}.{service}"


def to_frame(value: str | bytes) -> bytes:
    """One frame from text (as UTF-8) or bytes.

    Raises:
        TypeError: it is neither. ZeroMQ would say so only after it has sent the frames before this one.
    """
    if isinstance(value, str):
        return value.encode()
    if isinstance(value, bytes):
        return value
    raise TypeError(f"a frame is text or bytes, not {type(value).__name__}")


def error_reply(service: bytes, status: bytes, reason: str) -> list[bytes]:
    """The body of a reply that says no, with the status where *service* has it."""
    # A file's name may have put into the reason what is no text.
    frames = [reason.encode(errors="replace"), status]
    return frames[::-1] if service.startswith(STATUS_FIRST_PREFIX) else frames


def is_unanswered(service: str | bytes, reply: list[bytes]) -> bool:
    """Whether a reply is the broker's, saying that no worker has answered.

    Args:
        service: the service that was asked; it decides where the status stands.
        reply: the body of the reply.
    """
    if len(reply) != 2:
        return False
    status, reason = reply if to_frame(service).startswith(STATUS_FIRST_PREFIX) else reply[::-1]
    return status in (T_ERROR, T_NOTFOUND) and reason.startswith(UNANSWERED.encode())


def split_reply(service: str | bytes, reply: list[bytes]) -> list[bytes]:
    """The result frames of a reply, without its status.

    Args:
        service: the service that answered; it decides where the status stands.
        reply: the body of the reply.

    Raises:
        ClientError: status 400 (``NotFoundError`` for 404, ``NotImplementedActionError`` for 501).
        ServerError: status 500 or any other, or a reply without frames.
    """
    if not reply:
        raise ServerError(f"{to_frame(service).decode(errors='replace')} sent an empty reply")
    if to_frame(service).startswith(STATUS_FIRST_PREFIX):
        status, results = reply[0], reply[1:]
    else:
        status, results = reply[-1], reply[:-1]
    if status in (T_OK, T_PENDING):
        return results
    reason = results[-1].decode(errors="replace") if results else "no reason given"
    raise _ERRORS.get(status, ServerError)(reason)
