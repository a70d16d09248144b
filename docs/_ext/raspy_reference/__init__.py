# SPDX-License-Identifier: GPL-3.0-or-later
"""Directives that write the reference from the code itself, so that the manual can't say something else.

``{raspy-service} core.cron``    the actions of a service, from the table it is served with
``{raspy-options} core``         the keys of a section of raspy.conf, from the ``Option`` declarations
``{raspy-arguments} core``       the command line of a daemon
``{raspyctl} verbs``             the verbs of raspyctl, from what they are declared with
``{raspyctl} options``           the options that all verbs take
``{raspy-catalog} all``          what the journal explains, from the message catalog

Each makes Markdown, which the page's own parser reads.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

from docutils import nodes
from docutils.statemachine import StringList
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective

from raspy_reference import catalog, commands, options, services


class Generated(SphinxDirective):
    """A directive that stands for Markdown."""

    required_arguments = 1
    markdown: Callable[[str], Iterable[str]]

    def run(self) -> list[nodes.Node]:
        text = "\n".join(type(self).markdown(self.arguments[0])).splitlines()
        container = nodes.Element()
        source, line = self.get_source_info()
        lines = StringList(text, items=[(source, line)] * len(text))
        self.state.nested_parse(lines, self.content_offset, container, match_titles=True)
        return container.children


def directive(function: Callable[[str], Iterable[str]]) -> type[Generated]:
    """The directive of a function that makes Markdown of its argument."""
    return type(function.__name__, (Generated,), {"markdown": staticmethod(function)})


def setup(app: Sphinx) -> dict[str, bool]:
    """Called by Sphinx."""
    app.add_directive("raspy-service", directive(services.markdown))
    app.add_directive("raspy-options", directive(options.section))
    app.add_directive("raspy-arguments", directive(options.arguments))
    app.add_directive("raspy-catalog", directive(catalog.markdown))
    app.add_directive("raspyctl", directive(commands.markdown))
    return {"parallel_read_safe": True, "parallel_write_safe": True}
