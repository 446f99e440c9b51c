# %% [markdown]
# # The comparison: many pickers, one table
#
# Every paper on particle picking has a table in which its own method stands in the last row and has the best numbers.
# This lesson makes such a table for KLH, with methods of very different kinds, asks what it is worth, and then puts the
# same questions to the paper's.
#
# **Goals**: set up a comparison that is fair, and say where it is not; read a precision-recall curve; tell a difference
# from chance, with intervals and a paired test; find what in a published table cannot be right; enter picks of your
# own.
#
# **Before**: lesson 00 (precision, recall, coordinate files); lesson 05 (thresholds).
#
# **Minutes**: 55 to read (core sections 16), 11 to compute (core sections 2), most of them in section 7. Run
# again in the same folder, it keeps what is finished and takes seconds.
#
# **In the paper**: "Comparing with the state-of-the-art approaches", "Experiments on unseen testing micrographs", the
# discussion; tables 6 and 7; figures 4 to 7.
#
# "The paper" is Al-Azzawi et al. 2020, BMC Bioinformatics 21:509 (DeepCryoPicker). Its numbers are quoted as reported,
# always in columns of their own.

# %% tags=["parameters"]
profile = "quick"  # quick: a few methods, small micrographs; full: all methods, real KLH or as many simulated (hours)
seed = 0  # another number gives other micrographs, and other networks
data = "auto"  # full: a folder with klh/micrographs and klh/labels; auto: what `cryokit data fetch klh` has brought
methods = []  # names of rows, such as ["auto", "template"], beside one of your own; []: four (quick) or all (full)
joining = ["deepcryopicker", "deepem", "deeppicker"]  # methods of section 7, trained for minutes (quick); []: none
test = 6  # micrographs to test on (quick)
snr = 0.8  # signal-to-noise ratio of the simulation (quick); that of recorded KLH micrographs is about 1.3
carbon = False  # True: the edge of the carbon film shows on every micrograph (quick)
result = ""  # folder or result.json of a finished run, to be shown instead of running
labels_dir = ""  # full: labels of your own for the real micrographs, in any format
output_dir = "out/06_klh_precision_recall"  # where the run goes

# %%
import logging
import shlex
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pandas as pd
import yaml
from IPython.display import Markdown, display
from scipy.ndimage import gaussian_filter

from cryokit import coordinates, evaluate, explore, micrograph, plot
from cryokit.benchmark import configuration, measured_before, reported, result_file, run_files, summary, verdict
from cryokit.benchmark.fewer_micrographs import turned_around
from cryokit.benchmark.run import run
from cryokit.benchmark.tables import VIEWS_RULE, beside_reported, datasets
from cryokit.cli.notebook_runner import record
from cryokit.errors import CryokitError
from cryokit.evaluate import mistakes, paired
from cryokit.plot import comparison as comparing
from cryokit.plot import curve_figures
from cryokit.plot.result_words import f1_words
from cryokit.simulate.annotator import clicks

# %%
plot.lesson_style()
output = Path(output_dir)
quick = profile == "quick"
# Every finished cell of the comparison says so, also in here.
logger = logging.getLogger("cryokit.benchmark")
logger.handlers = [logging.StreamHandler(sys.stdout)]
logger.setLevel(logging.INFO)
plot.show(plot.workflow(here="06"))

# %% [markdown]
# ## 1. What makes a comparison fair (core)
#
# Two numbers can be compared when everything that went into them was the same except the method. Here that means:
#
# - **The same micrographs, split by micrograph.** On the *training* micrographs a method may do as it likes. On the
#   *validation* micrographs its threshold is chosen. The *test* micrographs are scored, once. Splitting by particle
#   would put the same ice, the same defocus and overlapping windows on both sides.
# - **No threshold chosen on the test.** Every curve has a best point, and whoever picks it afterwards has looked at the
#   answers. Scores of different methods mean different things, so "0.5 for all" would not be fair either.
# - **The same matching.** A pick is true when its centre lies within a quarter of the diameter of a particle's, one
#   pick to one particle, so that as many as possible are matched. A loose rule makes all methods look good, and those
#   with poor centring most of all.
# - **The same labels, doubtful ones included.** A pick on something marked `ignore` (a broken or overlapping particle,
#   one that the border cuts) is neither true nor false.
# - **The same prior knowledge.** Every method is given the particle's diameter, and its threshold is chosen with the
#   labels of the validation micrographs. Methods that are also given the labels of the training micrographs are marked:
#   they answer another question.
# - **The same care.** Default settings for all. A table in which one method was tuned for weeks, and the others were
#   run once, compares weeks.
#
# One thing is not equal here and has to be said: `auto_pretrained` is a network that was trained before, on simulations
# by the simulator that makes the micrographs below (other micrographs of it). This is its home ground; section 8 shows
# what it does on recorded micrographs.
#
# | row | kind | learns from |
# |---|---|---|
# | `auto_pretrained` | a small, fully convolutional network that comes with the package | nothing here |
# | `template` | correlation with a reference, averaged over all rotations | the training micrographs |
# | `autocryopicker` | clusters grey values, looks for circles and squares | nothing: each micrograph by itself |
# | `relion_template` | correlation with averages of labelled particles, in many rotations | **labels** |
# | `BlobPicker` | dark blobs, in the lines below | nothing |
# | in section 7: `deepcryopicker` | the paper's: good picks of `autocryopicker` train a network | its own picks |
# | in section 7: `deepem` | a network on windows, trained again with its own false picks | **labels** |
# | in section 7: `deeppicker` | a network on windows | **labels** |
#
# ### A picker of your own
#
# A picker is a class with a method `pick`. Its file and name, `my_picker.py:BlobPicker`, are its name for
# `cryokit pick --method` and `cryokit benchmark --methods`, and it is compared like all the others: on the same
# micrographs, in a process of its own, with a threshold from the validation micrographs.

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

# %% [markdown]
# ## 2. The run (core)
#
# A short text says what is to be compared. `cryokit.benchmark.configuration.parse` takes it as a dictionary,
# `cryokit benchmark --config` as a file. A text that names a picker by its file runs the code in that file; `trust`
# says that you trust it.

