# %% [markdown]
# # Picking with a network
#
# A trained network says of one window whether a particle is in its middle. A micrograph has tens of thousands of
# windows, and a data set thousands of micrographs. This notebook goes from the one to the other, measures every step on
# whatever device is there, and ends with files that RELION reads:
#
# 1. the device: a GPU, or none
# 2. two pickers, trained without labels
# 3. window by window, or all at once: the same scores
# 4. what `same` padding costs
# 5. where the operations are, and how many there are
# 6. score maps
# 7. cleaning: an area too large to be a particle
# 8. non-maximum suppression, step by step
# 9. the way through one micrograph, with a clock
# 10. precision, batches, reading ahead
# 11. a folder of micrographs that nobody trained on
# 12. the STAR file, and what RELION will cut out
# 13. whether a score is a probability
# 14. what goes wrong, and how it looks
#
# The micrographs are simulated, so that the truth can judge; no training sees it. The quick profile takes about two
# minutes on two cores, most of it training. Every time in here is measured as the notebook runs, on the device that the
# first cell names; none is copied from elsewhere.
#
# "The paper" is Al-Azzawi et al. 2020, BMC Bioinformatics 21:509 (DeepCryoPicker).

# %% tags=["parameters"]
profile = "quick"  # quick: a narrow network, few micrographs; full: a wider one, more of everything
seed = 0  # another number gives other micrographs, and other networks
width = 0.0  # of the network's layers, 1 is the paper's; 0: 0.125 (quick) or 0.25 (full)
micrographs = 0  # to learn from; 0: 8 (quick) or 24 (full)
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

from cryokit.networks import devices

keras = devices.import_keras()
# It warns when functions are compiled anew, as every new network has to be.
logging.getLogger("tensorflow").setLevel(logging.ERROR)

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from IPython.display import display
from matplotlib.patches import Rectangle

from cryokit import coordinates, evaluate, micrograph, networks, pickers, plot, simulate
from cryokit._util.prefetch import ahead
from cryokit.cli.notebook_runner import record
from cryokit.coordinates.suppression import nms_distance, nms_iou
from cryokit.evaluate.reliability import calibration_error, reliability
from cryokit.imaging.peaks import NOT_ON_EDGE, find_peaks
from cryokit.imaging.preparation import WORKING_DIAMETER, levelled, recorded, unusable_regions, whitened
from cryokit.imaging.score_cleaning import clean, joined_areas, largest_area
from cryokit.imaging.unusable import covered
from cryokit.networks import describe
from cryokit.networks.fully_convolutional import fully_convolutional
from cryokit.networks.scoring import dense, sliding
from cryokit.networks.scoring.running import runner
from cryokit.networks.training import MODERN, Samples, train
from cryokit.pickers import compact_picking
from cryokit.pickers.many_files import pick_files
from cryokit.plot.pictures import CURVE_COLOURS

plt.rcParams["figure.constrained_layout.use"] = True
output = Path(output_dir)
quick = profile == "quick"
width = width or (0.125 if quick else 0.25)

# %% [markdown]
# ## 1. The device

# %%
there = devices.describe_device()
display(pd.Series(there, name="").rename_axis("").to_frame())
gpu = there["gpu"]
print(devices.device_text())
if gpu is None:
    print("All times below are the CPU's. On a machine with a GPU the same cells use it, without any change.")
record("gpu", gpu)
record("device", there["device"])


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
# ## 2. Two pickers, trained without labels
#
# KLH is a cylinder: a ring from the top, a square from the side. The first micrographs are for training, the others for
# judging, and one of these has a piece of carbon film in it. Two pickers learn from the first:
#
# - `deepcryopicker`, the paper's way: component 1 (notebooks 02 and 03) finds training particles, and a network that
#   looks at windows of 227 x 227 pixels learns their views. It is the variant without padding, and a narrow one, so
#   that its training takes a minute.
# - `auto`, this package's default: labels that several pickers agree on teach the compact network, which looks at
#   micrographs binned until a particle is 28 pixels across.

