# %% [markdown]
# # Clustering, masks and shapes
#
# Preprocessing makes particles dark and their surroundings pale, but it leaves a picture: a grey value at every pixel.
# A picker needs places. This notebook goes from the one to the other without a single label:
#
# 1. the enhanced pictures that it starts from
# 2. four ways of *clustering* their grey values, side by side
# 3. which cluster is the particles: chosen automatically
# 4. cleaning the mask, step by step
# 5. shapes: circularity, circles, Feret diameters, overlaps, irregular boxes
# 6. two complete pickers, AutoCryoPicker and SuperCryoEMPicker, as published and improved
# 7. precision and recall as the number of clusters and the signal-to-noise ratio change
# 8. what goes wrong, and how it looks
#
# What is found here becomes the training set of a network later, so two things count: that most particles are found,
# and that what is found is a particle. The notebook takes about a minute on simulated micrographs; with `data_dir` it
# takes real ones.

# %% tags=["parameters"]
profile = "quick"  # quick: two micrographs of each protein; full: six, larger, and finer curves
data_dir = ""  # folder of real data sets (klh, apoferritin_10146, ribosome_10028) instead of simulations
shown = "klh"  # the protein in the pictures of sections 2 to 5 and 8: klh, apoferritin or ribosome
clusters = 4  # k, the number of clusters
snr = 0.0  # signal-to-noise ratio of the simulation; 0: what each protein's microscope gives
seed = 0  # another number gives other micrographs of the same kind

# %%
import time
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from IPython.display import display
from scipy import ndimage

from cryokit import coordinates, evaluate, micrograph, pickers, plot, segmentation, simulate
from cryokit.cli.notebook_runner import record
from cryokit.plot import particle_shapes

plt.rcParams["figure.constrained_layout.use"] = True
FOLDERS = {"klh": "klh", "apoferritin": "apoferritin_10146", "ribosome": "ribosome_10028"}
METHODS = {"klh": "autocryopicker", "apoferritin": "autocryopicker", "ribosome": "supercryoempicker"}
COLOURS = dict(zip(("IBC", "k-means", "fuzzy c-means", "super k-means"), plot.CURVE_COLOURS, strict=False))

# %% [markdown]
# ## 1. The pictures to start from
#
# Three proteins that ask for different shapes: **KLH** is a cylinder, a ring from the top and a square from the side;
# **apoferritin** is a hollow sphere, a ring from everywhere; the **ribosome** is a lump without any symmetry.
#
# Each micrograph goes through the preprocessing chain (notebook `01_preprocessing`), which ends with the picture in
# the lower row: binned until a particle is 40 pixels across, particles dark, grey values in [0, 1]. All lengths below
# are in these *working pixels*, or in particle diameters.

# %%
count = {"quick": 2, "full": 6}[profile]
fields = {
    "quick": {
        "klh": {"shape": (1536, 1536), "n_particles": 28},  # more than usual, for the counts' sake
        "apoferritin": {"shape": (640, 640)},
        "ribosome": {"shape": (640, 640)},
    },
    "full": {
        "klh": {"shape": (2048, 2048), "n_particles": 48},
        "apoferritin": {"shape": (1024, 1024)},
        "ribosome": {"shape": (1024, 1024)},
    },
}[profile]
images, truth, diameter = {}, {}, {}
for protein, field in fields.items():
    if data_dir:
        folder = Path(data_dir) / FOLDERS[protein]
        files = sorted((folder / "micrographs").glob("*"))
        # The pickers' settings were chosen on the other half. A single micrograph stays.
        files = (files[1::2] or files)[:count]
        labels = [folder / "labels" / f"{file.stem}.csv" for file in files]
        pairs = [
            (micrograph.read(file), coordinates.read(particles, micrograph=file.stem))
            for file, particles in zip(files, labels, strict=True)
        ]
    else:
        noise = {"snr": snr} if snr else {}
        pairs = list(simulate.simulate_set(protein, count, seed=seed, **field, **noise))
    if pairs:
        images[protein] = [image for image, _ in pairs]
        truth[protein] = coordinates.concatenate(labels for _, labels in pairs)
        diameter[protein] = float(truth[protein]["diameter"].median())
if shown not in images:
    raise FileNotFoundError(f"data_dir {data_dir!r} has no micrographs of {shown!r}, only of {list(images)}")


def examine(protein, method, pictures=None, **settings):
    """Let a picker look at micrographs and return all that it saw, one Examination for each."""
    settings = {"clusters": clusters, **settings}
    settings.setdefault("diameter", diameter.get(protein))
    picker = pickers.create(method, **settings)
    pictures = images[protein] if pictures is None else pictures
    picker.fit(pictures)
    return [picker.examine(image) for image in pictures]


seen, seconds = {}, {}
for protein in images:
    for method in (METHODS[protein], f"{METHODS[protein]}_published"):
        begin = time.perf_counter()
        seen[protein, method] = examine(protein, method)
        seconds[protein, method] = (time.perf_counter() - begin) / len(images[protein])

figure, axes = plt.subplots(2, len(images), figsize=(4 * len(images), 8.3), squeeze=False)
for (above, below), protein in zip(axes.T, images, strict=True):
    image, view = images[protein][0], seen[protein, METHODS[protein]][0]
    plot.overlay(above, image, labels=truth[protein], longest_side=512, title=f"{protein}: micrograph")
    title = f"enhanced, a particle is {view.diameter:.0f} px"
    plot.show_micrograph(below, view.stages["opened"], title=title)
plt.show()

# %% [markdown]
# ## 2. Four clusterings
#
# *Clustering* puts pixels into $k$ groups of like grey value, without being told what the groups are. One group, or
# the darkest few, should then be "particle" and the rest "ice". The first three methods below know nothing of a pixel
# but its grey value, and differ only in where they put the $k$ centres $c_i$; the last one looks at places as well.

