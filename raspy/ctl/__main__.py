# SPDX-License-Identifier: GPL-3.0-or-later
"""The program raspyctl: run a verb, and turn whatever goes wrong into a sentence and an exit status."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence

import click

from raspy.ctl import complete, errors
from raspy.ctl.frame import Verbs
from raspy.ctl.output import clean
from raspy.ctl.session import Session

NAME = "raspyctl"


def main(argv: Sequence[str] | None = None) -> int:
    """Run raspyctl.

    Args:
        argv: the command line without the program's name; the process's if left out.

    Returns:
        The exit status, see `raspy.ctl.errors`.
    """
    session = Session()
    try:
        status = _run(list(sys.argv[1:] if argv is None else argv), session)
        sys.stdout.flush()
    except BrokenPipeError:
        status = errors.NO_READER
    except OSError as error:
        status = _say(str(error), errors.ERROR)
    else:
        return status
    finally:
        session.close()
    # What could not be written is not tried again when the interpreter ends, which would say so.
    sys.stdout = open(os.devnull, "w")  # noqa: SIM115 - until the process ends
    return status


def _run(argv: list[str], session: Session) -> int:
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            # A terminal that can't show a letter gets its number, and not a traceback.
            stream.reconfigure(errors="backslashreplace")
    verbs = Verbs()
    if instruction := os.environ.get(complete.VARIABLE):
        return complete.answer(verbs, NAME, instruction)
    try:
        with verbs.make_context(NAME, argv or ["--help"], obj=session) as context:
            result = verbs.invoke(context)
        return result if isinstance(result, int) else 0
    except click.exceptions.Exit as end:
        return end.exit_code
    except click.UsageError as error:
        return _say(_usage(error), errors.USAGE)
    except click.ClickException as error:
        return _say(error.format_message(), errors.ERROR)
    except errors.CtlError as error:
        return _say(str(error), error.status)
    except KeyboardInterrupt:
        # The shell's prompt does not begin in the line of ^C.
        sys.stderr.write("\n" if sys.stderr.isatty() else "")
        return errors.INTERRUPTED
    except click.Abort:
        return errors.INTERRUPTED


def _usage(error: click.UsageError) -> str:
    text = error.format_message().rstrip(".")
    return f"{text[:1].lower()}{text[1:]}" + (
        f" ({error.ctx.command_path} --help)" if error.ctx is not None else ""
    )


def _say(reason: str, status: int) -> int:
    name = click.style(f"{NAME}:", fg="red", bold=True) if sys.stderr.isatty() else f"{NAME}:"
    sys.stderr.write(f"{name} {clean(reason)}\n")
    return status


if __name__ == "__main__":
    sys.exit(main())
