# %% [markdown]
# # Clustering, masks and shapes
#
# Preprocessing makes particles dark and their surroundings pale, but it leaves a picture: a grey value at every pixel.
# A picker needs places. This lesson gets from one to the other without a single label: grey values are clustered, one
# cluster becomes a mask, the mask is cleaned, and its objects are measured.
#
# **Goals**: after this lesson you can
#
# - cluster grey values in four ways, and say how the clusterings differ
# - choose the cluster that holds the particles without looking at it, and clean its mask
# - measure shapes (circularity, circles, Feret diameters), and say what each measure is good for
# - explain where the published pickers lose particles, and what noise does to a mask
#
# **Before**: lesson 01.
#
# **Minutes**: 45 to read (core sections 18), 2 to compute (core sections 1).
#
# **In the paper**: component 1, stage 1, figures 11, 14 and 16, equation 5.
#
# What is found here later becomes the training set of a network, so two things count: that most particles are found,
# and that what is found is a particle.

# %% tags=["parameters"]
profile = "quick"  # quick: two micrographs of each protein; full: six, larger, and finer curves
data = "auto"  # auto: real micrographs if they have been fetched; simulated; or a folder of datasets
shown = "klh"  # the protein in the pictures of sections 2 to 5 and 8: klh, apoferritin or ribosome
clusters = 4  # k, the number of clusters
snr = 0.0  # signal-to-noise ratio of the simulation; 0: what each protein's microscope gives
seed = 0  # another number gives other micrographs of the same kind
cluster_numbers = []  # values of k in the curves of section 7; empty: five (quick) or nine (full)
noise_levels = []  # signal-to-noise ratios in the curves of section 7; empty: four (quick) or seven (full)

# %%
import time

import numpy as np
import pandas as pd
from IPython.display import display
from scipy import ndimage

from cryokit import coordinates, datasets, evaluate, pickers, plot, segmentation, simulate
from cryokit.cli.notebook_runner import record
from cryokit.plot import clustering_figures as figures
from cryokit.plot.particle_shapes import outlines
from cryokit.segmentation.by_name import CLUSTERINGS, clustered, picked_objects
from cryokit.segmentation.mask_truth import dice_with_truth, fates, true_discs

plot.lesson_style()
METHODS = {"klh": "autocryopicker", "apoferritin": "autocryopicker", "ribosome": "supercryoempicker"}
TITLES = {"autocryopicker": "AutoCryoPicker", "supercryoempicker": "SuperCryoEMPicker"}

# %%
plot.show(plot.workflow(here="02"))

# %% [markdown]
# ## 1. The pictures to start from (core)
#
# Three proteins that call for different shapes: **KLH** is a cylinder, a ring from the top and a square from the side;
# **apoferritin** is a hollow sphere, a ring from everywhere; the **ribosome** is a lump without any symmetry.

# %%
count = {"quick": 2, "full": 6}[profile]
small, large = {"quick": (640, 1536), "full": (1024, 2048)}[profile]
fields = {
    "klh": {"shape": (large, large), "n_particles": {"quick": 28, "full": 48}[profile]},  # more than usual
    "apoferritin": {"shape": (small, small)},
    "ribosome": {"shape": (small, small)},
}
images, truth, diameter = {}, {}, {}
for protein, field in fields.items():
    noise = {"snr": snr} if snr else {}
    sample = simulate.real_or_simulated(protein, count, data=data, seed=seed, **field, **noise)
    images[protein], truth[protein] = sample.images, sample.truth
    diameter[protein] = float(sample.truth["diameter"].median())
    plot.sentences(sample.origin)
if data != "simulated":
    display(datasets.overview([simulate.REAL_DATASETS[protein] for protein in METHODS]))

# %% [markdown]
# Two pickers share the work: AutoCryoPicker looks at KLH and apoferritin, SuperCryoEMPicker at the ribosome, each as
# published and as improved in this package. `examine` returns everything that a picker saw on its way; the sections
# below go through it step by step.


# %%
def examine(protein, method, pictures=None, **settings):
    """Let a picker look at micrographs and return all that it saw, one Examination for each."""
    settings = {"clusters": clusters, "diameter": diameter.get(protein), **settings}
    pictures = images[protein] if pictures is None else pictures
    picker = pickers.create(method, **settings).fit(pictures)
    return [picker.examine(image) for image in pictures]


seen, seconds = {}, {}
for protein, improved in METHODS.items():
    for method in (improved, f"{improved}_published"):
        begin = time.perf_counter()
        seen[protein, method] = examine(protein, method)
        seconds[protein, method] = (time.perf_counter() - begin) / len(images[protein])

# %% [markdown]
# Each micrograph goes through the preprocessing chain (lesson 01), which ends with the picture in the lower row: binned
# until a particle is 40 pixels across, particles dark, grey values in [0, 1]. All lengths below are in these *working
# pixels*, or in particle diameters.

# %%
figure, axes = plot.subplots(2, len(images), height=6.4)
for (above, below), protein in zip(axes.T, images, strict=True):
    image, view = images[protein][0], seen[protein, METHODS[protein]][0]
    plot.overlay(above, image, labels=truth[protein], longest_side=340, legend=False, title=protein)
    plot.show_micrograph(below, view.stages["opened"], title=f"enhanced: {view.diameter:.0f} px")
    plot.scale_bar(below, image.pixel_size, step=view.frame.step)
plot.show(figure, "Micrographs of KLH, apoferritin and the ribosome with their labels, and below each the enhanced "
          "picture with dark particles.")  # fmt: skip

