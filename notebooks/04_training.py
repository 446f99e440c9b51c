# %% [markdown]
# # Training a network
#
# Lesson 03 ended with patches whose classes nobody has looked at: the first half of DeepCryoPicker found the particles,
# judged them, and turned its judgement into labels. The second half is a network that learns from these labels. In this
# lesson you build that network, train it, and ask what it has learned, always on micrographs that it was not trained
# on.
#
# **Goals**: say where a network keeps its parameters and where its operations are; read a training curve and a
# confusion matrix; tell a mistake of the network from a mistake of its labels; find a shortcut in a training set; store
# a model so that somebody else can use it.
#
# **Before**: lesson 03 (training sets); what a gradient is.
#
# **Minutes**: 50 to read (core sections 18), 8 to compute (core sections 5).
#
# **In the paper**: "Experiments on training deep learning classification models", component 2; equations 7 to 10;
# tables 3 and 9; figures 2, 8 and 18.
#
# "The paper" is Al-Azzawi et al. 2020, BMC Bioinformatics 21:509 (DeepCryoPicker). Its numbers are quoted as reported.

# %% tags=["parameters"]
profile = "quick"  # quick: a narrow network, few patches; full: a wider one, more of everything (hours on a processor)
seed = 0  # another number gives other micrographs, other initial weights, another order of the patches
data = "auto"  # auto: real micrographs if they have been fetched, else simulated; simulated; or a folder of data sets
width = 0.0  # of the network's layers, 1 is the paper's; 0: 0.1 (quick) or 0.25 (full)
epochs = []  # of the three class settings, such as [20, 32, 64]; []: [20] (quick) or the paper's three (full)
per_class = 0  # patches of each class; 0: 120 (quick) or 600 (full)
klh = 8  # simulated KLH micrographs (the full profile has three times as many)
unseen = 5  # ribosome micrographs for the last test, in addition to those of the split
few = 6  # patches of each class where augmentation is tried
draws = 0  # how often these patches are drawn anew; 0: 3 (quick) or 5 (full)
output_dir = "out/04_training"  # where states and models go

# %%
import json
import logging
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from pprint import pprint

import numpy as np
import pandas as pd
from IPython.display import display

from cryokit import coordinates, datasets, evaluate, networks, pickers, plot, simulate
from cryokit.benchmark.measured_before import table_3 as measured_table_3
from cryokit.cli.notebook_runner import record
from cryokit.evaluate import paired
from cryokit.evaluate.thresholds import best_threshold, threshold_from_scores
from cryokit.imaging.preparation import WORKING_DIAMETER, recorded, whitened
from cryokit.networks import training
from cryokit.networks.describe import layers, multiply_adds
from cryokit.networks.devices import device_text, import_keras

# %%
from cryokit.networks.patches import CLASS_SETTINGS, CLASSES, augment, build, standardised
from cryokit.networks.patches.against_truth import DAMAGED, NOTHING, WHOLE, truth_at
from cryokit.networks.patches.grain import best_split, coarsened, grain, with_noise_of
from cryokit.networks.patches.mishaps import greyed, likeness, mishaps
from cryokit.networks.training import MODERN, PAPER, PAPER_EPOCHS, Samples
from cryokit.networks.training.batches import TrainingBatches
from cryokit.networks.training.crops import crops
from cryokit.networks.training.measures import PUBLISHED, distinct_settings, only_classes
from cryokit.pickers import compact_picking
from cryokit.plot import score_figures, training_figures, trainings
from cryokit.plot.result_words import compared_words, f1_words
from cryokit.segmentation.selection import select

# %%
keras = import_keras()
# It warns when functions are compiled anew, as every new network has to be.
logging.getLogger("tensorflow").setLevel(logging.ERROR)
plot.lesson_style()
output = Path(output_dir)
quick = profile == "quick"
width = width or (0.1 if quick else 0.25)
epochs = list(epochs) or ([PAPER_EPOCHS[0]] if quick else list(PAPER_EPOCHS))
per_class = per_class or (120 if quick else 600)
print(device_text())
plot.show(plot.workflow(here="04"))

# %% [markdown]
# ## 1. The network, layer by layer (core)
#
# The network is that of Krizhevsky et al. (2012) with other numbers: five convolutions (C), three max-poolings (M), two
# fully connected layers (F), and an output (O) with one probability for each class (table 9 and figure 18 of the
# paper). It looks at a *window* of 227 x 227 pixels and says what is in its middle.
#
# Three formulas are all that it consists of. In a **convolution**, map $j$ of layer $l$ is made of the maps $i$ before
# it by kernels $W$ that are the same at every place, and a bias $B$ (the paper's equation 7):
#
# $$X_j^{(l)} = f \left( \sum_i X_i^{(l-1)} * W_{ij}^{(l)} + B_j^{(l)} \right)$$
#
# The **activation** $f$ makes the network more than one large matrix. The paper writes a sigmoid (equation 8);
# Krizhevsky's network, and the one here, has the rectifier ReLU:
#
# $$\mathrm{sigmoid}(z) = \frac{1}{1 + e^{-z}} \qquad\qquad \mathrm{ReLU}(z) = \max(0, z)$$
#
# **Max-pooling** (equation 9) keeps the largest of the values in each field of $M \times N$, here 3 x 3 moved by two,
# so that the maps shrink and the exact place of a feature matters less:
#
# $$Y_{ab} = \max_{0 \leq m < M,\; 0 \leq n < N} X_{sa+m,\; sb+n}$$
#
# Read such formulas against the rest of a paper. A sigmoid's slope is at most 1/4, so on its way back through seven
# such layers a gradient shrinks by a factor of up to $4^{-7}$ unless the weights make up for it: with the paper's
# learning rate the first layers would hardly move in 20 epochs. And weights drawn "randomly [0-1]", as the text has it,
# would drive sums of thousands of inputs far into the flat part of the sigmoid. The paper publishes no code; most
# likely the formulas are a textbook's, and the network was built with the usual rectifiers and the usual small random
# weights.

# %% [markdown]
# `layers` lists what a network is made of. A **parameter** is a number that training has to find. A **multiply-add** is
# a multiplication by a parameter and the addition that follows; their number is what one window costs.

# %%
views = ("top", "side", "irregular")
paper_config = networks.create("deepcryopicker", classes=(*views, "negative", "background"))
table_9 = layers(paper_config.build())
display(table_9.style.format("{:,}", subset=["parameters", "multiply_adds"]).hide(axis="index"))
sums = table_9[["parameters", "multiply_adds"]].sum()
record("parameters", int(sums["parameters"]))
record("multiply-adds of a window", int(sums["multiply_adds"]))

