# %% [markdown]
# # Preprocessing
#
# On a micrograph as it comes from the microscope, no single pixel tells whether it belongs to a particle. The first
# half of DeepCryoPicker (and its predecessors AutoCryoPicker and SuperCryoEMPicker) therefore puts every micrograph
# through a fixed chain of image-processing steps before anything is picked. What comes out is a picture in which
# particles are dark, ice is light, and a simple clustering of grey values can tell the two apart (lesson 02).
#
# **Goals**: after this lesson you can
#
# - say what each of the ten stages does to a histogram, and to a particle
# - tell stages that look at single pixels from stages that look at neighbours, and predict which can help
# - choose a number that measures whether a stage helped, and say why PSNR does not
#
# **Before**: lesson 00; what a histogram, a mean and a variance are.
#
# **Minutes**: 40 to read (core sections 17), 1 to compute.
#
# **In the paper**: component 1, stage 1 (preprocessing), figure 10. The formulas are those of the MATLAB functions that
# the authors' programs call; the stages here are named after what they do.

# %% tags=["parameters"]
profile = "quick"  # quick: fields of 1024 pixels (KLH, which is large and rare: 2048); full: 2048 for all
data = "auto"  # auto: real micrographs if they have been fetched; simulated; or a folder of datasets
seed = 0  # another number gives other micrographs of the same kind
contrast = ""  # of the particles: dark or bright; empty: find out
working_diameter = 40.0  # pixels across a particle in the pictures that the chain works on
clahe_clip_limits = [0.02, 0.99]  # one for each round of adaptive equalisation
guided_times = 4  # rounds of the guided filter
opening_radii = [0.025, 0.025, 0.025, 0.025, 0.025]  # one for each opening, as fractions of the diameter

# %%
import dataclasses

import numpy as np
import pandas as pd
from IPython.display import display
from scipy import ndimage

from cryokit import coordinates, datasets, evaluate, imaging, micrograph, pickers, plot, simulate
from cryokit.cli.notebook_runner import record
from cryokit.evaluate.pixel_separation import outline_steepness, separation, true_areas
from cryokit.imaging import Preprocessing, quality
from cryokit.plot import preprocessing_figures as figures

plot.lesson_style()

# %%
plot.show(plot.workflow(here="01"))

# %% [markdown]
# ## 1. The micrographs (core)
#
# One micrograph of each of four proteins. Two precautions come before the chain, and section 7 shows what happens
# without them: borders that were never recorded (programs that align movie frames fill them with repeated rows and
# columns) are cut off, and hot pixels are limited to the range of all others. Then two things have to be known, or
# found out: whether particles are dark or bright, and how large they are. All lengths in the chain are fractions of the
# particle's diameter.

# %%
samples = {}
for protein in simulate.REAL_DATASETS:
    side = 2048 if profile == "full" or protein == "klh" else 1024
    samples[protein] = simulate.real_or_simulated(protein, 1, data=data, seed=seed, shape=(side, side))
plot.sentences([sample.origin for sample in samples.values()])
if data != "simulated":
    display(datasets.overview(simulate.REAL_DATASETS.values()))

# %%
chain = Preprocessing(
    working_diameter=working_diameter,
    clahe_clip_limits=clahe_clip_limits,
    guided_times=guided_times,
    opening_radii=opening_radii,
)
subjects = {name: figures.subject(sample.images[0], sample.truth, contrast) for name, sample in samples.items()}
pictures = {name: chain.stages(each.data, each.diameter, each.contrast) for name, each in subjects.items()}
table = {
    name: {
        "rows x columns": f"{each.data.shape[0]} x {each.data.shape[1]}",
        "particles": int((each.truth["view"] != coordinates.IGNORE).sum()),
        "diameter": f"{each.diameter:.0f} px",
        "contrast": each.contrast,
        "binned by": f"{chain.factor(each.diameter):.2f}",
    }
    for name, each in subjects.items()
}
display(pd.DataFrame(table))