# %% [markdown]
# ## 2. Four clusterings (core)
#
# *Clustering* puts pixels into $k$ groups of like grey value, without being told what the groups are. One group, or the
# darkest few, should then be "particle" and the rest "ice". The first three methods below know nothing of a pixel but
# its grey value, and differ only in where they put the $k$ centres $c_i$; the last one looks at positions as well.

# %%
first = seen[shown, METHODS[shown]][0]
picture = first.stages["opened"]
made = {name: clustered(name, picture, clusters, first.diameter) for name in CLUSTERINGS}


def show_clusters(name, third, title):
    """Show histogram and clusters beside a third picture."""
    figure = figures.cluster_figure(name, picture, made[name], third, title)
    plot.show(figure, f"{name}: the centres in the histogram of grey values, the clusters, and {title}.")


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
show_clusters("IBC", made["IBC"].labels > 0, "black: the darkest")

# %% [markdown]
# ### k-means
#
# The centres are where the pixels $g_j$ are: those with the least sum of squared distances,
#
# $$\min_{c_1, \ldots, c_k} \; \sum_j \min_i \, (g_j - c_i)^2$$
#
# found by taking turns: every pixel joins its nearest centre, then every centre moves to the mean of its pixels.
# Working on the histogram instead of the pixels makes this as fast for a large micrograph as for a small one.

# %%
show_clusters("k-means", made["k-means"].labels > 0, "black: the darkest")

# %% [markdown]
# ### Fuzzy c-means
#
# Here a pixel belongs to every cluster to some degree. With the distances $d_{ij} = |g_j - c_i|$ the memberships and
# the centres are
#
# $$u_{ij} = \frac{1}{\sum_l \left(d_{ij} / d_{lj}\right)^{2/(m-1)}}, \qquad
# c_i = \frac{\sum_j u_{ij}^m \, g_j}{\sum_j u_{ij}^m}$$
#
# computed in turns, with the fuzziness $m = 2$. For a mask, each pixel then goes to the cluster in which its membership
# is highest, which is that of the nearest centre. So all that fuzziness can do for a mask is move the centres a little.

# %%
centres = made["fuzzy c-means"].centres
squared = np.maximum((picture[None] - centres[:, None, None]) ** 2, 1e-12)
membership = (1 / squared[0]) / (1 / squared).sum(axis=0)  # u of the formula with m = 2
show_clusters("fuzzy c-means", 1 - membership, "membership (black: 1)")

# %% [markdown]
# ### Super k-means
#
# SuperCryoEMPicker's own. The picture is first divided into *superpixels* (SLIC), patches of roughly one grey value
# each, by k-means on grey value and position together. With grey values $g$, positions $p$ and the patches' usual width
# $S$, the distance of a pixel from a patch is
#
# $$D^2 = (g - \bar g)^2 + w^2 \, \frac{|p - \bar p|^2}{S^2}$$
#
# Each patch is replaced by its mean, and k-means clusters the means. Grains of noise smaller than a patch are averaged
# away; so is everything else smaller than a patch, such as the wall of a ring. The published program takes 1,500
# patches for a micrograph; here their number follows from the particle's size, 16 to a particle, so that it fits any
# magnification.

# %%
segments, means = segmentation.superpixels(picture, segmentation.superpixel_count(picture.shape, first.diameter))
show_clusters("super k-means", means[segments], f"{len(means)} superpixels")

# %% [markdown]
# ### Side by side
#
# The *adjusted Rand index* counts the pairs of pixels on which two clusterings agree (together in both, or apart in
# both) and corrects for chance: 1 is the same partition, 0 is what chance would give. *Dice's coefficient* of two masks
# is $2|A \cap B| / (|A| + |B|)$: 1 for equal masks. The time is that of clustering one enhanced micrograph.

# %%
rows = {}
for name in CLUSTERINGS:
    durations = []
    for _ in range(2):  # the first run of each also loads its library
        begin = time.perf_counter()
        clustered(name, picture, clusters, first.diameter)
        durations.append(time.perf_counter() - begin)
    rows[name] = {other: segmentation.agreement(made[name], made[other]) for other in CLUSTERINGS}
    rows[name]["milliseconds"] = 1000 * min(durations)
table = pd.DataFrame(rows).T
display(table.style.format("{:.2f}").format("{:.0f}", subset=["milliseconds"]).set_caption("Adjusted Rand index"))
for name in ("fuzzy c-means", "IBC", "super k-means"):
    record(f"adjusted Rand index, k-means and {name}", table.loc["k-means", name])
slower = table.loc["super k-means", "milliseconds"] / table.loc["k-means", "milliseconds"]
record("times as long as k-means, super k-means", slower)

# %%
masks = {name: segmentation.particle_mask(made[name], first.diameter) for name in CLUSTERINGS}
alike = {}
for k in range(2, 2 * clusters + 1):  # with the k of its choice k-means comes closer to IBC's mask
    mask = segmentation.particle_mask(clustered("k-means", picture, k, first.diameter), first.diameter)
    alike[k] = segmentation.dice(mask, masks["IBC"])
best = max(alike, key=alike.get)
plot.sentences(
    f"k-means and fuzzy c-means agree to {table.loc['k-means', 'fuzzy c-means']:.2f}: both put their centres where the "
    f"pixels are. IBC does not look where they are; it agrees with k-means to {table.loc['k-means', 'IBC']:.2f} only. "
    f"But k-means can give the same mask with another k: with k = {best}, Dice's coefficient of the two masks is "
    f"{alike[best]:.2f}. Super k-means differs in kind: its clusters have other outlines, and it takes {slower:.0f} "
    "times as long as k-means, nearly all of it for the superpixels."
)
record("Dice, IBC and k-means with the best k", alike[best])