# %%
output.mkdir(parents=True, exist_ok=True)
picker_file = output / "my_picker.py"
picker_file.write_text(MY_PICKER.lstrip(), encoding="utf-8")
own_picker = f"{picker_file.resolve()}:BlobPicker"
FOUR = ["auto_pretrained", "template", "autocryopicker", "relion_template"]  # none of them trains a network
micrographs = {"protein": "klh", "train": 4, "validation": 2, "test": test, "seed": seed, "shape": [1024, 1024]}
micrographs |= {"pixel_size": 4.4, "n_particles": 40, "snr": snr, "carbon": carbon}
asked = {
    "name": "klh_class",
    "title": "KLH, for a class",
    "methods": [*(methods or FOUR), own_picker],
    "datasets": [{"name": "klh_simulated", "title": "KLH, simulated", "simulate": micrographs}],
    "timeout": 20,
}
if not quick:
    asked = configuration.read("klh", "full").raw
    asked = asked | {"methods": [*(methods or asked["methods"]), own_picker]}
comparison = configuration.parse(asked, trust=True)
config_file = output / "klh.yaml"
config_file.write_text(yaml.safe_dump(asked, sort_keys=False), encoding="utf-8")
print(yaml.safe_dump(asked["datasets"], sort_keys=False))

# %% [markdown]
# `run` makes or finds the micrographs, then takes every method in turn: fit on the training micrographs, choose the
# threshold on the validation micrographs, score the test. Each method has a process of its own, so that its memory can
# be measured, and so that a crash is a line in the table and not the end of the evening. The result is written after
# every method; a run that was stopped picks up where it left off. **Start this cell before you talk about section 1.**

# %%
folder, began = output / "run", time.perf_counter()
settings = {
    "sources": [] if quick or data in ("auto", "simulated") else [data],
    "labels_from": {"klh": labels_dir} if labels_dir and not quick else {},
}
if result:
    found = result_file.load(result)
    folder = Path(result) if Path(result).is_dir() else Path(result).parent
else:
    found = run(comparison, folder, **settings)
dataset = next((name for name in found["datasets"] if name.startswith("klh")), next(iter(found["datasets"])))
told = found["datasets"][dataset]
names, diameter = told["micrographs"]["test"], told["diameter"]
failed = summary.failures(found)
plot.sentences(
    f"{time.perf_counter() - began:.0f} s; {told['title']} ({told['kind']}): {told['particles']['test']} particles on "
    f"{len(names)} test micrographs. " + ("; ".join(failed["error"]) or "No method has failed.")
)
record("methods", int((summary.scores(found, dataset)["seeds"] > 0).sum()))
record("failed or skipped", failed["method"].tolist())

# %% [markdown]
# Below are the micrographs, with the labels that may be looked at: those of the training micrographs by the methods
# that learn from labels, those of the validation micrographs when thresholds are chosen. Those of the test micrographs
# are for scoring alone. Particles are yellow; what is marked `ignore` is dotted white.

# %%
truth = run_files.labels(folder, dataset)
paths = run_files.micrographs(folder, dataset, settings["sources"])
# A result can be shown where the rest of its run is not: then the pictures of micrographs are left out.
complete = truth is not None and all(name in paths for name in names)
images = [micrograph.read(paths[name]) for name in names] if complete else []
if complete:
    figure, axes = plot.subplots(1, 3, height=3.4)
    for ax, split in zip(axes, ("train", "validation", "test"), strict=True):
        name = (told["micrographs"][split] or names)[0]
        labels = truth[truth["micrograph"] == name] if split != "test" else truth.iloc[:0]
        plot.overlay(ax, micrograph.read(paths[name]), labels=labels, name=name, legend=False, longest_side=400)
        ax.set_title(f"{split}: {len(told['micrographs'][split])}")
    plot.show(figure, "A training, a validation and a test micrograph; the first two with their labelled particles.")
else:
    print("the micrographs of this run are not here; their pictures are left out")
display(datasets(found).set_index("dataset").T)

# %% [markdown]
# The outcome. *AP* is the average precision, *ceiling* the highest recall at any threshold; section 3 explains both.
# The interval is over micrographs, and the seconds are those of this machine.


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
    display(shown.style.format(digits, na_rep="-"))


show_scores(found)
scores = summary.scores(found, dataset)
scored = scores[scores["seeds"] > 0].set_index("method")
titles = scored["title"].to_dict()
record("F1", scored["f1"].to_dict())
record("average precision", scored["average_precision"].to_dict())

# %% [markdown]
# ### The micrographs of the paper: table 6
#
# The paper's comparison had more micrographs, and recorded ones. Before looking at any of its scores: does the
# description of its data agree with itself?

# %%
table_6 = reported.table(6).set_index("split")
table_6["side + top"] = table_6["side"] + table_6["top"]
display(table_6.drop(columns="protein").rename_axis(None))
plot.sentences(
    [
        f'80 micrographs, "80 % of training (60 micrographs) and 20 % testing (20 micrographs)": 80 % of 80 is '
        f"{0.8 * 80:.0f}. Table 1 of the paper has 82 micrographs, 65 and 17.",
        '**The views are swapped**: the text has "725 top-views and 853 side-views" and "293 top-views and 252 '
        f'side-views", the table above {table_6["side"]["train"]} and {table_6["side"]["test"]} *side* views.',
        f"The text has 1587 training particles in all; the sum of its own two numbers is {725 + 853}.",
        "The table's voxel size is 1.24 Å; these KLH micrographs have 2.2 Å a pixel.",
    ]
)

# %% [markdown]
# None of this decides who picks better. It shows how much care went into the tables, and it matters where results are
# given by view: the text does not let us know which curve of the paper's figure 4 belongs to which view.

# %% [markdown]
# ## 3. Precision-recall curves (core)
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
# The curve is the path of that point, from a threshold above all scores to one below them; every candidate is on it.

