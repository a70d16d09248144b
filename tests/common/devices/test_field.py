# SPDX-License-Identifier: GPL-3.0-or-later
"""Declared values: what is taken from outside, and the sentence when it is not."""

import json
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from raspy.common.devices.field import JSON_MAX, TYPES, Field, check_name, load_json, show
from raspy.common.MDP import ClientError

ANY_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=4,
)


@pytest.mark.parametrize(
    ("field", "value", "kept"),
    [
        (Field("f", "Bool"), True, True),
        (Field("f", "Int", minimum=0, maximum=9), 5, 5),
        (Field("f", "Int"), 5.0, 5),
        (Field("f", "Float"), 5, 5.0),
        (Field("f", "Float", minimum=-1, maximum=1), -1, -1.0),
        (Field("f", "String"), "Ünï, code 1", "Ünï, code 1"),
        (Field("f", "List", choices=("a", "b")), "b", "b"),
        (Field("f", "Color"), "#FF8000", "#ff8000"),
        (Field("f", "Button"), None, None),
        (Field("f", "Json"), [1, {"a": None}], [1, {"a": None}]),
        (Field("f", "Json", checker=len), "abc", 3),
        (Field("f", "Float", nullable=True), None, None),
    ],
)
def test_right_values_are_kept(field: Field, value: object, kept: object) -> None:
    result = field.check(value)
    assert result == kept
    assert type(result) is type(kept)


@pytest.mark.parametrize(
    ("field", "value", "words"),
    [
        (Field("f", "Bool"), 1, "f: must be true or false, not 1"),
        (Field("f", "Bool"), "on", "true or false"),
        (Field("f", "Int"), True, "a whole number"),
        (Field("f", "Int"), 1.5, "a whole number"),
        (Field("f", "Int", minimum=0, maximum=9), 10, "from 0 to 9"),
        (Field("f", "Float", minimum=1, unit="s"), 0.5, "at least 1 s"),
        (Field("f", "Float", maximum=1), 2, "at most 1"),
        (Field("f", "Float"), math.nan, "a number, not NaN"),
        (Field("f", "Float"), math.inf, "a number"),
        (Field("f", "Float"), 10**400, "a number"),
        (Field("f", "Float"), "5", "a number"),
        (Field("f", "String"), "a\nb", "a line of text"),
        (Field("f", "String"), "x" * 257, "a line of text"),
        (Field("f", "String"), "\ud800", "a line of text"),
        (Field("f", "String"), 5, "a line of text"),
        (Field("f", "List", choices=("a", "b")), "c", "one of a, b"),
        (Field("f", "List", choices=("a", "b")), ["a"], "one of a, b"),
        (Field("f", "Color"), "red", "a colour"),
        (Field("f", "Color"), "#12345g", "a colour"),
        (Field("f", "Color"), 0, "a colour"),
        (Field("f", "Button"), 1, "takes no value"),
        (Field("f", "Float"), None, "a number, not null"),
        (Field("f", "Bool"), {"a": object()}, "not dict"),
    ],
)
def test_wrong_values_are_refused_in_a_sentence(field: Field, value: object, words: str) -> None:
    with pytest.raises(ClientError) as caught:
        field.check(value)
    assert words in str(caught.value)
    assert str(caught.value).startswith("f: ")


def test_the_sentence_names_the_place() -> None:
    with pytest.raises(ClientError, match=r"^config\.f: "):
        Field("f", "Int").check("x", "config.f")


@pytest.mark.parametrize(
    ("field", "frame", "value"),
    [
        (Field("f", "Bool"), b"on", True),
        (Field("f", "Bool"), b"OFF", False),
        (Field("f", "Bool"), b"true", True),
        (Field("f", "Bool"), b"closed", False),
        (Field("f", "Int"), b"42", 42),
        (Field("f", "Float"), b" 2.5 ", 2.5),
        (Field("f", "Float", nullable=True), b"null", None),
        (Field("f", "String"), b"42", "42"),
        (Field("f", "String"), b"", ""),
        (Field("f", "List", choices=("85", "crc")), b"85", "85"),
        (Field("f", "Color"), b"#000000", "#000000"),
        (Field("f", "Button"), b"", None),
        (Field("f", "Json"), b'{"a": [1]}', {"a": [1]}),
    ],
)
def test_frames_are_parsed_by_type(field: Field, frame: bytes, value: object) -> None:
    assert field.parse(frame) == value


