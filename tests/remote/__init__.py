# SPDX-License-Identifier: GPL-3.0-or-later
"""Two machines: RasPy on one, its user on the other, each in a network namespace of its own."""
