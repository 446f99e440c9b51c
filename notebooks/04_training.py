# %% [markdown]
# # Training a network
#
# Notebook 03 ends with patches whose classes nobody has looked at: the first half of DeepCryoPicker found the
# particles, judged them, and made labels of its judgement. The second half is a network that learns from them. This
# notebook builds it, trains it, and asks what it has learned, always on micrographs that the training did not see:
#
# 1. the network, layer by layer: where the parameters and where the operations are
# 2. a training set without a label from anybody
# 3. training curves: the paper's settings against today's, on the same patches
# 4. what the network confuses, and who is wrong, it or its labels
# 5. the three class settings: table 3 of the paper
# 6. what augmentation does when there are few patches
# 7. a training that is killed, and goes on
# 8. what the network looks at: its first kernels, and saliency
# 9. a lean alternative: the compact network, trained on class maps
# 10. the model as it is kept: weights, scale, threshold
# 11. what goes wrong, and how it looks
#
# The micrographs are simulated, so that the truth can judge at the end; no training sees it. The quick profile takes
# about three minutes on two cores, with a *narrow* network: a tenth of the paper's filters in every layer. What it
# shows about training holds for the wide one, its accuracy does not.
#
# "The paper" is Al-Azzawi et al. 2020, BMC Bioinformatics 21:509 (DeepCryoPicker); its numbers are quoted as reported.

# %% tags=["parameters"]
profile = "quick"  # quick: a narrow network, few patches; full: a wider one, more of everything (hours on a processor)
seed = 0  # another number gives other micrographs, other weights to start from, another order of the patches
data_dir = ""  # a folder with apoferritin_10146 and betagal_10017 instead of the simulation
width = 0.0  # of the network's layers, 1 is the paper's; 0: 0.1 (quick) or 0.25 (full)
epochs = []  # of the three class settings, such as [20, 32, 64]; []: [20] (quick) or the paper's three (full)
per_class = 0  # patches of each class; 0: 120 (quick) or 600 (full)
few = 6  # patches of each class where augmentation is tried
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

from cryokit.networks.devices import device_text, import_keras

keras = import_keras()
# It warns when functions are compiled anew, as every new network has to be.
logging.getLogger("tensorflow").setLevel(logging.ERROR)

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from IPython.display import display
from matplotlib.colors import ListedColormap
from scipy import ndimage

from cryokit import coordinates, evaluate, micrograph, networks, pickers, plot, simulate
from cryokit.cli.notebook_runner import record
from cryokit.evaluate.thresholds import best_threshold, threshold_from_scores
from cryokit.imaging.preparation import WORKING_DIAMETER, recorded, whitened
from cryokit.networks import training
from cryokit.networks.describe import layers, multiply_adds
from cryokit.networks.patches import CLASS_SETTINGS, CLASSES, augment, build, standardised
from cryokit.networks.training import MODERN, PAPER, PAPER_EPOCHS, Samples
from cryokit.networks.training.batches import TrainingBatches
from cryokit.networks.training.crops import crops
from cryokit.networks.training.measures import distinct_settings, only_classes
from cryokit.pickers import compact_picking
from cryokit.plot import trainings
from cryokit.segmentation.selection import select

plt.rcParams["figure.constrained_layout.use"] = True
output = Path(output_dir)
quick = profile == "quick"
width = width or (0.1 if quick else 0.25)
epochs = list(epochs) or ([PAPER_EPOCHS[0]] if quick else list(PAPER_EPOCHS))
per_class = per_class or (120 if quick else 600)
print(device_text())

# %% [markdown]
# ## 1. The network, layer by layer
#
# Table 9 of the paper, the network of Krizhevsky et al. (2012) with other numbers: five convolutions (C), three
# max-poolings (M), two fully connected layers (F), and an output (O) with one probability for each class. It looks at a
# *window* of 227 x 227 pixels and says what is in its middle.
#
# `layers` lists what a network is made of. A **parameter** is a number that training has to find. A **multiply-add** is
# a multiplication with a parameter and the addition that follows; their number is what one window costs.

# %%
views = ("top", "side", "irregular")
paper_config = networks.create("deepcryopicker", classes=(*views, "negative", "background"))
table_9 = layers(paper_config.build())
display(table_9.style.format("{:,}", subset=["parameters", "multiply_adds"]).hide(axis="index"))
sums = table_9[["parameters", "multiply_adds"]].sum()
print(f"{sums['parameters']:,} parameters, {sums['multiply_adds']:,} multiply-adds for one window")
record("parameters", int(sums["parameters"]))
record("multiply-adds of a window", int(sums["multiply_adds"]))


# %%
def draw_network(table, title):
    """Draw a network, and below each layer its share of parameters and multiply-adds."""
    _, (above, below) = plt.subplots(2, 1, figsize=(12, 5.8), height_ratios=[1.2, 1])
    trainings.network(above, table, title=title)
    trainings.layer_shares(below, table)
    plt.show()


draw_network(table_9, "DeepCryoPicker, table 9: height for the size of the maps, breadth for their number")
connected = table_9["type"] == "Dense"
in_connected = table_9.loc[connected, ["parameters", "multiply_adds"]].sum() / sums
record("share of the parameters in connected layers", in_connected["parameters"])
record("share of the multiply-adds in connected layers", in_connected["multiply_adds"])

# %% [markdown]
# The two are in different places. A convolution has few parameters and uses each of them at every position of its map:
# there the operations are. A fully connected layer uses each of its parameters once: there the parameters are, most of
# them in the first, which is connected to all positions of all maps. Most parameters of this network are in layers that
# do hardly any work, and have to be found from some hundred patches nevertheless.
#
# On a processor one pass of the wide network takes long enough to make a lesson tedious, so from here on every layer
# has the fraction `width` of its filters. The window, the strides and the order of the layers stay.