# %% [markdown]
# How close is each mask to the discs of the true particles? (On the first micrograph of each protein; these are the
# only numbers in this section that need labels.)

# %%
rows = {name: {} for name in CLUSTERINGS}
for protein in images:
    view = seen[protein, METHODS[protein]][0]
    for name in CLUSTERINGS:
        own = clustered(name, view.stages["opened"], clusters, view.diameter)
        mask = segmentation.particle_mask(own, view.diameter)
        rows[name][protein] = dice_with_truth(mask, view, truth[protein])
display(pd.DataFrame(rows).T.style.format("{:.2f}").set_caption("Dice's coefficient with the true discs"))

# %% [markdown]
# None is close: a raw cluster is full of specks, and rings have open centres. A mask has to be cleaned; but first it
# has to be chosen.
#
# ## 3. Which cluster is the particles? (core)
#
# The published programs take the darkest cluster of IBC; with the other clusterings the user picks one by eye. What the
# eye looks for is a mask *whose spots are as large as particles*, and that can be measured. Candidates are the darkest
# cluster, the two darkest together, and so on. With the mask $M$ covering the fraction $p$ of the picture, and
# Gaussians $G$, one a good deal narrower and one a little wider than a particle of diameter $d$,
#
# $$q = \frac{\mathrm{Var}\left(G_{0.18 d} * M - G_{0.54 d} * M\right)}{p \, (1 - p)}$$
#
# is the share of the mask's variance that is in spots of the particle's size: the first blur removes grains of noise,
# and subtracting the second removes ice and carbon. The largest $q$ wins; a mask that covers more than three fifths of
# the picture is background, and is left out.


# %%
def spots(mask, across):
    """Keep of a mask what is about as large as a particle."""
    mask = mask.astype(np.float32)
    return ndimage.gaussian_filter(mask, 0.18 * across) - ndimage.gaussian_filter(mask, 0.54 * across)


many = segmentation.kmeans(picture, 2 * clusters)  # more clusters than before, to have some to choose from
candidates = [many.labels < number for number in range(1, min(many.k, 5))]  # four are enough to show
quotients = []
figure, axes = plot.subplots(2, len(candidates), height=5.0)
for number, (mask, (above, below)) in enumerate(zip(candidates, axes.T, strict=True), 1):
    band, share = spots(mask, first.diameter), mask.mean()
    quotients.append(band.var() / (share * (1 - share)) if share <= 0.6 else 0)
    figures.show_mask(above, mask, f"{number} darkest of {many.k}")
    below.imshow(band, cmap="gray", vmin=-0.3, vmax=0.3)
    below.set(title=f"q = {quotients[-1]:.3f}", xticks=[], yticks=[])
plot.show(figure, "Masks of the darkest one to four clusters, and the spots of a particle's size in each, with q.")
record("clusters with the largest q", int(np.argmax(quotients)) + 1)
record("clusters that particle_cluster chooses", len(segmentation.particle_cluster(many, first.diameter)))

# %% [markdown]
# ## 4. Cleaning the mask (core)
#
# The seven published steps, with sizes relative to the particle instead of in pixels: areas smaller than a fifth of a
# particle are removed; an erosion cuts thin bridges; holes are filled (but none larger than a particle, so that a ring
# of particles around empty ice does not become one object); a closing joins what nearly touches; small areas are
# removed again; a dilation gives back what the erosion took; and the holes that this has closed off are filled.

# %%
stages = {"cluster": masks["IBC"], **segmentation.clean_stages(masks["IBC"], first.diameter)}
figure, axes = plot.subplots(2, 4, height=5.2)
for ax, (name, mask) in zip(axes.flat, stages.items(), strict=True):
    figures.show_mask(ax, mask, f"{name.replace('_', ' ')}: {len(segmentation.components(mask))}")
plot.show(figure, "The mask after each step of cleaning; the titles give the number of its objects.")
record("objects before cleaning", len(segmentation.components(stages["cluster"])))
record("objects after cleaning", len(segmentation.components(stages["filled_again"])))

# %% [markdown]
# The same cleaning after each of the four clusterings, before (above) and after (below). The rims of the true particles
# are yellow; the number is Dice's coefficient with their discs.

# %%
discs, _ = true_discs(first, truth[shown])
cleaned = {name: segmentation.clean(mask, first.diameter) for name, mask in masks.items()}
figure, axes = plot.subplots(2, 4, height=5.2)
for (name, mask), column in zip(masks.items(), axes.T, strict=True):
    for ax, drawn, when in zip(column, (mask, cleaned[name]), ("before", "after"), strict=True):
        similar = dice_with_truth(drawn, first, truth[shown])
        figures.show_mask(ax, drawn, f"{name}: {similar:.2f}", rims=discs)
        if name == "IBC":
            record(f"Dice with the true discs, IBC, {when} cleaning", similar)
axes[0, 0].set_ylabel("before")
axes[1, 0].set_ylabel("after")
plot.show(figure, "Masks of the four clusterings before and after cleaning, with the rims of the true particles.")