# %%
first = seen[shown, METHODS[shown]][0]
picture = first.stages["opened"]


def clustered(name, picture, k, across):
    """Cluster a picture whose particles are `across` pixels."""
    if name == "IBC":
        return segmentation.ibc(picture, k)
    if name == "k-means":
        return segmentation.kmeans(picture, k)
    if name == "fuzzy c-means":
        return segmentation.fuzzy_cmeans(picture, k)
    return segmentation.super_kmeans(picture, k, n=segmentation.superpixel_count(picture.shape, across))


def show_clusters(name, third, title):
    """Draw the histogram with the centres, the clusters, and a third picture."""
    made = clustered(name, picture, clusters, first.diameter)
    figure, (left, middle, right) = plt.subplots(1, 3, figsize=(12, 3.8), width_ratios=[1, 1.1, 1.1])
    left.hist(picture.ravel(), 128, color="0.8")
    limits = (made.centres[1:] + made.centres[:-1]) / 2
    height = left.get_ylim()
    left.vlines(made.centres, *height, color=COLOURS[name], linewidth=2, label="centres")
    left.vlines(limits, *height, color="0.3", linestyle=":", label="limits between clusters")
    left.set(title=f"{name}: grey values", yticks=[], xlabel="grey value", ylim=height)
    left.legend(fontsize="small", loc="lower center")
    colours = plt.get_cmap("cividis", made.k)
    drawn = middle.imshow(made.labels, cmap=colours, vmin=-0.5, vmax=made.k - 0.5)
    middle.set(title=f"its {made.k} clusters", xticks=[], yticks=[])
    bar = figure.colorbar(drawn, ax=middle, ticks=range(made.k), shrink=0.8)
    bar.ax.set_yticklabels([f"{share:.0%}" for share in made.shares], fontsize="small")
    right.imshow(third, cmap="gray", interpolation="nearest")
    right.set(title=title, xticks=[], yticks=[])
    plt.show()
    return made


# %% [markdown]
# ### Intensity-based clustering (IBC)
#
# AutoCryoPicker's own: no iteration at all. The range from the darkest grey value $g_0$ to the brightest $g_1$ is
# divided into $k$ equal steps, and the centres are
#
# $$c_i = g_0 + i \, \frac{g_1 - g_0}{k}, \qquad i = 1, \ldots, k$$
#
# Every pixel joins the nearest centre. No centre lies at $g_0$, so the darkest cluster is one and a half steps wide and
# the brightest only half a step: an accident of the formula that makes the darkest cluster alone a usable mask.

# %%
bright = clustered("IBC", picture, clusters, first.diameter).labels > 0
made = {"IBC": show_clusters("IBC", bright, "black: the darkest cluster")}

# %% [markdown]
# ### k-means
#
# The centres are where the pixels $g_j$ are: those with the least sum of squared distances,
#
# $$\min_{c_1, \ldots, c_k} \; \sum_j \min_i \, (g_j - c_i)^2$$
#
# found by turns: every pixel joins its nearest centre, every centre moves to the mean of its pixels. Working on the
# histogram instead of the pixels makes it as fast for a large micrograph as for a small one.

# %%
bright = clustered("k-means", picture, clusters, first.diameter).labels > 0
made["k-means"] = show_clusters("k-means", bright, "black: the darkest cluster")

# %% [markdown]
# ### Fuzzy c-means
#
# Here a pixel belongs to every cluster to some degree. With the distances $d_{ij} = |g_j - c_i|$ the memberships and
# the centres are
#
# $$u_{ij} = \frac{1}{\sum_l \left(d_{ij} / d_{lj}\right)^{2/(m-1)}}, \qquad
# c_i = \frac{\sum_j u_{ij}^m \, g_j}{\sum_j u_{ij}^m}$$
#
# in turns, with the fuzziness $m = 2$. For a mask the memberships are cut again, each pixel going to the cluster of
# the highest: which is that of the nearest centre. So all the fuzziness can do for a mask is to move the centres a
# little.

# %%
centres = clustered("fuzzy c-means", picture, clusters, first.diameter).centres
squared = np.maximum((picture[None] - centres[:, None, None]) ** 2, 1e-12)
membership = (1 / squared[0]) / (1 / squared).sum(axis=0)  # u of the formula with m = 2
made["fuzzy c-means"] = show_clusters("fuzzy c-means", 1 - membership, "membership in the darkest")

# %% [markdown]
# ### Super k-means
#
# SuperCryoEMPicker's: the picture is first divided into *superpixels* (SLIC), patches of about one grey value, by
# k-means of grey value and place together. With the grey values $g$, the places $p$ and the patches' usual width $S$,
# the distance of a pixel from a patch is
#
# $$D^2 = (g - \bar g)^2 + w^2 \, \frac{|p - \bar p|^2}{S^2}$$
#
# Each patch is replaced by its mean, and k-means clusters the means. Grains of noise smaller than a patch are averaged
# away; so is everything else smaller than a patch, such as the wall of a ring. The paper takes 1,500 patches for a
# micrograph; here their number follows from the particle's size, 16 on a particle, so that the same holds for any
# magnification.

# %%
segments, means = segmentation.superpixels(picture, segmentation.superpixel_count(picture.shape, first.diameter))
made["super k-means"] = show_clusters("super k-means", means[segments], f"{len(means)} superpixels")

# %% [markdown]
# ### Side by side
#
# Time is that of clustering one enhanced micrograph. The *adjusted Rand index* counts the pairs of pixels on which two
# clusterings agree (together in both, or apart in both) and takes off what chance would give: 1 is the same partition,
# 0 is chance. *Dice's coefficient* of two masks is $2|A \cap B| / (|A| + |B|)$: 1 for equal masks. The masks are those
# of section 3. The last rows compare each mask with the discs of the true particles, the only ones here that need the
# truth.