# %%
figure, axes = plot.subplots(2, len(subjects), height=5.2)
for (name, each), (above, below) in zip(subjects.items(), axes.T, strict=True):
    plot.show_micrograph(above, each.data, longest_side=340, title=name, pixel_size=each.pixel_size)
    plot.show_micrograph(below, pictures[name]["opened"], percentiles=(0, 100), title="after the chain")
    plot.scale_bar(below, each.pixel_size, step=each.data.shape[0] / pictures[name]["opened"].shape[0])
plot.show(
    figure, "Micrographs of four proteins, above as they are, below after the chain: dark particles on light ice."
)

# %% [markdown]
# ### What is no usable ice (further)
#
# Foil, gold beads and crystals of ice are stronger than any particle, and whatever takes an average, a spectrum or a
# threshold over the whole micrograph would follow them. So a classifier, trained on simulated micrographs, looks at a
# small copy of each micrograph and marks such regions (`cryokit.imaging.unusable`). They are filled with the grey level
# around them and with noise of the same spectrum before anything else is done, and picks whose centres lie in them are
# dropped. `cryokit pick --save-masks` writes the masks.

# %%
dirty = simulate.simulate_parts("apoferritin", shape=(1024, 1024), seed=seed, foil=1, beads=300)
mask = imaging.unusable_regions(dirty.micrograph)
figure, (left, right) = plot.subplots(1, 2, height=4.8)
plot.show_micrograph(left, dirty.micrograph, longest_side=340, title="simulated; outline of the mask")
plot.outline(left, mask)
filled = imaging.recorded(dirty.micrograph).data
plot.show_micrograph(right, filled, longest_side=340, title="filled", pixel_size=dirty.micrograph.pixel_size)
plot.show(figure, "A simulated micrograph with foil and gold beads, which the mask outlines, and the same with these "
          "regions filled.")  # fmt: skip
hidden = imaging.covered(mask, *np.nonzero(dirty.unusable)[::-1])
plot.sentences(f"The mask covers {hidden.mean():.0%} of what is not usable on this micrograph.")
record("share of the unusable area that is masked", float(hidden.mean()))

# %% [markdown]
# ## 2. Every stage (core)
#
# The pictures of this section are made alike. A column is a protein; the upper row shows a part of the micrograph
# before the stage, the next row the same part after it, the last row the histograms of the whole micrograph before
# (grey) and after (black line). From the second picture on, black is 0 and white is 1: nothing is stretched for
# display.
#
# ### Binning
#
# The chain runs at one scale: every micrograph is *binned* (its high spatial frequencies cut off, the rest kept on
# fewer pixels) until a particle is `working_diameter` pixels across. Windows of a few pixels then mean the same thing
# for every protein. Binning by $b$ averages about $b^2$ pixels, so the noise of a pixel falls towards $1/b$ of what
# it was, less where neighbouring pixels already share it. Bright particles are turned dark here: every later stage
# takes dark particles for granted.

# %%
plot.show(figures.binning_figure(subjects, pictures), "Parts of four micrographs before and after binning, and "
          "histograms: after binning the grey values spread less.")  # fmt: skip


# %%
def stage(name):
    """Pictures of all proteins after a stage."""
    return {protein: stages[name] for protein, stages in pictures.items()}


def show_stages(before, after, what, curve=None):
    """Show parts before and after a stage."""
    rows = {before: stage(before), after: stage(after)}
    plot.show(figures.before_after(subjects, rows, curve), f"Four proteins {before} and {after}: {what}")


# %% [markdown]
# ### Normalise and stretch
#
# *Normalising* (MATLAB's `mat2gray`) maps the darkest pixel to 0 and the brightest to 1. A handful of extreme pixels
# decide what these are, and the rest is left with a narrow range in the middle: a flat, grey picture. The paper's
# *contrast enhancement correction* (`imadjust`) takes two quantiles instead, those below which 1 % and 99 % of the
# pixels lie ($q_{1}$ and $q_{99}$), and gives up what is outside:
#
# $$J = \min\left(1, \max\left(0, \frac{I - q_{1}}{q_{99} - q_{1}}\right)\right)$$

# %%
show_stages("normalised", "stretched", "the histogram becomes wider.")