# %% [markdown]
# ## 5. Shapes (core)
#
# A mask is still pixels. *Connected components* make objects of it, and objects can be measured.
#
# ### Circularity
#
# $$C = \frac{P^2}{4 \pi A}$$
#
# with the perimeter $P$ and the area $A$ (the paper's equation 5): 1 for a disc, 1.27 for a square, and larger the
# longer and more ragged the outline. (Many programs use the reciprocal, $4 \pi A / P^2$, which is 1 for a disc and
# smaller for everything else.) AutoCryoPicker keeps objects with $C < 5$ for its search for circles. The limit is
# generous: it throws out networks of noise, along with particles that are broken or tangled up in them, and leaves the
# rest to that search.

# %%
found = segmentation.components(cleaned["IBC"])
table = pd.DataFrame(
    {
        "area": [shape.area / segmentation.particle_area(first.diameter) for shape in found],
        "circularity": [shape.circularity for shape in found],
        "on a particle": [bool(discs[round(shape.y), round(shape.x)]) for shape in found],
    }
)
circularity = np.append(np.nan, table["circularity"])[segmentation.label_image(found, picture.shape)]
medians = table.groupby("on a particle")["circularity"].median()
record("median circularity, on particles", medians.get(True, np.nan))
record("median circularity, elsewhere", medians.get(False, np.nan))

# %%
figure, (left, right) = plot.subplots(1, 2, height=4.2, width_ratios=[1, 1.15])
left.set_facecolor("black")
drawn = left.imshow(circularity, cmap="viridis_r", vmin=1, vmax=5, interpolation="nearest")
figure.colorbar(drawn, ax=left, label="circularity", shrink=0.8)
left.set(title="objects of the cleaned mask", xticks=[], yticks=[])
for inside, colour, marker in ((False, plot.PALETTE["false"], "x"), (True, plot.PALETTE["true"], "o")):
    part = table[table["on a particle"] == inside]
    label = f"{'on' if inside else 'off'} a particle ({len(part)})"
    right.plot(part["area"], part["circularity"], marker, color=colour, label=label)
right.axhline(5, color="0.5", linestyle="--", label="limit, 5")
right.set(xlabel="area (particles)", ylabel="circularity", xscale="log", yscale="log")
right.legend()
plot.show(figure, "Objects coloured by circularity, and circularity against area: objects on particles are rounder.")
plot.sentences(f"Median circularity on this micrograph: {medians.get(True, np.nan):.2f} on particles, "
               f"{medians.get(False, np.nan):.2f} elsewhere.")  # fmt: skip

# %% [markdown]
# ### Circles: the Hough transform
#
# Every edge pixel $p$ with the unit gradient $n$ (pointing out of the particle) votes for the centres of all circles
# that it could be part of: the points $p - r n$ for all radii $r$ of the range. The votes of one circle meet at its
# centre. Giving each vote a *phase* $\varphi(r)$ reveals the radius as well, and lets votes that meet by chance cancel:
#
# $$H(c) = \sum_p \sum_r \frac{e^{i \varphi(r)}}{2 \pi r} \; [\, p - r n_p = c \,]$$
#
# $|H|$ is the evidence for a centre, and the phase there gives the radius. Both are then fitted to the edges, and the
# circle's *strength* is the share of its circumference that has an edge on it.

# %%
radii = (0.35 * first.diameter, 0.65 * first.diameter)
accumulator = np.abs(segmentation.hough_map(picture, radii))
circles = list(segmentation.hough_circles(picture, radii, threshold=0.2))
on_particle = np.array([bool(discs[round(circle.y), round(circle.x)]) for circle in circles], bool)
strength = np.array([circle.strength for circle in circles])
record("circles of strength 0.5 and more", int((strength >= 0.5).sum()))
record("of these on true particles", int((on_particle & (strength >= 0.5)).sum()))

# %%
figure, (left, middle, right) = plot.subplots(1, 3, height=3.6)
left.imshow(accumulator, cmap="magma", vmax=np.percentile(accumulator, 99.9))
left.set(title="evidence |H|", xticks=[], yticks=[])
plot.show_micrograph(middle, picture, title="strong circles")
for circle, on in zip(circles, on_particle, strict=True):
    if circle.strength >= 0.5:
        colour = plot.PALETTE["true" if on else "false"]
        middle.add_artist(figures.circle(circle.x, circle.y, circle.radius, colour))
bins = np.linspace(0.2, 1, 17)
both = [strength[on_particle], strength[~on_particle]]
right.hist(both, bins, stacked=True, color=[plot.PALETTE["true"], plot.PALETTE["false"]],
           label=["on a particle", "elsewhere"])  # fmt: skip
right.axvline(0.5, color="black", linestyle="--", label="the picker's limit")
right.set(xlabel="strength", title="all circles")
right.legend(fontsize=10)
plot.show(figure, "Evidence of circles, those of strength 0.5 and more (blue: on a particle, orange-red: not), and "
          "a histogram of the strengths.")  # fmt: skip
plot.sentences(f"{(strength >= 0.5).sum()} circles have a strength of 0.5 and more on this micrograph; "
               f"{(on_particle & (strength >= 0.5)).sum()} of them are centred on a particle.")  # fmt: skip

# %% [markdown]
# ### Rectangles: Feret diameters
#
# A side view of KLH is nearly square, and may lie at any angle. Its *Feret diameters* are what a caliper measures: the
# longest distance between two parallel lines that touch the object (solid), and the shortest (dashed). The *perfect
# rectangle* (orange) is the one of least area around the object; one of its sides lies on a side of the convex hull.
# Its centre is the particle's, its angle the particle's direction, and the share of it that the object fills says how
# good a rectangle the object is.

# %%
whole = sorted((each.shape for each in first.picked if each.shape is not None), key=segmentation.roundness)
figure, axes = plot.subplots(1, 4, height=3.4)
for ax in axes:
    ax.set_axis_off()
