# SPDX-License-Identifier: GPL-3.0-or-later
"""Tests of the verbs, each against the servers that it asks."""
