# %% [markdown]
# # Micrographs and picks
#
# *Particle picking* is the step of cryo-electron microscopy that turns pictures into a list of places: the centre of
# every copy of the protein, so that the copies can be cut out, sorted and averaged into a three-dimensional map. This
# notebook goes once along the whole way:
#
# 1. what a micrograph is, and how it lies in a file
# 2. why the particles are so hard to see: contrast and noise
# 3. what the microscope's defocus does: rings in the power spectrum
# 4. binning: fewer pixels, the same particles
# 5. picking without labels
# 6. how good the picks are: precision and recall
# 7. a coordinate file that RELION opens
# 8. what goes wrong, and how to recognise it
#
# The micrographs are simulated, so the truth is known to a fraction of a pixel. A micrograph of your own, with labels
# or without, can take their place: `micrograph_path`. The notebook takes about a minute.

# %% tags=["parameters"]
profile = "quick"  # quick: three micrographs; full: twelve
protein = "apoferritin"  # apoferritin, klh, ribosome or betagal
seed = 0  # another number gives other micrographs of the same kind
snr = 0.0  # signal-to-noise ratio of the simulation; 0: what the protein's microscope gives
micrograph_path = ""  # a file of your own (MRC, TIFF, PNG, JPEG) instead of the simulation
labels_path = ""  # its true particles, if you have them (STAR, box, CBOX, CSV, ...)
diameter = 0.0  # of the particle in pixels; 0: take it from the labels, or estimate it
output_dir = "out/00_micrographs_and_picks"  # where the files go

# %%
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
from IPython.display import display

from cryokit import coordinates, evaluate, imaging, micrograph, pickers, plot, simulate
from cryokit.cli.notebook_runner import record
from cryokit.simulate.ctf import ctf

plt.rcParams["figure.constrained_layout.use"] = True
output = Path(output_dir)

# %% [markdown]
# ## 1. What a micrograph is
#
# The microscope sends electrons through a layer of ice about as thin as the protein, and a camera counts those that
# arrive. The picture is a *projection*: everything along the way of an electron adds up. Apoferritin, a hollow sphere
# of protein, is a dark ring from wherever one looks. Most proteins look different from every side.
#
# In a file a micrograph is an array of numbers, one per pixel, and a *pixel size*: how many Ångström (1 Å = 0.1 nm) of
# the specimen one pixel covers. Modern cameras record movies of some dozens of frames; here, as after every motion
# correction, the frames are added up already.
#
# Two conventions to remember, because every program has its own: in this package `x` is the column and `y` the row,
# both counted from the **first row of the file**, and the centre of the first pixel is (0, 0).

# %%
if micrograph_path:
    files = micrograph.find([micrograph_path])
    truth = None
    if labels_path:
        names = [micrograph.read(file).name for file in files]
        truth = coordinates.read(labels_path, micrograph=names[0])
else:
    settings = {"snr": snr} if snr else {}
    files, labels = [], []
    for image, particles in simulate.simulate_set(protein, {"quick": 3, "full": 12}[profile], seed=seed, **settings):
        files.append(output / f"{image.name}.mrc")
        micrograph.write_mrc(files[-1], image.data, image.pixel_size)
        labels.append(particles)
    truth = coordinates.concatenate(labels)

images = [micrograph.read(file) for file in files]
first = images[0]
if truth is not None and not diameter:
    diameter = float(truth["diameter"].median())

print(f"{files[0]}: {first.data.shape[0]} rows x {first.data.shape[1]} columns, {first.data.dtype}")
if first.pixel_size:
    rows, columns = (side * first.pixel_size / 1e4 for side in first.data.shape)
    print(f"pixel size {first.pixel_size:.2f} Å: a field of {columns:.2f} x {rows:.2f} µm")
print(f"micrographs: {len(images)}, known particles: {0 if truth is None else len(truth)}")

