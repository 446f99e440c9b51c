# %% [markdown]
# # Good particle selection
#
# Lesson 02 ends with particles that were picked without a single label. Some of them are broken, some are two that
# touch, some are ice. A picker can live with that; a *training set* cannot. This lesson decides for every pick whether
# it is a clean example of its view, says why, and builds the training set of DeepCryoPicker from the answers.
#
# **Goals**: after this lesson you can
#
# - test a top view, a side view and an irregular particle against the perfect shape, and give the reason for a
#   rejection
# - measure what a selection gains and what it costs, and say how many particles the claim rests on
# - build a training set whose test part the training never sees, and name the wrong labels left in it
#
# **Before**: lesson 02.
#
# **Minutes**: 45 to read (core sections 17), 1 to compute.
#
# **In the paper**: component 1, stage 2, algorithms 1 and 2, equations 5 and 6, tables 1 and 2, figures 12 to 17. "The
# paper" is Al-Azzawi et al. 2020, BMC Bioinformatics 21:509; its numbers are quoted as reported.

# %% tags=["parameters"]
profile = "quick"  # quick: a few micrographs of each protein; full: many more
data = "auto"  # auto: real micrographs if they have been fetched; simulated; or a folder of datasets
seed = 0  # another number gives other micrographs, and another training set
limits = {}  # of the decisions, where the defaults are not wanted, such as {"circle_fit": 0.9}
near_miss = 0.05  # lowest score of candidates that were not picked but still become negatives
per_class = 0  # patches of each class in the training set; 0: 72 (quick) or 400 (full)
output_dir = "out/03_good_particle_selection"  # where the training set goes

# %%
import textwrap
from pathlib import Path
from types import SimpleNamespace

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from IPython.display import display

from cryokit import coordinates, datasets, evaluate, pickers, plot, simulate
from cryokit.cli.notebook_runner import record
from cryokit.errors import PickerError
from cryokit.networks.patches import CLASSES, TrainingSet, augment, build
from cryokit.plot import selection_figures as figures
from cryokit.plot.particle_shapes import gallery, outlines
from cryokit.segmentation.decision_truth import FOUND, TESTS, judged, kind
from cryokit.segmentation.selection import select

plot.lesson_style()
output = Path(output_dir)
quick = profile == "quick"
per_class = per_class or (72 if quick else 400)

# %%
plot.show(plot.workflow(here="03"))

# %% [markdown]
# ## 1. Why the labels have to be clean (core)
#
# The second half of DeepCryoPicker trains a network on patches that the first half found, and nobody looks at the
# labels in between. A network cannot know that a label is wrong: it learns that two touching particles *are* a top
# view, finds more of them, and is praised for it by the equally wrong labels of its test set.
#
# Missing particles are another matter. A training set needs a few hundred examples of each view, and a data set holds
# many thousands. So the trade is one-sided: **throw away good particles rather than keep bad ones**. Precision counts,
# recall hardly does. That is the opposite of what a picker is built for, which is why selection is a stage of its own.
#
# ## 2. What there is to decide on (core)
#
# `autocryopicker` picks the proteins with round and square views (KLH, a cylinder, and apoferritin, a hollow sphere),
# `supercryoempicker` the irregular ones (ribosome, β-galactosidase). `examine` returns everything that a picker saw;
# each particle comes with its object in the particle mask, and with its circle, where there is one. The decisions look
# at nothing else. They compare each particle with the others on its micrograph, so no setting depends on the protein.
# Labels judge the decisions below; no decision uses them.

# %%
METHODS = {
    "KLH": "autocryopicker",
    "apoferritin": "autocryopicker",
    "ribosome": "supercryoempicker",
    "betagal": "supercryoempicker",
}
sizes = {"KLH": (8, 2048), "apoferritin": (1, 1536), "ribosome": (2, 1024), "betagal": (2, 1536)}
samples = {}
for name, (number, side) in sizes.items():
    settings = {"data": data, "seed": seed, "shape": (side, side)}
    also = ("klh_preprocessed",) if name == "KLH" else ()
    samples[name] = simulate.real_or_simulated(name.lower(), number * (1 if quick else 4), also=also, **settings)
plot.sentences([sample.origin for sample in samples.values()])
if data != "simulated":
    display(datasets.overview([*simulate.REAL_DATASETS.values(), "klh_preprocessed"]))

