"""Notebooks as HTML pages: what files say is shown, and nothing of it runs or is fetched."""

import re
from html.parser import HTMLParser

import nbformat
import pandas as pd
import pytest
from html_pages import without_alternative_text
from nbformat import v4

from cryokit.plot.html_report import Report
from cryokit.plot.notebook_html import to_html
from cryokit.plot.triage_sheet import sheet

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
    "<math><mi//xlink:href='data:text/html,<script>alert(1)</script>'>",
    "<object data='data:text/html,<script>alert(1)</script>'></object>",
    "<a href='java&#09;script:alert(1)'>a</a>",
    "<form action='https://example.org'><button formaction='javascript:alert(1)'>a</button></form>",
    "<base href='https://example.org/'>",
    "<meta http-equiv='refresh' content='0; url=https://example.org/'>",
    "<table background='https://example.org/x.png'><tr><td style='background: url(https://example.org/y.png)'>a</td></tr>",
    "<noscript><p title='</noscript><img src=x onerror=alert(1)>'>",
    "<svg><style><img src=x onerror=alert(1)></style></svg>",
    "<input autofocus onfocus=alert(1)>",
    "<p style='position: fixed; inset: 0'>a</p>",
]


class Elements(HTMLParser):
    """Collects the elements of the page's body that could run or fetch something."""

    def __init__(self):
        super().__init__()
        self.dangerous = []

    def handle_starttag(self, tag, attributes):
        if tag in ("script", "iframe", "object", "embed", "svg", "link", "base", "form", "style"):
            self.dangerous.append(tag)
        for name, value in attributes:
            fetched = name == "src" and not (value or "").startswith("data:image/")
            odd = name == "href" and not re.match(r"https?://|#", value or "")
            if name.startswith("on") or fetched or odd:
                self.dangerous.append((tag, name, value))


def page(*sources, name="A title", kind="text/markdown"):
    outputs = [v4.new_output("display_data", {kind: source, "text/plain": source}) for source in sources]
    return to_html(v4.new_notebook(cells=[v4.new_code_cell("x", outputs=[output]) for output in outputs]), name=name)


@pytest.mark.parametrize("kind", ["text/markdown", "text/html", "text/plain"])
def test_what_an_output_says_does_not_run(kind):
    places = ["{}", "# {}", "- *{}*", "Before {} after"]
    elements = Elements()
    elements.feed(
        page(*(place.format(text) for place in places for text in INJECTIONS), kind=kind).partition("<body")[2]
    )
    assert elements.dangerous == []


def test_a_title_does_not_run():
    head = page("x", name="".join(INJECTIONS)).partition("<title>")[2].partition("</head>")[0]
    assert "<script>" not in head.partition("<style")[0]


def test_markdown_of_outputs_is_still_shown():
    shown = page("# Heading\n\n*much* `code` [link](https://example.org/a?b=1&c=2)")
    assert "<em>much</em>" in shown
    assert "<code>code</code>" in shown
    assert 'href="https://example.org/a?b=1&amp;c=2"' in shown


def test_html_of_the_notebooks_own_cells_is_kept():
    cell = v4.new_markdown_cell("<details><summary>Answer</summary>42</details>")
    assert "<summary>Answer</summary>" in to_html(nbformat.from_dict(v4.new_notebook(cells=[cell])))


def test_tables_of_outputs_are_still_tables():
    table = pd.DataFrame({"F1": [0.5]}, index=["<b>"])
    shown = page(table.style.format("{:.2f}").to_html(), kind="text/html")
    assert ">0.50</td>" in shown
    assert "<table" in page(table.to_html(), kind="text/html")


def _report(text):
    report = Report(text)
    report.heading(text)
    report.text(text)
    report.commands(text)
    report.table(pd.DataFrame({text: [text]}))
    report.gallery([(b"", text, text)])
    return report.to_html()


def _triage(text):
    numbers = dict.fromkeys(["evidence", "diameter", "masked", "resolution", "rings", "level"], 0.5)
    table = pd.DataFrame([{"micrograph": text, "verdict": "poor", "picks": 1, "reason": text} | numbers])
    return sheet(table, [b""], {text: text}).to_html()


def _notebook(text):
    outputs = [v4.new_output("display_data", {kind: text}) for kind in ("text/markdown", "text/html", "text/plain")]
    return to_html(v4.new_notebook(cells=[v4.new_code_cell(text, outputs=outputs)]), name=text)


@pytest.mark.slow
@pytest.mark.parametrize("written", [_report, _triage, _notebook])
def test_nothing_of_it_runs_in_a_browser(browser, tmp_path, written):
    """Whatever files may say, in every kind of report, in Chromium."""
    shown = browser("about:blank")
    shown.on("dialog", lambda dialog: (shown.faults.append(dialog.message), dialog.dismiss()))
    for number, text in enumerate(INJECTIONS):
        path = tmp_path / f"{number}.html"
        path.write_text(written(text))
        shown.requests.clear()
        shown.goto(path.as_uri())
        assert [address for address in shown.requests if not address.startswith("data:")] == [path.as_uri()], text
        covering = "() => [...document.body.querySelectorAll('*')].some(e => getComputedStyle(e).position === 'fixed')"
        assert not shown.evaluate(covering), text
    assert shown.faults == []


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
