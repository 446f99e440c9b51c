# %% [markdown]
# # Picking with a network
#
# A trained network says of one window whether a particle is in its middle. A micrograph has tens of thousands of
# windows, and a data set thousands of micrographs. This lesson goes from the one to the other, measures every step on
# whatever device is there, and ends with files that RELION reads.
#
# **Goals**: explain why scoring a micrograph all at once gives the same numbers as window by window, and when it does
# not; say where the operations and the seconds go; turn a score map into picks and judge each step; check that
# coordinates arrive where they should; find out whether a score is a probability.
#
# **Before**: Lesson 04 (a trained network), lesson 00 (precision and recall).
#
# **Minutes**: 50 to read (core sections 16), 5 to compute (core sections 4), most of them for training.
#
# **In the paper**: "Experiments on fully automated single particle picking", tables 4, 5 and 8, figures 3 and 18b.
#
# "The paper" is Al-Azzawi et al. 2020, BMC Bioinformatics 21:509 (DeepCryoPicker).

# %% tags=["parameters"]
profile = "quick"  # quick: a narrow network, few micrographs; full: a wider one, more of everything
seed = 0  # another number gives other micrographs, and other networks
data = "auto"  # real micrographs in section 11: auto (if they have been fetched), simulated (none), or a folder of them
width = 0.0  # of the network's layers, 1 is the paper's; 0: 0.125 (quick) or 0.25 (full)
micrographs = 0  # to learn from; 0: 8 (quick) or 24 (full)
per_class = 300  # patches of each class to train `deepcryopicker` with
steps = 50  # training steps in each of the two rounds of `auto`
stride = 16  # pixels between windows: 4, 8, 16 or 32
disk = 0.2  # seconds that the slow disk of section 10 takes for a micrograph
output_dir = "out/05_gpu_picking"  # where models, micrographs and coordinates go

# %%
import contextlib
import dataclasses
import functools
import io
import logging
import time
from pathlib import Path

import numpy as np
import pandas as pd
from IPython.display import display

from cryokit import coordinates, datasets, evaluate, explore, micrograph, networks, pickers, plot, simulate
from cryokit._util.prefetch import ahead
from cryokit.benchmark import measured_before, reported, summary
from cryokit.cli.notebook_runner import record
from cryokit.evaluate import paired
from cryokit.evaluate.reliability import calibration_error, reliability
from cryokit.imaging.preparation import WORKING_DIAMETER, levelled, recorded, whitened
from cryokit.imaging.scale import scale_factor
from cryokit.imaging.score_cleaning import clean, joined_areas, largest_area
from cryokit.imaging.unusable import unusable

# %%
from cryokit.networks import describe, devices
from cryokit.networks.fully_convolutional import fully_convolutional
from cryokit.networks.scoring import dense, sliding
from cryokit.networks.scoring.running import runner
from cryokit.networks.training import MODERN, Samples, train
from cryokit.pickers import compact_picking, map_to_picks
from cryokit.pickers.many_files import pick_files
from cryokit.plot import score_figures
from cryokit.plot.result_words import compared_words, f1_words

devices.import_keras()
# It warns when functions are compiled anew, as every new network has to be.
logging.getLogger("tensorflow").setLevel(logging.ERROR)
plot.lesson_style()
output = Path(output_dir)
quick = profile == "quick"
width = width or (0.125 if quick else 0.25)
plot.show(plot.workflow(here="05"))


# %%
def seconds(work, repeats=3):
    """Return the median time of some repetitions, after a first one in which the backend compiles."""
    work()
    took = []
    for _ in range(repeats):
        start = time.perf_counter()
        work()
        took.append(time.perf_counter() - start)
    return float(np.median(took))


# %% [markdown]
# ## 1. The device (further)
#
# Every time in this lesson is measured as it runs, on the device that this cell names; none is copied from elsewhere.

# %%
there = devices.describe_device()
display(pd.Series(there, name="").rename_axis("").to_frame())
gpu = there["gpu"]
print(devices.device_text())
if gpu is None:
    plot.sentences("All times below are the CPU's. On a machine with a GPU the same cells use it, without any change.")
record("gpu", gpu)
record("device", there["device"])

# %% [markdown]
# ## 2. Two pickers, trained without labels (core)
#
# KLH is a cylinder: a ring from the top, a square from the side. Some micrographs are for training, the others for
# judging, and one of these has a piece of carbon film in it. Two pickers learn from the first:
#
# - `deepcryopicker`, the paper's way: component 1 (lessons 02 and 03) finds training particles, and a network that
#   looks at windows of 227 x 227 pixels learns their views. It is the variant without padding, and a narrow one, so
#   that its training takes a minute.
# - `auto`, this package's default: labels that several pickers agree on teach the compact network, which looks at
#   micrographs binned until a particle is 28 pixels across.

