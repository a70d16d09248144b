# SPDX-License-Identifier: GPL-3.0-or-later
"""What the daemons share: the bus, the base classes of a server, the device model."""
