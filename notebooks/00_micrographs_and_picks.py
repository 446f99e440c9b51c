# %% [markdown]
# # Micrographs and picks
#
# *Particle picking* is the step of cryo-electron microscopy that turns pictures into a list of places: the centre of
# every copy of the protein, so that the copies can be cut out, sorted and averaged into a three-dimensional map. This
# lesson walks through the whole process once, from the file of a micrograph to a file of coordinates and a score.
#
# **Goals**: after this lesson you can
#
# - say what a micrograph is, what its noise and its defocus do, and why it is binned before picking
# - pick particles without labels, and score the picks with precision, recall and F1
# - recognise the usual errors of coordinate files at a glance
#
# **Before**: Python with NumPy and matplotlib. A first idea of the Fourier transform helps in section 4.
#
# **Minutes**: 30 to read (core sections 18), 1 to compute.
#
# **In the paper** (Al-Azzawi et al. 2020, BMC Bioinformatics 21:509): overview of the procedure (figures 1 and 9),
# datasets, evaluation metrics (equations 1 to 4).

# %% tags=["parameters"]
profile = "quick"  # quick: three micrographs; full: twelve, larger
data = "auto"  # auto: real micrographs if they have been fetched; simulated; or a folder of datasets
protein = "apoferritin"  # apoferritin, klh, ribosome or betagal
seed = 0  # another number gives other micrographs of the same kind
snr = 0.2  # signal-to-noise ratio of the simulation; 0: what the protein's microscope gives
micrograph_path = ""  # a file of your own (MRC, TIFF, PNG, JPEG) instead
labels_path = ""  # its true particles, if you have them (STAR, box, CBOX, CSV, ...)
diameter = 0.0  # of the particle in pixels; 0: take it from the labels, or estimate it
output_dir = "out/00_micrographs_and_picks"  # where the files go

# %%
import dataclasses
from pathlib import Path

import numpy as np
from IPython.display import display
from scipy import ndimage

from cryokit import coordinates, datasets, evaluate, explore, imaging, micrograph, pickers, plot, simulate
from cryokit.cli.notebook_runner import record
from cryokit.plot import micrograph_figures

plot.lesson_style()
output = Path(output_dir)

# %% [markdown]
# DeepCryoPicker, which these lessons rebuild, has two components. The first picks particles *without labels*, keeps
# the clean ones and makes a training set of them. The second trains a network with that set, and the network picks.
# Seven lessons follow the arrows; each begins with this picture.

# %%
plot.show(plot.workflow(here="00"))

# %% [markdown]
# ## 1. Four proteins (core)
#
# The paper tests on four proteins, chosen for their shapes, and so do these lessons. *Apoferritin* is a hollow sphere:
# a ring from everywhere. *KLH* is a cylinder: a ring from the top, a striped rectangle from the side. The 80S
# *ribosome* and *β-galactosidase* are irregular, and look different from every direction. Above, the projections of
# simulated particles without noise; below, the same particles as a camera sees them.

# %%
views = [("apoferritin", "top"), ("klh", "top"), ("klh", "side"), ("ribosome", "irregular"), ("betagal", "irregular")]
figure, axes = plot.subplots(2, len(views), height=4.2)
micrograph_figures.protein_views(axes, views, seed=seed)
plot.show(figure, "Particles of four proteins, without noise above and with noise below: two rings, a rectangle, two "
          "irregular shapes. With noise, the outlines of the smaller ones can hardly be seen.")  # fmt: skip

# %% [markdown]
# Real, labelled micrographs of all four can be fetched. This lesson uses them if they are there (`data="auto"`), and
# simulated ones otherwise. Labels of KLH are not published: bring your own (`data` as a folder).

# %%
display(datasets.overview(simulate.REAL_DATASETS.values()))

# %% [markdown]
# ## 2. What a micrograph is (core)
#
# The microscope sends electrons through a layer of ice about as thick as the protein, and a camera counts those that
# arrive. The picture is a *projection*: everything along the path of an electron adds up.
#
# In a file, a micrograph is an array of numbers, one per pixel, with a *pixel size*: how many ångström of the specimen
# one pixel covers (1 Å = 0.1 nm). Cameras record movies of some dozens of frames; after motion correction the frames
# have been added up.
#
# Two conventions to remember, because every program has its own: in this package `x` is the column and `y` the row,
# both counted from the **first row of the file**, and the centre of the first pixel is (0, 0).

