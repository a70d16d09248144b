# SPDX-License-Identifier: GPL-3.0-or-later
import json
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from raspy.common.MDP import ClientError
from raspy.servers.core.cron import job
from raspy.servers.core.cron.triggers import Place
from raspyweb.app.cron import form

PARIS = Place(ZoneInfo("Europe/Paris"), 48.8, 2.3)
NOWHERE = Place(ZoneInfo("Europe/Paris"))

names = st.from_regex(r"[a-z][a-z0-9_-]{0,10}", fullmatch=True)
commands = st.fixed_dictionaries(
    {
        "key": st.just("/device/pi/fake/lamp/state"),
        "value": st.one_of(
            st.booleans(), st.integers(-1000, 1000), names, st.none(), st.lists(st.booleans())
        ),
    },
    optional={"hold": st.integers(1, 1000)},
)
times = st.one_of(
    st.tuples(st.integers(0, 59), st.integers(0, 23), st.sampled_from(("*", "mon", "sat,sun", "1-5"))).map(
        lambda parts: {"cron": "{} {} * * {}".format(*parts)}
    ),
    st.just({"cron": "*/5 3 1 * *"}),
    st.integers(1, 2678400).map(lambda seconds: {"interval_s": seconds}),
    st.just({"date": "2099-05-01T08:00"}),
    st.tuples(st.sampled_from(("dawn", "dusk")), st.integers(-700, 700)).map(
        lambda parts: {"sun": parts[0], "offset_s": parts[1] * 60}
    ),
)
works = st.one_of(
    st.just({}),
    commands.map(lambda command: {"command": command}),
    names.map(lambda name: {"scenario": name}),
    st.just({"request": {"service": "pi.sync.sync", "frames": ["run", "backup"]}}),
)
rules = st.fixed_dictionaries(
    {
        "active": st.booleans(),
        "trusted": st.booleans(),
        "missed": st.sampled_from(("skip", "run")),
        "info": names,
    }
)


def checked(definition):
    return job.check({key: value for key, value in definition.items() if value is not None}, PARIS)


@given(times, works, rules)
def test_a_definition_comes_back_from_its_form(time, work, rule):
    definition = checked({**time, **work, **rule})
    again, errors = form.read(form.fill(definition))
    assert not errors
    if "cron" in definition:
        # The weekdays may be written in another way, and mean the same.
        assert form.fill(again) | {"cron": ""} == form.fill(definition) | {"cron": ""}
        again["cron"] = definition["cron"]
    assert checked(again) == definition


def test_which_dates_a_browser_s_field_can_hold():
    assert form.plain_date("") and form.plain_date("2026-05-01T08:00")
    assert not any(map(form.plain_date, ("2026-05-01T08:00+02:00", "2026-05-01T08:00:05", "tomorrow")))


def test_the_form_of_a_new_job_makes_a_job():
    definition, errors = form.read(form.fill({}))
    assert not errors and checked(definition)["cron"] == "0 8 * * *"


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"kind": "sometimes"}, "kind"),
        ({"kind": "weekly", "time": "25:00"}, "time"),
        ({"kind": "interval", "number": "often"}, "number"),
        ({"kind": "interval", "number": ""}, "number"),
        ({"kind": "interval", "number": "5", "unit": "7"}, "unit"),
        ({"kind": "interval", "number": "inf"}, "number"),
        ({"kind": "sun", "sun": "moon"}, "sun"),
        ({"kind": "sun", "side": "beside"}, "side"),
        ({"kind": "cron", "cron": "x" * 5000}, "cron"),
        ({"kind": "date", "date": "2099\x002"}, "date"),
        ({"work": "magic"}, "work"),
        ({"work": "scenario", "scenario": ""}, "scenario"),
        ({"work": "command", "command_key": "/device/a/b/c/d", "value": "1", "hold": "long"}, "hold"),
        ({"work": "request", "service": "a.b.c", "frames": "x\n" * 30}, "frames"),
        ({"work": "request", "service": "a.b.c", "frames": "x\x1b"}, "frames"),
        ({"missed": "weep"}, "missed"),
        ({"info": "x" * 501}, "info"),
    ],
)
def test_what_is_wrong_is_told_at_its_field(changes, field):
    _definition, errors = form.read({**form.fill({}), **changes})
    assert list(errors) == [field] and errors[field]


@pytest.mark.parametrize(
    ("definition", "field"),
    [
        ({"cron": "1 2 3"}, "cron"),
        ({"cron": "99 * * * *"}, "cron"),
        ({"cron": "*/0 * * * *"}, "cron"),
        ({"cron": "5-2 * * * *"}, "cron"),
        ({"interval_s": 0.5}, "interval"),
        ({"date": "soon"}, "date"),
        ({"sun": "dusk", "offset_s": 999999}, "offset"),
        ({"interval_s": 5, "scenario": "a/b"}, "scenario"),
        ({"interval_s": 5, "command": {"key": "nowhere", "value": 1}}, "command_key"),
        ({"interval_s": 5, "command": {"key": "/device/a/b", "value": 1}}, "command_key"),
        ({"interval_s": 5, "command": {"key": "/device/a/b/c/d", "value": 1, "hold": -1}}, "hold"),
        ({"interval_s": 5, "request": {"service": "", "frames": ["x"]}}, "service"),
        ({"interval_s": 5, "request": {"service": "x", "frames": []}}, "frames"),
        ({"interval_s": 5, "info": 7}, "info"),
        ({}, ""),
    ],
)
def test_core_s_reasons_find_their_field(definition, field):
    with pytest.raises(ClientError) as caught:
        job.check(definition, PARIS)
    assert form.field_of(str(caught.value)) == field


def test_more_reasons_of_core():
    with pytest.raises(ClientError) as caught:
        job.check({"sun": "dusk"}, NOWHERE)
    assert form.field_of(str(caught.value)) == "sun"
    assert form.field_of("there is a cron job x already: update or remove it") == "name"
    assert form.field_of("'a b' can't be the name of a cron job: use 1 to 64") == "name"
    assert form.field_of("cron 0 0 30 2 * never fires: there is no such time from now on") == "cron"


@given(
    st.dictionaries(
        st.sampled_from(
            (
                *(
                    "kind",
                    "time",
                    "cron",
                    "number",
                    "unit",
                    "date",
                    "sun",
                    "offset",
                    "side",
                    "work",
                    "command_key",
                ),
                *("value", "hold", "scenario", "service", "frames", "missed", "info", "active", "day_mon"),
            )
        ),
        st.one_of(st.sampled_from((*form.KINDS, *form.WORKS, "08:00", "nan", "[[")), st.text(max_size=50)),
    )
)
def test_whatever_is_sent_is_read_or_refused(sent):
    definition, errors = form.read(sent)
    json.dumps(definition, allow_nan=False)
    if not errors:
        try:
            checked(definition)
        except ClientError as error:
            assert isinstance(form.field_of(str(error)), str)
