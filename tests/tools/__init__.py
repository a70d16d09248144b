# SPDX-License-Identifier: GPL-3.0-or-later
"""Tests of what stands around the package: tools/, the Makefile, setup.py, the fixtures."""