# %%
def working(labels, examination):
    """Return where labels lie in the working picture."""
    return examination.frame.from_source(labels["x"], labels["y"])


def true_discs(examination, labels):
    """Draw the labelled particles into the working picture; return them, and what counts neither way."""
    mine = labels[labels["micrograph"] == examination.name]
    x, y = working(mine, examination)
    discs = {False: np.zeros(examination.stages["opened"].shape, bool)}
    discs[True] = discs[False].copy()
    row, column = np.indices(discs[False].shape, sparse=True)
    for x0, y0, across, view in zip(x, y, mine["diameter"] / examination.frame.step, mine["view"], strict=True):
        discs[view == coordinates.IGNORE] |= (column - x0) ** 2 + (row - y0) ** 2 < (across / 2) ** 2
    return discs[False], discs[True] & ~discs[False]


def dice_with_truth(mask, examination, labels):
    """Compare a mask with the discs of the true particles, outside of ignored ones."""
    discs, ignored = true_discs(examination, labels)
    return segmentation.dice(mask[~ignored], discs[~ignored])


rows, masks = {}, {}
for name in made:
    durations = []
    for _ in range(2):  # the first run of each also loads its library
        begin = time.perf_counter()
        clustered(name, picture, clusters, first.diameter)
        durations.append(time.perf_counter() - begin)
    masks[name] = segmentation.particle_mask(made[name], first.diameter)
    rows[name] = {("", "milliseconds"): 1000 * min(durations)}
for name in made:
    for other in made:
        rows[name]["adjusted Rand index", other] = segmentation.agreement(made[name], made[other])
    for other in made:
        rows[name]["Dice, masks", other] = segmentation.dice(masks[name], masks[other])
for protein in images:
    view = seen[protein, METHODS[protein]][0]
    for name in made:
        own = clustered(name, view.stages["opened"], clusters, view.diameter)
        mask = segmentation.particle_mask(own, view.diameter)
        rows[name]["Dice, true discs", protein] = dice_with_truth(mask, view, truth[protein])
display(pd.DataFrame(rows).round(2))
for name in ("fuzzy c-means", "IBC", "super k-means"):
    record(f"adjusted Rand index, k-means and {name}", rows["k-means"]["adjusted Rand index", name])
record(
    "times as long as k-means, super k-means",
    rows["super k-means"]["", "milliseconds"] / rows["k-means"]["", "milliseconds"],
)

# With the k of its choice k-means comes closer to IBC's mask.
alike = {}
for k in range(2, 2 * clusters + 1):
    mask = segmentation.particle_mask(clustered("k-means", picture, k, first.diameter), first.diameter)
    alike[k] = segmentation.dice(mask, masks["IBC"])
k = max(alike, key=alike.get)
print(f"k-means with k = {k} is closest to IBC with k = {clusters}: Dice {alike[k]:.2f}")
record("Dice, IBC and k-means with the best k", alike[k])

# %% [markdown]
# k-means and fuzzy c-means are nearly the same clustering: both put their centres where the pixels are. IBC, which does
# not look where they are, has its limits elsewhere, and its darkest cluster holds another share of them. That makes the
# difference, more than the method does: with a $k$ of its own choice, k-means comes closer to IBC's mask. Super
# k-means differs in kind, its clusters have other outlines; and it takes by far the longest, nearly all of it for the
# superpixels.
#
# None of the masks is close to the true discs, because a raw cluster is full of specks, and rings have open centres. A
# mask has to be cleaned; but first, chosen.
#
# ## 3. Which cluster is the particles?
#
# In the published programs it is the darkest cluster of IBC, and for the other clusterings the user picks one by eye.
# What the eye looks for is a mask *whose spots are as large as particles*, and that can be measured. Candidates are
# the darkest cluster, the two darkest together, and so on. With the mask $M$ covering the fraction $p$ of the picture,
# and Gaussians $G$ a good deal narrower and a little wider than a particle of diameter $d$,
#
# $$q = \frac{\mathrm{Var}\left(G_{0.18 d} * M - G_{0.54 d} * M\right)}{p \, (1 - p)}$$
#
# is the share of the mask that is spots of the particle's size: grains of noise go with the first blur, ice and carbon
# with the second. The largest $q$ wins; a mask of more than three fifths of the picture is background and left out.


# %%
def spots(mask, across):
    """Keep of a mask what is about as large as a particle."""
    mask = mask.astype(np.float32)
    return ndimage.gaussian_filter(mask, 0.18 * across) - ndimage.gaussian_filter(mask, 0.54 * across)


# More clusters than before, so that there are some to choose from.
many = segmentation.kmeans(picture, 2 * clusters)
candidates = [many.labels < number for number in range(1, min(many.k, 5))]  # four are enough to show
quotients = []
figure, axes = plt.subplots(2, len(candidates), figsize=(3 * len(candidates), 6.6), squeeze=False)
for number, (mask, (above, below)) in enumerate(zip(candidates, axes.T, strict=True), 1):
    band = spots(mask, first.diameter)
    share = mask.mean()
    quotients.append(band.var() / (share * (1 - share)) if share <= 0.6 else 0)
    above.imshow(mask, cmap="gray_r", interpolation="nearest")
    above.set(title=f"the {number} darkest of {many.k}: {share:.0%}", xticks=[], yticks=[])
    below.imshow(band, cmap="gray_r", vmin=-0.3, vmax=0.3)
    below.set(title=f"spots of its size, q = {quotients[-1]:.3f}", xticks=[], yticks=[])
plt.show()

record("clusters with the largest q", int(np.argmax(quotients)) + 1)
record("clusters that particle_cluster chooses", len(segmentation.particle_cluster(many, first.diameter)))

