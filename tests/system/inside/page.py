# SPDX-License-Identifier: GPL-3.0-or-later
"""Runs in the container: ``page.py PATH`` prints where the dashboard leads to from there."""

from __future__ import annotations

import re
import sys
import urllib.request

DASHBOARD = "http://127.0.0.1:5520"
TIMEOUT_S = 20

if __name__ == "__main__":
    with urllib.request.urlopen(DASHBOARD + sys.argv[1], timeout=TIMEOUT_S) as answer:
        text = answer.read().decode()
        title = re.search("<title>(.*?)</title>", text, re.DOTALL)
        print(answer.url.removeprefix(DASHBOARD), answer.status, title[1].strip() if title else "")