# %% [markdown]
# ### Equalise the histogram
#
# Which mapping of grey values uses all of them equally often? The *cumulative histogram*: with $h(i)$ pixels of grey
# level $i$ among $N$,
#
# $$T(k) = \frac{1}{N} \sum_{i \leq k} h(i)$$
#
# sends a pixel to the share of pixels that are darker (`histeq`). Its slope is the histogram itself: frequent grey
# values are pulled apart, rare ones pushed together. The result has a flat histogram, and so a standard deviation near
# $1/\sqrt{12} = 0.289$, that of a uniform distribution, whatever the micrograph looked like.


# %%
def cumulative(ax, name):
    """Draw the mapping T over the histogram."""
    values = np.sort(pictures[name]["stretched"], axis=None)
    at, top = np.linspace(0, values.size - 1, 200).astype(int), ax.get_ylim()[1]
    ax.plot(values[at], np.linspace(0, top, 200), color=plot.CURVE_COLOURS[0], linestyle="--", label="the mapping T")


show_stages("stretched", "equalised", "the histogram becomes flat.", cumulative)
deviations = {name: float(pictures[name]["equalised"].std()) for name in subjects}
plot.sentences("Standard deviations: " + ", ".join(f"{name} {value:.3f}" for name, value in deviations.items()) + ".")
for name, deviation in deviations.items():
    record(f"standard deviation, {name}, equalised", deviation)

# %% [markdown]
# ### Restore: the adaptive Wiener filter
#
# Nothing so far has looked at more than one pixel at a time. The Wiener filter (`wiener2`) looks at a small window
# around each (an eighth of a diameter; 5 x 5 pixels at the usual scale), with the mean $\mu$ and the variance
# $\sigma^2$ of its pixels:
#
# $$J = \mu + \frac{\max(\sigma^2 - \nu, 0)}{\max(\sigma^2, \nu)} \left(I - \mu\right)$$
#
# The noise $\nu$ is the average of all local variances. Where the window varies no more than that, it is taken for
# ice and becomes its mean; where it varies more, for an edge, and stays partly as it is.

# %%
show_stages("equalised", "restored", "grains of noise are smoothed, the histogram becomes narrower.")

# %% [markdown]
# ### Equalise again, adaptively (CLAHE)
#
# Averaging has narrowed the histogram, so it is equalised once more, and then *adaptively* (`adapthisteq`): the
# picture is cut into 8 x 8 tiles, each has its own histogram and its own mapping, and a pixel is interpolated between
# the mappings of the four tiles around it. So thick and thin ice come out equally grey.
#
# A tile with nothing but noise would have its noise stretched over all grey values. A *clip limit* $c$ holds against
# it: with $N$ pixels in a tile and $B$ grey levels, a level may hold at most
#
# $$h_{\max} = \left\lceil N/B \right\rceil + c \left(N - \left\lceil N/B \right\rceil\right)$$
#
# pixels, and the excess is shared out among all levels. That limits the slope of the mapping, and so the amplification.
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
    title = f"limit {limits[-1]:g}" if number else "equalised again"
    rounds[title] = {
        name: shorter.stages(each.data, each.diameter, each.contrast)["adaptive"]
        for name, each in subjects.items()
    }  # fmt: skip
figure = figures.before_after(subjects, rounds, lambda ax, _: figures.rayleigh(ax, chain.clahe_alpha))
plot.show(figure, "Four proteins equalised again and after each round of adaptive equalisation: the contrast of the "
          "noise grows, and the histogram takes the shape of a Rayleigh distribution.")  # fmt: skip
for name in subjects:
    record(f"standard deviation, {name}, adaptive", float(pictures[name]["adaptive"].std()))

# %% [markdown]
# Where would you have stopped? To the eye this is the worst picture of the chain: every grain of noise has the
# contrast of a particle. It is meant for the next stage.
#
# ### The guided filter
#
# It smooths and keeps edges (`imguidedfilter`). In each window $k$ the result is a linear function of the *guide*,
# which here is the picture $I$ itself:
#
# $$J_i = a_k I_i + b_k, \quad a_k = \frac{\sigma_k^2}{\sigma_k^2 + \varepsilon}, \quad b_k = (1 - a_k)\, \mu_k$$
#
# and $a$ and $b$ are averaged over all windows that contain a pixel. Where the variance $\sigma_k^2$ is far below
# $\varepsilon$ (0.01, a standard deviation of 0.1), $a$ is near 0 and the result is the mean: smooth. Far above it
# $a$ is near 1, and the picture stays. The published chain does this four times, and then stretches the picture again.

