"""Notebooks as HTML pages: what files say is shown, and nothing of it runs or is fetched."""

import re
from html.parser import HTMLParser

import nbformat
import pytest
from html_pages import without_alternative_text
from nbformat import v4

from cryokit.plot.notebook_html import to_html

INJECTIONS = [
    "<script>alert(1)</script>",
    "<img src=x onerror=alert(1)>",
    "<svg onload=alert(1)>",
    "<details open ontoggle=alert(1)>x</details>",
    "<iframe src=https://example.org></iframe>",
    "</title><script>alert(1)</script>",
    "![a](https://example.org/track.png)",
    '![x" onerror="alert(1)](a.png)',
    "![a](/etc/passwd)",
    "[a](javascript:alert(1))",
    "[a](JaVaScRiPt:alert(1))",
    "[a](data:text/html;base64,PHNjcmlwdD4=)",
    '[a](https://example.org/"onmouseover="alert(1))',
    "<javascript:alert(1)>",
    "```mermaid\n<img src=x onerror=alert(1)>\n```",
    "```html\n<script>alert(1)</script>\n```",
    '```x" onclick="alert(1)\n<b>\n```',
    "`<script>alert(1)</script>`",
    "$</code><script>alert(1)</script>$",
    "| a |\n|---|\n| <script>alert(1)</script> |",
    "<style>@import 'https://example.org/x.css'</style>",
    "<!--><script>alert(1)</script>-->",
    "[a]: javascript:alert(1)\n\n[a]",
]


class Elements(HTMLParser):
    """Collects the elements of the page's body that could run or fetch something."""

    def __init__(self):
        super().__init__()
        self.dangerous = []

    def handle_starttag(self, tag, attributes):
        if tag in ("script", "iframe", "object", "embed", "svg", "link", "base", "details", "form"):
            self.dangerous.append(tag)
        for name, value in attributes:
            fetched = name == "src" and not (value or "").startswith("data:image/")
            odd = name == "href" and not re.match(r"https?://|#", value or "")
            if name.startswith("on") or fetched or odd:
                self.dangerous.append((tag, name, value))


def page(source, name="A title"):
    output = v4.new_output("display_data", {"text/markdown": source, "text/plain": "x"})
    return to_html(v4.new_notebook(cells=[v4.new_code_cell("x", outputs=[output])]), name=name)


@pytest.mark.parametrize("text", INJECTIONS)
@pytest.mark.parametrize("around", ["{}", "# {}", "- *{}*", "Before {} after"])
def test_what_an_output_says_does_not_run(text, around):
    elements = Elements()
    elements.feed(page(around.format(text)).partition("<body")[2])
    assert elements.dangerous == []


@pytest.mark.parametrize("text", INJECTIONS)
def test_a_title_does_not_run(text):
    head = page("x", name=text).partition("<title>")[2].partition("</head>")[0]
    assert "<script>" not in head.partition("<style")[0]


def test_markdown_of_outputs_is_still_shown():
    shown = page("# Heading\n\n*much* `code` [link](https://example.org/a?b=1&c=2)")
    assert "<em>much</em>" in shown
    assert "<code>code</code>" in shown
    assert 'href="https://example.org/a?b=1&amp;c=2"' in shown


def test_html_of_the_notebooks_own_cells_is_kept():
    cell = v4.new_markdown_cell("<details><summary>Answer</summary>42</details>")
    assert "<summary>Answer</summary>" in to_html(nbformat.from_dict(v4.new_notebook(cells=[cell])))


def picture(**metadata):
    data = {"image/png": "iVBORw0KGgo=", "text/plain": "a figure"}
    output = v4.new_output("display_data", data, metadata={"image/png": metadata})
    return to_html(v4.new_notebook(cells=[v4.new_code_cell("x", outputs=[output])])).partition("<body")[2]


def test_pictures_have_the_alternative_text_of_their_output():
    page = picture(alt="Rings, 5 < 7")
    assert 'alt="Rings, 5 &lt; 7"' in page
    assert without_alternative_text(page) == []


def test_pictures_without_one_are_found():
    assert len(without_alternative_text(picture())) == 1


def test_an_alternative_text_does_not_run():
    elements = Elements()
    elements.feed(picture(alt='x" onerror="alert(1)"><script>alert(1)</script>'))
    assert elements.dangerous == []


def test_widgets_show_their_words_and_records_nothing():
    widget = v4.new_output(
        "display_data", {"application/vnd.jupyter.widget-view+json": {"model_id": "a"}, "text/plain": "Explorer of two"}
    )
    record = v4.new_output("display_data", {"application/vnd.cryokit.record+json": {"f1": 0.123}})
    notebook = v4.new_notebook(cells=[v4.new_code_cell("x", outputs=[widget, record])])
    shown = to_html(notebook)
    assert "Explorer of two" in shown
    assert "0.123" not in shown
    assert len(notebook.cells[0].outputs) == 2, "the notebook itself has to stay as it is"
