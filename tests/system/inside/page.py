# SPDX-License-Identifier: GPL-3.0-or-later
"""Runs in the container: ``page.py URL`` prints where that leads to: address, status, type, and the title."""

from __future__ import annotations

import re
import sys
import urllib.request

TIMEOUT_S = 20

if __name__ == "__main__":
    with urllib.request.urlopen(sys.argv[1], timeout=TIMEOUT_S) as answer:
        content = answer.read()
        title = re.search(b"<title>(.*?)</title>", content, re.DOTALL)
        print(
            answer.url, answer.status, answer.headers.get_content_type(), title[1].decode() if title else ""
        )
