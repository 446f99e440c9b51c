# %% tags=["parameters"]
profile = "quick"  # quick: one micrograph of each dataset is drawn; full: three
result_file = "out/benchmark/result.json"  # result of a run
data = []  # folders of the real micrographs, as for --data; simulated ones lie beside the result
links = {}  # page of the explorer by dataset, relative to the report

# %%
import html
import io
from pathlib import Path

import pandas as pd
from IPython.display import HTML, Image, Markdown, display
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from cryokit.benchmark import reported, run_files, summary, tables, verdict
from cryokit.benchmark.result_file import load
from cryokit.cli.notebook_runner import record
from cryokit.micrograph import read
from cryokit.plot import agreement, comparison_figures, overview_page
from cryokit.plot import comparison as plot_benchmark

result = load(result_file)
run = Path(result_file) if Path(result_file).is_dir() else Path(result_file).parent
names = summary.dataset_names(result)
titles = {name: dataset["title"] for name, dataset in result["datasets"].items()}

SCORES = ("method", "labels", "F1", "95 % interval", "SD", "F1 at 0.5", "precision", "recall", "AP", "own F1")
SCORES += ("threshold by",)


def say(text):
    display(Markdown(text))


def show(table):
    """Show a table, with text to the left and numbers to the right."""
    text = [index for index, name in enumerate(table) if not pd.api.types.is_numeric_dtype(table[name])]
    styles = [{"selector": f".col{index}", "props": "text-align: left"} for index in text]
    short = [index for index in text if table.iloc[:, index].astype(str).str.len().max() < 45]
    styles += [{"selector": f"td.col{index}", "props": "white-space: nowrap"} for index in short]
    styled = tables.formatted(table).style.hide(axis="index").format(escape="html").format_index(escape="html", axis=1)
    display(styled.set_table_styles(styles))


def show_figure(figure, photograph=False):
    """Show a figure: as JPEG if it has a photograph in it, because noise hardly compresses otherwise."""
    buffer = io.BytesIO()
    if photograph:
        figure.savefig(buffer, format="jpeg", dpi=120, bbox_inches="tight", pil_kwargs={"quality": 80})
        display(Image(buffer.getvalue(), format="jpeg"))
    else:
        figure.savefig(buffer, format="png", dpi=110, bbox_inches="tight")
        display(Image(buffer.getvalue(), format="png"))


def show_all(draw):
    """Show a figure of each dataset that has one; return their number."""
    drawn = [figure for figure in (draw(result, name) for name in names) if figure is not None]
    for figure in drawn:
        show_figure(figure)
    return len(drawn)


def section(heading, words, things):
    """Write a heading with its words, but only if there is anything to show below it."""
    if things:
        say(f"## {heading}\n\n{words}")
    return bool(things)


# %%
display(HTML(f"<h1>{html.escape(summary.heading(result))}</h1>"))
display(HTML(overview_page.overview(result) if names else ""))

# %%
lines = []
for title, sentences in tables.in_short(result).items():
    lines += [f"- **{title}**", *(f"  - {sentence}" for sentence in sentences)]
if section("What the numbers say", " ".join([result["note"], *verdict.run(result)[:-1]]), lines):
    say("\n".join(lines))

# %%
scored = {name: summary.scored(result, name) for name in names}
if section(
    "Scores",
    "*F1 at 0.5* allows half a diameter between pick and particle, all other numbers a quarter. *Own F1* is at the "
    "threshold that the method chose without labels of the validation micrographs. *AP*, the average precision, uses "
    "candidates below the threshold, which no ranking does. *SD* is over seeds. `--export` has every other number.",
    [name for name in names if len(scored[name])],
):
    for name in names:
        if len(scored[name]):
            say(f"### {titles[name]}")
            table = tables.scores(result, name)
            table["threshold by"] = table["threshold by"].str.removesuffix(" micrographs")
            show(table[[column for column in SCORES if column in table]])
            record(f"best F1 on {name}", float(scored[name]["f1"].iloc[0]))

# %%
if section(
    "F1 with intervals",
    "The bar is the 95 % interval, small dots are seeds, a vertical stroke is F1 at the method's own threshold.",
    names,
):
    show_all(comparison_figures.f1)

# %%
figures = [figure for figure in (comparison_figures.curves(result, name) for name in names) if figure is not None]
if section(
    "Precision and recall",
    "Each curve goes through every candidate; the mark is the threshold that counts. Grey lines join points of equal "
    "F1. Of several seeds, the curve is that of the one with the median F1.",
    figures,
):
    for figure in figures:
        show_figure(figure)

