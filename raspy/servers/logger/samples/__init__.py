# SPDX-License-Identifier: GPL-3.0-or-later
"""From values on the bus to samples on the disk."""
