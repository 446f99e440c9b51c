# %% [markdown]
# # The comparison: many pickers, one table
#
# Every paper on particle picking has a table in which its own method is the last row and has the best number. This
# notebook makes such a table for KLH, with methods of very different kinds, and then asks what it is worth:
#
# 1. the question, and what makes a comparison fair
# 2. the run: what is asked for, the micrographs, every method in a process of its own
# 3. precision-recall curves: how to read one, then all of them, then by view, beside what the paper reports
# 4. what the curves do not show: true, false and missed picks, and which mistakes they are
# 5. reading the differences: chance, thresholds, labels, time
# 6. bring your own picks
# 7. exercises, with answers
#
# The micrographs are simulated, so that the truth is known. The quick profile takes three or four minutes on two cores,
# nearly all of it in section 2; run again in the same folder, it keeps what is finished and takes seconds. A finished
# run, your own or somebody else's, is shown with the parameter `result`: nothing is computed then.
#
# "The paper" is Al-Azzawi et al. 2020, BMC Bioinformatics 21:509 (DeepCryoPicker). Its numbers are quoted as reported,
# always in columns of their own.

# %% tags=["parameters"]
profile = "quick"  # quick: a few methods, small micrographs; full: all methods, real KLH or as many simulated (hours)
seed = 0  # another number gives other micrographs, and other networks
methods = []  # names of rows, such as ["auto", "template"], beside one of your own; []: seven (quick) or all (full)
test = 6  # micrographs to test on (quick)
snr = 0.8  # signal-to-noise ratio of the simulation (quick); that of the recorded micrographs is about 1.3
carbon = False  # True: the edge of the carbon film shows on every micrograph (quick)
result = ""  # folder or result.json of a finished run, to be shown instead of running
data_dir = ""  # full: a folder with klh/micrographs and klh/labels; otherwise what `cryokit data fetch klh` has brought
labels_dir = ""  # full: labels of your own for the real micrographs, in any format
output_dir = "out/06_klh_precision_recall"  # where the run goes

# %%
import logging
import shlex
import subprocess
import sys
import time
from dataclasses import replace
from itertools import combinations
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import yaml
from IPython.display import Markdown, display
from matplotlib.colors import ListedColormap
from scipy.ndimage import gaussian_filter
from scipy.spatial import cKDTree

from cryokit import coordinates, evaluate, explore, micrograph, plot
from cryokit.benchmark import configuration, reported, result_file, run_files, summary, verdict
from cryokit.benchmark.run import run
from cryokit.benchmark.tables import VIEWS_RULE, beside_reported, datasets
from cryokit.cli.notebook_runner import record
from cryokit.errors import CryokitError
from cryokit.evaluate import paired
from cryokit.plot.comparison import (
    explain_overlays,
    f1_intervals,
    overlays,
    precision_recall,
    styles,
    time_against_f1,
)

plt.rcParams["figure.constrained_layout.use"] = True
output = Path(output_dir)
quick = profile == "quick"
# Every finished cell says so, also in here.
logger = logging.getLogger("cryokit.benchmark")
logger.handlers = [logging.StreamHandler(sys.stdout)]
logger.setLevel(logging.INFO)

# %% [markdown]
# ## 1. What makes a comparison fair
#
# Two numbers can be compared when all that went into them was the same, but for the method. Here that is:
#
# - **The same micrographs, split by micrograph.** On the *training* micrographs a method may do as it likes. On the
#   *validation* micrographs its threshold is chosen. The *test* micrographs are scored, once. A split by particle would
#   put the same ice, the same defocus and overlapping windows on both sides.
# - **The threshold is not chosen on the test.** Every curve has a best point, and who picks it afterwards has looked at
#   the answers. Scores of different methods mean different things, so "0.5 for all" would not be fair, either.
# - **The same matching.** A pick is true when its centre lies within a quarter of the diameter of a particle's, one
#   pick for one particle, in such a way that as many as possible are matched. A loose rule makes all methods look
#   good, and those with poor centring most of all.
# - **The same labels, doubtful ones included.** A pick on something marked `ignore` (a broken or overlapping
#   particle, one that the border cuts) is neither true nor false.
# - **The same prior knowledge.** Every method is told the particle's diameter, and gets its threshold from the labels
#   of the validation micrographs. Those that are also given the labels of the training micrographs are marked: they
#   answer another question. "Without labels" is about training; section 5 has what methods reach at thresholds of
#   their own.
# - **The same care.** Default settings for all. A table in which one method was tuned for weeks, and the others were
#   run once, compares weeks.
#
# One thing is not equal here and has to be said: `auto_pretrained` is a network that was trained before, on
# simulations by the simulator that makes the micrographs below (other micrographs of it). This is its home ground.
# What it does on recorded micrographs is in `benchmarks/RESULTS.md`.
#
# The methods of the quick profile:
#
# | row | kind | learns from |
# |---|---|---|
# | `auto_pretrained` | a small, fully convolutional network that comes with the package | nothing here |
# | `template` | correlation with a reference, averaged over all rotations | the training micrographs |
# | `autocryopicker` | clusters grey values, looks for circles and squares | nothing: each micrograph by itself |
# | `deepcryopicker` | the paper's: good picks of the row above train a network | its own picks |
# | `relion_template` | correlation with averages of labelled particles, in many rotations | **labels** |
# | `deepem` | a network on windows; its first round's false picks are the second's negatives | **labels** |
# | `deeppicker` | a network on windows | **labels** |
# | `BlobPicker` | dark blobs, in the 20 lines below | nothing |
#
# ### A picker of your own
#
# A picker is a class with a function `pick`. Its file and name, `my_picker.py:BlobPicker`, are its name for `cryokit
# pick --method`, `cryokit train --method` and `cryokit benchmark --methods`, and it is compared like all others: on the
# same micrographs, in a process of its own, with a threshold from the validation micrographs. The comparison sets the
# settings in its constructor that it knows, here the diameter.

