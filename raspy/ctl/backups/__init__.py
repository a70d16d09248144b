# SPDX-License-Identifier: GPL-3.0-or-later
"""All that RasPy keeps in one file.

``archive`` is its format, ``make`` writes one, ``replace`` brings back what is in it.
"""
