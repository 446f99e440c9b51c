"""The first screen of a report: one table, methods by datasets, and one line on what data it is and how sure."""

import html

from cryokit._util.wording import plural
from cryokit.benchmark import summary, tables, verdict
from cryokit.benchmark.summary import Result

_STYLE = """
<style>
table.overview { border-collapse: collapse; font: 13px/1.25 system-ui, sans-serif; margin: .3rem 0; width: 100%; }
table.overview th, table.overview td, .jp-RenderedHTMLCommon table.overview :is(th, td) {
  padding: 1.5px 8px; text-align: left; border: 0; color: #222; }
table.overview thead th { border-bottom: 1.5px solid #222; vertical-align: bottom; font-weight: 600; }
table.overview tr.kind td { border-top: 1px solid #999; font-weight: 600; padding-top: 4px; }
table.overview td.best, .jp-RenderedHTMLCommon table.overview td.best { background: #d9efe6; font-weight: 600; }
table.overview small { color: #555; font-weight: 400; font-size: 11px; }
table.overview sup { color: #006b4f; font-size: 10px; margin-left: 2px; }
p.sure { font: 13px/1.4 system-ui, sans-serif; margin: .2rem 0; color: #333; }
</style>
"""


def overview(result: Result) -> str:
    """Return the first screen as HTML, with everything that comes from the file escaped.

    Parameters
    ----------
    result : mapping
        Result as loaded.
    """
    parts, width = [], 1
    for labels, kind in tables.RANKINGS.items():
        shown, best = tables.overview(result, labels=labels)
        if not len(shown):
            continue
        width = len(shown.columns)
        if not parts:
            parts.append(
                "<thead><tr>" + "".join(f"<th>{_escaped(name)}</th>" for name in shown) + "</tr></thead><tbody>"
            )
        parts.append(f'<tr class="kind"><td colspan="{width}">{kind.capitalize()}</td></tr>')
        for row, marked in zip(shown.to_numpy().tolist(), best.to_numpy().tolist(), strict=True):
            cells = [f"<td>{_escaped(row[0])}</td>"]
            cells += [_cell(text, mark) for text, mark in zip(row[1:], marked[1:], strict=True)]
            parts.append(f"<tr>{''.join(cells)}</tr>")
    if not parts:
        return "<p>No method has scores.</p>"
    return (
        f'{_STYLE}<table class="overview">{"".join(parts)}</tbody></table>'
        f'<p class="sure">{_escaped(tables.marks(result))}</p><p class="sure">{_escaped(how_sure(result))}</p>'
    )


def how_sure(result: Result) -> str:
    """Return one line on what data the numbers are of, and what their intervals cover."""
    sets = [result["datasets"][name] for name in summary.dataset_names(result)]
    kinds = sorted({dataset["kind"] for dataset in sets})
    micrographs = sum(len(dataset["micrographs"]["test"]) for dataset in sets)
    particles = sum(dataset["particles"]["test"] for dataset in sets)
    data = (
        f"F1 within 0.25 diameters (95 % interval) on {plural(micrographs, 'test micrograph')} ({' and '.join(kinds)}) "
        f"with {plural(particles, 'particle')}."
    )
    return f"{data} {verdict.seeds(result)}"


def _cell(text: str, marked: bool) -> str:
    """Return a cell: F1, its interval smaller, its letters above the line."""
    number, _, rest = text.partition(" ")
    interval, letters = "", ""
    for word in rest.split():
        if word.startswith("(") and "-" in word:
            interval = f" <small>{_escaped(word.strip('()'))}</small>"
        else:
            letters = f"<sup>{_escaped(word)}</sup>"
    mark = ' class="best"' if marked else ""
    return f"<td{mark}>{_escaped(number)}{letters}{interval}</td>"


def _escaped(text: object) -> str:
    return html.escape(str(text))