# %%
def new_network(classes, seed=seed):
    """Return the narrow network with random weights."""
    return networks.create("deepcryopicker", classes=tuple(classes), width=width, seed=seed).build()


narrow = layers(new_network(paper_config.classes))[["parameters", "multiply_adds"]].sum()
for words, column in (("parameters", "parameters"), ("multiply-adds of a window", "multiply_adds")):
    print(f"width {width:g}: {narrow[column]:,} {words}, {narrow[column] / sums[column]:.1%} of the paper's network")

# %% [markdown]
# ## 2. A training set without a label from anybody
#
# As in notebook 03: the clustering pickers find particles, selection tells good examples of each view from all else,
# and all else is called *negative*. KLH has top and side views, the ribosome is irregular. That particles are dark, and
# how large they are, is all that anybody tells. `build` cuts windows in which a box of 1.25 diameters fills the 227
# pixels, and divides them **by micrograph**.


# %%
def simulated():
    """Return, for each protein, the method of component 1, the micrographs and their true particles."""
    more = 1 if quick else 3
    sets = {}
    for name, method, number, given in (
        ("klh", "autocryopicker", 8, {"shape": (2048, 2048), "n_particles": 48}),
        ("ribosome", "supercryoempicker", 4, {"shape": (1024, 1024)}),
    ):
        pairs = list(simulate.simulate_set(name, number * more, seed=seed, **given))
        truth = coordinates.concatenate(particles for _, particles in pairs)
        sets[name] = method, [image for image, _ in pairs], truth
    return sets


def real():
    """Return the same from files; half of them in the quick profile."""
    sets = {}
    for name, method in (("apoferritin_10146", "autocryopicker"), ("betagal_10017", "supercryoempicker")):
        files = micrograph.find([Path(data_dir) / name / "micrographs"])[:: 2 if quick else 1]
        images = [micrograph.read(file) for file in files]
        labels = [
            coordinates.read(Path(data_dir) / name / "labels" / f"{file.stem}.csv", micrograph=image.name)
            for file, image in zip(files, images, strict=True)
        ]
        sets[name] = method, images, coordinates.concatenate(labels)
    return sets


micrographs, truth, diameters, tables, found = {}, [], {}, [], {}
for name, (method, images, particles) in (real() if data_dir else simulated()).items():
    diameter = float(particles["diameter"].median())
    picker = pickers.create(method, diameter=diameter, contrast="dark").fit(images)
    truth.append(particles)
    for image in images:
        seen = picker.examine(image)
        micrographs[image.name], diameters[image.name] = image, diameter
        found[image.name] = seen.picks()
        tables.append(seen.training_particles(select(seen.picked)))
    print(f"{name}: {len(images)} micrographs, particles {diameter:.0f} pixels across, picked by {method}")
truth, particles = coordinates.concatenate(truth), pd.concat(tables, ignore_index=True)

having = {*particles["class"], "background"}
training_set = build(
    micrographs.values(),
    particles,
    classes=[name for name in CLASSES if name in having],
    per_class=per_class,
    size=paper_config.window,
    box=1.25,
    diameter=diameters,
    test=0.3,
    seed=seed,
)
classes = training_set.classes
display(training_set.counts())
split_of = {each["name"]: each["split"] for each in training_set.provenance["micrographs"]}
named = {split: [name for name in split_of if split_of[name] == split] for split in ("train", "validation", "test")}
for split, names in named.items():
    print(f"{split}: {', '.join(names)}")
samples = {split: Samples(*training_set.arrays(split)) for split in named}
record("patches", {split: len(each) for split, each in samples.items()})
record("splits of a micrograph, at most", int(training_set.table.groupby("micrograph")["split"].nunique().max()))

# %%
figure, ax = plt.subplots(figsize=(12, 1.25 * len(classes)))
plot.training_sheet(ax, training_set.subset("train"), 10, seed=seed)
ax.set_title("patches of the training, particles dark", fontsize="medium")
plt.show()

# %% [markdown]
# The three parts have three uses, and no patch has two:
#
# - **train**: the weights are changed until these are right.
# - **validation**: nothing is learned from them, but *we* look at them to decide: when to stop, which weights to keep.
# - **test**: looked at once, when all is decided. Every accuracy below is of these, if it is not said otherwise.
#
# ## 3. Training curves: the paper's settings against today's
#
# The output is the softmax of the last layer, probabilities $p_{ic}$ of class $c$ for patch $i$. What training makes
# small is the cross-entropy (the paper's equation 10): with $c_i$ for the true class of each of $n$ patches,
#
# $$L = -\frac{1}{n} \sum_{i=1}^{n} \log p_{i c_i}$$
#
# A network that knows nothing gives each of the $C$ classes the same probability, and has $L = \log C$. The paper uses
# stochastic gradient descent (SGD): for a batch of 16 patches the gradient of $L$ with respect to the weights $w$, and
# a small step against it, with momentum $\mu$ and the learning rate $\eta$,
#
# $$v \leftarrow \mu v - \eta \nabla L \qquad w \leftarrow w + v$$
#
# at $\eta = 10^{-4}$ from the first step to the last. Today's preset uses Adam, which scales the step of each weight by
# the size that its gradients usually have; a rate that rises for a moment and then falls along a cosine; patches that
# are turned and changed in contrast anew in each epoch; and it stops when the validation loss has not fallen for
# five epochs. In both cases the weights of the best epoch are kept.

# %%
PRESETS = {"paper (SGD)": PAPER, "today (Adam)": MODERN}
chosen = pd.DataFrame({name: settings.to_dict() for name, settings in PRESETS.items()})
display(chosen)