places = np.linspace(0, len(whole) - 1, min(4, len(whole))).astype(int)
for ax, shape in zip(axes, [whole[place] for place in places], strict=False):
    figures.feret_axes(ax, shape)
    ax.set_axis_on()
    words = [f"Feret {shape.feret.longest:.0f}, {shape.feret.shortest:.0f} px"]
    words += [f"filled {segmentation.rectangularity(shape):.2f}", f"round {segmentation.roundness(shape):.2f}"]
    ax.set_title("\n".join(words), fontsize=11)
plot.show(figure, "Four objects with their calipers and perfect rectangles, from the least to the most round.")

# %% [markdown]
# *Roundness* is the overlap with the disc of the same area: discs reach 0.9 and more, squares 0.84. It tells a square
# from a disc without looking for a circle. Strings of noise attached to an object stretch its rectangle, so the
# improved picker opens the mask first, which cuts them off.
#
# ### Overlapping particles (further)
#
# Two particles that touch make one object in the mask. Its Feret diameters, or its area, give it away: they are larger
# than those of one particle can be. It can be dropped, as in SuperCryoEMPicker, or cut at its neck: the distance from
# the background has a maximum in each particle and is smaller between them, and a watershed finds the dividing line.


# %%
def sorted_objects(view, mask):
    """Return the objects of a mask: small, of one particle, too large for one."""
    shapes = segmentation.components(mask)
    big = [shape for shape in shapes if shape.area > 0.4 * segmentation.particle_area(view.diameter)]
    kept, dropped = segmentation.without_overlaps(big, view.diameter)
    taken = {id(shape) for shape in big}
    return {"small": [shape for shape in shapes if id(shape) not in taken], "single": kept, "large": dropped}


rows, groups = {}, {}
for protein in images:
    view = seen[protein, f"{METHODS[protein]}_published"][0]
    split = segmentation.split_overlaps(view.masks["cleaned"], view.diameter)
    for when, mask in (("before", view.masks["cleaned"]), ("after", split)):
        groups[protein, when] = sorted_objects(view, mask)
        counts = {kind: len(groups[protein, when][kind]) for kind in ("single", "large")}
        rows[protein, when] = {"of one particle": counts["single"], "too large": counts["large"]}
objects = pd.DataFrame(rows).T.rename_axis(["", "cutting"])
display(objects)

# %%
gain = {protein: rows[protein, "after"]["of one particle"] - rows[protein, "before"]["of one particle"]
        for protein in images}  # fmt: skip
crowded = max(gain, key=gain.get)  # the protein that gains the most
for when in ("before", "after"):
    record(f"objects of one particle {when} cutting", rows[crowded, when]["of one particle"])
view = seen[crowded, f"{METHODS[crowded]}_published"][0]
figure, axes = plot.subplots(1, 2, height=4.6)
for ax, when in zip(axes, ("before", "after"), strict=True):
    title = f"{crowded}, {when}: {rows[crowded, when]['of one particle']}"
    figures.sized_objects(ax, groups[crowded, when], view.masks["cleaned"].shape, title)
plot.show(figure, "Objects of the mask before and after cutting at their necks: grey smaller than a particle, blue of "
          "the size of one, orange-red larger; the titles count the blue ones.")  # fmt: skip

# %% [markdown]
# ### Irregular particles (further)
#
# A ribosome is neither disc nor square. SuperCryoEMPicker takes the objects of the mask as they are: those whose filled
# area is above a low percentile (what is smaller is debris), each with a box of their mean width and height times
# 1.125. The percentile is relative: at the 20th, one object in five is thrown away, however good they all are.

# %%
view = seen["ribosome", "supercryoempicker_published"][0]
figure, axes = plot.subplots(1, 3, height=3.9)
for ax, percentile in zip(axes, (0, 20, 60), strict=True):
    boxes = segmentation.irregular_views(view.masks["cleaned"], view.diameter, percentile=percentile)
    outlines(ax, view.stages["opened"], boxes, title=f"above percentile {percentile}")
plot.show(figure, "Boxes around objects of a ribosome micrograph: all, those above the 20th and the 60th percentile "
          "of the area.")  # fmt: skip

# %% [markdown]
# ## 6. Two pickers (core)
#
# **AutoCryoPicker** (for circles and squares) as published: chain, IBC, the darkest cluster, cleaned; circles in the
# mask are top views, and what is left and rectangular is a side view. **SuperCryoEMPicker** (for everything else):
# chain, super k-means, the particle cluster, cleaned; the objects are the particles. Both make a *hard decision at
# every step* and cannot take it back.
#
# The improved variants in this package keep the chain and the clusterings, but not the decisions. Circles are sought in
# the enhanced picture instead of the mask. And instead of testing the shape of each object in the mask, the picker asks
# at every position how much speaks for a particle there: is it surrounded by an outline, is its disc covered by the
# mask, is it a blob of that size? The maxima of this *evidence* are the candidates, so two particles that touch are two
# maxima, and a particle with a gap in its mask still covers most of its disc.


# %%
def score(examinations, labels):
    """Compare the picks with the labels, by distances up to a quarter of the diameter."""
    picks = coordinates.concatenate(examination.picks() for examination in examinations)
    names = [examination.name for examination in examinations]
    return evaluate.evaluate(picks, labels, micrographs=names, bootstrap=0)


def variant(method):
    """Return a method's name in words."""
    name, _, published = method.partition("_")
    return f"{TITLES[name]}, {'published' if published else 'improved'}"