# %%
plot.show(training_figures.anatomy(table_9, "Table 9: height for the size of the maps, breadth for their number"))
connected = table_9.loc[table_9["type"] == "Dense", ["parameters", "multiply_adds"]].sum() / sums
plot.sentences(
    f"**{sums['parameters']:,} parameters, {sums['multiply_adds']:,} multiply-adds for one window.** The fully "
    f"connected layers have {connected['parameters']:.0%} of the parameters and do {connected['multiply_adds']:.0%} "
    "of the work."
)
record("share of the parameters in connected layers", connected["parameters"])
record("share of the multiply-adds in connected layers", connected["multiply_adds"])

# %% [markdown]
# A convolution has few parameters and uses each of them at every position of its map: that is where the operations are.
# A fully connected layer uses each of its parameters once: that is where the parameters are. Most of them sit in layers
# that do hardly any work, and still have to be found from a few hundred patches.
#
# On a processor, one pass of the wide network takes long enough to make a lesson tedious, so from here on every layer
# has the fraction `width` of its filters. The window, the strides and the order of the layers stay. What the narrow
# network shows about training holds for the wide one; its accuracy does not.


# %%
def new_network(classes, seed=seed):
    """Return the narrow network with random weights."""
    return networks.create("deepcryopicker", classes=tuple(classes), width=width, seed=seed).build()


narrow = layers(new_network(paper_config.classes))[["parameters", "multiply_adds"]].sum()
share = narrow / sums
plot.sentences(
    f"Width {width:g}: {narrow['parameters']:,} parameters ({share['parameters']:.1%} of the paper's network) and "
    f"{narrow['multiply_adds']:,} multiply-adds a window ({share['multiply_adds']:.1%})."
)

# %% [markdown]
# ## 2. A training set without a single label (core)
#
# As in lesson 03, the clustering pickers find particles, selection separates good examples of each view from all else,
# and all else is called *negative*. KLH has top and side views; the ribosome is irregular. That particles are dark, and
# how large they are, is the only input. `build` cuts windows in which a box of 1.25 diameters fills the 227 pixels, and
# splits them **by micrograph**.

# Real micrographs of apoferritin and beta-galactosidase are taken if both are at hand; this is how to fetch them:

# %%
REAL = ("apoferritin_10146", "betagal_10017")
display(datasets.overview(REAL))

# %%
METHODS = {"klh": "autocryopicker", "apoferritin": "autocryopicker"}
METHODS |= {"ribosome": "supercryoempicker", "betagal": "supercryoempicker"}
more, folder = 1 if quick else 3, None if data == "auto" else data
wanted = {
    "klh": (klh * more, {"shape": (2048, 2048), "n_particles": 48}),
    "ribosome": (4 * more + unseen, {"shape": (1024, 1024)}),
}
real = data != "simulated" and all(datasets.labelled_pairs(name, folder) for name in REAL)
if real:
    wanted = {"apoferritin": (10 * more, {}), "betagal": (10 * more, {})}
source = "simulated" if data == "auto" and not real else data
sets = {
    protein: simulate.real_or_simulated(protein, number, data=source, seed=seed, **given)
    for protein, (number, given) in wanted.items()
}
plot.sentences([sample.origin for sample in sets.values()])

# %%
images, diameters, found, tables = {}, {}, {}, []
for name, sample in sets.items():
    diameter = float(sample.truth["diameter"].median())
    picker = pickers.create(METHODS[name], diameter=diameter, contrast="dark").fit(sample.images)
    for image in sample.images:
        images[image.name], diameters[image.name] = image, diameter
        seen = picker.examine(image)
        found[image.name] = seen.picks()
        tables.append(seen.training_particles(select(seen.picked)))
    print(
        f"{name}: {len(sample.images)} micrographs, particles {diameter:.0f} pixels across, picked by {METHODS[name]}"
    )