# %%
trained, histories, rows = {}, {}, {}
for name, settings in PRESETS.items():
    trained[name] = new_network(classes)
    histories[name] = training.train(
        trained[name],
        samples["train"],
        samples["validation"],
        replace(settings, epochs=epochs[0]),
        seed=seed,
    )
    told = histories[name].summary()
    measured = {split: training.accuracy(trained[name], each) for split, each in samples.items()}
    rows[name] = {"epochs": told["epochs"], "best epoch": told["best_epoch"], "val_loss": told["val_loss"], **measured}
    record(f"validation loss, {name}", told["val_loss"])
    record(f"test accuracy, {name}", measured["test"])

figure, axes = plt.subplots(1, 2, figsize=(12, 4.6))
trainings.curves(axes[0], histories, "loss", title="dashed: training, solid: validation, dot: the weights kept")
axes[0].axhline(np.log(len(classes)), color="0.5", linewidth=1)
axes[0].text(epochs[0], np.log(len(classes)), "knows nothing: log C", va="bottom", ha="right", color="0.3")
trainings.curves(axes[1], histories, "accuracy", legend=False)
axes[1].axhline(1 / len(classes), color="0.5", linewidth=1)
axes[1].text(epochs[0], 1 / len(classes), "guesses: 1 / C", va="bottom", ha="right", color="0.3")
plt.show()
compared = pd.DataFrame(rows).T
display(compared.style.format("{:.3f}").format("{:.0f}", subset=["epochs", "best epoch"]))
reached = {
    name: int((each.table["val_loss"] > compared["val_loss"].max()).cummin().sum()) + 1
    for name, each in histories.items()
}
print(f"epochs until a validation loss of {compared['val_loss'].max():.3f}:", reached)
for name, number in reached.items():
    record(f"epochs to the same validation loss, {name}", number)

# %% [markdown]
# Read the curves in pairs. As long as dashed and solid fall together, the network learns what holds for other
# micrographs, too. When the dashed one goes on falling and the solid one does not, it learns its patches by heart.
# A validation curve of so few patches jumps by chance; that is why the best epoch, not the last, is kept, and why
# a single jump does not stop the training.
#
# At the paper's rate each step is small. With its 4,800 patches (five classes) an epoch has 300 steps; here it has only
# some tens, so the same number of epochs is a much shorter way. Today's settings reach the same validation loss
# in fewer epochs.
#
# ## 4. What it confuses, and who is wrong
#
# Rows are the labels, columns what the network says, on the micrographs of the test.

# %%
best = trained["today (Adam)"]
matrix = training.confusion_matrix(best, samples["test"], classes=classes)
figure, ax = plt.subplots(figsize=(6.2, 5.4))
trainings.confusion(ax, matrix)
plt.show()
own = pd.Series(np.diag(matrix) / matrix.sum(axis=1), index=classes)
others = [name for name in classes if name != "negative"]
record("recall of negatives", own["negative"])
record("mean recall of the other classes", own[others].mean())

# %% [markdown]
# Nearly everything is found again, but for one class. What are the *negatives*? Component 1 rejected them: because
# nothing is there, or because the mask was torn, which says little about the particle. The truth, which neither of the
# two has seen, can tell.


# %%
def at_places(table):
    """Return for each row of a table with places which view is there: "" for nothing, "ignore" for a damaged one."""
    places = table.drop_duplicates("original")
    picks = coordinates.table(places["micrograph"], places["x"], places["y"])
    result = evaluate.evaluate(picks, truth, micrographs=sorted(set(places["micrograph"])), bootstrap=0)
    there = np.append(result.labels["view"].to_numpy(), "")[result.picks["label"]]
    there = np.where(result.picks["outcome"] == "ignored", "ignore", there)
    return table["original"].map(dict(zip(places["original"], there, strict=True))).to_numpy()


test_table = training_set.subset("test").table
there = at_places(test_table)
is_whole = np.isin(there, views)
what = np.select([is_whole, there == "ignore"], ["whole particle", "damaged particle"], "nothing")
probability = training.probabilities(best, samples["test"].x)
said = np.array(classes)[probability.argmax(axis=1)]
says_particle = np.isin(said, views)
negative = (test_table["class"] == "negative").to_numpy()
verdict = np.where(says_particle, "a particle", said)
table = pd.crosstab(pd.Series(what[negative], name="the truth"), pd.Series(verdict[negative], name="the network says"))
display(table)
record("whole particles among the negatives of the test", (is_whole & negative).sum() / negative.sum())
record("of these the network calls a particle", says_particle[is_whole & negative].mean())
record(
    "of nothing labelled negative the network calls a particle", says_particle[negative & (what == "nothing")].mean()
)

right = np.where(is_whole, said == there, ~says_particle)
decided = what != "damaged particle"
by_label = said == test_table["class"].to_numpy()
print(f"accuracy against component 1's labels: {by_label[decided].mean():.3f}")
print(f"accuracy against the truth:            {right[decided].mean():.3f}  (damaged particles left out of both)")
record("accuracy against the labels", by_label[decided].mean())
record("accuracy against the truth", right[decided].mean())

# %%
sheets = {
    "labelled negative, the network says particle: and one is there": negative & says_particle & is_whole,
    "labelled negative, the network says particle: nothing is there": negative & says_particle & (what == "nothing"),
    "labelled negative, the network agrees": negative & (said == "negative"),
}
sheets = {title: np.flatnonzero(which) for title, which in sheets.items() if which.any()}
figure, axes = plt.subplots(len(sheets), 1, figsize=(12, 2 * len(sheets)), squeeze=False)
for ax, (title, which) in zip(axes[:, 0], sheets.items(), strict=True):
    trainings.samples(ax, samples["test"].x[which[:10]], columns=10, title=f"{title} ({len(which)})")
plt.show()