# %% [markdown]
# ## 4. Cleaning the mask
#
# Seven steps, the published ones, with sizes relative to the particle instead of in pixels: areas under a fifth of a
# particle go; an erosion cuts thin bridges; holes are filled (up to a particle's area: a chain of particles around
# empty ice must not become one); a closing joins what nearly touches; small areas go again; a dilation gives back what
# the erosion took; and what holes that closed are filled.

# %%
stages = {"cluster": masks["IBC"], **segmentation.clean_stages(masks["IBC"], first.diameter)}
figure, axes = plt.subplots(2, 4, figsize=(12, 6.9))
for ax, (name, mask) in zip(axes.flat, stages.items(), strict=True):
    ax.imshow(mask, cmap="gray", interpolation="nearest")
    number = len(segmentation.components(mask))
    ax.set(title=f"{name.replace('_', ' ')}: {number} objects, {mask.mean():.0%}", xticks=[], yticks=[])
    ax.title.set_fontsize("small")
plt.show()
record("objects before cleaning", len(segmentation.components(stages["cluster"])))
record("objects after cleaning", len(segmentation.components(stages["filled_again"])))

# %% [markdown]
# The same cleaning after each of the four clusterings, before (above) and after (below). The rims of the true particles
# are blue; the number is Dice's coefficient with their discs.

# %%
discs, _ = true_discs(first, truth[shown])
rims = discs & ~ndimage.binary_erosion(discs, iterations=2)
cleaned = {name: segmentation.clean(mask, first.diameter) for name, mask in masks.items()}
figure, axes = plt.subplots(2, 4, figsize=(12, 6.9))
for (name, mask), column in zip(masks.items(), axes.T, strict=True):
    for ax, drawn, when in zip(column, (mask, cleaned[name]), ("before", "after"), strict=True):
        rgb = np.repeat(drawn[..., None], 3, axis=2).astype(float)
        rgb[rims] = (0.0, 0.45, 0.7)
        similar = dice_with_truth(drawn, first, truth[shown])
        if name == "IBC":
            record(f"Dice with the true discs, IBC, {when} cleaning", similar)
        ax.imshow(rgb, interpolation="nearest")
        ax.set(title=f"{name}, {when}: {similar:.2f}", xticks=[], yticks=[])
        ax.title.set_fontsize("medium")
plt.show()

# %% [markdown]
# ## 5. Shapes
#
# A mask is still pixels. *Connected components* make objects of it, and objects can be measured.
#
# ### Circularity
#
# $$C = \frac{P^2}{4 \pi A}$$
#
# with the perimeter $P$ and the area $A$: 1 for a disc, 1.27 for a square, and the more the longer and more ragged the
# outline. AutoCryoPicker keeps objects with $C < 5$ for its search of circles. The limit is generous: it throws out
# networks of noise, with the particles that are broken or tangled up in them, and leaves the rest to the circles.

# %%
found = segmentation.components(cleaned["IBC"])
table = pd.DataFrame(
    {
        "area": [shape.area / segmentation.particle_area(first.diameter) for shape in found],
        "circularity": [shape.circularity for shape in found],
        "on a particle": [bool(discs[round(shape.y), round(shape.x)]) for shape in found],
    }
)
medians = table.groupby("on a particle")["circularity"].median()
circularity = np.append(np.nan, table["circularity"])[segmentation.label_image(found, picture.shape)]
figure, (left, right) = plt.subplots(1, 2, figsize=(12, 5), width_ratios=[1, 1.2])
left.set_facecolor("black")
drawn = left.imshow(circularity, cmap="viridis_r", vmin=1, vmax=5, interpolation="nearest")
figure.colorbar(drawn, ax=left, label="circularity", shrink=0.8)
left.set(title="objects of the cleaned mask", xticks=[], yticks=[])
for inside, colour, marker in ((False, "#D55E00", "x"), (True, "#009E73", "o")):
    part = table[table["on a particle"] == inside]
    label = f"centre {'on' if inside else 'off'} a true particle ({len(part)})"
    right.plot(part["area"], part["circularity"], marker, color=colour, label=label, alpha=0.8)
right.axhline(5, color="0.5", linestyle="--", label="limit, 5")
right.set(xlabel="area (particles)", ylabel="circularity", xscale="log", yscale="log")
right.legend(fontsize="small")
plt.show()
record("median circularity, on particles", medians.get(True, np.nan))
record("median circularity, elsewhere", medians.get(False, np.nan))

# %% [markdown]
# ### Circles: the Hough transform
#
# Every edge pixel $p$ with the unit gradient $n$ (pointing out of the particle) votes for the centres of all circles
# that it could be part of: the places $p - r n$ for all radii $r$ of the range. Votes of one circle meet in its centre.
# Giving a vote a *phase* $\varphi(r)$ tells the radius as well, and lets votes that meet by chance cancel:
#
# $$H(c) = \sum_p \sum_r \frac{e^{i \varphi(r)}}{2 \pi r} \; [\, p - r n_p = c \,]$$
#
# $|H|$ is the evidence of a centre, the phase there the radius. Both are then fitted to the edges, and the circle's
# *strength* is the share of its circumference that has an edge on it.

# %%
radii = (0.35 * first.diameter, 0.65 * first.diameter)
accumulator = segmentation.hough_map(picture, radii)
circles = list(segmentation.hough_circles(picture, radii, threshold=0.2))
on_particle = [bool(discs[round(circle.y), round(circle.x)]) for circle in circles]
figure, (left, middle, right) = plt.subplots(1, 3, figsize=(12, 4.4), width_ratios=[1, 1, 1])
left.imshow(np.abs(accumulator), cmap="magma", vmax=np.percentile(np.abs(accumulator), 99.9))
left.set(title="accumulator |H|", xticks=[], yticks=[])
plot.show_micrograph(middle, picture, title="circles; the brighter, the stronger")
for circle in circles[::-1]:  # the strongest last, on top
    style = {"fill": False, "color": plt.get_cmap("plasma")(circle.strength), "linewidth": 1.5}
    middle.add_artist(plt.Circle((circle.x, circle.y), circle.radius, **style))