# %%
if micrograph_path:
    images = [micrograph.read(file) for file in micrograph.find([micrograph_path])]
    truth = coordinates.read(labels_path, micrograph=images[0].name) if labels_path else None
    real, origin = True, f"Your own micrograph, {micrograph_path}."
else:
    number, side = {"quick": (3, 1024), "full": (12, 2048)}[profile]
    side = max(side, 2048) if protein == "klh" else side
    settings = {"shape": (side, side)} | ({"snr": snr} if snr else {})
    images, truth, real, origin = simulate.real_or_simulated(protein, number, data=data, seed=seed, **settings)
first = images[0]
if truth is not None and not diameter:
    diameter = float(truth["diameter"].median())
plot.sentences(f"**{origin}**")

# %%
file = output / f"{first.name}.mrc"
micrograph.write_mrc(file, first.data, first.pixel_size)
header = micrograph.read(file)
rows, columns = header.data.shape
facts = [f"`{file.name}`: {rows} rows, {columns} columns, numbers of the type {header.data.dtype}"]
if header.pixel_size:
    field = [side * header.pixel_size / 10 for side in (columns, rows)]
    facts.append(f"pixel size {header.pixel_size:.2f} Å: a field of {field[0]:.0f} x {field[1]:.0f} nm")
if truth is not None:
    here = truth[truth["micrograph"] == first.name]
    facts.append(f"{len(here)} known particles on it, {len(truth)} on all {len(images)} micrographs")
plot.sentences(facts)

# %% [markdown]
# The pictures with circles show a smoothed copy, because the eye averages worse than a picker does. Nothing else uses
# it.