# %% [markdown]
# Many of the "errors" are errors of the labels: where a whole particle was thrown into the negatives, the network often
# calls it a particle, against what it was told of patches like it. The good views are many and consistent, the wrong
# negatives are few and all different; a network averages over such contradictions. So its accuracy against the truth is
# higher than against the labels it is tested with. **An accuracy can be no better than the labels that measure it.**
#
# ## 5. The three class settings: table 3
#
# The paper tries three sets of classes: the views with background, the views with negatives, and all five.
# `classification_table` trains a new network for each. The column *reported* is table 3 of the paper: the wide
# network, real patches, and a test on patches *from the micrographs it trained on*. Here a narrow network learns from
# some hundred simulated patches, and is tested on other micrographs. Compare the order of the rows, not the numbers.

# %%
started = time.perf_counter()
parts = []
for name, settings in {"today": MODERN, **({} if quick else {"paper": PAPER})}.items():
    part = training.classification_table(training_set, new_network, epochs=epochs, settings=settings, seed=seed)
    parts.append(part.assign(settings=name))
table_3 = pd.concat(parts, ignore_index=True).rename(columns={"published": "reported"})
shown = table_3[["setting", "classes", "settings", "epochs", "best_epoch", "train", "validation", "test", "reported"]]
shares = ["train", "validation", "test", "reported"]
display(shown.style.format("{:.1%}", subset=shares, na_rep="").hide(axis="index"))
print(f"{time.perf_counter() - started:.0f} s")
for row in table_3[table_3["settings"] == "today"].itertuples():
    record(f"test accuracy, {row.setting}, {row.epochs} epochs", row.test)

# %% [markdown]
# The first row leads, here as in the paper. With background the task is easy: a window is on a particle or on nothing.
# Wherever negatives are a class it is hard, for the reason of section 4; where both are, the network also has to tell
# two kinds of nothing apart, ice that component 1 had taken for a candidate and ice that it had not. The lesson for
# picking: if the negatives are not clean, leave them out.
#
# ## 6. What augmentation does
#
# Augmentation makes new patches from old ones by changes that do not change the class. Two kinds:
#
# - *turned*: rotated and mirrored, contrast and brightness changed a little, anew in each epoch (`augmentation=True`)
# - *filtered*: as the paper, by a random choice of the stages of notebook 01, computed once
#   (`cryokit.networks.patches.augment`)
#
# It matters where patches are few. Below each class has only `few` cut-outs. Each network goes five times through
# twelve copies of each, which are all the same, or turned, or filtered: as many steps for all three.

# %%
four = distinct_settings(CLASS_SETTINGS, classes)["4 + background"]
part = only_classes(training_set, four)
part_test = Samples(*part.arrays("test"))
originals = part.subset("train")
plain = originals.table.query("rotation == 0 and augmentation == ''")


def drawn(draw):
    """Return some cut-outs of each class as bytes, and their classes: another draw, others."""
    rng = np.random.default_rng((seed, draw))
    members = [plain.index[plain["class"] == name] for name in part.classes]
    rows = np.concatenate([rng.choice(each, min(few, len(each)), replace=False) for each in members])
    return originals.patches[rows], originals.labels[rows]


def as_samples(patches, labels):
    """Return bytes as what a network takes."""
    return Samples(standardised(patches)[..., None], labels)


def filtered(patches, copies, draw):
    """Return the patches, and then so many filtered copies of all of them less one."""
    rng = np.random.default_rng((seed, draw, 1))
    diameter = training_set.size / 1.25
    changed = [augment(patch, rng, diameter=diameter)[0] for _ in range(copies - 1) for patch in patches]
    return np.stack([*patches, *changed])


patches, labels = drawn(0)
which = [int((labels == 1).argmax())]  # turning shows in a side view
one = as_samples(patches[which], labels[which])
sheet = [one.x] * 8
sheet += [TrainingBatches(one, 1, True, seed, epoch)[0][0] for epoch in range(8)]
sheet += [as_samples(filtered(patches[which], 8, 0), np.tile(labels[which], 8)).x]
figure, ax = plt.subplots(figsize=(12, 4.6))
trainings.samples(ax, np.concatenate(sheet), ("the same", "turned", "filtered"), columns=8)
plt.show()

# %%
settings, copies = replace(MODERN, epochs=5, batch_size=16, patience=None), 12
rows = []
for draw in range(2 if quick else 4):
    patches, labels = drawn(draw)
    many = np.tile(labels, copies)
    same = as_samples(np.concatenate([patches] * copies), many)
    ways = {
        "the same": (same, False),
        "turned": (same, True),
        "filtered": (as_samples(filtered(patches, copies, draw), many), False),
    }
    for way, (given, turning) in ways.items():
        network = new_network(part.classes, seed + draw)
        training.train(network, given, None, replace(settings, augmentation=turning), seed=seed + draw)
        accuracy = {"train": training.accuracy(network, given), "test": training.accuracy(network, part_test)}
        rows.append({"draw": draw + 1, "way": way, **accuracy})
augmented = pd.DataFrame(rows).pivot_table(index="way", columns="draw", values=["train", "test"])
augmented = augmented.loc[list(ways), ["train", "test"]]
augmented["test", "mean"] = augmented["test"].mean(axis=1)
display(augmented.style.format("{:.1%}"))
for way, accuracy in augmented["test", "mean"].items():
    record(f"few patches, test accuracy, {way}", accuracy)
record("few patches, training accuracy, the same", augmented["train"].loc["the same"].mean())

# %% [markdown]
# All have learned their own patches, or nearly so (the left columns). On other micrographs the network that saw turned
# patches does best: particles lie in the ice at any angle, so turned ones are as real as the others. The filters help
# little, if at all: they teach that brightness and grain may vary, which the micrographs here hardly do. With many
# patches, as in section 3, there is less to gain.
#
# ## 7. A training that is killed
#
# A training of hours meets a full disk, a time limit of the cluster, a power cut. With `folder`, `train` writes its
# whole state after every epoch: weights, the optimiser's memory, the best weights so far. Here another process
# trains, and is killed without warning after its third epoch.