# %%
# Those of a result written with --summary have been left out, and picks without scores have no threshold.
with_curve = [summary.finished(found, dataset, method)[0] for method in scored.index]
with_curve = [cell for cell in with_curve if cell["curve"] and cell["threshold"] is not None]
curves = bool(with_curve)
if curves:
    cell = with_curve[len(with_curve) // 2]
    middle = titles[cell["method"]]
    plot.show(curve_figures.reading_a_curve(cell, middle))
    every = [len(each["curve"]["threshold"]) for each in with_curve]
    plot.sentences(
        f"The stored curves have from {min(every)} to {max(every)} points, one for each score that a candidate has."
    )
    record("points of curves", {each["method"]: len(each["curve"]["threshold"]) for each in with_curve})

# %% [markdown]
# The same three thresholds on a micrograph:

# %%
if curves and complete:
    figure, axes = plot.subplots(1, 3, height=4.2)
    place = folder / "picks" / cell["method"] / dataset / f"seed{cell['seed']}" / f"{names[0]}.csv"
    candidates = coordinates.read(place)
    levels = curve_figures.levels(cell)
    at_levels = {f"{words}, {level:.2f}": candidates[candidates["score"] >= level] for words, level in levels.items()}
    comparing.overlays(axes, images[0], at_levels, truth)
    curve_figures.explain_below(figure)
    words = "; ".join(f"{title}: {len(table)} picks" for title, table in at_levels.items())
    plot.show(figure, f"One micrograph at three thresholds of {middle}. {words}.")

# %% [markdown]
# What to look at, in this order:
#
# 1. **The right end.** No threshold finds more than the *recall ceiling*: the other particles were never candidates. No
#    better threshold brings back what is lost there.
# 2. **The left end.** The surest picks. A picker whose curve starts low is sure of something that is not a particle:
#    carbon, ice, the border.
# 3. **The bend.** Where the curve turns down, particles run out and noise begins. A sharp corner at the upper right
#    means that the scores separate the two, and that the threshold hardly matters. A long slope means that it does
#    matter.
# 4. **The dot**, the chosen threshold. The thin grey lines have equal F1: is the dot on the highest line that the curve
#    touches? It was chosen on other micrographs, so it need not be.
#
# The *average precision* (AP) is the area under the steps. It describes the curve, F1 describes the dot: a good curve
# with a badly chosen dot has a high AP and a low F1.
#
# ### All of them
#
# The methods without labels are on the left, those with labels on the right: two questions, two pictures.

# %%
plot.show(curve_figures.curves_by_labels(found, dataset))

# %% [markdown]
# ### By view, as in the paper's figures 4 and 6
#
# A KLH particle is a ring from the top and a square from the side. An average hides that a picker finds one and not the
# other. For one view, the particles of the other are left out of the count, with the picks on them; a false pick is on
# neither view, and counts for both. Some methods say which view they take a pick for. That is another question, with a
# number of its own below: a particle that was found and misnamed was still found.

# %%
by_view = summary.views(found, dataset)
views = [view for view in by_view["view"].unique() if view != reported.AVERAGE]
if views:
    plot.show(curve_figures.curves_by_view(found, dataset, views))
    display(Markdown(VIEWS_RULE))
    wide = by_view.pivot_table("f1", index="method", columns="view").loc[scored.index, [*views, reported.AVERAGE]]
    named_right = by_view.drop_duplicates("method").set_index("method")["named_right"]
    shown = wide.assign(**{"view named right": named_right}).rename(index=titles)
    display(shown.rename_axis(None).rename_axis("F1", axis=1).style.format("{:.3f}", na_rep="-"))
    for view in views:
        record(f"F1 of {view} views", {method: float(value) for method, value in wide[view].items()})
else:
    print("the labels of these micrographs do not tell views apart")

# %% [markdown]
# The paper's figure 4 has one curve for each shape of particle of *one* method over all its data sets; its figure 6 one
# curve for each method. Both of ours are above.

# %% [markdown]
# ## 4. What the curves do not show (further)
#
# A curve counts mistakes and does not say which they are. The pictures below are in the manner of the paper's figure 7:
# true picks, false ones, missed particles, and picks on `ignore`, which count neither way.

# %%
SHOWN = scored.index[:4]
if complete:
    kept = run_files.picks(folder, found, dataset, names[0])
    by_title = {titles[method]: kept[method] for method in SHOWN if method in kept}
    figure, axes = plot.subplots(2, 2, height=7)
    comparing.overlays(axes, images[0], by_title, truth)
    curve_figures.explain_below(figure)
    plot.show(figure, f"Picks of {len(by_title)} methods on {names[0]}, true, false, missed and not counted.")

# %% [markdown]
# One micrograph is an illustration. Do the methods miss the same particles on all of them? Each column below is a
# particle on a test micrograph, with those that most methods find on the left; each row is a method.

# %%
judged = {}
for method in scored.index if complete else ():
    tables = [run_files.picks(folder, found, dataset, name).get(method) for name in names]
    if all(table is not None for table in tables):
        picks = coordinates.concatenate(tables)
        judged[method] = evaluate.evaluate(picks, truth, micrographs=names, bootstrap=0)
if judged:
    particles = next(iter(judged.values())).labels.query("outcome != 'ignore'")
    is_found = {method: each.labels.loc[particles.index, "outcome"] == "found" for method, each in judged.items()}
    is_found = pd.DataFrame(is_found)
    plot.show(curve_figures.found_by(is_found, particles["view"], titles))
    often, best, most = is_found.sum(axis=1), is_found.mean().idxmax(), is_found.mean().max()
    plot.sentences(
        f"{(often == len(judged)).sum()} of {len(often)} particles are found by all methods, {(often == 0).sum()} "
        f"by none. The most that one finds is {most:.1%} ({titles[best]}), all together {(often > 0).mean():.1%}."
    )
    record("found by all methods", float((often == len(judged)).mean()))
    record("found by some method", float((often > 0).mean()))
    record("the most that one method finds", float(most))

# %% [markdown]
# Where a column is all blue or all orange, the particle decides, not the method. Where the rows differ, two methods
# together could find more than either: the idea behind consensus picking.
#
# And what are the false picks? Four kinds need four cures. A **second pick** on a particle that has one needs better
# non-maximum suppression; one **off the centre**, between 0.25 and 0.75 diameters from a particle, needs better
# centring; one **at the border**, less than half a diameter from it, needs a margin that is left out; one on
# **something else** needs a better idea of what a particle is.

# %%
counted, kinds_of = {}, {}
for method, each in judged.items():
    kinds_of[method] = mistakes.false_kinds(each, {image.name: image.data.shape for image in images}, diameter)
    numbers = kinds_of[method].value_counts().reindex(mistakes.KINDS, fill_value=0)
    counted[method] = {"true": each.tp, "missed": each.fn, "false": each.fp, **numbers}
if judged:
    table = pd.DataFrame(counted).T
    display(table.rename(index=titles).rename_axis(None))
    record("false picks", table["false"].to_dict())
    record("false picks by kind", table[list(mistakes.KINDS)].sum().to_dict())

# %% [markdown]
# The false picks with the highest scores, and particles that were missed (smoothed, for the eye). The sheets on the
# left show what a method takes for a particle, those on the right what it does not know.

# %%
# Without pixel sizes there is no scale bar, which would hide the last of a row.
smooth = [replace(each, data=gaussian_filter(each.data, diameter / 60), pixel_size=None) for each in images]
shown = [method for method in judged if judged[method].fp and judged[method].fn][:6]
if shown:
    figure, axes = plot.subplots(len(shown), 2, height=1.15 * len(shown), squeeze=False)
    for line, method in zip(axes, shown, strict=True):
        false = judged[method].picks.loc[kinds_of[method].index]
        lost = judged[method].labels.query("outcome == 'missed'")
        lost = lost.sample(min(7, len(lost)), random_state=seed)
        for ax, picks, words in zip(line, (false, lost), (f"{titles[method]}: false", "missed"), strict=True):
            plot.contact_sheet(ax, smooth, picks.assign(diameter=diameter), 7, columns=7)
            ax.set_anchor("W")
            ax.set_title(words, fontsize=10, loc="left")
    plot.show(figure, f"For {len(shown)} methods, left false picks and right missed particles, cut out and smoothed.")

# %% [markdown]
# Sheets show only a few. In JupyterLab the explorer shows all picks of the first method where they lie: move the
# threshold, and the counts and the point on the curve follow. A click adds a pick, an Alt-click removes one, `?` lists
# the rest. What you change comes back as `explorer.picks`. Outside JupyterLab, `cryokit view` writes the same as a
# page.

# %%
if judged:
    best = next(iter(judged))
    explorer = explore(images, judged[best].picks, truth[truth["micrograph"].isin(names)])
    display(explorer)

# %% [markdown]
# ## 5. Reading the differences (core)
#
# ### Could it be chance?
#
# The bars are 95 % intervals over micrographs: how much F1 would vary if other micrographs of this kind had been taken.

# %%
plot.show(curve_figures.intervals(found, dataset))

# %% [markdown]
# Two bars that overlap do *not* mean that two methods are equal. The micrographs differ in crowding, defocus and ice,
# and all methods face the same ones: a difficult micrograph pulls all of them down together. What counts is whether one
# method is ahead of the other *on the same micrograph*, again and again.

# %%
per_micrograph = {}
for method in scored.index:
    counts = summary.per_micrograph(found, dataset, method).groupby("micrograph")[["tp", "fp", "fn"]].sum()
    per_micrograph[method] = 2 * counts["tp"] / (2 * counts["tp"] + counts["fp"] + counts["fn"])
per_micrograph = pd.DataFrame(per_micrograph).reindex(names)
plot.show(curve_figures.micrograph_lines(found, dataset, per_micrograph))

# %% [markdown]
# The **paired test** asks that. If two methods were equal, their counts on any micrograph might as well be exchanged.
# Try all ways of exchanging them: the share that gives a difference at least as large as the one seen is $p$. With $n$
# micrographs there are $2^n$ ways, and two of them are always as extreme as what was seen (it, and its mirror image).
# So $p$ is never below $2 / 2^n$, *whatever the methods do*. Six micrographs are the fewest that can give a $p$ below
# 0.05, and only when one method is ahead on every one of them. And anyone who compares ten methods makes 45
# comparisons, of which about two have a $p$ below 0.05 by chance alone. So below, every $p$ is **corrected** for the
# number of pairs (Holm's method), which takes more micrographs still:

# %%
numbers = pd.Series({n: paired.least_p(n) for n in (1, 2, 3, 4, 5, 6, 10, 20)}, name="least p")
display(numbers.to_frame().T.rename_axis("micrographs", axis=1).style.format("{:.2g}"))
record("least p of two micrographs", float(numbers[2]))
display(Markdown("\n\n".join([*verdict.run(found), *verdict.dataset(found, dataset)])))

# %%
first = scored.index[0]
against = summary.against(found, dataset, first).set_index("title")
shown = against.assign(low=against["interval"].str[0], high=against["interval"].str[1])
shown = shown[["difference", "low", "high", "corrected", "distinguishable"]].rename(columns={"corrected": "p"})
shown = shown.rename_axis(f"{titles[first]} ahead of")
shown["distinguishable"] = shown["distinguishable"].map({True: "yes", False: ""})
display(shown.style.format("{:.3f}", subset=["difference", "low", "high", "p"]))
record("first", first)
record("distinguishable from the first", int(against["distinguishable"].sum()))
record("least p here", float(against["p"].min()))

# %% [markdown]
# Now take fewer of the test micrographs, as many papers do. For each number of micrographs, the table gives the share
# of all choices that would have put two neighbours in the table of scores *the other way round*:

# %%
sizes = [n for n in (1, 2, 3, 4, 6, 10) if n < len(names)]
turned = turned_around(found, dataset, sizes, seed=seed)
shown = turned.rename_axis("micrographs:", axis=1).style.format("{:.0%}")
display(shown.background_gradient(cmap="Oranges", vmin=0, vmax=0.5, axis=None))
plot.sentences(
    f"With {sizes[0]} micrograph, up to {turned[sizes[0]].max():.0%} of the choices turn two neighbours around, "
    f"{turned[sizes[0]].mean():.0%} on average; with {sizes[-1]} micrographs {turned[sizes[-1]].mean():.0%} on average."
)
record("turned around with one micrograph, at most", float(turned[sizes[0]].max()))
record("turned around, the fewest and the most micrographs", [float(turned[n].mean()) for n in (sizes[0], sizes[-1])])

# %% [markdown]
# What a class may say about this table, and what it may not:
#
# - A difference of a few hundredths between neighbours is not a result, however many digits it is printed with.
# - "Not distinguishable" is not "equal". With two micrographs *nothing* is distinguishable: the least $p$ is 0.5.
# - An interval from few micrographs is too narrow: the bootstrap knows only the ones it has.
# - All of this is about *these* methods as trained *once* (another seed gives another network; that is what `cryokit
#   benchmark --seeds 3` is for), on *this* protein, at *this* signal-to-noise ratio. No interval here covers that.
# - Comparing ten methods with the first takes ten tests. At 0.05, one test in twenty comes out by chance.
#
# ### Whose threshold?
#
# The curves below show F1 on the test micrographs against the threshold. The dashed line is the threshold that the
# picker chose by itself, the solid one was chosen on the labelled validation micrographs; a dot marks the top, which
# nobody can choose. Methods that would hold out labelled micrographs to find a threshold of their own learn from all of
# them here, and so have none.

# %%
if curves:
    plot.show(curve_figures.thresholds(found, dataset))
thresholds = scored[["own_f1", "f1", "best_f1"]].set_axis(scored["title"]).rename_axis(None)
thresholds.columns = ["own threshold", "validation threshold", "best on the test (flatters)"]
display(thresholds.style.format("{:.3f}", na_rep="-"))
flattery, worth = (scored["best_f1"] - scored["f1"]).max(), (scored["f1"] - scored["own_f1"]).mean()
plot.sentences(
    f"Two labelled micrographs are worth {worth:+.3f} F1 on average to the methods with a threshold of their own. "
    f"Choosing on the test would add up to {flattery:.3f}, all of it flattery."
)
record("what the best threshold would add, at most", float(flattery))
record("what validation adds to the own threshold, mean", float(worth))

# %% [markdown]
# A flat top is forgiving, a narrow one is not. A network's 0.5 is not a law: what it means depends on how many
# particles and how much background it was trained with.
#
# ### With labels or without?

# %%
lines = [
    f"Labelled: {told['particles']['train']} particles on {len(told['micrographs']['train'])} training micrographs."
]
for labels in (False, True):
    standing, words = summary.standing(found, dataset, labels=labels), "with labels" if labels else "without labels"
    if len(standing):
        row = standing.iloc[0]
        lines.append(f"Best {words}: {row['title']}, F1 {row['f1']:.3f} ({row['f1_low']:.3f} to {row['f1_high']:.3f}).")
        record(f"best F1 {words}", float(row["f1"]))
plot.sentences(lines)

# %% [markdown]
# Labels cost somebody an afternoon, and they settle the question of what a particle is. A hundred of them are few for a
# network that starts from nothing, and plenty for a correlation with averages. A method without labels that loses to
# one with labels has not lost: ask what the labels cost. One that wins deserves a second look: here, at what it was
# trained on before (section 1).
#
# ### And time

# %%
plot.show(curve_figures.fit_times(found, dataset))

# %% [markdown]
# The seconds hold for this machine and these small micrographs, and for networks with few training steps. Fitting is
# paid for once per data set, picking for every micrograph: with thousands of them only the left picture counts.

# %% [markdown]
# ## 6. The paper, read critically (core)
#
# ### Table 7
#
# These are the methods that the paper compares, as in its table 7. The columns on the right are the paper's:
# **reported, not measured here**.

# %%
beside = beside_reported(found, dataset)
if len(beside):
    shown = beside.set_index(["method", "view"]).rename_axis([None, None])
    display(shown.style.format("{:.3f}", na_rep=""))
else:
    print("the paper reports nothing of these methods")
record("methods with reported numbers", int(beside["method"].nunique()))

# %% [markdown]
# May the two be compared? Not as numbers. The paper's are from 20 recorded micrographs, with labels made by people and
# a matching rule that it does not give; ours are from simulated ones at another signal-to-noise ratio, with networks
# trained on four micrographs. What can be compared is a *claim*: is DeepCryoPicker ahead of DeepEM, DeepPicker and
# RELION-2? Section 7 adds the first three, and the test of section 5 says how sure the answer is. If the claim does not
# hold here, that does not refute the paper: it says that the claim depends on micrographs, training or settings, and
# that somebody should find out on which.
#
# A table can be read with care even without its micrographs. Two checks need nothing but arithmetic. First, F1 lies
# between precision and recall. Second, among picks there are no true negatives, so the accuracy that the paper defines,
# $(TP + TN) / (TP + FP + TN + FN)$, can only be $TP / (TP + FP + FN)$, which follows from the other two.

# %%
table_7 = reported.table(7)
of_views = table_7[table_7["view"] != reported.AVERAGE].copy()  # the averages are means of the two rows above them
rows = zip(of_views["f1"], of_views["precision"], of_views["recall"], strict=True)
of_views["F1 possible"] = [mistakes.f1_possible(*row) for row in rows]
of_views["accuracy without TN"] = 1 / (1 / of_views["precision"] + 1 / of_views["recall"] - 1)
columns = ["method", "view", "precision", "recall", "f1", "F1 possible", "accuracy", "accuracy without TN"]
shown = of_views[columns].style.format("{:.3f}", subset=["precision", "recall", "f1", "accuracy", columns[-1]])
display(shown.hide(axis="index"))
impossible = of_views[~of_views["F1 possible"]]
too_high = (of_views["accuracy"] - of_views["accuracy without TN"]).mean()

# %%
plot.sentences(
    "**An impossible F1**: "
    + "; ".join(
        f"{r.method}, {r.view}: {r.f1:g} from {r.precision:g} and {r.recall:g}" for r in impossible.itertuples()
    )
    + ". It is above both, and no rounding of a mean does that; the average below it inherits the mistake.",
    f"The reported accuracies are {too_high:.2f} above what precision and recall allow, on average: true negatives of "
    "some kind were counted, and the paper does not say what they are.",
)
record("rows of table 7 with an impossible F1", [f"{row.method}, {row.view}" for row in impossible.itertuples()])

# %% [markdown]
# ### Is the lead larger than chance?
#
# DeepCryoPicker's reported F1 is 0.955, RELION-2's 0.935, on 20 micrographs with 545 particles. The paper has no
# intervals, no test, and no counts for each micrograph. The smallest uncertainty that there can be is that of counting
# 545 particles, as if they were independent:

# %%
ahead = table_7.query("view == @reported.AVERAGE").set_index("method")
n = int(reported.table(6).set_index("split")["particles"]["test"])
share = ahead["recall"]["deepcryopicker"]
error = (share * (1 - share) / n) ** 0.5
lead = ahead["recall"]["deepcryopicker"] - ahead["recall"]["relion_template"]
apart = (2 * error**2) ** 0.5
plot.sentences(
    f"A recall of {share:.3f} of {n} particles has a standard error of {error:.3f}. The lead in recall is {lead:.3f}, "
    f"**{lead / apart:.1f} standard errors** of an unpaired difference ({apart:.3f}). From the numbers printed "
    "nobody can know whether there is a difference at all; a paired test over the 20 micrographs could have told."
)
record("lead in recall, in standard errors", lead / apart)

# %% [markdown]
# ### The figures
#
# - **Figure 6**: the text has DeepEM's curve in blue and PIXER's in black, the caption PIXER's in blue and DeepEM's in
#   black. One of the two methods is drawn as the other. (This is why each method has the same colour in all pictures
#   here.)
# - **Figure 7** shows one micrograph for each pair of methods, a different one for each, chosen by the authors, with
#   arrows pointing at mistakes. A picture illustrates a number; it is not evidence. Section 4 counts.
# - **Figures 3 and 5** show picks and no truth: what was missed cannot be seen.
# - **Figure 4** pools the micrographs of several proteins in one curve for each shape: how many of which, it does not
#   say. And the "average precision of 100 %" in the section on training is of the training data (lesson 04).
#
# ### The discussion
#
# | what the paper claims | what its data show | where to measure it |
# |---|---|---|
# | training needs no labels | shown for four proteins; wrong labels are not counted | lesson 03; lesson 04, section 4 |
# | preprocessing makes low-SNR micrographs usable | pictures of particles; no picking without it | lesson 01 |
# | NMS reduces false picks | no count with and without it | lesson 05, section 8 |
# | it works on unseen proteins | three pictures, no numbers | section 8 |
# | "as good as state-of-the-art methods" | a lead of two hundredths without intervals | this lesson |
#
# A fair summary of the paper's own numbers is its last sentence, "performed accurately as good as particle picking
# state-of-the-art methods", rather than "slightly better than RELION-2". As for prior knowledge, the comparison is
# unequal in both directions: DeepEM and RELION-2 were given labelled KLH particles, PIXER and DeepPicker were trained
# on other proteins, and DeepCryoPicker on KLH's own micrographs without labels.

# %% [markdown]
# ## 7. Three networks join in (further)
#
# DeepCryoPicker trains its network with what component 1 finds, DeepEM and DeepPicker theirs with the labelled
# particles, all for minutes. Nothing is run twice for them: a run takes new methods in, and keeps the cells that are
# finished.

# %%
joined = [name for name in joining if name not in found["methods"]] if quick and not result else []
if joined:
    asked["methods"] = [*asked["methods"][:-1], *joined, own_picker]
    comparison = configuration.parse(asked, trust=True)
    config_file.write_text(yaml.safe_dump(asked, sort_keys=False), encoding="utf-8")
    found = run(comparison, folder, **settings)
    scored = summary.scored(found, dataset).set_index("method")
    titles = scored["title"].to_dict()
    show_scores(found)
    plot.show(curve_figures.curves_by_labels(found, dataset))
else:
    print("no method joins")
record("methods that joined", joined)
record("F1 with those that joined", scored["f1"].to_dict())

# %% [markdown]
# Look at the column of seconds before the one of F1: a correlation with averages learns from the labels in a fraction
# of the time. Then ask the question of section 5 of the new pairs:

# %%
if joined:
    display(Markdown("\n\n".join([*verdict.run(found), *verdict.dataset(found, dataset)])))
    beside = beside_reported(found, dataset).set_index(["method", "view"]).rename_axis([None, None])
    display(beside.style.format("{:.3f}", na_rep=""))

# %% [markdown]
# ## 8. Never seen, and recorded (further)
#
# ### Proteins that no network has seen: figure 5
#
# The paper picks three proteins that were not in its training set: MS2, the T20S proteasome, and beta-galactosidase at
# another resolution. It shows three pictures. Here is the experiment with numbers, for the first two (simulated). It
# *was measured before*, by `cryokit benchmark --config unseen`; the result comes with cryokit and is not computed here.
# Methods learned from micrographs of KLH, apoferritin, the ribosome and beta-galactosidase.

# %%
unseen = measured_before.measured("unseen")
plot.show(curve_figures.unseen_bars(unseen))
lines = []
for name, of_set in unseen["datasets"].items():
    table = summary.scored(unseen, name)
    count = len(of_set["micrographs"]["test"])
    best, worst = table.iloc[0], table.iloc[-1]
    lines.append(
        f"{of_set['title']}, n = {count}: from {best['f1']:.2f} ({best['title']}) to {worst['f1']:.2f} "
        f"({worst['title']}); with {count} micrographs p is at least {paired.least_p(count):.2g}, so no order is "
        "certain."
    )
plot.sentences(lines)
record(
    "best F1 on unseen proteins", {name: float(summary.scored(unseen, name)["f1"].max()) for name in unseen["datasets"]}
)

# %% [markdown]
# So a network can pick a protein that it has never seen, if what makes a particle a particle is the same: a compact,
# dark shape of a given size. The spread between networks is larger than in section 3, where each had seen its protein.
#
# ### Recorded micrographs
#
# Simulated micrographs are easier than they look: their noise is that of the simulator. The same methods on recorded
# ones, again *measured before* (`cryokit benchmark --config real --profile full`); fetch the data with `cryokit data
# fetch` and run it yourself.

# %%
before = measured_before.measured("real")
rows = []
for name, of_set in before["datasets"].items():
    for row in summary.scored(before, name).itertuples():
        if row.method in scored.index:
            low, high = (f"{value:.2f}" if value == value else "?" for value in (row.f1_low, row.f1_high))
            words = f"{of_set['title']} (n = {len(of_set['micrographs']['test'])})"
            rows.append((words, row.title, f"{row.f1:.3f} ({low}-{high})"))
table = pd.DataFrame(rows, columns=["micrographs", "method", "F1"])
display(table.pivot_table("F1", "method", "micrographs", aggfunc="first").fillna("-").rename_axis(None))

# %% [markdown]
# Micrographs with n = 1 have no interval, and no order. The columns differ from each other more than the rows: what is
# easy for one method is easy for most. And the network that comes with the package, first on its home ground, is not
# first everywhere.

# %% [markdown]
# ## 9. Bring your own picks (further)
#
# Your program is not in the table? It need not be: the table takes *picks*. Here somebody (simulated, too) has gone
# through the test micrographs by hand and saved EMAN1 boxes: 15 % of the particles were overlooked, clicks are not
# quite on the centre, and some are on nothing.

# %%
BY_HAND = output / "by_hand"
if complete:
    made = clicks(images, truth, diameter, seed=seed)
    coordinates.write_folder(made.picks, BY_HAND, "box", micrographs=names, box_size=round(diameter))
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
    plot.sentences(
        f"{own.tp} true, {own.fp} false, {own.fn} missed on {len(names)} micrographs: precision {own.precision:.3f}, "
        f"recall {own.recall:.3f}, {f1_words(own)}."
    )
    record("by hand, planned", {"true": made.true, "false": made.false})
    record("by hand, scored", {"true": own.tp, "false": own.fp})
    record("F1, by hand", own.f1)

# %% [markdown]
# ### Into the table
#
# The same run, with one more row. All other cells are finished and kept, so it takes only as long as scoring the picks.

# %%
if complete and not result:
    logger.setLevel(logging.WARNING)  # what is kept has been told
    more = run(comparison, folder, picks={"by_hand": BY_HAND}, **settings)
    kept = sum(cell in more["cells"] for cell in found["cells"])
    plot.sentences(f"{kept} of {len(found['cells'])} cells are as they were, times and all.")
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
        arguments += ["--profile", "full", *(["--data", *settings["sources"]] if settings["sources"] else [])]
        arguments += ["--labels", f"klh={labels_dir}"] if labels_dir else []
    print("cryokit", shlex.join(arguments), "\n")
    options = {"capture_output": True, "text": True, "encoding": "utf-8", "check": False}
    ended = subprocess.run([sys.executable, "-m", "cryokit", *arguments], **options)
    print(ended.stdout if ended.returncode == 0 else ended.stderr)
    record("exit status of the command", ended.returncode)

# %% [markdown]
# Picks without scores have one point and no curve, and there is no threshold to choose. Give scores where you have
# them. Picks on the validation micrographs, in the same folder, are what the threshold is chosen on.
#
# ### What goes wrong, and how it looks
#
# Coordinates of other programs live in other frames. Each of the mistakes below gives a file that looks all right, is
# read without complaint, and scores next to nothing. The picks are the same each time.

# %%
if complete:
    half_box, heights = round(diameter) // 2, {image.name: image.data.shape[0] for image in images}
    frames = {
        "as they are": mine,
        "corner for centre": mine.assign(x=mine["x"] - half_box, y=mine["y"] - half_box),
        "y from the other end": coordinates.flip_y(mine, heights),
        "binned by 2": coordinates.scale(mine, 0.5),
    }
    figure, axes = plot.subplots(2, 2, height=7)
    comparing.overlays(axes, images[0], frames, truth)
    curve_figures.explain_below(figure)
    for words, table in frames.items():
        each = evaluate.evaluate(table, truth, micrographs=names, bootstrap=0)
        record(f"F1, {words}", each.f1)
    plot.show(figure, "The same picks four times: as they are, shifted by half a box, flipped, and at half the scale.")

# %%
if complete:
    renamed = mine.assign(micrograph=mine["micrograph"] + "_aligned")
    try:
        evaluate.evaluate(renamed, truth, micrographs=names)
        refused = ""
    except CryokitError as error:
        refused = str(error)
    print("other names:", refused or "no complaint")
    record("other names are refused", bool(refused))

# %% [markdown]
# How to recognise them, in a picture and not in a number:
#
# - **All picks beside their particles, in the same direction, by half a box**: a corner was read as a centre. Box files
#   have corners, STAR files have centres.
# - **As many picks as particles, but on none of them**: one axis is flipped. Some programs call the bottom row the
#   first, or read a TIFF copy of an MRC file. Flip it back: `read_folder(path, flip_y=rows)`,
#   `cryokit convert --flip-y`.
# - **All picks in one corner, or most of them outside**: another scale. `read_folder(path, scale=2)`, `--scale 2`.
# - **No pick counts, or an error message**: the names of the micrographs differ. They are compared whole.
#
# A row of the table with an F1 near 0 is more often one of these than a bad picker. Draw the overlay before you publish
# the number, above all if it is somebody else's.
#
# ## 10. Whose truth? (further)
#
# Every number in this lesson was measured against labels. Here a simulation made them, and they are right. On recorded
# micrographs people make them, and people differ. Let three of them label the test micrographs: each overlooks 15 % of
# the particles, clicks a little beside the centres, and takes some noise for particles. A class does the same in the
# explorer, where everybody saves a file. `cryokit consensus` compares the files.

# %%
if complete:
    people = {
        name: clicks(images, truth, diameter, seed=seed + number).picks
        for number, name in enumerate(("anna", "ben", "cleo"), 1)
    }
    CLASS = output / "class"
    for name, picks in people.items():
        coordinates.write_folder(picks, CLASS / name, "star", micrographs=names)
    arguments = ["consensus", *(str(CLASS / name) for name in people)]
    arguments += ["--diameter", f"{diameter:g}", "--out", str(CLASS / "consensus")]
    print("cryokit", shlex.join(arguments), "\n")
    options = {"capture_output": True, "text": True, "encoding": "utf-8", "check": False}
    ended = subprocess.run([sys.executable, "-m", "cryokit", *arguments], **options)
    print(ended.stdout if ended.returncode == 0 else ended.stderr)

# %% [markdown]
# The consensus is what more than half of them found. Here, for once, the truth is known, so that all four can be
# compared with it:

# %%
if complete:
    consensus, _ = coordinates.read_folder(CLASS / "consensus" / "picks")
    labelled = {**people, "two of three": consensus}
    figure, axes = plot.subplots(2, 2, height=7)
    comparing.overlays(axes, images[0], labelled, truth)
    curve_figures.explain_below(figure)
    plot.show(figure, "What three people labelled, and what two of the three did: true, false and missed labels.")

# %%
if complete:
    against = {who: evaluate.evaluate(picks, truth, micrographs=names, bootstrap=0) for who, picks in labelled.items()}
    perfect = truth[truth["view"] != coordinates.IGNORE]
    by_labels = {
        who: evaluate.evaluate(perfect, picks, micrographs=names, bootstrap=0) for who, picks in people.items()
    }
    agreed = pd.read_csv(CLASS / "consensus" / "agreement.csv")["agreement"]
    rows = [(who, each.tp, each.fn, each.fp, each.f1) for who, each in against.items()]
    display(pd.DataFrame(rows, columns=["labels of", "true", "overlooked", "on nothing", "F1"]).round(3))
    plot.sentences(
        f"Two people agree to {agreed.mean():.2f} on average. A perfect picker, judged by the labels of one of them, "
        f"would get an F1 of {min(each.f1 for each in by_labels.values()):.2f} to "
        f"{max(each.f1 for each in by_labels.values()):.2f}."
    )
    record("F1 of labels", {who: each.f1 for who, each in against.items()})
    record("F1 of a perfect picker by labels", {who: each.f1 for who, each in by_labels.items()})
    record("agreement of two people", agreed.tolist())

# %% [markdown]
# - **Labels are the ceiling.** F1 does not ask which of two tables is the truth. So a perfect picker, judged by
#   somebody's labels, gets the F1 of these labels, and what they have overlooked counts as its false picks. Near that
#   limit methods cannot be told apart, however many micrographs there are.
# - **Two people agree less than either is right**, since the mistakes of both count.
# - **A consensus is better than those who made it**, as far as their mistakes differ. These three are simulated, and
#   theirs do. People overlook the same faint particles and take the same ice for one, and so does their consensus.
#   Agreement shows how sure the labels are, not that they are right.
#
# "Ground truth" on a recorded micrograph is therefore an agreement. Say who labelled, how many they were, and how far
# they agree.
#
# ## Key points
#
# - A comparison is fair when everything but the method is the same: micrographs, split, labels, matching, thresholds,
#   prior knowledge, care. What is not the same has to be said.
# - A curve tells more than a number, and the mistakes tell more than the curve.
# - Micrographs, not particles, are the sample. With fewer than six, no test can find a difference.
# - A table can be checked by arithmetic: F1 between precision and recall, sums that add up, no true negatives among
#   picks.
# - An F1 near 0 is usually a wrong frame.
# - No method can be measured to be better than the labels, and people's labels differ.
#
# ## Questions
#
# **1.** Section 3 shows a strict, a chosen and a loose threshold. Which would you take if the picks go straight into 2D
# classification, where false ones can be thrown away? Which if they are to train a network?
#
# <details><summary>Answer</summary>
# <p>For 2D classification a loose one: a false pick costs some computing time, a missed particle is lost for good. For
# training a strict one: lesson 03 throws away good particles rather than keep bad ones. F1 weighs both equally, which
# fits neither. The curve serves both; that is why it is drawn.</p>
# </details>
#
# **2.** Take the two neighbours in section 5 that change places most often. How many test micrographs would it take to
# tell them apart?
#
# <details><summary>Answer</summary>
# <p>The interval of a difference shrinks with the square root of the number of micrographs: for half of it, four times
# as many. If the difference is a quarter of the interval's half width, it takes sixteen times as many. Often the right
# answer is that nobody needs to know. (Set <code>test</code> to 20 and look at p again.)</p>
# </details>
#
# **3.** A paper reports precision 0.90, recall 0.80 and F1 0.88 for its method. What do you say?
#
# <details><summary>Answer</summary>
# <p>The harmonic mean is 0.847; with rounding it can be at most 0.852. One of the three numbers is wrong, or all three
# are averages over something (views, micrographs), and then the paper should say so.</p>
# </details>
#
# **4.** A new method is tested on four micrographs and is ahead of yours on each. Is it better?
#
# <details><summary>Answer</summary>
# <p>Perhaps, but these micrographs cannot show it: even if it is ahead on all four, p is 2 / 16 = 0.125.</p>
# </details>
#
# **5.** Your picks, read into the table, have an F1 of 0.02. What do you look at first?
#
# <details><summary>Answer</summary>
# <p>An overlay. Picks that are shifted by half a box, flipped, or at another scale are in the wrong frame; that has
# nothing to do with the picker.</p>
# </details>
#
# ## Try it
#
# Without JupyterLab: `cryokit notebooks run 06 -p carbon=true`, and so on.
#
# - **The film.** Set `carbon` to true: the edge of the carbon film shows on every micrograph. Who suffers, who does
#   not, and why? Look at the false picks in section 4.
# - **The signal.** Set `snr` to 0.4 and to 1.6. Does the order of the methods stay? What does that mean for a paper
#   that tests at one signal-to-noise ratio? (`cryokit benchmark --config sweep` draws F1 against the ratio.)
# - **Your own picker.** Change `BlobPicker`: subtract a wider Gaussian, or leave out what lies at the border. How far
#   up the table does it come, and does the paired test notice?
# - **Your own picks.** Pick the test micrographs by hand, in the explorer or in any program (they are in `run/data`),
#   and put them into the table.
#
# ## Read on
#
# - `benchmarks/RESULTS.md`: all methods, more proteins, recorded micrographs.
# - Dhakal et al. 2023, *CryoPPP*, Scientific Data 10:392: 34 data sets with labels.
# - Good 2005, *Permutation, Parametric and Bootstrap Tests of Hypotheses*, chapter 3: the paired test.
# - Demšar 2006, *Statistical comparisons of classifiers over multiple data sets*, JMLR 7:1.