# %%
sets, counts = {}, {}
for name, method in METHODS.items():
    images, truth = samples[name].images, samples[name].truth
    diameter = float(truth["diameter"].median())
    picker = pickers.create(method, diameter=diameter).fit(images)
    seen = [picker.examine(image) for image in images]
    decisions = [select(each.picked, **limits) for each in seen]
    sets[name] = SimpleNamespace(
        images=images, truth=truth, diameter=diameter, picker=picker, seen=seen, decisions=decisions
    )
    good = [decision.good for each in decisions for decision in each]
    counts[name] = {"method": method, "micrographs": len(images), "picked": len(good), "good": sum(good)}
display(pd.DataFrame(counts).T)
klh = sets["KLH"]

# %% [markdown]
# One micrograph of KLH, first as the picker sees it, then with all picks: solid lines are good particles, dashed ones
# are not.

# %%
here, decided = figures.richest(klh.seen, klh.decisions, "side")
figure, (left, right) = plot.subplots(1, 2, height=5.4)
plot.show_micrograph(left, here.stages["binned"], title=f"binned: {here.diameter:.0f} px a particle")
plot.scale_bar(left, klh.images[0].pixel_size, step=here.frame.step)
outlines(right, here.stages["opened"], here.picked, decisions=decided, title="enhanced, with the picks")
plot.show(
    figure, "A micrograph of KLH, and its picks: circles for top views, rectangles for side views, solid if good."
)

# %% [markdown]
# ## 3. Top views: does a perfect disc fit? (core)
#
# A particle seen from the top is a full disc. The paper's algorithm 1 asks two questions about its object in the mask.
#
# *Does a perfect circle fit?* The circular Hough transform (CHT) has put a circle around the particle. Enough of its
# circumference must be visible, and the disc inside it must match the object in the mask, with its holes filled: the
# intersection over union of the two is 1 for a perfect top view.
#
# *Is it round?* With the perimeter $P$ and the area $A$ of the object, equation 5 is
#
# $$\mathrm{circularity} = \frac{P^2}{4 \pi A}$$
#
# A disc has 1, the least possible, a square 1.27, a ragged or torn object much more. How ragged masks are depends on
# the noise, so the value is compared with the average over all top views of the micrograph.
#
# The next pictures follow the paper's figure 13, with one good particle and others that each fail one test: the
# particle, its mask, the circle of the CHT on the mask, and the mask against the perfect disc. **White** is both,
# **purple** is mask without disc, **blue** is disc without mask.

# %%
chosen = figures.examples([klh, sets["apoferritin"]], "top")
figure = figures.step_by_step(chosen, ["particle", "mask", "circle", "mask, disc"])
plot.show(figure, "One good top view and some that fail a test: particle, mask, circle, and mask against disc.")

# %% [markdown]
# More of them, from the micrograph of each protein that has the most of both kinds (the paper's figure 12). Below each
# particle is the number that decided.


# %%
def show_gallery(name, view, what):
    """Show good and bad picks of one micrograph."""
    here, decided = figures.richest(sets[name].seen, sets[name].decisions, view)
    figure = plt.figure(figsize=(plot.WIDTH, 7.0), layout="none")
    of_view = [decision for decision in decided if decision.particle.view == view]
    gallery(figure, here.stages["opened"], of_view, 5, title=f"{name}: {what}")
    plot.show(figure, f"Good and bad {what} of {name}, each with its mask and the reason for the decision.")


for name in ("KLH", "apoferritin"):
    show_gallery(name, "top", "top views")

# %% [markdown]
# Labels can tell whether the limits lie between the two kinds. A pick is *clean* when it lies within a quarter of a
# diameter of a whole particle and claims the view that this particle has. Everything else is not: nothing there, a
# broken particle, two that overlap, a tube, the wrong view. The dashed lines are the limits; what lies on a grey
# background is rejected. Bars are stacked: clean picks are blue, the others orange-red.

# %%
verdicts = {name: judged(this.seen, this.decisions, this.truth) for name, this in sets.items()}


def show_histograms(names, view):
    """Show the measures of a view, and the limits."""
    figure = figures.histograms({name: verdicts[name] for name in names}, view, limits)
    plot.show(figure, f"Distributions of the measures of {view} views of {' and '.join(names)}, with the limits.")


