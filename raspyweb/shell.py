# SPDX-License-Identifier: GPL-3.0-or-later
"""A Python console inside the dashboard's application: ``python3 -m raspyweb.shell``.

``app`` is the application, ``bus`` its link to the bus, ``accounts`` the users.
"""

from __future__ import annotations

import argparse
import code
import sys
import threading
from collections.abc import Sequence
from pathlib import Path

from raspy.common.daemon import state_folder
from raspyweb.app import auth, create_app
from raspyweb.app.bus import EXTENSION


def main(argv: Sequence[str] | None = None) -> int:
    """Show the console until its end; return the exit status.

    Args:
        argv: the command line without the program's name; the process's if left out.
    """
    parser = argparse.ArgumentParser(prog="raspyweb.shell", description="A console inside the dashboard.")
    parser.add_argument("--broker", metavar="URL", default="ipc:///run/raspy", help="the broker")
    parser.add_argument("--data-dir", type=Path, metavar="DIR", default=state_folder("web"), help="its state")
    arguments = parser.parse_args(argv)
    app = create_app({"BROKER": arguments.broker, "DATA_DIR": arguments.data_dir})
    bus = app.extensions[EXTENSION]
    follower = threading.Thread(target=bus.follow, args=(lambda: None,), name="values")
    follower.start()
    try:
        with app.app_context():
            names = {"app": app, "bus": bus, "accounts": auth.accounts()}
            code.interact(banner=f"Here are {', '.join(names)}.", local=names, exitmsg="")
    finally:
        bus.shutdown()
        follower.join()
        bus.close()
    return 0


if __name__ == "__main__":
    sys.exit(main())
