# SPDX-License-Identifier: GPL-3.0-or-later
"""The scenario's own side: the process that runs its code, and what the code sees.

Nothing here imports the bus: a scenario's process starts fast, and has only its connection to core.
"""
