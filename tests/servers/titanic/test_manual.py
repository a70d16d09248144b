# SPDX-License-Identifier: GPL-3.0-or-later
"""The code in docs/titanic.md does what it says."""

from __future__ import annotations

import re
import threading
from pathlib import Path
from queue import SimpleQueue

from raspy.common import titanic_client
from tests.support.titanic import echo

MANUAL = Path(__file__).parents[3] / "docs" / "titanic.md"


def test_the_client_of_the_manual(stack, tmp_path, monkeypatch):
    [code] = re.findall(r"```python\n(.*?)```", MANUAL.read_text(), re.DOTALL)
    printed: SimpleQueue[tuple[object, ...]] = SimpleQueue()
    clients = []

    class Client(titanic_client.TitanicClient):
        """The same, to be found and shut down by the test, and quick."""

        def __init__(self, **arguments):
            super().__init__(poll=20, **arguments)
            clients.append(self)

    monkeypatch.setattr(titanic_client, "TitanicClient", Client)
    names = {
        "BROKER": stack.url,
        "FILE": tmp_path / "outstanding",
        "print": lambda *words: printed.put(words),
    }
    run = threading.Thread(target=exec, args=(compile(code, str(MANUAL), "exec"), names))
    with stack.worker("pi.onewire.devices", echo):
        run.start()
        assert printed.get(timeout=10) == ("heater", b"200", b"exec", b"heater", b"on", b"200")
        clients[0].shutdown()
        run.join()
    assert printed.empty()