# %%
show_stages("adaptive", "guided", "noise is smoothed, the outlines of particles stay.")

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
    """The slope a of the formula."""
    mean = ndimage.uniform_filter(picture, side)
    variance = np.maximum(ndimage.uniform_filter(picture**2, side) - mean**2, 0)
    return variance / (variance + chain.guided_smoothing)


figure, axes = plot.subplots(2, len(subjects), height=5.0)
for (name, each), (above, below) in zip(subjects.items(), axes.T, strict=True):
    figures.show_part(above, slope(pictures[name]["adaptive"], window(each)), each, title=name)
    figures.show_part(below, slope(pictures[name]["guided"], window(each)), each)
axes[0, 0].set_ylabel("first round")
axes[1, 0].set_ylabel("one more round")
plot.show(
    figure, "The slope of the guided filter: bright nearly everywhere in the first round, at outlines in the last."
)

# %% [markdown]
# ### Opening
#
# A local minimum over a small disc $D$, and then a local maximum over it (`imopen`):
#
# $$J(p) = \max_{q \in D_p}\; \min_{r \in D_q} I(r)$$
#
# Whatever is bright and narrower than the disc is gone, and everything else is as it was: bright specks inside
# particles, which would tear holes into the particle mask. Opening again with the same disc changes nothing (the
# operation is *idempotent*), although the published chain does it five times; SuperCryoEMPicker's first disc is three
# times as large.

# %%
show_stages("guided", "opened", "bright specks inside particles are gone.")
first, each = next(iter(subjects.items()))
once = dataclasses.replace(chain, opening_radii=chain.opening_radii[:1])
change = np.abs(once(each.data, each.diameter, each.contrast) - pictures[first]["opened"]).max()
plot.sentences(f"{first}: one opening and {len(chain.opening_radii)} openings differ by {change:g} at most.")
record("difference between one opening and all", float(change))

# %% [markdown]
# ## 3. What each stage does to a particle (core)
#
# The particle of each view that lies farthest from all others, through all stages: the paper's figure 10.

# %%
plot.show(figures.particle_strip(subjects, pictures), "One particle of each protein and view after each of the stages, "
          "as figure 10 of the paper.")  # fmt: skip

# %% [markdown]
# ## 4. Numbers, and what they measure (core)
#
# The papers report three numbers for each stage, with the normalised micrograph $I$ as the reference:
#
# $$\mathrm{MSE} = \frac{1}{N}\sum (J - I)^2, \quad \mathrm{PSNR} = 10 \log_{10} \frac{1}{\mathrm{MSE}}, \quad
# \mathrm{SNR} = 10 \log_{10} \frac{\frac{1}{N} \sum I^2}{\mathrm{MSE}}$$

# %%
measured = {name: quality(stages).set_index("stage")["psnr"] for name, stages in pictures.items()}
display(pd.DataFrame(measured).rename_axis("PSNR (dB)").style.format(precision=1))
for name, numbers in measured.items():
    record(f"psnr, {name}, opened", float(numbers["opened"]))

# %% [markdown]
# **Mind what they measure.** A high PSNR says that a picture is close to its reference. Where the reference is the
# clean original, that is quality; here it is the *noisy input*, so it only says how little a stage has changed. Doing
# nothing would get the best mark of all, infinity, and a stage that brings particles out loses marks for it.
#
# Labels allow a better question: **do grey values tell particle from background?** Draw one pixel from a particle
# and one from the background at random. The area under the ROC curve (AUC) is the probability that the first is
# darker,
#
# $$\mathrm{AUC} = P(J_{\mathrm{particle}} < J_{\mathrm{background}})
# + \frac{1}{2} P(J_{\mathrm{particle}} = J_{\mathrm{background}})$$
#
# 0.5 is a coin toss, 1 a perfect separation by a threshold. A particle's pixels are those of a disc of 0.9 diameters,
# the background what is more than 0.6 diameters from every label; what lies between counts neither way. That is coarse:
# the light inside of a hollow particle counts as particle, so even a perfect picture of one stays below 1.


