# %% [markdown]
# # Report of a comparison
#
# Methods of particle picking on the same micrographs, with the same matching. Everything below is read from one result
# file of `cryokit benchmark`; only intervals and paired tests are computed here, from the counts in it.
#
# Two kinds of methods are kept apart throughout: those that **learned from labels** (dashed lines, open marks) and
# those that did **not** (solid lines, filled marks). Picks as given (dotted lines, grey marks) stand beside both,
# because it is not known whether labels went into them ("?"). Numbers that the paper reports (Al-Azzawi et al. 2020,
# BMC Bioinformatics 21:509, DeepCryoPicker) stand in columns of their own, marked *(reported)*: they were not measured
# here.

# %% tags=["parameters"]
profile = "quick"  # quick: overlays of one micrograph of each dataset; full: of three
result_file = "out/benchmark/result.json"  # result of a run
data = []  # folders of the real micrographs, as for --data; simulated ones lie beside the result

# %%
import io
from pathlib import Path

import matplotlib.pyplot as plt
import pandas as pd
from IPython.display import Image, Markdown, display

from cryokit.benchmark import reported, run_files, summary, tables, verdict
from cryokit.benchmark.result_file import load
from cryokit.cli.notebook_runner import record
from cryokit.micrograph import read
from cryokit.plot import comparison as plot_benchmark

plt.rcParams.update({"figure.constrained_layout.use": True, "figure.dpi": 110})
result = load(result_file)
run = Path(result_file) if Path(result_file).is_dir() else Path(result_file).parent
names = summary.dataset_names(result)
titles = {name: dataset["title"] for name, dataset in result["datasets"].items()}
KINDS = {False: "no labels", True: "learned from labels", None: "picks as given"}


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
    if photograph:  # as JPEG, because noise hardly compresses otherwise
        buffer = io.BytesIO()
        figure.savefig(buffer, format="jpeg", dpi=120, bbox_inches="tight", pil_kwargs={"quality": 80})
        display(Image(buffer.getvalue(), format="jpeg"))
    else:
        display(figure)
    plt.close(figure)


# %%
say(f"# {summary.heading(result)}\n\n{result['note']}")

# %% [markdown]
# ## In short
#
# Two methods count as distinguishable if the paired test over micrographs gives a p below 0.05 and the bootstrap
# interval of their difference excludes 0. There is no correction for the number of comparisons. Methods whose F1
# differs by less than 0.0005 share a rank.

# %%
say(" ".join(verdict.run(result)))
lines = []
for title, sentences in tables.in_short(result).items():
    lines += [f"- **{title}**", *(f"  - {sentence}" for sentence in sentences)]
say("\n".join(lines))

# %% [markdown]
# ## What was run

# %%
show(summary.provenance(result))
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

# %% [markdown]
# ## Datasets
#
# Micrographs, and the particles in them, by split. Methods are fitted on the training micrographs, thresholds chosen on
# the validation micrographs, and all numbers of this report are of the test micrographs.

# %%
show(tables.datasets(result))

# %% [markdown]
# ## Scores
#
# *labels* says whether `fit` was given labels. All methods are given the diameter, and all thresholds are chosen with
# the labels of the validation micrographs, if there are any; *own F1* is without these, at the threshold that the
# method chose by itself. Methods that hold out labelled micrographs for it learn from all of them here, and have none.
#
# Scores are pooled over the test micrographs, and means over the seeds if there are several, with their standard
# deviation (SD). The interval is a bootstrap over micrographs. *accuracy* is TP / (TP + FP + FN), *AP* the average
# precision, *ceiling* the recall of all picks at any threshold. *Best F1* is at the threshold that is best on the test
# micrographs themselves, which no method may use. *dx*, *dy* and *RMS* are the mean shift of the true picks against
# their labels (positive: to the right, down) and their root mean square distance, in % of the diameter.

# %%
for name in names:
    say(f"### {titles[name]}")
    show(tables.scores(result, name))
    table = summary.scores(result, name)
    if table["seeds"].gt(0).any():
        record(f"best F1 on {name}", float(table["f1"].iloc[0]))

# %% [markdown]
# ## F1 with intervals
#
# The bar is the 95 % interval, small dots are seeds. With few micrographs an interval is too narrow.

# %%
for name in names:
    methods = summary.scores(result, name)["method"]
    if not len(methods):
        continue
    figure, ax = plt.subplots(figsize=(9, 1.8 + 0.3 * len(methods)))
    plot_benchmark.f1_intervals(ax, result, name)
    ax.set_title(titles[name])
    show_figure(figure)

# %% [markdown]
# ## Precision-recall curves
#
# Each curve goes through all thresholds, the mark is the chosen one; grey lines join points of equal F1. No line is
# drawn beyond the last pick. If there are several seeds, the curve is of the one with the median F1; the numbers are
# means.

# %%
for name in names:
    table = summary.scores(result, name)
    scored = table[table["seeds"] > 0]
    if not len(scored):
        continue
    groups = [labels for labels in (False, True) if scored["labels"].eq(labels).any()] or [None]
    most = max(len(table) if labels is None else int(table["labels"].eq(labels).sum()) for labels in groups)
    figure, axes = plt.subplots(
        1, len(groups), figsize=(5.2 * len(groups), 5.2 + 0.2 * most), squeeze=False, sharey=True
    )
    for ax, labels in zip(axes[0], groups, strict=True):
        plot_benchmark.precision_recall(ax, result, name, labels=labels)
        ax.set_title(KINDS[labels])
    figure.suptitle(titles[name])
    show_figure(figure)