show_histograms(["KLH", "apoferritin"], "top")

# %% [markdown]
# ## 4. Side views: does a perfect rectangle fit? (core)
#
# A cylinder seen from the side is a rectangle at any angle. The *Feret diameters* of an object are what a caliper
# measures as it is turned around the object: the longest, the shortest, and the angle. The rectangle of least area
# around the object is the perfect side view, and the object is good when
#
# - it fills its rectangle: a torn mask, or two particles that touch at a corner, leaves large parts of it empty
# - the rectangle is not too long for its width: two side by side, or a tube
# - its longer side differs little from the median of the micrograph: a longer one is more than one particle, a shorter
#   one is broken
#
# In the paper, overlapping side views are removed beforehand, by their Feret diameters; here this is one more test,
# with a reason of its own. The steps are those of the paper's figure 15.

# %%
figure = figures.step_by_step(figures.examples([klh], "side"), ["particle", "mask", "rectangle", "mask, rectangle"])
plot.show(figure, "One good side view and some that fail a test: particle, mask, rectangle, mask against rectangle.")
show_gallery("KLH", "side", "side views")

# %%
show_histograms(["KLH"], "side")

# %% [markdown]
# ## 5. Irregular particles: is the area the usual one? (core)
#
# A ribosome has no outline that is the same from every side, so there is nothing to fit. What is left is size: the
# paper's algorithm 2 compares the mask's area with the average over the $n$ particles of the micrograph (equation 6),
#
# $$\mathrm{Area} = \frac{1}{n} \sum_{i=1}^{n} A_i$$
#
# An object far below this area is noise or a fragment; one far above it is several particles, or ice. In the paper's
# figure 17, good masks also lie around the centre of the particle, which is the second test here. In the last picture
# of each row, the perfect shape is a disc of the average area around the centre of the particle.

# %%
chosen = figures.examples([sets["ribosome"], sets["betagal"]], "irregular")
figure = figures.step_by_step(chosen, ["particle", "mask", "box", "mask, average"])
plot.show(figure, "One good irregular particle and some that fail a test: particle, mask, box, mask against a disc of "
          "the average area.")  # fmt: skip
show_gallery("ribosome", "irregular", "particles")

# %%
show_histograms(["ribosome", "betagal"], "irregular")

# %% [markdown]
# ## 6. Against the truth: what selection gains and costs (core)
#
# Two questions, for the picks and for the good ones among them:
#
# - **Precision**, as everywhere in this package: is there a whole particle? What lies on a damaged particle (labelled
#   `ignore`: broken, overlapping, a tube) counts neither way.
# - **Clean**: is it a whole particle *of the claimed view*? Damaged ones count as wrong. This question is stricter, and
#   it is the one that matters for training.
#
# And the price, **kept**: the share of the clean picks that survives the selection. Shares come with 95 % intervals
# (Wilson).


# %%
def gained(verdict):
    """Return hits and trials: precision and clean share of picks and of good ones, and what is kept."""
    numbers = {}
    for word, part in (("picked", verdict), ("good", verdict[verdict["good"]])):
        counted = part[part["found"] != "damaged"]
        numbers[f"precision, {word}"] = (int((counted["found"] != "nothing").sum()), len(counted))
        numbers[f"clean, {word}"] = (int((part["found"] == "clean").sum()), len(part))
    clean = verdict.loc[verdict["found"] == "clean", "good"]
    return numbers | {"kept": (int(clean.sum()), len(clean))}


def in_words(hits, n):
    """Return a share with its interval."""
    low, high = evaluate.wilson(hits, n)
    return f"{hits / n:.2f} ({low:.2f}-{high:.2f})" if n else "none"


def share(hits, n):
    """Return a share, None where there is nothing."""
    return round(hits / n, 4) if n else None


# %%
rows, panels = {}, []
for name, verdict in verdicts.items():
    views = dict(list(verdict.groupby("view")))
    panels += [(name, view) for view, part in views.items() if view in TESTS and len(part) >= 20]
    for view, part in views.items():
        numbers = {"picked": len(part), "good": int(part["good"].sum())}
        rows[name, view] = numbers | {word: in_words(*pair) for word, pair in gained(part).items()}
    numbers = {"picked": len(verdict), "good": int(verdict["good"].sum())}
    record(name, numbers | {word: share(*pair) for word, pair in gained(verdict).items()})