# %%
def areas_of(each, picture):
    """Pixels of particles and of background."""
    return true_areas(picture.shape, each.truth, each.data.shape, each.diameter)


areas = {name: areas_of(each, pictures[name]["opened"]) for name, each in subjects.items()}
by_stage = {}
for name, each in subjects.items():
    sign = 1 if each.contrast == "dark" else -1
    by_stage[name] = {"micrograph": separation(sign * each.data, areas_of(each, each.data))}
    by_stage[name] |= {stage_name: separation(picture, areas[name]) for stage_name, picture in pictures[name].items()}
    record(f"auc by stage, {name}", {stage_name: round(value, 4) for stage_name, value in by_stage[name].items()})
by_stage = pd.DataFrame(by_stage)

# %%
figure, ax = plot.subplots(height=4.4)
for (name, values), marker in zip(by_stage.items(), "osD^", strict=True):
    ax.plot(by_stage.index, values, marker=marker, label=name)
ax.axhline(0.5, color="0.5", linestyle=":")
ax.set(ylabel="AUC")
ax.tick_params(axis="x", rotation=40)
ax.legend(ncols=2)
plot.show(figure, "AUC after each stage, for one micrograph of each of four proteins: flat from binned to equalised, "
          "rising at binning and with the filters that look at neighbours.")  # fmt: skip
display(by_stage.round(3))

# %% [markdown]
# Look at the first half of the curves. From *binned* to *equalised* the picture changes more than anywhere else for
# the eye, and the AUC does not move. It cannot: those stages map grey values by a rising function, the same for all
# pixels, and a rising function never changes which of two pixels is the darker one (ties apart). They prepare for
# what follows. What tells particles from ice better is what looks at *neighbours*: binning, the Wiener filter, the
# guided filter, the opening. Adaptive equalisation compares a pixel with its tile and so removes slow changes of the
# ice; where the ice is even it has little to give, and section 7 shows what it can take.

# %%
figure, axes = plot.subplots(2, len(subjects), height=4.6, sharex=True)
for name, column in zip(subjects, axes.T, strict=True):
    for ax, stage_name in zip(column, ("equalised", "opened"), strict=True):
        particle, background = (pictures[name][stage_name][area] for area in areas[name])
        bins = np.linspace(0, 1, 33)
        ax.hist(background, bins, density=True, color="0.75", label="background")
        ax.hist(particle, bins, density=True, histtype="step", color="black", label="particles")
        ax.set(title=f"{name}: {by_stage.loc[stage_name, name]:.2f}", yticks=[], xlim=(0, 1))
    column[-1].set_xlabel("grey value")
axes[0, 0].set_ylabel("equalised")
axes[1, 0].set_ylabel("opened")
figure.legend(*axes[0, 0].get_legend_handles_labels(), loc="outside lower center", ncols=2)
plot.show(figure, "Histograms of particles and background, equalised above and after the whole chain below; the titles "
          "give the AUC. After the chain they are farther apart.")  # fmt: skip

# %% [markdown]
# ### Why not simply blur? (further)
#
# Averaging over the window of the guided filter, as many times, looks at neighbours, too. Its AUC, in the titles below,
# is about as good or better. But what follows in the pipeline are shapes, and those need outlines: how steep are the
# grey values between 0.45 and 0.6 diameters from the centre of a particle, where outlines are, compared with how steep
# they are in the ice?


# %%
def averaged(picture, side):
    """As many rounds of plain averaging as the guided filter has, stretched as it is."""
    for _ in range(chain.guided_times):
        picture = ndimage.uniform_filter(picture, side)
    low, high = np.quantile(picture, chain.stretch)
    return np.clip((picture - low) / (high - low), 0, 1)


figure, axes = plot.subplots(2, len(subjects), height=5.6)
for (name, each), column in zip(subjects.items(), axes.T, strict=True):
    both = {"averaged": averaged(pictures[name]["adaptive"], window(each)), "guided": pictures[name]["guided"]}
    for ax, (word, picture) in zip(column, both.items(), strict=True):
        steep = outline_steepness(picture, areas[name])
        title = f"AUC {separation(picture, areas[name]):.2f}, outline {steep:.1f}"
        figures.show_part(ax, picture, each, title=f"{name}\n{title}" if ax is column[0] else title)
        ax.title.set_fontsize(11)
        record(f"outline, {name}, {word}", steep)
