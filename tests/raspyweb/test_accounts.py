# SPDX-License-Identifier: GPL-3.0-or-later
"""Who may use the dashboard: the file of the accounts."""

import json
import os
import stat
import threading

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from raspyweb import accounts, passwords
from raspyweb.accounts import AccountError, Accounts

PASSWORD = "correct horse"


class Clock:
    now = 1_769_000_000.0

    def __call__(self):
        return self.now


@pytest.fixture(autouse=True)
def cheap_hashes(monkeypatch):
    """What a hash costs is tested with the passwords."""
    monkeypatch.setattr(passwords, "COST", 2)
    monkeypatch.setattr(passwords, "PARALLEL", 1)


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def kept(tmp_path, clock):
    return Accounts(tmp_path / "web", clock)


def test_users_have_roles_each_with_all_of_those_before_it(kept):
    user = kept.add("ann", "operator", PASSWORD)
    assert [user.may(role) for role in accounts.ROLES] == [True, True, False]
    assert kept.find("ann") == user and kept.find("bob") is None
    kept.add("bob", "admin", PASSWORD)
    kept.set_role("ann", "viewer")
    assert [(one.name, one.role) for one in kept.users()] == [("ann", "viewer"), ("bob", "admin")]


def test_the_file_is_for_its_owner_only_and_has_no_secret_in_plain(kept):
    kept.add("ann", "admin", PASSWORD)
    session, token = kept.open_session("ann"), kept.add_token("ann", "script", "read")
    path = kept.folder / accounts.FILE
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE((kept.folder / accounts.LOCK).stat().st_mode) == 0o600
    text = path.read_text()
    for secret in (PASSWORD, session, token, token.rpartition("_")[2]):
        assert secret not in text


def test_name_and_password_are_checked(kept):
    kept.add("ann", "viewer", PASSWORD)
    assert kept.check("ann", PASSWORD) == kept.find("ann")
    assert kept.check("ann", PASSWORD + "x") is None
    assert kept.check("nobody", PASSWORD) is None
    kept.set_password("ann", "another horse")
    assert kept.check("ann", PASSWORD) is None
    assert kept.check("ann", "another horse") is not None


@pytest.mark.parametrize(
    ("change", "why"),
    [
        (lambda kept: kept.add("", "viewer", PASSWORD), "1 to 32 letters"),
        (lambda kept: kept.add("../x", "viewer", PASSWORD), "1 to 32 letters"),
        (lambda kept: kept.add("ann\n", "viewer", PASSWORD), "1 to 32 letters"),
        (lambda kept: kept.add("new", "god", PASSWORD), "A role is one of viewer, operator, admin"),
        (lambda kept: kept.add("new", "viewer", "short"), "at least 8"),
        (lambda kept: kept.add("ann", "viewer", PASSWORD), "There is a user ann already"),
        (lambda kept: kept.set_password("nobody", PASSWORD), "There is no user nobody"),
        (lambda kept: kept.set_password("ann", "short"), "at least 8"),
        (lambda kept: kept.set_role("ann", "viewer"), "ann is the only admin"),
        (lambda kept: kept.set_role("nobody", "viewer"), "There is no user nobody"),
        (lambda kept: kept.remove("ann"), "ann is the only admin"),
        (lambda kept: kept.open_session("nobody"), "There is no user nobody"),
        (lambda kept: kept.add_token("ann", "script", "all"), "scope is one of read, steer, admin"),
        (lambda kept: kept.add_token("ann", " ", "read"), "label"),
        (lambda kept: kept.add_token("ann", "a\nb", "read"), "label"),
        (lambda kept: kept.remove_token("ann", "0123"), "There is no such token"),
        (lambda kept: kept.prefer("ann", {"x": "y" * 70000}), "more than can be kept"),
    ],
)
def test_what_can_not_be_is_refused_and_nothing_changes(kept, change, why):
    kept.add("ann", "admin", PASSWORD)
    before = (kept.folder / accounts.FILE).read_text()
    with pytest.raises(AccountError, match=why):
        change(kept)
    assert (kept.folder / accounts.FILE).read_text() == before


@pytest.mark.parametrize("length", [passwords.LENGTH_MIN - 1, passwords.LENGTH_MAX + 1])
def test_a_password_has_a_length(kept, length):
    with pytest.raises(AccountError, match="A password has at"):
        kept.add("ann", "admin", "x" * length)
    assert kept.users() == []


def test_numbers_are_bounded(kept, monkeypatch):
    for name in ("USERS_MAX", "TOKENS_MAX"):
        monkeypatch.setattr(accounts, name, 1)
    kept.add("ann", "admin", PASSWORD)
    kept.add_token("ann", "script", "read")
    with pytest.raises(AccountError, match="remove one first"):
        kept.add("bob", "viewer", PASSWORD)
    with pytest.raises(AccountError, match="remove one first"):
        kept.add_token("ann", "script", "read")


def test_a_session_lasts_until_it_is_closed_or_too_old(kept, clock):
    kept.add("ann", "admin", PASSWORD)
    first, second = kept.open_session("ann"), kept.open_session("ann")
    assert kept.session(first) == kept.session(second) == kept.find("ann")
    assert kept.session("made up") is None
    kept.close_session(first)
    kept.close_session(first)
    assert kept.session(first) is None and kept.session(second) is not None
    clock.now += accounts.SESSION_MAX_S
    assert kept.session(second) is None
    # A clock that was set back makes no session older than time.
    clock.now -= 2 * accounts.SESSION_MAX_S
    assert kept.session(second) is None