bins = np.linspace(0.2, 1, 17)
for inside, colour, label in ((False, "#D55E00", "elsewhere"), (True, "#009E73", "on a true particle")):
    part = [circle.strength for circle, on in zip(circles, on_particle, strict=True) if on == inside]
    right.hist(part, bins, histtype="step", color=colour, linewidth=1.5, label=label)
right.axvline(0.5, color="0.5", linestyle="--", label="the picker's limit")
right.set(xlabel="strength", ylabel="circles", title="strength")
right.legend(fontsize="small")
plt.show()
strong = [inside for inside, circle in zip(on_particle, circles, strict=True) if circle.strength >= 0.5]
record("circles of strength 0.5 and more", len(strong))
record("of these on true particles", sum(strong))

# %% [markdown]
# ### Rectangles: Feret diameters
#
# A side view of KLH is a square, in any direction. Its *Feret diameters* are what a caliper measures: the longest
# distance between two parallel lines that touch the object (blue), and the shortest (green). The *perfect rectangle*
# (orange) is the one of least area around the object; one of its sides lies on a side of the convex hull. Its centre is
# the particle's, its angle the particle's direction, and how much of it the object fills says how good a rectangle it
# is.


# %%
def draw_feret(ax, shape):
    """Draw an object with its perfect rectangle and its two calipers."""
    left, top, width, height = shape.bounding_box
    edges = (left - 0.5, left + width - 0.5, top + height - 0.5, top - 0.5)
    ax.imshow(shape.mask, cmap="gray", interpolation="nearest", extent=edges)
    ax.set_facecolor("black")
    corners = shape.feret.rectangle.corners
    ax.plot(*np.append(corners, corners[:1], axis=0).T, color="#E69F00", linewidth=2)
    row, column = np.nonzero(shape.mask)
    pixels = np.column_stack([column + left, row + top])
    turns = np.radians(np.arange(180))
    widths = np.ptp(pixels @ [np.cos(turns), np.sin(turns)], axis=0)
    for angle, colour in ((np.radians(shape.feret.angle), "#56B4E9"), (turns[widths.argmin()], "#009E73")):
        along, across = np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]])
        reach, middle = pixels @ along, np.median(pixels @ across)
        ends = [end * along + middle * across for end in (reach.min() - 0.5, reach.max() + 0.5)]
        arrow = {"arrowstyle": "<->", "color": colour, "linewidth": 1.5}
        ax.annotate("", *ends, arrowprops=arrow)
    x, y, half = shape.feret.rectangle.x, shape.feret.rectangle.y, 0.6 * shape.feret.longest
    ax.set(xticks=[], yticks=[], xlim=(x - half, x + half), ylim=(y + half, y - half))


whole = sorted((each.shape for each in first.picked if each.shape is not None), key=segmentation.roundness)
figure, axes = plt.subplots(1, 5, figsize=(12, 3.4))
for ax in axes:
    ax.set_axis_off()
places = np.linspace(0, len(whole) - 1, min(5, len(whole))).astype(int)
for ax, shape in zip(axes, [whole[place] for place in places], strict=False):
    draw_feret(ax, shape)
    ax.set_axis_on()
    calipers, rectangle = shape.feret, shape.feret.rectangle
    words = [f"Feret {calipers.longest:.0f} and {calipers.shortest:.0f} px"]
    words += [f"rectangle {rectangle.length:.0f} x {rectangle.width:.0f}, {rectangle.angle:.0f}°"]
    words += [f"filled {segmentation.rectangularity(shape):.2f}, roundness {segmentation.roundness(shape):.2f}"]
    ax.set_title("\n".join(words), fontsize="small")
plt.show()

# %% [markdown]
# *Roundness* is the overlap with the disc of the same area: discs reach 0.9 and more, squares 0.84. It tells a square
# from a disc without looking for a circle. Strings of noise that hang on an object stretch its rectangle, so the
# improved picker opens the mask first, which cuts them off.
#
# ### Overlapping particles
#
# Two particles that touch make one object in the mask. Its Feret diameters give it away: longer, or larger, than one
# particle can be. It can be dropped, as SuperCryoEMPicker does, or cut at its neck: the distance from the background
# has a maximum in each particle and is smaller between them, and a watershed finds the line.

# %%
rows, cut = {}, {}
for protein in images:
    view = seen[protein, f"{METHODS[protein]}_published"][0]
    unit, row = segmentation.particle_area(view.diameter), {}
    split = segmentation.split_overlaps(view.masks["cleaned"], view.diameter)
    for when, mask in (("before", view.masks["cleaned"]), ("after", split)):
        cut[protein, when] = segmentation.components(mask)
        large = [shape for shape in cut[protein, when] if shape.area > 0.4 * unit]
        kept, dropped = segmentation.without_overlaps(large, view.diameter)
        row |= {("of one particle", when): len(kept), ("too large", when): len(dropped)}
    rows[protein] = row
print("Objects of more than two fifths of a particle, before and after cutting:")
objects = pd.DataFrame(rows).T
display(objects)

# The protein that gains the most.
crowded = (objects["of one particle", "after"] - objects["of one particle", "before"]).idxmax()
view = seen[crowded, f"{METHODS[crowded]}_published"][0]
kept, _ = segmentation.without_overlaps(cut[crowded, "before"], view.diameter)
record("objects of one particle before cutting", int(objects.loc[crowded, ("of one particle", "before")]))
record("objects of one particle after cutting", int(objects.loc[crowded, ("of one particle", "after")]))
shown_objects = {
    "objects of the mask": cut[crowded, "before"],
    "too large ones dropped": kept,
    "cut at their necks": cut[crowded, "after"],
}
figure, axes = plt.subplots(1, 3, figsize=(12, 4.3))
hues = np.random.default_rng(seed).uniform(0.3, 1, (1 + max(map(len, shown_objects.values())), 3))
hues[0] = 0
for ax, (title, objects) in zip(axes, shown_objects.items(), strict=True):
    numbered = segmentation.label_image(objects, view.masks["cleaned"].shape)
    ax.imshow(hues[numbered], interpolation="nearest")
    ax.set(title=f"{crowded}: {title} ({len(objects)})", xticks=[], yticks=[])
