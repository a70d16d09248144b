# SPDX-License-Identifier: GPL-3.0-or-later
"""``raspyctl completion SHELL``: the script that teaches a shell to complete raspyctl's command lines."""

from __future__ import annotations

import click

from raspy.ctl import complete
from raspy.ctl.frame import verb
from raspy.ctl.session import Session


@verb("completion")
@click.argument("shell", type=click.Choice(complete.SHELLS))
@click.pass_context
def command(ctx: click.Context, shell: str) -> None:
    """Print the completion script of a SHELL. The Debian package has it installed already.

    \b
      bash:  eval "$(raspyctl completion bash)"                in ~/.bashrc
      zsh:   eval "$(raspyctl completion zsh)"                 in ~/.zshrc, after compinit
      fish:  raspyctl completion fish | source                 in ~/.config/fish/config.fish
    """
    session: Session = ctx.obj
    session.write(complete.script(ctx.find_root().command, "raspyctl", shell))