# %%
MY_PICKER = '''
import numpy as np
from scipy.ndimage import gaussian_laplace
from skimage.feature import peak_local_max

from cryokit import coordinates, pickers


class BlobPicker(pickers.Picker):
    """Dark blobs: maxima of the Laplacian of a Gaussian."""

    def __init__(self, diameter=100):
        self.diameter = diameter

    def pick(self, micrograph, *, threshold=None):
        darkness = gaussian_laplace(micrograph.data, 0.4 * self.diameter)
        row, column = peak_local_max(darkness, min_distance=int(self.diameter / 2)).T
        score = np.clip(darkness[row, column] / np.percentile(darkness[row, column], 90), 0, 1)
        picks = coordinates.table(micrograph.name, column, row, score, self.diameter)
        return picks[score >= (self.threshold_ if threshold is None else threshold)]
'''
output.mkdir(parents=True, exist_ok=True)
picker_file = output / "my_picker.py"
picker_file.write_text(MY_PICKER.lstrip(), encoding="utf-8")
own_picker = f"{picker_file.resolve()}:BlobPicker"

# %% [markdown]
# ## 2. The run
#
# What is to be compared is a small text. `cryokit.benchmark.configuration.parse` takes it as a dictionary, `cryokit
# benchmark --config` as a file. A text that names a picker by its file runs the code in that file; `trust` says that
# you know it.

# %%
SEVEN = ["auto_pretrained", "template", "autocryopicker", "deepcryopicker", "relion_template", "deepem", "deeppicker"]
asked = {
    "name": "klh_class",
    "title": "KLH, for a class",
    "methods": [*(methods or SEVEN), own_picker],
    "datasets": [
        {
            "name": "klh_simulated",
            "title": "KLH, simulated",
            "simulate": {
                "protein": "klh",
                "train": 4,
                "validation": 2,
                "test": test,
                "seed": seed,
                "shape": [1024, 1024],
                "pixel_size": 4.4,
                "n_particles": 40,
                "snr": snr,
                "carbon": carbon,
            },
        }
    ],
    "timeout": 20,
}
if not quick:
    asked = configuration.read("klh", "full").raw
    asked = asked | {"methods": [*(methods or asked["methods"]), own_picker]}
comparison = configuration.parse(asked, trust=True)
config_file = output / "klh.yaml"
config_file.write_text(yaml.safe_dump(asked, sort_keys=False), encoding="utf-8")
if not result:
    print(config_file.read_text(encoding="utf-8"))

# %% [markdown]
# `run` brings the micrographs, then takes every method in turn: fit on the training micrographs, choose the threshold
# on the validation micrographs, score the test. Each method has a process of its own, so that its memory can be
# measured, and so that a crash is a line in the table and not the end of the evening. After every cell the result is
# written; a run that was stopped goes on where it was. **Start this cell before you talk about section 1.**

# %%
folder = output / "run"
settings = {
    "sources": [data_dir] if data_dir else [],
    "labels_from": {"klh": labels_dir} if labels_dir and not quick else {},
}
started = time.perf_counter()
if result:
    found = result_file.load(result)
    folder = Path(result) if Path(result).is_dir() else Path(result).parent
else:
    found = run(comparison, folder, **settings)
took = time.perf_counter() - started
dataset = next((name for name in found["datasets"] if name.startswith("klh")), next(iter(found["datasets"])))
told = found["datasets"][dataset]
names = told["micrographs"]["test"]
print(f"{took:.0f} s; {told['title']}: {told['particles']['test']} particles on {len(names)} test micrographs")
print("\n".join(summary.failures(found)["error"]) or "no method has failed")
record("methods", int((summary.scores(found, dataset)["seeds"] > 0).sum()))
record("failed or skipped", summary.failures(found)["method"].tolist())

# %% [markdown]
# The micrographs, with the labels that may be looked at: the training's by the methods that learn from labels, the
# validation's when thresholds are chosen. Those of the test are for the scoring alone. Yellow are particles, dotted
# white is what is marked `ignore`: broken and overlapping ones, tubes, and what the border cuts.

# %%
diameter = told["diameter"]
truth = run_files.labels(folder, dataset)
paths = run_files.micrographs(folder, dataset, settings["sources"])
# A result can be shown where the rest of its run is not: then the pictures of micrographs are left out.
complete = truth is not None and all(name in paths for name in names)
if complete:
    shown = {split: told["micrographs"][split][:number] for split, number in (("train", 3), ("validation", 1))}
    shown = {**shown, "test": names[:2]}
    figure, axes = plt.subplots(1, 6, figsize=(18, 3.4))
    places = [(split, name) for split, some in shown.items() for name in some]
    for ax, (split, name) in zip(axes, places, strict=False):
        labels = truth[truth["micrograph"] == name] if split != "test" else truth.iloc[:0]
        plot.overlay(ax, micrograph.read(paths[name]), labels=labels, name=name, legend=False, longest_side=400)
        ax.set_title(f"{split}: {name}", fontsize="small")
    for ax in axes[len(places) :]:
        ax.set_axis_off()
    plt.show()
else:
    print(f"{folder}: the micrographs of this run are not here; their pictures are left out")
display(datasets(found).set_index("dataset").T)

# %% [markdown]
# The outcome. *AP* is the average precision, *ceiling* the highest recall at any threshold; both follow in a moment.
# The interval is over micrographs, the seconds are those of this machine.


# %%
def show_scores(found):
    """Display the scores of every method on the dataset."""
    table = summary.scores(found, dataset)
    low, high = table["f1_low"].map("{:.3f}".format), table["f1_high"].map("{:.3f}".format)
    table["labels"] = summary.yes_no(table["labels"])
    table = table.assign(**{"95 %": low + " - " + high}).set_index("title").rename_axis(None)
    columns = {"labels": "labels", "precision": "precision", "recall": "recall", "f1": "F1", "95 %": "95 %"}
    columns |= {"average_precision": "AP", "recall_ceiling": "ceiling", "fit": "fit (s)", "pick": "pick (s)"}
    columns |= {"memory": "memory (MB)"}
    shown = table[list(columns)].rename(columns=columns)
    digits = dict.fromkeys(["precision", "recall", "F1", "AP", "ceiling"], "{:.3f}")
    digits |= {"fit (s)": "{:.1f}", "pick (s)": "{:.2f}", "memory (MB)": "{:.0f}"}
    display(shown.style.format(digits, na_rep="-").set_properties(**{"white-space": "nowrap"}))