# %%
drawn, pages = 0, []
for name in names:
    labels, files = run_files.labels(run, name), run_files.micrographs(run, name, data)
    if labels is None or not files:
        continue
    tested = [micrograph for micrograph in result["datasets"][name]["micrographs"]["test"] if micrograph in files]
    for micrograph in tested[: 1 if profile == "quick" else 3]:
        picks = run_files.picks(run, result, name, micrograph)
        if not picks:
            continue
        if not drawn:
            say(
                "## Where methods agree\n\nFirst all methods with at least half of the best F1 together: how many "
                "found each particle, and where several have the same false pick. Then the best of each ranking, and "
                "the default: blue are true picks, orange-red false ones, dashed yellow circles missed particles."
            )
        page = f' <a href="{html.escape(links[name], quote=True)}">Explore these picks</a>' if name in links else ""
        display(HTML(f"<h3>{html.escape(titles[name])}: {html.escape(micrograph)}</h3>{page}"))
        picture = read(files[micrograph])
        figure = Figure(figsize=(9, 6.4), layout="constrained")
        FigureCanvasAgg(figure)
        f1 = scored[name].set_index("method")["f1"]
        able = {method: table for method, table in picks.items() if f1[method] >= f1.max() / 2}
        agreement.draw(figure.subplots(), picture, agreement.agreement(able, labels, micrograph)).set_title("")
        show_figure(figure, photograph=True)
        best = [next((m for m in picks if summary.is_ranked(result, m, kind)), None) for kind in (False, True)]
        chosen = {m: picks[m] for m in dict.fromkeys([*best, verdict.DEFAULT]) if m in picks}
        figure = Figure(figsize=(3.6 * len(chosen), 4.3), layout="constrained")
        FigureCanvasAgg(figure)
        axes = figure.subplots(1, len(chosen), squeeze=False)
        by_title = {summary.title(result, method): table for method, table in chosen.items()}
        plot_benchmark.overlays(axes, picture, by_title, labels, name=micrograph)
        plot_benchmark.explain_overlays(figure)
        show_figure(figure, photograph=True)
        drawn += 1
record("overlays", drawn)

# %%
if section(
    "Localisation",
    "Mean shifts of the true picks from their labels. Beside the names: the root mean square distance.",
    [name for name in names if scored[name]["rms_share"].notna().any()],
):
    show_all(comparison_figures.localisation)

# %%
if section("Time against accuracy", summary.measured_on(result), [n for n in names if (scored[n]["pick"] > 0).any()]):
    show_all(comparison_figures.time)
    times = tables.times(result)
    show(times.drop(columns=["labels", "F1"]))

# %%
by_view = [name for name in names if len(summary.views(result, name))]
if section("View by view", tables.VIEWS_RULE, by_view):
    for name in by_view:
        show_figure(comparison_figures.views(result, name))
        for view in summary.views(result, name)["view"].drop_duplicates():
            figure = comparison_figures.curves(result, name, view=view) if view != reported.AVERAGE else None
            if figure is not None:
                show_figure(figure)
        show(tables.views_side_by_side(result, name))

# %%
points = summary.sweep(result)
if section("Sweeps", "One condition changes, all others stay as they are.", len(points)):
    for (axis, protein), part in points.groupby(["axis", "protein"], sort=False):
        show_figure(comparison_figures.sweep(result, axis, protein))
        show(tables.sweep(result, part, "f1"))

# %%
parts = tables.beside_the_paper(result)
if section("Beside the paper", "\n".join(f"- {line}" for line in tables.NOT_COMPARED), parts):
    show_all(comparison_figures.beside_paper)
    for heading, table in parts.items():
        display(HTML(f"<h3>{html.escape(heading)}</h3>"))
        show(table)
    say("\n".join(f"- {note}" for note in reported.notes(7)))

# %%
tests = [(name, words, table) for name in names for words, table in tables.paired(result, name)]
if section("Paired tests", "Differences in F1 on the same micrographs; negative: behind.", tests):
    for name, words, table in tests:
        say(f"**{titles[name]}**: {words}")
        show(table)

# %%
table = tables.failures(result)
if section("Failures", "Cells without scores, and micrographs that could not be used, and why.", len(table)):
    show(table)
record("failures", len(summary.failures(result)))

# %% [markdown]
# ## What was run, on what

# %%
show(summary.provenance(result))
show(tables.datasets(result))
methods = [
    {
        "method": summary.title(result, name),
        "labels": summary.learns(result, name),
        "picker": row["picker"],
        "settings": ", ".join(f"{key}: {value}" for key, value in row["settings"].items()) or "default",
        "source": row["source"],
    }
    for name, row in result["methods"].items()
]
methods = pd.DataFrame(methods)
show(methods.assign(labels=summary.yes_no(methods["labels"])))
