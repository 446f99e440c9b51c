# %% [markdown]
# # Good particle selection
#
# Notebook 02 ends with particles that were picked without a single label. Some of them are broken, some are two that
# touch, some are ice. A picker may live with that; a *training set* may not. This notebook decides on every pick
# whether it is a clean example of its view, says why, and builds the training set of DeepCryoPicker from the answer:
#
# 1. why the labels have to be clean
# 2. what there is to decide on
# 3. top views: does a perfect disc fit?
# 4. side views: does a perfect rectangle fit?
# 5. irregular particles: is the area the usual one?
# 6. selection against the truth: what it gains, what it costs, what other limits would do
# 7. table 1 of the paper, for the micrographs at hand
# 8. the training set: classes, split, rotations, augmentation, file
# 9. the errors that the labels still contain
# 10. what goes wrong, and how to recognise it
#
# The micrographs are simulated, so that the truth can judge the decisions; no decision uses it. Real ones take their
# place with `data_dir`: a folder with the data sets `klh`, `klh_preprocessed`, `apoferritin_10146`, `ribosome_10028`
# and `betagal_10017`, each with `micrographs/` and `labels/*.csv`. The notebook takes about a minute.
#
# "The paper" is Al-Azzawi et al. 2020, BMC Bioinformatics 21:509 (DeepCryoPicker); its numbers are quoted as reported.

# %% tags=["parameters"]
profile = "quick"  # quick: a few micrographs of each protein; full: many more
seed = 0  # another number gives other micrographs, and another training set
data_dir = ""  # a folder with real data sets instead of the simulation
limits = {}  # of the decisions, where the defaults are not wanted, such as {"circle_fit": 0.9}
near_miss = 0.05  # lowest score of candidates that were not picked but still become negatives
per_class = 0  # patches of each class in the training set; 0: 72 (quick) or 400 (full)
output_dir = "out/03_good_particle_selection"  # where the training set goes

# %%
import re
import textwrap
from pathlib import Path
from pprint import pprint
from types import SimpleNamespace

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from IPython.display import display

from cryokit import coordinates, evaluate, micrograph, pickers, plot, segmentation, simulate
from cryokit.cli.notebook_runner import record
from cryokit.errors import PickerError
from cryokit.networks.patches import CLASSES, TrainingSet, augment, build
from cryokit.plot.particle_shapes import gallery, outlines
from cryokit.segmentation.selection import select, select_irregular, select_side, select_top

plt.rcParams["figure.constrained_layout.use"] = True
output = Path(output_dir)
quick = profile == "quick"
per_class = per_class or (72 if quick else 400)

# %% [markdown]
# ## 1. Why the labels have to be clean
#
# The second half of DeepCryoPicker trains a network on patches that the first half found. Nobody looks at the labels in
# between. A network cannot know that a label is wrong: it learns that two touching particles *are* a top view, finds
# more of them, and is praised for it by the equally wrong labels of its test set.
#
# Missing particles are another matter. A training set needs some hundred examples of each view, and a data set holds
# many thousand. So the trade is one-sided: **throw away good particles rather than keep bad ones**. Precision counts,
# recall hardly does. That is the opposite of what a picker is built for, and the reason why selection is a stage of
# its own.
#
# ## 2. What there is to decide on
#
# `autocryopicker` picks the proteins with round and square views (KLH, a cylinder, and apoferritin, a hollow sphere),
# `supercryoempicker` the irregular ones (ribosome, beta-galactosidase). `examine` returns all that a picker saw, and
# each particle brings along its object in the particle mask, and its circle, where there is one. That is all that
# the decisions look at. They compare each particle with the others of its micrograph, so nothing is set for a protein.

# %%
METHODS = {
    "KLH": "autocryopicker",
    "apoferritin": "autocryopicker",
    "ribosome": "supercryoempicker",
    "betagal": "supercryoempicker",
}


def simulated(name):
    """Return micrographs of a protein and the table of their particles."""
    sizes = {"KLH": (8, 2048), "apoferritin": (1, 1536), "ribosome": (2, 1024), "betagal": (2, 1536)}
    number, side = sizes[name]
    number *= 1 if quick else 4
    pairs = list(simulate.simulate_set(name.lower(), number, seed=seed, shape=(side, side)))
    return [image for image, _ in pairs], coordinates.concatenate(particles for _, particles in pairs)


def real(name):
    """Return the same from files."""
    folders = {
        "KLH": ("klh", "klh_preprocessed"),
        "apoferritin": ("apoferritin_10146",),
        "ribosome": ("ribosome_10028",),
        "betagal": ("betagal_10017",),
    }[name]
    images, tables = [], []
    for folder in (Path(data_dir) / each for each in folders):
        files = micrograph.find([folder / "micrographs"])
        if len(files) > 3:  # the pickers' settings were chosen on the others
            files = files[1::2][: 1 if quick and name == "betagal" else None]
        for file in files:
            image = micrograph.read(file)
            images.append(image)
            labels = folder / "labels" / f"{file.stem}.csv"
            tables.append(coordinates.read(labels, micrograph=image.name))
    return images, coordinates.concatenate(tables)


