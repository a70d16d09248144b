# SPDX-License-Identifier: GPL-3.0-or-later
"""The clock that cron goes by: whether it is right, when it jumps, and setting it through systemd."""