@pytest.mark.parametrize(
    ("field", "frame"),
    [
        (Field("f", "Bool"), b"maybe"),
        (Field("f", "Float"), b"NaN"),
        (Field("f", "Float"), b"1_0"),
        (Field("f", "Float"), b""),
        (Field("f", "Float"), b"1" * 5000),
        (Field("f", "Int"), b"\xff"),
        (Field("f", "Button"), b"now"),
        (Field("f", "Json"), b"{"),
    ],
)
def test_wrong_frames_are_refused(field: Field, frame: bytes) -> None:
    with pytest.raises(ClientError, match=r"^f: "):
        field.parse(frame)


@given(st.sampled_from(TYPES), ANY_JSON)
def test_what_is_kept_is_json_and_is_kept_again(kind: str, value: object) -> None:
    field = Field("f", kind, choices=("a", "b"))
    try:
        kept = field.check(value)
    except ClientError as error:
        assert str(error).startswith("f: ")
        return
    if kind != "Json":
        assert json.loads(json.dumps(kept, allow_nan=False)) == kept
        assert field.check(kept) == kept


@given(st.sampled_from(TYPES), st.binary(max_size=40))
def test_any_frame_is_survived(kind: str, frame: bytes) -> None:
    field = Field("f", kind, choices=("a", "b"))
    try:
        field.parse(frame)
    except ClientError as error:
        assert str(error).startswith("f: ")


def test_declaring_a_type_that_is_none_fails_at_once() -> None:
    with pytest.raises(TypeError, match="'Number'"):
        Field("f", "Number")


@pytest.mark.parametrize("key", ["colour", "check", "_x"])
def test_declaring_with_an_argument_that_is_none_fails_at_once(key: str) -> None:
    with pytest.raises(TypeError, match=key):
        Field("f", "Int", **{key: 1})


def test_a_form_gets_what_it_needs() -> None:
    field = Field("min_on_s", "Float", 2.0, "how long", unit="s", minimum=0, maximum=9)
    assert field.describe() == {
        "name": "min_on_s", "label": "Min on", "type": "number", "unit": "s", "min": 0, "max": 9,
        "step": "any", "choices": [], "readonly": False, "required": False, "nullable": False, "default": 2.0,
        "help": "how long",
    }  # fmt: skip


@pytest.mark.parametrize("name", ["tank", "Tank 2", "28-0000055f1b2a", "été_3", "水槽", "x" * 64])
def test_names(name: str) -> None:
    assert check_name(name) == name


@pytest.mark.parametrize(
    "name",
    ["", " tank", "tank ", "a/b", "a.b", "a\nb", "a\x00b", "..", "x" * 65, "水" * 40, None, 5, ["a"],
     "a\u200bb", "a\u2028b", "a\ud800", "a:b", "a<b>"],
)  # fmt: skip
def test_names_that_are_refused(name: object) -> None:
    with pytest.raises(ClientError, match=r"^name: "):
        check_name(name)


@given(st.text(max_size=80))
def test_a_name_is_safe_wherever_it_goes(name: str) -> None:
    try:
        check_name(name)
    except ClientError:
        return
    assert not set(name) & set("/\\.\"'<>&\n\r\t\0*?[]:;$`|")
    assert name.isprintable()
    assert len(name.encode()) <= 96


def test_json_is_bounded() -> None:
    with pytest.raises(ClientError, match="at most"):
        load_json(b" " * (JSON_MAX + 1), "it")
    with pytest.raises(ClientError, match="nested too deeply"):
        load_json(b"[" * JSON_MAX, "it")
    with pytest.raises(ClientError, match="NaN"):
        load_json('{"a": NaN}', "it")
    with pytest.raises(ClientError, match="it: not JSON"):
        load_json(b"\xff", "it")


def test_values_are_shown_short() -> None:
    assert show("x" * 100).endswith("...")
    assert len(show("x" * 100)) == 60