sets = {}
for name, method in METHODS.items():
    images, truth = real(name) if data_dir else simulated(name)
    diameter = float(truth["diameter"].median())
    picker = pickers.create(method, diameter=diameter).fit(images)
    seen = [picker.examine(image) for image in images]
    decisions = [select(each.picked, **limits) for each in seen]
    sets[name] = SimpleNamespace(
        images=images, truth=truth, diameter=diameter, picker=picker, seen=seen, decisions=decisions
    )
    good = [decision.good for each in decisions for decision in each]
    size = f"{len(images):2} x {images[0].data.shape}"
    print(f"{name:12} {size}, {method}: {len(good)} picked, {sum(good)} good")

klh = sets["KLH"]

# %% [markdown]
# One micrograph of KLH, first as the picker sees it, then with all picks: solid lines are good particles, dashed ones
# are not.


# %%
def richest(name, view):
    """Return examination and decisions of the micrograph with the most decisions of both kinds."""

    def wealth(pair):
        good = [decision.good for decision in pair[1] if decision.particle.view == view]
        return min(sum(good), len(good) - sum(good)), len(good)

    return max(zip(sets[name].seen, sets[name].decisions, strict=True), key=wealth)


here, decided = richest("KLH", "side")
figure, (left, right) = plt.subplots(1, 2, figsize=(12, 6.4))
title = f"{here.name}, binned to {here.diameter:.0f} pixels a particle"
plot.show_micrograph(left, here.stages["binned"], title=title)
outlines(right, here.stages["opened"], here.picked, decisions=decided, title="enhanced, with the picks")
plt.show()

# %% [markdown]
# ## 3. Top views: does a perfect disc fit?
#
# A particle seen from the top is a full disc. The paper's algorithm 1 asks two questions about its object in the mask.
#
# *Does a perfect circle fit?* The circular Hough transform (CHT) has put a circle around the particle. Of its
# circumference enough must be seen, and the full disc inside it must be the filled mask: their intersection over union
# is 1 for a perfect top view.
#
# *Is it round?* With the perimeter $P$ and the area $A$ of the object, equation 5 is
#
# $$\mathrm{circularity} = \frac{P^2}{4 \pi A}$$
#
# A disc has 1, the least possible, a square 1.27, a ragged or torn object much more. How ragged masks are depends on
# the noise, so it is compared with the average of all top views of the micrograph.
#
# The next pictures go the way of the paper's figure 13, with one good particle and others that fail one test each:
# the particle, its mask, the circle of the CHT on the mask, and the mask against the perfect disc. **White** is both,
# **orange** is mask without disc, **blue** is disc without mask.


# %%
WHITE, ORANGE, BLUE = (1, 1, 1), (0.90, 0.62, 0), (0.34, 0.71, 0.91)


def kind(reason):
    """Return a reason without its numbers."""
    return re.sub(r"\d+(\.\d+)?", "#", reason)


