# SPDX-License-Identifier: GPL-3.0-or-later
"""The whole of RasPy in the foreground: what ``python3 -m raspy`` runs.

It does for a terminal what systemd does for a machine: start the servers in order, hear from them
when they are ready, restart the ones that die, stop them together. Rooms: ``child`` is one server's
process, ``notifications`` hears what the servers report, ``run`` is the whole.
"""