# %%
figure, (left, right) = plt.subplots(1, 2, figsize=(12, 6))
plot.show_micrograph(left, first, longest_side=512)
if truth is None:
    plot.show_micrograph(right, first.data[: first.data.shape[0] // 3, : first.data.shape[1] // 3], title="a corner")
else:
    plot.overlay(right, first, labels=truth, longest_side=512, title="the same, with the truth")

# %% [markdown]
# ## 2. Contrast and noise
#
# Electrons destroy what they show, so only few may be used, and the picture is mostly *shot noise*: the counts in
# neighbouring pixels differ by chance far more than protein differs from ice. The grey values of pixels inside
# particles and everywhere else therefore overlap almost completely: no threshold on single pixels can find particles.
#
# What helps is averaging: of $n$ pictures of the same thing, the noise falls as $1/\sqrt{n}$, and the thing stays. A
# picker does the same when it adds up all pixels under a particle.

# %%
# Squares around the true particles or, without labels, around arbitrary places.
size = round(1.5 * diameter) if diameter else min(first.data.shape) // 12
height, width = first.data.shape
if truth is None:
    centres = np.random.default_rng(seed).uniform(size, [width - size, height - size], (100, 2))
else:
    whole = (truth["micrograph"] == first.name) & (truth["view"] != coordinates.IGNORE)
    centres = truth.loc[whole, ["x", "y"]].to_numpy()
corners = np.rint(centres - size / 2).astype(int)
corners = corners[((corners >= 0) & (corners + size <= [width, height])).all(axis=1)]
patches = np.stack([first.data[y : y + size, x : x + size] for x, y in corners])

figure, axes = plt.subplots(1, 4, figsize=(12, 3.2), width_ratios=[1, 1, 1, 1.5])
for ax, count in zip(axes[:3], (1, 10, len(patches)), strict=True):
    ax.imshow(patches[:count].mean(axis=0), cmap="gray")
    ax.set(title=f"average of {min(count, len(patches))}", xticks=[], yticks=[])

row, column = np.indices((size, size)) - size / 2
core = np.hypot(row, column) < size / 4
bins = np.linspace(*np.percentile(first.data, (0.1, 99.9)), 80)
axes[3].hist(first.data[::4, ::4].ravel(), bins, density=True, color="0.7", label="everywhere")
axes[3].hist(patches[:, core].ravel(), bins, density=True, histtype="step", color="C3", label="inside particles")
axes[3].set(title="grey values", xticks=[], yticks=[])
axes[3].legend(fontsize="small")
plt.show()

contrast = imaging.detect_contrast(first.data, diameter or None)
print(f"particles are {contrast} on this micrograph")

# %% [markdown]
# The signal-to-noise ratio (SNR) printed below is the variance of the particles' own contrast over the variance of the
# noise, of the details coarser than 20 Å. Only a simulation can show the two apart:

# %%
if not micrograph_path:
    parts = simulate.simulate_parts(protein, seed=seed, shape=(1024, 1024), **settings)
    figure, axes = plt.subplots(1, 3, figsize=(12, 4.3))
    plot.show_micrograph(axes[0], parts.signal, title="the particles alone")
    plot.show_micrograph(axes[1], parts.noise, title="the noise alone")
    plot.show_micrograph(axes[2], parts.micrograph, title="what the camera records")
    plt.show()
    print(f"SNR {parts.snr:.3f}")
    record("snr", parts.snr)

# %% [markdown]
# In cryo-EM protein is **dark** as the camera counts it. Many programs invert the picture ("white on black") before
# extraction, and a picker that expects the wrong sign finds the gaps between particles. So the contrast is detected or
# told, never taken for granted.
#
# ## 3. Defocus and the power spectrum
#
# Protein hardly absorbs electrons; it only shifts the phase of their wave. In focus it would be nearly invisible.
# Microscopists therefore take pictures out of focus, which turns phase into contrast, but not for all details alike.
# The *contrast transfer function* (CTF) says how much of each spatial frequency $f$ arrives, and with which sign:
#
# $$\mathrm{CTF}(f) = -\sin\left(\pi \lambda \Delta z f^2 - \frac{\pi}{2} C_s \lambda^3 f^4
# + \arcsin w\right) \, e^{-B f^2 / 4}$$
#
# with the wavelength $\lambda$, the underfocus $\Delta z$, the spherical aberration $C_s$, the share $w$ of amplitude
# contrast and the envelope $B$. Where the CTF is zero, nothing is transferred: dark *Thon rings* in the power spectrum
# (the squared Fourier transform). More underfocus moves the rings inwards: particles are easier to see, fine detail is
# delocalised.


# %%
def power_spectrum(data, tile=512):
    """Average the power spectra of tiles that overlap by half: smoother than the spectrum of the whole."""
    window = np.hanning(tile)[:, None] * np.hanning(tile)
    starts = [range(0, side - tile + 1, tile // 2) for side in data.shape]
    total = 0
    for top in starts[0]:
        for left in starts[1]:
            part = data[top : top + tile, left : left + tile]
            total = total + np.abs(np.fft.fft2((part - part.mean()) * window)) ** 2
    return np.fft.fftshift(total)


def radial_mean(spectrum):
    """Average over rings one pixel wide."""
    centre = spectrum.shape[0] // 2
    row, column = np.indices(spectrum.shape) - centre
    ring = np.hypot(row, column).astype(int)
    return (np.bincount(ring.ravel(), spectrum.ravel()) / np.bincount(ring.ravel()))[:centre]


if micrograph_path:
    shown = {first.name: first}
else:
    # The same particles at the same places, at three distances from focus.
    shown = {
        f"{defocus:g} µm": simulate.simulate(protein, seed=seed, defocus=defocus, shape=(1024, 1024), **settings)[0]
        for defocus in (1.0, 2.5, 4.0)
    }

figure, axes = plt.subplots(len(shown), 3, figsize=(12, 3.9 * len(shown)), squeeze=False, width_ratios=[1, 1, 1.2])
for (title, image), (left, middle, right) in zip(shown.items(), axes, strict=True):
    spectrum = power_spectrum(image.data)
    rings = radial_mean(spectrum)
    frequency = np.arange(len(rings)) / spectrum.shape[0] / (image.pixel_size or 1)
    logarithm = np.log(spectrum)
    plot.show_micrograph(left, image, title=title)
    middle.imshow(logarithm, cmap="gray", vmin=np.percentile(logarithm, 1), vmax=np.percentile(logarithm, 99.7))
    middle.set(title="power spectrum", xticks=[], yticks=[])
    right.semilogy(frequency[3:], rings[3:])
    right.set(xlabel="spatial frequency (1/Å)" if image.pixel_size else "spatial frequency (1/pixel)", yticks=[])
    right.tick_params(axis="y", which="both", left=False, labelleft=False)
    if not micrograph_path:
        microscope = simulate.CONDITIONS[protein]
        transfer = ctf(
            frequency,
            np.zeros_like(frequency),
            voltage=microscope.voltage,
            cs=microscope.cs,
            defocus_u=float(title.split()[0]),
            amplitude_contrast=microscope.amplitude_contrast,
            b_factor=microscope.b_factor,
        )
        zeros = frequency[1:][np.diff(np.sign(transfer)) != 0]
        for zero in zeros[:4]:
            right.axvline(zero, color="C3", linewidth=0.8)
        right.set_title("its average over rings; zeros of the CTF in red", fontsize="medium")

# %% [markdown]
# ## 4. Binning
#
# A particle is found by its shape, not by its fine detail, so pickers work on *binned* micrographs: the high spatial
# frequencies are cut off and the rest is kept on fewer pixels. Most of the noise goes with them. Three things change
# together, and forgetting one of them is a classic mistake: the number of pixels, the pixel size, and every coordinate.

# %%
factors = (1, 2, 4, 8)
side = min(4 * size, *first.data.shape)
figure, axes = plt.subplots(1, len(factors), figsize=(12, 3.4))
for ax, factor in zip(axes, factors, strict=True):
    binned = imaging.bin_fourier(first.data, factor).data
    corner = binned[: side // factor, : side // factor]
    ax.imshow(corner, cmap="gray", vmin=np.percentile(corner, 1), vmax=np.percentile(corner, 99))
    step = f", {first.pixel_size * factor:.1f} Å" if first.pixel_size else ""
    ax.set(title=f"binned by {factor}: {binned.shape[0]} x {binned.shape[1]}{step}", xticks=[], yticks=[])
    ax.title.set_fontsize("small")

# %% [markdown]
# ## 5. Picking
#
# The method `template` needs no labels. It bins until a particle is 20 pixels across, takes everything blob-like of the
# right size as a first guess, averages these blobs over all rotations into a *reference*, looks where the micrograph
# correlates with the reference, and does so again with the better places, until the reference settles. The score of a
# pick is the estimated probability that it is a particle; the threshold is chosen from the scores alone.

# %%
picker = pickers.create("template", diameter=diameter or None)
picker.fit(images)
# Threshold 0 keeps the candidates that the method would throw away: the curve of section 6 needs them.
candidates = coordinates.concatenate(picker.pick(image, threshold=0) for image in images)
picks = candidates[candidates["score"] >= picker.threshold_]
print(f"{len(picks)} picks on {len(images)} micrographs, diameter {picker.diameter_:.0f} px")
record("picks", len(picks))

# The reference is a radial profile; turned around its centre it is a picture.
rings = len(picker.reference_)
row, column = np.indices((2 * rings - 1, 2 * rings - 1)) - (rings - 1)
figure, (left, right) = plt.subplots(1, 2, figsize=(7, 3), width_ratios=[1, 1.4])
left.imshow(np.interp(np.hypot(row, column), np.arange(rings), picker.reference_), cmap="gray")
left.set(title="reference, particles bright", xticks=[], yticks=[])
right.plot(picker.reference_)
right.set(xlabel="radius (binned pixels)", title="its profile", yticks=[])
plt.show()

# %%
figure, (left, right) = plt.subplots(1, 2, figsize=(12, 6), width_ratios=[1.1, 1])
plot.overlay(left, first, picks=picks, labels=truth, diameter=picker.diameter_, longest_side=512)
plot.contact_sheet(right, images, picks, 64)
right.set_title("the best 64 picks")
plt.show()

# %% [markdown]
# ## 6. How good are the picks?
#
# A pick is *true* (TP) when it lies within a quarter of a diameter of a particle that no other pick has taken, *false*
# (FP) otherwise; a particle that nobody took is *missed* (FN).
#
# - **Precision** = TP / (TP + FP): how many of the picks are particles
# - **Recall** = TP / (TP + FN): how many of the particles were picked
# - **F1**: their harmonic mean
#
# A stricter threshold on the score buys precision with recall. The *precision-recall curve* shows every threshold at
# once, and its area, the *average precision*, does not depend on the choice of one. Particles labelled `ignore`
# (broken, overlapping, half outside) count neither way.

# %%
if truth is None:
    print("No labels, so nothing to compare with: give labels_path, or look at the picks by eye.")
else:
    names = [image.name for image in images]
    scored = evaluate.evaluate(candidates, truth, micrographs=names, threshold=picker.threshold_, diameter=diameter)
    for name in ("precision", "recall", "f1", "average_precision"):
        record(name, getattr(scored, name))
    figure, (left, right) = plt.subplots(1, 2, figsize=(12, 5), width_ratios=[1, 1.3])
    plot.precision_recall(left, {"template": scored})
    bins = np.linspace(0, 1, 26)
    outcomes = evaluate.evaluate(candidates, truth, micrographs=names, diameter=diameter, bootstrap=0).picks
    for outcome, colour in (("true", "C2"), ("false", "C3")):
        scores = outcomes.loc[outcomes["outcome"] == outcome, "score"]
        right.hist(scores, bins, histtype="step", color=colour, label=f"{outcome} picks")
    right.axvline(picker.threshold_, color="0.5", linestyle="--", label="threshold")
    right.set(xlabel="score", ylabel="candidates", yscale="log")
    right.legend()
    plt.show()
    display(scored.per_view.round(3))

# %% [markdown]
# ## 7. A file for RELION
#
# A STAR file is a table in plain text: a block, the names of the columns, one line per particle. RELION and most other
# programs read it.

# %%
star = output / f"{first.name}.star"
mine = picks[picks["micrograph"] == first.name]
coordinates.write(mine, star)
print(*star.read_text().splitlines()[:12], "...", sep="\n")
again = coordinates.read(star, micrograph=first.name)
print(f"\n{star}: {len(again)} particles, as many as were written: {len(again) == len(mine)}")

# %% [markdown]
# ## 8. What goes wrong, and how it looks
#
# Four mistakes that everybody makes once, on a part of the first micrograph (the second on all of it). The overlay
# tells them apart at a glance; the number only says that something is wrong.

# %%
box = round(1.5 * picker.diameter_)
mistakes = {
    "y axis upside down": coordinates.flip_y(mine, height=first.data.shape[0]),
    "scale of a binned micrograph": coordinates.scale(mine, 1 / 2),
    "corners taken for centres": mine.assign(x=mine["x"] - box / 2, y=mine["y"] - box / 2),
    "threshold far too low": candidates[candidates["micrograph"] == first.name],
}
figure, axes = plt.subplots(2, 2, figsize=(12, 12.6))
for ax, (mistake, found) in zip(axes.flat, mistakes.items(), strict=True):
    plot.overlay(ax, first, picks=found, diameter=picker.diameter_, legend=False, longest_side=512)
    ax.set_title(mistake)
    if not mistake.startswith("scale"):  # that one shows only on the whole micrograph
        ax.set(xlim=(0, width / 3), ylim=(height / 3, 0))
    if truth is not None:
        f1 = evaluate.evaluate(found, truth, micrographs=[first.name], diameter=diameter, bootstrap=0).f1
        ax.set_title(f"{mistake}: F1 {f1:.2f}")
        record(f"f1, {mistake}", f1)
plt.show()

# %% [markdown]
# - **Upside down**: circles in the right number, but on nothing, as if thrown at random. Mirror the picture in your
#   head, and they fit. Programs disagree about which row of a TIFF or MRC file is the first.
# - **Scale of a binned micrograph**: all circles crowd into one corner, here the first quarter. Multiply the
#   coordinates by the binning factor.
# - **Corners taken for centres**: every circle is off by the same step to the upper left, half a box. EMAN's `.box`
#   and crYOLO's `.cbox` files hold the corner of a box, STAR files the centre.
# - **Threshold too low**: the ice fills up with circles. Recall is nearly perfect, and most of the picks are noise.
#
# ## Try it
#
# The signal-to-noise ratio decides nearly everything. Set `snr` in the second cell to a half and to a quarter of what
# section 2 printed, run the notebook again, and follow precision and recall in section 6. Which of the two breaks
# first, and does the histogram of scores tell you so *without* the truth?
#
# Then set `protein` to `"klh"`, a cylinder: a ring from the top, a striped square from the side. The reference of
# section 5 is an average over all rotations. Which view does it find better, and why? The table by views in section 6
# has the answer. (Without JupyterLab: `cryokit notebooks run 00 -p protein=klh`.)
#
# Last, tell the picker something wrong: `pickers.create("template", diameter=1.5 * diameter, contrast="bright")`. It
# makes its reference from the micrographs, so it forgives much. How wrong may the diameter be?
