# SPDX-License-Identifier: GPL-3.0-or-later
"""The dashboard: what people see of RasPy, in a browser.

``app`` has the pages, a folder for each family; ``server`` is the daemon around them, ``serving`` its HTTP,
``accounts`` who may do what. ``python3 -m raspyweb.run`` runs it.
"""