# %%
state = output / "resumed"
for file in state.glob("*"):  # of an earlier run of this notebook
    file.unlink()
state.mkdir(parents=True, exist_ok=True)
part.save(state / "patches.npz")
settings = replace(MODERN, epochs=7, patience=None)
script = """
import json, sys
from cryokit import networks
from cryokit.networks import training
from cryokit.networks.devices import import_keras
from cryokit.networks.patches import TrainingSet
folder, given = sys.argv[1], json.loads(sys.argv[2])
import_keras()
patches = TrainingSet.load(folder + "/patches.npz")
network = networks.create("deepcryopicker", classes=patches.classes, width=given["width"], seed=given["seed"]).build()
train, validation = (training.Samples(*patches.arrays(split)) for split in ("train", "validation"))
settings = training.TrainingSettings(**given["settings"])
training.train(network, train, validation, settings, seed=given["seed"], folder=folder)
"""
given = json.dumps({"width": width, "seed": seed, "settings": settings.to_dict()})


def epochs_done():
    """Return how many epochs the training has written down."""
    written = state / "history.csv"
    return len(pd.read_csv(written)) if written.exists() else 0


with (state / "messages.txt").open("w") as messages:
    process = subprocess.Popen([sys.executable, "-c", script, str(state), given], stderr=messages)
    while epochs_done() < 3 and process.poll() is None:
        time.sleep(0.02)
    process.kill()
    process.wait()
before = epochs_done()
if before < 3:
    raise RuntimeError((state / "messages.txt").read_text())
print(f"killed after epoch {before} of {settings.epochs}; what it left behind:")
print(*(f"  {file.name}: {file.stat().st_size / 1e6:.2f} MB" for file in sorted(state.iterdir())), sep="\n")

# %% [markdown]
# The same call with the same folder goes on from there. To check it, a second network is trained without any
# interruption.

# %%
part_train, part_validation = (Samples(*part.arrays(split)) for split in ("train", "validation"))
resumed, uninterrupted = new_network(part.classes), new_network(part.classes)
options = dict(seed=seed)
going_on = training.train(resumed, part_train, part_validation, settings, folder=state, **options)
in_one = training.train(uninterrupted, part_train, part_validation, settings, **options)
losses = pd.DataFrame(
    {"killed and resumed": going_on.table.set_index("epoch")["val_loss"], "in one": in_one.table["val_loss"].to_numpy()}
)
display(losses.T.style.format("{:.6f}"))
apart = max(float(np.abs(a - b).max()) for a, b in zip(resumed.get_weights(), uninterrupted.get_weights(), strict=True))
print(f"largest difference of a weight: {apart:g}")
record("epochs before the kill", before)
record("epochs in the end", len(going_on.table))
record("largest difference of a weight", apart)

# %% [markdown]
# Not only does it go on: it ends with the same weights, because the order of the patches and their changes follow from
# the seed and the number of the epoch, not from what was drawn before. A folder with the state of *another* training
# (other patches, other settings) is refused, so that results do not get mixed.
#
# ## 8. What the network looks at
#
# **The first kernels.** The first convolution compares each place of the window with a few patterns of 11 x 11 pixels.
# They start as noise, and training adds to them what helps to decide. Each column is a pattern: as it started, as it
# ended, what was learned (the difference, in its own contrast), and the map of where a patch of the test has the
# pattern (bright).

# %%
start, end = (training.first_layer_kernels(network) for network in (new_network(classes), best))
count = min(len(end), 10)
responses = keras.Model(best.input, best.get_layer("C3").output)
example = int(np.flatnonzero((test_table["class"] == classes[0]).to_numpy() & (said == classes[0]))[0])
maps = np.asarray(responses.predict_on_batch(samples["test"].x[[example]]))[0]
figure = plt.figure(figsize=(12, 4.6))
left, right = figure.subfigures(1, 2, width_ratios=[1, 4.4])
plot.show_micrograph(left.subplots(), samples["test"].x[example, :, :, 0], title=f"{classes[0]} view")
for row, (words, of_row) in zip(
    right.subplots(4, count),
    {"start": start, "end": end, "learned": end - start, "map": maps.transpose(2, 0, 1)}.items(),
    strict=True,
):
    for ax, picture in zip(row, of_row, strict=False):
        limit = np.abs(picture).max() or 1
        low = 0 if words == "map" else -limit
        ax.imshow(picture, cmap="gray", vmin=low, vmax=limit)
        ax.set(xticks=[], yticks=[])
    row[0].set_ylabel(words)
plt.show()
moved = np.linalg.norm(end - start, axis=(1, 2)) / np.linalg.norm(start, axis=(1, 2))
print("change of each kernel, as a share of its length:", np.round(moved, 2))
record("least change of a kernel", moved.min())
record("largest change of a kernel", moved.max())

# %% [markdown]
# The finished kernels of so short a training still look like the noise that they started from: of each only the
# printed share has changed. What was added is smooth, though: particles are larger than the grain of the ice, and
# a smooth pattern averages the grain away. And a random pattern answers to something, too: the maps show kernels that
# find what is dark, and others that find what is bright. Most of the learning is done by the layers behind, which
# choose among these answers. The clear stripes and blobs of textbooks come from networks that saw a million pictures.

