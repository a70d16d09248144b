# SPDX-License-Identifier: GPL-3.0-or-later
"""What the broker answers about its services (RFC 8, MMI).

=================  ==============  ===========================================
service            argument        reply
=================  ==============  ===========================================
``mmi.service``    service         ``200`` when it is there, ``404`` when not
``mmi.discovery``  regex           the services that match, a frame each; ``200``.
                                   No counts ``{2,3}``, no ``(?`` but ``(?:``
``mmi.workers``    service, or     the number of its workers, or of all
                   none            services as JSON; ``200``
=================  ==============  ===========================================
"""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING

from raspy.common import MDP

if TYPE_CHECKING:
    from raspy.servers.broker.router import Router

MAX_PATTERN = 200
# Not in a pattern: what the compiler unrolls (a count of a count of a count takes gigabytes), and the
# groups that are none: flags, conditions, recursion, looking around.
_UNSAFE = (b"{", b"(?")
_SAFE_GROUP = b"(?:"
# How long all matching of one request may take, in seconds: a hostile pattern can need centuries.
MATCH_S = 0.05


def answer(broker: Router, service: bytes, body: list[bytes]) -> list[bytes]:
    """The reply to a request for one of the broker's own ``mmi.`` services."""
    try:
        if service == b"mmi.service" and len(body) == 1:
            return [MDP.T_OK if broker.has_service(body[0]) else MDP.T_NOTFOUND]
        if service == b"mmi.discovery" and len(body) == 1:
            return [*discover(broker.service_names(), body[0]), MDP.T_OK]
        if service == b"mmi.workers" and len(body) <= 1:
            return [_workers(broker, body[0] if body else b""), MDP.T_OK]
    except MDP.GenericError as error:
        return MDP.error_reply(service, error.status, str(error))
    if service in (b"mmi.service", b"mmi.discovery", b"mmi.workers"):
        return MDP.error_reply(service, MDP.T_UNKNOWN, f"{service.decode()} takes one argument")
    # RFC 8 wants 501 and nothing else for an internal service that is not there.
    return [MDP.T_NOTIMPLEMENTED]


def discover(names: list[bytes], pattern: bytes) -> list[bytes]:
    """The names that *pattern* matches as a whole.

    Raises:
        ClientError: not a regular expression, too long, or one that takes too long.
    """
    # Only now, since few daemons are ever asked. The standard library's re can't be interrupted.
    import regex

    if len(pattern) > MAX_PATTERN:
        raise MDP.ClientError(f"the pattern has {len(pattern)} bytes; {MAX_PATTERN} are allowed")
    plain = pattern.replace(_SAFE_GROUP, b"(")
    if any(unsafe in plain for unsafe in _UNSAFE):
        raise MDP.ClientError("a pattern here has no counts {2,3} and no groups (?...) but (?:...)")
    try:
        compiled = regex.compile(pattern)
    except (regex.error, ValueError, RuntimeError, OverflowError) as error:
        raise MDP.ClientError(f"not a regular expression: {error}") from error
    deadline = time.monotonic() + MATCH_S
    found = []
    for name in names:
        try:
            if compiled.fullmatch(name, timeout=max(0.001, deadline - time.monotonic())):
                found.append(name)
        except TimeoutError:
            raise MDP.ClientError("the pattern takes too long; write a simpler one") from None
    return found


def _workers(broker: Router, service: bytes) -> bytes:
    if not service:
        counts = {name.decode(errors="replace"): one.workers for name, one in sorted(broker.services.items())}
        return json.dumps(counts, ensure_ascii=False).encode()
    one = broker.services.get(service)
    if one is None:
        raise MDP.NotFoundError(f"no service {service.decode(errors='replace')!r}")
    return str(one.workers).encode()
