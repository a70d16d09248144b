# SPDX-License-Identifier: GPL-3.0-or-later
"""The daemons, one module each; ``python3 -m raspy.servers.NAME`` runs one."""