plt.show()

# %% [markdown]
# ### Irregular particles
#
# A ribosome is neither disc nor square. SuperCryoEMPicker takes the objects of the mask as they are: those with a
# filled area above a low percentile (what is smaller is debris), each with a box of their mean width and height times
# 1.125. The percentile is relative: at the 20th, one object in five is thrown away, however good they all are.

# %%
lumps = "ribosome" if "ribosome" in images else shown
view = seen[lumps, f"{METHODS[lumps]}_published"][0]
figure, axes = plt.subplots(1, 3, figsize=(12, 4.8))
for ax, percentile in zip(axes, (0, 20, 60), strict=True):
    boxes = segmentation.irregular_views(view.masks["cleaned"], view.diameter, percentile=percentile)
    title = f"{lumps}: areas above the {percentile}th percentile"
    particle_shapes.outlines(ax, view.stages["opened"], boxes, title=title)
plt.show()

# %% [markdown]
# ## 6. Two pickers
#
# **AutoCryoPicker** (for circles and squares) as published: chain, IBC, the darkest cluster, cleaned; circles of the
# mask are top views, what is left and rectangular are side views. **SuperCryoEMPicker** (for everything else): chain,
# super k-means, the particle cluster, cleaned; the objects are the particles. Both make a *hard decision at every step*
# and cannot take it back.
#
# The improved variants in this package keep the chain and the clusterings, but not the decisions. Circles are sought
# in the enhanced picture instead of the mask. And instead of asking each object of the mask for its shape, every
# place is asked how much speaks for a particle there: is it surrounded by an outline, is its disc covered by the mask,
# is it a blob of that size? The maxima of this *evidence* are the candidates, so two particles that touch are two
# maxima, and a particle with a gap in its mask still covers most of its disc.


# %%
def score(examinations, labels):
    """Compare the picks with the labels, by distances up to a quarter of the diameter."""
    picks = coordinates.concatenate(examination.picks() for examination in examinations)
    names = [examination.name for examination in examinations]
    return evaluate.evaluate(picks, labels, micrographs=names, bootstrap=0)


rows, scores = [], {}
for (protein, method), examinations in seen.items():
    scored = scores[protein, method] = score(examinations, truth[protein])
    rows.append(
        {
            "protein": protein,
            "method": method,
            "precision": scored.precision,
            "recall": scored.recall,
            "F1": scored.f1,
            "particles": scored.tp + scored.fn,
            "missed": scored.fn,
            "false picks": scored.fp,
            "s / micrograph": seconds[protein, method],
        }
    )
display(pd.DataFrame(rows).set_index(["protein", "method"]).round(3))
for (protein, method), scored in scores.items():
    record(f"F1, {protein}, {method}", scored.f1)

# %%
figure, axes = plt.subplots(2, len(images), figsize=(4 * len(images), 8.8), squeeze=False)
for column, protein in zip(axes.T, images, strict=True):
    for ax, suffix in zip(column, ("", "_published"), strict=True):
        image, method = images[protein][0], f"{METHODS[protein]}{suffix}"
        drawn = {"evaluation": scores[protein, method], "legend": False, "longest_side": 512}
        plot.overlay(ax, image, **drawn, title=method)
handles = []
for what in ("true", "false", "missed", "ignored", "ignore"):
    colour, line, words = plot.STYLES[what]
    handles.append(plt.Line2D([], [], color=colour, linestyle=line, label=words))
figure.legend(handles=handles, loc="outside lower center", ncols=5, facecolor="0.2", labelcolor="white")
plt.show()

# %% [markdown]
# ### What limits the published ones
#
# For every particle that a published picker missed, its cleaned mask tells why. The object under the true centre is
#
# - *none*: the particle was lost in clustering or cleaning, and no later step can find it
# - *a fragment*: less than two fifths of a particle: a broken ring, half a square
# - *merged*: larger or longer than one particle; a neighbour, or strings of noise, hang on it
# - *misjudged*: of the right size, but its shape, its centre or (for irregular ones) the percentile did not pass
#
# The last column is how many of them all the improved picker finds.


# %%
def fate(x, y, examination, objects, numbered):
    """Say what the mask shows at a place of the working picture."""
    rows, columns = numbered.shape
    number = numbered[min(max(round(y), 0), rows - 1), min(max(round(x), 0), columns - 1)]
    if not number:
        return "none"
    shape = objects[number - 1]
    if shape.filled_area < 0.4 * segmentation.particle_area(examination.diameter):
        return "a fragment"
    return "misjudged" if segmentation.without_overlaps([shape], examination.diameter)[0] else "merged"


rows = []
for protein, method in METHODS.items():
    if protein not in images:
        continue
    lost = scores[protein, f"{method}_published"].labels.query("outcome == 'missed'")
    fates = dict.fromkeys(("none", "a fragment", "merged", "misjudged"), 0)
    for examination in seen[protein, f"{method}_published"]:
        objects = segmentation.components(examination.masks["cleaned"])
        numbered = segmentation.label_image(objects, examination.masks["cleaned"].shape)
        mine = lost[lost["micrograph"] == examination.name]
        for x, y in zip(*working(mine, examination), strict=True):
            fates[fate(x, y, examination, objects, numbered)] += 1
    found = int((scores[protein, method].labels.loc[lost.index, "outcome"] == "found").sum())
    rows.append({"protein": protein, "missed": len(lost), **fates, "found by the improved one": found})
    record(f"missed as published, {protein}", len(lost))
    record(f"of these found by the improved one, {protein}", found)