show_scores(found)
scores = summary.scores(found, dataset)
scored = scores[scores["seeds"] > 0].set_index("method")
record("F1", scored["f1"].to_dict())
record("average precision", scored["average_precision"].to_dict())

# %% [markdown]
# ## 3. Precision-recall curves
#
# ### How to read one
#
# A picker gives every pick a score. Keep those above a **threshold**; with TP true picks, FP false ones and FN missed
# particles, what is kept has
#
# $$\mathrm{precision} = \frac{TP}{TP + FP} \qquad \mathrm{recall} = \frac{TP}{TP + FN} \qquad
# F_1 = \frac{2 \, TP}{2 \, TP + FP + FN}$$
#
# Lower the threshold, and the point moves: to the right with every particle that is added, down with every false pick.
# The curve is the way of the point, from a threshold above all scores to one below them.

# %%
# Those of a result written with --summary have been left out, and picks without scores have no threshold.
with_curve = [summary.finished(found, dataset, method)[0] for method in scored.index]
with_curve = [cell for cell in with_curve if cell["curve"] and cell["threshold"] is not None]
curves = bool(with_curve)
if curves:
    cell = with_curve[len(with_curve) // 2]
    middle = cell["method"]
    curve = result_file.points(cell["curve"])
    curve["F1"] = 2 * curve["precision"] * curve["recall"] / (curve["precision"] + curve["recall"]).clip(1e-9)
    ceiling = cell["scores"]["recall_ceiling"]
    few = int((curve["recall"] >= 0.5 * cell["scores"]["recall"]).to_numpy().argmax())
    levels = {
        "strict": curve["threshold"].iloc[few],
        "chosen on the validation micrographs": cell["threshold"],
        "all there are": curve["threshold"].iloc[-1],
    }
    white = {"facecolor": "white", "edgecolor": "none", "pad": 2}
    colours = dict(zip(levels, ("#D55E00", "#000000", "#0072B2"), strict=True))
    figure, (ax, right) = plt.subplots(1, 2, figsize=(14, 6.4))
    plot.precision_recall(ax, {}, legend=False)
    ax.fill_between(curve["recall"], curve["precision"], step="pre", color="0.92", zorder=-1)
    ax.plot(curve["recall"], curve["precision"], drawstyle="steps-pre", color="0.3", linewidth=2)
    ax.axvline(ceiling, color="#0072B2", linestyle=":", linewidth=2)
    ax.annotate(
        *(f"recall ceiling {ceiling:.3f}", (ceiling, 0.32)),
        **dict(xytext=(ceiling - 0.1, 0.32), color="#0072B2", ha="right", va="center"),
        arrowprops={"arrowstyle": "->", "color": "#0072B2"},
    )
    ax.text(0.06, 0.05, f"grey area: average precision {cell['scores']['average_precision']:.3f}", color="0.3")
    for words, level in levels.items():
        at = curve[curve["threshold"] >= level].iloc[-1]
        ax.plot(at["recall"], at["precision"], "o", markersize=11, color=colours[words], markeredgecolor="white")
        right.axvline(level, color=colours[words], linewidth=2, label=f"{words}: {level:.2f}")
    ax.set_title(f"{summary.title(found, middle)}: one dot for each threshold on the right")
    place = (levels["all there are"] + cell["threshold"]) / 2
    for column, line in (("precision", "dashed"), ("recall", "dotted"), ("F1", "solid")):
        right.plot(curve["threshold"], curve[column], linestyle=line, color="0.3", linewidth=2)
        height = np.interp(-place, -curve["threshold"], curve[column])
        right.annotate(
            column, (place, height), xytext=(-6, 0), textcoords="offset points", ha="right", va="center", bbox=white
        )
    right.set(xlabel="threshold", ylabel="precision, recall, F1", ylim=(0, 1.01), xlim=(-0.01, 1.01))
    right.set_title("the same numbers against the threshold")
    right.grid(alpha=0.3)
    right.legend(loc="upper center", bbox_to_anchor=(0.5, -0.1), frameon=False, ncols=3)
    plt.show()

# %%
if curves and complete:
    figure, axes = plt.subplots(1, 3, figsize=(16, 6.2))
    every = coordinates.read(folder / "picks" / middle / dataset / f"seed{cell['seed']}" / f"{names[0]}.csv")
    at_levels = {f"{words} ({level:.2f})": every[every["score"] >= level] for words, level in levels.items()}
    overlays(axes, micrograph.read(paths[names[0]]), at_levels, truth)
    explain_overlays(figure)
    plt.show()

# %% [markdown]
# What to look at, in this order:
#
# 1. **The right end.** No threshold finds more than the *recall ceiling*: the other particles were never candidates.
#    What has been lost there, no better threshold brings back.
# 2. **The left end.** The surest picks. A curve that starts low is sure of something that is no particle: carbon,
#    ice, the border.
# 3. **The bend.** Where the curve turns down, particles run out and noise begins. A sharp corner at the upper right
#    means that scores tell the two apart, and that the threshold hardly matters. A long slope means that it does.
# 4. **The dot**, the chosen threshold. The thin grey lines have equal F1: is the dot on the highest line that the curve
#    touches? It was chosen on other micrographs, so it need not be.
#
# The *average precision* (AP) is the area under the steps. It is a number for the curve, F1 is one for the dot: a good
# curve with a badly chosen dot has a high AP and a low F1.
#
# ### All of them
#
# Left the methods without labels, right those with: two questions, two pictures.

# %%
figure, axes = plt.subplots(1, 2, figsize=(15, 8.2))
for ax, labels in zip(axes, (False, True), strict=True):
    precision_recall(ax, found, dataset, labels=labels)
    ax.set_title("learned from labels" if labels else "no labels", fontsize="medium")
plt.show()

# %% [markdown]
# ### By view, as the paper's figure 6
#
# A KLH particle is a ring from the top and a square from the side. The average hides a picker that finds the one and
# not the other. For one view the particles of the other are left out of the count, with the picks on them; a false pick
# is on no view, and counts for both. Some methods say which view they take a pick for. That is another question, with a
# number of its own below: a particle that was found and misnamed was found.

# %%
by_view = summary.views(found, dataset)
views = [view for view in by_view["view"].unique() if view != reported.AVERAGE]
if views:
    figure, axes = plt.subplots(1, len(views), figsize=(7.5 * len(views), 9), squeeze=False)
    for ax, view in zip(axes[0], views, strict=True):
        precision_recall(ax, found, dataset, view=view)
        ax.set_title(f"{view} views ({told['views'].get(view, 0)} particles)", fontsize="medium")
    plt.show()
else:
    print("the labels of these micrographs do not tell views apart")

# %% [markdown]
# Numbers: F1 of each view, the average of the two, and the share of true picks whose view was named right.

# %%
if views:
    display(Markdown(VIEWS_RULE))
    wide = by_view.pivot_table("f1", index="method", columns="view").loc[scored.index, [*views, reported.AVERAGE]]
    named_right = by_view.drop_duplicates("method").set_index("method")["named_right"]
    shown = wide.assign(**{"view named right": named_right}).set_axis(scored["title"])
    shown = shown.rename_axis(None).rename_axis("F1", axis=1)
    style = shown.style.format("{:.3f}", na_rep="-")
    display(style.background_gradient(cmap="Blues", vmin=0.5, vmax=1.2, axis=None, subset=list(wide.columns)))
    for view in views:
        record(f"F1 of {view} views", {method: float(value) for method, value in wide[view].items()})

# %% [markdown]
# The methods that the paper compares, as its table 7 has them. The columns on the right are the paper's: **reported,
# not measured here**.

# %%
beside = beside_reported(found, dataset)
if len(beside):
    shown = beside.set_index(["method", "view"]).rename_axis([None, None])
    display(shown.style.format("{:.3f}", na_rep=""))
else:
    print("the paper reports nothing of these methods")
record("methods with reported numbers", int(beside["method"].nunique()))

# %% [markdown]
# May the two be compared? Not as numbers. The paper's are of 20 recorded micrographs, with people's labels and a
# matching rule that it does not give; these are of simulated ones at another signal-to-noise ratio, with networks
# trained on four micrographs. Its *accuracy* is not even the same quantity (there are no true negatives among picks).
# What can be compared is a *claim*: is DeepCryoPicker ahead of DeepEM, DeepPicker and RELION-2? The table says what
# holds here, and section 5 how sure that is. If it does not hold here, that does not refute the paper: it says that the
# claim depends on micrographs, training or settings, and that somebody should find out on which.
#
# A table of somebody else can be read with care even without its micrographs. Look at DeepCryoPicker's own row in the
# paper's table 7: for side views it reports a precision of 0.95, a recall of 0.95 and an F1 of 0.96. F1 is a mean of
# the two; no rounding brings it above both.
#
# ## 4. What the curves do not show
#
# A curve counts mistakes and does not say which. In the manner of the paper's figure 7: true picks, false ones, missed
# particles, and those on `ignore`, which nobody counts.

# %%
FIRST_SIX = scored.index[:6]
if complete:
    kept = run_files.picks(folder, found, dataset, names[0])
    figure, axes = plt.subplots(-(-len(FIRST_SIX) // 3), 3, figsize=(16, 6.2 * -(-len(FIRST_SIX) // 3)), squeeze=False)
    by_title = {summary.title(found, method): kept[method] for method in FIRST_SIX if method in kept}
    overlays(axes, micrograph.read(paths[names[0]]), by_title, truth)
    explain_overlays(figure)
    plt.show()

# %% [markdown]
# Do the methods miss the same particles? Each column below is a particle of the test micrographs, the ones that most
# methods find on the left; each row is a method.

# %%
if complete:
    judged = {}
    for method in scored.index:
        tables = [run_files.picks(folder, found, dataset, name).get(method) for name in names]
        if any(table is None for table in tables):
            continue
        picks = coordinates.concatenate(tables)
        judged[method] = evaluate.evaluate(picks, truth, micrographs=names, bootstrap=0)
    particles = next(iter(judged.values())).labels.query("outcome != 'ignore'")[["micrograph", "x", "y", "view"]]
    is_found = pd.DataFrame(
        {method: each.labels.loc[particles.index, "outcome"] == "found" for method, each in judged.items()}
    )
    by = is_found.sum(axis=1)
    rows = [*views] or [""]
    figure, axes = plt.subplots(len(rows), 1, figsize=(15, 0.6 + (0.9 + 0.28 * len(judged)) * len(rows)), squeeze=False)
    for ax, view in zip(axes[:, 0], rows, strict=True):
        order = by[particles["view"] == view].sort_values(ascending=False, kind="stable").index if view else by.index
        ax.imshow(is_found.loc[order].T, aspect="auto", cmap=ListedColormap(["#E69F00", "#0072B2"]), vmin=0, vmax=1)
        ax.set_yticks(range(len(judged)), [summary.title(found, method) for method in judged], fontsize="small")
        ax.set(xticks=[])
        ax.set_title(
            f"{len(order)} particles {view and f'seen from the {view}'}: blue found, orange missed", fontsize="medium"
        )
    plt.show()
    print(f"{(by == len(judged)).sum()} of {len(by)} particles are found by all methods, {(by == 0).sum()} by none;")
    best, most = is_found.mean().idxmax(), is_found.mean().max()
    print(f"the most that one finds is {most:.1%} ({summary.title(found, best)}), all together {(by > 0).mean():.1%}")
    record("found by all methods", float((by == len(judged)).mean()))
    record("found by some method", float((by > 0).mean()))
    record("the most that one method finds", float(most))

# %% [markdown]
# Where all are blue or all are orange, the particle decides, not the method. Where the rows differ, two methods
# together could find more than either: the idea behind picking by consensus.
#
# And what are the false picks? Four kinds need four cures. A **second pick** on a particle that has one needs better
# non-maximum suppression; one **off the centre**, between 0.25 and 0.75 diameters from a particle, better centring; one
# **at the border**, less than half a diameter from it, where a window sees half a particle or what was made up beyond
# the border, a margin that is left out; one on **something else**, a better idea of what a particle is.

# %%
if complete:
    images = [micrograph.read(paths[name]) for name in names]
    counted, false = {}, {}
    for method, each in judged.items():
        wrong = each.picks[each.picks["outcome"] == "false"]
        away, inside = np.full(len(wrong), np.inf), np.full(len(wrong), np.inf)  # of particles, of the border
        for image in images:
            here = (wrong["micrograph"] == image.name).to_numpy()
            places, size = wrong.loc[here, ["x", "y"]].to_numpy(), np.array(image.data.shape[::-1])
            inside[here] = np.minimum(places, size - 1 - places).min(axis=1) / diameter
            centres = particles.loc[particles["micrograph"] == image.name, ["x", "y"]].to_numpy()
            if len(centres):
                away[here] = cKDTree(centres).query(places)[0] / diameter
        kinds = {"second pick": away <= 0.25, "off the centre": away <= 0.75, "at the border": inside < 0.5}
        first_kind = np.select(list(kinds.values()), list(kinds), "something else")
        numbers = {kind: int((first_kind == kind).sum()) for kind in (*kinds, "something else")}
        counted[method] = {"true": each.tp, "missed": each.fn, "false": each.fp, **numbers}
        false[method] = wrong
    table = pd.DataFrame(counted).T
    display(table.rename(index=lambda method: summary.title(found, method)).rename_axis(None))
    record("false picks", table["false"].to_dict())
    record("false picks by kind", table.iloc[:, 3:].sum().to_dict())

# %% [markdown]
# The false picks with the highest scores, and particles that were missed, of every method (smoothed, for the eye). Look
# at the left sheets for what a method takes for a particle, at the right ones for what it does not know.

# %%
if complete:
    smooth = [replace(each, data=gaussian_filter(each.data, diameter / 60)) for each in images]
    shown = [method for method in judged if len(false[method]) and judged[method].fn][:8]
    figure, axes = plt.subplots(max(len(shown), 1), 2, figsize=(15, 1.25 * max(len(shown), 1)), squeeze=False)
    for line, method in zip(axes, shown, strict=False):
        lost = judged[method].labels.query("outcome == 'missed'")
        lost = lost.sample(min(9, len(lost)), random_state=seed)
        for ax, picks in zip(line, (false[method], lost), strict=True):
            plot.contact_sheet(ax, smooth, picks.assign(diameter=diameter), 9, columns=9)
            ax.set_anchor("W")
        line[0].set_title(f"{summary.title(found, method)}: false", fontsize="small", loc="left")
        line[1].set_title("missed", fontsize="small", loc="left")
    plt.show()

# %% [markdown]
# Sheets show a few. In JupyterLab the explorer shows all picks of the first method where they lie: move the threshold,
# and the counts and the point on the curve follow. A click adds a pick, an Alt-click removes one, `?` lists the rest.
# What you change comes back as `explorer.picks`. Outside JupyterLab, `cryokit view` writes the same as a page.

# %%
if complete:
    first = next(iter(judged))
    explorer = explore(images, judged[first].picks, truth[truth["micrograph"].isin(names)])
    display(explorer)

# %% [markdown]
# ## 5. Reading the differences
#
# ### Could it be chance?
#
# The bar is the 95 % interval over micrographs: how much F1 would vary if other micrographs of this kind had been
# taken.

# %%
figure, ax = plt.subplots(figsize=(11, 1.6 + 0.42 * len(scores)))
f1_intervals(ax, found, dataset)
plt.show()

# %% [markdown]
# Two bars that overlap do *not* mean that two methods are equal. The micrographs differ, in crowding, defocus and ice,
# and all methods meet the same ones: a difficult micrograph pulls all of them down together. What counts is whether one
# method is ahead of the other *on the same micrograph*, again and again.

# %%
per_micrograph = {}
for method in scored.index:
    counts = summary.per_micrograph(found, dataset, method).groupby("micrograph")[["tp", "fp", "fn"]].sum()
    per_micrograph[method] = 2 * counts["tp"] / (2 * counts["tp"] + counts["fp"] + counts["fn"])
per_micrograph = pd.DataFrame(per_micrograph).reindex(names)
looks = styles(found)
figure, ax = plt.subplots(figsize=(13, 5))
for method in per_micrograph:
    look = looks[method]
    face = "white" if summary.learns(found, method) else look.colour
    ax.plot(
        *(range(len(names)), per_micrograph[method]),
        **dict(color=look.colour, linestyle=look.line, marker=look.marker, markerfacecolor=face),
        label=summary.title(found, method),
    )
ax.set_xticks(range(len(names)), range(1, len(names) + 1))
lowest = max(0.0, np.floor(10 * per_micrograph.min().min()) / 10 - 0.05)
ax.set(xlabel="test micrograph", ylabel="F1", ylim=(lowest, 1.01))
ax.grid(alpha=0.3)
ax.legend(loc="center left", bbox_to_anchor=(1.01, 0.5), frameon=False, fontsize="small")
plt.show()

# %% [markdown]
# The **paired test** asks that. If two methods were equal, their counts on a micrograph could as well be exchanged. Try
# all ways of exchanging: the share that gives a difference at least as large as the one seen is $p$. With $n$
# micrographs there are $2^n$ ways, and two of them are always as extreme as what was seen (it, and its mirror image).
# So $p$ is never below $2 / 2^n$, *whatever the methods do*. Six micrographs are the fewest that can give a $p$ below
# 0.05, and only when one method is ahead on every one of them. And who compares ten methods makes 45 comparisons, of
# which two have a $p$ below 0.05 by chance alone: below, every $p$ is **corrected** for the number of pairs (Holm's
# method), which needs more micrographs still:

# %%
numbers = pd.Series({n: paired.least_p(n) for n in (1, 2, 3, 4, 5, 6, 10, 20)}, name="least p")
display(numbers.to_frame().T.rename_axis("micrographs", axis=1).style.format("{:.2g}"))
record("least p of two micrographs", float(numbers[2]))
display(Markdown("\n\n".join([*verdict.run(found), *verdict.dataset(found, dataset)])))

# %%
first = scored.index[0]
against = (
    summary.against(found, dataset, first).set_index("title").rename_axis(f"{summary.title(found, first)} ahead of")
)
shown = against.assign(low=against["interval"].str[0], high=against["interval"].str[1])
shown = shown[["difference", "low", "high", "corrected", "distinguishable"]].rename(columns={"corrected": "p"})
shown = shown.assign(distinguishable=np.where(shown["distinguishable"], "yes", ""))
display(shown.style.format("{:.3f}", subset=["difference", "low", "high", "p"]))
record("first", first)
record("distinguishable from the first", int(against["distinguishable"].sum()))
record("least p here", float(against["p"].min()))

# %% [markdown]
# Now take fewer of the test micrographs, as many papers do. All choices of so many, and the share of them that would
# have put two methods that are neighbours in the table *the other way round*:

# %%
rng = np.random.default_rng(seed)
counts = {
    method: summary.per_micrograph(found, dataset, method).groupby("micrograph")[["tp", "fp", "fn"]].sum().loc[names]
    for method in scored.index
}


def f1_of(method, places):
    """Return the pooled F1 on some of the test micrographs."""
    tp, fp, fn = counts[method].iloc[list(places)].sum()
    return 2 * tp / max(2 * tp + fp + fn, 1)


sizes = [n for n in (1, 2, 3, 4, 6, 10) if n < len(names)]
turned = {}
for above, under in zip(scored.index[:-1], scored.index[1:], strict=True):
    line = {}
    for n in sizes:
        if len(names) <= 10:
            choices = list(combinations(range(len(names)), n))
        else:
            choices = [rng.choice(len(names), n, replace=False) for _ in range(200)]
        line[n] = float(np.mean([f1_of(above, places) < f1_of(under, places) for places in choices]))
    turned[f"{summary.title(found, above)} > {summary.title(found, under)}"] = line
turned = pd.DataFrame(turned).T.rename_axis("micrographs:", axis=1)
display(turned.style.format("{:.0%}").background_gradient(cmap="Oranges", vmin=0, vmax=0.5, axis=None))
record("turned around with one micrograph, at most", float(turned[1].max()))
record(
    "turned around, the fewest and the most micrographs",
    [float(turned[sizes[0]].mean()), float(turned[sizes[-1]].mean())],
)

# %% [markdown]
# What a class may say of this table, and what not:
#
# - A difference of some hundredths between neighbours is no result, however many digits it is printed with.
# - "Not distinguishable" is not "equal". With two micrographs *nothing* is distinguishable: the least $p$ is 0.5.
# - An interval of few micrographs is too narrow: the bootstrap knows only the ones it has.
# - All of this is about *these* methods as trained *once* (another seed gives another network; that is what `cryokit
#   benchmark --seeds 3` is for), on *this* protein, at *this* signal-to-noise ratio. No interval in here covers that.
# - Who compares ten methods with the first makes ten tests. At 0.05, one in twenty comes out by chance.
#
# ### Whose threshold?
#
# The curves below are F1 on the test against the threshold. The dashed line is what the picker chose by itself, the
# solid one was chosen on the labelled validation micrographs; a dot marks the top, which nobody can choose. Methods
# that would hold out labelled micrographs for a threshold of their own learn from all of them here, and have none.

# %%
if curves:
    columns = 4
    lines = -(-len(scored) // columns)
    figure, axes = plt.subplots(lines, columns, figsize=(15, 3.2 * lines), sharex=True, sharey=True, squeeze=False)
    for ax, method in zip(axes.flat, scored.index, strict=False):
        cell = summary.finished(found, dataset, method)[0]
        curve = result_file.points(cell["curve"])
        f1 = 2 * curve["precision"] * curve["recall"] / (curve["precision"] + curve["recall"]).clip(1e-9)
        ax.plot(curve["threshold"], f1, color=looks[method].colour, linewidth=2)
        for words, line in (("threshold", "solid"), ("own_threshold", "dashed")):
            if cell[words] is not None:
                ax.axvline(cell[words], color="0.2", linewidth=1.5, linestyle=line)
        top = int(f1.argmax())
        look = {"color": looks[method].colour, "markeredgecolor": "white", "markersize": 9}
        ax.plot(curve["threshold"][top], f1[top], "o", **look)
        ax.set(xlim=(-0.02, 1.02), ylim=(0, 1.01))
        ax.set_title(summary.title(found, method), fontsize="medium")
        ax.grid(alpha=0.3)
    for ax in axes.flat[len(scored) :]:
        ax.set_axis_off()
    figure.supxlabel("threshold", fontsize="medium")
    figure.supylabel("F1 on the test micrographs", fontsize="medium")
    plt.show()
thresholds = scored[["own_f1", "f1", "best_f1"]].set_axis(scored["title"]).rename_axis(None)
thresholds.columns = ["own threshold", "validation threshold", "best on the test (flatters)"]
display(thresholds.style.format("{:.3f}", na_rep="-"))
record("what the best threshold would add, at most", float((scored["best_f1"] - scored["f1"]).max()))
record("what validation adds to the own threshold, mean", float((scored["f1"] - scored["own_f1"]).mean()))

# %% [markdown]
# A flat top forgives, a narrow one does not. A network's 0.5 is not a law: what it means depends on how many particles
# and how much background it was trained with. Compare the first two columns: that is what two labelled micrographs are
# worth, also to a method that needs no labels to be trained. The third column is what a comparison shows whose authors
# chose every threshold on the test; the difference to the second is its flattery.
#
# ### With labels or without?

# %%
number = told["particles"]["train"]
print(f"labelled: {number} particles on {len(told['micrographs']['train'])} training micrographs\n")
for labels in (False, True):
    standing = summary.standing(found, dataset, labels=labels)
    words = "with labels" if labels else "without labels"
    if len(standing):
        row = standing.iloc[0]
        print(f"best {words}: {row['title']}, F1 {row['f1']:.3f} ({row['f1_low']:.3f} to {row['f1_high']:.3f})")
        record(f"best F1 {words}", float(row["f1"]))

# %% [markdown]
# Labels cost somebody an afternoon, and they answer the question what a particle is. A hundred of them are few for a
# network that starts from nothing, and plenty for a correlation with averages. A method without labels that loses to
# one with labels has not lost: ask what the labels cost. One that wins has to be looked at twice: here, for what it was
# trained on before (section 1).
#
# ### And time

# %%
figure, (left, right) = plt.subplots(1, 2, figsize=(15, 7.4))
time_against_f1(left, found, dataset)
order = scored.sort_values("fit")
colours = [looks[method].colour for method in order.index]
bars = right.barh(order["title"], order["fit"].clip(lower=0.01), color=colours)
right.bar_label(bars, [f"{seconds:.1f} s" for seconds in order["fit"]], padding=4)
right.set(xscale="log", xlabel="seconds to fit, once", xlim=(None, 4 * max(1.0, order["fit"].max())))
plt.show()

# %% [markdown]
# Seconds are of this machine, of these small micrographs, and, for networks, with few training steps. Fitting is paid
# once for a data set, picking for every micrograph: with thousands of them only the left picture counts. The paper's
# table 8 has 11.3 minutes for a KLH micrograph on a processor, and 1.2 on a graphics card (reported).
#
# ## 6. Bring your own picks
#
# Your program is not in the table? It needs not be: the table takes *picks*. Here somebody has gone through the test
# micrographs by hand, and saved EMAN1 boxes: 15 % of the particles were overlooked, clicks are not quite on the centre,
# and one in ten is on nothing.

# %%
BY_HAND = output / "by_hand"
if complete:
    rng = np.random.default_rng(seed)
    tables, planned = [], {"true": 0, "false": 0}
    heights = {image.name: image.data.shape[0] for image in images}
    for image in images:
        there = truth[truth["micrograph"] == image.name]
        whole = there[there["view"] != "ignore"]
        seen = whole[rng.random(len(whole)) < 0.85]
        clicks = seen[["x", "y"]].to_numpy() + rng.normal(0, 0.05 * diameter, (len(seen), 2))
        # At least a diameter away from everything that is labelled.
        anywhere = rng.uniform(0, image.data.shape[::-1], (200, 2))
        away = cKDTree(there[["x", "y"]]).query(anywhere)[0]
        wrong = anywhere[away > diameter][: rng.poisson(3)]
        places = np.vstack([clicks, wrong]).clip(0, min(image.data.shape) - 1)
        tables.append(coordinates.table(image.name, places[:, 0], places[:, 1], diameter=diameter))
        planned["true"] += len(clicks)
        planned["false"] += len(wrong)
    coordinates.write_folder(
        coordinates.concatenate(tables), BY_HAND, "box", micrographs=names, box_size=round(diameter)
    )
    file = BY_HAND / f"{names[0]}.box"
    print(f"{file.name}:")
    print("\n".join(file.read_text(encoding="utf-8").splitlines()[:4]))

# %% [markdown]
# Four numbers a line: the *corner* of the box, its width and height. `read_folder` turns this, and any other format
# that it knows, into the one table that everything here works with: centres, in pixels, the first pixel's centre being
# 0.

# %%
if complete:
    mine, _ = coordinates.read_folder(BY_HAND)
    display(mine.head(4))
    own = evaluate.evaluate(mine, truth, micrographs=names)
    print(f"{own.tp} true, {own.fp} false, {own.fn} missed: precision {own.precision:.3f}, recall {own.recall:.3f}")
    low, high = own.intervals["f1"]
    print(f"F1 {own.f1:.3f}, 95 % interval {low:.3f} to {high:.3f}")
    record("by hand, planned", planned)
    record("by hand, scored", {"true": own.tp, "false": own.fp})
    record("F1, by hand", own.f1)

# %% [markdown]
# ### Into the table
#
# The same run, with one row more. All other cells are finished and kept, so it takes as long as scoring the picks.

# %%
if complete and not result:
    started = time.perf_counter()
    logger.setLevel(logging.WARNING)  # what is kept has been told
    more = run(comparison, folder, picks={"by_hand": BY_HAND}, **settings)
    again = time.perf_counter() - started
    kept = sum(cell in more["cells"] for cell in found["cells"])
    print(f"{again:.1f} s; {kept} of {len(found['cells'])} cells are as they were, times and all")
    show_scores(more)
    row = summary.scores(more, dataset).set_index("method").loc["by_hand"]
    record("cells kept", kept)
    record("F1, by hand, in the table", float(row["f1"]))
    record("rows of the table with picks added", len(summary.scores(more, dataset)))
elif complete:
    print("a finished result is shown here and not changed; on the command line:")
    print(f"cryokit benchmark --out RUN --config CONFIG --picks by_hand={BY_HAND}")

# %% [markdown]
# And without any notebook, on the command line; the file is the one of section 2:

# %%
if complete and not result:
    arguments = ["benchmark", "--config", str(config_file), "--trust", "--out", str(folder)]
    arguments += ["--picks", f"by_hand={BY_HAND}"]
    if not quick:
        arguments += ["--profile", "full", *(["--data", data_dir] if data_dir else [])]
        arguments += ["--labels", f"klh={labels_dir}"] if labels_dir else []
    print("cryokit", shlex.join(arguments), "\n")
    ended = subprocess.run(
        [sys.executable, "-m", "cryokit", *arguments], capture_output=True, text=True, encoding="utf-8", check=False
    )
    print(ended.stdout if ended.returncode == 0 else ended.stderr)
    record("exit status of the command", ended.returncode)

# %% [markdown]
# Picks without scores have one point and no curve, and there is no threshold to choose. Give scores where you have
# them. Picks on the validation micrographs, in the same folder, are what the threshold is chosen on.
#
# ### What goes wrong, and how it looks
#
# Coordinates of other programs live in other frames. Each of the mistakes below gives a file that looks all right, is
# read without complaint, and scores next to nothing. The picks are always the same.

# %%
if complete:
    half = round(diameter) // 2
    mistakes = {
        "read as they are": mine,
        "corner taken for the centre": mine.assign(x=mine["x"] - half, y=mine["y"] - half),
        "y counted from the other end": coordinates.flip_y(mine, heights),
        "of micrographs binned by 2": coordinates.scale(mine, 0.5),
    }
    figure, axes = plt.subplots(1, 4, figsize=(17, 5.4))
    overlays(axes, images[0], mistakes, truth)
    explain_overlays(figure)
    plt.show()
    for words, table in mistakes.items():
        each = evaluate.evaluate(table, truth, micrographs=names, bootstrap=0)
        record(f"F1, {words}", each.f1)
    renamed = mine.assign(micrograph=mine["micrograph"] + "_aligned")
    try:
        evaluate.evaluate(renamed, truth, micrographs=names)
        refused = ""
    except CryokitError as error:
        refused = str(error)
    print("other names:", refused or "no complaint")
    record("other names are refused", bool(refused))

# %% [markdown]
# How to recognise them, in a picture, not in a number:
#
# - **All picks beside their particles, in the same direction, by half a box**: a corner was read as a centre. Box files
#   have corners, STAR files have centres.
# - **Picks as dense as particles, and on none**: one axis is turned round. Programs that call the bottom row the first,
#   or that read a TIFF copy of an MRC file. Turn it back: `read_folder(path, flip_y=rows)`, `cryokit convert --flip-y`.
# - **All picks in one corner, or most of them outside**: another scale. `read_folder(path, scale=2)`, `--scale 2`.
# - **No pick counts, or an error message**: the names of the micrographs differ. They are compared whole.
#
# A row of the table with an F1 near 0 is more often one of these than a bad picker. Draw the overlay before you publish
# the number, above all if it is somebody else's.
#
# ## 7. Exercises
#
# Without JupyterLab: `cryokit notebooks run 06 -p carbon=true`, and so on.
#
# **1. The threshold.** Section 3 shows a strict, a chosen and a loose threshold. Which would you take if the picks go
# straight into 2D classification, where false ones can be thrown away? Which if they train a network?
#
# <details><summary>Answer</summary>
# <p>For 2D classification a loose one: a false pick costs some computing time, a missed particle is lost for good. For
# training a strict one: notebook 03 throws away good particles rather than keep bad ones. F1 weighs both equally, which
# fits neither. The curve serves both; that is why it is drawn.</p>
# </details>
#
# **2. The film.** Set `carbon` to true: the edge of the carbon film shows on every micrograph. Who suffers, who does
# not, and why? Look at the false picks in section 4.
#
# <details><summary>Answer</summary>
# <p>With the default seed <code>template</code> falls to 0: it makes its reference from what stands out, and the edge
# does. The shipped network misses more particles than before and falls behind AutoCryoPicker, which looks at each
# micrograph by itself and hardly notices. References that are averages of <em>labelled</em> particles cannot be led
# astray in this way. Nothing in the table of the usual micrographs told you so: a comparison is of its micrographs.</p>
# </details>
#
# **3. The signal.** Set `snr` to 0.4 and to 1.6. Does the order of the methods stay? What does it mean for a paper that
# tests at one signal-to-noise ratio?
#
# <details><summary>Answer</summary>
# <p>At 1.6 the curves crowd in the upper right corner, and many differences are smaller than their intervals: an easy
# test tells nobody apart. At 0.4 they fan out; <code>template</code> finds nothing, and the thresholds that methods
# choose by themselves are far from the best. An order at one ratio is not an order at another. <code>cryokit benchmark
# --config sweep</code> draws F1 against the ratio.</p>
# </details>
#
# **4. A tie.** Take the two neighbours in section 5 that are turned around most often. How many test micrographs would
# it take to tell them apart? Set `test` to 20 and look at $p$ again (the first six test micrographs stay the same, and
# so do those for training and validation: only the test gets longer).
#
# <details><summary>Answer</summary>
# <p>The interval of a difference shrinks with the square root of the number of micrographs: for half of it, four times
# as many. If the difference is a quarter of the interval's half, it takes sixteen times as many. Often the right answer
# is that nobody needs to know.</p>
# </details>
#
# **5. Your own picks.** Pick the test micrographs by hand, in any program (they are in `run/data`), or write a picker
# of ten lines that takes dark blobs for particles. Put it into the table. Where does its curve start, and why?
#
# <details><summary>Answer</summary>
# <pre>from cryokit.imaging.peaks import find_peaks
# tables = []
# for image in images:
#     blobs = gaussian_filter(image.data, 0.6 * diameter) - gaussian_filter(image.data, 0.35 * diameter)
#     x, y, score = find_peaks(blobs, 0.5 * diameter, 0)
#     tables.append(coordinates.table(image.name, x, y, score, diameter))
# coordinates.write_folder(coordinates.concatenate(tables), output / "blobs", "csv", micrographs=names)
# run(comparison, folder, picks={"blobs": output / "blobs"}, **settings)</pre>
# <p>At the bottom left. The darkest blobs of a particle's size are ice, so its surest picks are all false. Darkness
# alone does not make a particle: what else does, each method of the table says in another way.</p>
# </details>
