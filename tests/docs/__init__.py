# SPDX-License-Identifier: GPL-3.0-or-later
"""The manual: its examples are run, its links followed, what it lists compared with the code."""