display(pd.DataFrame(rows).set_index("protein"))

# %% [markdown]
# ## 7. How many clusters, how much noise
#
# First the clusterings by themselves, with the plainest picker there is: the particle cluster of section 3, cleaned
# and cut at the necks, every object of up to two particle areas a pick. Beside them the two pickers of section 6. What
# one wants is not the highest point but a *flat* curve: nobody knows the best $k$ of a new protein.


# %%
def objects_of(name, view, k):
    """Pick the objects of the particle cluster."""
    made = clustered(name, view.stages["opened"], k, view.diameter)
    mask = segmentation.clean(segmentation.particle_mask(made, view.diameter), view.diameter)
    objects = segmentation.objects(mask, view.diameter)
    objects = [shape for shape in objects if shape.area <= 2 * segmentation.particle_area(view.diameter)]
    x, y = view.frame.to_source([shape.x for shape in objects], [shape.y for shape in objects])
    return coordinates.table(view.name, x, y, diameter=view.diameter * view.frame.step)


several = {"quick": (2, 3, 4, 6, 8), "full": (2, 3, 4, 5, 6, 7, 8, 10, 12)}[profile]
few = {"quick": 1, "full": 3}[profile]
points = []
for protein, method in METHODS.items():
    if protein not in images:
        continue
    views = seen[protein, method][:few]
    names = [view.name for view in views]
    for k in several:
        for name in COLOURS:
            picks = coordinates.concatenate(objects_of(name, view, k) for view in views)
            scored = evaluate.evaluate(picks, truth[protein], micrographs=names, bootstrap=0)
            points.append((protein, name, k, scored.precision, scored.recall, scored.f1))
        for variant, suffix in (("picker", ""), ("picker, published", "_published")):
            looked = examine(protein, method + suffix, images[protein][:few], clusters=k)
            scored = score(looked, truth[protein])
            points.append((protein, variant, k, scored.precision, scored.recall, scored.f1))
by_k = pd.DataFrame(points, columns=["protein", "method", "k", "precision", "recall", "F1"])

styles = {name: {"color": colour, "marker": "."} for name, colour in COLOURS.items()}
styles["picker"] = {"color": "black", "linewidth": 2.5}
styles["picker, published"] = {"color": "black", "linewidth": 2, "linestyle": ":"}


def show_curves(curves, along, label):
    """Draw precision and recall of every method, a column for each protein."""
    proteins = curves["protein"].unique()
    figure, axes = plt.subplots(2, len(proteins), figsize=(12, 6.2), sharex=True, sharey=True, squeeze=False)
    for column, protein in zip(axes.T, proteins, strict=True):
        for ax, quantity in zip(column, ("precision", "recall"), strict=True):
            for method, part in curves[curves["protein"] == protein].groupby("method", sort=False):
                ax.plot(part[along], part[quantity], label=method, **styles[method])
            ax.set(ylim=(-0.03, 1.03), ylabel=quantity if protein == proteins[0] else "")
            ax.grid(alpha=0.3)
        column[0].set_title(f"{protein} (picker: {METHODS[protein]})", fontsize="medium")
        column[1].set_xlabel(label)
    handles, labels = axes[0, 0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=6, fontsize="small")
    return axes


show_curves(by_k, "k", "k, number of clusters")
plt.show()
best = by_k.loc[by_k.groupby(["method", "protein"])["F1"].idxmax()].set_index(["method", "protein"])
table = best[["k", "F1"]].rename(columns={"k": "best k", "F1": "its F1"})
table["worst F1, k > 2"] = by_k[by_k["k"] > 2].groupby(["method", "protein"])["F1"].min()
wide = pd.concat({protein: table.xs(protein, level="protein") for protein in images}, axis=1)
display(wide.loc[list(styles)].round(2))
for protein in images:
    for method in ("picker", "picker, published"):
        record(f"worst F1, k > 2, {protein}, {method}", table.loc[(method, protein), "worst F1, k > 2"])

# %% [markdown]
# With few clusters the darkest one is wide: particles melt into the noise between them, and precision falls. With many
# it is narrow: only the darkest grains of each particle are left, and recall falls (until the rule of section 3 takes
# two clusters together: the zigzags). It is the *limit* of the darkest cluster that matters, not $k$. The improved
# AutoCryoPicker leans on it least, because it sees circles in the picture and not in the mask. For lumps there is
# nothing but the mask, and SuperCryoEMPicker, improved or not, depends on a good one.
#
# Now the noise, always on simulated micrographs (a real one has the signal-to-noise ratio that it has). Everything
# else stays: the same particles at the same places.

# %%
ratios = {"quick": (0.1, 0.3, 1.0, 3.0), "full": (0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 4.0)}[profile]
noisy_fields = {"klh": {"shape": (1152, 1152), "n_particles": 18}}
noisy_fields |= {"apoferritin": {"shape": (512, 512)}, "ribosome": {"shape": (512, 512)}}
points, noisy = [], {}
for protein, method in METHODS.items():
    for ratio in ratios:
        settings = {"seed": seed + 1, "snr": ratio, **noisy_fields[protein]}
        pairs = list(simulate.simulate_set(protein, few, **settings))
        labels = coordinates.concatenate(particles for _, particles in pairs)
        known = {"diameter": float(labels["diameter"].median()), "contrast": "dark"}
        for variant, suffix in (("picker", ""), ("picker, published", "_published")):
            views = examine(protein, method + suffix, [image for image, _ in pairs], **known)
            scored = score(views, labels)
            points.append((protein, variant, ratio, scored.precision, scored.recall, scored.f1))
            noisy.setdefault((protein, ratio), views)
        views = noisy[protein, ratio]
        for name in COLOURS:
            picks = coordinates.concatenate(objects_of(name, view, clusters) for view in views)
            names = [view.name for view in views]
            scored = evaluate.evaluate(picks, labels, micrographs=names, bootstrap=0)
            points.append((protein, name, ratio, scored.precision, scored.recall, scored.f1))
