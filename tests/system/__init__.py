# SPDX-License-Identifier: GPL-3.0-or-later
"""The packages as a user has them: a Debian booted with systemd, and what `apt install raspy` does to it.

``make systemtest`` runs it as root and prints one table of what was checked; see ``__main__``.
"""
