# %% [markdown]
# # Preprocessing
#
# On a micrograph as recorded, no single pixel tells whether it belongs to a particle. The first half of
# DeepCryoPicker (and its predecessors AutoCryoPicker and SuperCryoEMPicker) therefore puts every micrograph through a
# fixed chain of picture-processing steps before anything is picked. What comes out is a picture in which particles
# are dark, ice is light, and a simple clustering of grey values can tell the two apart (notebook `02_clustering`).
#
# 1. the micrographs, and what the chain makes of them
# 2. every stage: the idea, the formula, the picture before and after, the histogram
# 3. what each stage does to one particle
# 4. numbers: PSNR, SNR and MSE, and why they do not say whether a stage helped; what does
# 5. the scale at which the chain runs
# 6. a micrograph of KLH beside a published result
# 7. what goes wrong, and how it looks
#
# The micrographs are simulated, one of each of four proteins, so the truth is known. Real ones can take their place:
# `data_dir`. The notebook takes about a minute.

# %% tags=["parameters"]
profile = "quick"  # quick: fields of 1024 pixels (KLH, which is large and rare: 2048); full: 2048 for all
seed = 0  # another number gives other micrographs of the same kind
data_dir = ""  # real micrographs instead: a folder with PROTEIN/micrographs and, where known, PROTEIN/labels
contrast = ""  # of the particles: dark or bright; empty: find out
working_diameter = 40.0  # pixels across a particle in the pictures that the chain works on
clahe_clip_limits = [0.02, 0.99]  # one for each round of adaptive equalisation
guided_times = 4  # rounds of the guided filter
opening_radii = [0.025, 0.025, 0.025, 0.025, 0.025]  # one for each opening, as fractions of the diameter

# %%
import dataclasses
from pathlib import Path
from types import SimpleNamespace

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from IPython.display import display
from scipy import ndimage
from skimage import draw

from cryokit import coordinates, evaluate, imaging, micrograph, pickers, plot, simulate
from cryokit.cli.notebook_runner import record
from cryokit.imaging import STAGES, Preprocessing, filters, quality
from cryokit.imaging.binning import resized_frame

plt.rcParams["figure.constrained_layout.use"] = True
chain = Preprocessing(
    working_diameter=working_diameter,
    clahe_clip_limits=clahe_clip_limits,
    guided_times=guided_times,
    opening_radii=opening_radii,
)

# %% [markdown]
# ## 1. The micrographs
#
# Two precautions come before the chain, and section 7 shows what happens without them. Borders that were never
# recorded (programs that align movie frames fill them with repeated rows and columns) are cut off, and hot pixels are
# limited to the range of all others. Then two things have to be known, or found out: whether particles are dark or
# bright, and how large they are. All lengths in the chain are fractions of the particle's diameter. (*Recorded* means
# here: as it lies in the file. Some published micrographs have been filtered before.)


# %%
def prepared(image, truth):
    """What the chain needs to know of a micrograph."""
    data, frame = imaging.recorded(image)
    x, y = frame.from_source(truth["x"], truth["y"])
    truth = truth.assign(x=x, y=y)
    diameter = float(truth.loc[truth["view"] != coordinates.IGNORE, "diameter"].median())
    sign = contrast or imaging.detect_contrast(data, diameter)
    return SimpleNamespace(name=image.name, data=data, truth=truth, diameter=diameter, contrast=sign)


def read_first(folder):
    """The first micrograph of a folder with its labels; without them, the picks of another method."""
    image = micrograph.read(micrograph.find(folder / "micrographs")[0])
    labels = sorted((folder / "labels").glob(f"{image.name}.*"))
    if labels:
        return prepared(image, coordinates.read(labels[0], micrograph=image.name))
    print(f"{folder.name}: no labels of {image.name}; the picks of the method 'template' stand in for the truth")
    picker = pickers.create("template", contrast=contrast or None).fit([image])
    return prepared(image, picker.pick(image))


if data_dir:
    folders = sorted(path.parent for path in Path(data_dir).glob("*/micrographs"))
    found = {folder.name: read_first(folder) for folder in folders}
    if not found:
        raise FileNotFoundError(f"{data_dir}: no folder PROTEIN/micrographs in it")
else:
    found = {}
    for protein in ("apoferritin", "klh", "ribosome", "betagal"):
        side = 2048 if profile == "full" or protein == "klh" else 1024
        found[protein] = prepared(*simulate.simulate(protein, shape=(side, side), seed=seed))
# This one has been through a chain already: section 6 compares with it.
published = found.pop("klh_preprocessed", None) if "klh" in found else None
first = next(iter(found))

table = pd.DataFrame(
    {
        name: {
            "rows x columns": f"{each.data.shape[0]} x {each.data.shape[1]}",
            "particles": int((each.truth["view"] != coordinates.IGNORE).sum()),
            "diameter": f"{each.diameter:.0f} px",
            "contrast": each.contrast,
            "binned by": f"{chain.factor(each.diameter):.2f}",
        }
        for name, each in found.items()
    }
)
display(table.T)