axes[0, 0].set_ylabel("averaged")
axes[1, 0].set_ylabel("guided")
plot.show(
    figure, "The same parts after plain averaging and after the guided filter, with AUC and steepness of outlines."
)

# %% [markdown]
# ## 5. The scale (further)
#
# Every window of the chain is a fraction of the particle, so one number decides on which details it works: the
# particle's diameter after binning. Here the chain runs at several scales, and then at the usual one with other clip
# limits. (A micrograph is never enlarged, so a small particle may be smaller than asked for.)


# %%
def result(each, **changes):
    """The last picture of a chain with other parameters."""
    return dataclasses.replace(chain, **changes)(each.data, each.diameter, each.contrast)


scales = {"quick": (10, 20, 40), "full": (10, 20, 40, 80)}[profile]
figure, axes = plot.subplots(len(scales), len(subjects), height=6.9 if len(scales) == 3 else 9.0)
by_scale = pd.DataFrame(index=list(subjects), columns=pd.Index(scales, name="working diameter"), dtype=float)
for scale, row in zip(scales, axes, strict=True):
    for (name, each), ax in zip(subjects.items(), row, strict=True):
        picture = result(each, working_diameter=float(scale))
        by_scale.loc[name, scale] = separation(picture, areas_of(each, picture))
        title = f"{min(scale, each.diameter):.0f} px: AUC {by_scale.loc[name, scale]:.2f}"
        figures.show_part(ax, picture, each, title=f"{name}\n{title}" if scale == scales[0] else title)
plot.show(figure, "The result of the chain with particles of 10, 20 and 40 pixels: more outline, more noise.")

# %%
clip_limits = {"none": (), "0.005": (0.005,), "0.02": (0.02,), "0.02, 0.99": (0.02, 0.99)}
by_limits = {
    title: {name: separation(result(each, clahe_clip_limits=limits), areas[name]) for name, each in subjects.items()}
    for title, limits in clip_limits.items()
}
by_limits = pd.DataFrame(by_limits).rename_axis(columns="clip limits")
display(by_scale.round(3), by_limits.round(3))
for name in subjects:
    record(f"auc range by scale, {name}", float(np.ptp(by_scale.loc[name])))
    record(f"auc range by clip limits, {name}", float(np.ptp(by_limits.loc[name])))

# %% [markdown]
# The scale moves the AUC more than the clip limits do, unless the ice is so uneven that adaptive equalisation has
# much to do. Does the smallest picture win, then? Look at it: holes close, and corners are rounded off. The AUC asks
# about pixels, one by one, and the more pixels of the micrograph are averaged into one, the better it knows on which
# side that one is. A picker asks about *shapes*. So the picker that the chain was made for has the last word, on
# three micrographs (lesson 02 explains how it works):

# %%
several = simulate.real_or_simulated(first, 3, data=data, seed=seed, shape=(1024, 1024))
names, rows = [image.name for image in several.images], {}
for scale in scales:
    other = dataclasses.replace(chain, working_diameter=float(scale))
    picker = pickers.create(
        "autocryopicker", diameter=subjects[first].diameter, contrast=subjects[first].contrast, preprocessing=other
    )
    picker.fit(several.images)
    picks = coordinates.concatenate(picker.pick(image) for image in several.images)
    scored = evaluate.evaluate(picks, several.truth, micrographs=names, diameter=subjects[first].diameter)
    low, high = scored.intervals.get("f1", (np.nan, np.nan))
    rows[scale] = {"AUC of pixels": by_scale.loc[first, scale], "F1 of picks": scored.f1, "from": low, "to": high}
    record(f"f1 at {scale} px", scored.f1)
display(pd.DataFrame(rows).rename_axis(columns=f"{first}, working diameter").round(3))
plot.sentences(f"F1 on {len(names)} micrographs, with 95 % intervals over them; AUC on the first.")

