# SPDX-License-Identifier: GPL-3.0-or-later
"""Graphs: which there are, and what they show, as numbers and as pictures."""
