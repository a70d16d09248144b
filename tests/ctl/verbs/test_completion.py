# SPDX-License-Identifier: GPL-3.0-or-later
"""raspyctl completion; what the scripts do is tested in tests/ctl/test_complete.py."""

from __future__ import annotations

import pytest

from tests.support.ctl import Ctl


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_a_script_for_each_shell(ctl: Ctl, shell: str) -> None:
    result = ctl("completion", shell)
    assert result.status == 0 and f"_RASPYCTL_COMPLETE={shell}_complete" in result.out


def test_no_such_shell(ctl: Ctl) -> None:
    result = ctl("completion", "tcsh")
    assert result.status == 2 and "'bash', 'zsh', 'fish'" in result.err