# %%
pictures = {name: chain.stages(each.data, each.diameter, each.contrast) for name, each in found.items()}

figure, axes = plt.subplots(2, len(found), figsize=(12, 6.6), squeeze=False)
for name, (top, bottom) in zip(found, axes.T, strict=True):
    plot.show_micrograph(top, found[name].data, longest_side=512, title=f"{name}, recorded")
    plot.show_micrograph(bottom, pictures[name]["opened"], percentiles=(0, 100), title="after the chain")
plt.show()

# %% [markdown]
# ### What is no usable ice
#
# Foil, gold beads and crystals of ice are stronger than any particle. Whatever takes an average, a spectrum or a
# threshold over the whole micrograph would follow them. So a classifier, trained on simulated micrographs, looks at a
# small copy of each micrograph and marks such regions (`cryokit.imaging.unusable`). They are filled with the grey level
# around them and with noise of the same spectrum before anything else is done, and picks whose centres lie in them are
# dropped. `cryokit pick --save-masks` writes the masks.

# %%
dirty = simulate.simulate_parts("apoferritin", shape=(1024, 1024), seed=seed, foil=1, beads=300)
mask = imaging.unusable_regions(dirty.micrograph)
figure, axes = plt.subplots(1, 2, figsize=(11, 5.6))
plot.show_micrograph(axes[0], dirty.micrograph, title="as simulated, and the outline of the mask")
plot.outline(axes[0], mask)
plot.show_micrograph(axes[1], imaging.recorded(dirty.micrograph).data, title="filled")
plt.show()
hidden = imaging.covered(mask, *np.nonzero(dirty.unusable)[::-1])
record("share of the unusable area that is masked", float(hidden.mean()))

# %% [markdown]
# ## 2. Every stage
#
# The figures of this section are made alike. A column is a protein; the upper row shows a part of the micrograph
# before the stage, the next row the same part after it, the last row the histograms of the whole micrograph before
# and after. From the second figure on, black is 0 and white is 1: the pictures are shown as they are, not stretched
# for display.


# %%
def loneliest(each, view):
    """The particle of a view that is farthest from all others and whole: a fair example."""
    x, y = each.truth["x"].to_numpy(), each.truth["y"].to_numpy()
    apart = np.hypot(x - x[:, None], y - y[:, None])
    np.fill_diagonal(apart, np.inf)
    rows, columns = each.data.shape
    whole = np.minimum.reduce([x, y, columns - 1 - x, rows - 1 - y]) > 0.8 * each.diameter
    distance = np.where(whole & (each.truth["view"] == view).to_numpy(), apart.min(axis=1), -1.0)
    return each.truth.loc[each.truth.index[distance.argmax()]]


def part(picture, each, particle, size):
    """A square of `size` diameters around a particle, moved inwards at the border; binned or not."""
    scale = picture.shape[0] / each.data.shape[0]
    side = min(round(size * each.diameter * scale), *picture.shape)
    top = round(np.clip(particle["y"] * scale - side / 2, 0, picture.shape[0] - side))
    left = round(np.clip(particle["x"] * scale - side / 2, 0, picture.shape[1] - side))
    return picture[top : top + side, left : left + side]


views = {
    name: sorted(set(each.truth["view"]) - {coordinates.IGNORE}, reverse=True) for name, each in found.items()
}  # top, side, irregular
shown = {name: loneliest(each, views[name][0]) for name, each in found.items()}


def draw_rows(rows, before, after, curve=None):
    """A row of pictures for each entry of `rows`, and one of histograms of two of them."""
    size, heights = (12, 3.1 * len(rows) + 2), [1.5] * len(rows) + [1]
    figure, axes = plt.subplots(len(rows) + 1, len(found), figsize=size, squeeze=False, height_ratios=heights)
    for column, name in enumerate(found):
        for ax, (title, of_protein) in zip(axes[:, column], rows.items(), strict=False):
            ax.imshow(part(of_protein[name], found[name], shown[name], 5), cmap="gray", vmin=0, vmax=1)
            ax.set(title=f"{name}\n{title}" if ax is axes[0, column] else title, xticks=[], yticks=[])
        ax = axes[-1, column]
        bins = np.linspace(0, 1, 65)
        ax.hist(rows[before][name].ravel(), bins, density=True, color="0.75", label=before)
        ax.hist(rows[after][name].ravel(), bins, density=True, histtype="step", color="C3", label=after)
        if curve is not None:
            curve(ax, name)
        ax.set(xlabel="grey value", xlim=(0, 1), yticks=[])
    handles, labels = axes[-1, 0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=len(labels))
    plt.show()


def stage(name):
    """Pictures of all proteins after a stage."""
    return {protein: stages[name] for protein, stages in pictures.items()}