def share(hits, n):
    """Return a share with its 95 % interval."""
    low, high = evaluate.wilson(hits, n)
    return f"{hits / n if n else 0:.2f} ({low:.2f}-{high:.2f})"


# %%
scores = {key: score(examinations, truth[key[0]]) for key, examinations in seen.items()}
rows = {}
for (protein, method), scored in scores.items():
    numbers = {"particles": scored.tp + scored.fn, "precision": share(scored.tp, scored.tp + scored.fp)}
    numbers |= {"recall": share(scored.tp, scored.tp + scored.fn), "F1": f"{scored.f1:.2f}"}
    rows[protein, variant(method)] = numbers | {"s / micrograph": f"{seconds[protein, method]:.1f}"}
    record(f"F1, {protein}, {method}", scored.f1)
display(pd.DataFrame(rows).T)

# %% [markdown]
# The brackets are 95 % intervals (Wilson): with a few dozen particles they are wide. Below, the masks of the published
# pickers (as in figure 11 of the paper) and the picks of both variants on the first micrograph.

# %%
figure, axes = plot.subplots(3, len(images), height=7.0)
for column, protein in zip(axes.T, images, strict=True):
    image, method = images[protein][0], METHODS[protein]
    figures.show_mask(column[0], seen[protein, f"{method}_published"][0].masks["cleaned"], protein)
    for ax, suffix in zip(column[1:], ("_published", ""), strict=True):
        evaluation = scores[protein, f"{method}{suffix}"]
        plot.overlay(ax, image, evaluation=evaluation, legend=False, longest_side=340, title=f"F1 {evaluation.f1:.2f}")
for ax, words in zip(axes[:, 0], ("mask, published", "picks, published", "picks, improved"), strict=True):
    ax.set_ylabel(words)
handles = [plot.pictures.legend_line(what) for what in ("true", "false", "missed", "ignored", "ignore")]
figure.legend(handles=handles, loc="outside lower center", ncols=5, facecolor="0.2", labelcolor="white", fontsize=10)
plot.show(figure, "Masks and picks of KLH, apoferritin and the ribosome: true picks blue, false orange-red, missed "
          "particles dashed yellow.")  # fmt: skip

# %% [markdown]
# ### What limits the published ones (further)
#
# For every particle that a published picker missed, the picker's cleaned mask tells why. The object under the true
# centre is
#
# - *none*: the particle was lost in clustering or cleaning, and no later step can find it
# - *a fragment*: less than two fifths of a particle: a broken ring, half a square
# - *merged*: larger or longer than one particle, because a neighbour or a string of noise is attached to it
# - *misjudged*: of the right size, but its shape, its centre or (for irregular ones) the percentile did not pass
#
# The last column is how many of the missed particles the improved picker finds.

# %%
rows = {}
for protein, method in METHODS.items():
    lost = scores[protein, f"{method}_published"].labels.query("outcome == 'missed'")
    each = [fates(examination, lost) for examination in seen[protein, f"{method}_published"]]
    found = int((scores[protein, method].labels.loc[lost.index, "outcome"] == "found").sum())
    rows[protein] = {"missed": len(lost), **pd.DataFrame(each).sum().to_dict(), "found by the improved one": found}
    record(f"missed as published, {protein}", len(lost))
    record(f"of these found by the improved one, {protein}", found)
display(pd.DataFrame(rows).T)

# %% [markdown]
# ## 7. How many clusters, how much noise (further)
#
# First the clusterings by themselves, with the plainest picker there is: the particle cluster of section 3 is cleaned
# and cut at the necks, and every object of up to two particle areas is a pick. Beside them the two pickers of section
# 6. What matters is not the highest point but a *flat* curve: nobody knows the best $k$ for a new protein.
#
# The curves come from one micrograph of each protein (three with the full profile); the titles give the number of
# particles, the bars are 95 % intervals. Compare a zigzag with the bars before you believe it.

# %%
few = {"quick": 1, "full": 3}[profile]


def counted(picks, labels, names):
    """Return true, false and missed picks."""
    scored = evaluate.evaluate(picks, labels, micrographs=names, bootstrap=0)
    return {"tp": scored.tp, "fp": scored.fp, "fn": scored.fn, "F1": scored.f1}


def all_methods(protein, views, pickers_views, labels, k):
    """Return the counts of every clustering, and of the pickers, on the same micrographs."""
    names = [view.name for view in views]
    found = {name: coordinates.concatenate(picked_objects(name, view, k) for view in views) for name in CLUSTERINGS}
    found |= {name: coordinates.concatenate(view.picks() for view in seen) for name, seen in pickers_views.items()}
    return [{"protein": protein, "method": name, **counted(picks, labels, names)} for name, picks in found.items()]


# %%
several = sorted(cluster_numbers) or {"quick": (2, 3, 4, 6, 8), "full": (2, 3, 4, 5, 6, 7, 8, 10, 12)}[profile]
if several[-1] < 3:
    raise ValueError(f"cluster_numbers needs a number above 2 (with two, all methods are poor), not {several}")
points = []
for protein, method in METHODS.items():
    views = seen[protein, method][:few]
    for k in several:
        both = {"improved picker": method, "published picker": f"{method}_published"}
        looked = {name: examine(protein, each, images[protein][:few], clusters=k) for name, each in both.items()}
        points += [{"k": k, **row} for row in all_methods(protein, views, looked, truth[protein], k)]
by_k = pd.DataFrame(points)
plot.show(figures.curves(by_k, "k", "k, number of clusters"), "Precision and recall of four clusterings and of two "
          "pickers as the number of clusters grows.")  # fmt: skip

