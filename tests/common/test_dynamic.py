# SPDX-License-Identifier: GPL-3.0-or-later
import sys
import traceback

import pytest

from raspy.common.dynamic import importCode


def test_the_code_becomes_a_module():
    module = importCode("answer = 6 * 7\ndef double(x): return 2 * x", "thermostat")
    assert (module.__name__, module.answer, module.double(4)) == ("thermostat", 42, 8)
    assert "thermostat" not in sys.modules


def test_it_can_be_imported_when_asked_for(monkeypatch):
    monkeypatch.setitem(sys.modules, "raspy_dynamic_test", None)
    module = importCode("x = 1", "raspy_dynamic_test", add_to_sys_modules=True)
    import raspy_dynamic_test

    assert raspy_dynamic_test is module


def test_a_syntax_error_says_where():
    with pytest.raises(SyntaxError) as caught:
        importCode("ok = 1\nif x\n", "broken")
    assert (caught.value.filename, caught.value.lineno) == ("<broken>", 2)


def test_an_error_in_the_code_is_raised_and_nothing_is_added():
    with pytest.raises(ZeroDivisionError) as caught:
        importCode("1 / 0", "divides", add_to_sys_modules=True)
    assert "divides" not in sys.modules
    assert traceback.extract_tb(caught.value.__traceback__)[-1].filename == "<divides>"