# %%
number, side = micrographs or (8 if quick else 24), 1024 if quick else 2048
options = {"shape": (side, side), "pixel_size": 4.4, "n_particles": 40 * (side // 1024) ** 2}
pairs = list(simulate.simulate_set("klh", number + number // 2, seed=seed, carbon=False, **options))
learned = [image for image, _ in pairs[:number]]
scene, scene_truth = simulate.simulate("klh", seed=seed + 101, carbon=True, name="carbon", **options)
others = [*(image for image, _ in pairs[number:]), scene]
truth = coordinates.concatenate([*(table for _, table in pairs[number:]), scene_truth])
names = [image.name for image in others]
diameter = float(truth["diameter"].median())
plot.sentences(
    f"{len(learned)} simulated micrographs to learn from, {len(others)} others with "
    f"{(truth['view'] != 'ignore').sum()} "
    f"whole particles; {side} x {side} pixels, a particle of {diameter:.0f}."
)

# %%
trained = {}
for method, settings in {
    "deepcryopicker": {"width": width, "per_class": per_class, "epochs": 12, "stride": stride, "seed": seed},
    "auto": {"steps": steps, "seed": seed},
}.items():
    start = time.perf_counter()
    with contextlib.redirect_stderr(io.StringIO()):  # the bars of the training's progress
        trained[method] = pickers.create(method, diameter=diameter, **settings).fit(learned)
    print(f"{method}: {(time.perf_counter() - start) / 60:.1f} minutes")
    print("\n".join(f"    {line}" for line in trained[method].decisions_))
    trained[method].save(output / method)
paper, auto = trained["deepcryopicker"], trained["auto"]
network, working = paper.model_, paper.working_diameter
classes = network.config.classes
views = [name for name in classes if name not in ("background", "negative")]

# %% [markdown]
# ### The scale: table 4
#
# The network of `deepcryopicker` does not get the micrograph as it is. The paper resizes it in steps of 0.125 until the
# particle's box is "slightly smaller" than the window of 227 pixels. `scale_factor` does that. Does it give the paper's
# table 4, and does the table agree with itself?

# %%
table_4 = reported.table(4).set_index("title")
# The views of a protein are in the same micrographs, so the largest box decides.
largest_box = table_4.groupby("protein")["box"].transform("max")
table_4["factor here"] = [scale_factor(box) for box in largest_box]
table_4["box x factor"] = table_4["box"] * table_4["factor"]
table_4["side x factor"] = table_4["side"] * table_4["factor"]
columns = ["side", "box", "factor", "factor here", "scaled_box", "box x factor", "scaled_side", "side x factor"]
display(table_4[columns].rename_axis(None).style.format("{:g}"))
wrong = table_4[abs(table_4["scaled_side"] - table_4["side x factor"]) > 1]
plot.sentences(
    f"The factors agree in {(table_4['factor'] == table_4['factor here']).sum()} of {len(table_4)} rows. "
    "**The sizes of the scaled micrographs do not all follow from them**: "
    + "; ".join(
        f"{title}: {row['side']:g} x {row['factor']:g} = {row['side x factor']:g}, not {row['scaled_side']:g}"
        for title, row in wrong.iterrows()
    )
    + "."
)
record("rows of table 4 with the paper's factor", int((table_4["factor"] == table_4["factor here"]).sum()))
record("rows of table 4 whose micrographs do not follow", wrong.index.tolist())

# %% [markdown]
# So somebody who rebuilds the method from the table has to decide which number to believe. Here the factor counts. (The
# text and the table also differ on the ribosome's scaled box, 212 and 200 pixels; and the long side of the apoferritin
# micrographs is meant, which are 1200 x 1240.)
#
# Besides being resized, every pixel is measured in standard deviations of the window around it, so that all windows
# look alike, wherever they are:

# %%
scored = {image.name: map_to_picks.score(paper, image) for image in others}
picture, frame = scored[scene.name].picture
figure, (left, right) = plot.subplots(1, 2, height=4.9)
plot.overlay(left, scene, labels=scene_truth, title=f"{scene.name}: {side} x {side} pixels")
plot.show_micrograph(right, picture, title=f"levelled: {picture.shape[0]} x {picture.shape[1]} pixels")
score_figures.next_window(right, picture.shape[1], stride, 227)
plot.show(
    figure,
    f"Left a simulated micrograph with {len(scene_truth)} particles and carbon film, right as the network gets it, "
    f"{paper.factor_:g} times as large and levelled, with two windows {stride} pixels apart that overlap almost "
    "wholly.",
)

# %% [markdown]
# ## 3. Window by window, or all at once (core)
#
# The paper's way is **sliding**: cut out a window, ask the network, move on by some pixels. Two neighbouring windows in
# the picture above have nearly all pixels in common, and nearly all that the network computes for the one it computes
# again for the other.
#
# The **dense** way computes what windows share only once. A convolution does not depend on the size of the picture, so
# the convolutions see the whole picture; a fully connected layer becomes a convolution with a kernel as large as what
# it was connected to. Where the layers move by more than the wanted stride, they are made to move by less, and the
# kernels after them are widened to match (*dilation*). The weights are the same; no training is needed.
#
# If nothing is padded inside the network, every score comes from exactly the pixels of its window, and the two maps
# have to be equal but for rounding. Here is the test, on the piece of the picture that has the most particles:

# %%
PIECE = 28 * 16  # pixels
x, y = frame.from_source(*scene_truth.loc[scene_truth["view"] != "ignore", ["x", "y"]].to_numpy().T)
corners = np.stack([x, y], axis=1)[:, None] - np.linspace(0.2, 0.8, 5)[:, None] * PIECE
corners = np.clip(corners.reshape(-1, 2), 0, np.array(picture.shape[::-1]) - PIECE)
inside = (abs(x - corners[:, :1] - PIECE / 2) < PIECE / 2) & (abs(y - corners[:, 1:] - PIECE / 2) < PIECE / 2)
left, top = corners[inside.sum(axis=1).argmax()].astype(int)
piece = np.ascontiguousarray(picture[top : top + PIECE, left : left + PIECE])

# %%
sliding(piece, network, stride=64)  # the backend compiles
rows = []
for step in (32, 16, 8):
    start = time.perf_counter()
    one_by_one = sliding(piece, network, stride=step)
    took = time.perf_counter() - start
    at_once, in_tiles = dense(piece, network, stride=step), dense(piece, network, stride=step, tile=320)
    rows.append(
        {
            "stride": step,
            "windows": at_once.scores[..., 0].size,
            "sliding (s)": took,
            "dense (s)": seconds(functools.partial(dense, piece, network, stride=step)),
            "largest difference": float(abs(one_by_one.scores - at_once.scores).max()),
            "in tiles": float(abs(in_tiles.scores - at_once.scores).max()),
        }
    )
equal = pd.DataFrame(rows).set_index("stride")
equal["times as fast"] = equal["sliding (s)"] / equal["dense (s)"]
display(equal.style.format("{:.3g}").format("{:.1e}", subset=["largest difference", "in tiles"]))

# %%
worst, faster = equal["largest difference"].max(), equal["times as fast"]
plot.sentences(
    f"**No score differs by more than {worst:.0e}**, and dense scoring is {faster.loc[32]:.0f}, "
    f"{faster.loc[16]:.0f} and {faster.loc[8]:.0f} times as fast at strides of 32, 16 and 8 pixels, here and now, "
    "on a small piece."
)
record("largest difference, valid", float(worst))
record("largest difference, tiles", float(equal["in tiles"].max()))
record("dense is faster than sliding, times", float(faster.loc[16]))

# %% [markdown]
# The column *in tiles* is the same map put together from overlapping tiles, compared with that of the whole piece.
# Tiles keep the memory bounded, however large the micrograph is, and since each is large enough for all that its scores
# see, their borders do not show.

# %% [markdown]
# ## 4. What `same` padding costs (further)
#
# The network of table 9 pads: around each map inside it puts zeros, so that the map keeps its size (`same`). Cut out
# one window, and the zeros are around that window. In the dense pass there are no window borders, so what was zero is
# now the picture around the window. Here is a network with `same` padding, otherwise like the other, trained on the
# same patches, and scored in the same two ways:

# %%
training_set = paper.training_set_
same = dataclasses.replace(network.config, padding="same").build()
held_out = training_set.arrays("validation")
train(
    same,
    Samples(*training_set.arrays("train")),
    Samples(*held_out) if len(held_out[1]) else None,
    dataclasses.replace(MODERN, epochs=8),
    seed=seed,
)
maps = {}
for word, each in {"valid": network.network, "same": same}.items():
    options = {"stride": stride, "classes": classes}
    maps[word] = sliding(piece, each, **options).particle, dense(piece, each, **options).particle
plot.show(score_figures.padding_maps(piece, maps))

# %%
errors = {}
for word, (one_by_one, at_once) in maps.items():
    difference = abs(at_once - one_by_one)
    errors[word] = {
        "mean difference": float(difference.mean()),
        "largest difference": float(difference.max()),
        "decided otherwise at 0.5": float(((at_once >= 0.5) != (one_by_one >= 0.5)).mean()),
    }
    record(f"mean difference, {word} padding", errors[word]["mean difference"])
    record(f"decided otherwise, {word} padding", errors[word]["decided otherwise at 0.5"])
display(pd.DataFrame(errors).T.style.format("{:.2g}").format("{:.2%}", subset=["decided otherwise at 0.5"]))

# %% [markdown]
# With `same` padding the maps show the same particles, and the scores differ, at some positions by a lot. Whether a
# threshold that was chosen for one way holds for the other has to be tried. This is why the variant without padding is
# the default of `deepcryopicker`: it has nothing to approximate.

# %% [markdown]
# ## 5. Where the operations are (further)
#
# Time depends on the device; arithmetic does not. These are the multiply-adds for one micrograph of 2048 x 2048, of the
# network in its full width, as in the paper. No network runs here; they are counted from the layers' shapes.

# %%
SIDE = 2048
count = ((SIDE - 1) // stride + 1) ** 2
full = networks.create("deepcryopicker_valid", classes=("particle", "background")).build()
reach = (SIDE - 1) // stride * stride + 227  # mirrored by half a window at the borders
binned = round(SIDE * WORKING_DIAMETER / 170) + 70  # for a particle of 170 pixels, as KLH's
work = {
    f"sliding,\n{count:,} windows": count * describe.multiply_adds(full),
    "dense, same weights": describe.multiply_adds(fully_convolutional(full, stride=stride), (reach, reach)),
    "dense, stride 32": describe.multiply_adds(fully_convolutional(full), (reach, reach)),
    "compact, binned": describe.multiply_adds(networks.create("compact").build(), (binned, binned)),
}
del full
plot.show(score_figures.bars_of_work(work, f"multiply-adds for {SIDE} x {SIDE} pixels"))
ratios = [max(work.values()) / n for n in work.values()]
for words, ratio in zip(("dense", "dense, own stride", "compact"), ratios[1:], strict=True):
    record(f"sliding takes so many times the operations, {words}", ratio)

# %% [markdown]
# Two different savings. From the first bar to the second nothing is given up: the scores are the same. From there to
# the last it is another network: it sees a particle on far fewer pixels, no more than it takes to tell particles from
# ice, and has a fraction of the weights. A faster device makes all bars shorter; it does not change their order.

# %% [markdown]
# ## 6. Score maps (core)
#
# A map has one probability for each class and position. The sum over the views is the probability of *a particle*.

# %%
scores = scored[scene.name].scores
figure, axes = plot.subplots(1, 1 + len(views), height=8.8 / (1 + len(views)) + 0.3, squeeze=False)
shown = {"a particle": scores.particle} | {name: scores.scores[..., classes.index(name)] for name in views}
for ax, (title, values) in zip(axes[0], shown.items(), strict=True):
    colours = score_figures.score_map(ax, scores, picture.shape, values, title=f"probability of: {title}")
figure.colorbar(colours, ax=axes[0].tolist(), shrink=0.85)
plot.show(figure, f"Score maps of {scene.name}: of a particle, and of each view ({', '.join(views)}); bright spots.")
path = output / "maps" / "carbon.mrc"
paper.score_map(scene).write_mrc(path, scene.pixel_size)
print(f"{path.name}: {scores.particle.shape[0]} x {scores.particle.shape[1]} scores, to be looked at in any viewer")

# %% [markdown]
# Each particle is a spot, not a point: windows a little off its centre show it, too. The spots of the two views are on
# different maps. Then look where the micrograph has carbon film. In what the network gets, noise fills its place
# (lesson 01). No training patch has shown such noise, and the network has no class for what it does not know: trained
# with one seed it may take the noise for particles, and with another it may not.
#
# In JupyterLab the explorer lays the map over the micrograph. Move the threshold, and look which spots become picks;
# `?` lists what else it can do.

# %%
explorer = explore(scene, paper.pick(scene, threshold=0), scene_truth, {scene.name: paper.score_map(scene)})
display(explorer)

# %% [markdown]
# ## 7. Cleaning (core)
#
# What lies on the carbon film is left out, whatever it scores: the mask that says what is filled also says where there
# can be no pick.
#
# From there, the paper's first step from a map to picks: connect neighbouring positions "whose prediction scores are
# close and both above the threshold", and leave out what is joined to something larger than a cut-off. It gives no
# values. Here the threshold is 0.5, more likely a particle than not, and the cut-off is the area of one particle: spots
# are smaller than that. How close scores have to be decides what hangs together, so there are two tries:

# %%
likely, closeness = 0.5, (0.1, 0.3)
ice = scored[scene.name].usable
particle = np.where(ice, scores.particle, 0)
above = particle >= likely
cut_off = largest_area(working, scores.frame.step, particles=1.0)
at_truth = np.zeros_like(above)
column, row = (np.rint(place).astype(int) for place in scores.frame.from_source(x, y))
at_truth[row.clip(0, above.shape[0] - 1), column.clip(0, above.shape[1] - 1)] = True
kept = {close: clean(particle, likely, cut_off, closeness=close) for close in closeness}
areas = {close: joined_areas(particle, likely, closeness=close) for close in closeness}
cleaned = {
    close: {
        "areas": int(areas[close].max()),
        "too large": int((np.bincount(areas[close].ravel())[1:] > cut_off).sum()),
        "positions before": int(above.sum()),
        "positions after": int(kept[close].sum()),
        "true particles lost": int((at_truth & above & ~kept[close]).sum()),
    }
    for close in closeness
}
display(pd.DataFrame(cleaned).T.rename_axis("closeness"))

# %%
on_film = int(((scores.particle >= likely) & ~ice).sum())
strict, tolerant = (cleaned[close]["too large"] for close in closeness)
plot.show(score_figures.cleaned(picture, scores, areas[closeness[-1]], kept, likely))
plot.sentences(
    f"{on_film} positions above {likely:g} lie on the carbon film and are gone already. A particle's area is "
    f"{cut_off:.0f} positions; areas larger than that: {strict} at a closeness of {closeness[0]:g}, {tolerant} at "
    f"{closeness[1]:g}. "
    + (
        "**Cleaning has changed nothing on this micrograph.**"
        if not tolerant
        else f"With the more tolerant closeness it leaves out {above.sum() - kept[closeness[1]].sum()} positions."
    )
)
record("positions on the mask", on_film)
record("positions above the threshold", int(above.sum()))
for close in closeness:
    record(f"areas left out, closeness {close:g}", cleaned[close]["too large"])
    record(f"true particles lost, closeness {close:g}", cleaned[close]["true particles lost"])
    record(f"positions left, closeness {close:g}", cleaned[close]["positions after"])

# %% [markdown]
# The spots of particles stay. Whether something larger goes depends on the closeness: where scores must be very close,
# it falls into pieces that are small enough to stay; with more tolerance its largest pieces hang together, and are left
# out. It is a help against one kind of mistake, no cure.

# %% [markdown]
# ## 8. Non-maximum suppression, step by step (core)
#
# "More likely than not" is a low bar: the training set was balanced, so the network has never been told that most
# places of a micrograph are no particle. The picker has chosen a threshold of its own (its last line in section 2), and
# from here on this one counts. Every position above it is a *candidate*, with a box around it. **Non-maximum
# suppression** (NMS) keeps the best one, leaves out all that overlap it, goes on with the best of the rest, and so on
# to the last.

# %%
threshold, limit = paper.threshold_, 0.3  # intersection over union (IoU) of two boxes
found = map_to_picks.candidates(scores, ice, threshold)
ways = map_to_picks.suppressed(found, working, limit=limit)
figure, axes = plot.subplots(1, 2, height=4.9)
for ax, rule in zip(axes, ("all candidates", "IoU, all views together"), strict=True):
    left_over = ways[rule]
    plot.show_micrograph(ax, picture, title=f"{rule}: {left_over.x.size}", pixel_size=scene.pixel_size / paper.factor_)
    line = 0.8 if rule == "all candidates" else 2.5
    score_figures.boxes(ax, left_over.x, left_over.y, left_over.view, working, line=line)
    score_figures.look_at(ax, left + PIECE / 2, top + PIECE / 2, PIECE, picture.shape)
score_figures.explain_views(axes[0], views)
plot.show(figure, f"A part of {scene.name}: left many overlapping boxes at each particle, right one box for each.")

# %% [markdown]
# How good is each rule? On all micrographs that are not for training, with the interval over micrographs:


# %%
def steps_of(image):
    """Return the picks on a micrograph after each of the steps."""
    name, (_, its_frame), its_scores, usable = scored[image.name]
    found = map_to_picks.candidates(its_scores, usable, threshold)
    steps = map_to_picks.suppressed(found, working, limit=limit)
    steps["peaks between positions"] = map_to_picks.peaks(its_scores, usable, threshold, working)
    return {rule: map_to_picks.as_picks(each, name, its_frame, diameter) for rule, each in steps.items()}


steps = [steps_of(image) for image in others]
every = {method: coordinates.concatenate(p.pick(i, threshold=0) for i in others) for method, p in trained.items()}
tables = {rule: coordinates.concatenate(each[rule] for each in steps) for rule in steps[0]}
tables["pick"] = every["deepcryopicker"].query("score >= @threshold")
judged = {rule: evaluate.evaluate(table, truth, micrographs=names, diameter=diameter) for rule, table in tables.items()}

# %%
rows = {}
for rule, each in judged.items():
    off = each.picks.loc[each.picks["outcome"] == "true", "distance"] / diameter
    low, high = each.intervals["f1"]
    rows[rule] = {"picks": len(tables[rule]), "precision": each.precision, "recall": each.recall, "F1": each.f1}
    rows[rule] |= {"95 % from": low, "to": high, "off the centre (diameters)": float(off.median())}
    record(f"picks, {rule}", rows[rule]["picks"])
    record(f"F1, {rule}", each.f1)
by_rule = pd.DataFrame(rows).T
display(by_rule.style.format("{:.3f}").format("{:.0f}", subset=["picks"]))
record("off the centre, positions", rows["distance, all together"]["off the centre (diameters)"])
record("off the centre, peaks", rows["peaks between positions"]["off the centre (diameters)"])
own, together = rows["IoU, each view by itself"], rows["IoU, all views together"]
plot.sentences(
    f"Of {len(others)} micrographs: without suppression F1 is {rows['all candidates']['F1']:.2f}. Suppression "
    f"within each view, as in the paper, leaves {own['picks']} picks, among all views together {together['picks']}."
)

# %% [markdown]
# The paper suppresses each view by itself. That has a catch: a particle that the network takes for a top view in one
# position and for a side view in the next is picked twice. Two particles cannot be in one place, whatever their views,
# so this package suppresses among all views together. How often does it matter? Pairs of picks of different views less
# than half a diameter apart, at two thresholds, and some of them:

# %%
double, seen = {}, []
for level in (likely, threshold):
    double[level] = {"picks": 0, "particles picked twice": 0}
    for each in scored.values():
        found = map_to_picks.candidates(each.scores, each.usable, level)
        by_view = map_to_picks.suppressed(found, working, limit=limit)["IoU, each view by itself"]
        pairs_of_two = map_to_picks.twice(by_view, working)
        double[level]["picks"] += by_view.x.size
        double[level]["particles picked twice"] += len(pairs_of_two)
        seen += [(level, each.picture.data, by_view.chosen(pair)) for pair in pairs_of_two]
display(pd.DataFrame(double).T.rename_axis("threshold"))
record("particles picked twice", [counted["particles picked twice"] for counted in double.values()])

# %%
seen.sort(key=lambda one: -one[0])  # the picker's own threshold first: what is left even there
figure, axes = plot.subplots(1, 5, height=2.1)
for ax, (level, data_seen, pair) in zip(axes, seen, strict=False):
    plot.show_micrograph(ax, data_seen, title=f"above {level:.2f}")
    score_figures.boxes(ax, pair.x, pair.y, pair.view, working)
    score_figures.look_at(ax, pair.x.mean(), pair.y.mean(), 0.75 * working, data_seen.shape)
for ax in axes[len(seen) :]:
    ax.set_axis_off()
plot.show(
    figure, f"{min(5, len(seen))} of {len(seen)} particles with two boxes of different colours: two views of one."
)

# %% [markdown]
# What overlaps too much? Square boxes overlap by an amount that depends on the direction in which the other one lies.
# Particles have no corners, so the distance of the centres is the plainer measure:

# %%
figure, reached = score_figures.overlap_curves(limit)
plot.show(figure)
beside, diagonal = reached["boxes, side by side"], reached["boxes, along the diagonal"]
plot.sentences(f"IoU {limit:g}: {beside:.2f} diameters apart side by side, {diagonal:.2f} along the diagonal.")
record("distance at the limit, side by side", beside)
record("distance at the limit, diagonal", diagonal)

# %% [markdown]
# The best candidate of a spot is a position of the map, a multiple of the stride. The particle is somewhere between the
# positions: so the maxima of the map are placed between them, by a parabola through each. A maximum on the edge of the
# map is left out: the scores may rise on beyond it, and what the network sees there is half a micrograph and half its
# mirror image. The last two rows of the table are this step (*peaks between positions*) and the picker's own `pick`,
# which also smooths the map first, cleans it, corrects a measured shift and suppresses by IoU. Is every step an
# improvement?

# %%
before, last = judged["peaks between positions"], judged["pick"]
test = paired.compare(last.per_micrograph, before.per_micrograph)
off = by_rule["off the centre (diameters)"]
plot.sentences(
    f"Centres are {off['distance, all together']:.3f} diameters off at the positions of the map, "
    f"{off['peaks between positions']:.3f} between them, {off['pick']:.3f} after `pick`.",
    compared_words(test, "`pick`", "the step before"),
)
if test.difference < 0:
    plot.sentences(
        "A step that is worse on a few micrographs was kept because it helps on most of those that were tried."
    )
record("F1 of pick minus the step before", test.difference)

# %% [markdown]
# ## 9. One micrograph, with a clock (further)
#
# Reading, finding what is no usable ice, preparing, the network, and what follows it, each measured by itself, for both
# pickers on this device. The mask of usable ice is found once and kept, so only the first preparation of a micrograph
# pays for it.

# %%
paths = []
for image in others:
    paths.append(output / "micrographs" / f"{image.name}.mrc")
    micrograph.write_mrc(paths[-1], image.data, pixel_size=image.pixel_size)
lean, scale = auto.model_, (paper.diameter_, paper.contrast_, paper.factor_, 227)
ready = whitened(recorded(scene), auto.diameter_, auto.contrast_, WORKING_DIAMETER)
lean_map = compact_picking.score_map(lean.network, lean.config, ready)
tasks = {
    "deepcryopicker": {
        "preparing": lambda: levelled(scene, *scale),
        "network": lambda: dense(picture, network, stride=stride),
        "peaks": lambda: map_to_picks.peaks(scores, clean(particle, likely, cut_off), threshold, working),
    },
    "auto": {
        "preparing": lambda: whitened(recorded(scene), auto.diameter_, auto.contrast_, WORKING_DIAMETER),
        "network": lambda: compact_picking.score_map(lean.network, lean.config, ready),
        "peaks": lambda: compact_picking.candidates(lean_map, ready.frame, scene.name, diameter),
    },
}

# %%
shared = {
    "reading": seconds(lambda: micrograph.read(paths[-1])),
    "mask": seconds(lambda: unusable(scene.data), 1),
}
clock = pd.DataFrame(
    {method: shared | {part: seconds(task, 2) for part, task in parts.items()} for method, parts in tasks.items()}
).T
whole = {method: seconds(lambda picker=picker: picker.pick(scene), 2) for method, picker in trained.items()}
figure, ax = plot.subplots(height=2.6)
clock.plot.barh(stacked=True, ax=ax, color=plot.CURVE_COLOURS[:5], legend=False)
ax.set(xlabel=f"seconds for {side} x {side} pixels, on {gpu or 'the CPU'}")
ax.invert_yaxis()
ax.legend(ncols=5, loc="upper center", bbox_to_anchor=(0.4, 1.28), frameon=False)
longest = clock.idxmax(axis=1)
plot.show(
    figure,
    "; ".join(f"{method}: {clock.loc[method].sum():.2f} s, most for {longest[method]}" for method in clock.index),
)
display(clock.assign(**{"all": clock.sum(axis=1), "pick, mask known": pd.Series(whole)}).style.format("{:.3f}"))
for method, total in clock.sum(axis=1).items():
    record(f"seconds a micrograph, {method}", float(total))

# %% [markdown]
# Where a bar is longest is where work on speed pays. A GPU shortens the part called *network*, and nothing else: the
# faster the device, the more the rest counts. The last column is measured independently, without the mask; its
# difference from the sum of preparing, network and peaks is what the other steps cost, and the noise of the clock.
#
# The paper's table 8, in minutes for a micrograph, *as reported* (sliding windows, full width, a stride that it does
# not give):

# %%
table_8 = reported.table(8).set_index("protein")[["side_px", "micrographs", "cpu", "gpu"]]
table_8["CPU / GPU"] = table_8["cpu"] / table_8["gpu"]
display(table_8.rename_axis(None).style.format("{:.1f}").format("{:.0f}", subset=["side_px", "micrographs"]))
per_pixel = table_8["cpu"] / table_8["side_px"] ** 2
plot.sentences(
    "If time grew with the pixels, the minutes would span a factor of "
    f"{(table_8['side_px'].max() / table_8['side_px'].min()) ** 2:.1f}; "
    f"they span {table_8['cpu'].max() / table_8['cpu'].min():.1f} on the CPU. Something else than windows took most "
    "of the time, or the micrographs did not have the sizes that the table gives (section 2 has its doubts about "
    "these)."
)

# %% [markdown]
# ## 10. Precision, batches, reading ahead (further)
#
# **Mixed precision**: the network calculates in 16 bits and keeps its weights in 32. A GPU has units for that, and half
# the bytes to move. On a processor it depends: one without instructions for it gets slower. The last layer, which turns
# scores into probabilities, stays in 32 bits. All devices that there are here, and what they can calculate in:

# %%
own = auto.pick(scene)
rows = []
for device in devices.list_devices():
    # Few processors have a fast way for float16; many have one for bfloat16.
    for precision in ("float32", "mixed_bfloat16", *(() if device.startswith("cpu") else ("mixed_float16",))):
        with devices.using(device, precision):
            other = pickers.load(output / "auto")
        with devices.using(device):
            picks = other.pick(scene)
            again = functools.partial(compact_picking.score_map, other.model_.network, other.model_.config, ready)
            took, values = seconds(again), again().particle
        both = evaluate.evaluate(picks, own, micrographs=[scene.name], diameter=diameter, bootstrap=0)
        row = {"device": device, "precision": precision, "network (s)": took}
        row["largest difference of scores"] = float(abs(values - lean_map.particle).max())
        rows.append(row | {"picks": len(picks), "of these as in float32": both.tp})
        record(f"same picks, {device}, {precision}", both.tp / max(len(picks), len(own), 1))
mixed = pd.DataFrame(rows)
display(mixed.style.format({"network (s)": "{:.4f}", "largest difference of scores": "{:.1e}"}).hide(axis="index"))

# %% [markdown]
# **Batches**: a small picture does not keep a large device busy; several pictures of one shape can go through the
# network together. The scores are the same; whether it is faster is for the table to say.

# %%
one = np.pad(ready.data, lean.config.window // 2)[None, ..., None].astype(np.float32)
run = runner(lean.network)
batches = {size: seconds(lambda size=size: run(np.repeat(one, size, axis=0)), 2) / size for size in (1, 2, 4)}
display(pd.Series(batches, name="seconds for each").rename_axis("pictures").to_frame().style.format("{:.4f}"))
together = run(np.repeat(one, 2, axis=0))
record("batch and single, largest difference", float(abs(together[1] - run(one)[0]).max()))

# %% [markdown]
# **Reading ahead**: while the device works on one micrograph, a thread reads the next, so that the slower of the two
# sets the pace and not their sum. `pick_files` does that. To show it, the disk here is a slow one, `disk` seconds a
# micrograph, as over a network; and picking, where it is faster than that, waits until it has taken as long.


# %%
def slowly(path):
    """Read a micrograph from a slow disk."""
    time.sleep(disk)
    return micrograph.read(path)


def work_on(image):
    """Pick a micrograph, and take at least as long as the disk."""
    start = time.perf_counter()
    auto.pick(image)
    time.sleep(max(0.0, disk - (time.perf_counter() - start)))


start = time.perf_counter()
for path in paths:
    work_on(slowly(path))
in_turn = time.perf_counter() - start
start = time.perf_counter()
for _, image in ahead(paths, slowly):
    work_on(image)
overlapped = time.perf_counter() - start
plot.sentences(f"{len(paths)} micrographs: {in_turn:.2f} s in turn, {overlapped:.2f} s with reading ahead.")
record("reading ahead, part of the time", overlapped / in_turn)

# %% [markdown]
# ## 11. A folder of micrographs that no network was trained on (core)
#
# `pick_files` is what `cryokit pick --model` does: each micrograph's files are written as soon as it is picked, one
# that cannot be read does not stop the others, and all picks together are in `picks.csv`. `micrographs.csv` says of
# each what it is worth: how much of it is usable ice, how far Thon rings are seen, how sure the network is.

# %%
paths = [output / "micrographs" / f"{name}.mrc" for name in names]
for image, path in zip(others, paths, strict=True):
    micrograph.write_mrc(path, image.data, pixel_size=image.pixel_size)
results = {}
for method, picker in trained.items():
    done = pick_files(picker, paths, output / f"{method}_picks", formats=("star", "box"))
    plot.sentences(f"`{method}`: {len(done.picks)} picks in {len(done.micrographs)} micrographs.")
    record(f"problems, {method}", len(done.problems))
    # For the curves all candidates are needed, not only those above the threshold.
    results[method] = evaluate.evaluate(
        every[method], truth, micrographs=names, diameter=diameter, threshold=picker.threshold_
    )
columns = ["micrograph", "verdict", "picks", "evidence", "masked", "resolution"]
display(done.qualities[columns].round(2).style.hide(axis="index").format(precision=2))

# %%
rows = {}
for method, each in results.items():
    low, high = each.intervals["f1"]
    rows[method] = {"precision": each.precision, "recall": each.recall, "F1": each.f1, "95 % from": low, "to": high}
    rows[method] |= {"AP": each.average_precision}
    record(f"F1, {method}", each.f1)
    record(f"average precision, {method}", each.average_precision)
display(pd.DataFrame(rows).T.style.format("{:.3f}"))
figure, axes = plot.subplots(1, 2, height=4.9)
plot.precision_recall(axes[0], results)
plot.overlay(axes[1], others[0], evaluation=results["auto"], title=f"auto, {others[0].name}")
words = "; ".join(f"{method} F1 {each.f1:.3f}" for method, each in results.items())
plot.show(figure, f"Precision-recall curves on {len(names)} micrographs ({words}), and one of them with its picks.")

# %% [markdown]
# The micrographs are new to both pickers. That is the only number worth reporting: on those that it was trained on, a
# network may have learned the answers by heart. What is no particle by the truth but looks like one (pieces of tubes,
# overlapping and broken ones) is not counted either way.
#
# ### Which classes to train with: table 5
#
# The paper's table 5 scores the picks of its three class settings over all its micrographs together. The same
# comparison *was measured before*, by `cryokit benchmark --config classes`, for each protein by itself (simulated); the
# result comes with cryokit and is not computed here.

# %%
before = measured_before.measured("classes")
rows = []
for name, dataset in before["datasets"].items():
    for row in summary.scored(before, name).itertuples():
        count = len(dataset["micrographs"]["test"])
        rows.append((row.title, f"{dataset['title']} (n = {count})", row.f1, row.f1_low, row.f1_high))
measured = pd.DataFrame(rows, columns=["classes", "micrographs", "F1", "95 % from", "to"])
display(measured.pivot_table(index="classes", columns="micrographs", values="F1").style.format("{:.3f}"))
table_5 = reported.table(5).set_index("setting")[["precision", "recall", "f1"]]
display(table_5.rename_axis("reported").style.format("{:.2f}"))
best = measured.loc[measured.groupby("micrographs")["F1"].idxmax(), "classes"].value_counts()
widest = (measured["to"] - measured["95 % from"]).max()
plot.sentences(
    f"Measured {before['provenance']['date'][:10]}. First are "
    + ", ".join(f"*{name}* on {count}" for name, count in best.items())
    + f" of {len(before['datasets'])} proteins; the 95 % intervals are up to {widest:.2f} wide."
)
record("table 5, first", best.to_dict())

# %% [markdown]
# ### Real micrographs
#
# If `cryokit data fetch apoferritin_10146` has brought them, the network that comes with the package picks recorded
# micrographs of apoferritin here, which it was not trained on, and people's labels judge it.

# %%
folder = None if data == "auto" else data
if data != "simulated" and datasets.labelled_pairs("apoferritin_10146", folder):
    real = simulate.real_or_simulated("apoferritin", 4, data=data)
    across = float(real.truth["diameter"].median())
    general_real = pickers.create("auto", diameter=across, pretrained=True).fit(real.images)
    found_real = coordinates.concatenate(general_real.pick(image) for image in real.images)
    each = evaluate.evaluate(found_real, real.truth, micrographs=[image.name for image in real.images])
    figure, ax = plot.subplots(height=7)
    plot.overlay(ax, real.images[0], evaluation=each)
    plot.show(figure, f"A recorded micrograph of apoferritin with the picks: {each.tp} true, {each.fp} false in all.")
    plot.sentences(real.origin, f"{f1_words(each)}, n = {len(real.images)}.")
    record("F1 on recorded micrographs", each.f1)
else:
    display(datasets.overview(["apoferritin_10146"]))

# %% [markdown]
# ## 12. The STAR file (core)
#
# RELION reads coordinates from STAR files: text, a header that names the columns, a line for each particle. Positions
# are in pixels of the micrograph as stored, though the network has seen another scale.

# %%
star = output / "auto_picks" / f"{others[0].name}.star"
lines = star.read_text(encoding="utf-8").splitlines()
print(f"{star.name}, {len(lines)} lines:")
print("\n".join(lines[:14]))
listing = output / "auto_picks" / "autopick.star"
print(f"\n{listing.name}, which lists the files:")
print("\n".join(Path(line).name if "/" in line else line for line in listing.read_text().splitlines() if line.strip()))

# %% [markdown]
# `autopick.star` is the file to give to RELION's *Particle extraction* job as its coordinates. Read back, the files
# give the very same picks:

# %%
again, listed = coordinates.read_folder(output / "auto_picks", format="star")
written = pd.read_csv(output / "auto_picks" / "picks.csv")
order = ["micrograph", "x", "y"]
pair = [table.sort_values(order).reset_index(drop=True)[["x", "y"]].to_numpy() for table in (again, written)]
largest = float(np.abs(pair[0] - pair[1]).max())
plot.sentences(f"{len(again)} picks read back, at most {largest:.1g} pixels from what was written.")
record("picks read back", len(again))
record("picks written", len(written))
record("largest error of a position in the STAR file", largest)
figure, ax = plot.subplots(height=3.6)
plot.contact_sheet(ax, others, again, 30, size=round(1.5 * diameter), columns=10)
plot.show(
    figure, "The thirty picks with the highest scores, cut out at the coordinates of the STAR files, all centred."
)

# %% [markdown]
# The sheet is the check that finds what no number does: a frame turned upside down, coordinates of another binning, a
# corner taken for the centre. All of them give squares with no particle in the middle. Grey is beyond the border; the
# pickers' setting `margin=0.5` leaves out all particles that the border cuts.

# %% [markdown]
# ## 13. Is a score a probability? (further)
#
# A score of 0.8 should mean that of ten such picks eight are particles. Then a threshold has a meaning, and the sum of
# the scores says how many particles there are. A *reliability diagram* shows it: the picks are sorted into bins by
# their scores, and the share of particles in each bin is drawn against the mean score, with its 95 % interval. On the
# diagonal, the scores are probabilities; below it the network is too sure of itself. The *expected calibration error*
# is the mean distance from the diagonal, weighted by the number of picks.
#
# The network that comes with the package was calibrated on simulated micrographs of many proteins. Training changes
# that: a network that has learned its labels well is nearly always sure.

# %%
general = pickers.create("auto", diameter=diameter, pretrained=True).fit(learned)
of_general = coordinates.concatenate(general.pick(image, threshold=0) for image in others)
curves, errors = {}, {}
for title, table in {"general network": of_general, "after training": every["auto"]}.items():
    outcome = evaluate.evaluate(table, truth, micrographs=names, diameter=diameter, bootstrap=0).picks
    counted = outcome[outcome["outcome"] != "ignored"]
    curves[title] = reliability(counted["score"], counted["outcome"] == "true", bins=5)
    errors[title] = calibration_error(curves[title])
    record(f"candidates, {title}", len(counted))
    record(f"calibration error, {title}", errors[title])
plot.show(score_figures.reliability_curves(curves, errors))
provenance = networks.Model.load("general").provenance
held_out = provenance["expected_calibration_error"]
fewest = int(min(table["picks"].min() for table in curves.values()))
plot.sentences(
    f"Some bins hold only {fewest} picks, so their shares are uncertain. The package's own figure for the general "
    f"network, on {provenance['simulated_micrographs_held_out']['all']['micrographs']} simulated micrographs that its "
    f"training did not see, is {held_out:.3f}."
)
record("calibration error, held-out simulation", held_out)

# %% [markdown]
# ## 14. What goes wrong, and how it looks (further)
#
# A micrograph has to be scored at the scale that training had. Give the picker another diameter, and it resizes the
# micrographs by another factor, to particles of a size that the network has never seen. Here is the trained network on
# the scene at wrong scales, and with inverted contrast:

# %%
cases = {
    "as trained": (1.0, paper.contrast_),
    "particles 0.6 times as large": (0.6, paper.contrast_),
    "particles 1.6 times as large": (1.6, paper.contrast_),
    "bright for dark": (1.0, "bright" if paper.contrast_ == "dark" else "dark"),
}
figure, axes = plot.subplots(1, 4, height=3)
for ax, (words, (factor, contrast)) in zip(axes, cases.items(), strict=True):
    wrong, wrong_frame = levelled(scene, diameter, contrast, factor * paper.factor_, 227)
    its_scores = dense(wrong, network, stride=stride)
    usable = map_to_picks.on_ice(its_scores, wrong_frame, scene)
    peaks = map_to_picks.peaks(its_scores, usable, threshold, factor * working)
    picks = map_to_picks.as_picks(peaks, scene.name, wrong_frame, diameter)
    each = evaluate.evaluate(picks, scene_truth, micrographs=[scene.name], diameter=diameter, bootstrap=0)
    ax.imshow(its_scores.particle, cmap="viridis", vmin=0, vmax=1)
    ax.set(xticks=[], yticks=[])
    ax.set_title(f"{words.replace(' times', chr(10) + 'times')}\n{len(picks)} picks, F1 {each.f1:.2f}", fontsize=10)
    record(f"F1, {words}", each.f1)
plot.show(figure, "Score maps of one micrograph, as trained, at two wrong scales and with inverted contrast; F1 falls.")

# %% [markdown]
# A network says nothing about what is unlike all that it was trained on; it still gives numbers between 0 and 1, and
# they add up to 1 over the classes. Scores do not tell that the scale is wrong. A look at the map does: either the
# spots have the size of a particle and stand where particles are, or they do not.
#
# ## Key points
#
# - Sliding and dense scoring give the same numbers if nothing is padded inside the network; dense is far cheaper.
# - The operations decide the time: first compute nothing twice, then use no more pixels than needed, then buy a GPU.
# - Suppress overlapping picks among all views together: one place, one particle.
# - A step of a pipeline is worth what it improves on micrographs that were not used to choose it. Measure each.
# - A score is a probability only if somebody has checked.
# - Coordinates leave in pixels of the stored micrograph; look at what will be cut out before you extract it.
#
# ## Questions
#
# **1.** A stride of 8 gives four times the scores of a stride of 16. Does dense scoring take four times as long?
#
# <details><summary>Answer</summary>
# <p>No. The first layers compute the same maps for both; only the later ones, whose dilated kernels run at more
# positions, grow. Compare the column <em>dense (s)</em> of section 3.</p>
# </details>
#
# **2.** NMS with an IoU limit of 0.3 keeps two picks that are 0.54 diameters apart if they lie side by side, but not if
# they lie diagonally. Is that sensible?
#
# <details><summary>Answer</summary>
# <p>Not for round particles: whether two of them fit beside each other does not depend on the direction of the image
# axes. A limit on the distance has no such preference.</p>
# </details>
#
# **3.** A table lists 15.8 minutes for 3374 x 3374 pixels and 18.6 for 4608 x 4608. What makes you doubt?
#
# <details><summary>Answer</summary>
# <p>The second has 1.9 times as many pixels, and so as many windows at the same stride, but takes 1.2 times as long.
# Either something other than the windows dominates, or the sizes or strides are not what they seem.</p>
# </details>
#
# **4.** Your picker's scores are all 0.99 or 0.01, and half of its picks at 0.99 are false. Which single number of this
# lesson shows it?
#
# <details><summary>Answer</summary>
# <p>The expected calibration error: it is near 0.5. Precision at the threshold shows it, too, but only there.</p>
# </details>
#
# ## Try it
#
# - Set `stride` to 8 and to 32 (without JupyterLab: `cryokit notebooks run 05 -p stride=8`). What do sections 3 and 9
#   say about time, and section 8 about how far off the centre the picks are?
# - Set `width` to 0.25. The narrow network's arithmetic grows with the square of the width: does its time?
# - In section 7, set `likely` to 0.1 and to 0.8. Which areas grow together, what lies under them, and does it go?
# - Pick your own micrographs: `cryokit pick FOLDER --out picks` trains `auto` on them; `--save-maps` keeps the score
#   maps, and `cryokit view FOLDER --picks picks --maps picks --out picks.html` shows them.
#
# ## Read on
#
# - Sermanet et al. 2014, *OverFeat*, ICLR: one network, all windows at once.
# - Guo et al. 2017, *On calibration of modern neural networks*, ICML 34:1321.
# - Lesson 06: this picker beside all the others.