# %% [markdown]
# ### Binning
#
# The chain runs at one scale: every micrograph is *binned* (its high spatial frequencies cut off, the rest kept on
# fewer pixels) until a particle is `working_diameter` pixels across. Windows of a few pixels then mean the same thing
# for every protein. Binning by $b$ averages about $b^2$ pixels, so the noise of a pixel falls towards $1/b$ of what
# it was, less where neighbouring pixels already share it. Bright particles are turned dark here: every later stage
# takes dark particles for granted.

# %%
figure, axes = plt.subplots(3, len(found), figsize=(12, 8.2), squeeze=False, height_ratios=[1.5, 1.5, 1])
for name, (top, middle, bottom) in zip(found, axes.T, strict=True):
    each, binned = found[name], pictures[name]["binned"]
    plot.show_micrograph(top, part(each.data, each, shown[name], 5), title=f"{name}\nrecorded")
    factor = chain.factor(each.diameter)
    plot.show_micrograph(middle, part(binned, each, shown[name], 5), title=f"binned by {factor:.2f}")
    sign = 1 if each.contrast == "dark" else -1
    unit, centre = each.data.std(), each.data.mean()
    before, after = sign * (each.data - centre) / unit, (binned - sign * centre) / unit
    bins = np.linspace(-4, 4, 81)
    bottom.hist(before.ravel(), bins, density=True, color="0.75", label="recorded")
    bottom.hist(after.ravel(), bins, density=True, histtype="step", color="C3", label="binned")
    bottom.set(xlabel="standard deviations", yticks=[])
handles, labels = axes[-1, 0].get_legend_handles_labels()
figure.legend(handles, labels, loc="outside lower center", ncols=2)
plt.show()

# %% [markdown]
# ### Normalise and stretch
#
# `mat2gray` maps the darkest pixel to 0 and the brightest to 1. A handful of extreme pixels decide what these are,
# and the rest is left with a narrow range in the middle: a flat, grey picture. The *contrast enhancement correction*
# takes two quantiles instead, those below which 1 % and 99 % of the pixels lie ($q_{1}$ and $q_{99}$), and gives up
# what is outside:
#
# $$J = \min\left(1, \max\left(0, \frac{I - q_{1}}{q_{99} - q_{1}}\right)\right)$$

# %%
draw_rows({"normalised": stage("normalised"), "stretched": stage("stretched")}, "normalised", "stretched")

# %% [markdown]
# ### Equalise the histogram
#
# Which mapping of grey values uses all of them equally often? The *cumulative histogram*: with $h(i)$ pixels of grey
# level $i$ among $N$,
#
# $$T(k) = \frac{1}{N} \sum_{i \leq k} h(i)$$
#
# sends a pixel to the share of pixels that are darker. Its slope is the histogram itself: frequent grey values are
# pulled apart, rare ones pushed together. The result has a flat histogram, and so a standard deviation near
# $1/\sqrt{12}$, the one of a uniform distribution, whatever the micrograph looked like.


# %%
def cumulative(ax, name):
    values = np.sort(pictures[name]["stretched"], axis=None)
    top = ax.get_ylim()[1]
    at = np.linspace(0, values.size - 1, 200).astype(int)
    ax.plot(values[at], np.linspace(0, top, 200), color="C0", linestyle="--", label="the mapping T")


rows = {"stretched": stage("stretched"), "equalised": stage("equalised")}
draw_rows(rows, "stretched", "equalised", cumulative)
for name in found:
    record(f"standard deviation, {name}, equalised", float(pictures[name]["equalised"].std()))
print(f"1 / sqrt(12) = {12**-0.5:.3f}")

# %% [markdown]
# ### Restore: the adaptive Wiener filter
#
# Nothing so far has looked at more than one pixel at a time. The Wiener filter looks at a small window around each
# (an eighth of a diameter; 5 x 5 pixels at the usual scale), with the mean $\mu$ and the variance $\sigma^2$ of its
# pixels:
#
# $$J = \mu + \frac{\max(\sigma^2 - \nu, 0)}{\max(\sigma^2, \nu)} \left(I - \mu\right)$$
#
# The noise $\nu$ is the average of all local variances. Where the window varies no more than that, it is taken for
# ice and becomes its mean; where it varies more, for an edge, and stays partly as it is.

# %%
draw_rows({"equalised": stage("equalised"), "restored": stage("restored")}, "equalised", "restored")