# %%
worst = (
    by_k[by_k["k"] > 2].groupby(["method", "protein"])["F1"].min().reset_index().pivot_table("F1", "method", "protein")
)
best = by_k.groupby(["method", "protein"])["F1"].max().reset_index().pivot_table("F1", "method", "protein")
wide = pd.concat({"best F1": best, "worst F1 with k > 2": worst}, axis=1).loc[list(figures.STYLES)]
display(wide.round(2).rename_axis(index=None))
for protein in images:
    for method in ("improved picker", "published picker"):
        record(f"worst F1, k > 2, {protein}, {method}", worst.loc[method, protein])
    own = by_k.query("protein == @protein and method == 'improved picker'").set_index("k")
    record(f"precision by k, {protein}", (own["tp"] / (own["tp"] + own["fp"])).to_dict())
    record(f"recall by k, {protein}", (own["tp"] / (own["tp"] + own["fn"])).to_dict())

# %% [markdown]
# With few clusters the darkest one is wide: particles melt into the noise between them, and precision falls. With many
# it is narrow: only the darkest grains of each particle are left, and recall falls (until the rule of section 3 takes
# two clusters together: the zigzags). It is the *limit* of the darkest cluster that matters, not $k$. The improved
# AutoCryoPicker depends on it least, because it finds circles in the picture and not in the mask. For lumps there is
# nothing but the mask, and SuperCryoEMPicker, improved or not, needs a good one.
#
# Now the noise, always on simulated micrographs (a real one has the signal-to-noise ratio that it has). Everything else
# stays the same: the same particles in the same places.

# %%
ratios = sorted(noise_levels) or {"quick": (0.1, 0.3, 1.0, 3.0), "full": (0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 4.0)}[profile]
sizes = {"klh": {"shape": (1152, 1152), "n_particles": 18}}
sizes |= {"apoferritin": {"shape": (512, 512)}, "ribosome": {"shape": (512, 512)}}
points, noisy = [], {}
for protein, method in METHODS.items():
    for ratio in ratios:
        pairs = list(simulate.simulate_set(protein, few, seed=seed + 1, snr=ratio, **sizes[protein]))
        labels = coordinates.concatenate(particles for _, particles in pairs)
        known = {"diameter": float(labels["diameter"].median()), "contrast": "dark"}
        both = {"improved picker": method, "published picker": f"{method}_published"}
        pictures = [image for image, _ in pairs]
        looked = {name: examine(protein, each, pictures, **known) for name, each in both.items()}
        noisy[protein, ratio] = looked["improved picker"]
        rows = all_methods(protein, noisy[protein, ratio], looked, labels, clusters)
        points += [{"snr": ratio, **row} for row in rows]
by_snr = pd.DataFrame(points)

# %%
figure = figures.curves(by_snr, "snr", "signal-to-noise ratio")
figure.axes[0].set_xscale("log")
plot.show(figure, "Precision and recall of four clusterings and two pickers as the signal-to-noise ratio grows.")
for protein in METHODS:
    own = by_snr.query("protein == @protein and method == 'improved picker'").set_index("snr")["F1"]
    for ratio in (ratios[0], ratios[-1]):
        record(f"F1 of the picker, {protein}, SNR {ratio:g}", own[ratio])

# %%
figure, axes = plot.subplots(2, len(ratios), height=17.6 / max(4, len(ratios)) + 0.7, squeeze=False)
shares = []
for ratio, (above, below) in zip(ratios, axes.T, strict=True):
    view = noisy["ribosome", ratio][0]
    mask = view.masks["cluster"]
    shares.append(float(mask.mean()))
    plot.show_micrograph(above, view.stages["binned"], title=f"SNR {ratio:g}")
    figures.show_mask(below, mask, f"mask: {shares[-1]:.0%}")
plot.show(figure, "Simulated ribosomes at rising signal-to-noise ratios, and the mask of each, which covers about "
          "the same share of the picture each time.")  # fmt: skip
plot.sentences(f"The mask covers {min(shares):.0%} to {max(shares):.0%} of the picture, whatever the noise.")
record("smallest share of the mask", min(shares))
record("largest share of the mask", max(shares))

# %% [markdown]
# The lower row is the thing to remember. Equalisation gives every picture about the same histogram, so the darkest
# cluster always has about its share of the pixels: **the mask never gets empty, it only gets wrong**. What noise
# destroys is the size and the outline of the spots, and only a picker that checks these can notice.
#
# ## 8. What goes wrong, and how it looks (further)
#
# Three wrong settings, each on all micrographs of the protein. The pictures show the first micrograph: above, the mask
# that a mistake leads to; below, the picks.

# %%
picker = pickers.create(METHODS[shown], diameter=diameter[shown]).fit(images[shown])
mistakes = {
    "no mistake": {},
    "wrong contrast": {"contrast": "bright" if picker.contrast_ == "dark" else "dark"},
    "diameter twice too large": {"diameter": 2 * diameter[shown]},
    "three times the clusters": {"clusters": 3 * clusters},
}
figure, axes = plot.subplots(2, 4, height=5.8)
facts = []
for (mistake, settings), (above, below) in zip(mistakes.items(), axes.T, strict=True):
    views = examine(shown, METHODS[shown], **settings)
    scored = score(views, truth[shown])
    figures.show_mask(above, views[0].masks["cluster"], mistake)
    above.title.set_fontsize(10)
    outlines(below, views[0].stages["opened"], views[0].picked, legend=False, title=f"F1 {scored.f1:.2f}")
    counts = f"{scored.tp} true picks, {scored.fp} false ones, {scored.fn} missed particles"
    facts.append(f"**{mistake}**: {counts}, on {len(views)} micrographs")
    record(f"F1, {mistake}", scored.f1)
    record(f"recall, {mistake}", scored.recall)
