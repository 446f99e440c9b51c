# %% [markdown]
# # Report of a comparison
#
# Which picker finds which particles, on the same micrographs, with the same matching. Everything below is read from
# one result file of `cryokit benchmark`; nothing is computed anew but intervals and paired tests, from the counts in
# it.
#
# Two kinds of methods are kept apart throughout: those that **learned from labels** (dashed lines, open marks) and
# those that had **none** (solid lines, filled marks). Picks that somebody has added (dotted lines, grey marks) stand
# beside both: whether labels went into them is not known ("?"). What the paper reports (Al-Azzawi et al. 2020, BMC
# Bioinformatics 21:509, DeepCryoPicker) stands in columns of its own, marked *reported*: it was not measured here.

# %% tags=["parameters"]
profile = "quick"  # quick: overlays of one micrograph of each dataset; full: of three
result_file = "out/benchmark/result.json"  # of a run, or one from elsewhere
data = []  # folders of the real micrographs, as --data had them; simulated ones lie beside the result

# %%
import io
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from IPython.display import Image, Markdown, display

from cryokit.benchmark import reported, results, run_files, summary, verdict
from cryokit.cli.notebook_runner import record
from cryokit.micrograph import read
from cryokit.plot import comparison as plot_benchmark

plt.rcParams.update({"figure.constrained_layout.use": True, "figure.dpi": 110})
result = results.load(result_file)
run = Path(result_file) if Path(result_file).is_dir() else Path(result_file).parent
names = summary.dataset_names(result)
KINDS = {False: "no labels", True: "learned from labels", None: "picks as given"}


def say(text):
    display(Markdown(text))


def show(table, digits=3, **more):
    """Show a table without its index; `more` are decimals of single columns."""
    words = [name for name in table if name == "labels" or table[name].dtype == bool]
    table = table.assign(**{name: summary.yes_no(table[name]) for name in words})
    formats = {name: f"{{:.{number}f}}" for name, number in more.items()}
    styled = table.style.hide(axis="index").format(precision=digits, na_rep="-", escape="html")
    if formats:
        styled = styled.format(formats, na_rep="-", subset=list(formats))
    text = [index for index, name in enumerate(table.columns) if not pd.api.types.is_numeric_dtype(table[name])]
    left = [{"selector": f".col{index}", "props": "text-align: left"} for index in text]
    short = [index for index in text if table.iloc[:, index].astype(str).str.len().max() < 45]
    left += [{"selector": f"td.col{index}", "props": "white-space: nowrap"} for index in short]
    display(styled.set_table_styles(left))


def show_figure(figure, photograph=False):
    if photograph:  # as JPEG: noise hardly compresses otherwise
        data = io.BytesIO()
        figure.savefig(data, format="jpeg", dpi=120, bbox_inches="tight", pil_kwargs={"quality": 80})
        display(Image(data.getvalue(), format="jpeg"))
    else:
        display(figure)
    plt.close(figure)


def intervals(low, high):
    return ["-" if np.isnan(start) else f"{start:.3f} - {end:.3f}" for start, end in zip(low, high, strict=True)]


# %%
say(f"# {summary.heading(result)}\n\n{result.get('note') or ''}")

# %% [markdown]
# ## In short
#
# Two methods count as distinguishable when the paired test over micrographs gives a p below 0.05 and the bootstrap
# interval of their difference leaves out 0. No correction is made for the number of comparisons. Methods whose F1 is
# nearer than 0.0005 share their place.

# %%
say(" ".join(verdict.run(result)))
lines = []
for name in names:
    lines.append(f"- **{result['datasets'][name]['title']}**")
    lines += [f"  - {sentence}" for sentence in verdict.dataset(result, name)]
swept = verdict.sweep(result)
lines += ["- **Sweeps**", *(f"  - {sentence}" for sentence in swept)] if swept else []
say("\n".join(lines))

# %% [markdown]
# ## What was run

# %%
show(summary.provenance(result))
methods = pd.DataFrame(
    [
        {
            **{"method": summary.title(result, name), "labels": summary.learns(result, name), "picker": row["picker"]},
            "settings": ", ".join(f"{key}: {value}" for key, value in (row["settings"] or {}).items()) or "default",
            "source": row["source"],
        }
        for name, row in result["methods"].items()
    ]
)
show(methods)

# %% [markdown]
# ## Datasets
#
# Micrographs, and the particles in them, by split. Methods are fitted on the first, thresholds chosen on the second,
# and all numbers of this report are of the third.

# %%
table = summary.datasets(result)
if names:  # the points of a sweep differ in one number, which is told with the sweeps
    table = table[table["dataset"].isin(names)]
shown = table[["title", "kind", "protein", "diameter"]].rename(columns={"diameter": "diameter, px"})
for split in ("train", "validation", "test"):
    counts = zip(table[f"{split}_micrographs"], table[f"{split}_particles"], strict=True)
    shown[split] = [f"{number} ({particles})" for number, particles in counts]