# %% [markdown]
# **Saliency.** Which pixels does a decision depend on? The gradient of the log-odds of a class with respect to every
# pixel $x$ of the patch,
#
# $$S(x) = \frac{\partial}{\partial x} \log \frac{p_c}{1 - p_c}$$
#
# is positive where brighter would speak for the class, and negative where darker would. A single gradient is grainy;
# the mean over copies of the patch with a little noise is clearer (and smoothed a little here, for the eye).
# **Orange**: brighter speaks for the class. **Violet**: darker does. All patches are of the test, and the network has
# them right.

# %%
of_class = {
    name: np.flatnonzero((test_table["class"] == name).to_numpy() & by_label & (is_whole == (name in views)))
    for name in classes
}
shown = {name: members[:2] for name, members in of_class.items() if len(members) >= 2}
figure, axes = plt.subplots(2, 2 * len(shown), figsize=(12, 2.9))
for place, (name, members) in enumerate(shown.items()):
    pictures = samples["test"].x[members]
    found_there = training.saliency(best, pictures, classes.index(name))
    for column, (picture, one) in enumerate(zip(pictures, found_there, strict=True), start=2 * place):
        plot.show_micrograph(axes[0, column], picture[..., 0], title=name)
        trainings.saliency_overlay(axes[1, column], picture, ndimage.gaussian_filter(one, 2))
plt.show()

# %% [markdown]
# Is it the particle that it looks at? Two numbers, over all whole particles of the test that it got right. First, how
# much of the saliency lies within half a diameter of the centre, a circle that covers half of the window. Second, an
# experiment: the tenth of the pixels with the most saliency is replaced by grey, or another tenth, drawn at random.

# %%
chosen = np.flatnonzero(is_whole & by_label)[:60]
pictures, targets = samples["test"].x[chosen], samples["test"].y[chosen]
strength = np.abs(training.saliency(best, pictures, targets))
y, x = np.indices(strength.shape[1:]) - (training_set.size - 1) / 2
disc = np.hypot(x, y) < training_set.size / 1.25 / 2
inside = strength[:, disc].sum() / strength.sum()
print(f"{disc.mean():.0%} of the window is in the circle, and {inside:.0%} of the saliency")


