"""Notebooks as standalone HTML files: no script, style, font, picture or formula comes from the network.

nbconvert's own pages load RequireJS and MathJax from a content delivery network. These pages have no script, and
formulas are drawn by matplotlib's mathtext, which knows the usual subset of LaTeX (fractions, roots, sums, Greek, sub-
and superscripts), and embedded as SVG. Tables and other HTML that code has written may repeat what a file says: nh3
keeps the text and the structure, and drops what would run, fetch something, or cover the page.
"""

from __future__ import annotations

import base64
import copy
import html
import io
import logging
import re
from typing import TYPE_CHECKING

import nh3
from jinja2 import pass_context
from nbconvert.exporters import HTMLExporter
from nbconvert.filters.markdown_mistune import IPythonRenderer, MarkdownWithMath

if TYPE_CHECKING:
    from nbformat import NotebookNode

logger = logging.getLogger(__name__)
WIDGET_TYPE = "application/vnd.jupyter.widget-view+json"
RECORD_TYPE = "application/vnd.cryokit.record+json"  # of outputs that keep a result for tests and reports
# nbconvert would count pictures without an alternative text: `cryokit.plot.show` gives those of the lessons one.
_CONVERTER = logging.getLogger(f"{__name__}.nbconvert")
_CONVERTER.setLevel(logging.ERROR)

# The page with JupyterLab's look, without everything that it fetches
_TEMPLATE = """
{%- extends 'index.html.j2' -%}
{%- block html_head_js -%}{%- endblock -%}
{%- block jupyter_widgets -%}{%- endblock -%}
{%- block html_head_js_mathjax -%}{%- endblock -%}
{%- block html_head_js_mermaidjs -%}{%- endblock -%}
{%- block html_head_css -%}
<style type="text/css">body.jp-Notebook main { max-width: 66rem; margin: 0 auto; }</style>
{%- endblock -%}
{%- block data_png scoped -%}
{%- set alternative = output | get_metadata('alt', 'image/png') -%}
<div class="jp-RenderedImage jp-OutputArea-output {{ extra_class }}">
<img src="data:image/png;base64,{{ output.data['image/png'] | escape_html }}"
{%- if alternative %} alt="{{ alternative | escape_html }}"{% endif %}>
</div>
{%- endblock -%}
{%- block data_html scoped -%}
<div class="jp-RenderedHTMLCommon jp-RenderedHTML jp-OutputArea-output {{ extra_class }}" data-mime-type="text/html">
{{ output.data['text/html'] | sanitized }}
</div>
{%- endblock -%}
"""


def to_html(notebook: NotebookNode, name: str = "Notebook") -> str:
    """Return a notebook as one HTML page that needs no network.

    Parameters
    ----------
    notebook : nbformat.NotebookNode
        Notebook with its outputs.
    name : str
        Title of the page.

    Returns
    -------
    str
    """
    exporter = _Exporter(raw_template=_TEMPLATE, embed_images=True, log=_CONVERTER)
    exporter.register_filter("sanitized", sanitized)
    page, _ = exporter.from_notebook_node(_shown(notebook), resources={"metadata": {"name": name}})
    return page


def _shown(notebook: NotebookNode) -> NotebookNode:
    """Return a copy without the results that lessons record and do not show, and with the words of widgets."""
    notebook = copy.deepcopy(notebook)
    for cell in notebook.cells:
        if "outputs" in cell:
            cell.outputs = [output for output in cell.outputs if set(output.get("data", {})) != {RECORD_TYPE}]
            for output in cell.outputs:
                if "text/plain" in output.get("data", {}):  # a widget needs scripts, which the page does not have
                    output.data.pop(WIDGET_TYPE, None)
    return notebook


def sanitized(text: str) -> str:
    """Return HTML without whatever could run, fetch something, or cover the page.

    Parameters
    ----------
    text : str
        Part of a page, such as a table by pandas. Pictures stay where their data are in it.

    Returns
    -------
    str
    """
    return nh3.clean(text, attributes=_ATTRIBUTES, url_schemes={"https", "http", "data"}, attribute_filter=_kept)


_ATTRIBUTES = {tag: set(names) - {"style"} for tag, names in nh3.ALLOWED_ATTRIBUTES.items()} | {
    "*": {"class", "title", "lang"},
    "img": {"src", "alt", "width", "height"},
}


def _kept(tag: str, attribute: str, value: str) -> str | None:
    """Return the value of an attribute, or None to leave it out: data are for pictures, and addresses for links."""
    if attribute == "src":
        return value if value.startswith("data:image/") else None
    if attribute == "href":
        beside = re.fullmatch(r"[\w.-]+\.html", value) is not None  # a page written together with this one
        return value if beside or value.startswith(("https://", "http://", "#")) else None
    return value


class _Renderer(IPythonRenderer):
    def inline_math(self, body: str) -> str:
        return self._formula(body, 11.0, "display:inline")

    def block_math(self, body: str) -> str:
        return self._formula(body, 13.0, "display:block;margin:0.8em auto")

    def _formula(self, latex: str, size: float, style: str) -> str:
        """Draw a formula, whose font size is in points, with its baseline on that of the text."""
        from matplotlib.font_manager import FontProperties
        from matplotlib.mathtext import math_to_image

        svg, font = io.BytesIO(), FontProperties(size=size)
        text = html.escape(latex.strip())
        try:
            depth = math_to_image(f"${' '.join(latex.split())}$", svg, prop=font, format="svg")
        except ValueError:  # a command that mathtext does not know
            logger.warning("matplotlib cannot draw the formula %s; the page shows its source", latex.strip())
            return f"<code>{text}</code>"
        data = base64.b64encode(svg.getvalue()).decode("ascii")
        return (
            f'<img src="data:image/svg+xml;base64,{data}" alt="{text}" style="{style};vertical-align:-{depth:.2f}pt"/>'
        )


class _OutputRenderer(_Renderer):
    """Renders Markdown that code has written, with texts of files in it: without HTML of theirs, nor pictures."""

    def escape_html(self, text: str) -> str:
        return html.escape(text)  # with quotation marks, which would end an attribute

    def block_html(self, html: str) -> str:
        return f"<p>{self.escape_html(html)}</p>\n"

    def inline_html(self, html: str) -> str:
        return self.escape_html(html)

    def image(self, text: str, url: str, title: str | None = None) -> str:
        return self.escape_html(text)

    def link(self, text: str, url: str, title: str | None = None) -> str:
        web = url.lower().startswith(("https://", "http://"))
        return f'<a href="{self.escape_html(url)}" rel="noreferrer">{text}</a>' if web else text

    def block_code(self, code: str, info: str | None = None) -> str:
        return f"<pre><code>{self.escape_html(code)}</code></pre>\n"


class _Exporter(HTMLExporter):
    @pass_context
    def markdown2html(self, context, source):
        """Convert Markdown to HTML as nbconvert does, except for formulas and for HTML in what code has written."""
        output = context.get("cell", {}).get("cell_type") == "code"
        renderer = (_OutputRenderer if output else _Renderer)(
            escape=output,
            attachments=context.get("cell", {}).get("attachments", {}),
            embed_images=self.embed_images,
            path=context.get("resources", {}).get("metadata", {}).get("path", ""),
            exclude_anchor_links=True,
        )
        return MarkdownWithMath(renderer=renderer).render(source)
