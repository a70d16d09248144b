# SPDX-License-Identifier: GPL-3.0-or-later
"""How fast RasPy is, beside what Debian packages: `make bench`, or ``python3 -m tests.benchmarks mdp kv``.

A bench is a module here with a function ``measure(options: Options) -> Iterator[Table]``; its first
docstring line is what ``--help`` lists. `harness` has the tables and medians, `processes` the daemons
and their CPU time and memory, `loadgen` the load generator in C (`load/`), `anchors` mosquitto and the relay.

Nothing here passes or fails by the clock: a table shows the median of interleaved runs, its ratio to an
anchor measured in the same minutes on the same machine, and the ratio to reach.

``python3 -m pytest tests/benchmarks`` tests the benchmarks themselves.
"""
