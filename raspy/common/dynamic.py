# SPDX-License-Identifier: GPL-3.0-or-later
"""Make a module from source text."""

from __future__ import annotations

import sys
from types import ModuleType


def importCode(code: str, name: str, add_to_sys_modules: bool = False) -> ModuleType:
    """Run *code* as the body of a new module.

    This executes the code: call it only where the code may do what it likes, such as in a
    scenario's sandbox.

    Args:
        code: Python source.
        name: the module's name; tracebacks show ``<name>`` as its file.
        add_to_sys_modules: whether ``import name`` finds it afterwards. Off by default.

    Returns:
        The module.

    Raises:
        SyntaxError: the code does not compile; ``lineno`` and ``offset`` say where.
        Exception: whatever the code raises; the module is not added then.
    """
    module = ModuleType(name)
    exec(compile(code, f"<{name}>", "exec"), module.__dict__)  # noqa: S102 - what it is for
    if add_to_sys_modules:
        sys.modules[name] = module
    return module