plot.show(figure, "Masks and picks without a mistake, with the wrong contrast, twice the diameter, and three times the "
          "clusters.")  # fmt: skip
plot.sentences(facts)

# %% [markdown]
# - **Wrong contrast**: the enhanced picture is a negative, particles are bright in it. The mask holds the gaps between
#   them and the gaps inside them. A gap inside a particle has the same centre as the particle, so the picks that are
#   left may well be true: what gives the mistake away is not precision, but how many particles are missed. Always look
#   at the enhanced picture first.
# - **Diameter twice too large**: binned too far and filtered too widely, the particles run into one another, and an
#   outline or a disc of twice the size is nowhere to be found: few picks or none.
# - **Three times the clusters**: only the darkest grains are left of the mask, and particles fall to pieces. Circles
#   come from the picture and are still found; many squares and lumps are lost.
#
# ### Ice without particles
#
# The most expensive mistake: every micrograph has a darkest cluster, so a picker that knows nothing else finds
# something in each. How many picks are there on five empty micrographs (simulated)?

# %%
ice = {"n_particles": 0, "carbon": False, "contamination": 0, "shape": (512, 512)}
empty = [image for image, _ in simulate.simulate_set("apoferritin", 5, seed=seed, **ice)]
figure, axes = plot.subplots(1, 4, height=3.0)
methods = [f"{name}{suffix}" for name in TITLES for suffix in ("", "_published")]
for ax, method in zip(axes, methods, strict=True):
    views = examine("apoferritin", method, empty, diameter=76.0, contrast="dark")
    number = sum(len(view.picked) for view in views)
    fullest = max(views, key=lambda view: len(view.picked))
    title = variant(method).replace(", ", "\n") + f": {number}"
    outlines(ax, fullest.stages["opened"], fullest.picked, title=title, legend=False)
    ax.title.set_fontsize(10)
    record(f"picks in empty ice, {method}", number)
plot.show(figure, "Picks of four pickers on empty ice; titles count those of five micrographs, pictures show the "
          "one with most.")  # fmt: skip

# %% [markdown]
# All of them are false. The published SuperCryoEMPicker takes every object of the mask for a particle and has no reason
# to reject these; the improved one also looks at the grey values before equalisation, which are as symmetrical as
# noise. Both variants of AutoCryoPicker ask for an outline, and now and then noise has one. Leave out micrographs
# without particles.
#
# ## Key points
#
# - Clusterings of grey values differ in where they put the limit of the darkest cluster, and in little else.
# - Which cluster is the particles can be measured: its spots have their size.
# - Cleaning turns specks into objects; shapes turn objects into particles and views.
# - Hard decisions at every step lose particles; evidence that is weighed at the end keeps them.
# - A mask never gets empty, it only gets wrong: noise and empty ice have a darkest cluster, too.
#
# ## Questions
#
# <details><summary>1. Grey values run from 0 to 1. Where are IBC's centres with k = 4, and where does the darkest
# cluster end?</summary>
#
# At 0.25, 0.5, 0.75 and 1. The darkest cluster ends half way between the first two, at 0.375: a step and a half.
#
# </details>
#
# <details><summary>2. What is the circularity of a square, and of a rectangle twice as long as wide?</summary>
#
# $(4a)^2 / (4 \pi a^2) = 4/\pi = 1.27$, and $(6a)^2 / (4 \pi \cdot 2 a^2) = 4.5/\pi = 1.43$.
#
# </details>
#
# <details><summary>3. One picker finds 15 of 18 particles, another finds 14. Why does that not prove that the first is
# better?</summary>
#
# The 95 % interval of 15 in 18 runs from 0.61 to 0.94. Score both on many more particles, the same for both, and
# compare them pair by pair (lesson 06).
#
# </details>
#
# <details><summary>4. Why does cutting at the necks come after cleaning, not before?</summary>
#
# The distance from the background decides where to cut, and every hole and speck is background: an uncleaned mask falls
# into crumbs.
#
# </details>
#
# ## Try it
#
# Set `clusters` in the cell of parameters to 3, and then to 8, and run the lesson again (without JupyterLab:
# `cryokit notebooks run 02 -p clusters=8`). In section 2, watch which of the four masks changes most, and where the
# limits lie in the histograms. Then section 4: what does cleaning make of a mask of the darkest grains only? The curves
# of section 7 tell what to expect.
#
# Then `shown="ribosome"`: super k-means, which tears the thin walls of KLH apart, now has particles that suit it. Does
# its lead survive cleaning?
#
# Last, on real micrographs: fetch them, or let `data` name a folder with `klh`, `apoferritin_10146` and
# `ribosome_10028`, each with `micrographs` and `labels`. The labels there were made by people, who leave out what they
# cannot see: are the "false" picks in section 6 all false?
#
# ## Read on
#
# - Next: [03 Good particle selection](03_good_particle_selection.ipynb)
# - Al-Azzawi et al. (2019), AutoCryoPicker, BMC Bioinformatics 20:326
# - Al-Azzawi et al. (2019), SuperCryoEMPicker: the second label-free picker of the paper (its reference 25)
# - Achanta et al. (2012), SLIC superpixels, IEEE Trans. Pattern Anal. Mach. Intell. 34:2274-2282