display(pd.DataFrame(rows).T)

# %%
everything = pd.concat(verdicts, names=["set", None]).reset_index("set")
wrong = {word: (part["found"] != "clean").mean() for word, part in
         (("picks", everything), ("good ones", everything[everything["good"]]))}  # fmt: skip
kept = everything.loc[everything["found"] == "clean", "good"].mean()
plot.sentences(f"Over all four proteins, {wrong['picks']:.1%} of the picks are wrong as labels, and "
               f"{wrong['good ones']:.1%} of the good ones. The price: {1 - kept:.0%} of the clean picks "
               "are lost.")  # fmt: skip

# %% [markdown]
# Why were picks rejected, and what were they? One row for each reason, without the numbers in it:

# %%
bad = everything[~everything["good"]].assign(reason=lambda rows: rows["reason"].map(kind))
table = pd.crosstab([bad["view"], bad["reason"]], bad["found"]).reindex(columns=list(FOUND), fill_value=0)
display(table.rename_axis(columns=None))
record("rejected", len(bad))
record("rejected although clean", int(table["clean"].sum()))

# %% [markdown]
# The first column is the price: particles with nothing wrong but their mask, which noise has torn, or which has grown
# together with a neighbour's, or which is missing altogether. The tests see nothing but mask and circle, so an error of
# the mask becomes an error of the decision.
#
# ### What other limits would do (further)
#
# Each curve moves one limit from loose to strict and leaves the others where they are. At the left of every picture few
# picks are kept, at the right nearly all. The ring is the choice made above, the cross is no selection at all.

# %%
figure, axes = plot.subplots(2, 3, height=6.9, squeeze=False)
for ax, (name, view) in zip(axes.flat, panels, strict=False):
    part = verdicts[name][verdicts[name]["view"] == view]
    figures.limit_curves(ax, part, view, limits)
    ax.set_title(f"{name}, {view}, n = {len(part)}", fontsize=11)
    ax.legend(fontsize=10, loc="upper center", bbox_to_anchor=(0.45, -0.24), frameon=False)
for ax in axes.flat[len(panels) :]:
    ax.set_axis_off()
plot.show(figure, "Share of clean picks against share of picks kept as each limit moves from loose to strict, for each "
          "protein and view.")  # fmt: skip

# %% [markdown]
# Read a curve from the right, where the limit is so loose that it decides nothing. As long as it rises steeply,
# strictness gives clean labels at the price of few particles. Where it runs flat, further strictness only costs
# particles; where it falls again, at the far left, it has begun to prefer something other than clean particles. A curve
# that never reaches 1 shows that there is something its test cannot see.
#
# ## 7. Table 1 of the paper (further)
#
# How many of the picked particles pass? The paper counts them on its own micrographs; the columns marked *reported* are
# copied from its table 1. Notice two things there: the paper's text and table 2 have 1157 good ribosomes instead of
# 1076, so one of the two is wrong; and nothing is said about how many of the good ones are particles.

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
    numbers = (int(of_view["good"].sum()), len(of_view))
    lines[name, view] = {"picked": numbers[1], "good": numbers[0], "share": in_words(*numbers)}
    lines[name, view] |= {
        "picked (reported)": picked,
        "good (reported)": good,
        "share (reported)": round(good / picked, 2),
    }
display(pd.DataFrame(lines).T)
record("table 1", {f"{name} {view}": [line["picked"], line["good"]] for (name, view), line in lines.items()})

# %% [markdown]
# ## 8. The training set (core)
#
# Five classes: the three views, *negative* and *background*. `Examination.training_particles` labels the good particles
# with their view, and everything else becomes a negative. `cryokit.networks.patches.build` cuts patches of one and a
# half diameters, all at the same scale, finds background that touches nothing in the table, and balances the classes.
# (In the paper's table 2 the classes have 689 to 4781 particles before balancing, and 1500 each after it: copies turned
# by 90, 180 and 270 degrees fill up the small classes, and the large ones are sampled.)
#
# What should be a negative? The paper takes the rejected particles, ice and debris. The table here has the rejected
# ones, and the *near misses*: candidates below the picker's threshold but not far below it. Those are what a network
# will have to tell from particles.


