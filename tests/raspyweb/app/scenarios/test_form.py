# SPDX-License-Identifier: GPL-3.0-or-later
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from werkzeug.datastructures import MultiDict

from raspy.common.MDP import ClientError
from raspy.servers.core.scenarios import definition as core
from raspyweb.app.scenarios import form

KEY = "/device/pi/fake/tank/temperature"

names = st.from_regex(r"[a-z_][A-Za-z0-9_-]{0,20}", fullmatch=True)
numbers = st.integers(-1000, 1000)
values = st.one_of(
    st.booleans(), st.none(), numbers, st.floats(-1e6, 1e6), names, st.lists(numbers, max_size=3)
)
entries = st.one_of(
    st.just({}),
    st.fixed_dictionaries(
        {"below": numbers}, optional={"hysteresis": st.integers(0, 9), "for_s": st.integers(0, 60)}
    ),
    st.fixed_dictionaries({"above": numbers}, optional={"for_s": st.integers(0, 60)}),
    st.fixed_dictionaries({"equals": values}, optional={"for_s": st.integers(0, 60)}),
    st.just({"changes": True}),
    st.fixed_dictionaries({"bad": st.just(True)}, optional={"for_s": st.integers(0, 60)}),
).map(lambda condition: {"key": KEY, **condition})
confs = st.fixed_dictionaries(
    {
        "active": st.booleans(),
        "startup": st.booleans(),
        "when": st.sampled_from(("any", "all")),
        "restart": st.sampled_from(("never", "failure", "always")),
        "max_runtime_s": st.integers(0, 1000),
        "parallel": st.integers(1, 4),
        "cpu_s": st.sampled_from((0.5, 10)),
        "info": names,
    }
)


def sent(fields, rows):
    """A form as a browser sends it."""
    return MultiDict([*fields.items(), *((f"entry_{part}", row[part]) for row in rows for part in form.ROW)])


def row(name="water", key=KEY, test="", value="", hysteresis="", for_s=""):
    return {"name": name, "key": key, "test": test, "value": value, "hysteresis": hysteresis, "for_s": for_s}


@given(
    confs,
    st.dictionaries(names, entries, max_size=5),
    st.sampled_from(("", "\n\nx = 1\n", "if 1:\n    pass")),
)
def test_a_definition_comes_back_from_its_form(conf, entries, code):
    definition = core.check_definition("x", {"conf": conf, "entries": entries, "code": code})
    again, errors = form.read(sent(*form.fill(definition)))
    assert not errors
    assert core.check_definition("x", again) == definition


def test_the_form_of_a_new_scenario_has_core_s_defaults():
    again, errors = form.read(sent(*form.fill(form.NEW)))
    assert not errors
    assert core.check_definition("x", again)["conf"] == core.check_conf(None)


def test_windows_lines_become_ours_and_spare_rows_are_left_out():
    fields, _rows = form.fill(form.NEW)
    spare = row("", "")
    definition, errors = form.read(sent({**fields, "code": "a = 1\r\nb = 2\r\n"}, [spare, row(), spare]))
    assert not errors
    assert definition["code"] == "a = 1\nb = 2\n"
    assert definition["entries"] == {"water": {"key": KEY}}


@pytest.mark.parametrize(
    ("rows", "place"),
    [
        ([row(name="")], "entry 0"),
        ([row(), row(name="b\x00")], "entry 1"),
        ([row(), row()], "entry 1"),
        ([row(test="feels like")], "entry 0"),
        ([row(test="below")], "entry 0"),
        ([row(test="above", value="warm")], "entry 0"),
        ([row(test="below", value="1", hysteresis="nan")], "entry 0"),
        ([row(test="bad", for_s="long")], "entry 0"),
        ([row(key="x" * 5000)], "entry 0"),
        ([row(name=f"n{number}") for number in range(51)], "entries"),
    ],
)
def test_what_is_wrong_is_told_at_its_entry(rows, place):
    _definition, errors = form.read(sent(form.fill(form.NEW)[0], rows))
    assert list(errors) == [place] and errors[place]


@pytest.mark.parametrize(
    ("changes", "place"),
    [
        ({"when": "never"}, "when"),
        ({"restart": "maybe"}, "restart"),
        ({"memory_mb": "much"}, "memory_mb"),
        ({"info": "x" * 501}, "info"),
        ({"code": "x" * 70_000}, "code"),
    ],
)
def test_what_is_wrong_is_told_at_its_field(changes, place):
    _definition, errors = form.read(sent({**form.fill(form.NEW)[0], **changes}, []))
    assert list(errors) == [place]


@pytest.mark.parametrize(
    ("definition", "place"),
    [
        ({"code": "if"}, "code"),
        ({"conf": {"memory_mb": 1}}, "memory_mb"),
        ({"conf": {"when": 1}}, "when"),
        ({"conf": {"parallel": 9}}, "parallel"),
        ({"entries": {"a": KEY, "b": {"key": "nowhere"}}}, "entry 1"),
        ({"entries": {"a": {"key": KEY, "below": 1e99}}}, "entry 0"),
        ({"magic": 1}, ""),
    ],
)
def test_core_s_reasons_find_their_place(definition, place):
    with pytest.raises(ClientError) as caught:
        core.check_definition("x", definition)
    assert form.field_of(str(caught.value), [row("a"), row("b")]) == place


def test_reasons_about_the_name_and_an_entry_that_is_not_there():
    for name in ("a b", "main"):
        with pytest.raises(ClientError) as caught:
            core.check_definition(name, {})
        assert form.field_of(str(caught.value), []) == "name"
    assert form.field_of("there is a scenario x already: update or delete it", []) == "name"
    assert form.field_of("entry 'c': is wrong", [row("a")]) == "entries"


def test_the_line_that_is_wrong():
    with pytest.raises(ClientError) as caught:
        core.check_definition("x", {"code": "a = 1\nb = (\n"})
    assert form.line_of(str(caught.value)) == 2
    assert (
        form.line_of("line 7, in <module>: f()\nline 3, in f: 1 / 0\nZeroDivisionError: division by zero")
        == 3
    )
    assert form.line_of("no line") is None


@given(
    st.lists(
        st.tuples(
            st.sampled_from(
                (*(f"entry_{part}" for part in form.ROW), *form.NUMBERS, "when", "restart", "info", "code")
            ),
            st.one_of(
                st.sampled_from((*form.TESTS, "1", "[", "nan", "any", "failure")), st.text(max_size=40)
            ),
        ),
        max_size=40,
    )
)
def test_whatever_is_sent_is_read_or_refused(pairs):
    definition, errors = form.read(MultiDict(pairs))
    json.dumps(definition, allow_nan=False)
    if not errors:
        try:
            core.check_definition("x", definition)
        except ClientError as error:
            assert isinstance(form.field_of(str(error), form.rows(MultiDict(pairs))), str)
