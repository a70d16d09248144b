# SPDX-License-Identifier: GPL-3.0-or-later
"""Runs in the container as user raspy: ``dashboard.py METHOD PATH`` asks the JSON interface as an admin.

What is printed is JSON: the status and the answer.
"""

from __future__ import annotations

import json
import secrets
import sys
import urllib.error
import urllib.request
from pathlib import Path

from raspyweb.accounts import Accounts

URL = "http://127.0.0.1:5520"
FOLDER = Path("/var/lib/raspy/web")
NAME = "system-test"
TIMEOUT_S = 90


def ask(method: str, path: str) -> tuple[int, object]:
    accounts = Accounts(FOLDER)
    if accounts.find(NAME) is None:
        accounts.add(NAME, "admin", secrets.token_urlsafe())
    token = accounts.add_token(NAME, "system test", "admin")
    headers = {"Authorization": f"Bearer {token}"}
    request = urllib.request.Request(URL + path, method=method, headers=headers)
    try:
        with urllib.request.urlopen(request, timeout=TIMEOUT_S) as answer:
            return answer.status, json.load(answer)
    except urllib.error.HTTPError as error:
        return error.code, json.load(error)


if __name__ == "__main__":
    print(json.dumps(ask(sys.argv[1], sys.argv[2])))