# %% [markdown]
# ### Equalise again, adaptively (CLAHE)
#
# Averaging has narrowed the histogram, so it is equalised once more, and then *adaptively*: the picture is cut into 8
# x 8 tiles, each has its own histogram and its own mapping, and a pixel is interpolated between the mappings of the
# four tiles around it. So thick and thin ice come out equally grey.
#
# A tile with nothing but noise would have its noise stretched over all grey values. A *clip limit* $c$ holds against
# it: with $N$ pixels in a tile and $B$ grey levels, a level may hold at most
#
# $$h_{\max} = \left\lceil N/B \right\rceil + c \left(N - \left\lceil N/B \right\rceil\right)$$
#
# pixels, and what is above is handed out to all levels. That limits the slope of the mapping, so the amplification.
# $c$ near 1 limits nothing. The published chain does it twice, with $c$ = 0.02 and then 0.99.
#
# The histogram aimed at is not flat but a *Rayleigh* distribution, cut off at 1. With the share $p$ of the clipped
# cumulative histogram and $\alpha = 0.4$,
#
# $$J = \sqrt{-2 \alpha^2 \ln\left(1 - p\left(1 - e^{-1/(2\alpha^2)}\right)\right)}$$
#
# a hump on the dark side of the middle. Few pixels become black, so what is black stands out. (The last bar of the
# histogram is what was brightest in each tile: it always becomes 1.)

# %%
rounds = {}
for number in range(len(chain.clahe_clip_limits) + 1):
    limits = chain.clahe_clip_limits[:number]
    shorter = dataclasses.replace(chain, clahe_clip_limits=limits, guided_times=0, opening_radii=())
    title = f"CLAHE {number}, limit {limits[-1]:g}" if number else "equalised again"
    rounds[title] = {
        name: shorter.stages(each.data, each.diameter, each.contrast)["adaptive"]
        for name, each in found.items()
    }  # fmt: skip


def rayleigh(ax, _name):
    grey, spread = np.linspace(0, 1, 200), 2 * chain.clahe_alpha**2
    density = 2 * grey / spread * np.exp(-(grey**2) / spread) / (1 - np.exp(-1 / spread))
    ax.plot(grey, density, color="C0", linestyle="--", label="Rayleigh")


draw_rows(rounds, next(iter(rounds)), list(rounds)[-1], rayleigh)
for name in found:
    record(f"standard deviation, {name}, adaptive", float(pictures[name]["adaptive"].std()))

# %% [markdown]
# Where would you have stopped? To the eye this is the worst picture of the chain: every grain of noise has the
# contrast of a particle. It is meant for the next stage.
#
# ### The guided filter
#
# It smooths and keeps edges. In each window $k$ the result is a linear function of the *guide*, which here is the
# picture $I$ itself:
#
# $$J_i = a_k I_i + b_k, \quad a_k = \frac{\sigma_k^2}{\sigma_k^2 + \varepsilon}, \quad b_k = (1 - a_k)\, \mu_k$$
#
# and $a$ and $b$ are averaged over all windows that contain a pixel. Where the variance $\sigma_k^2$ is far below
# $\varepsilon$ (0.01, that is a standard deviation of 0.1), $a$ is near 0 and the result is the mean: smooth. Far
# above it $a$ is near 1, and the picture stays. The published chain does this four times, and then stretches the
# picture again.

# %%
draw_rows({"adaptive": stage("adaptive"), "guided": stage("guided")}, "adaptive", "guided")

# %% [markdown]
# Below, the slope $a_k$ in the first round and in one more after the last: bright is what the filter keeps. At first
# it is bright nearly everywhere, because the noise varies as much as the particles do. Every round takes some of the
# noise away, the next one smooths there more, and what is left in the end are outlines.


# %%
def window(each):
    """Side of the guided filter's window: an odd number of working pixels."""
    working = each.diameter / chain.factor(each.diameter)
    return max(3, 2 * int(chain.guided_window * working / 2) + 1)


def slope(picture, side):
    mean = ndimage.uniform_filter(picture, side)
    variance = np.maximum(ndimage.uniform_filter(picture**2, side) - mean**2, 0)
    return variance / (variance + chain.guided_smoothing)


figure, axes = plt.subplots(2, len(found), figsize=(12, 6.6), squeeze=False)
for name, column in zip(found, axes.T, strict=True):
    for ax, stage_name, title in zip(column, ("adaptive", "guided"), ("first round", "one more round"), strict=True):
        kept = slope(pictures[name][stage_name], window(found[name]))
        ax.imshow(part(kept, found[name], shown[name], 5), cmap="gray", vmin=0, vmax=1)
        ax.set(title=f"{name}\na, {title}" if ax is column[0] else f"a, {title}", xticks=[], yticks=[])
plt.show()

# %% [markdown]
# ### Opening
#
# A local minimum over a small disc $D$, and then a local maximum over it:
#
# $$J(p) = \max_{q \in D_p}\; \min_{r \in D_q} I(r)$$
#
# Whatever is bright and narrower than the disc is gone, and everything else is as it was: bright specks inside
# particles, which would tear holes into the particle mask. Opening again with the same disc changes nothing (the
# operation is *idempotent*), although the published chain does it five times; SuperCryoEMPicker's first disc is three
# times as large.

