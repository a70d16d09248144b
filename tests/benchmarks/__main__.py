# SPDX-License-Identifier: GPL-3.0-or-later
"""``python3 -m tests.benchmarks [NAME ...] [--runs N] [--seconds S] [--json FILE]``: the benchmarks."""

from __future__ import annotations

import argparse
import importlib
import json
import pkgutil
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType

import tests.benchmarks

from .harness import Options, Table, say


def benches() -> dict[str, ModuleType]:
    """The modules here that measure, by name."""
    names = [module.name for module in pkgutil.iter_modules(tests.benchmarks.__path__)]
    modules = {name: importlib.import_module(f"tests.benchmarks.{name}") for name in names
               if not name.startswith(("test_", "__"))}
    return {name: module for name, module in modules.items() if hasattr(module, "measure")}


def parse(arguments: list[str] | None, names: dict[str, ModuleType]) -> argparse.Namespace:
    """Read the command line."""
    infos = {name: (module.__doc__ or "").splitlines()[0] for name, module in names.items()}
    lines = [f"  {name:10} {info.partition(': ')[2]}" for name, info in infos.items()]
    parser = argparse.ArgumentParser(
        prog="python3 -m tests.benchmarks", formatter_class=argparse.RawDescriptionHelpFormatter,
        description="Measure RasPy beside what Debian packages.", epilog="benches:\n" + "\n".join(lines))
    parser.add_argument("names", nargs="*", metavar="NAME", help="which (default: all)")
    parser.add_argument("--runs", type=int, default=Options().runs,
                        help="of each variant (default: %(default)s)")
    parser.add_argument("--seconds", type=float, default=Options().seconds,
                        help="that one run measures (default: %(default)s)")
    parser.add_argument("--transport", choices=("ipc", "tcp"), default="ipc", help="(default: %(default)s)")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the tables there too")
    args = parser.parse_args(arguments)
    unknown = set(args.names) - set(names)
    if unknown:
        parser.error(f"no bench is called {', '.join(sorted(unknown))}; there are: {', '.join(names)}")
    return args


def main(arguments: list[str] | None = None) -> int:
    """Measure, print, and return the exit status: 0 if everything could be measured, however slow."""
    modules = benches()
    args = parse(arguments, modules)
    options = Options(max(args.runs, 1), args.seconds, args.transport)
    done: dict[str, list[dict[str, object]]] = {}
    failed = []
    for name in args.names or modules:
        say(f"{name}: {options.runs} runs of {options.seconds:g} s each")
        measure: Callable[[Options], Iterator[Table]] = modules[name].measure
        done[name] = []
        try:
            for table in measure(options):
                print(table.text(), end="\n\n", flush=True)
                done[name].append(table.plain())
        except (RuntimeError, OSError) as error:
            failed.append(name)
            say(f"{name}: not measured: {error}")
    if args.json:
        args.json.write_text(json.dumps({"options": options._asdict(), "benches": done}, indent=1) + "\n")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
