# SPDX-License-Identifier: GPL-3.0-or-later
"""MESSAGE_IDs of what the dashboard logs; the journal catalog explains each (``journalctl -x``)."""

FIRST_VISIT = "7f2359524a5841e8a86a210f78ae59a2"
"""Nobody has used the dashboard yet; the line has the one-time token."""