# %%
def training_table(debris):
    """Return the particles of KLH with their classes; candidates with a score of `debris` and more are negatives."""
    pairs = zip(klh.seen, klh.decisions, strict=True)
    return pd.concat([each.training_particles(decided, debris=debris) for each, decided in pairs], ignore_index=True)


particles = training_table(near_miss)
display(particles.groupby("class").size().rename("particles").to_frame().T)

# %% [markdown]
# The set is split **by micrograph**: all patches of one micrograph go to training, or to validation, or to the test. If
# it were split by patch instead, the turned copies of one particle, the same ice and the same defocus would be on both
# sides, and the test would praise a network for its memory. KLH has no irregular views, so the class is left out.

# %%
options = {"per_class": per_class, "contrast": klh.picker.contrast_, "seed": seed}
having = {*particles["class"], "background"}
present = [name for name in CLASSES if name in having]
training_set = build(klh.images, particles, classes=present, **options)
display(training_set.counts())
splits = training_set.table.groupby("micrograph")["split"].unique().map(list)
most = int(splits.map(len).max())
plot.sentences(f"Each of the {len(splits)} micrographs is in {most} split{'' if most == 1 else 's'}.")
record("patches", {name: int(number) for name, number in training_set.counts().sum(axis=1).items()})
record("splits of a micrograph, at most", most)

# %% [markdown]
# The contact sheet is the last chance to look at the labels. Take it whenever you train.

# %%
figure, ax = plot.subplots(height=1.0 * len(present) + 0.2)
plot.training_sheet(ax, training_set, 8, seed=seed)
plot.show(figure, "Eight patches of each class of the training set, drawn at random.")

# %% [markdown]
# ### Turned and augmented copies (further)
#
# One particle, turned, and augmented in the paper's way: a random choice of the stages of lesson 01, under the names of
# their MATLAB functions, applied to the patch alone. Augmented copies are made for the training part only.

# %%
plain = training_set.table.query("rotation == 0 and augmentation == ''")
original = training_set.patches[plain.index[(plain["class"] == present[0]).argmax()]]
rng = np.random.default_rng(seed)
changed = [(np.rot90(original, turns), f"turned by {90 * turns}°") for turns in range(4)]
changed += [augment(original, rng, diameter=training_set.size / 1.5) for _ in range(4)]
figure, axes = plot.subplots(2, 4, height=6.0)
for ax, (patch, words) in zip(axes.flat, changed, strict=True):
    ax.imshow(patch, cmap="gray", vmin=0, vmax=255)
    ax.set(xticks=[], yticks=[])
    ax.set_xlabel("\n".join(textwrap.wrap(words, 24)), fontsize=10)
plot.show(figure, "A particle turned four times, and four augmented copies with what was done to each.")

# %% [markdown]
# ### Two refusals (further)
#
# A class without samples cannot be learnt, and `build` refuses to make one. (Irregular samples would come from ribosome
# micrographs: add those and their rows, and tell `build` the diameter on each micrograph with
# `diameter={name: pixels}`, so that all patches show the same number of diameters.)

# %%
try:
    build(klh.images, particles, **options)
    refused = ""
except PickerError as error:
    refused = str(error)
plot.sentences(f"`{refused}`")
record("the class without samples is refused", "'irregular'" in refused)

# %% [markdown]
# A second trap. It is tempting to make *every* candidate that was not picked a negative (`debris=0`). But every maximum
# of the evidence is a candidate; most are noise, and they are everywhere. Background keeps away from all of them:

# %%
all_candidates = training_table(0)
try:
    crowded = build(klh.images, all_candidates, classes=present, **options)
    room = len(crowded.table.loc[crowded.table["class"] == "background", "original"].unique())
    plot.sentences(f"Room for {room} patches of background.")
except PickerError as error:
    room = 0
    plot.sentences(f"`{error}`")
record("background patches among all candidates", room)

# %% [markdown]
# ### The file (further)
#
# One file holds the set and how it was made: which micrograph and which position each patch came from, what was done to
# it, the settings, the versions.

# %%
path = training_set.save(output / "klh.npz")
loaded = TrainingSet.load(path)
same = np.array_equal(loaded.patches, training_set.patches) and loaded.table.equals(training_set.table)
plot.sentences(f"`{path.name}`: {path.stat().st_size / 1e6:.1f} MB; read again, it is the same: {same}.")
record("read again it is the same", bool(same))
display(loaded.table.sample(4, random_state=seed).sort_index())
told = {key: str(value) for key, value in loaded.provenance.items() if key not in ("micrographs", "counts")}
display(pd.Series(told).to_frame("how it was made"))

