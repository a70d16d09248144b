# SPDX-License-Identifier: GPL-3.0-or-later
"""Runs in the container: ``visit.py PATH FIELD=VALUE...`` fills in the form that stands there, as a browser.

It prints at which page that ends, and whether one is logged in then.
"""

from __future__ import annotations

import re
import sys
import urllib.parse
import urllib.request
from http.cookiejar import CookieJar

DASHBOARD = "http://127.0.0.1:5520"
TIMEOUT_S = 20
FORM = re.compile(r'<form method="post" action="(/(?:login|first-visit))">(.*?)</form>', re.DOTALL)
HIDDEN = re.compile(r'<input type="hidden" name="([^"]+)" value="([^"]*)">')


def visit(path: str, fields: list[list[str]]) -> str:
    """Fill in the form; the page after it."""
    browser = urllib.request.build_opener(urllib.request.HTTPCookieProcessor(CookieJar()))
    with browser.open(DASHBOARD + path, timeout=TIMEOUT_S) as page:
        form = FORM.search(page.read().decode())
        assert form, f"{page.url} has no form to log in"
    body = urllib.parse.urlencode([*HIDDEN.findall(form[2]), *fields]).encode()
    with browser.open(DASHBOARD + form[1], body, timeout=TIMEOUT_S) as page:
        inside = 'action="/logout"' in page.read().decode()
        return f"{page.url.removeprefix(DASHBOARD)} {'logged in' if inside else 'not logged in'}"


if __name__ == "__main__":
    print(visit(sys.argv[1], [field.split("=", 1) for field in sys.argv[2:]]))