by_snr = pd.DataFrame(points, columns=["protein", "method", "snr", "precision", "recall", "F1"])
axes = show_curves(by_snr, "snr", "signal-to-noise ratio")
axes[0, 0].set_xscale("log")
plt.show()
for protein in METHODS:
    own = by_snr.query("protein == @protein and method == 'picker'").set_index("snr")["F1"]
    for ratio in (ratios[0], ratios[-1]):
        record(f"F1 of the picker, {protein}, SNR {ratio:g}", own[ratio])

# %%
figure, axes = plt.subplots(2, len(ratios), figsize=(12, 26 / len(ratios)))
for ratio, (above, below) in zip(ratios, axes.T, strict=True):
    view = noisy["ribosome", ratio][0]
    plot.show_micrograph(above, view.stages["binned"], title=f"ribosome, SNR {ratio:g}")
    mask = view.masks["cluster"]
    particle_shapes.mask_overlay(below, view.stages["opened"], mask, title=f"its mask: {mask.mean():.0%}")
plt.show()
shares = [float(noisy["ribosome", ratio][0].masks["cluster"].mean()) for ratio in ratios]
record("smallest share of the mask", min(shares))
record("largest share of the mask", max(shares))

# %% [markdown]
# The lower row is the thing to remember. Equalisation gives every picture about the same histogram, so the darkest
# cluster always has about its share of the pixels: **the mask never gets empty, it only gets wrong**. What noise takes
# away is the size and the outline of the spots, and only a picker that asks for these can notice.
#
# ## 8. What goes wrong, and how it looks
#
# On the first micrograph: above the mask that a mistake leads to, below the picks.

# %%
picker = pickers.create(METHODS[shown], diameter=diameter[shown]).fit(images[shown])
mistakes = {
    "no mistake": {},
    "contrast told wrong": {"contrast": "bright" if picker.contrast_ == "dark" else "dark"},
    "diameter twice too large": {"diameter": 2 * diameter[shown]},
    "three times the clusters": {"clusters": 3 * clusters},
}
found = {}
figure, axes = plt.subplots(2, 4, figsize=(12, 6.8))
for (mistake, settings), (above, below) in zip(mistakes.items(), axes.T, strict=True):
    (view,) = examine(shown, METHODS[shown], images[shown][:1], **settings)
    scored = score([view], truth[shown])
    above.imshow(view.masks["cluster"], cmap="gray", interpolation="nearest")
    above.set(title=f"{mistake}: F1 {scored.f1:.2f}", xticks=[], yticks=[])
    above.title.set_fontsize("medium")
    particle_shapes.outlines(below, view.stages["opened"], view.picked)
    found[mistake] = scored.f1
plt.show()
for mistake, f1 in found.items():
    record(f"F1, {mistake}", f1)

# %% [markdown]
# - **Contrast told wrong**: the enhanced picture is a negative, particles are bright in it. The mask holds the gaps
#   between them and inside of them, and so do the picks. Always look at the enhanced picture first.
# - **Diameter twice too large**: binned too far and filtered too widely, the particles run into one another, and an
#   outline or a disc of twice the size is nowhere to be found: few picks or none.
# - **Three times the clusters**: only the darkest grains are left of the mask, and particles fall to pieces. Circles
#   come from the picture and are still found; many squares and lumps are lost.
#
# The last mistake is the most expensive: **ice without particles**. Every micrograph has a darkest cluster, so a picker
# that knows nothing else finds something in each. How many picks are there on five empty micrographs?

# %%
ice = {"n_particles": 0, "carbon": False, "contamination": 0, "shape": (512, 512)}
empty = [image for image, _ in simulate.simulate_set("apoferritin", 5, seed=seed, **ice)]
figure, axes = plt.subplots(1, 4, figsize=(12, 3.4))
methods = ["autocryopicker", "autocryopicker_published", "supercryoempicker", "supercryoempicker_published"]
for ax, method in zip(axes, methods, strict=True):
    views = examine("apoferritin", method, empty, diameter=76.0, contrast="dark")
    found[method] = sum(len(view.picked) for view in views)
    fullest = max(views, key=lambda view: len(view.picked))
    title = f"{method}: {found[method]}"
    particle_shapes.outlines(ax, fullest.stages["opened"], fullest.picked, title=title, legend=False)
    ax.title.set_fontsize("small")
plt.show()
for method in methods:
    record(f"picks in empty ice, {method}", found[method])

# %% [markdown]
# (Shown is the micrograph with the most.) All of them are false. The published SuperCryoEMPicker takes every object of
# the mask for a particle and has nothing to say against these; the improved one also looks at the grey values before
# equalisation, which are as symmetrical as noise. AutoCryoPicker, either one, asks for an outline, and now and then
# noise has one. Leave out micrographs without particles.
#
# ## Try it
#
# Set `clusters` in the second cell to 3, and then to 8, and run the notebook again (without JupyterLab:
# `cryokit notebooks run 02 -p clusters=8`). Watch section 2: which of the four masks changes most, and where are the
# limits in the histograms? Then section 4: what does cleaning make of a mask of the darkest grains only? The curves of
# section 7 tell what to expect.
#
# Then `shown="ribosome"`: super k-means, which tears the thin walls of KLH apart, now has particles to its taste. Does
# its lead survive the cleaning?
#
# Last, on real micrographs: `data_dir` names a folder with `klh`, `apoferritin_10146` and `ribosome_10028`, each with
# `micrographs` and `labels`. The labels there are made by people, who leave out what they cannot see: are the "false"
# picks in section 6 all false?