# %%
number, side = micrographs or (8 if quick else 24), 1024 if quick else 2048
particles = 40 * (side // 1024) ** 2
options = {"shape": (side, side), "pixel_size": 4.4, "n_particles": particles}
pairs = list(simulate.simulate_set("klh", number + number // 2, seed=seed, carbon=False, **options))
learned = [image for image, _ in pairs[:number]]
scene, scene_truth = simulate.simulate("klh", seed=seed + 101, carbon=True, name="carbon", **options)
others = [*(image for image, _ in pairs[number:]), scene]
truth = coordinates.concatenate([*(table for _, table in pairs[number:]), scene_truth])
diameter = float(truth["diameter"].median())
print(f"{len(learned)} micrographs to learn from, {len(others)} others")
print(f"{side} x {side} pixels, a particle of {diameter:.0f}")

# %%
trained, minutes = {}, {}
for method, settings in {
    "deepcryopicker": {"width": width, "per_class": 300, "epochs": 12, "stride": stride, "seed": seed},
    "auto": {"seed": seed},
}.items():
    start = time.perf_counter()
    with contextlib.redirect_stderr(io.StringIO()):  # the bars of the training's progress
        trained[method] = pickers.create(method, diameter=diameter, **settings).fit(learned)
    minutes[method] = (time.perf_counter() - start) / 60
    print(f"{method}: {minutes[method]:.1f} minutes")
    print("\n".join(f"    {line}" for line in trained[method].decisions_))
    trained[method].save(output / method)
paper, auto = trained["deepcryopicker"], trained["auto"]

# %% [markdown]
# The network of `deepcryopicker` does not get the micrograph as it is. Section 2.2 of the paper resizes it until the
# particle's box is slightly smaller than the window; and every pixel is counted in standard deviations of the window
# around it, so that all windows look alike, wherever they are.

# %%
scale = paper.diameter_, paper.contrast_, paper.factor_, paper.model_.config.window
picture, frame = levelled(scene, *scale)
figure, (left, right) = plt.subplots(1, 2, figsize=(12, 6.4))
plot.overlay(left, scene, labels=scene_truth, title=f"{scene.name}: {side} x {side} pixels, with the truth")
plot.show_micrograph(right, picture, title=f"as the network gets it: {picture.shape[0]} x {picture.shape[1]}")
middle = (picture.shape[1] - 227) // 2
for shift, colour, words in ((0, "#E69F00", "a window"), (stride, "#56B4E9", "the next one")):
    right.add_patch(Rectangle((middle + shift, middle), 227, 227, fill=False, edgecolor=colour, linewidth=2.2))
    place = (middle - 40, middle + 60) if not shift else (middle + 267 + shift, middle + 60)
    right.text(
        *place,
        words,
        color=colour,
        weight="bold",
        ha="left" if shift else "right",
        bbox={"facecolor": "0.15", "edgecolor": "none", "pad": 3},
    )
plt.show()

# %% [markdown]
# ## 3. Window by window, or all at once
#
# The paper's way is **sliding**: cut out a window, ask the network, move on by some pixels. Two neighbouring windows in
# the picture above have nearly all pixels in common, and nearly all that the network computes for the one it computes
# again for the other.
#
# The **dense** way computes what windows share only once. A convolution does not care how large the picture is, so the
# convolutions see the whole picture; a fully connected layer becomes a convolution with a kernel as large as what it
# was connected to. Where the layers move by more than the wanted stride, they move by less, and the kernels after them
# are widened to match (*dilation*). The weights are the same, no training is needed.
#
# If nothing is padded inside the network, every score then comes from exactly the pixels of its window, and the two
# maps have to be equal, but for the rounding of floats. On the piece of the picture that has the most particles:

# %%
PIECE = 28 * 16  # pixels
whole = scene_truth[scene_truth["view"] != "ignore"]
x, y = frame.from_source(whole["x"], whole["y"])
corners = np.stack([x, y], axis=1)[:, None] - np.linspace(0.2, 0.8, 5)[:, None] * PIECE
corners = np.clip(corners.reshape(-1, 2), 0, np.array(picture.shape[::-1]) - PIECE)
inside = (abs(x - corners[:, :1] - PIECE / 2) < PIECE / 2) & (abs(y - corners[:, 1:] - PIECE / 2) < PIECE / 2)
left, top = corners[inside.sum(axis=1).argmax()].astype(int)
piece = np.ascontiguousarray(picture[top : top + PIECE, left : left + PIECE])
network = paper.model_
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
record("largest difference, valid", float(equal["largest difference"].max()))
record("largest difference, tiles", float(equal["in tiles"].max()))
record("dense is faster than sliding, times", float(equal.loc[16, "times as fast"]))

# %% [markdown]
# The column *in tiles* is the same map put together from overlapping tiles, against that of the whole piece. Tiles keep
# the memory bounded, however large the micrograph is, and since each is large enough for all that its scores see, their
# borders do not show.
#
# ## 4. What `same` padding costs
#
# The network of table 9 pads: around each map inside it puts zeros, so that the map keeps its size (`same`). Cut out
# one window, and the zeros are around that window. In the dense pass there are no window borders, so what was zero is
# now the picture around the window. Here is a network with `same` padding, else like the other, trained on the same
# patches, and scored in the same two ways:

# %%
training_set = paper.training_set_
padded = dataclasses.replace(paper.model_.config, padding="same")
same = padded.build()
held_out = training_set.arrays("validation")
train(
    same,
    Samples(*training_set.arrays("train")),
    Samples(*held_out) if len(held_out[1]) else None,
    dataclasses.replace(MODERN, epochs=8),
    seed=seed,
)
versions = {"valid": network.network, "same": same}
maps = {}
for word, each in versions.items():
    options = {"stride": stride, "classes": network.config.classes}
    maps[word] = sliding(piece, each, **options).particle, dense(piece, each, **options).particle

# %%
figure, axes = plt.subplots(2, 4, figsize=(13, 6.6))
for line, (word, (one_by_one, at_once)) in zip(axes, maps.items(), strict=True):
    plot.show_micrograph(line[0], piece, longest_side=112, title="the piece" if word == "valid" else "")
    line[0].set_ylabel(f"{word} padding", fontsize="large")
    for ax, shown, title in ((line[1], one_by_one, "sliding"), (line[2], at_once, "dense")):
        colours = ax.imshow(shown, cmap="viridis", vmin=0, vmax=1)
        ax.set(xticks=[], yticks=[], title=title)
    figure.colorbar(colours, ax=line[2], label="probability of a particle")
    error = line[3].imshow(at_once - one_by_one, cmap="PuOr_r", vmin=-0.5, vmax=0.5)
    line[3].set(xticks=[], yticks=[], title=f"dense - sliding (at most {abs(at_once - one_by_one).max():.1g})")
    figure.colorbar(error, ax=line[3])
plt.show()
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
# The maps show the same particles, and the scores differ, at some positions by a lot. Whether a threshold that was
# chosen for one way holds for the other has to be tried. This is why the variant without padding is the default of
# `deepcryopicker`: it has nothing to approximate.
#
# ## 5. Where the operations are
#
# Time depends on the device, arithmetic does not. These are the multiply-adds for one micrograph of 2048 x 2048, of the
# network in its full width, as in the paper. No network runs here; they are counted from the layers' shapes.

# %%
SIDE = 2048
count = ((SIDE - 1) // stride + 1) ** 2
full = networks.create("deepcryopicker_valid", classes=("particle", "background")).build()
reach = (SIDE - 1) // stride * stride + 227  # mirrored by half a window at the borders
binned = round(SIDE * WORKING_DIAMETER / 170) + 70
small = networks.create("compact").build()
work = {
    f"sliding, {count:,} windows": count * describe.multiply_adds(full),
    "dense, the same weights": describe.multiply_adds(fully_convolutional(full, stride=stride), (reach, reach)),
    "dense, its own stride of 32": describe.multiply_adds(fully_convolutional(full), (reach, reach)),
    "compact, binned for a particle of 170 pixels": describe.multiply_adds(small, (binned, binned)),
}
del full
figure, ax = plt.subplots(figsize=(11, 2.9))
bars = ax.barh(list(work), list(work.values()), color=CURVE_COLOURS[:4])
most = max(work.values())
ax.bar_label(bars, [f"{n:.1e}" + ("" if n == most else f"  (1/{most / n:,.0f})") for n in work.values()], padding=4)
ax.set(xscale="log", xlabel=f"multiply-adds for {SIDE} x {SIDE} pixels", xlim=(1e8, 30 * most))
ax.invert_yaxis()
plt.show()
ratios = [most / n for n in work.values()]
for words, ratio in zip(("dense", "dense, own stride", "compact"), ratios[1:], strict=True):
    record(f"sliding takes so many times the operations, {words}", ratio)

# %% [markdown]
# Two different savings. From the first bar to the second nothing is given up: the scores are the same. From there to
# the last it is another network. It sees a particle on far fewer pixels, no more than it takes to tell particles from
# ice, and has a fraction of the weights. A faster device makes all bars shorter; it does not change their order.
#
# ## 6. Score maps
#
# A map has one probability for each class and position. The sum over the views is the probability of *a particle*.

# %%
scores = dense(picture, network, stride=stride)
classes = scores.classes
views = [name for name in classes if name != "background"]


def on_picture(ax, values, title="", **shown):
    """Draw a map of scores where it lies on the picture."""
    x, y = scores.frame.to_source([-0.5, values.shape[1] - 0.5], [-0.5, values.shape[0] - 0.5])
    place = (x[0], x[1], y[1], y[0])
    drawn = ax.imshow(values, extent=place, interpolation="nearest", **shown)
    ax.set(xticks=[], yticks=[], xlim=(-0.5, picture.shape[1] - 0.5), ylim=(picture.shape[0] - 0.5, -0.5))
    ax.set_title(title, fontsize="medium")
    return drawn


figure, axes = plt.subplots(1, 2 + len(views), figsize=(4.6 * (2 + len(views)), 5))
plot.show_micrograph(axes[0], picture, title="what the network gets")
shown = {"a particle": scores.particle} | {name: scores.scores[..., classes.index(name)] for name in views}
for ax, (title, values) in zip(axes[1:], shown.items(), strict=True):
    colours = on_picture(ax, values, f"probability of: {title}", cmap="viridis", vmin=0, vmax=1)
figure.colorbar(colours, ax=axes[-1], shrink=0.85)
plt.show()
path = output / "maps" / "carbon.mrc"
paper.score_map(scene).write_mrc(path, scene.pixel_size)
print(f"{path}: {scores.particle.shape[0]} x {scores.particle.shape[1]} scores, to be looked at in any viewer")

# %% [markdown]
# Each particle is a spot, not a point: windows a little off its centre show it, too. The spots of the two views are on
# different maps. Then look to where the micrograph has carbon film. In what the network gets, noise fills its place
# (notebook 01). No training patch has shown such noise, and the network has no class for what it does not know: trained
# with one seed it may take the noise for particles, and with another it may not.
#
# ## 7. Cleaning
#
# What lies on the carbon film is left out, whatever it scores: the mask that says what is filled also says where there
# can be no pick.
#
# From there, the paper's first step from a map to picks: connect neighbouring positions "whose prediction scores are
# close and both above the threshold", and leave out what is joined to something larger than a cut-off. It gives no
# values. Here the threshold is 0.5, more likely a particle than not, and the cut-off is the area of one particle: spots
# are smaller than that. How close scores have to be decides what hangs together, so there are two tries:


# %%
def on_ice(scores, frame, image):
    """Return which positions of a map lie on usable ice."""
    row, column = np.indices(scores.particle.shape)
    places = frame.to_source(*scores.frame.to_source(column.ravel(), row.ravel()))
    return ~covered(unusable_regions(image), *places).reshape(row.shape)


ice = on_ice(scores, frame, scene)
likely = 0.5
anywhere = scores.particle >= likely
print(f"above {likely:g}: {anywhere.sum()} positions, {(anywhere & ~ice).sum()} of them on the carbon film")
record("positions on the mask", int((anywhere & ~ice).sum()))

# %%
closeness = (0.1, 0.3)
working = paper.working_diameter  # of the particle, in pixels of the picture
particle = np.where(ice, scores.particle, 0)
above = particle >= likely
cut_off = largest_area(working, scores.frame.step, particles=1.0)
column, row = (np.rint(place).astype(int) for place in scores.frame.from_source(x, y))
at_truth = np.zeros_like(above)
at_truth[row.clip(0, above.shape[0] - 1), column.clip(0, above.shape[1] - 1)] = True
rows, kept = [], {}
for close in closeness:
    area = joined_areas(particle, likely, closeness=close)
    kept[close] = clean(particle, likely, cut_off, closeness=close)
    cells = np.bincount(area.ravel())[1:]
    rows.append(
        {
            "closeness": close,
            "areas": cells.size,
            "too large": int((cells > cut_off).sum()),
            "positions before": int(above.sum()),
            "positions after": int(kept[close].sum()),
            "true particles lost": int((at_truth & above & ~kept[close]).sum()),
        }
    )
print(f"a particle's area: {cut_off:.0f} positions")
cleaned = pd.DataFrame(rows).set_index("closeness")
display(cleaned)
for close in closeness:
    record(f"areas left out, closeness {close:g}", int(cleaned.loc[close, "too large"]))
    record(f"true particles lost, closeness {close:g}", int(cleaned.loc[close, "true particles lost"]))
    record(f"positions left, closeness {close:g}", int(cleaned.loc[close, "positions after"]))
record("positions above the threshold", int(above.sum()))

# %%
figure, axes = plt.subplots(1, 3, figsize=(16, 5.6))
area = joined_areas(particle, likely, closeness=closeness[-1])
colour_of = np.append(0, np.random.default_rng(seed).permutation(area.max()) % 20)
plot.show_micrograph(axes[0], picture)
colours = np.where(area > 0, colour_of[area], np.nan)
title = f"joined areas above {likely:g}, closeness {closeness[-1]:g}"
on_picture(axes[0], colours, title, cmap="tab20", vmin=0, vmax=19, alpha=0.9)
for ax, close in zip(axes[1:], closeness, strict=True):
    plot.show_micrograph(ax, picture)
    fate = np.where(above, np.where(kept[close], 0.15, 0.95), np.nan)
    on_picture(ax, fate, f"closeness {close:g}: orange is left out", cmap="PuOr_r", vmin=0, vmax=1, alpha=0.9)
plt.show()

# %% [markdown]
# The spots of particles stay. If there is something larger, it depends on the closeness whether it goes: where scores
# must be very close, it falls into pieces that are small enough to stay; with more tolerance its largest pieces hang
# together, and are left out. The column *too large* counts them. If it has 0, no area was larger than a particle, and
# this step has changed nothing. It is a help against one kind of mistake, no cure.
#
# ## 8. Non-maximum suppression, step by step
#
# "More likely than not" is a low bar: the training set was balanced, so the network has never been told that most
# places of a micrograph are no particle. The picker has chosen a threshold of its own (its last line in section 2),
# and from here on this one counts. Every position above it that cleaning has left is a *candidate*, with a box around
# it. **Non-maximum suppression** (NMS) keeps the best one, leaves out all that overlap it, goes on with the best of the
# rest, and so on to the last.

# %%
threshold = paper.threshold_
limit = 0.3  # intersection over union of two boxes


def candidates(scores, kept, threshold):
    """Return place, score and view of every position that is left."""
    row, column = np.nonzero(kept & (scores.particle >= threshold))
    x, y = scores.frame.to_source(column, row)
    indices = [classes.index(name) for name in views]
    view = np.array(views, object)[scores.scores[row, column][:, indices].argmax(axis=1)]
    return x, y, scores.particle[row, column], view


def suppressed(x, y, score, view):
    """Return what stays of candidates, by four rules."""
    return {
        "all candidates": np.arange(x.size),
        "IoU, each view by itself": nms_iou(x, y, working, score, limit=limit, classes=view),
        "IoU, all views together": nms_iou(x, y, working, score, limit=limit),
        "distance, all together": nms_distance(x, y, score, 0.5 * working),
    }


def as_picks(x, y, score, view):
    """Return places of the picture as picks on the micrograph."""
    return coordinates.table(scene.name, *frame.to_source(x, y), score, diameter, view)


def judged(picks, image=scene):
    """Compare the picks of one micrograph with the truth."""
    return evaluate.evaluate(picks, truth, micrographs=[image.name], diameter=diameter, bootstrap=0)


def numbers(picks):
    """Return what there is to say of some picks of the scene."""
    result = judged(picks)
    off = result.picks.loc[result.picks["outcome"] == "true", "distance"] / diameter
    return {
        "picks": len(picks),
        "precision": result.precision,
        "recall": result.recall,
        "F1": result.f1,
        "off the centre (diameters)": float(off.median()) if len(off) else np.nan,
    }


x, y, score, view = candidates(scores, kept[closeness[-1]], threshold)
ways = suppressed(x, y, score, view)
table = {words: numbers(as_picks(x[i], y[i], score[i], view[i])) for words, i in ways.items()}


# %%
def draw_boxes(ax, x, y, view, line=2.2):
    """Draw a box around each place, a colour for each view."""
    for place_x, place_y, name in zip(x, y, view, strict=True):
        colour = CURVE_COLOURS[views.index(name)]
        corner = place_x - working / 2, place_y - working / 2
        ax.add_patch(Rectangle(corner, working, working, fill=False, edgecolor=colour, linewidth=line))
    ax.plot(x, y, "o", color="white", markeredgecolor="black", markersize=4)


def look(ax, x, y, reach):
    """Look at a place of the picture, or as near to it as the border allows."""
    x, y = np.clip([x, y], reach, np.array(picture.shape[::-1]) - reach)
    ax.set(xlim=(x - reach, x + reach), ylim=(y + reach, y - reach))


figure, axes = plt.subplots(1, 2, figsize=(13, 6.8))
for ax, words in zip(axes, ("all candidates", "IoU, all views together"), strict=True):
    chosen = ways[words]
    plot.show_micrograph(ax, picture, title=f"{words}: {len(chosen)} on the micrograph, here a part of it")
    draw_boxes(ax, x[chosen], y[chosen], view[chosen], 0.8 if words == "all candidates" else 2.5)
    look(ax, left + PIECE / 2, top + PIECE / 2, PIECE)
handles = [plt.Line2D([], [], color=CURVE_COLOURS[number], label=name) for number, name in enumerate(views)]
axes[0].legend(handles=handles, loc="upper left", facecolor="0.2", labelcolor="white")
plt.show()
display(pd.DataFrame(table).T.style.format("{:.3f}").format("{:.0f}", subset=["picks"]))
for words in ways:
    record(f"picks, {words}", table[words]["picks"])
    record(f"F1, {words}", table[words]["F1"])

# %% [markdown]
# Each view by itself, as in the paper, has a catch: a particle that the network takes for a top view in one position
# and for a side view in the next is picked twice. Two particles cannot be in one place, whatever their views, so this
# package suppresses among all views together. How often does it matter? Pairs of picks of different views less than
# half a diameter apart, on all micrographs that are not for training, at two thresholds; below, some of them (blue is
# top, orange is side):


# %%
def twice(x, y, view):
    """Return the pairs of picks that are one particle, taken for two views."""
    near = np.hypot(x[:, None] - x, y[:, None] - y) < 0.5 * working
    return np.argwhere(np.triu(near & (view[:, None] != view)))


levels = {f"threshold {level:.2f}": level for level in (likely, threshold)}
double = {words: {"picks": 0, "particles picked twice": 0} for words in levels}
seen = []
for image in others:
    here, here_frame = levelled(image, *scale)
    found = dense(here, network, stride=stride)
    usable = on_ice(found, here_frame, image)
    for words, level in levels.items():
        spots = candidates(found, usable, level)
        chosen = suppressed(*spots)["IoU, each view by itself"]
        x_, y_, view_ = (spots[k][chosen] for k in (0, 1, 3))
        pairs_ = twice(x_, y_, view_)
        double[words]["picks"] += len(chosen)
        double[words]["particles picked twice"] += len(pairs_)
        seen += [(level, here, x_[pair], y_[pair], view_[pair]) for pair in pairs_]
record("particles picked twice", [double[words]["particles picked twice"] for words in levels])
display(pd.DataFrame(double).T)
# The picker's own threshold first: what is left even there.
seen.sort(key=lambda one: -one[0])
figure, axes = plt.subplots(1, 6, figsize=(16, 3.1))
for ax, (level, here, *pair) in zip(axes, seen, strict=False):
    plot.show_micrograph(ax, here, title=f"above {level:.2f}")
    draw_boxes(ax, *pair)
    look(ax, pair[0].mean(), pair[1].mean(), 0.75 * working)
for ax in axes[len(seen) :]:
    ax.set_axis_off()
plt.show()

# %% [markdown]
# What overlaps too much? Square boxes overlap by an amount that depends on the direction in which the other one lies.
# Particles have no corners, so the distance of the centres is the plainer measure. The picture shows the intersection
# over union (IoU) of two boxes, and of two discs, as their centres move apart:

# %%
away = np.linspace(0, 1, 201)
beside = (1 - away) / (1 + away)
step = away / np.sqrt(2)
diagonal = (1 - step) ** 2 / (2 - (1 - step) ** 2)
lens = (2 * np.arccos(away) - 2 * away * np.sqrt(1 - away**2)) / np.pi
figure, ax = plt.subplots(figsize=(8, 4.2))
for values, words, line in (
    (beside, "boxes, side by side", "solid"),
    (diagonal, "boxes, along the diagonal", "dashed"),
    (lens / (2 - lens), "discs", "dotted"),
):
    ax.plot(away, values, linestyle=line, linewidth=2, label=words)
ax.axhline(limit, color="0.5", linewidth=1)
ax.text(1, limit + 0.02, f"limit {limit:g}", ha="right", color="0.4")
ax.set(xlabel="distance of the centres (diameters)", ylabel="IoU", xlim=(0, 1), ylim=(0, 1))
ax.legend()
ax.grid(alpha=0.3)
plt.show()
reached = {words: float(np.interp(-limit, -values, away)) for words, values in (("b", beside), ("d", diagonal))}
print(f"IoU {limit:g}: {reached['b']:.2f} diameters apart side by side, {reached['d']:.2f} along the diagonal")
record("distance at the limit, side by side", reached["b"])
record("distance at the limit, diagonal", reached["d"])

# %% [markdown]
# The best candidate of a spot is a position of the map, a multiple of the stride. The particle is somewhere between the
# positions: so the pickers smooth the map a little, take its maxima, and put a parabola through each. A maximum on the
# edge of the map is left out: the scores may rise on beyond it, and what the network sees there is half a micrograph
# and half its mirror image, in which much looks like a particle. That is the last step, and here is what it changes.
# The last row is all of it together, as `pick` does it:

# %%
allowed = kept[closeness[-1]] | ~above
apart = 0.5 * working / scores.frame.step
peak_column, peak_row, peak_score = find_peaks(particle, apart, threshold, margin=NOT_ON_EDGE, allowed=allowed)
peak_x, peak_y = scores.frame.to_source(peak_column, peak_row)
peak_view = np.full(peak_x.size, "", object)
table["peaks between positions"] = numbers(as_picks(peak_x, peak_y, peak_score, peak_view))
table["pick"] = numbers(paper.pick(scene))
display(pd.DataFrame(table).T.style.format("{:.3f}").format("{:.0f}", subset=["picks"]))
record("off the centre, positions", table["distance, all together"]["off the centre (diameters)"])
record("off the centre, peaks", table["peaks between positions"]["off the centre (diameters)"])
record("F1, pick", numbers(paper.pick(scene))["F1"])

# %% [markdown]
# ## 9. The way through one micrograph, with a clock
#
# Reading, preparing, the network, and what follows it (cleaning, peaks, NMS), for both pickers on this device:

# %%
folder = output / "micrographs"
paths = []
for image in others:
    paths.append(folder / f"{image.name}.mrc")
    micrograph.write_mrc(paths[-1], image.data, pixel_size=image.pixel_size)

ready = whitened(recorded(scene), auto.diameter_, auto.contrast_, WORKING_DIAMETER)
lean = auto.model_
parts = {}
for method, preparing, scoring in (
    (
        "deepcryopicker",
        lambda: levelled(scene, *scale),
        lambda: dense(picture, network, stride=stride),
    ),
    (
        "auto",
        lambda: whitened(recorded(scene), auto.diameter_, auto.contrast_, WORKING_DIAMETER),
        lambda: compact_picking.score_map(lean.network, lean.config, ready),
    ),
):
    parts[method] = {
        "reading": seconds(lambda: micrograph.read(paths[-1])),
        "preparing": seconds(preparing),
        "network": seconds(scoring),
    }
    whole = seconds(lambda method=method: trained[method].pick(scene))
    parts[method]["peaks"] = max(0.0, whole - parts[method]["preparing"] - parts[method]["network"])
clock = pd.DataFrame(parts).T
figure, ax = plt.subplots(figsize=(11, 2.4))
clock.plot.barh(stacked=True, ax=ax, color=CURVE_COLOURS[:4], legend=False)
ax.set(xlabel=f"seconds for a micrograph of {side} x {side}, on {gpu or 'the CPU'}")
ax.invert_yaxis()
ax.legend(ncols=4, loc="lower right")
plt.show()
display(clock.assign(**{"all": clock.sum(axis=1)}).style.format("{:.3f}"))
for method, total in clock.sum(axis=1).items():
    record(f"seconds a micrograph, {method}", float(total))

# %% [markdown]
# Where a bar is longest is where work on speed pays. A GPU shortens the part called *network*, and nothing else: the
# faster the device, the more the rest counts.
#
# ## 10. Precision, batches, reading ahead
#
# **Mixed precision**: the network calculates in 16 bits and keeps its weights in 32. A GPU has units for that, and half
# the bytes to move. On a processor it depends: one without instructions for it gets slower. The last layer, which turns
# scores into probabilities, stays in 32 bits. `set_precision` changes a network that is there, `using` makes new ones
# in another precision, and on another device. All devices that there are here, and what they can calculate in:

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
            took, scored = seconds(again), again().particle
        both = evaluate.evaluate(picks, own, micrographs=[scene.name], diameter=diameter, bootstrap=0)
        usual = compact_picking.score_map(lean.network, lean.config, ready).particle
        rows.append(
            {
                "device": device,
                "precision": precision,
                "network (s)": took,
                "largest difference of scores": float(abs(scored - usual).max()),
                "picks": len(picks),
                "of these as in float32": both.tp,
            }
        )
        record(f"same picks, {device}, {precision}", both.tp / max(len(picks), len(own), 1))
mixed = pd.DataFrame(rows)
display(mixed.style.format({"network (s)": "{:.4f}", "largest difference of scores": "{:.1e}"}).hide(axis="index"))

# %% [markdown]
# **Batches**: a small picture does not keep a large device busy; several pictures of one shape can go through the
# network together. The scores are the same; whether it is faster is for the table to say.

# %%
border = lean.config.window // 2
one = np.pad(ready.data, border)[None, ..., None].astype(np.float32)
run = runner(lean.network)
rows = []
for size in (1, 2, 4):
    batch = np.repeat(one, size, axis=0)
    rows.append({"pictures": size, "seconds for each": seconds(lambda batch=batch: run(batch)) / size})
batches = pd.DataFrame(rows).set_index("pictures")
display(batches.style.format("{:.4f}"))
together = run(np.repeat(one, 2, axis=0))
record("batch and single, largest difference", float(abs(together[1] - run(one)[0]).max()))

# %% [markdown]
# **Reading ahead**: while the device works on one micrograph, a thread reads the next, so that the slower of the two
# sets the pace and not their sum. `cryokit._util.prefetch.ahead` does that, and `pick_files` uses it. To show it, the
# disk here is a slow one: `disk` seconds a micrograph, as over a network; and picking, where it is faster than that,
# waits until it has taken as long.


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
print(f"{len(paths)} micrographs: {in_turn:.2f} s in turn, {overlapped:.2f} s with reading ahead")
record("reading ahead, part of the time", overlapped / in_turn)

# %% [markdown]
# ## 11. A folder of micrographs that nobody trained on
#
# `pick_files` is what `cryokit pick --model` does: each micrograph's files are written as soon as it is picked, one
# that cannot be read does not stop the others, and all picks together are in `picks.csv`. `micrographs.csv` says of
# each what it is worth: how much of it is usable ice, how far Thon rings are seen, how sure the network is.

# %%
results = {}
for method, picker in trained.items():
    start = time.perf_counter()
    done = pick_files(picker, paths, output / f"{method}_picks", formats=("star", "box"))
    took = time.perf_counter() - start
    print(f"{method}: {len(done.picks)} picks in {len(done.micrographs)} micrographs, {took:.1f} s")
    record(f"problems, {method}", len(done.problems))
    if method == "auto":
        display(done.qualities[["micrograph", "verdict", "picks", "evidence", "masked", "resolution"]].round(2))
    # For the curves all candidates are needed, not only those above the threshold.
    candidates = coordinates.concatenate(picker.pick(image, threshold=0) for image in others)
    results[method] = evaluate.evaluate(
        candidates,
        truth,
        micrographs=[image.name for image in others],
        diameter=diameter,
        threshold=picker.threshold_,
        bootstrap=0,
    )

# %%
columns = ["precision", "recall", "f1", "average_precision"]
reached = pd.DataFrame({name: {key: getattr(result, key) for key in columns} for name, result in results.items()}).T
display(reached.style.format("{:.3f}"))
for method, result in results.items():
    record(f"F1, {method}", result.f1)
    record(f"average precision, {method}", result.average_precision)
figure, axes = plt.subplots(1, 3, figsize=(17, 5.8))
plot.precision_recall(axes[0], results)
example = others[0]
for ax, method in zip(axes[1:], results, strict=True):
    plot.overlay(ax, example, evaluation=judged(trained[method].pick(example), example))
    ax.set_title(f"{method}, {example.name}", fontsize="medium")
plt.show()

# %% [markdown]
# The micrographs are new to both pickers. That is the only number worth reporting: on those that it learned from, a
# network can be right by heart. What is no particle by the truth but looks like one (pieces of tubes, overlapping and
# broken ones) is not counted either way.
#
# ## 12. The STAR file
#
# RELION reads coordinates from STAR files: text, a header that names the columns, a line for each particle. Positions
# are in pixels of the micrograph as stored, though the network has seen another scale.

# %%
star = output / "auto_picks" / f"{example.name}.star"
lines = star.read_text(encoding="utf-8").splitlines()
print(f"{star.name}, {len(lines)} lines:")
print("\n".join(lines[:16]))
listing = output / "auto_picks" / "autopick.star"
print(f"\n{listing.name}, which lists the files:")
print("\n".join(line for line in listing.read_text(encoding="utf-8").splitlines() if line.strip())[:900])

# %% [markdown]
# `autopick.star` is the file to give to RELION's *Particle extraction* job as its coordinates. Read back, the files
# give the very picks:

# %%
again, listed = coordinates.read_folder(output / "auto_picks", format="star")
written = pd.read_csv(output / "auto_picks" / "picks.csv")
order = ["micrograph", "x", "y"]
pair = [frame_.sort_values(order).reset_index(drop=True) for frame_ in (again, written)]
largest = float(np.abs(pair[0][["x", "y"]].to_numpy() - pair[1][["x", "y"]].to_numpy()).max())
print(f"{len(again)} picks read back, at most {largest:.1g} pixels from what was written")
record("picks read back", len(again))
record("picks written", len(written))
record("largest error of a position in the STAR file", largest)
figure, ax = plt.subplots(figsize=(12, 4.6))
plot.contact_sheet(ax, others, again, 48, size=round(1.5 * diameter), columns=16)
ax.set_title("what RELION will cut out: the picks with the highest scores, from the STAR files", fontsize="medium")
plt.show()

# %% [markdown]
# The sheet is the check that finds what no number does: a frame turned upside down, coordinates of another binning, a
# corner taken for the centre. All of them give squares with no particle in the middle. Grey is beyond the border; the
# pickers' setting `margin=0.5` leaves out all particles that the border cuts.
#
# ## 13. Is a score a probability?
#
# A score of 0.8 should mean that of ten such picks eight are particles. Then a threshold has a meaning, and the sum of
# the scores says how many particles there are. A *reliability diagram* shows it: the picks are sorted into bins by
# their scores, and the share of particles in each bin is drawn against the mean score. On the diagonal, the scores are
# probabilities; below it the network is too sure of itself. The *expected calibration error* is the mean distance from
# the diagonal, weighted by the number of picks.
#
# The network that comes with the package was calibrated on simulated micrographs of many proteins. Training changes
# that: a network that has learned its labels well is nearly always sure.

# %%
general = pickers.create("auto", diameter=diameter, pretrained=True).fit(learned)
figure, ax = plt.subplots(figsize=(6.2, 5.6))
ax.plot([0, 1], [0, 1], color="0.6", linestyle="dashed")
named = {"general network": general, "after training": auto}
for (title, picker), colour in zip(named.items(), CURVE_COLOURS[:2], strict=True):
    candidates = coordinates.concatenate(picker.pick(image, threshold=0) for image in others)
    result = evaluate.evaluate(candidates, truth, diameter=diameter, bootstrap=0).picks
    counted = result[result["outcome"] != "ignored"]
    table = reliability(counted["score"], counted["outcome"] == "true", bins=5)
    error = calibration_error(table)
    ax.plot(table["score"], table["true"], marker="o", color=colour, label=f"{title}: error {error:.3f}")
    record(f"candidates, {title}", len(counted))
    record(f"calibration error, {title}", error)
ax.set(xlabel="mean score of a bin", ylabel="share of particles", xlim=(0, 1), ylim=(0, 1), aspect="equal")
ax.legend()
plt.show()

# %% [markdown]
# With so few micrographs a bin holds few picks, and its share of particles is known to a tenth or two at best. The
# package's own figure, of 256 simulated micrographs that the training did not see, is in the model's provenance:

# %%
provenance = networks.Model.load("general").provenance
error = provenance["expected_calibration_error"]
print(f"{error:.3f} on {provenance['simulated_micrographs_held_out']['all']['micrographs']} micrographs")
record("calibration error, held-out simulation", error)

# %% [markdown]
# ## 14. What goes wrong, and how it looks
#
# The map is scored at the scale that training had. Tell the picker another diameter, and it resizes the micrographs by
# another factor, to particles that the network has never seen. Here is the trained network on the scene at wrong
# scales, and with the contrast turned round:

# %%
figure, axes = plt.subplots(1, 4, figsize=(17, 4.8))
cases = {
    "as trained": (1.0, paper.contrast_),
    "particles 0.6 times as large": (0.6, paper.contrast_),
    "particles 1.6 times as large": (1.6, paper.contrast_),
    "bright for dark": (1.0, "bright" if paper.contrast_ == "dark" else "dark"),
}
for ax, (words, (factor, contrast)) in zip(axes, cases.items(), strict=True):
    wrong, wrong_frame = levelled(scene, diameter, contrast, factor * paper.factor_, network.config.window)
    found = dense(wrong, network, stride=stride)
    ax.imshow(found.particle, cmap="viridis", vmin=0, vmax=1)
    apart = 0.5 * factor * working / found.frame.step
    usable = on_ice(found, wrong_frame, scene)
    column, row, score = find_peaks(found.particle, apart, paper.threshold_, margin=NOT_ON_EDGE, allowed=usable)
    x, y = wrong_frame.to_source(*found.frame.to_source(column, row))
    result = judged(coordinates.table(scene.name, x, y, score, diameter))
    ax.set(xticks=[], yticks=[])
    ax.set_title(f"{words}\n{len(x)} picks, F1 {result.f1:.2f}", fontsize="medium")
    record(f"F1, {words}", result.f1)
plt.show()

# %% [markdown]
# A network says nothing about what is unlike all that it was trained on; it still gives numbers between 0 and 1, and
# they add up to 1 over the classes. Scores do not tell that the scale is wrong. A look at the map does: spots that have
# the size of a particle and stand where particles are, or something else.
#
# ## Try it
#
# Set `stride` to 8 and to 32. What do sections 3 and 9 say about time, and section 8 about how far off the centre the
# picks are? (Without JupyterLab: `cryokit notebooks run 05 -p stride=8`.) The smaller stride computes four times the
# scores. Does it take four times as long?
#
# Set `width` to 0.25. The narrow network's arithmetic grows with the square of the width: does its time?
#
# In section 7, set `likely` to 0.1 and to 0.8. Which areas grow together, what lies under them, and does it go?
#
# And pick your own micrographs: `cryokit pick FOLDER --out picks` trains `auto` on them, and with `--save-maps` the
# score maps are there to be looked at.
