# SPDX-License-Identifier: GPL-3.0-or-later
"""What is checked, one module a part; each has ``check(raspy, report)`` and leaves everything running."""
