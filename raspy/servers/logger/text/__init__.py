# SPDX-License-Identifier: GPL-3.0-or-later
"""Text logs, and the gzip files that they and the spool are kept in."""