# %%
draw_rows({"guided": stage("guided"), "opened": stage("opened")}, "guided", "opened")
each, once = found[first], dataclasses.replace(chain, opening_radii=chain.opening_radii[:1])
change = np.abs(once(each.data, each.diameter, each.contrast) - pictures[first]["opened"]).max()
print(f"{first}: largest difference between one opening and {len(chain.opening_radii)}: {change:g}")
record("difference between one opening and all", float(change))

# %% [markdown]
# ## 3. What each stage does to a particle
#
# The particle of each view that lies farthest from all others, through all stages: the figure 10 of the
# DeepCryoPicker paper.

# %%
examples = [(name, view, loneliest(found[name], view)) for name in found for view in views[name]]
figure, axes = plt.subplots(len(STAGES), len(examples), figsize=(1.6 * len(examples) + 0.4, 1.55 * len(STAGES)))
axes = axes.reshape(len(STAGES), len(examples))
for (name, view, particle), column in zip(examples, axes.T, strict=True):
    for stage_name, ax in zip(STAGES, column, strict=True):
        square = part(pictures[name][stage_name], found[name], particle, 1.6)
        limits = np.percentile(square, (1, 99)) if stage_name == "binned" else (0, 1)
        ax.imshow(square, cmap="gray", vmin=limits[0], vmax=limits[1])
        ax.set(xticks=[], yticks=[])
    column[0].set_title(f"{name}\n{view}", fontsize="medium")
for stage_name, ax in zip(STAGES, axes[:, 0], strict=True):
    ax.set_ylabel(stage_name)
plt.show()

# %% [markdown]
# ## 4. Numbers
#
# The papers report three numbers for each stage, with the normalised micrograph $I$ as the reference:
#
# $$\mathrm{MSE} = \frac{1}{N}\sum (J - I)^2, \quad \mathrm{PSNR} = 10 \log_{10} \frac{1}{\mathrm{MSE}}, \quad
# \mathrm{SNR} = 10 \log_{10} \frac{\frac{1}{N} \sum I^2}{\mathrm{MSE}}$$

# %%
measured = {name: quality(stages).set_index("stage") for name, stages in pictures.items()}
display(pd.concat(measured, axis=1).style.format(precision=3))
for name, numbers in measured.items():
    record(f"psnr, {name}, opened", float(numbers.loc["opened", "psnr"]))

# %% [markdown]
# **Mind what they measure.** A high PSNR says that a picture is close to its reference. Where the reference is the
# clean original, that is quality; here it is the *noisy input*, so it only says how little a stage has changed. Doing
# nothing would get the best mark of all, infinity, and a stage that brings particles out loses for it.
#
# The truth allows a better question: **do grey values tell particle from background?** Draw one pixel from a particle
# and one from the background at random. The area under the ROC curve (AUC) is the probability that the first is
# darker,
#
# $$\mathrm{AUC} = P(J_{\mathrm{particle}} < J_{\mathrm{background}})
# + \frac{1}{2} P(J_{\mathrm{particle}} = J_{\mathrm{background}})$$
#
# 0.5 is a coin toss, 1 a perfect separation by a threshold. A particle's pixels are here those of a disc of 0.9
# diameters, the background what is more than 0.6 diameters from every label; what lies between counts neither way.
# That is coarse: the light inside of a hollow particle counts as particle, too, so even a perfect picture of one
# stays below 1.


# %%
def true_areas(each, shape):
    """Pixels of particles, and pixels of background, of a picture of the micrograph of any size."""
    particle, background = np.zeros(shape, bool), np.ones(shape, bool)
    factor = each.data.shape[0] / shape[0]
    x, y = resized_frame(each.data.shape, 1 / factor).from_source(each.truth["x"], each.truth["y"])
    radii = each.truth["diameter"].fillna(each.diameter) / 2 / factor
    for column, row, radius, view in zip(x, y, radii, each.truth["view"], strict=True):
        background[draw.disk((row, column), 1.2 * radius, shape=shape)] = False
        if view != coordinates.IGNORE:
            particle[draw.disk((row, column), 0.9 * radius, shape=shape)] = True
    return particle, background


def auc(picture, areas):
    """Probability that a pixel of a particle is darker than one of the background; a tie counts half."""
    particle, background = (np.sort(picture[area]) for area in areas)
    darker = np.searchsorted(background, particle, "left")  # how many background pixels are darker than each
    not_brighter = np.searchsorted(background, particle, "right")
    return float(1 - (darker + not_brighter).mean() / 2 / background.size)


areas = {name: true_areas(each, pictures[name]["opened"].shape) for name, each in found.items()}
separation = {}
for name, each in found.items():
    sign = 1 if each.contrast == "dark" else -1
    separation[name] = {"recorded": auc(sign * each.data, true_areas(each, each.data.shape))}
    for stage_name, picture in pictures[name].items():
        separation[name][stage_name] = auc(picture, areas[name])
separation = pd.DataFrame(separation)
display(separation.round(3))

