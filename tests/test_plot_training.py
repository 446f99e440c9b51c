"""What the pictures of trainings show, read back from the axes."""

import numpy as np
import pandas as pd
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg

from cryokit import plot
from cryokit.errors import ArgumentError
from cryokit.networks.training import MODERN, History
from cryokit.plot import trainings as plot_training


@pytest.fixture
def ax():
    figure, axes = plot.figure()
    FigureCanvasAgg(figure)
    return axes[0, 0]


def history(losses, held_out):
    number = len(losses)
    table = pd.DataFrame(
        {
            "epoch": np.arange(1, number + 1), "loss": losses, "accuracy": np.linspace(0.4, 0.9, number),
            "val_loss": held_out, "val_accuracy": np.where(np.isnan(held_out), np.nan, 0.5), "learning_rate": 0.1,
            "seconds": 1.0,
        }
    )  # fmt: skip
    best = number if np.isnan(held_out).any() else int(np.argmin(held_out)) + 1
    return History(table, best, False, MODERN, 0)


def drawn(ax):
    ax.figure.canvas.draw()
    return ax


def lines(ax):
    return {line.get_label(): line for line in ax.lines}


def test_curves_of_one_training(ax):
    plot_training.curves(ax, history([3.0, 2.0, 1.0], [3.0, 1.5, 2.5]), title="five classes")
    shown = lines(drawn(ax))
    assert set(shown) == {"training", "validation", "best epoch, 2"}
    assert shown["training"].get_xydata().tolist() == [[1, 3], [2, 2], [3, 1]]
    assert shown["validation"].get_ydata().tolist() == [3, 1.5, 2.5]
    assert shown["best epoch, 2"].get_xydata().tolist() == [[2, 1.5]]
    assert shown["training"].get_linestyle() != shown["validation"].get_linestyle()
    assert (ax.get_xlabel(), ax.get_ylabel(), ax.get_title()) == ("epoch", "cross-entropy", "five classes")
    assert all(float(tick).is_integer() for tick in ax.get_xticks())


def test_curves_of_several_trainings(ax):
    both = {"a": history([2.0, 1.0], [2.0, 1.0]), "b": history([3.0, 2.0], [np.nan, np.nan])}
    plot_training.curves(ax, both, "accuracy")
    shown = lines(drawn(ax))
    # The second has no validation, so no curve of it.
    assert {name for name in shown if not name.startswith("_")} == {"a, training", "a, validation", "b, training"}
    assert shown["a, training"].get_color() == shown["a, validation"].get_color() != shown["b, training"].get_color()
    assert [text.get_text() for text in ax.get_legend().get_texts()] == ["a, training", "a, validation", "b, training"]
    with pytest.raises(ArgumentError, match=r"quantity .*'f1'"):
        plot_training.curves(ax, both, "f1")


def test_curve_of_one_epoch_can_be_seen(ax):
    plot_training.curves(ax, history([2.0], [1.0]))
    assert lines(drawn(ax))["training"].get_marker() == "."


def test_confusion_in_per_cent(ax):
    matrix = pd.DataFrame([[8, 2], [0, 0]], index=["top", "ice"], columns=["top", "ice"])
    plot_training.confusion(ax, matrix)
    texts = {text.get_position(): text.get_text() for text in drawn(ax).texts}
    # Position (column, row): a class that does not occur has no shares.
    assert texts == {(0, 0): "80.0", (1, 0): "20.0", (0, 1): "none", (1, 1): "none"}
    assert [label.get_text() for label in ax.get_yticklabels()] == ["top (10)", "ice (0)"]
    assert np.asarray(ax.images[0].get_array()).tolist() == [[0.8, 0.2], [0, 0]]
    assert [label.get_text() for label in ax.get_xticklabels()] == ["top", "ice"]


