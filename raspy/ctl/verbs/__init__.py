# SPDX-License-Identifier: GPL-3.0-or-later
"""The verbs of raspyctl, one file each, with ``command`` in it; see the package above."""
