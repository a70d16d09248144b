# SPDX-License-Identifier: GPL-3.0-or-later
"""The front desk: what each of titanic's services does with a request (RFC 9).

=================== ============================ ============================================
service             request                      reply
=================== ============================ ============================================
``titanic.request`` ``SERVICE BODY...``          ``200 ID``
``titanic.submit``  ``ID SERVICE BODY...``       ``200 ID``, also when it is there already
``titanic.reply``   ``ID``                       ``200 FRAMES...``, ``300`` (not yet), ``400 reason``
                                                 (no such request), or ``500 reason`` (it failed)
``titanic.close``   ``ID``                       ``200``, also when there is no such request
``titanic.store``   see `raspy.common.store`     status, and the result
=================== ============================ ============================================

``titanic.submit`` is RasPy's addition: the client chooses the id (32 hexadecimal digits, random), so
that it may ask again when the answer got lost without having its request carried out twice.
"""

from collections.abc import Sequence

from raspy.common import MDP
from raspy.common.MDP import ClientError, ServerError
from raspy.servers.titanic import checks
from raspy.servers.titanic.commit import Job
from raspy.servers.titanic.database import PAGE_BYTES, Database
from raspy.servers.titanic.delivery import Delivery
from raspy.servers.titanic.keyvalue import WRITING, KeyValueStore
from raspy.servers.titanic.requests import Requests

# Requests may fill this part of the database; the rest is for replies and the key/value store.
REQUESTS_SHARE = 0.8
# What a row takes besides its frames, about.
ROW_BYTES = 200


class Desk:
    """Turns requests into jobs for the next commit.

    Every method takes the frames of a request, and raises ClientError or ServerError when it is
    refused at once.

    Arguments:
        requests: the stored requests.
        store: the key/value store.
        database: that of both.
        delivery: learns of each new request.
        max_requests: how many requests are kept at a time.
    """

    def __init__(
        self,
        requests: Requests,
        store: KeyValueStore,
        database: Database,
        delivery: Delivery,
        max_requests: int,
    ) -> None:
        self._requests = requests
        self._store = store
        self._database = database
        self._delivery = delivery
        self._max_requests = max_requests
        self._room_bytes = 0
        self.measure()

    def measure(self) -> None:
        """See how much room there is for requests; to be called after each commit."""
        pages = int(REQUESTS_SHARE * self._database.max_pages) - self._database.used_pages()
        self._room_bytes = pages * PAGE_BYTES

    def request(self, frames: Sequence[bytes]) -> Job:
        """``SERVICE FRAME...``: store a request for a service, and return an id for it."""
        service, body = self._check(frames)

        def work() -> list[bytes]:
            id = self._requests.add(service, body)
            self._delivery.wake(service)
            return [MDP.T_OK, id.hex().encode()]

        return Job(work)

    def submit(self, frames: Sequence[bytes]) -> Job:
        """``ID SERVICE FRAME...``: store a request under an id that the client gives, once; return the id."""
        if not frames:
            raise ClientError("titanic.submit takes an id, a service and the request's frames")
        id = checks.request_id(frames[0])
        service, body = self._check(frames[1:])

        def work() -> list[bytes]:
            self._requests.add_as(id, service, body)
            self._delivery.wake(service)
            return [MDP.T_OK, id.hex().encode()]

        return Job(work)

    def _check(self, frames: Sequence[bytes]) -> tuple[str, Sequence[bytes]]:
        """The service and the body of a request that can be taken; takes up room for it."""
        if len(frames) < 2:
            raise ClientError("titanic takes the name of a service, and the request's frames for it")
        service = checks.name(frames[0], "the service's name")
        body = frames[1:]
        size = sum(map(len, body))
        if size > checks.MAX_BODY_BYTES:
            raise ClientError(f"the request has {size} bytes; titanic takes up to {checks.MAX_BODY_BYTES}")
        if self._requests.total() >= self._max_requests:
            raise ServerError(
                f"titanic keeps {self._max_requests} requests already (max_requests); try again later"
            )
        if size + ROW_BYTES > self._room_bytes:
            raise ServerError(
                "titanic's database is full (max_database_mib); close what is answered, and try again"
            )
        if not self._delivery.knows(service):
            raise ServerError("titanic has requests for too many services; try again when some are answered")
        self._room_bytes -= size + ROW_BYTES
        return service, body

    def reply(self, frames: Sequence[bytes]) -> Job:
        """``ID``: fetch the reply to a request; 300 while there is none, 500 and why when it has failed."""
        id = _only_id(frames)
        return Job(lambda: self._requests.reply(id), writes=False)

    def close(self, frames: Sequence[bytes]) -> Job:
        """``ID``: confirm that a reply has been processed, and forget it; or cancel what waits."""
        id = _only_id(frames)
        return Job(lambda: self._requests.close(id), steadfast=True)

    def store(self, frames: Sequence[bytes]) -> Job:
        """``titanic.store``: the key/value store."""
        return Job(lambda: self._store.action(frames), writes=bool(frames) and frames[0] in WRITING)


def _only_id(frames: Sequence[bytes]) -> bytes:
    if len(frames) != 1:
        raise ClientError("this takes one frame, the id of a request")
    return checks.request_id(frames[0])