# %%
figure, axes = plt.subplots(2, len(found), figsize=(12, 5), squeeze=False, sharex=True)
for name, column in zip(found, axes.T, strict=True):
    for ax, stage_name in zip(column, ("equalised", "opened"), strict=True):
        particle, background = (pictures[name][stage_name][area] for area in areas[name])
        bins = np.linspace(0, 1, 33)
        ax.hist(background, bins, density=True, color="0.75", label="background")
        ax.hist(particle, bins, density=True, histtype="step", color="C3", label="particles")
        title = f"{stage_name}: AUC {separation.loc[stage_name, name]:.2f}"
        ax.set(title=f"{name}\n{title}" if ax is column[0] else title, yticks=[], xlim=(0, 1))
    column[-1].set_xlabel("grey value")
handles, labels = axes[0, 0].get_legend_handles_labels()
figure.legend(handles, labels, loc="outside lower center", ncols=2)

figure, ax = plt.subplots(figsize=(12, 4.5))
markers = "osD^vPX*"
for index, name in enumerate(found):
    ax.plot(separation.index, separation[name], marker=markers[index % len(markers)], label=name)
ax.axhline(0.5, color="0.5", linestyle=":")
ax.set(ylabel="AUC")
ax.legend(loc="upper left", ncols=2)
plt.show()
for name in found:
    record(f"auc by stage, {name}", separation[name].round(4).to_dict())

# %% [markdown]
# Look at the first half of the curves. From *binned* to *equalised* the picture changes more than anywhere else for
# the eye, and the AUC does not move. It cannot: those stages map grey values by a rising function, the same for all
# pixels, and a rising function never changes which of two pixels is the darker one (ties apart). They prepare for
# what follows. What tells particles from ice better is what looks at *neighbours*: binning, the Wiener filter, the
# guided filter, the opening. Adaptive equalisation compares a pixel with its tile and so removes slow changes of the
# ice; where the ice is even it has little to give, and section 7 shows what it can take.
#
# ### Why not simply blur?
#
# Averaging over the window of the guided filter, as many times, looks at neighbours, too. Its AUC, below, is about as
# good or better. But what follows in the pipeline are shapes, and those need outlines: how steep are the grey values
# between 0.45 and 0.6 diameters from the centre of a particle, where outlines are, compared with how steep they are
# in the ice?


# %%
def averaged(picture, side):
    """As many rounds of plain averaging as the guided filter has, stretched as it is."""
    for _ in range(chain.guided_times):
        picture = ndimage.uniform_filter(picture, side)
    low, high = np.quantile(picture, chain.stretch)
    return np.clip((picture - low) / (high - low), 0, 1)


def outline(picture, areas):
    """Mean steepness between particles and background, over that of the background."""
    steepness = ndimage.gaussian_gradient_magnitude(picture, 1)
    return float(steepness[~areas[0] & ~areas[1]].mean() / steepness[areas[1]].mean())


figure, axes = plt.subplots(2, len(found), figsize=(12, 6.6), squeeze=False)
for name, column in zip(found, axes.T, strict=True):
    both = {
        "averaged": averaged(pictures[name]["adaptive"], window(found[name])),
        "guided": pictures[name]["guided"],
    }
    for ax, (title, picture) in zip(column, both.items(), strict=True):
        ax.imshow(part(picture, found[name], shown[name], 5), cmap="gray", vmin=0, vmax=1)
        value, steep = auc(picture, areas[name]), outline(picture, areas[name])
        title = f"{title}\nAUC {value:.2f}, outline {steep:.2f}"
        ax.set(title=f"{name}, {title}", xticks=[], yticks=[])
        ax.title.set_fontsize("medium")
        record(f"outline, {name}, {title.split()[0]}", steep)
plt.show()

# %% [markdown]
# ## 5. The scale
#
# Every window of the chain is a fraction of the particle, so one number decides on which details it works: the
# particle's diameter after binning. Here the chain runs at several scales, and then at the usual one with other clip
# limits. (A micrograph is never enlarged, so a small particle may be smaller than asked for.)


# %%
def result(each, **changes):
    """The last picture of a chain with other parameters."""
    return dataclasses.replace(chain, **changes)(each.data, each.diameter, each.contrast)


scales = {"quick": (10, 20, 40), "full": (10, 20, 40, 80)}[profile]
figure, axes = plt.subplots(len(scales), len(found), figsize=(12, 3.05 * len(scales) + 0.2), squeeze=False)
by_scale = pd.DataFrame(index=list(found), columns=pd.Index(scales, name="working diameter"), dtype=float)
for scale, row in zip(scales, axes, strict=True):
    for name, ax in zip(found, row, strict=True):
        each = found[name]
        picture = result(each, working_diameter=float(scale))
        by_scale.loc[name, scale] = auc(picture, true_areas(each, picture.shape))
        ax.imshow(part(picture, each, shown[name], 5), cmap="gray", vmin=0, vmax=1)
        title = f"{min(scale, each.diameter):.0f} px: AUC {by_scale.loc[name, scale]:.2f}"
        ax.set(title=f"{name}\n{title}" if scale == scales[0] else title, xticks=[], yticks=[])