def test_saliency_lies_over_its_picture(ax, monkeypatch):
    picture = np.random.default_rng(0).normal(size=(10, 12, 1))
    saliency = np.zeros((10, 12))
    saliency[2, 3], saliency[5, 6], saliency[7, 7] = 4.0, -2.0, 1.0
    monkeypatch.setattr(plot_training, "LIMIT", 100 * 118 / 119)  # the second largest
    plot_training.saliency_overlay(ax, picture, saliency)
    below, above = drawn(ax).images
    np.testing.assert_allclose(below.get_array(), picture[..., 0], rtol=1e-6)
    red, _, blue = above.to_rgba(above.get_array())[2, 3, :3]
    assert red > blue  # orange speaks for the class
    red, _, blue = above.to_rgba(above.get_array())[5, 6, :3]
    assert blue > red
    opacity = above.get_alpha()
    assert opacity[2, 3] == opacity[5, 6] == 0.8
    assert opacity[7, 7] == pytest.approx(0.4)
    assert opacity[0, 0] == 0
    # Nothing to show is drawn all the same.
    plot_training.saliency_overlay(ax, np.ones((4, 4)), np.zeros((4, 4)))
    drawn(ax)
    with pytest.raises(ArgumentError, match="saliency"):
        plot_training.saliency_overlay(ax, picture, saliency[1:])


def test_samples_share_a_contrast(ax):
    pictures = np.stack([np.full((8, 8, 1), value) for value in (0.0, 1.0, 2.0)])
    plot_training.samples(ax, pictures, ("as it is", "changed"), columns=2)
    sheet = np.ma.filled(drawn(ax).images[0].get_array(), np.nan)
    assert sheet.shape == (17, 17)
    assert (sheet[0, 0], sheet[0, 9], sheet[9, 0]) == (0, 1, 2)
    assert np.isnan(sheet[9, 9])
    assert [label.get_text() for label in ax.get_yticklabels()] == ["as it is", "changed"]
    with pytest.raises(ArgumentError, match=r"names .* 2, not 1"):
        plot_training.samples(ax, pictures, ("one",), columns=2)


LAYERS = pd.DataFrame(
    [
        ("in", "InputLayer", (16, 16, 1), 0, 0),
        ("conv", "Conv2D", (16, 16, 9), 90, 300),
        ("norm", "BatchNormalization", (16, 16, 9), 10, 0),
        ("pool", "MaxPooling2D", (4, 4, 9), 0, 0),
        ("flatten", "Flatten", (144,), 0, 0),
        ("one", "Dense", (100,), 250, 90),
        ("two", "Dense", (25,), 50, 10),
    ],
    columns=["name", "type", "output_shape", "parameters", "multiply_adds"],
)


def test_network_is_as_high_as_its_maps_and_as_broad_as_they_are_many(ax):
    plot_training.network(ax, LAYERS, title="a network")
    boxes = drawn(ax).patches
    assert len(boxes) == 5  # input, conv, pool, one, two
    heights, breadths = ([getattr(box, f"get_{what}")() for box in boxes] for what in ("height", "width"))
    assert heights[0] == heights[1] == pytest.approx(2 * heights[2])  # 16 rows and 4: square roots
    assert breadths[1] == breadths[2] == pytest.approx(3 * breadths[0])  # 9 maps and 1
    assert heights[3] == pytest.approx(2 * heights[4])  # 100 units and 25
    assert breadths[3] == breadths[4] < breadths[0]
    assert [text.get_text().replace("\n", " ") for text in ax.texts] == [
        "16\u00b2 \u00d7 1", "16\u00b2 \u00d7 9", "4\u00b2 \u00d7 9", "100", "25",
    ]  # fmt: skip
    assert ax.get_title() == "a network"


def test_layer_shares_add_up(ax):
    plot_training.layer_shares(ax, LAYERS)
    parameters, sums = ([bar.get_height() for bar in bars] for bars in drawn(ax).containers)
    # What the normalisation has counts with the convolution.
    assert parameters == [0, 25, 0, 62.5, 12.5]
    assert sums == [0, 75, 0, 22.5, 2.5]
    assert [label.get_text() for label in ax.get_xticklabels()] == ["in", "conv", "pool", "one", "two"]
    assert [text.get_text() for text in ax.get_legend().get_texts()] == ["parameters", "multiply-adds"]


def test_network_and_shares_are_below_each_other(ax):
    plot_training.network(ax, LAYERS)
    boxes = [box.get_x() + box.get_width() / 2 for box in ax.patches]
    limits = ax.get_xlim()
    ax.clear()
    plot_training.layer_shares(ax, LAYERS)
    assert list(ax.get_xticks()) == pytest.approx(boxes)
    assert ax.get_xlim() == limits