# %% [markdown]
# The best AUC and the best picks do not go together. A number that is easy to compute is not the number that is
# wanted; it has to be checked against the task. And finer is not better without end: the computing time grows with
# the square of the scale, and each pixel has the more noise the less was averaged.
#
# ## 6. Beside a published picture (further)
#
# A few micrographs of KLH were published after such a chain (`cryokit data fetch klh_preprocessed`). They come from the
# same session as those published as recorded, but show other places, so compare the *kind* of picture: outlines, the
# grain of the ice, the histogram. The published chain was gentler: its pictures keep more of the stripes of the side
# views and look most like our stage *restored*.

# %%
there = [] if data == "simulated" else datasets.labelled_pairs("klh_preprocessed", None if data == "auto" else data)
sides = {"restored (ours)": pictures["klh"]["restored"], "opened (ours)": pictures["klh"]["opened"]}
if there:
    path, labels = there[0]
    published = figures.subject(micrograph.read(path), labels)
    sides["published"] = published.data
    record("auc, klh_preprocessed as published", separation(published.data, areas_of(published, published.data)))
else:
    plot.sentences("No published picture is at hand, so only ours are shown.")

# %%
figure, axes = plot.subplots(2, len(sides), height=6.0, height_ratios=[2.4, 1])
for (title, picture), (above, below) in zip(sides.items(), axes.T, strict=True):
    each = published if title == "published" else subjects["klh"]
    figures.show_part(above, picture, each, title=title, grey=True)
    low, high = np.percentile(picture, (0.1, 99.9))
    below.hist(picture.ravel(), np.linspace(low, high, 49), density=True, color="0.5")
    below.set(xlabel="grey value", yticks=[])
plot.show(figure, "Parts of a micrograph of KLH after two of our stages and, where it is at hand, a published picture, "
          "with their histograms.")  # fmt: skip

# %% [markdown]
# ## 7. What goes wrong, and how it looks (further)
#
# Each column: a micrograph that was spoilt on purpose, what comes out if nothing is done, and what comes out with the
# remedy. The numbers are the AUC.

# %%
spoilt = figures.mistakes(subjects[first], chain, seed=seed)
figure, axes = plot.subplots(3, len(spoilt), height=7.0)
for mistake, column in zip(spoilt, axes.T, strict=True):
    pixel_size = subjects[first].pixel_size
    plot.show_micrograph(column[0], mistake.spoilt, longest_side=340, title=mistake.name, pixel_size=pixel_size)
    for ax, (word, picture) in zip(column[1:], (mistake.without, mistake.remedied), strict=True):
        title = word
        if picture.shape == pictures[first]["opened"].shape:
            value = separation(picture, areas[first])
            title = f"{word}: {value:.2f}"
            record(f"auc, {mistake.name}, {word}", value)
        ax.imshow(picture, cmap="gray", vmin=0, vmax=1)
        ax.set(xticks=[], yticks=[], title=title)
for ax, words in zip(axes[:, 0], ("spoilt", "untreated", "remedied"), strict=True):
    ax.set_ylabel(words)
plot.show(figure, "A micrograph with an ice gradient, hot pixels, a repeated border, and with the wrong contrast; "
          "after the chain without and with the remedy.")  # fmt: skip

# %% [markdown]
# - **Ice gradient**: one side black, the other white. One mapping for the whole micrograph spends its grey levels on
#   the slope of the ice and has none left for particles. Adaptive equalisation is the cure, nearly up to the borders.
# - **Hot pixels**: too few to be seen in the micrograph itself. Binning spreads each into a cross along its row and
#   column, and normalising to the brightest leaves few grey levels for all the rest. Protein is never a cross.
# - **Repeated border**: stripes at full contrast. Repeated pixels have no noise to be smoothed away along the
#   stripe, so the filters keep every one, and many are dark enough for a particle.
# - **Wrong contrast**: light particles on dark ice, an AUC below 0.5. Everything downstream will look for particles
#   in the gaps between them.
#
# ### Ice without particles
#
# Adaptive equalisation gives every tile the full contrast, also one that has nothing but noise. Here a simulated
# micrograph has particles in its left half only. How much of the ice, far from all particles, is as dark as a particle
# (below 0.25) afterwards?

