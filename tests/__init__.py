# SPDX-License-Identifier: GPL-3.0-or-later
"""The test suite; it mirrors the package."""