def examples(names, view, n=4):
    """Return a typical good decision and bad ones for different reasons, with all decisions there."""
    all_of = [
        (each, decided, decision)
        for name in names
        for each, decided in zip(sets[name].seen, sets[name].decisions, strict=True)
        for decision in decided
        if decision.particle.view == view and decision.particle.shape is not None
    ]
    # The border would hide what happens: those that touch it only where there are no others.
    all_of.sort(key=lambda found: found[-1].particle.shape.touches_border(found[0].evidence.shape, 4))
    good = [found for found in all_of if found[-1].good and found[0] in sets[names[0]].seen]
    good.sort(key=lambda found: found[-1].measure)
    bad = {kind(found[-1].reason): found for found in all_of[::-1] if not found[-1].good}
    return good[len(good) // 2 :][:1] + list(bad.values())[::-1][: n - 1]


def perfect(particle, shape, average):
    """Return the mask that the particle should have."""
    if particle.view == "side":
        return particle.shape.feret.rectangle.mask(shape)
    x, y, radius = particle.x, particle.y, np.sqrt(average / np.pi)
    if particle.view == "top":
        if particle.circle is None:
            return np.zeros(shape, bool)
        x, y, radius = particle.circle.x, particle.circle.y, particle.circle.radius
    row, column = np.indices(shape, sparse=True)
    return np.hypot(row - y, column - x) <= radius


def average_area(decided):
    """Return the average mask area of all particles of a micrograph that have one: equation 6."""
    areas = [decision.particle.shape.area for decision in decided if decision.particle.shape is not None]
    return float(np.mean(areas)) if areas else np.nan


def step_by_step(chosen, titles):
    """Draw each particle, its mask, its outline on the mask, and the mask against the perfect shape."""
    if not chosen:
        print("nothing to show: no decisions on this view")
        return
    _, axes = plt.subplots(len(chosen), 5, figsize=(11, 2.2 * len(chosen)), squeeze=False)
    for row, (each, decided, decision) in zip(axes, chosen, strict=True):
        particle, picture = decision.particle, each.stages["opened"]
        own = segmentation.fill_holes(segmentation.label_image([particle.shape], picture.shape) > 0)
        ideal = perfect(particle, picture.shape, average_area(decided))
        colours = np.zeros((*picture.shape, 3))
        colours[own & ideal], colours[own & ~ideal], colours[ideal & ~own] = WHITE, ORANGE, BLUE
        plot.show_micrograph(row[0], picture)
        row[1].imshow(own, cmap="gray")
        row[2].imshow(own, cmap="gray", vmax=2)
        outlines(row[2], None, [particle], decisions=[decision], colour_by="decision", legend=False)
        row[2].plot(particle.x, particle.y, "+", color="C0")
        row[3].imshow(colours)
        reach = 0.8 * max(each.diameter, particle.shape.feret.longest)
        for ax in row[:4]:
            ax.set_xlim(particle.x - reach, particle.x + reach)
            ax.set_ylim(particle.y + reach, particle.y - reach)
            ax.set(xticks=[], yticks=[], facecolor="0.5")  # grey: beyond the border
        word = "good" if decision.good else "bad"
        row[4].text(0, 0.5, "\n".join(textwrap.wrap(f"{word}: {decision.reason}", 26)), va="center")
        row[4].set_axis_off()
    for ax, title in zip(axes[0], titles, strict=False):
        ax.set_title(title, fontsize="medium")
    plt.show()


chosen = examples(["KLH", "apoferritin"], "top")
step_by_step(chosen, ["particle", "mask", "circle of the CHT", "mask and disc"])

# %% [markdown]
# More of them, from the one micrograph of each protein that has the most of both kinds. Below every particle stands the
# number that decided.

# %%
for name in ("KLH", "apoferritin"):
    here, decided = richest(name, "top")
    tops = [decision for decision in decided if decision.particle.view == "top"]
    figure = plt.figure(figsize=(12, 6))
    gallery(figure, here.stages["opened"], tops, 8, title=f"top views of {here.name}")
    plt.show()

# %% [markdown]
# Where the limits lie between the two kinds, the truth can tell. A pick is *clean* when it lies within a quarter of a
# diameter of a whole particle, and claims the view that this particle has. Everything else is not: nothing there, a
# broken particle, two that overlap, a tube, the wrong view. The dashed lines are the limits; what lies on grey ground
# is rejected.


# %%
def compared(picks, this):
    """Compare picks with the truth of a set, micrographs without picks included."""
    names = [image.name for image in this.images]
    return evaluate.evaluate(picks, this.truth, micrographs=names, diameter=this.diameter, bootstrap=0)


def judged(this):
    """Return the picks of a set with their decisions, and what the truth says about each."""
    picks = coordinates.concatenate(each.picks() for each in this.seen)
    result = compared(picks, this)
    views = np.append(result.labels["view"].to_numpy(), "")[result.picks["label"]]
    right = views == picks["view"].to_numpy()
    found = result.picks["outcome"].map({"ignored": "damaged", "false": "nothing"})
    found = found.fillna(pd.Series(np.where(right, "clean", "other view")))
    flat = [decision for decided in this.decisions for decision in decided]
    return picks.assign(
        found=found.to_numpy(),
        particle=[decision.particle for decision in flat],
        good=[decision.good for decision in flat],
        reason=[decision.reason for decision in flat],
    )


def top_measures(particles):
    """Return what algorithm 1 measures of top views of one micrograph."""
    rounds = np.array([p.shape.circularity for p in particles])
    return {
        "strength": [p.circle.strength if p.circle else 0.0 for p in particles],
        "circle_fit": [segmentation.circle_overlap(p.shape, p.circle) if p.circle else 0.0 for p in particles],
        "least_round": rounds / rounds.mean(),
    }


def side_measures(particles):
    """Return what the Feret test measures of side views of one micrograph."""
    rectangles = [p.shape.feret.rectangle for p in particles]
    lengths = np.array([rectangle.length for rectangle in rectangles])
    return {
        "rectangle_fit": [segmentation.rectangularity(p.shape) for p in particles],
        "aspect": [rectangle.length / rectangle.width for rectangle in rectangles],
        "size": lengths / np.median(lengths) - 1,
    }


def irregular_measures(particles):
    """Return what algorithm 2 measures of irregular particles of one micrograph."""
    areas = np.array([p.shape.area for p in particles])
    away = [np.hypot(p.shape.x - p.x, p.shape.y - p.y) / p.diameter for p in particles]
    return {"smallest": areas / areas.mean(), "centred": away}


TESTS = {"top": select_top, "side": select_side, "irregular": select_irregular}
MEASURES = {"top": top_measures, "side": side_measures, "irregular": irregular_measures}
WORDS = {
    "strength": "circumference seen",
    "circle_fit": "overlap of mask and disc",
    "least_round": "circularity / average",
    "rectangle_fit": "part of the rectangle filled",
    "aspect": "length / width",
    "size": "length / median - 1",
    "smallest": "area / average",
    "centred": "mask off the centre (diameters)",
}
SHOWN = {  # from where to where; what lies beyond is counted at the end
    "least_round": (0.7, 2.5),
    "aspect": (1, 2.5),
    "size": (-0.8, 0.8),
    "smallest": (0, 2.5),
    "centred": (0, 0.4),
}


def allowed(option, given):
    """Return from where to where a measure is good."""
    if option == "size":
        return -given["size"], given["size"]
    if option == "smallest":
        return given["smallest"], given["largest"]
    if option in ("least_round", "aspect", "centred"):
        return -np.inf, given[option]
    return given[option], np.inf


def histograms(names, view):
    """Draw the distribution of every measure of a view: clean picks, and the others."""
    given = TESTS[view].__kwdefaults__ | limits
    rows = []
    for name in names:
        verdict = verdicts[name]
        # Only what has an object in the mask can be measured.
        in_mask = verdict["particle"].map(lambda particle: particle.shape is not None)
        parts = []
        for _, part in verdict[in_mask & (verdict["view"] == view)].groupby("micrograph"):
            measured = MEASURES[view](list(part["particle"]))
            parts.append(pd.DataFrame(measured).assign(clean=(part["found"] == "clean").to_numpy()))
        if parts:
            rows.append((name, pd.concat(parts)))
    if not rows:
        print(f"no {view} views to measure")
        return
    columns = len(rows[0][1].columns) - 1
    _, axes = plt.subplots(len(rows), columns, figsize=(12, 2.7 * len(rows)), squeeze=False)
    for (name, measured), line in zip(rows, axes, strict=True):
        for ax, option in zip(line, measured.drop(columns="clean"), strict=True):
            low, high = SHOWN.get(option, (0, 1))
            bins = np.linspace(low, high, 31)
            for clean, colour, word in ((True, "C2", "clean"), (False, "C3", "not clean")):
                values = measured.loc[measured["clean"] == clean, option].clip(low, high)
                ax.hist(values, bins, histtype="step", color=colour, label=f"{word} ({len(values)})")
            start, end = allowed(option, given)
            for edge, beyond in ((start, low), (end, high)):
                if np.isfinite(edge):
                    ax.axvline(edge, color="0.3", linestyle="--")
                    ax.axvspan(min(edge, beyond), max(edge, beyond), color="0.9", zorder=0)
            ax.set(xlabel=WORDS[option], xlim=(low, high))
        line[0].set_ylabel(f"{name}, {view} views" if view != "irregular" else name)
        line[-1].legend(fontsize="small")
    plt.show()


verdicts = {name: judged(this) for name, this in sets.items()}
histograms(["KLH", "apoferritin"], "top")

# %% [markdown]
# ## 4. Side views: does a perfect rectangle fit?
#
# A cylinder seen from the side is a rectangle in any direction. The *Feret diameters* of an object are what a caliper
# measures when it is turned around it: the longest, the shortest, and the angle. The rectangle of least area around the
# object is the perfect side view, and the object is good when
#
# - it fills its rectangle: a torn mask, or two particles that touch at a corner, leaves large parts of it empty
# - the rectangle is not too long for its width: two side by side, or a tube
# - its longer side differs little from the median of the micrograph: larger is more than one, smaller is broken
#
# In the paper overlapping side views go before that, by their Feret diameters; here it is one test with a reason. The
# steps are those of its figure 15.

# %%
chosen = examples(["KLH"], "side")
step_by_step(chosen, ["particle", "mask", "Feret rectangle", "mask and rectangle"])

# %%
here, decided = richest("KLH", "side")
figure = plt.figure(figsize=(12, 6))
of_view = [decision for decision in decided if decision.particle.view == "side"]
gallery(figure, here.stages["opened"], of_view, 8, title=f"side views of {here.name}")
plt.show()
histograms(["KLH"], "side")

# %% [markdown]
# ## 5. Irregular particles: is the area the usual one?
#
# A ribosome has no outline that holds from every side, so there is nothing to fit. What is left is size: the paper's
# algorithm 2 compares the mask's area with the average over the $n$ particles of the micrograph (equation 6),
#
# $$\mathrm{Area} = \frac{1}{n} \sum_{i=1}^{n} A_i$$
#
# Far below it is noise or a fragment, far above it are several particles or ice. In its figure 17 good masks also lie
# around the centre of the particle, which is the second test here. In the last picture of each row, the perfect shape
# is a disc of the average area around the centre of the particle.

# %%
chosen = examples(["ribosome", "betagal"], "irregular")
step_by_step(chosen, ["particle", "mask", "box", "mask and average"])

# %%
here, decided = richest("ribosome", "irregular")
figure = plt.figure(figsize=(12, 6))
gallery(figure, here.stages["opened"], decided, 8, title=f"particles of {here.name}")
plt.show()
histograms(["ribosome", "betagal"], "irregular")

# %% [markdown]
# ## 6. Against the truth: what selection gains and costs
#
# Two questions, for the picks and for the good ones among them:
#
# - **Precision**, as everywhere in this package: is there a whole particle? What lies on a damaged particle (labelled
#   `ignore`: broken, overlapping, a tube) counts neither way.
# - **Clean**: is it a whole particle *of the claimed view*? Damaged ones count as wrong. This is the stricter question,
#   and the one that matters for training.
#
# And the price, **kept**: the share of the clean picks that is still there after the selection.


# %%
def share(these):
    """Return the share of True, None where there is nothing."""
    return round(float(these.mean()), 4) if len(these) else None


def gained(verdict):
    """Return precision and clean share of picks and of good ones, and the share of clean picks kept."""
    numbers = {}
    for word, part in (("picked", verdict), ("good", verdict[verdict["good"]])):
        counted = part[part["found"] != "damaged"]
        numbers[word] = len(part)
        numbers[f"precision, {word}"] = share(counted["found"] != "nothing")
        numbers[f"clean, {word}"] = share(part["found"] == "clean")
    numbers["kept"] = share(verdict.loc[verdict["found"] == "clean", "good"])
    return numbers


rows = {}
for name, verdict in verdicts.items():
    views = {view: gained(of_view) for view, of_view in verdict.groupby("view")}
    if len(views) > 1:
        views["all"] = gained(verdict)
    rows |= {(name, view): numbers for view, numbers in views.items()}
gain = pd.DataFrame(rows).T.rename_axis(["", "view"])
display(gain.style.format("{:.3f}").format("{:.0f}", subset=["picked", "good"]))
for name, verdict in verdicts.items():
    record(name, gained(verdict))

# %% [markdown]
# Why were particles rejected, and what were they? A row for each reason, with the numbers in it left out:

# %%
everything = pd.concat(verdicts, names=["set", None]).reset_index("set")
bad = everything[~everything["good"]].assign(reason=lambda rows: rows["reason"].map(kind))
columns = ["clean", "other view", "damaged", "nothing"]
table = pd.crosstab([bad["view"], bad["reason"]], bad["found"]).reindex(columns=columns, fill_value=0)
display(table.rename_axis(columns=None))
record("rejected", len(bad))
record("rejected although clean", int(table["clean"].sum()))

# %% [markdown]
# The first column is the price: particles that nothing is wrong with but their mask, which noise has torn, or which has
# grown together with a neighbour's, or which is not there at all. The tests see nothing but mask and circle, so an
# error of the mask is an error of the decision.
#
# What would other limits do? Each curve moves one limit from loose to strict and leaves the others where they are. On
# the left of every picture few picks are kept, on the right nearly all. The circle is the choice made above, the cross
# is no selection at all.

# %%
SWEEPS = {
    "circle_fit": np.linspace(0, 0.95, 9),
    "strength": np.linspace(0, 0.95, 9),
    "least_round": np.geomspace(0.85, 3, 9),
    "rectangle_fit": np.linspace(0.4, 0.9, 9),
    "aspect": np.geomspace(1.05, 3, 9),
    "size": np.geomspace(0.02, 1, 9),
    "smallest": np.linspace(0, 1.2, 9),
    "largest": np.geomspace(0.8, 4, 9),
    "centred": np.geomspace(0.01, 0.5, 9),
}


def kept_and_clean(part, good):
    """Return the share of picks that is kept, and the share of clean ones among those."""
    return good.mean(), (part.loc[good, "found"] == "clean").mean()


panels = [key for key, numbers in rows.items() if key[1] in TESTS and numbers["picked"] >= 20]
figure, axes = plt.subplots(2, 3, figsize=(12, 7))
for ax, (name, view) in zip(axes.flat, panels, strict=False):
    part = verdicts[name][verdicts[name]["view"] == view]
    options = TESTS[view].__kwdefaults__
    given = {option: value for option, value in limits.items() if option in options}
    for index, option in enumerate(options):
        points = []
        for value in SWEEPS[option]:
            good = pd.Series(False, index=part.index)
            for _, of_micrograph in part.groupby("micrograph"):
                again = TESTS[view](list(of_micrograph["particle"]), **(given | {option: value}))
                good[of_micrograph.index] = [decision.good for decision in again]
            # Of a handful of particles a share means nothing.
            points.append(kept_and_clean(part, good) if good.sum() >= 5 else (np.nan, np.nan))
        ax.plot(*np.array(points).T, ".-", color=f"C{index}", label=option)
    ax.plot(*kept_and_clean(part, part["good"]), "o", color="black", fillstyle="none", markersize=11)
    ax.plot(*kept_and_clean(part, part["good"] | True), "x", color="black", markersize=9)
    ax.set(xlabel="share of the picks kept", ylabel="share of them clean")
    ax.set(xlim=(0, 1.03), title=f"{name}, {view}")
    ax.legend(fontsize="small")
for ax in axes.flat[len(panels) :]:
    ax.set_axis_off()
plt.show()

# %% [markdown]
# Read a curve from the right, where the limit is so loose that it decides nothing. As long as it rises steeply,
# strictness buys clean labels for few particles. Where it runs flat, further strictness only costs particles; where it
# falls again, at the far left, it has begun to prefer something else than clean particles. A curve that ends
# below 1 shows what its test cannot see at all.
#
# ## 7. Table 1 of the paper
#
# How many of the picked particles pass? The paper counts them on its own micrographs; the columns marked *reported* are
# copied from its table 1 (its text and table 2 have 1157 good ribosomes instead of 1076). Its table says nothing about
# how many of the good ones are particles.

# %%
REPORTED = {
    ("apoferritin", "top"): (2145, 1750),
    ("KLH", "top"): (1086, 887),
    ("KLH", "side"): (862, 689),
    ("ribosome", "irregular"): (5493, 1076),
    ("betagal", "irregular"): (8289, 4781),
}
lines = {}
for (name, view), (picked, good) in REPORTED.items():
    of_view = verdicts[name][verdicts[name]["view"] == view]
    lines[name, view] = {
        "micrographs": len(sets[name].images),
        "picked": len(of_view),
        "good": int(of_view["good"].sum()),
        "share": of_view["good"].mean(),
        "picked (reported)": picked,
        "good (reported)": good,
        "share (reported)": good / picked,
    }
table_1 = pd.DataFrame(lines).T.rename_axis(["", "view"])
shares = ["share", "share (reported)"]
display(table_1.style.format("{:.0f}").format("{:.2f}", subset=shares))
counted = {f"{name} {view}": [line["picked"], line["good"]] for (name, view), line in lines.items()}
record("table 1", counted)

# %% [markdown]
# ## 8. The training set
#
# Five classes: the three views, *negative* and *background*. `Examination.training_particles` gives the good particles
# their view, and everything else becomes a negative. `cryokit.networks.patches.build` cuts patches of one and a half
# diameters, all at the same scale, finds background that touches nothing in the table, and balances the classes.
#
# What should be a negative? The paper takes the rejected particles, ice and debris. The table here has the rejected
# ones, and the *near misses*: candidates below the picker's threshold but not far below it. Those are what a
# network will have to tell from particles.


# %%
def training_table(debris):
    """Return the particles of KLH with their classes; candidates with a score of `debris` and more are negatives."""
    return pd.concat(
        [
            each.training_particles(decided, debris=debris)
            for each, decided in zip(klh.seen, klh.decisions, strict=True)
        ],
        ignore_index=True,
    )


particles = training_table(near_miss)
display(particles.groupby("class").size().rename("particles").to_frame())

# %% [markdown]
# KLH has no irregular views, and a class without samples cannot be learnt. `build` refuses to make one:

# %%
options = dict(per_class=per_class, contrast=klh.picker.contrast_, seed=seed)
try:
    build(klh.images, particles, **options)
    refused = ""
except PickerError as error:
    refused = str(error)
print("\n".join(textwrap.wrap(refused, 100)))
record("the class without samples is refused", "'irregular'" in refused)

# %% [markdown]
# (Irregular samples would come from ribosome micrographs: put them and their rows in, and tell `build` the diameter on
# each micrograph with `diameter={name: pixels}`, so that all patches have the same scale in diameters.)
#
# A second trap. It is tempting to make *every* candidate that was not picked a negative (`debris=0`). But candidates
# are all the maxima of the evidence, most of them of noise, and they are everywhere. Background keeps away
# from all of them:

# %%
having = {*particles["class"], "background"}
present = [name for name in CLASSES if name in having]
all_candidates = training_table(0)
try:
    crowded = build(klh.images, all_candidates, classes=present, **options)
    room = len(crowded.table.loc[crowded.table["class"] == "background", "original"].unique())
    print(f"room for {room} patches of background")
except PickerError as error:
    room = 0
    print("\n".join(textwrap.wrap(str(error), 100)))
record("background patches among all candidates", room)

# %% [markdown]
# With the near misses only, some room is left. The set is split **by micrograph**: all patches of one micrograph go to
# the training, or to the validation, or to the test. Split by patch instead, and the turned copies of one particle, the
# same ice and the same defocus would be on both sides, and the test would praise a network for its memory. Too few
# samples are helped by copies turned by 90, 180 and 270 degrees, and, in the training only, by augmented ones.

# %%
training_set = build(klh.images, particles, classes=present, **options)
display(training_set.counts())
split_of = training_set.table.groupby("micrograph")["split"].unique()
display(split_of.map(", ".join).rename("split").to_frame().T)
assert (split_of.map(len) == 1).all(), "a micrograph is in two splits"
print(f"each of the {len(split_of)} micrographs is in one split only")
record("patches", {name: int(number) for name, number in training_set.counts().sum(axis=1).items()})
record("splits of a micrograph, at most", int(split_of.map(len).max()))

# %% [markdown]
# One particle, turned, and augmented as the paper does it: a random choice of the stages of notebook 01, on the patch
# alone.

# %%
plain = training_set.table.query("rotation == 0 and augmentation == ''")
original = training_set.patches[plain.index[(plain["class"] == present[0]).argmax()]]
rng = np.random.default_rng(seed)
changed = [(np.rot90(original, turns), f"turned by {90 * turns} degrees") for turns in range(4)]
changed += [augment(original, rng, diameter=training_set.size / 1.5) for _ in range(8)]
figure, axes = plt.subplots(3, 4, figsize=(11, 9.4))
for ax, (patch, words) in zip(axes.flat, changed, strict=True):
    ax.imshow(patch, cmap="gray", vmin=0, vmax=255)
    ax.set(xticks=[], yticks=[])
    ax.set_xlabel("\n".join(textwrap.wrap(words, 36)), fontsize="small")
plt.show()

# %% [markdown]
# The contact sheet is the last look that anybody takes at the labels. Look at it whenever you train.

# %%
figure, ax = plt.subplots(figsize=(12, 1.25 * len(present)))
plot.training_sheet(ax, training_set, 10, seed=seed)
plt.show()

# %% [markdown]
# One file holds the set and how it was made: which micrograph and place each patch came from, what was done to it,
# the settings, the versions.

# %%
path = training_set.save(output / "klh.npz")
loaded = TrainingSet.load(path)
same = np.array_equal(loaded.patches, training_set.patches) and loaded.table.equals(training_set.table)
print(f"{path}: {path.stat().st_size / 1e6:.1f} MB; read again it is the same: {same}")
record("read again it is the same", bool(same))
display(loaded.table.sample(4, random_state=seed).sort_index())
told = {key: value for key, value in loaded.provenance.items() if key not in ("micrographs", "counts")}
pprint(told, width=110, compact=True, sort_dicts=False)
sources = pd.json_normalize(loaded.provenance["micrographs"])
display(sources[["name", "split", *(f"patches.{name}" for name in present)]])

# %% [markdown]
# ## 9. The errors that are left
#
# Two kinds of wrong labels went into the file. *Good ones that are not clean*: section 6 has their share, and here they
# are. And *particles among the negatives*: everything that was rejected for a torn mask is still a particle.


# %%
def outcomes(particles):
    """Return what is at each place of a training table: a whole particle, a damaged one, or nothing."""
    picks = coordinates.table(particles["micrograph"], particles["x"], particles["y"])
    words = {"true": "whole particle", "ignored": "damaged", "false": "nothing"}
    return compared(picks, klh).picks["outcome"].map(words).to_numpy()


ways = {
    "rejected only": training_table(None),
    f"and near misses (score {near_miss:g} and more)": particles,
    "and all candidates": all_candidates,
}
kinds = ["whole particle", "damaged", "nothing"]
counts = {}
for words, rows_of in ways.items():
    there = outcomes(rows_of)[(rows_of["class"] == "negative").to_numpy()]
    counts[words] = pd.Series(there).value_counts().reindex(kinds, fill_value=0)
counts = pd.DataFrame(counts).T
counts["share"] = counts["whole particle"] / counts.sum(axis=1)
display(counts.style.format("{:.0f}").format("{:.3f}", subset=["share"]))
for words, number in zip(("rejected", "near misses", "all"), counts["share"], strict=True):
    record(f"whole particles among the negatives, {words}", number)

there = outcomes(particles)
# `original` is the row of the table that a patch was cut for.
negative = training_set.table.query("`class` == 'negative'")["original"]
in_set = there[negative] == "whole particle"
record("whole particles among the negatives of the training set", in_set.mean())

# %%
damaged = verdicts["KLH"].query("good and found != 'clean'")
is_negative = (particles["class"] == "negative").to_numpy()
sheets = {
    "good, but not clean": damaged,
    "negative, but a particle": particles[is_negative & (there == "whole particle")],
    "negative, centred on nothing": particles[is_negative & (there == "nothing")],
}
figure, axes = plt.subplots(1, 3, figsize=(12, 4.4))
for ax, (title, of_kind) in zip(axes, sheets.items(), strict=True):
    ax.set_title(f"{title} ({len(of_kind)})", fontsize="medium")
    if len(of_kind):
        some = of_kind.sample(min(16, len(of_kind)), random_state=seed)
        picks = coordinates.table(some["micrograph"], some["x"], some["y"], diameter=klh.diameter)
        plot.contact_sheet(ax, klh.images, picks, 16, columns=4)
    ax.set_axis_off()
plt.show()

# %% [markdown]
# The paper's own negatives are the first row: what was picked and rejected. Train on them as they are, and the network
# is told that these particles are none. This may be why the paper's experiment without the negative class came out best
# (average precision 100 % as reported, 98 % with all five classes). More negatives that really are nothing make the
# share smaller, but leave less room for background. Neither is free.
#
# ## 10. What goes wrong, and how it looks
#
# All limits are relative: to the circle, to the rectangle, to the average of the micrograph. That makes them fit any
# protein, and blind to whatever is wrong with *all* particles. Here the picker is told a wrong diameter. With one that
# is too small it finds objects of the size that it was told, and among themselves these look normal.

# %%
few = 2  # micrographs
figure, axes = plt.subplots(1, 3, figsize=(12, 4.9))
what = {}
for ax, factor in zip(axes, (0.7, 1.0, 1.4), strict=True):
    told = pickers.create(METHODS["KLH"], diameter=factor * klh.diameter, contrast=klh.picker.contrast_)
    told.fit(klh.images)
    wrong = SimpleNamespace(images=klh.images[:few], diameter=klh.diameter)
    wrong.truth = klh.truth[klh.truth["micrograph"].isin([image.name for image in wrong.images])]
    wrong.seen = [told.examine(image) for image in wrong.images]
    wrong.decisions = [select(each.picked, **limits) for each in wrong.seen]
    verdict = judged(wrong)
    good = verdict[verdict["good"]]
    outlines(ax, wrong.seen[-1].stages["opened"], wrong.seen[-1].picked, decisions=wrong.decisions[-1])
    ax.set_title(f"diameter x {factor:g}", fontsize="medium")
    numbers = {"picked": len(verdict), "good": len(good)}
    numbers |= good["found"].value_counts().reindex(columns, fill_value=0).to_dict()
    what[f"diameter x {factor:g}"] = numbers
plt.show()
what = pd.DataFrame(what).T
display(what)
for words, number in (what["good"] / what["picked"]).items():
    record(f"share of good, {words}", number)
for words, number in (what["clean"] / what["good"]).items():
    record(f"clean share of good, {words}", number)

# %% [markdown]
# The table counts what the good ones are.
#
# - **Diameter too small**: pieces of particles, of tubes and of ice have the usual size now, and pass. Good ones appear
#   with nothing whole beneath them; the outlines lie side by side on one object, or on none that is seen by eye.
# - **Diameter too large**: few picks are left, and hardly a good one. The rings are smaller than any circle that is
#   looked for, and what touches is taken for one particle.
#
# The second error shows by itself. The first does not: the share of good ones is no smaller than with the right
# diameter. The share of clean ones falls, but only the truth knows that. Without a truth, look at the outlines, and at
# the contact sheet: a row of it should be one thing. What else it shows:
#
# - **Two kinds in one row**, such as rings among the side views: the views were mixed up, and no test of section 3 to 5
#   asks whether the view is the right one.
# - **Particles in the row of negatives**: section 9. A few are the price of strict limits; if they are most of the row,
#   loosen the limits, or train without the class.
# - **Background with something in it**: particles that the picker did not see. Pick with a lower threshold, or leave
#   more room (`clearance` of `build`).
#
# ## Try it
#
# Set `limits` to something strict, such as `{"circle_fit": 0.9, "rectangle_fit": 0.8}`, and run the notebook again.
# Does the clean share in section 6 rise as the curves promised? What does it do to the number of particles, to the
# copies that section 8 needs, and to the negatives in section 9? (Without JupyterLab:
# `cryokit notebooks run 03 -p "limits={circle_fit: 0.9, rectangle_fit: 0.8}"`.)
#
# Then move `near_miss`: with 0.2 the negatives are few and hard, with 0.01 many and easy. Follow the share of
# particles among them in section 9, and the room that is left for background in section 8.
#
# Last, `data_dir` brings the same decisions to real micrographs. There the truth is what somebody saw and marked; a
# good particle that nobody has marked counts as an error, though it may be none.