# %%
half = figures.half_empty(seed=seed)
outcomes = {"CLAHE twice": result(half, clahe_clip_limits=(0.02, 0.99)), "without": result(half, clahe_clip_limits=())}
figure, axes = plot.subplots(1, 3, height=3.4)
plot.show_micrograph(axes[0], half.data, longest_side=340, title="half empty", pixel_size=half.pixel_size)
facts = []
for ax, (word, picture) in zip(axes[1:], outcomes.items(), strict=True):
    ice = areas_of(half, picture)[1]
    middle, margin = picture.shape[1] // 2, picture.shape[1] // 20
    sides = {"other": slice(0, middle - margin), "empty": slice(middle + margin, None)}
    dark = {side: float((picture[:, where][ice[:, where]] < 0.25).mean()) for side, where in sides.items()}
    facts.append(f"{word}: {dark['other']:.1%} of the ice between particles, {dark['empty']:.1%} of the empty half")
    for side, share in dark.items():
        record(f"dark ice, {side} half, {word}", share)
    ax.imshow(picture, cmap="gray", vmin=0, vmax=1)
    ax.set(xticks=[], yticks=[], title=word)
plot.show(figure, "A micrograph whose right half is empty, after the chain with and without adaptive equalisation.")
plot.sentences("Dark ice:", facts)

# %% [markdown]
# Even the better of the two has dark blotches where nothing is. They are smaller than a particle and ragged: grey
# values cannot unmask them, shapes can. That is the business of lesson 02. A micrograph without any particle comes
# out looking like this, too.
#
# ## Key points
#
# - Stages that map grey values by a rising function change what the eye sees, not which pixel is darker.
# - Filters that look at neighbours tell particles from ice; the guided filter does so without losing outlines.
# - PSNR against the noisy input rewards doing nothing. Ask a question that the labels can answer.
# - All lengths are fractions of the diameter, so one scale fits all proteins; the scale matters more than the clip
#   limits.
# - The chain takes dark particles, recorded borders and sane extremes for granted: see to them first.
#
# ## Questions
#
# <details><summary>1. Why can histogram equalisation not raise the AUC?</summary>
#
# It maps grey values by a rising function that is the same for all pixels. Of two pixels the darker one stays the
# darker one, and the AUC depends on nothing else.
#
# </details>
#
# <details><summary>2. A paper reports that its preprocessing "raises the PSNR". What do you ask first?</summary>
#
# Against which reference. If it is the noisy micrograph, a higher PSNR means that less was changed.
#
# </details>
#
# <details><summary>3. CLAHE is run with a clip limit of 0.99. What does the limit do?</summary>
#
# Next to nothing: a level may hold 99 % of the tile's pixels beyond an equal share. The contrast of each tile is
# equalised without a limit, that of empty ones as well.
#
# </details>
#
# <details><summary>4. Why does opening five times with one disc equal opening once?</summary>
#
# Opening is idempotent: after the first time nothing bright and narrower than the disc is left.
#
# </details>
#
# ## Try it
#
# Set `working_diameter` in the cell of parameters to 20 and run the lesson again: which stage of the strip in section 3
# changes most, and what becomes of the holes of apoferritin and the stripes of KLH? At 12? At 80?
#
# Then leave the scale alone and set `clahe_clip_limits` to `[]`, to `[0.02]`, to `[0.02, 0.99]`. Compare the pictures
# of section 1 and the numbers of section 4: what does each round gain, and what does it cost? (Without JupyterLab:
# `cryokit notebooks run 01 -p "clahe_clip_limits=[0.02]"`.)
#
# Last, `guided_times`: 1, 4 and 16. The AUC has an opinion; do you share it when you look at the outlines? And with
# `opening_radii` set to `[0.075, 0.025, 0.025, 0.025, 0.025]`, SuperCryoEMPicker's opening: who gains, and what do
# the rings of KLH look like?
#
# ## Read on
#
# - Next: [02 Clustering, masks and shapes](02_clustering.ipynb)
# - Al-Azzawi et al. (2019), AutoCryoPicker, BMC Bioinformatics 20:326: the chain, and its first use
# - He, Sun and Tang (2013), Guided image filtering, IEEE Trans. Pattern Anal. Mach. Intell. 35:1397-1409
# - Zuiderveld (1994), Contrast limited adaptive histogram equalization, Graphics Gems IV:474-485