# Of the last protein, some for the last test only.
last_test = [image.name for image in sample.images[-min(unseen, len(sample.images) // 3 if real else unseen) :]]
truth = coordinates.concatenate(sample.truth for sample in sets.values())
particles = pd.concat(tables, ignore_index=True)
particles = particles[~particles["micrograph"].isin(last_test)].reset_index(drop=True)

# %%
training_set = build(
    [image for name, image in images.items() if name not in last_test],
    particles,
    classes=[name for name in CLASSES if name in {*particles["class"], "background"}],
    per_class=per_class,
    size=paper_config.window,
    box=1.25,
    diameter=diameters,
    test=0.3,
    seed=seed,
)
classes = training_set.classes
split_of = {each["name"]: each["split"] for each in training_set.provenance["micrographs"]}
named = {split: [name for name in split_of if split_of[name] == split] for split in ("train", "validation", "test")}
samples = {split: Samples(*training_set.arrays(split)) for split in named}
display(training_set.counts())
plot.sentences([f"{split}: {', '.join(of_split)}" for split, of_split in named.items()])
record("patches", {split: len(each) for split, each in samples.items()})
record("splits of a micrograph, at most", int(training_set.table.groupby("micrograph")["split"].nunique().max()))

# %%
figure, ax = plot.subplots(height=0.95 * len(classes))
plot.training_sheet(ax, training_set.subset("train"), 8, seed=seed)
ax.set_title("training patches, particles dark")
plot.show(figure, f"Eight training patches of each class, {', '.join(classes)}: particles are dark on grey noise.")

# %% [markdown]
# The three parts have three uses, and no patch has two:
#
# - **train**: the weights are changed until the network gets these right.
# - **validation**: nothing is learned from them, but *we* look at them to decide when to stop and which weights to
#   keep.
# - **test**: looked at once, when all is decided. Every accuracy below is measured on these unless it says otherwise.
#
# Look at the sheet again, at the noise and not at the particles. One class differs from the others in something that
# has nothing to do with its particles. Section 5 comes back to it.

# %% [markdown]
# ## 3. Training curves: the paper's settings against today's (core)
#
# The output is the softmax of the last layer: probabilities $p_{ic}$ of class $c$ for patch $i$. Training makes the
# cross-entropy small (the paper's equation 10): with $c_i$ for the labelled class of each of $n$ patches,
#
# $$L = -\frac{1}{n} \sum_{i=1}^{n} \log p_{i c_i}$$
#
# A network that knows nothing gives each of the $C$ classes the same probability, and has $L = \log C$. The paper uses
# stochastic gradient descent (SGD): for a batch of 16 patches, the gradient of $L$ with respect to the weights $w$, and
# a small step against it, with momentum $\mu$ and the learning rate $\eta$,
#
# $$v \leftarrow \mu v - \eta \nabla L \qquad w \leftarrow w + v$$
#
# at $\eta = 10^{-4}$ from the first step to the last. Today's preset uses Adam, which scales the step of each weight by
# the usual size of its gradients; a learning rate that rises briefly and then falls along a cosine; patches that are
# turned and changed in contrast anew in each epoch; and early stopping when the validation loss has not fallen for
# five epochs. Both keep the weights of the best epoch. Both are given the same number of epochs here:

# %%
presets = {"paper (SGD)": PAPER, "today (Adam)": MODERN}
presets = {name: replace(settings, epochs=epochs[0]) for name, settings in presets.items()}
display(pd.DataFrame({name: settings.to_dict() for name, settings in presets.items()}))

# %%
trained, histories, rows = {}, {}, {}
for name, settings in presets.items():
    trained[name] = new_network(classes)
    histories[name] = training.train(trained[name], samples["train"], samples["validation"], settings, seed=seed)
    summary = histories[name].summary()
    measured = {split: training.accuracy(trained[name], each) for split, each in samples.items()}
    rows[name] = {"epochs": summary["epochs"], "best epoch": summary["best_epoch"], "val_loss": summary["val_loss"]}
    rows[name] |= measured
    record(f"validation loss, {name}", summary["val_loss"])
    record(f"test accuracy, {name}", measured["test"])
plot.show(training_figures.training_curves(histories, len(classes)))

# %%
compared = pd.DataFrame(rows).T
display(compared.style.format("{:.3f}").format("{:.0f}", subset=["epochs", "best epoch"]))
level = compared["val_loss"].max()
reached = {name: int((each.table["val_loss"] > level).cummin().sum()) + 1 for name, each in histories.items()}
n, best_test = len(samples["test"]), compared["test"].max()
plot.sentences(
    f"Epochs until the validation loss falls to {level:.2f}: "
    + ", ".join(f"{number} with {name}" for name, number in reached.items())
    + f". The accuracies are of {n} test patches: at {best_test:.2f} the standard error is "
    f"{(best_test * (1 - best_test) / n) ** 0.5:.3f}."
)
for name, number in reached.items():
    record(f"epochs to the same validation loss, {name}", number)

# %% [markdown]
# Read the curves in pairs. As long as dashed and solid fall together, the network learns what holds for other
# micrographs, too. When the dashed one goes on falling and the solid one does not, it learns its patches by heart.
# A validation curve of so few patches jumps by chance; that is why the best epoch, not the last, is kept, and why
# a single jump does not stop the training.
#
# At the paper's rate each step is small. With 960 training patches of each of five classes, an epoch of the paper has
# 300 steps; here it has only tens, so the same number of epochs covers a much shorter distance.

# %% [markdown]
# ## 4. What it confuses, and who is wrong (core)
#
# First a look, as in the paper's figure 2: test patches with the class that the network gives them and its probability.

# %%
best = trained["today (Adam)"]
probability = training.probabilities(best, samples["test"].x)
said = np.array(classes)[probability.argmax(axis=1)]
test_table = training_set.subset("test").table.reset_index(drop=True)
label = test_table["class"].to_numpy()
rng = np.random.default_rng(seed)
chosen = np.concatenate([rng.permutation(np.flatnonzero(label == name))[:3] for name in classes])[:18]
plot.show(training_figures.predictions(samples["test"].x[chosen], probability[chosen], classes, label[chosen]))

# %% [markdown]
# A choice of examples shows what an author wants to show (these were drawn at random, three of each class). The
# confusion matrix counts all of them: rows are the labels, columns what the network says.

# %%
matrix = training.confusion_matrix(best, samples["test"], classes=classes)
figure, ax = plot.subplots(height=5)
trainings.confusion(ax, matrix)
own = pd.Series(np.diag(matrix) / matrix.sum(axis=1), index=classes)
others = own.drop("negative").mean()
text = f"Found again: {own['negative']:.0%} of the negatives, {others:.0%} of the other classes on average."
plot.show(figure, f"Confusion matrix of {len(label)} test patches in per cent. {text}")
plot.sentences(text)
record("recall of negatives", own["negative"])
record("mean recall of the other classes", others)

# %% [markdown]
# What are the *negatives*? Component 1 rejected them: because nothing is there, or because the mask was torn, which
# says little about the particle. The truth, which neither of the two has seen, can tell. `truth_at` looks up what is at
# the place of each patch.

# %%
there = truth_at(test_table, truth)
whole, nothing = (there["what"] == WHOLE).to_numpy(), (there["what"] == NOTHING).to_numpy()
negative, says_particle = label == "negative", np.isin(said, views)
verdict = pd.Series(np.where(says_particle, "a particle", said), name="the network says")
display(pd.crosstab(there["what"][negative].rename("the truth"), verdict[negative]))
sheets = {
    "labelled negative, the network sees a particle, and one is there": negative & says_particle & whole,
    "labelled negative, the network sees a particle, and nothing is there": negative & says_particle & nothing,
    "labelled negative, and the network agrees": negative & (said == "negative"),
}
sheets = {title: np.flatnonzero(which) for title, which in sheets.items() if which.any()}
figure, axes = plot.subplots(len(sheets), height=1.5 * len(sheets), squeeze=False)
for ax, (title, which) in zip(axes[:, 0], sheets.items(), strict=True):
    trainings.samples(ax, samples["test"].x[which[:8]], columns=8, title=f"{title} ({len(which)})")
plot.show(figure, "Patches labelled negative: " + "; ".join(f"{title}: {len(w)}" for title, w in sheets.items()))

# %%
decided = ~(there["what"] == DAMAGED).to_numpy()
right = np.where(whole, said == there["view"], ~says_particle)
by_label = said == label
against = {"labels": by_label[decided].mean(), "truth": right[decided].mean()}
called = {
    "whole": says_particle[whole & negative].mean() if (whole & negative).any() else np.nan,
    "nothing": says_particle[negative & nothing].mean() if (negative & nothing).any() else np.nan,
}
plot.sentences(
    f"Of {negative.sum()} test patches labelled negative, {(whole & negative).sum()} show a whole particle. The "
    f"network calls {called['whole']:.0%} of these a particle, and {called['nothing']:.0%} of those where nothing is.",
    f"Its accuracy is **{against['labels']:.3f} against component 1's labels and {against['truth']:.3f} against the "
    f"truth** ({decided.sum()} patches, damaged particles left out of both).",
)
record("whole particles among the negatives of the test", (whole & negative).sum() / negative.sum())
record("of these the network calls a particle", called["whole"])
record("of nothing labelled negative the network calls a particle", called["nothing"])
record("accuracy against the labels", against["labels"])
record("accuracy against the truth", against["truth"])

# %% [markdown]
# Where a whole particle was thrown among the negatives, the network may call it a particle, against what it was told of
# patches like it. The good views are many and consistent, the wrong negatives few and all different; a network averages
# over such contradictions. **An accuracy can be no better than the labels that measure it.** So before you believe a
# confusion matrix, look at the patches in its largest cell off the diagonal.

# %% [markdown]
# ## 5. A shortcut: the class in the grain (core)
#
# An accuracy of one class near 100 % is a reason to be suspicious. In this training set the views of two proteins are
# put together, and their micrographs were brought to the window by different factors. Pixels of noise that were
# enlarged more are larger. Does that give the class away, without any particle?

# %%
flat = samples["test"].x[..., 0]
protein_of = {image.name: name for name, sample in sets.items() for image in sample.images}
protein = test_table["micrograph"].map(protein_of).to_numpy()
coarse = grain(flat)
seen_views = [name for name in views if name in classes]
last_view, particle_label = seen_views[-1], np.isin(label, seen_views)
limit, told = best_split(coarse[particle_label], label[particle_label] == last_view)
noise = {name: flat[np.flatnonzero((label == "background") & (protein == name))[0]] for name in sets}
values = {name: coarse[label == name] for name in seen_views}
plot.show(training_figures.grain_figure(noise, values, limit))
plot.sentences(
    f"**A single limit on the grain, {limit:.2f}, tells *{last_view}* from the other views with a balanced accuracy of "
    f"{told:.0%}**, on {particle_label.sum()} test patches and without looking at a single particle."
)
record("balanced accuracy of the grain alone", told)

# %% [markdown]
# A shortcut that is there need not be taken. Two experiments tell whether the network takes it. First: smooth the other
# views until their pixels are correlated as those of the last one, change nothing else, and ask again. For anybody who
# looks at shapes, this turns no ring and no square into a ribosome. (The correlation is that of the whole patch, so a
# strong ring needs less smoothing than a faint one; that is why there is a second experiment.)

# %%
fine = np.flatnonzero(particle_label & (label != last_view) & by_label)
changed = coarsened(samples["test"].x[fine], float(coarse[label == last_view].mean()))
now = np.array(classes)[training.probabilities(best, changed).argmax(axis=1)]
turned = (now == last_view).mean()
figure, axes = plot.subplots(2, height=3.2)
trainings.samples(axes[0], samples["test"].x[fine[:8]], columns=8, title="as they are")
trainings.samples(axes[1], changed[:8], columns=8, title=f"with the grain of {last_view} patches")
text = (
    f"Of {len(fine)} patches that the network got right, it calls **{turned:.0%}** *{last_view}* once their grain is "
    f"that of {last_view} patches, and keeps the class of {(now == label[fine]).mean():.0%}."
)
plot.show(figure, f"Eight patches as they are, and smoothed. {text}")
plot.sentences(text)
record("called by the grain's class when only the grain is changed", turned)

# %% [markdown]
# Second, the other way round. Coarse noise cannot be made fine, but it can be replaced: keep what is left of a patch
# after strong smoothing, its shape, and add noise of another protein's micrographs. As a control, do the same with
# noise of its own protein's: whatever the smoothing destroys is lost in both.

# %%
own = np.flatnonzero((label == last_view) & by_label)
called_now = {}
for name in sets:
    without = samples["test"].x[(label == "background") & (protein == name)]
    mixed = with_noise_of(samples["test"].x[own], without, training_set.size / 40)
    said_now = np.array(classes)[training.probabilities(best, mixed).argmax(axis=1)]
    called_now[name] = (said_now == last_view).mean()
    record(f"called {last_view} with noise of {name}", called_now[name])
kept, lost = called_now[protein[own[0]]], min(called_now.values())
plot.sentences(
    f"Of {len(own)} {last_view} patches the network calls *{last_view}*: "
    + ", ".join(f"{share:.0%} with noise of {name}" for name, share in called_now.items())
    + ". "
    + (
        f"**What it takes for *{last_view}* depends on the grain.**"
        if kept - lost > 0.25
        else "**It goes by the shape, although it could have read the grain.**"
    )
)

# %% [markdown]
# Whatever the outcome, no accuracy could have told: on test micrographs of the same two kinds, a network that reads the
# grain is right as often as one that sees ribosomes. It would fail on others, say KLH at another pixel size. The
# paper's training set has the same trait: its four proteins were recorded at four pixel sizes (its table 1) and scaled
# by four factors (its table 4). Three cures: every class from every protein's micrographs, one grain for all
# (`DeepCryoPicker` here smooths what is finer than 48 pixels to a particle), or one protein at a time.

# %% [markdown]
# ## 6. The three class settings: table 3 (core)
#
# The paper tries three sets of classes: the views with background, the views with negatives, and all five.
# `classification_table` trains a new network for the first two; for all five there is the one of section 3. The column
# *reported* is table 3 of the paper: the wide network, real patches, and test patches *from the micrographs it was
# trained on*. Here a narrow network learns from some hundred patches and is tested on other micrographs. Compare the
# order of the rows, not the numbers.

# %%
known = [(trained[name], histories[name]) for name in presets]
parts = []
for name, settings in {"today": MODERN, **({} if quick else {"paper": PAPER})}.items():
    part = training.classification_table(
        training_set, new_network, epochs=epochs, settings=settings, trained=known, seed=seed
    )
    parts.append(part.assign(settings=name))
table_3 = pd.concat(parts, ignore_index=True).rename(columns={"published": "reported"})
shown = table_3[["setting", "settings", "epochs", "best_epoch", "train", "validation", "test", "reported", "seconds"]]
shares = ["train", "validation", "test", "reported"]
display(shown.style.format("{:.1%}", subset=shares, na_rep="").format("{:.0f}", subset=["seconds"]).hide(axis="index"))
for row in table_3[table_3["settings"] == "today"].itertuples():
    record(f"test accuracy, {row.setting}, {row.epochs} epochs", row.test)

# %%
first = table_3[(table_3["settings"] == "today") & (table_3["epochs"] == epochs[0])].set_index("setting")["test"]
here = list(first.sort_values(ascending=False).index)
reported = [name for name in PUBLISHED if name in here]
gap = abs(first[here[-1]] - first[here[-2]])
error = (2 * first[here[-1]] * (1 - first[here[-1]]) / len(samples["test"])) ** 0.5
same = here == reported
plot.sentences(
    f"Order here: {', '.join(here)}. Order in the paper: {', '.join(reported)}. "
    + ("The two agree. " if same else "**They do not agree.** ")
    + f"The last two rows differ by {gap:.1%} here, with a standard error of about {error:.1%} for one training on "
    f"{len(samples['test'])} patches" + ("; that is no difference." if gap < 2 * error else ".")
)
record("order of the class settings", here)

# %% [markdown]
# With background the task is easy: a window is on a particle or on nothing. Wherever negatives are a class it is hard,
# for the reason of section 4; where both are, the network also has to tell two kinds of nothing apart, ice that
# component 1 had taken for a candidate and ice that it had not. The lesson for picking: if the negatives are not clean,
# leave them out.
#
# Does the order depend on these two proteins? The result below was *measured before*, with all four proteins of the
# paper (simulated), by `benchmarks/table3.py`; it comes with cryokit and is not computed here.

# %%
before, settings_before = measured_table_3()
columns = ["setting", "epochs", "train", "validation", "test"]
display(before[columns].style.format("{:.1%}", subset=["train", "validation", "test"]).hide(axis="index"))
plot.sentences(
    f"Measured {settings_before['at']}: {', '.join(settings_before['proteins'])}, width {settings_before['width']:g}, "
    f"{settings_before['per_class']} patches a class, {settings_before['micrographs']} micrographs of each protein."
)

# %% [markdown]
# **Figure 8 of the paper** shows how long its trainings took: from 22 to 144 minutes on a GTX 1070, growing with the
# epochs and the classes. The column *seconds* above is the same measurement for the narrow network on your device. Time
# grows with patches times epochs times multiply-adds; which of the three would you save on first?

# %% [markdown]
# ## 7. What augmentation does (further)
#
# Augmentation makes new patches from old ones by changes that are meant not to change the class. Two kinds:
#
# - *turned*: rotated and mirrored, contrast and brightness changed a little, anew in each epoch (`augmentation=True`)
# - *filtered*: as in the paper, by a random choice of the stages of lesson 01, computed once (`augment`)
#
# It matters where patches are few. Below, each class has only `few` cut-outs.

# %%
part = only_classes(training_set, distinct_settings(CLASS_SETTINGS, classes)["4 + background"])
part_test, box = Samples(*part.arrays("test")), training_set.size / 1.25
originals = part.subset("train")
plain = originals.table.query("rotation == 0 and augmentation == ''")


def drawn(draw):
    """Return some cut-outs of each class as bytes, and their classes: another draw, others."""
    rng = np.random.default_rng((seed, draw))
    members = [plain.index[plain["class"] == name] for name in part.classes]
    rows = np.concatenate([rng.choice(each, min(few, len(each)), replace=False) for each in members])
    return originals.patches[rows], originals.labels[rows]


def as_samples(patches, labels):
    """Return bytes as a network takes them."""
    return Samples(standardised(patches)[..., None], labels)


# %%
def filtered(patches, copies, draw):
    """Return the patches, and then so many filtered copies of all of them less one."""
    rng = np.random.default_rng((seed, draw, 1))
    changed = [augment(patch, rng, diameter=box)[0] for _ in range(copies - 1) for patch in patches]
    return np.stack([*patches, *changed])


# %%
patches, labels = drawn(0)
which = [int((labels == 1).argmax())]  # turning shows in a side view
one = as_samples(patches[which], labels[which])
through = as_samples(filtered(patches[which], 8, 0), np.tile(labels[which], 8)).x
sheet = [one.x] * 8 + [TrainingBatches(one, 1, True, seed, epoch)[0][0] for epoch in range(8)] + [through]
kept = likeness(np.repeat(one.x, 8, axis=0), through, box)
figure, ax = plot.subplots(height=3.6)
trainings.samples(ax, np.concatenate(sheet), ("the same", "turned", "filtered"), columns=8)
plot.show(figure, "One patch eight times: unchanged, turned and mirrored, and passed through random filters.")
particle_patches = patches[labels != len(part.classes) - 1]
as_they_are = as_samples(np.tile(particle_patches, (4, 1, 1)), np.zeros(4 * len(particle_patches), int)).x
many = as_samples(filtered(particle_patches, 5, 0)[len(particle_patches) :], np.zeros(4 * len(particle_patches), int)).x
erased = (likeness(as_they_are, many, box) < 0.5).mean()
plot.sentences(
    "Correlation of the smoothed patch with the filtered one, last row: "
    + ", ".join(f"{value:.2f}" for value in kept)
    + ".",
    f"**Of {len(many)} filtered patches of particles, {erased:.0%} keep so little of the particle's shape that the "
    "correlation is below 0.5**: their label still says particle.",
)
record("filtered patches that lose the particle", erased)

# %% [markdown]
# So "filters do not change the class" is not true of all of them: equalisation followed by morphological opening, for
# one, turns a faint particle into blotches. Such a patch is a wrong label, made by ourselves.
#
# Now train. Each network goes five times through twelve copies of each cut-out, which are all the same, or turned, or
# filtered: as many steps for all three. Several draws of cut-outs, because one draw says little.

# %%
settings, copies, rows = replace(MODERN, epochs=5, batch_size=16, patience=None), 12, []
for draw in range(draws or (3 if quick else 5)):
    patches, labels = drawn(draw)
    many = np.tile(labels, copies)
    same = as_samples(np.concatenate([patches] * copies), many)
    ways = {"the same": (same, False), "turned": (same, True)}
    ways["filtered"] = as_samples(filtered(patches, copies, draw), many), False
    for way, (given, turning) in ways.items():
        network = new_network(part.classes, seed + draw)
        training.train(network, given, None, replace(settings, augmentation=turning), seed=seed + draw)
        accuracy = {"train": training.accuracy(network, given), "test": training.accuracy(network, part_test)}
        rows.append({"draw": draw + 1, "way": way, **accuracy})

# %%
augmented = pd.DataFrame(rows)
display(
    augmented.pivot_table(index="way", columns="draw", values=["train", "test"]).loc[list(ways)].style.format("{:.1%}")
)
mean = augmented.groupby("way")[["train", "test"]].mean().loc[list(ways)]
spread = augmented.groupby("way")["test"].agg(lambda each: each.max() - each.min()).max()
plot.sentences(
    "Mean test accuracy: "
    + ", ".join(f"{way} {value:.1%}" for way, value in mean["test"].items())
    + f" ({augmented['draw'].nunique()} draws; one way differs by up to {spread:.1%} from draw to draw)."
)
for way, accuracy in mean["test"].items():
    record(f"few patches, test accuracy, {way}", accuracy)
record("few patches, training accuracy, the same", mean.loc["the same", "train"])

# %% [markdown]
# Particles lie in the ice at any angle, so turned patches are as real as the others. Filtered ones teach that
# brightness and grain may vary, which these micrographs hardly do, and some teach that noise is a particle. With many
# patches, as in section 3, there is less to gain from either.

# %% [markdown]
# ## 8. A training that is killed (further)
#
# A training of hours meets a full disk, a time limit of the cluster, a power cut. Given a `folder`, `train` writes its
# whole state after every epoch: weights, the optimiser's memory, the best weights so far. Here another process trains,
# and is killed without warning after its third epoch.

# %%
state = output / "resumed"
state.mkdir(parents=True, exist_ok=True)
for file in state.glob("*"):  # of an earlier run of this lesson
    file.unlink()
part.save(state / "patches.npz")
settings = replace(MODERN, epochs=7, patience=None)
(state / "given.json").write_text(json.dumps({"width": width, "seed": seed, "settings": settings.to_dict()}))
script = """
import json, sys
from cryokit import networks
from cryokit.networks import training
from cryokit.networks.patches import TrainingSet
folder = sys.argv[1]
given = json.load(open(folder + "/given.json"))
patches = TrainingSet.load(folder + "/patches.npz")
network = networks.create("deepcryopicker", classes=patches.classes, width=given["width"], seed=given["seed"]).build()
train, validation = (training.Samples(*patches.arrays(split)) for split in ("train", "validation"))
settings = training.TrainingSettings(**given["settings"])
training.train(network, train, validation, settings, seed=given["seed"], folder=folder)
"""


# %%
def epochs_done():
    """Return how many epochs the training has written down."""
    written = state / "history.csv"
    return len(pd.read_csv(written)) if written.exists() else 0


with (state / "messages.txt").open("w") as messages:
    process = subprocess.Popen([sys.executable, "-c", script, str(state)], stderr=messages)
    while epochs_done() < 3 and process.poll() is None:
        time.sleep(0.02)
    process.kill()
    process.wait()
before_kill = epochs_done()
if before_kill < 3:
    raise RuntimeError((state / "messages.txt").read_text())
print(f"killed after epoch {before_kill} of {settings.epochs}; what it left behind:")
print(*(f"  {file.name}: {file.stat().st_size / 1e6:.2f} MB" for file in sorted(state.iterdir())), sep="\n")

# %% [markdown]
# The same call with the same folder goes on from there. As a check, a second network is trained without interruption.

# %%
part_train, part_validation = (Samples(*part.arrays(split)) for split in ("train", "validation"))
resumed, uninterrupted = new_network(part.classes), new_network(part.classes)
going_on = training.train(resumed, part_train, part_validation, settings, folder=state, seed=seed)
in_one = training.train(uninterrupted, part_train, part_validation, settings, seed=seed)
losses = {"killed and resumed": going_on.table.set_index("epoch")["val_loss"]}
losses["in one"] = in_one.table["val_loss"].to_numpy()
display(pd.DataFrame(losses).T.style.format("{:.6f}"))
apart = max(float(np.abs(a - b).max()) for a, b in zip(resumed.get_weights(), uninterrupted.get_weights(), strict=True))
plot.sentences(f"Largest difference of a weight between the two: {apart:.1g}.")
record("epochs before the kill", before_kill)
record("epochs in the end", len(going_on.table))
record("largest difference of a weight", apart)

# %% [markdown]
# It does not only go on: it ends with the same weights, because the order of the patches and their changes follow from
# the seed and the number of the epoch, not from what was drawn before. A folder with the state of *another* training
# (other patches, other settings) is refused, so that results do not get mixed.

# %% [markdown]
# ## 9. What the network looks at (further)
#
# **The first kernels.** The first convolution compares each place of the window with patterns of 11 x 11 pixels. They
# start as noise, and training adds to them what helps to decide. Each column is a pattern: as it started, as it ended,
# what was learned (the difference, in its own contrast), and the map of where a test patch has the pattern (bright).

# %%
start, end = (training.first_layer_kernels(network) for network in (new_network(classes), best))
responses = keras.Model(best.input, best.get_layer("C3").output)
example = int(np.flatnonzero((label == classes[0]) & by_label)[0])
maps = np.asarray(responses.predict_on_batch(samples["test"].x[[example]]))[0]
plot.show(training_figures.kernels(samples["test"].x[example], start, end, maps, title=f"{classes[0]} view"))
moved = np.linalg.norm(end - start, axis=(1, 2)) / np.linalg.norm(start, axis=(1, 2))
plot.sentences(f"Training changed the kernels by {moved.min():.0%} to {moved.max():.0%} of their length.")
record("least change of a kernel", moved.min())
record("largest change of a kernel", moved.max())

# %% [markdown]
# After so short a training the kernels still look like the noise that they started from. What was added is smooth,
# though: particles are larger than the grain of the ice, and a smooth pattern averages the grain away. Even a random
# pattern responds to something: some maps show what is dark, others what is bright. Most of the learning is done by the
# layers behind, which choose among these responses. The clear stripes and blobs of textbooks come from networks that
# saw a million pictures.
#
# **Saliency.** Which pixels does a decision depend on? The gradient of the log-odds of a class with respect to every
# pixel $x$ of the patch,
#
# $$S(x) = \frac{\partial}{\partial x} \log \frac{p_c}{1 - p_c}$$
#
# is positive where brighter pixels would speak for the class, and negative where darker ones would. A single gradient
# is grainy; the mean over copies of the patch with a little noise is clearer. **Orange**: brighter speaks for the
# class.
# **Violet**: darker does. All are test patches that the network gets right.

# %%
of_class = {name: np.flatnonzero((label == name) & by_label & (whole == (name in views))) for name in classes}
of_class = {name: members[:2] for name, members in of_class.items() if len(members) >= 2}
shown = {name: samples["test"].x[members] for name, members in of_class.items()}
salient = {name: training.saliency(best, pictures, classes.index(name)) for name, pictures in shown.items()}
plot.show(training_figures.saliency_sheet(shown, salient))

# %% [markdown]
# Is it the particle that it looks at? Two measurements on whole test particles that it got right. First, how much of
# the saliency lies within half a diameter of the centre, a circle that covers half of the window. Second, an
# experiment: the tenth of the pixels with the most saliency is replaced by grey, or another tenth, drawn at random.

# %%
chosen = np.flatnonzero(whole & by_label)[:60]
pictures, targets = samples["test"].x[chosen], samples["test"].y[chosen]
strength = np.abs(training.saliency(best, pictures, targets))
y, x = np.indices(strength.shape[1:]) - (training_set.size - 1) / 2
disc = np.hypot(x, y) < training_set.size / 1.25 / 2
inside = strength[:, disc].sum() / strength.sum()
changes = {
    "as they are": pictures,
    "without random pixels": greyed(pictures, np.random.default_rng(seed).random(strength.shape)),
    "without the most salient": greyed(pictures, strength),
}
sure = {
    words: training.probabilities(best, changed)[np.arange(len(chosen)), targets].mean()
    for words, changed in changes.items()
}
plot.sentences(
    f"{disc.mean():.0%} of the window is in the circle, and {inside:.0%} of the saliency ({len(chosen)} patches).",
    "Mean probability of the right class: " + ", ".join(f"{words} {value:.2f}" for words, value in sure.items()) + ".",
)
for words, value in sure.items():
    record(f"probability of the right class, {words}", value)
record("share of the window in the circle", disc.mean())
record("share of the saliency in the circle", inside)

# %% [markdown]
# ## 10. A lean alternative: the compact network (core)
#
# To judge a whole micrograph, the window is moved over it, and nearly all pixels are computed again and again (lesson
# 05). The compact network is *fully convolutional*: it takes a micrograph of any size and gives a map with the
# probabilities at every fourth pixel. And it is lean because its scale is: the micrograph is binned until a particle is
# 28 pixels across, which still shows all that tells a particle from ice. It has no fully connected layers; *dilated*
# kernels, with gaps between their pixels, see far enough. It also sees every micrograph at one scale and with one power
# spectrum: the shortcut of section 5 is gone.

# %%
lean_config = networks.create("compact", classes=("particle", "background"), seed=seed)
lean = lean_config.build()
lean_layers = layers(lean, (lean_config.window, lean_config.window))
plot.show(training_figures.anatomy(lean_layers, f"The compact network on a window of {lean_config.window} pixels"))
in_diameters = lean_config.window / WORKING_DIAMETER
comparison = {
    "DeepCryoPicker": [sums["parameters"], paper_config.window, 1.25, paper_config.window / 1.25],
    "compact": [lean_layers["parameters"].sum(), lean_config.window, in_diameters, WORKING_DIAMETER],
}
index = ["parameters", "window (pixels)", "window (diameters)", "particle (pixels)"]
display(pd.DataFrame(comparison, index=index).style.format("{:,.5g}"))

# %% [markdown]
# `whitened` brings a micrograph to this scale. `crops` cuts training samples from it: not patches with one class each,
# but larger crops with a class at *every* position of the map. Positions near a labelled centre are *particle*, those
# beyond a third of a diameter *background*, and in between nothing is asked. Labels are component 1's good particles.
# What it picked and rejected may be a particle or not, so nothing is asked there, either: its weight is zero.

# %%
names_of = {split: [name for name in of_split if diameters[name] == diameter] for split, of_split in named.items()}
names_of["test"] += last_test
labels = coordinates.table(
    particles["micrograph"],
    particles["x"],
    particles["y"],
    diameter=particles["diameter"],
    view=particles["class"].replace({"negative": "ignore"}),
)
prepared = {
    name: whitened(recorded(images[name]), diameter, "dark") for of_split in names_of.values() for name in of_split
}
maps, positions = {}, 12
for split, number in (("train", 240 if quick else 1600), ("validation", 60 if quick else 400)):
    pictures = [prepared[name] for name in names_of[split]]
    of_pictures = [labels[labels["micrograph"] == name] for name in names_of[split]]
    maps[split] = crops(pictures, of_pictures, lean_config, number, seed=seed, positions=positions)
example = int((maps["train"].y == 0).sum(axis=(1, 2)).argmax())
plot.show(training_figures.asked_positions(maps["train"], example, lean_config.window, lean_config.stride))

# %%
settings = replace(MODERN, learning_rate=2e-3, batch_size=16, epochs=6, patience=None, class_weights=False)
lean_history = training.train(lean, maps["train"], maps["validation"], settings, seed=seed)
figure, axes = plot.subplots(1, 2, height=3.8)
trainings.curves(axes[0], lean_history, "loss", title="the compact network")
axes[0].set_ylim(0, 0.5)
trainings.curves(axes[1], lean_history, "accuracy", legend=False)
always, reached = maps["validation"].class_shares(2)[1], float(lean_history.table["val_accuracy"].iloc[-1])
axes[1].axhline(always, color="0.5", linewidth=1)
axes[1].text(settings.epochs, always, "background everywhere", va="top", ha="right", color="0.3")
text = f"Accuracy of the validation positions: {reached:.3f}; background everywhere would have {always:.3f}."
plot.show(figure, f"Loss and accuracy of the compact network over {settings.epochs} epochs. {text}")
plot.sentences(text)
record("share of background positions", always)
record("validation accuracy of positions", reached)

# %% [markdown]
# Two things are often misread. In the first epoch validation is much worse than training: outside training, batch
# normalisation uses averages over the batches so far, which have not yet come to rest. And an accuracy of positions
# sounds better than it is, because nearly all of a micrograph is background: the grey line is reached without finding a
# single particle. What counts is F1, below.
#
# Now a test micrograph, which gave neither a crop nor a decision. Its score map has one probability every four pixels;
# the peaks of the map are the candidates.


# %%
def score_map_of(name, network=lean, config=lean_config):
    """Return the score map of a prepared micrograph."""
    return compact_picking.score_map(network, config, prepared[name])


def candidates_of(name, score_map, **options):
    """Return the peaks of a score map as picks."""
    return compact_picking.candidates(score_map, prepared[name].frame, name, diameter, **options)


shown = names_of["test"][0]
score_map = score_map_of(shown)
plot.show(score_figures.beside_map(prepared[shown].data, score_map, prepared[shown].frame, f"{shown}, prepared"))
work = multiply_adds(lean, tuple(size + lean_config.window for size in prepared[shown].data.shape))
one_by_one = score_map.particle.size * float(sums["multiply_adds"])
plot.sentences(
    f"{score_map.particle.size:,} positions cost {work / 1e9:.1f} billion multiply-adds together. The paper's network, "
    f"window by window, would need {one_by_one / 1e9:,.0f} billion, {one_by_one / work:,.0f} times as many."
)
record("times the multiply-adds of the compact network, window by window", one_by_one / work)

# %% [markdown]
# ## 11. The model as it is kept: weights, scale, threshold (core)
#
# A map is not yet a list of particles: how probable is probable enough? The threshold is chosen on the *validation*
# micrographs: the one with the best F1 against component 1's labels there. Without any labels the distribution of the
# scores themselves can tell, since particles and ice form two heaps.

# %%
on_validation = coordinates.concatenate(candidates_of(name, score_map_of(name)) for name in names_of["validation"])
of_validation = labels[labels["micrograph"].isin(names_of["validation"])]
threshold = best_threshold(on_validation, of_validation, micrographs=names_of["validation"])
without_labels = threshold_from_scores(on_validation["score"])
score_maps = {name: score_map_of(name) for name in names_of["test"]}
on_test = coordinates.concatenate(candidates_of(name, each) for name, each in score_maps.items())
result = evaluate.evaluate(on_test, truth, micrographs=names_of["test"], threshold=threshold, bootstrap=0)
figure, (left, right) = plot.subplots(1, 2, height=4)
left.hist(on_validation["score"], np.linspace(0, 1, 41), color="0.6")
left.set(xlabel="score", ylabel="candidates", title="validation: all peaks")
right.plot(result.curve["threshold"], result.curve["f1"], color="black")
right.set(xlabel="threshold", ylabel="F1", title="test, against the truth", ylim=(0, 1.02))
for ax in (left, right):
    ax.axvline(threshold, color=plot.CURVE_COLOURS[0], label=f"by labels: {threshold:.2f}")
    ax.axvline(without_labels, color=plot.CURVE_COLOURS[1], linestyle="--", label=f"by scores: {without_labels:.2f}")
    ax.set_xlim(0, 1)
left.legend(loc="upper center")
plot.show(
    figure,
    f"Left the scores of {len(on_validation)} peaks in two heaps, right F1 on {len(score_maps)} test "
    f"micrographs against the threshold. By labels it is {threshold:.2f}, by the scores {without_labels:.2f}.",
)

# %% [markdown]
# A network without its scale, its preprocessing and its threshold is of no use to anybody. `Model` keeps them together:
# a folder with the weights and a text file that people can read.

# %%
model = networks.Model(
    lean,
    lean_config,
    working_diameter=WORKING_DIAMETER,
    threshold=threshold,
    preprocessing={"kind": "whitened"},
    diameter=diameter,
    provenance={"labels": "component 1", "training": lean_history.summary()},
)
folder = model.save(output / "compact")
print(*(f"{file.name}: {file.stat().st_size / 1e6:.2f} MB" for file in sorted(folder.iterdir())), sep="\n")
pprint(networks.header(folder), width=90, compact=True, sort_dicts=False)

# %%
loaded = networks.Model.load(folder)
again = score_map_of(shown, loaded.network, loaded.config)
unchanged = bool(np.array_equal(again.scores, score_map.scores))
plot.sentences(f"Loaded again: threshold {loaded.threshold:.3f}, scores {'unchanged' if unchanged else 'CHANGED'}.")
record("loaded again it gives the same scores", unchanged)
record("threshold", loaded.threshold)

# %% [markdown]
# Is the pupil better than its teacher? One micrograph cannot tell. Below are all the test micrographs, with intervals
# over micrographs and the paired test that lesson 06 explains.

# %%
tables = {
    "component 1": coordinates.concatenate(found[name] for name in names_of["test"]),
    "compact network": on_test[on_test["score"] >= loaded.threshold],
}
judged = {who: evaluate.evaluate(table, truth, micrographs=names_of["test"]) for who, table in tables.items()}
figure, axes = plot.subplots(1, 2, height=5)
for ax, (who, each) in zip(axes, judged.items(), strict=True):
    plot.overlay(ax, images[shown], evaluation=each)
    ax.set_title(who)
    record(f"F1 on unseen micrographs, {who}", each.f1)
scores = "; ".join(f"{who} {f1_words(each)}" for who, each in judged.items())
plot.show(figure, f"Micrograph {shown} with the picks of both. On all {len(score_maps)}: {scores}.")
test = paired.compare(judged["compact network"].per_micrograph, judged["component 1"].per_micrograph)
plot.sentences(
    f"On {test.micrographs} test micrographs: {scores}.", compared_words(test, "the compact network", "component 1")
)
record("test micrographs", test.micrographs)
record("p of pupil against teacher", test.p)

# %% [markdown]
# How can a pupil surpass its teacher? Component 1 decides by a mask of grey values, and now and then noise looks like a
# particle in the mask. Such errors are different each time; what the good particles have in common is not, and that is
# what a network learns. Errors that are the same each time are another matter, and a network may well share them: look
# for the lumps of ice that both have picked.

# %% [markdown]
# ## 12. What goes wrong, and how it looks (further)
#
# A network knows what it was shown, nothing else. Here the test patches of section 4 are changed in ways that happen in
# practice: bright particles instead of dark ones, a wrong diameter (the window shows too much or too little), grey
# values that were not standardised, more noise.

# %%
rows, changed = {}, mishaps(samples["test"].x, seed=seed)
for words, pictures in changed.items():
    probability_now = training.probabilities(best, pictures)
    now = np.array(classes)[probability_now.argmax(axis=1)]
    hits = np.where(whole, now == there["view"], ~np.isin(now, views))[decided].mean()
    rows[words] = {"accuracy": hits, "mean probability": probability_now.max(axis=1).mean()}
    rows[words] |= {f"says {name}": (now == name).mean() for name in classes}
    record(f"accuracy against the truth, {words}", hits)
display(pd.DataFrame(rows).T.style.format("{:.0%}"))
place = int(np.flatnonzero(whole & (there["view"] == classes[0]).to_numpy())[0])
figure, axes = plot.subplots(1, len(changed), height=1.9)
for ax, (words, pictures) in zip(axes, changed.items(), strict=True):
    ax.imshow(pictures[place, :, :, 0], cmap="gray", vmin=-3, vmax=3)
    ax.set(xticks=[], yticks=[])
    ax.set_title(words.replace(" ", "\n", 1), fontsize=10)
plot.show(figure, "One patch as trained and in five wrong versions: inverted, too small, too large, white, noisy.")

# %% [markdown]
# None of these raises an error. The network goes on answering, and is hardly less sure of itself (compare the first two
# columns): the probability of a softmax says which of its classes fits best, not whether any of them fits. In practice
# these mistakes show as far fewer particles than the eye sees, scores without two heaps, picks that are all ice or all
# edges. This is why scale, contrast and preprocessing are stored with the model.
#
# Errors of the training itself look different:
#
# - **The loss stays at $\log C$**: the learning rate is far too low, or labels and patches do not belong together.
# - **The loss becomes NaN**: the rate is too high. `train` stops, says so, and keeps the best weights.
# - **Training falls, validation rises from the first epoch on**: too few patches for the network. Augment, or make it
#   narrower.
# - **Validation is perfect, picks are poor**: the split was by patch, and copies of the same particle are on both
#   sides; or the validation labels have the same errors as the training labels (section 4); or a shortcut (section 5).
#
# ## Key points
#
# - Convolutions hold the operations, fully connected layers the parameters.
# - A validation set is for decisions, a test set for one look. Both need micrographs of their own.
# - Labels made by a machine are wrong in places. A network trained on them can be right there, and is counted wrong.
# - A class that comes from one kind of micrograph can be recognised by the micrograph. Look for such shortcuts before
#   you trust an accuracy.
# - A model is weights *and* scale, contrast, preprocessing and threshold.
#
# ## Questions
#
# **1.** A colleague trains on 1,500 patches of each class, tests on 300 of each, all drawn at random from the same 80
# micrographs, and reports 99.8 %. What do you ask?
#
# <details><summary>Answer</summary>
# <p>Whether patches of one micrograph, or rotated copies of one particle, are on both sides of the split; where the
# test labels come from; whether classes come from different micrographs. With a split by patch the network can
# recognise the ice.</p>
# </details>
#
# **2.** The loss of a five-class network stays at 1.61. Why this number?
#
# <details><summary>Answer</summary>
# <p>It is log 5: all classes are equally probable for every patch. The network has learned nothing.</p>
# </details>
#
# **3.** In the confusion matrix, 40 % of the negatives are called particles. Is the network bad?
#
# <details><summary>Answer</summary>
# <p>You cannot know from the matrix. Look at these patches: if they show particles that component 1 rejected, the
# labels are at fault, and the network is right.</p>
# </details>
#
# **4.** How would you make sure that "irregular" is learned from the ribosome's shape and not from its grain?
#
# <details><summary>Answer</summary>
# <p>Give all patches the same grain (smooth the finer ones), or cut background and negatives of each protein and let
# classes occur in both; then repeat the experiment of section 5.</p>
# </details>
#
# ## Try it
#
# - Set `width` to 0.05 and to 0.2 (without JupyterLab: `cryokit notebooks run 04 -p width=0.2`). Which accuracies of
#   section 3 change, those of training or those of the test?
# - Set `few` to 5, 10, 20. From how many patches on does augmentation stop mattering in section 7? Set `draws`, too.
# - Rebuild the set with `seen.training_particles(select(seen.picked), debris=0.2)`, which leaves out the faint near
#   misses: does the share of particles among the negatives fall or rise?
#
# ## Read on
#
# - Krizhevsky, Sutskever & Hinton 2012, *ImageNet classification with deep convolutional neural networks*: the network.
# - Geirhos et al. 2020, *Shortcut learning in deep neural networks*, Nature Machine Intelligence 2:665.
# - Northcutt, Athalye & Mueller 2021, *Pervasive label errors in test sets*, NeurIPS: section 4 on other data.
# - Lesson 05: the network goes over whole micrographs.
