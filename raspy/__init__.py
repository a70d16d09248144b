# SPDX-License-Identifier: GPL-3.0-or-later
"""RasPy: the automation of an aquarium, a terrarium, a greenhouse or a house.

A set of small daemons on one message bus; ``python3 -m raspy`` runs them all in the foreground.
"""

__version__ = "0.1.0"