def test_the_oldest_session_ends_when_there_are_too_many(kept, clock, monkeypatch):
    monkeypatch.setattr(accounts, "SESSIONS_MAX", 3)
    kept.add("ann", "admin", PASSWORD)
    opened = []
    for _ in range(5):
        clock.now += 1
        opened.append(kept.open_session("ann"))
    assert [kept.session(one) is not None for one in opened] == [False, False, True, True, True]


def test_sessions_end_with_the_password_and_all_at_once(kept):
    kept.add("ann", "admin", PASSWORD)
    kept.add("bob", "viewer", PASSWORD)
    one, other = kept.open_session("ann"), kept.open_session("bob")
    kept.set_password("ann", "another horse")
    assert kept.session(one) is None and kept.session(other) is not None
    kept.close_sessions("bob")
    assert kept.session(other) is None


def test_a_token_acts_for_its_user_until_it_is_removed(kept):
    kept.add("ann", "admin", PASSWORD)
    kept.add("bob", "viewer", PASSWORD)
    token = kept.add_token("ann", "script", "steer")
    assert kept.bearer(token) == (kept.find("ann"), "steer")
    for wrong in ("", "raspy_", token[:-1], token + "x", "raspy_00000000_" + token.rpartition("_")[2]):
        assert kept.bearer(wrong) is None
    (listed,) = kept.tokens("ann")
    assert (listed["label"], listed["scope"]) == ("script", "steer") and set(listed) == {
        "id", "label", "scope", "made",
    }  # fmt: skip
    with pytest.raises(AccountError):
        kept.remove_token("bob", listed["id"])
    kept.remove_token("ann", listed["id"])
    assert kept.bearer(token) is None and kept.tokens("ann") == []


def test_a_removed_user_leaves_neither_sessions_nor_tokens(kept):
    kept.add("ann", "admin", PASSWORD)
    kept.add("bob", "admin", PASSWORD)
    session, token = kept.open_session("bob"), kept.add_token("bob", "script", "admin")
    kept.remove("bob")
    assert kept.session(session) is None and kept.bearer(token) is None
    assert json.loads((kept.folder / accounts.FILE).read_text())["tokens"] == {}


def test_preferences_are_kept_and_forgotten(kept):
    kept.add("ann", "admin", PASSWORD)
    kept.prefer("ann", {"theme": "dark", "language": "fr"})
    kept.prefer("ann", {"theme": None})
    assert kept.find("ann").preferences == {"language": "fr"}


def test_the_first_visitor_needs_the_token_that_stays_until_then(kept):
    token = kept.first_visit_token()
    assert token and kept.first_visit_token() == token == Accounts(kept.folder).first_visit_token()
    assert stat.S_IMODE((kept.folder / accounts.FIRST_VISIT).stat().st_mode) == 0o600
    with pytest.raises(AccountError, match="not the token"):
        kept.claim(token[:-1], "ann", PASSWORD)
    with pytest.raises(AccountError, match="at least 8"):
        kept.claim(token, "ann", "short")
    user = kept.claim(f" {token.upper()} ", "ann", PASSWORD)
    assert user.role == "admin"
    assert kept.first_visit_token() is None and not (kept.folder / accounts.FIRST_VISIT).exists()
    with pytest.raises(AccountError, match="first visit is over"):
        kept.claim(token, "eve", PASSWORD)


def test_changes_of_another_process_are_seen_and_none_is_lost(kept):
    other = Accounts(kept.folder)
    kept.add("ann", "admin", PASSWORD)
    assert other.find("ann") is not None

    def prefer(which, name):
        for number in range(25):
            which.prefer("ann", {f"{name}{number}": number})

    threads = [threading.Thread(target=prefer, args=pair) for pair in ((kept, "a"), (other, "b"))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert len(kept.find("ann").preferences) == len(other.find("ann").preferences) == 50


def test_what_root_writes_belongs_to_the_owner_of_the_folder(kept):
    if os.geteuid() != 0:
        pytest.skip("needs root")
    kept.folder.mkdir()
    os.chown(kept.folder, 4321, 4322)
    kept.add("ann", "admin", PASSWORD)
    status = (kept.folder / accounts.FILE).stat()
    assert (status.st_uid, status.st_gid) == (4321, 4322)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60)
@given(
    st.one_of(
        st.text(),
        st.recursive(
            st.none() | st.integers() | st.text(max_size=5),
            lambda inner: (
                st.lists(inner, max_size=2)
                | st.dictionaries(
                    st.sampled_from(["users", "sessions", "tokens", "role", "user", "ann"]), inner, max_size=3
                )
            ),
            max_leaves=8,
        ).map(json.dumps),
    )
)
def test_a_damaged_file_is_told_and_never_taken_for_an_empty_one(kept, text):
    kept.folder.mkdir(exist_ok=True)
    (kept.folder / accounts.FILE).write_text(text)
    try:
        users = kept.users()
    except AccountError as error:
        assert "is damaged" in str(error)
    else:
        assert users == [] or all(user.role in accounts.ROLES for user in users)
        assert isinstance(json.loads(text)["users"], dict)