plt.show()

clip_limits = {"none": (), "0.005": (0.005,), "0.02": (0.02,), "0.02, 0.99": (0.02, 0.99)}
by_limits = pd.DataFrame(
    {
        title: {name: auc(result(each, clahe_clip_limits=limits), areas[name]) for name, each in found.items()}
        for title, limits in clip_limits.items()
    }
).rename_axis(columns="clip limits")
display(by_scale.round(3), by_limits.round(3))
for name in found:
    record(f"auc range by scale, {name}", float(np.ptp(by_scale.loc[name])))
    record(f"auc range by clip limits, {name}", float(np.ptp(by_limits.loc[name])))

# %% [markdown]
# The scale moves the AUC more than the clip limits do, unless the ice is so uneven that adaptive equalisation has
# much to do. Does the smallest picture win, then? Look at it: holes close, and corners are rounded off. The AUC asks
# about pixels, one by one, and the more pixels of the micrograph are averaged into one, the better it knows on which
# side that one is. A picker asks about *shapes*. So the last word has the picker that the chain was made for, on the
# first micrograph (notebook `02_clustering` explains how it works):

# %%
each = found[first]
seen = micrograph.Micrograph(each.data, name=each.name)
truth = each.truth.assign(micrograph=each.name)
rows = {}
for scale in scales:
    preprocessing = dataclasses.replace(chain, working_diameter=float(scale))
    picker = pickers.create(
        "autocryopicker", diameter=each.diameter, contrast=each.contrast, preprocessing=preprocessing
    )
    picks = picker.fit([seen]).pick(seen)
    scored = evaluate.evaluate(picks, truth, micrographs=[each.name], diameter=each.diameter, bootstrap=0)
    rows[scale] = {
        "AUC of pixels": by_scale.loc[first, scale],
        "precision of picks": scored.precision,
        "recall of picks": scored.recall,
        "F1 of picks": scored.f1,
    }
    record(f"f1 at {scale} px", scored.f1)
display(pd.DataFrame(rows).rename_axis(columns=f"{first}, working diameter").round(3))

# %% [markdown]
# The best AUC and the best picks do not go together. A number that is easy to compute is not the number that is
# wanted; it has to be checked against the task. And finer is not better without end: the computing time grows with
# the square of the scale, and each pixel has the more noise the less was averaged.
#
# ## 6. Beside a published result
#
# Two micrographs of KLH were published after such a chain. They come from the same session as the one that is
# published as recorded, but show other places, so compare the *kind* of picture: outlines, the grain of the ice, the
# histogram. The published chain was gentler: its pictures keep more of the stripes of the side views and look most
# like our stage *restored*.

# %%
if published is None:
    print("The published picture needs a data_dir with the folders klh and klh_preprocessed.")
klh = "klh" if "klh" in found else first
sides = {"recorded": (found[klh], found[klh].data)}
for stage_name in ("restored", "opened"):
    sides[f"ours, {stage_name}"] = (found[klh], pictures[klh][stage_name])
if published is not None:
    sides["published"] = (published, published.data)

figure, axes = plt.subplots(3, len(sides), figsize=(12, 31 / len(sides)), height_ratios=[2.6, 2.6, 1])
for (title, (each, picture)), (top, middle, bottom) in zip(sides.items(), axes.T, strict=True):
    plot.show_micrograph(top, picture, longest_side=512, title=title)
    plot.show_micrograph(middle, part(picture, each, loneliest(each, views[klh][-1]), 4), title="a part")
    low, high = np.percentile(picture, (0.1, 99.9))
    bottom.hist(picture.ravel(), np.linspace(low, high, 49), density=True, color="0.5")
    bottom.set(xlabel="grey value", yticks=[])
plt.show()
if published is not None:
    areas_published = true_areas(published, published.data.shape)
    record("auc, klh_preprocessed as published", auc(published.data, areas_published))

# %% [markdown]
# ## 7. What goes wrong, and how it looks
#
# Each row: a micrograph with something wrong, what comes out when nobody minds it, and what comes out when it is
# minded. The first four spoil the first micrograph on purpose; the last is a simulated one with particles in its left
# half only.

# %%
each = found[first]
data, (rows, columns) = each.data, each.data.shape
rng = np.random.default_rng(seed)

slanted = (data - min(data.min(), 0)) * (1 + 0.5 * np.linspace(-1, 1, columns))
hot = data.copy()
hot[rng.integers(rows, size=20), rng.integers(columns, size=20)] = data.mean() + 2000 * data.std()
border = columns // 10
framed = data.copy()
framed[:, :border] = data[:, border : border + 1]
other = {"dark": "bright", "bright": "dark"}[each.contrast]