show(shown.assign(views=table["views"], note=table["note"]), digits=1)

# %% [markdown]
# ## Scores
#
# *labels* says what `fit` was given. All methods are told the diameter, and all thresholds are chosen with the labels
# of the validation micrographs, where there are any; *own F1* is without these, at the threshold that the method chose
# by itself; methods with labels that would hold out some of their micrographs for it learn from all of them here, and
# have none.
#
# Pooled over the test micrographs, at the threshold chosen on the validation micrographs; means over the seeds where
# there are several, with their standard deviation (SD). The interval is a bootstrap over micrographs. *accuracy* is
# TP / (TP + FP + FN); *AP* the average precision; *ceiling* the recall of all picks at any threshold. *Best F1* is at
# the threshold that is best on the test micrographs themselves, which no method may use.

# %%
for name in names:
    table = summary.scores(result, name)
    scored = table[table["seeds"] > 0]
    say(f"### {result['datasets'][name]['title']}")
    shown = scored[["title", "labels", "f1"]].rename(columns={"title": "method", "f1": "F1"})
    shown["95 % interval"] = intervals(scored["f1_low"], scored["f1_high"])
    if (scored["seeds"] > 1).any():
        shown["SD"] = scored["f1_spread"]
    columns = {"precision": "precision", "recall": "recall", "accuracy": "accuracy", "average_precision": "AP"}
    columns |= {"recall_ceiling": "ceiling", "best_f1": "best F1", "own_f1": "own F1"}
    show(pd.concat([shown, scored[list(columns)].rename(columns=columns)], axis="columns"))
    if len(scored):
        record(f"best F1 on {name}", float(scored["f1"].iloc[0]))

# %% [markdown]
# ## F1 with intervals
#
# The bar is the 95 % interval, small dots are seeds. With few micrographs an interval is too narrow.

# %%
for name in names:
    table = summary.scores(result, name)["method"]
    if not len(table):
        continue
    figure, ax = plt.subplots(figsize=(9, 1.8 + 0.3 * len(table)))
    plot_benchmark.f1_intervals(ax, result, name, own=True)
    told = len(summary.beside_reported(result, name)) > 0
    plot_benchmark.explain_marks(ax, own=True, told=told, given=any(summary.given(result, each) for each in table))
    ax.set_title(result["datasets"][name]["title"])
    show_figure(figure)

# %% [markdown]
# ## Precision-recall curves
#
# Each curve goes through all thresholds, the mark is the chosen one; grey lines join points of equal F1. No line is
# drawn beyond the last pick. Of several seeds, the one with the median F1 is drawn; the numbers are means.

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
    figure.suptitle(result["datasets"][name]["title"])
    show_figure(figure)

# %% [markdown]
# ## View by view
#
# The particles of one view at a time, and the average over the views, as in the paper's table 7.

# %%
for name in names:
    table = summary.views(result, name)
    if not len(table):
        continue
    title = result["datasets"][name]["title"]
    views = [view for view in table["view"].drop_duplicates() if view != reported.AVERAGE]
    size = (5.2 * len(views), 5.2 + 0.2 * table["method"].nunique())
    figure, axes = plt.subplots(1, len(views), figsize=size, squeeze=False)
    for ax, view in zip(axes[0], views, strict=True):
        plot_benchmark.precision_recall(ax, result, name, view=view)
        ax.set_title(f"{view} views")
    figure.suptitle(title)
    show_figure(figure)
    say(f"### {title}, by view\n\n{summary.views_rule(result, name)}")
    columns = {"title": "method", "labels": "labels", "view": "view", "precision": "precision", "recall": "recall"}
    columns |= {"f1": "F1", "average_precision": "AP", "named_right": "view named right"}
    show(table[list(columns)].rename(columns=columns))

# %%
if not any(len(summary.views(result, name)) for name in names):
    say("No dataset of this result has more than one view.")

# %% [markdown]
# ## Beside the paper
#
# The paper's numbers are of other micrographs, and it does not say how near to a particle a pick has to be. Its
# accuracy needs true negatives, which picks do not have; the measured one is another quantity.

# %%
for name in names:
    table = summary.beside_reported(result, name)
    if len(table):
        say(f"### {result['datasets'][name]['title']} (the paper's table 7)")
        show(table)
classes = summary.class_settings(result)
if len(classes):
    say("### DeepCryoPicker's classes, all datasets together (the paper's table 5)")
    show(classes)
if not len(classes) and not any(len(summary.beside_reported(result, name)) for name in names):
    say("The paper reports nothing about the methods and proteins of this result.")
else:
    say("\n".join(f"- {note}" for note in reported.notes(7)))

# %% [markdown]
# ## Sweeps
#
# One condition changes, all others stay as they are.