# %% [markdown]
# ## 9. The errors that are left (further)
#
# Two kinds of wrong labels went into the file. The first are *good ones that are not clean*: section 6 gives their
# share. The second are *particles among the negatives*: whatever was rejected for a torn mask is still a particle.

# %%
KINDS = ["whole particle", "damaged", "nothing"]


def outcomes(particles):
    """Return what is at each place of a training table: a whole particle, a damaged one, or nothing."""
    picks = coordinates.table(particles["micrograph"], particles["x"], particles["y"])
    names = [image.name for image in klh.images]
    result = evaluate.evaluate(picks, klh.truth, micrographs=names, diameter=klh.diameter, bootstrap=0)
    words = {"true": "whole particle", "ignored": "damaged", "false": "nothing"}
    return result.picks["outcome"].map(words).to_numpy()


ways = {"rejected": training_table(None), "near misses": particles, "all": all_candidates}
counts = {}
for words, rows_of in ways.items():
    there = outcomes(rows_of)[(rows_of["class"] == "negative").to_numpy()]
    counts[words] = pd.Series(there).value_counts().reindex(KINDS, fill_value=0).to_dict()
    hits, n = counts[words]["whole particle"], sum(counts[words].values())
    counts[words]["share of particles"] = in_words(hits, n)
    record(f"whole particles among the negatives, {words}", share(hits, n))
display(pd.DataFrame(counts).T)

# %%
there = outcomes(particles)
negative = training_set.table.query("`class` == 'negative'")["original"]  # rows that the patches were cut for
record("whole particles among the negatives of the training set", (there[negative] == "whole particle").mean())
is_negative = (particles["class"] == "negative").to_numpy()
sheets = {
    "good, not clean": verdicts["KLH"].query("good and found != 'clean'"),
    "negative, a particle": particles[is_negative & (there == "whole particle")],
    "negative, on nothing": particles[is_negative & (there == "nothing")],
}
figure, axes = plot.subplots(1, 3, height=3.6)
for ax, (title, of_kind) in zip(axes, sheets.items(), strict=True):
    ax.set_title(f"{title} ({len(of_kind)})")
    if len(of_kind):
        some = of_kind.sample(min(16, len(of_kind)), random_state=seed)
        picks = coordinates.table(some["micrograph"], some["x"], some["y"], diameter=klh.diameter)
        plot.contact_sheet(ax, klh.images, picks, 16, columns=4)
    ax.set_axis_off()
plot.show(figure, "Up to sixteen good particles that are not clean, negatives that are particles, and negatives "
          "that are centred on nothing.")  # fmt: skip

# %% [markdown]
# The paper's own negatives are the first row of the table: what was picked and rejected. Train on them as they are, and
# the network is told that these particles are not particles. This may be why the paper's experiment without the
# negative class came out best (average precision 100 % as reported, 98 % with all five classes). More negatives that
# really are nothing make the share of particles smaller but leave less room for background. Neither is free.
#
# ## 10. What goes wrong, and how it looks (further)
#
# All limits are relative: to the circle, to the rectangle, to the average of the micrograph. That makes them fit any
# protein, and blind to whatever is wrong with *all* particles. Here the picker is given a wrong diameter, on two
# micrographs. If it is too small, the picker finds objects of that size, and compared with one another these look
# normal.


# %%
def told_diameter(factor, few=2):
    """Examine and select on the first micrographs with a wrong diameter."""
    told = pickers.create(METHODS["KLH"], diameter=factor * klh.diameter, contrast=klh.picker.contrast_)
    told.fit(klh.images)
    seen = [told.examine(image) for image in klh.images[:few]]
    decisions = [select(each.picked, **limits) for each in seen]
    truth = klh.truth[klh.truth["micrograph"].isin([each.name for each in seen])]
    return seen, decisions, judged(seen, decisions, truth)