# %%
width = (diameter or 40) / 14
smoothed = [dataclasses.replace(image, data=ndimage.gaussian_filter(image.data, width)) for image in images]
figure, (left, right) = plot.subplots(1, 2, height=5.0)
plot.show_micrograph(left, first, longest_side=340, title="the micrograph")
if truth is None:
    plot.show_micrograph(right, first.data[: rows // 3, : columns // 3], title="a corner", pixel_size=first.pixel_size)
else:
    plot.overlay(right, smoothed[0], labels=truth, longest_side=340, title="smoothed, with its labels")
plot.show(figure, "A micrograph, and beside it the same, smoothed, with yellow circles around the labelled particles.")

# %% [markdown]
# ## 3. Contrast and noise (core)
#
# Electrons destroy what they show, so only few may be used, and the picture is mostly *shot noise*: the counts of
# neighbouring pixels differ by chance far more than protein differs from ice. The grey values of pixels inside and
# outside particles therefore overlap almost completely, and no threshold on single pixels finds particles.
#
# Averaging helps: of $n$ pictures of the same thing, the noise falls as $1/\sqrt{n}$, and the thing stays. A picker
# does the same when it adds up all pixels under a particle.

# %%
size = round(1.5 * diameter) if diameter else min(first.data.shape) // 12
if truth is None:  # arbitrary places
    places = np.random.default_rng(seed).uniform(size, [columns - size, rows - size], (100, 2))
    places = coordinates.table(first.name, *places.T, diameter=diameter or size)
else:
    places = truth
squares = micrograph_figures.squares_around(first, places, size)

figure, axes = plot.subplots(1, 3, height=3.3)
for ax, count in zip(axes, (1, 10, len(squares)), strict=True):
    ax.imshow(squares[:count].mean(axis=0), cmap="gray")
    ax.set(title=f"average of {min(count, len(squares))}", xticks=[], yticks=[])
    plot.scale_bar(ax, first.pixel_size)
plot.show(figure, "Averages of one, ten and all particles of a micrograph: the noise falls, the particle appears.")

# %%
row, column = np.indices((size, size)) - size / 2
inside = squares[:, np.hypot(row, column) < size / 3]
figure, ax = plot.subplots(height=3.0)
bins = np.linspace(*np.percentile(first.data, (0.1, 99.9)), 80)
ax.hist(first.data[::4, ::4].ravel(), bins, density=True, color="0.75", label="everywhere")
ax.hist(inside.ravel(), bins, density=True, histtype="step", color="black", label="inside particles")
ax.set(xlabel="grey value", yticks=[])
ax.legend()
plot.show(figure, "Histograms of grey values, everywhere and inside particles: they overlap almost completely.")
shift = (inside.mean() - first.data.mean()) / first.data.std()
if truth is not None:
    plot.sentences(f"The mean inside particles lies {abs(shift):.2f} standard deviations "
                   f"{'below' if shift < 0 else 'above'} that of all pixels.")  # fmt: skip
    record("shift of the mean", float(shift))

# %% [markdown]
# The *signal-to-noise ratio* (SNR) is the variance of the particles' own contrast over the variance of the noise, both
# without details finer than 20 Å. Only a simulation can show the two apart:

# %%
parts = simulate.simulate_parts(protein, seed=seed, shape=(1024, 1024), **({"snr": snr} if snr else {}))
figure, axes = plot.subplots(1, 3, height=3.4)
pictures = {"particles alone": parts.signal, "noise alone": parts.noise, "what the camera counts": parts.micrograph}
for ax, (title, picture) in zip(axes, pictures.items(), strict=True):
    plot.show_micrograph(ax, picture, title=title, pixel_size=parts.micrograph.pixel_size)
plot.show(figure, "A simulated micrograph taken apart: particles alone, noise alone, and their sum.")
plot.sentences(f"Simulated, with an SNR of {parts.snr:.2f}.")
record("snr", parts.snr)

# %% [markdown]
# In cryo-EM protein is **dark** as the camera counts it. Many programs invert the picture ("white on black") before
# extraction, and a picker that expects the wrong sign finds the gaps between particles. The sign can be estimated, but
# not when the noise is this strong: it is better told than guessed.

# %%
contrast = "dark" if not real else imaging.detect_contrast(first.data, diameter or None)
plot.sentences(f"Particles are **{contrast}** on these micrographs ({'estimated' if real else 'told'}).")

# %% [markdown]
# ## 4. Defocus and the power spectrum (further)
#
# Protein hardly absorbs electrons; it shifts the phase of their wave. In focus it would be nearly invisible.
# Micrographs are therefore taken out of focus, which turns phase into contrast, but not for all details alike. The
# *contrast transfer function* (CTF) says how much of each spatial frequency $f$ arrives, and with which sign:
#
# $$\mathrm{CTF}(f) = -\sin\left(\pi \lambda \Delta z f^2 - \frac{\pi}{2} C_s \lambda^3 f^4
# + \arcsin w\right) \, e^{-B f^2 / 4}$$
#
# with the wavelength $\lambda$, the underfocus $\Delta z$, the spherical aberration $C_s$, the share $w$ of amplitude
# contrast and the envelope $B$. Where the CTF is zero, nothing is transferred: dark *Thon rings* in the power spectrum
# (the squared Fourier transform). More underfocus moves the rings inwards: particles are easier to see, fine detail is
# delocalised. The rings show best in ice without particles, whose grain has all frequencies alike:

# %%
empty = {"n_particles": 0, "carbon": False, "contamination": 0, "astigmatism": 0, "shape": (1024, 1024), "seed": seed}
figure, axes = plot.subplots(2, 3, height=5.2)
depth = {}
for defocus, column in zip((1.0, 2.5, 4.0), axes.T, strict=True):
    ice, _ = simulate.simulate("apoferritin", defocus=defocus, **empty)
    zeros = micrograph_figures.ctf_zeros("apoferritin", defocus)
    curve = micrograph_figures.spectrum_row(column, ice, title=f"ice, {defocus:g} µm underfocus", zeros=zeros)
    between = (zeros[:-1] + zeros[1:]) / 2
    at_zeros, at_others = (np.interp(where, *curve.T).mean() for where in (zeros[1:], between))
    depth[defocus] = at_zeros / at_others
plot.show(figure, "Power spectra of simulated ice at three defocus values, and their averages over rings. Dotted lines "
          "mark the zeros of the CTF; the curves have minima there, closer together with more defocus.")  # fmt: skip
for defocus, ratio in depth.items():
    record(f"power at the zeros over power between them, {defocus:g} µm", float(ratio))

# %% [markdown]
# **Not every ring is a Thon ring.** With particles in the ice, the spectrum has strong rings at low frequencies. They
# are the *form factor* of the particle: the Fourier transform of its own shape, here of a hollow sphere. Defocus does
# not move them. Programs that fit the CTF therefore leave the lowest frequencies out.

# %%
figure, axes = plot.subplots(2, 2, height=5.2)
minima = {}
for defocus, column in zip((1.0, 4.0), axes.T, strict=True):
    full, _ = simulate.simulate("apoferritin", **(empty | {"n_particles": None}), defocus=defocus)
    curve = micrograph_figures.spectrum_row(column, full, title=f"with particles, {defocus:g} µm")
    column[1].set(xlim=(0, 0.05), ylim=(curve[:40, 1].min(), curve[:40, 1].max()))
    low = curve[curve[:, 0] < 0.022]
    minima[defocus] = float(low[low[:, 1].argmin(), 0])
plot.show(figure, "Power spectra of simulated micrographs with particles at two defocus values: strong rings at low "
          "frequencies, at the same places in both.")  # fmt: skip
lengths = " and ".join(f"1/({1 / place:.0f} Å)" for place in minima.values())
plot.sentences(f"The deepest minimum below 0.022/Å lies at {lengths}, whatever the defocus.")
record("minima of the form factor", minima)

# %% [markdown]
# ## 5. Binning (core)
#
# A particle is found by its shape, not by its fine detail, so pickers work on *binned* micrographs: the high spatial
# frequencies are cut off, and the rest is kept on fewer pixels. Most of the noise goes with them. Three things change
# together, and forgetting one of them is a classic mistake: the number of pixels, the pixel size, and every coordinate.

# %%
factors = (1, 2, 4, 8)
side = min(4 * size, *first.data.shape)
figure, axes = plot.subplots(1, len(factors), height=2.9)
for ax, factor in zip(axes, factors, strict=True):
    binned = imaging.bin_fourier(first.data, factor).data
    corner = binned[: side // factor, : side // factor]
    step = f"\n{first.pixel_size * factor:.1f} Å a pixel" if first.pixel_size else ""
    size_words = f"{binned.shape[1]} x {binned.shape[0]}"
    plot.show_micrograph(
        ax, corner, title=f"binned by {factor}: {size_words}{step}" if factor > 1 else size_words + step
    )
    ax.title.set_fontsize(10)
    plot.scale_bar(ax, first.pixel_size, step=factor)
plot.show(figure, "The same corner of a micrograph, binned by 1, 2, 4 and 8: the particles become easier to see.")

# %% [markdown]
# ## 6. Picking without labels (core)
#
# The method `template` needs no labels. It bins until a particle is 20 pixels across, takes everything blob-like of the
# right size as a first guess, averages these blobs over all rotations into a *reference*, looks where the micrograph
# correlates with the reference, and repeats this with the better places until the reference settles. The score of a
# pick is the estimated probability that it is a particle; the threshold is chosen from the scores alone.

# %%
picker = pickers.create("template", diameter=diameter or None, contrast=contrast)
picker.fit(images)
# A threshold of 0 keeps the candidates that the method would drop: the curve of section 7 needs them.
candidates = coordinates.concatenate(picker.pick(image, threshold=0) for image in images)
picks = candidates[candidates["score"] >= picker.threshold_]
plot.sentences(f"{len(picks)} picks on {len(images)} micrographs; {len(candidates) - len(picks)} more candidates lie "
               f"below the threshold of {picker.threshold_:.2f}.")  # fmt: skip
record("picks", len(picks))
record("highest score", float(candidates["score"].max()))

# %%
# The reference is a radial profile; turned around its centre it is a picture.
rings = len(picker.reference_)
row, column = np.indices((2 * rings - 1, 2 * rings - 1)) - (rings - 1)
figure, (left, right) = plot.subplots(1, 2, height=3.0, width_ratios=[1, 1.6])
left.imshow(np.interp(np.hypot(row, column), np.arange(rings), picker.reference_), cmap="gray")
left.set(title="reference, protein bright", xticks=[], yticks=[])
right.plot(picker.reference_)
right.set(xlabel="radius (binned pixels)", title="its profile", yticks=[])
plot.show(figure, "The reference that the picker has made by itself, as a picture and as a profile over the radius.")

# %%
figure, (left, right) = plot.subplots(1, 2, height=5.0)
plot.overlay(
    left, smoothed[0], picks=picks, labels=truth, diameter=picker.diameter_, longest_side=340, title="the picks"
)
if len(picks):
    plot.contact_sheet(right, smoothed, picks, 36)
right.set_title("the 36 with the highest scores" if len(picks) else "no picks")
plot.show(figure, "The first micrograph with its picks (blue: true, orange-red: false, dashed yellow: missed), and the "
          "36 picks with the highest scores side by side.")  # fmt: skip

# %% [markdown]
# **Look for yourself.** In JupyterLab the explorer shows all picks where they lie. Move the threshold, and the counts
# and the point on the curve follow. A click adds a pick, an Alt-click removes one, `?` lists the rest; what you change
# comes back as `explorer.picks`. Outside JupyterLab, `cryokit view` writes the same as a page.

# %%
explorer = explore(images, candidates, truth, diameter=picker.diameter_)
display(explorer)

# %% [markdown]
# ## 7. How good are the picks? (core)
#
# A pick is *true* (a true positive, TP) when it lies within a quarter of a diameter of a particle that no other pick
# has been matched to, and *false* (FP) otherwise; a particle that no pick matches is *missed* (FN). Equations 1, 2 and
# 4 of the paper:
#
# $$\mathrm{precision} = \frac{TP}{TP + FP}, \quad \mathrm{recall} = \frac{TP}{TP + FN}, \quad
# F_1 = \frac{2 \cdot \mathrm{precision} \cdot \mathrm{recall}}{\mathrm{precision} + \mathrm{recall}}$$
#
# Precision is the share of the picks that are particles, recall the share of the particles that were picked, F1 their
# harmonic mean. Equation 3, the *accuracy* $(TP + TN) / (TP + FP + TN + FN)$, needs true negatives. A picker has none
# that could be counted: how many places without a particle did it rightly leave alone? So accuracy here is
# $TP / (TP + FP + FN)$. (The paper's equation 3 has lost the $TN$ above the line.)
#
# A stricter threshold on the score trades recall for precision. The *precision-recall curve* shows every threshold at
# once, and its area, the *average precision*, does not depend on the choice of one. Particles labelled `ignore`
# (broken, overlapping, half outside) count neither way.

# %%
if truth is None:
    plot.sentences("No labels, so nothing to compare with: give `labels_path`, or look at the picks.")
    scored = None
else:
    names = [image.name for image in images]
    scored = evaluate.evaluate(candidates, truth, micrographs=names, threshold=picker.threshold_, diameter=diameter)
    lines = [f"{scored.tp} true, {scored.fp} false, {scored.fn} missed, on {len(names)} micrographs"]
    for name in ("precision", "recall", "f1", "accuracy", "average_precision"):
        value, interval = getattr(scored, name), scored.intervals.get(name)
        between = f" (95 % interval over micrographs: {interval[0]:.3f} to {interval[1]:.3f})" if interval else ""
        lines.append(f"{name.replace('_', ' ').replace('f1', 'F1')} {value:.3f}{between}")
        record(name, value)
    plot.sentences(lines)

# %%
if scored is not None:
    figure, (left, right) = plot.subplots(1, 2, height=4.4, width_ratios=[1, 1.2])
    plot.precision_recall(left, {"template": scored}, legend=False)
    everything = evaluate.evaluate(candidates, truth, micrographs=names, diameter=diameter, bootstrap=0)
    micrograph_figures.score_histogram(right, everything.picks, picker.threshold_)
    plot.show(figure, "Precision-recall curve with the operating point of the picker, and a histogram of the scores of "
              "true and of false candidates with the threshold.")  # fmt: skip
    display(scored.per_view.dropna(axis=1).round(3))

# %% [markdown]
# ## 8. A file for RELION (further)
#
# A STAR file is a table in plain text: a block, the names of the columns, one line per particle. RELION and most other
# programs read it.

# %%
star = output / f"{first.name}.star"
mine = picks[picks["micrograph"] == first.name]
coordinates.write(mine, star)
print(*star.read_text().splitlines()[:10], "...", sep="\n")
again = coordinates.read(star, micrograph=first.name)
plot.sentences(f"Written: {len(mine)} particles; read again: {len(again)}.")
record("written and read", [len(mine), len(again)])

# %% [markdown]
# ## 9. What goes wrong, and how it looks (core)
#
# Four mistakes that everybody makes once. The overlay tells them apart at a glance; the number only says that something
# is wrong. The pictures show the upper left part of the first micrograph (the second mistake: all of it); F1 is that of
# all micrographs.

# %%
box = round(1.5 * picker.diameter_)
mistakes = {
    "y axis upside down": coordinates.flip_y(picks, height=rows),
    "scale of a binned one": coordinates.scale(picks, 1 / 2),
    "corners taken for centres": picks.assign(x=picks["x"] - box / 2, y=picks["y"] - box / 2),
    "threshold far too low": candidates,
}
results = {}
if truth is not None:
    for mistake, found in mistakes.items():
        results[mistake] = evaluate.evaluate(found, truth, micrographs=names, diameter=diameter, bootstrap=0)
        record(f"f1, {mistake}", results[mistake].f1)

# %%
figure, axes = plot.subplots(1, 4, height=3.0)
for ax, (mistake, found) in zip(axes.flat, mistakes.items(), strict=True):
    here = found[found["micrograph"] == first.name]
    plot.overlay(ax, smoothed[0], picks=here, diameter=picker.diameter_, legend=False, longest_side=340)
    score = f"\nF1 {results[mistake].f1:.2f}" if results else ""
    ax.set_title(mistake + score, fontsize=10)
    if not mistake.startswith("scale"):  # that one shows only on the whole micrograph
        ax.set(xlim=(0, columns / 2), ylim=(rows / 2, 0))
plot.show(figure, "Four wrong sets of picks on the same micrograph: thrown at random, crowded into the first quarter, "
          "shifted to the upper left, and far too many.")  # fmt: skip
if results:
    low = results["threshold far too low"]
    plot.sentences(f"With the threshold at 0, recall is {low.recall:.2f} and precision {low.precision:.2f}: "
                   f"{low.fp} of {low.tp + low.fp} picks that count are false.")  # fmt: skip

# %% [markdown]
# - **Upside down**: the right number of circles, but on nothing, as if thrown at random. Mirror the picture in your
#   head, and they fit. Programs disagree about which row of a TIFF or MRC file is the first.
# - **Scale of a binned micrograph**: all circles crowd into one corner, here the first quarter. Multiply the
#   coordinates by the binning factor.
# - **Corners taken for centres**: every circle is off by the same step to the upper left, half a box. EMAN's `.box`
#   and crYOLO's `.cbox` files hold the corner of a box, STAR files the centre.
# - **Threshold too low**: the ice fills up with circles. Recall can only gain, precision pays.
#
# ## Key points
#
# - A micrograph is a noisy projection: single pixels tell nothing, averages over a particle do.
# - Thon rings move with defocus; the rings of a particle's form factor do not.
# - Binning changes the picture, the pixel size and every coordinate.
# - Precision is about the picks, recall about the particles; a threshold trades one for the other.
# - Numbers say that something is wrong, overlays say what.
#
# ## Questions
#
# <details><summary>1. A picker finds 90 of 100 particles and makes 60 false picks. Precision, recall, F1?</summary>
#
# 90/150 = 0.60, 90/100 = 0.90, and 2 · 0.6 · 0.9 / 1.5 = 0.72.
#
# </details>
#
# <details><summary>2. You average 100 pictures of a particle instead of 25. What happens to the noise?</summary>
#
# It falls from 1/5 to 1/10 of that of one picture: half. Four times the particles for half the noise.
#
# </details>
#
# <details><summary>3. Picks were made on a micrograph binned by 4 and are drawn unbinned. Where are they?</summary>
#
# All in the first quarter of each side, so in a sixteenth of the area. Multiply x and y by 4. (To the fraction of a
# pixel, it depends on where the program puts the centre of the first pixel.)
#
# </details>
#
# <details><summary>4. Two programs report the same F1 of 0.8 on one data set. Are they equally useful?</summary>
#
# Not for every purpose. One may have precision 0.95 and recall 0.69, the other the reverse. What follows (2D
# classification) throws out false picks, but cannot bring back missed ones; a training set needs the opposite.
#
# </details>
#
# ## Try it
#
# The signal-to-noise ratio decides nearly everything. Set `snr` in the cell of parameters to 0.4 and to 0.1 and run the
# lesson again (without JupyterLab: `cryokit notebooks run 00 -p snr=0.1`). Which breaks first, precision or recall?
# Does the histogram of scores tell you so *without* the labels?
#
# <details><summary>What you should see</summary>
#
# At 0.4 both are nearly 1. At 0.1 the picker keeps no pick at all: recall breaks first, because the threshold is chosen
# for picks that are probably particles. The scores say so by themselves: none is high.
#
# </details>
#
# Then set `protein` to `"klh"`. The reference of section 6 is an average over all rotations. Which view does it find
# better, and why? The table by views in section 7 has the answer. Last, tell the picker something wrong:
# `pickers.create("template", diameter=1.5 * diameter, contrast=contrast)`. How wrong may the diameter be?
#
# ## Read on
#
# - Next: [01 Preprocessing](01_preprocessing.ipynb)
# - Al-Azzawi et al. (2020), DeepCryoPicker, BMC Bioinformatics 21:509: the paper
# - Cheng et al. (2015), A primer to single-particle cryo-electron microscopy, Cell 161:438-449
# - Zhu et al. (2004), Automatic particle selection: results of a comparative study, J. Struct. Biol. 145:3-14: the
#   first comparison of pickers, on KLH