full, particles = simulate.simulate("apoferritin", shape=(1024, 1024), seed=seed)
empty, _ = simulate.simulate("apoferritin", shape=(1024, 1024), seed=seed, n_particles=0)
full.data[:, 512:] = empty.data[:, 512:]
half = prepared(full, particles[particles["x"] < 512 + 38])


def changed(data, contrast=each.contrast, **changes):
    """The last picture of a chain for a changed micrograph."""
    return dataclasses.replace(chain, **changes)(data, each.diameter, contrast)


mistakes = {
    "ice gradient": slanted,
    "hot pixels": hot,
    "replicated border": framed,
    "wrong contrast": data,
    "empty half": half.data,
}
results = {
    "ice gradient": {"without CLAHE": changed(slanted, clahe_clip_limits=()), "with CLAHE": changed(slanted)},
    "hot pixels": {"as they are": changed(hot), "limited": changed(np.clip(hot, *filters.limits(hot)))},
    "replicated border": {"as it is": changed(framed), "cut off": changed(framed[filters.live_area(framed)])},
    "wrong contrast": {
        f"taken for {other}": changed(data, contrast=other),
        f"taken for {each.contrast}": changed(data),
    },
    "empty half": {
        "CLAHE twice": result(half, clahe_clip_limits=(0.02, 0.99)),
        "without CLAHE": result(half, clahe_clip_limits=()),
    },
}


def dark_ice(picture):
    """Shares of the ice, far from all particles, that are as dark as a particle: left and right half."""
    ice = true_areas(half, picture.shape)[1]
    middle, margin = picture.shape[1] // 2, picture.shape[1] // 20
    left, right = slice(0, middle - margin), slice(middle + margin, None)
    return [float((picture[:, side][ice[:, side]] < 0.25).mean()) for side in (left, right)]


figure, axes = plt.subplots(len(mistakes), 3, figsize=(12, 4.25 * len(mistakes)))
for (mistake, spoilt), row in zip(mistakes.items(), axes, strict=True):
    plot.show_micrograph(row[0], spoilt, longest_side=512, title=mistake)
    for ax, (what, picture) in zip(row[1:], results[mistake].items(), strict=True):
        title = what
        if mistake == "empty half":
            left, right = dark_ice(picture)
            title = f"{what}: dark {left:.1%} | {right:.1%}"
            record(f"dark ice, empty half, {what}", right)
            record(f"dark ice, other half, {what}", left)
        elif picture.shape == pictures[first]["opened"].shape:
            value = auc(picture, areas[first])
            title = f"{what}: AUC {value:.2f}"
            record(f"auc, {mistake}, {what}", value)
        ax.imshow(picture, cmap="gray", vmin=0, vmax=1)
        ax.set(xticks=[], yticks=[])
        ax.set_title(title, fontsize="medium")
plt.show()

# %% [markdown]
# - **Ice gradient**: one side black, the other white. One mapping for the whole micrograph spends its grey levels on
#   the slope of the ice and has none left for particles. Adaptive equalisation is the cure, nearly up to the borders.
# - **Hot pixels**: too few to be seen in the micrograph itself. Binning spreads each into a cross along its row and
#   column, and normalising to the brightest leaves few grey levels for all the rest. Protein is never a cross.
# - **Replicated border**: stripes at full contrast. Repeated pixels have no noise to be smoothed away along the
#   stripe, so the filters keep every one, and a third of them is dark enough for a particle.
# - **Wrong contrast**: light particles on dark ice, an AUC below 0.5. Everything downstream will look for particles
#   in the gaps between them.
# - **Empty half**: adaptive equalisation gives every tile the full contrast, also one that has nothing but noise. The
#   titles say how much of the ice is darker than 0.25: left, between the particles, and right, where there are none.
#   These dark blotches are smaller than a particle and ragged. Grey values cannot unmask them, shapes can: that is
#   the business of notebook `02_clustering`. A micrograph without any particle comes out looking like this, too.
#
# ## Try it
#
# Set `working_diameter` in the second cell to 20 and run the notebook again: which stage of the strip in section 3
# changes most, and what becomes of the holes of apoferritin and the stripes of KLH? At 12? At 80?
#
# Then leave the scale alone and set `clahe_clip_limits` to `[]`, to `[0.02]`, to `[0.02, 0.99]`. Compare the pictures
# of section 1 and the numbers of section 4: what does each round buy, and what does it cost? (Without JupyterLab:
# `cryokit notebooks run 01 -p "clahe_clip_limits=[0.02]"`.)
#
# Last, `guided_times`: 1, 4 and 16. The AUC has an opinion; do you share it when you look at the outlines? And with
# `opening_radii` set to `[0.075, 0.025, 0.025, 0.025, 0.025]`, SuperCryoEMPicker's opening: who gains, and what do
# the rings of KLH look like?
