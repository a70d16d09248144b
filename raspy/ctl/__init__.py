# SPDX-License-Identifier: GPL-3.0-or-later
"""raspyctl, the command line.

One file a verb: ``raspyctl NAME`` is ``command`` in ``verbs/NAME.py``, and is there as soon as the file is.

Rooms: ``frame`` finds the verbs and gives each the options they all have; ``session`` is what a verb is
handed; ``connection`` is the way to the bus; ``names`` finds what a short name means; ``output`` and
``terminal`` show it; ``words`` puts times, sizes and values in words; ``errors`` has the exit statuses.

A verb imports at its top only click and what is light in here, for ``raspyctl --help`` imports them all.
ZeroMQ comes with the first use of ``session.bus``, rich with the first table on a terminal.
"""