def with_grey(pictures, order):
    """Return the pictures without the tenth of their pixels that comes first in an order."""
    flat = pictures.reshape(len(pictures), -1).copy()
    np.put_along_axis(flat, order[:, : flat.shape[1] // 10], 0, axis=1)
    return flat.reshape(pictures.shape)


rng = np.random.default_rng(seed)
flat = strength.reshape(len(strength), -1)
orders = {"as they are": None, "without random pixels": rng.random(flat.shape).argsort(axis=1)}
orders["without the most salient"] = (-flat).argsort(axis=1)
sure = {}
for words, order in orders.items():
    changed = pictures if order is None else with_grey(pictures, order)
    sure[words] = training.probabilities(best, changed)[np.arange(len(chosen)), targets].mean()
    print(f"mean probability of the right class, {words}: {sure[words]:.3f}")
    record(f"probability of the right class, {words}", sure[words])
record("share of the window in the circle", disc.mean())
record("share of the saliency in the circle", inside)

# %% [markdown]
# ## 9. A lean alternative: the compact network
#
# To judge a whole micrograph, the window is moved over it, and nearly all pixels are computed again and again (notebook
# `05_gpu_picking`). The compact network is *fully convolutional*: it takes a micrograph of any size and gives a map
# with the probabilities at every fourth pixel. And it is lean, because its scale is: the micrograph is binned until a
# particle is 28 pixels across, where all that tells a particle from ice is still to be seen. It has no fully connected
# layers; *dilated* kernels, with gaps between their pixels, see far enough.

# %%
lean_config = networks.create("compact", classes=("particle", "background"), seed=seed)
lean = lean_config.build()
lean_layers = layers(lean, (lean_config.window, lean_config.window))
draw_network(lean_layers, f"the compact network on one window of {lean_config.window} x {lean_config.window} pixels")
in_diameters = lean_config.window / WORKING_DIAMETER
comparison = pd.DataFrame(
    {
        "DeepCryoPicker": [sums["parameters"], paper_config.window, 1.25, paper_config.window / 1.25],
        "compact": [lean_layers["parameters"].sum(), lean_config.window, in_diameters, WORKING_DIAMETER],
    },
    index=["parameters", "window (pixels)", "window (diameters)", "particle (pixels)"],
)
display(comparison.style.format("{:,.5g}"))

# %% [markdown]
# `prepare` brings a micrograph to this scale, levels and whitens it. `crops` cuts training samples from it: no patches
# with one class each, but larger crops with a class at *every* position of the map. Positions near a labelled centre
# are *particle*, those beyond a third of a diameter *background*, and in between nothing is asked. Labels are component
# 1's good particles. What it picked and rejected may be a particle or not, so nothing is asked there, either: its
# weight is zero.

# %%
names_of = {
    split: [name for name in names if diameters[name] == diameter] for split, names in named.items()
}  # of the last protein
views_of_rows = particles["class"].replace({"negative": "ignore"})
labels = coordinates.table(
    particles["micrograph"], particles["x"], particles["y"], diameter=particles["diameter"], view=views_of_rows
)
prepared = {
    name: whitened(recorded(micrographs[name]), diameters[name], "dark")
    for names in names_of.values()
    for name in names
}
number, positions = (240 if quick else 1600), 12
maps = {
    split: crops(
        [prepared[name] for name in names_of[split]],
        [labels[labels["micrograph"] == name] for name in names_of[split]],
        lean_config,
        of_split,
        seed=seed,
        positions=positions,
    )
    for split, of_split in (("train", number), ("validation", number // 4))
}
example = maps["train"]
first = int((example.y == 0).sum(axis=(1, 2)).argmax())
crop = ndimage.gaussian_filter(example.x[first, :, :, 0], 1)
asked = np.where(example.weights[first] == 0, 0, 2 - example.y[first])
margin = (lean_config.window - 1) / 2 - lean_config.stride / 2
end = margin + lean_config.stride * positions
figure, axes = plt.subplots(1, 3, figsize=(12, 4.4))
plot.show_micrograph(axes[0], crop, title="a crop (smoothed, for the eye)")
axes[0].plot([margin, end, end, margin, margin], [margin, margin, end, end, margin], color=plot.CURVE_COLOURS[1])
plot.show_micrograph(axes[1], crop, title="its middle, where the positions are")
colours = ListedColormap(["0.6", "white", plot.CURVE_COLOURS[0]])
axes[2].imshow(asked, cmap=colours, vmin=0, vmax=2, extent=(margin, end, end, margin))
axes[2].set_title("blue: particle, white: background, grey: not asked", fontsize="medium")
for ax in axes[1:]:
    ax.set(xlim=(margin, end), ylim=(end, margin), xticks=[], yticks=[])
plt.show()

# %%
settings = replace(MODERN, learning_rate=2e-3, batch_size=16, epochs=6, patience=None, class_weights=False)
lean_history = training.train(lean, maps["train"], maps["validation"], settings, seed=seed)
figure, axes = plt.subplots(1, 2, figsize=(12, 4))
trainings.curves(axes[0], lean_history, "loss", title="the compact network")
axes[0].set_ylim(0, 0.5)
trainings.curves(axes[1], lean_history, "accuracy", legend=False)
always = maps["validation"].class_shares(2)[1]
axes[1].axhline(always, color="0.5", linewidth=1)
axes[1].text(settings.epochs, always, "says background everywhere", va="top", ha="right", color="0.3")
plt.show()
record("share of background positions", always)
record("validation accuracy of positions", float(lean_history.table["val_accuracy"].iloc[-1]))

# %% [markdown]
# Two things that are often misread. In the first epoch the validation is much worse than the training: outside training
# batch normalisation uses averages over the batches so far, which have not yet come to rest. And an accuracy of
# positions sounds better than it is, because nearly all of a micrograph is background: the grey line is reached
# without finding a single particle. What counts is F1, below.
#
# Now a micrograph of the test, which gave neither a crop nor a decision. Its score map has one probability every four
# pixels; the peaks of the map are the candidates.

# %%
unseen = names_of["test"][0]
score_map = compact_picking.score_map(lean, lean_config, prepared[unseen])
candidates = compact_picking.candidates(score_map, prepared[unseen].frame, unseen, diameters[unseen])
figure, axes = plt.subplots(1, 2, figsize=(12, 6.2))
plot.show_micrograph(axes[0], prepared[unseen].data, title=f"{unseen}, prepared: particles bright")
rows, columns = score_map.particle.shape
corners = score_map.frame.to_source([-0.5, columns - 0.5], [-0.5, rows - 0.5])
(low_x, high_x), (low_y, high_y) = prepared[unseen].frame.from_source(*corners)
bar = axes[1].imshow(score_map.particle, vmin=0, vmax=1, extent=(low_x, high_x, high_y, low_y), interpolation="nearest")
axes[1].set(xlim=axes[0].get_xlim(), ylim=axes[0].get_ylim(), xticks=[], yticks=[])
axes[1].set_title("probability of a particle", fontsize="medium")
figure.colorbar(bar, ax=axes[1], shrink=0.8)
plt.show()
work = multiply_adds(lean, tuple(size + lean_config.window for size in prepared[unseen].data.shape))
windows = rows * columns
one_by_one = windows * float(sums["multiply_adds"])
print(f"{windows:,} positions: {work / 1e9:.1f} billion multiply-adds for all of them together;")
print(f"the paper's network, window by window: {one_by_one / 1e9:,.0f} billion, {one_by_one / work:,.0f} times as many")
record("times the multiply-adds of the compact network, window by window", one_by_one / work)

# %% [markdown]
# ## 10. The model as it is kept: weights, scale, threshold
#
# A map is not yet a list of particles: how probable is probable enough? The threshold is chosen on the *validation*
# micrographs: the one with the best F1 against component 1's labels there. Without any labels the distribution
# of the scores themselves can tell, since particles and ice make two heaps.

# %%
others = names_of["validation"]
on_validation = coordinates.concatenate(
    compact_picking.candidates(
        compact_picking.score_map(lean, lean_config, prepared[name]), prepared[name].frame, name, diameters[name]
    )
    for name in others
)
threshold = best_threshold(on_validation, labels[labels["micrograph"].isin(others)], micrographs=others)
without_labels = threshold_from_scores(on_validation["score"])
result = evaluate.evaluate(candidates, truth, micrographs=[unseen], threshold=threshold, bootstrap=0)
figure, (left, right) = plt.subplots(1, 2, figsize=(12, 4.2))
left.hist(on_validation["score"], np.linspace(0, 1, 41), color=plot.CURVE_COLOURS[5])
left.set(xlabel="score", ylabel="candidates", title="validation: scores of all peaks")
right.plot(result.curve["threshold"], result.curve["f1"], color=plot.CURVE_COLOURS[0])
right.set(xlabel="threshold", ylabel="F1", title="test: F1 against the truth", ylim=(0, 1.02))
for ax in (left, right):
    ax.axvline(threshold, color=plot.CURVE_COLOURS[1], label=f"by the labels of the validation: {threshold:.2f}")
    ax.axvline(
        without_labels, color=plot.CURVE_COLOURS[2], linestyle="--", label=f"by the scores: {without_labels:.2f}"
    )
    ax.set_xlim(0, 1)
left.legend(fontsize="small", loc="upper center")
plt.show()

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
    diameter=diameters[unseen],
    provenance={"labels": "component 1", "training": lean_history.summary()},
)
folder = model.save(output / "compact")
print(*(f"{file.name}: {file.stat().st_size / 1e6:.2f} MB" for file in sorted(folder.iterdir())), sep="\n")
pprint(networks.header(folder), width=110, compact=True, sort_dicts=False)

loaded = networks.Model.load(folder)
again = compact_picking.score_map(loaded.network, loaded.config, prepared[unseen])
unchanged = bool(np.array_equal(again.scores, score_map.scores))
print(f"loaded again: threshold {loaded.threshold:.3f}, scores unchanged: {unchanged}")
record("loaded again it gives the same scores", unchanged)
record("threshold", loaded.threshold)

picks = compact_picking.candidates(again, prepared[unseen].frame, unseen, loaded.diameter, least=loaded.threshold)
teacher = evaluate.evaluate(found[unseen], truth, micrographs=[unseen], bootstrap=0)
pupil = evaluate.evaluate(picks, truth, micrographs=[unseen], bootstrap=0)
figure, axes = plt.subplots(1, 2, figsize=(12, 6.8))
for ax, (words, each) in zip(axes, {"component 1": teacher, "compact network": pupil}.items(), strict=True):
    plot.overlay(ax, micrographs[unseen], evaluation=each)
    ax.set_title(f"{words}: precision {each.precision:.3f}, recall {each.recall:.3f}, F1 {each.f1:.3f}")
    record(f"F1 on an unseen micrograph, {words}", each.f1)
plt.show()

# %% [markdown]
# The pupil is better than its teacher: component 1 decides by a mask of grey values, and now and then noise looks like
# a particle in the mask. Such errors are different each time; what the good particles have in common is not, and that
# is what the network has learned. Errors that are the same each time are another matter, and a network may well share
# them: look for the lumps of ice that both have picked.
#
# ## 11. What goes wrong, and how it looks
#
# A network knows what it was shown, nothing else. Here the test patches of section 3 are changed in ways that happen in
# practice: particles bright instead of dark, a wrong diameter (the window shows too much or too little), grey
# values that were not standardised, more noise.


# %%
def zoomed(pictures, factor):
    """Return the pictures with everything larger by a factor; beyond the border they are mirrored."""
    middle = (pictures.shape[1] - 1) * (1 - 1 / factor) / 2
    options = dict(matrix=[1 / factor] * 2, offset=[middle] * 2, order=1, mode="mirror")
    changed = np.stack([ndimage.affine_transform(picture, **options) for picture in pictures[..., 0]])
    changed /= changed.std(axis=(1, 2), keepdims=True)
    return changed[..., None]


pictures = samples["test"].x
noise = np.random.default_rng(seed).standard_normal(pictures.shape).astype(np.float32)
changes = {
    "as trained": pictures,
    "contrast inverted": -pictures,
    "diameter 1.5 x too large": zoomed(pictures, 1 / 1.5),
    "diameter 1.5 x too small": zoomed(pictures, 1.5),
    "not standardised": 5 * pictures + 3,
    "much more noise": (pictures + 2 * noise) / np.sqrt(5),
}
rows = {}
for words, changed in changes.items():
    probability = training.probabilities(best, changed)
    now = np.array(classes)[probability.argmax(axis=1)]
    right = np.where(is_whole, now == there, ~np.isin(now, views))[decided].mean()
    rows[words] = {"accuracy (truth)": right, "mean probability of its answers": probability.max(axis=1).mean()}
    rows[words] |= {f"says {name}": (now == name).mean() for name in classes}
    record(f"accuracy against the truth, {words}", right)
wrong = pd.DataFrame(rows).T
display(wrong.style.format("{:.1%}"))
figure, axes = plt.subplots(1, len(changes), figsize=(12, 2.4))
place = int(np.flatnonzero(is_whole & (there == classes[0]))[0])
for ax, (words, changed) in zip(axes, changes.items(), strict=True):
    ax.imshow(changed[place, :, :, 0], cmap="gray", vmin=-3, vmax=3)
    ax.set(xticks=[], yticks=[])
    ax.set_title(words, fontsize="medium")
plt.show()

# %% [markdown]
# No error message comes with any of these. The network goes on answering, and it is hardly less sure of itself: the
# probability of a softmax says which of its classes fits best, not whether any of them fits. What shows it in practice:
# far fewer particles than the eye sees (here nearly everything becomes background or negative), scores without two
# heaps, picks that are all ice or all edges. This is why scale, contrast and preprocessing are stored with the model,
# and why `prepare` is part of picking.
#
# Errors of the training itself look different:
#
# - **The loss stays at $\log C$**: the rate is far too low, or labels and patches do not belong together.
# - **The loss becomes NaN**: the rate is too high. `train` stops, says so, and keeps the best weights.
# - **Training falls, validation rises from the first epoch on**: too few patches for the network. Augment, or make it
#   narrower.
# - **Validation is perfect, picks are poor**: the split was by patch, and copies of the same particle are on both
#   sides; or the labels of the validation have the same errors as those of the training, as in section 4.
#
# ## Try it
#
# `width` is the size of the network. Set it to 0.05 and to 0.2 and run the notebook again (without JupyterLab:
# `cryokit notebooks run 04 -p width=0.2`). Which accuracies of section 3 change, those of the training or those of the
# test? Where do the operations go, and the seconds?
#
# Then `few`: 5, 10, 20. From how many patches on does augmentation stop to matter in section 6? Does one draw tell?
#
# Then the labels. In section 4 the truth showed that negatives contain particles. Rebuild the set with
# `seen.training_particles(select(seen.picked), debris=0.2)`, which leaves out the faint near misses: does the share of
# particles among the negatives fall or rise, and what does the confusion matrix say?
#
# Last, `data_dir`: real apoferritin and beta-galactosidase. There are no side views, so the class settings are smaller,
# and the "truth" is what somebody marked. Is section 4's sentence about labels still true there?
