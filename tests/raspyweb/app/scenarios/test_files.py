# SPDX-License-Identifier: GPL-3.0-or-later
"""Scenarios out to a file and in again."""

import html
import json

import pytest

from tests.raspyweb.app.house import SCRIPT, TOKEN, House
from tests.support.broker import HOSTNAME

PAGES = f"/scenarios/{HOSTNAME}"


def upload(house: House, content: bytes, **fields: str):
    """Send a file as a browser does; made here, since Flask's client leaves a large one open behind it."""
    parts = [
        f'--x\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{value}\r\n'.encode()
        for name, value in {**fields, "csrf_token": TOKEN}.items()
    ]
    head = b'--x\r\nContent-Disposition: form-data; name="file"; filename="../../etc/passwd"\r\n\r\n'
    body = b"".join([*parts, head, content, b"\r\n--x--\r\n"])
    return house.admin.client.post(
        f"{PAGES}/-import", data=body, content_type="multipart/form-data; boundary=x"
    )


def shown(reply):
    return html.unescape(reply.get_data(as_text=True))


def test_out_and_in_again(house: House):
    house.stack.add("shared", "scenario.log('hello °')\n", info="for a friend")
    file = house.viewer.get(f"{PAGES}/-export", name="shared")
    assert file.headers["Content-Disposition"] == 'attachment; filename="scenario-shared.json"'
    assert [one["name"] for one in json.loads(file.data)["scenarios"]] == ["shared"]
    assert house.viewer.get(f"{PAGES}/-export").headers["Content-Disposition"].endswith('"scenarios.json"')

    again = upload(house, file.data)
    assert again.status_code == 400 and "there is a scenario shared already" in shown(again)
    house.admin.post(f"{PAGES}/shared/delete")
    assert upload(house, file.data).status_code == 302
    info = house.stack.info("shared")
    assert info["code"] == "scenario.log('hello °')\n" and info["state"] == "inactive"
    assert upload(house, file.data, replace="on").status_code == 302


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (b"", "Choose a file"),
        (b"\x00\xff\x7fELF", "must be JSON"),
        (b"[" * 100_000, "must be JSON"),
        (b"{}", "no export of scenarios"),
        (json.dumps({"format": "raspy-scenarios", "version": 9, "scenarios": []}).encode(), "version 9"),
        (
            json.dumps({"format": "raspy-scenarios", "version": 1, "scenarios": [{"name": SCRIPT}]}).encode(),
            "can't be",
        ),
    ],
    ids=["empty", "binary", "deep", "no export", "newer", "hostile"],
)
def test_what_is_no_export_is_refused(house: House, content, why):
    reply = upload(house, content)
    assert reply.status_code == 400 and why in shown(reply)
    assert SCRIPT not in reply.get_data(as_text=True)


def test_a_file_that_is_too_large_is_refused(house: House):
    assert upload(house, b" " * ((1 << 20) + 1)).status_code == 413
    assert upload(house, b" " * (3 << 20)).status_code == 413


@pytest.mark.parametrize("name", ["nobody", "../../etc/passwd", SCRIPT, "\x00"], ids=range(4))
def test_the_export_of_what_is_not_there(house: House, name):
    reply = house.viewer.get(f"{PAGES}/-export", name=name)
    assert reply.status_code in (400, 404) and SCRIPT not in reply.get_data(as_text=True)
