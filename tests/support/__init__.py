# SPDX-License-Identifier: GPL-3.0-or-later
"""What the tests share; conftest.py makes fixtures of it."""