what = {}
figure, axes = plot.subplots(1, 3, height=4.4)
for ax, factor in zip(axes, (0.7, 1.0, 1.4), strict=True):
    seen, decisions, verdict = told_diameter(factor)
    words, good = f"diameter x {factor:g}", verdict[verdict["good"]]
    outlines(ax, seen[-1].stages["opened"], seen[-1].picked, decisions=decisions[-1], legend=False, title=words)
    counts = good["found"].value_counts().reindex(list(FOUND), fill_value=0).to_dict()
    what[words] = {"picked": len(verdict), "good": len(good), **counts}
    record(f"share of good, {words}", share(len(good), len(verdict)))
    record(f"clean share of good, {words}", share(counts["clean"], len(good)))
plot.show(figure, "Picks of a KLH micrograph with a diameter that is too small, right, and too large.")
display(pd.DataFrame(what).T)

# %% [markdown]
# The table counts what the good ones really are.
#
# - **Diameter too small**: pieces of particles, of tubes and of ice now have the usual size, and pass. Good ones appear
#   with nothing whole beneath them; the outlines lie side by side on one object, or on nothing that the eye can see.
# - **Diameter too large**: few picks are left, and hardly a good one. The rings are smaller than any circle that the
#   picker looks for, and particles that touch are taken for one.
#
# The second error shows by itself. The first does not: the share of good ones is no smaller than with the right
# diameter. The share of clean ones falls, but only labels know that. Without labels, look at the outlines, and at the
# contact sheet: each row should show one kind of thing. What else it shows:
#
# - **Two kinds in one row**, such as rings among the side views: the views were mixed up, and none of the tests in
#   sections 3 to 5 asks whether the view is the right one.
# - **Particles in the row of negatives**: section 9. A few are the price of strict limits; if they are most of the row,
#   loosen the limits, or train without the class.
# - **Background with something in it**: particles that the picker did not see. Pick with a lower threshold, or leave
#   more room (`clearance` of `build`).
#
# ## Key points
#
# - For training, a wrong label costs more than a missing one: select strictly.
# - Each view has a perfect shape, and each rejection a reason that can be read.
# - All limits compare a particle with the others on its micrograph: no setting depends on the protein, and nothing
#   helps against what is wrong with all of them.
# - Split by micrograph, never by patch.
# - Rejected particles are still particles: they are poor negatives.
#
# ## Questions
#
# <details><summary>1. Selection keeps 70 % of the clean picks and halves the wrong ones. Is that a good deal?</summary>
#
# For a training set, yes: there are enough particles, and every wrong label is learnt. For the final picks of a
# reconstruction, no: 30 % of the particles are gone, and 2D classification would have removed the wrong ones anyway.
#
# </details>
#
# <details><summary>2. Why is a mask that is twice too large for *all* particles not rejected?</summary>
#
# The limits are relative to the average of the micrograph: what is wrong with all is normal.
#
# </details>
#
# <details><summary>3. A colleague splits patches at random, 80 to 20, and reports 99.9 % test accuracy. What do you
# suspect?</summary>
#
# A leak. Turned copies of one particle, and patches of one micrograph with the same ice and defocus, are on both sides.
# Split by micrograph and measure again.
#
# </details>
#
# <details><summary>4. Table 1 of the paper has 1076 good ones of 5493 ribosomes. What does it not say?</summary>
#
# How many of the 1076 are ribosomes. Nothing compares them with labels.
#
# </details>
#
# ## Try it
#
# Set `limits` to something strict, such as `{"circle_fit": 0.9, "rectangle_fit": 0.8}`, and run the lesson again. Does
# the clean share in section 6 rise as the curves promised? What does it do to the number of particles, to the copies
# that section 8 needs, and to the negatives in section 9? (Without JupyterLab:
# `cryokit notebooks run 03 -p "limits={circle_fit: 0.9, rectangle_fit: 0.8}"`.)
#
# Then move `near_miss`: with 0.2 the negatives are few and hard, with 0.01 many and easy. Follow the share of
# particles among them in section 9, and the number of background patches in section 8.
#
# Last, real micrographs: there the labels are what somebody saw and marked, so a good particle that nobody marked
# counts as an error, although it may not be one.
#
# ## Read on
#
# - Next: [04 Training a network](04_training.ipynb)
# - Al-Azzawi et al. (2020), DeepCryoPicker, BMC Bioinformatics 21:509: algorithms 1 and 2
# - Northcutt, Athalye and Mueller (2021), Pervasive label errors in test sets destabilize machine learning benchmarks,
#   NeurIPS Datasets and Benchmarks