# %%
sweeps = summary.sweep(result)
for (axis, protein), part in sweeps.groupby(["axis", "protein"], sort=False):
    # Picks as given are drawn beside both kinds, and alone where there is no other.
    for labels in [each for each in (False, True) if part["labels"].eq(each).any()] or [None]:
        number = part["method"].nunique()
        figure, axes = plt.subplots(1, 2, figsize=(11, 4.6 + 0.12 * number))
        for ax, what in zip(axes, plot_benchmark.WHAT_WORDS, strict=True):
            plot_benchmark.sweep(ax, result, axis, protein=protein, what=what, labels=labels)
        figure.suptitle(f"{protein}: {plot_benchmark.AXIS_WORDS.get(axis, axis)}, {KINDS[labels]}")
        show_figure(figure)
    for what, word in plot_benchmark.WHAT_WORDS.items():
        say(f"{word} of {protein} against {plot_benchmark.AXIS_WORDS.get(axis, axis)}:")
        wide = summary.sweep_table(part, what)
        wide.columns = [value if value == "mean" else f"{value:g}" for value in wide.columns]
        wide.insert(0, "labels", [summary.learns(result, name) for name in wide.index])
        show(wide.rename(index=lambda name: summary.title(result, name)).reset_index())
if not len(sweeps):
    say("This result has no sweeps.")

# %% [markdown]
# ## Time and memory
#
# Medians over the test micrographs, without reading; memory is the largest over the seeds.

# %%
say(summary.measured_on(result))
for name in names:
    table = summary.scores(result, name)
    table = table[table["seeds"] > 0].sort_values("pick", kind="stable")
    say(f"### {result['datasets'][name]['title']}")
    columns = {"title": "method", "labels": "labels", "f1": "F1", "fit": "fit, s", "pick": "pick, s per micrograph"}
    columns |= {"memory": "peak memory, MB"}
    digits = {"fit, s": 1, "pick, s per micrograph": 2, "peak memory, MB": 0}
    show(table[list(columns)].rename(columns=columns), **digits)
    if (table["pick"] > 0).any():
        figure, ax = plt.subplots(figsize=(8, 4 + 0.12 * len(table)))
        plot_benchmark.time_against_f1(ax, result, name)
        ax.set_title(result["datasets"][name]["title"])
        show_figure(figure)

# %%
told = summary.times_beside_reported(result)
if len(told):
    say("Seconds for a micrograph, beside the paper's table 8 (other machines, other micrographs):")
    told["dataset"] = [result["datasets"][name]["title"] for name in told["dataset"]]
    told.columns = ["dataset", "method", "measured, s", "CPU, s (reported)", "GPU, s (reported)"]
    show(told, **{"measured, s": 2, "CPU, s (reported)": 0, "GPU, s (reported)": 0})

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
    tested = [test for test in result["datasets"][name]["micrographs"]["test"] if test in files]
    for test in tested[: 1 if profile == "quick" else 3]:
        picks = run_files.picks(run, result, name, test)
        if not picks:
            continue
        columns = min(3, len(picks))
        rows = -(-len(picks) // columns)
        figure, axes = plt.subplots(rows, columns, figsize=(3.4 * columns, 3.9 * rows), squeeze=False)
        titled = {summary.title(result, method): table for method, table in picks.items()}
        plot_benchmark.overlays(axes, read(files[test]), titled, labels, name=test)
        plot_benchmark.explain_overlays(figure)
        figure.suptitle(f"{result['datasets'][name]['title']}: {test}")
        show_figure(figure, photograph=True)
        drawn += 1
if not drawn:
    say("The micrographs and picks of the run are not here: nothing to draw.")
record("overlays", drawn)

# %% [markdown]
# ## Paired tests
#
# The first of a dataset against each other method, and added picks against each, on the same micrographs: the
# difference in F1 (negative: behind), its bootstrap interval, and the p of a permutation test that exchanges the two
# methods micrograph by micrograph. n micrographs cannot give a p below 2 / 2^n.

# %%
for name in names:
    scored = summary.scores(result, name).query("seeds > 0")
    if len(scored) < 2:
        continue
    given = [method for method in scored["method"].iloc[1:] if summary.given(result, method)]
    for method in (scored["method"].iloc[0], *given):
        table = summary.against(result, name, method)
        few = verdict.few(int(table["micrographs"].iloc[0]))
        f1 = scored.loc[scored["method"] == method, "f1"].iloc[0]
        say(f"### {result['datasets'][name]['title']}: *{summary.title(result, method)}* (F1 {f1:.3f})\n\n{few}")
        shown = table[["title", "labels", "difference"]].rename(columns={"title": "method", "difference": "ahead by"})
        shown["95 % interval"] = intervals(table["low"], table["high"])
        show(shown.assign(p=table["p"], micrographs=table["micrographs"], distinguishable=table["distinguishable"]))

# %% [markdown]
# ## Failures

# %%
table = summary.failures(result)
table["method"] = [summary.title(result, name) for name in table["method"]]
table["dataset"] = [result["datasets"][name]["title"] for name in table["dataset"]]
if len(table):
    show(table)
else:
    say("Every cell came to its end.")
record("failures", len(table))