# %% [markdown]
# ## View by view
#
# The particles of one view at a time, and the average over the views, as in the paper's table 7.

# %%
several_views = False
for name in names:
    table = summary.views(result, name)
    if not len(table):
        continue
    several_views = True
    views = [view for view in table["view"].drop_duplicates() if view != reported.AVERAGE]
    size = (5.2 * len(views), 5.2 + 0.2 * table["method"].nunique())
    figure, axes = plt.subplots(1, len(views), figsize=size, squeeze=False)
    for ax, view in zip(axes[0], views, strict=True):
        plot_benchmark.precision_recall(ax, result, name, view=view)
        ax.set_title(f"{view} views")
    figure.suptitle(titles[name])
    show_figure(figure)
    say(f"### {titles[name]}, by view\n\n{tables.VIEWS_RULE}")
    show(tables.views(result, name))
if not several_views:
    say("No dataset of this result has more than one view.")

# %% [markdown]
# ## Beside the paper
#
# The paper's numbers are of other micrographs, and it does not say how near to a particle a pick has to be. Its
# accuracy needs true negatives, which picks do not have; the measured one is another quantity.

# %%
beside = {name: tables.beside_reported(result, name) for name in names}
for name, table in beside.items():
    if len(table):
        say(f"### {titles[name]} (the paper's table 7)")
        show(table)
classes = tables.class_settings(result)
if len(classes):
    say("### DeepCryoPicker's classes, all datasets together (the paper's table 5)")
    show(classes)
if len(classes) or any(map(len, beside.values())):
    say("\n".join(f"- {note}" for note in reported.notes(7)))
else:
    say("The paper reports nothing about the methods and proteins of this result.")

# %% [markdown]
# ## Sweeps
#
# One condition changes, all others stay as they are.

# %%
points = summary.sweep(result)
for (axis, protein), part in points.groupby(["axis", "protein"], sort=False):
    words = plot_benchmark.AXIS_WORDS.get(axis, axis)
    # Picks as given are drawn beside both kinds, or alone if there is no other.
    for labels in [kind for kind in (False, True) if part["labels"].eq(kind).any()] or [None]:
        figure, axes = plt.subplots(1, 2, figsize=(11, 4.6 + 0.12 * part["method"].nunique()))
        for ax, quantity in zip(axes, tables.QUANTITIES, strict=True):
            plot_benchmark.sweep(ax, result, axis, protein=protein, quantity=quantity, labels=labels)
        figure.suptitle(f"{protein}: {words}, {KINDS[labels]}")
        show_figure(figure)
    for quantity, word in tables.QUANTITIES.items():
        say(f"{word} of {protein} against {words}:")
        show(tables.sweep(result, part, quantity))
if not len(points):
    say("This result has no sweeps.")

# %% [markdown]
# ## Time and memory
#
# Times are medians over the test micrographs, reading excluded (*pick* is per micrograph); memory is the largest over
# the seeds.

# %%
say(summary.measured_on(result))
times = tables.times(result)
for name in names:
    table = times[times["dataset"] == titles[name]]
    if not len(table):
        continue
    say(f"### {titles[name]}")
    show(table.drop(columns="dataset"))
    if (table["pick, s"] > 0).any():
        figure, ax = plt.subplots(figsize=(8, 4 + 0.12 * len(table)))
        plot_benchmark.time_against_f1(ax, result, name)
        ax.set_title(titles[name])
        show_figure(figure)
beside = tables.times_beside_reported(result)
if len(beside):
    say("Seconds per micrograph, beside the paper's table 8 (other machines, other micrographs):")
    show(beside)

# %% [markdown]
# ## True, false and missed picks
#
# In the manner of the paper's figure 7: green are true picks, orange false ones, dashed yellow circles missed
# particles.

# %%
drawn = 0
for name in names:
    labels = run_files.labels(run, name)
    files = run_files.micrographs(run, name, data)
    if labels is None or not files:
        continue
    tested = [micrograph for micrograph in result["datasets"][name]["micrographs"]["test"] if micrograph in files]
    for micrograph in tested[: 1 if profile == "quick" else 3]:
        picks = run_files.picks(run, result, name, micrograph)
        if not picks:
            continue
        columns = min(3, len(picks))
        rows = -(-len(picks) // columns)
        figure, axes = plt.subplots(rows, columns, figsize=(3.4 * columns, 3.9 * rows), squeeze=False)
        by_title = {summary.title(result, method): table for method, table in picks.items()}
        plot_benchmark.overlays(axes, read(files[micrograph]), by_title, labels, name=micrograph)
        plot_benchmark.explain_overlays(figure)
        figure.suptitle(f"{titles[name]}: {micrograph}")
        show_figure(figure, photograph=True)
        drawn += 1
if not drawn:
    say("The micrographs and picks of the run are not here, so there is nothing to draw.")
record("overlays", drawn)

# %% [markdown]
# ## Paired tests
#
# The first method of a dataset, and picks as given, against each other method on the same micrographs: the difference
# in F1 (negative: behind), its bootstrap interval, and the p of a permutation test that exchanges the two methods
# micrograph by micrograph. With n micrographs p is at least 2 / 2^n.

# %%
for name in names:
    for words, table in tables.paired(result, name):
        say(f"**{titles[name]}**: {words}")
        show(table)

# %% [markdown]
# ## Failures

# %%
table = tables.failures(result)
if len(table):
    show(table)
else:
    say("All cells finished.")
record("failures", len(summary.failures(result)))
