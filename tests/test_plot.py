"""What the pictures show: positions, colours and counts, read back from the drawn figure."""

import re
import subprocess
import sys

import numpy as np
import pytest
from matplotlib import rc_context
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.collections import EllipseCollection
from matplotlib.figure import Figure

from cryokit import plot
from cryokit.coordinates import table
from cryokit.errors import ArgumentError
from cryokit.evaluate import evaluate


@pytest.fixture
def ax():
    return plot.figure()[1][0, 0]


def circles(ax):
    """Colour -> (centres, diameters) of the circles on `ax`."""
    drawn = {}
    for collection in ax.collections:
        assert isinstance(collection, EllipseCollection)
        colour = tuple(np.round(collection.get_edgecolor()[0][:3] * 255).astype(int))
        drawn["#{:02X}{:02X}{:02X}".format(*colour)] = (
            collection.get_offsets().tolist(),
            collection.get_widths().tolist(),
        )
    return drawn


def words(ax):
    return [text.get_text() for text in ax.get_legend().get_texts()]


def rendered(ax):
    """The figure as grey values, and a function from data coordinates to its pixels (column, row)."""
    canvas = ax.figure.canvas
    canvas.draw()
    pixels = np.asarray(canvas.buffer_rgba())[..., :3].mean(axis=2)

    def where(x, y):
        column, up = ax.transData.transform((x, y))
        return round(column), round(pixels.shape[0] - up)

    return pixels, where


@pytest.fixture(autouse=True)
def agg(monkeypatch):
    """Figures that can be read back pixel by pixel."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    original = plot.figure

    def figure(*args, **kwargs):
        picture, axes = original(*args, **kwargs)
        FigureCanvasAgg(picture)
        return picture, axes

    monkeypatch.setattr(plot, "figure", figure)


def test_circles_have_a_dark_edge(ax):
    """Nobody has to tell them from grey by their hue."""
    grey = np.indices((401, 401)).sum(axis=0) % 2
    plot.overlay(ax, grey, table("m", [200], [200], diameter=200), legend=False)
    pixels, where = rendered(ax)
    column, row = where(300, 200)
    profile = pixels[row - 3 : row + 4, column - 6 : column + 7].mean(axis=0)
    line = 5 + profile[5:8].argmax()
    # The grey around is 127.
    assert max(profile[:line].min(), profile[line + 1 :].min()) < 90 < profile[line]


@pytest.mark.parametrize("longest_side", [2000, 100])
def test_a_micrograph_is_drawn_where_its_picks_are(ax, longest_side):
    """A bright square off the middle is drawn at its pixel coordinates: not flipped, not transposed, not moved."""
    data = np.random.default_rng(0).normal(0, 0.1, (401, 602)).astype(np.float32)
    data[60:100, 340:400] = 5
    assert plot.show_micrograph(ax, data, percentiles=(0, 100), longest_side=longest_side) is ax
    pixels, where = rendered(ax)
    column, row = where(369.5, 79.5)
    assert pixels[row, column] > 200
    for x, y in [(369.5, 320.5), (231.5, 79.5), (79.5, 369.5)]:
        column, row = where(x, y)
        assert pixels[row, column] < 60
    # The square's edges, to the pixel of the averaged picture.
    step = max(1, 602 // longest_side)
    for x, expected in [(339.5 - 2 * step, False), (339.5 + 2 * step, True), (399.5 + 2 * step, False)]:
        column, row = where(x, 79.5)
        assert (pixels[row, column] > 128) == expected


def test_contrast_is_not_ruled_by_single_pixels(ax):
    data = np.random.default_rng(0).normal(100, 10, (200, 200)).astype(np.float32)
    data[0, 0] = 1e6
    plot.show_micrograph(ax, data)
    low, high = ax.images[0].get_clim()
    assert 60 < low < 90
    assert 110 < high < 140


@pytest.mark.parametrize("data", [np.zeros((5, 5)), np.zeros((1, 300), np.uint8)])
def test_constant_and_thin_pictures(ax, data):
    plot.show_micrograph(ax, data)
    rendered(ax)


@pytest.mark.parametrize("shape", [(3, 20, 20), (20,), (0, 20)])
def test_only_pictures_are_micrographs(ax, shape):
    with pytest.raises(ArgumentError, match=re.escape(f"{shape}")):
        plot.show_micrograph(ax, np.zeros(shape))


def test_overlay_tells_true_from_false(ax):
    labels = table("a", x=[20, 60, 80], y=[30, 30, 80], diameter=20, view=["top", "top", "ignore"])
    picks = table("a", x=[22, 20, 82], y=[30, 90, 80], score=0.5, diameter=18)
    assert plot.overlay(ax, np.zeros((100, 120)), picks, labels) is ax
    drawn = circles(ax)
    assert drawn[plot.STYLES["true"][0]] == ([[22, 30]], [18])
    assert drawn["#D55E00"] == ([[20, 90]], [18])
    assert drawn["#F0E442"] == ([[60, 30]], [20])
    assert sorted(words(ax)) == [
        *("false pick (1)", "ignore label (1)", "missed particle (1)", "pick not counted (1)", "true pick (1)"),
    ]
    # Without colours, too, the three that matter are told apart.
    lines = {line.get_label().split(" (")[0]: line.get_linestyle() for line in ax.get_legend().get_lines()}
    assert len({lines["true pick"], lines["false pick"], lines["missed particle"]}) == 3


def test_the_legend_leaves_narrow_pictures_their_size():
    """Beside each other, in the lessons' large letters; the layout shrinks axes whose legend is wider than they are."""
    with rc_context({"font.size": 12}):
        figure = Figure(figsize=(10, 5), layout="constrained")
        labels = table("a", x=[20, 60, 80], y=[30, 30, 80], diameter=20, view=["top", "top", "ignore"])
        picks = table("a", x=[22, 20, 82], y=[30, 90, 80], score=0.5, diameter=18)
        for ax in figure.subplots(1, 2):
            plot.overlay(ax, np.zeros((100, 100)), picks, labels)
        FigureCanvasAgg(figure).draw()
    assert min(ax.get_position().width for ax in figure.axes) > 0.3


def test_overlay_of_an_evaluation_draws_its_micrograph_and_threshold(ax):
    labels = table(["a", "b"], x=[20, 50], y=[30, 30], diameter=20)
    picks = table(["a", "a", "b"], x=[20, 70, 50], y=[30, 30, 30], score=[0.9, 0.2, 0.9])
    plot.overlay(ax, np.zeros((100, 120)), evaluation=evaluate(picks, labels, threshold=0.5), name="b")
    assert circles(ax) == {plot.STYLES["true"][0]: ([[50, 30]], [20])}


def test_overlay_of_a_micrograph_without_picks(ax):
    labels = table(["a", "b"], x=[20, 50], y=[30, 30], diameter=20)
    plot.overlay(ax, np.zeros((100, 120)), table("a", x=[20], y=[30], score=0.5), labels, name="b")
    assert circles(ax) == {"#F0E442": ([[50, 30]], [20])}


def test_overlay_of_picks_alone(ax):
    plot.overlay(ax, np.zeros((100, 120)), table("a", x=[20], y=[30]))
    assert circles(ax) == {"#56B4E9": ([[20, 30]], [3])}
    assert words(ax) == ["pick (1)"]


def test_overlay_of_labels_alone_and_of_a_given_diameter(ax):
    labels = table("a", x=[20, 60], y=[30, 30], diameter=20, view=["side", "ignore"])
    plot.overlay(ax, np.zeros((100, 120)), labels=labels, diameter=9)
    assert circles(ax) == {"#F0E442": ([[20, 30]], [9]), "#FFFFFF": ([[60, 30]], [9])}


def test_circles_have_their_size_in_pixels_of_the_micrograph(ax):
    plot.overlay(ax, np.zeros((100, 100)), table("a", x=[50], y=[40], diameter=60), legend=False)
    ax.collections[0].set_linestyle("solid")
    pixels, where = rendered(ax)
    column, row = where(50, 40)
    bright = np.flatnonzero(pixels[row, column - 5 : where(99, 40)[0]] > 60)
    assert column - 5 + bright[0] == pytest.approx(where(80, 40)[0], abs=3)


def test_overlay_without_a_name_for_several_micrographs(ax):
    with pytest.raises(ArgumentError, match="name="):
        plot.overlay(ax, np.zeros((9, 9)), table(["a", "b"], x=[1, 2], y=[1, 2]))
    with pytest.raises(ArgumentError, match="labels"):
        plot.overlay(ax, np.zeros((9, 9)))


def test_overlay_without_picks_is_the_micrograph(ax):
    plot.overlay(ax, np.zeros((100, 120)), table())
    assert not ax.collections
    assert len(ax.images) == 1


def test_precision_recall_draws_the_steps_whose_area_is_the_average_precision(ax):
    rng = np.random.default_rng(2)
    labels = table("a", *rng.random((2, 60)) * 1000, diameter=50)
    picks = table("a", *rng.random((2, 100)) * 1000, score=rng.random(100))
    picks.loc[:40, ["x", "y"]] = labels.loc[:40, ["x", "y"]] + 3.0
    full, part = evaluate(picks, labels), evaluate(picks, labels, threshold=0.5)
    assert plot.precision_recall(ax, {"full": full, "part": part}) is ax
    curve = next(line for line in ax.lines if line.get_label().startswith("full"))
    assert curve.get_drawstyle() == "steps-pre"
    recall, precision = curve.get_data()
    assert np.sum(np.diff(recall) * precision[1:]) == pytest.approx(full.average_precision)
    dots = [tuple(np.ravel(line.get_data())) for line in ax.lines if line.get_marker() == "o"]
    assert dots == [(full.recall, full.precision), (part.recall, part.precision)]
    assert f"AP {full.average_precision:.3f}" in words(ax)[0]
    # Lines of equal F1 are that.
    for line, f1 in zip(ax.lines, (0.2, 0.4, 0.6, 0.8, 0.9), strict=False):
        recall, precision = line.get_data()
        assert 2 * precision * recall / (precision + recall) == pytest.approx(np.full(len(recall), f1))


def test_precision_recall_of_one_point_and_of_none(ax):
    labels = table("a", x=[10], y=[10], diameter=20)
    results = {"point": evaluate(table("a", x=[10], y=[10]), labels), "none": evaluate(table(), labels)}
    plot.precision_recall(ax, results)
    assert [text.split(":")[0] for text in words(ax)] == ["point", "none"]
    plot.precision_recall(plot.figure()[1][0, 0], results["point"])


def test_contact_sheet_shows_the_best_first(ax):
    data = np.zeros((100, 200), np.float32)
    data[:, 100:] = np.tile([0, 1], (100, 50))  # stripes on the right half only
    picks = table("a", x=[50, 150, 30, 199], y=[50, 50, 40, 99], score=[0.5, 0.9, 0.1, 0.3], diameter=20)
    assert plot.contact_sheet(ax, data, picks, n=3, columns=3) is ax
    sheet = ax.images[0].get_array()
    assert sheet.shape == (30, 3 * 31 - 1)
    best, second, corner = sheet[:, :30], sheet[:, 31:61], sheet[:, 62:92]
    assert best.std() > 0.4
    assert second.std() == 0
    assert corner[:15, :15].std() > 0.4  # inside the micrograph
    assert corner[-10:, -10:].std() == 0  # outside


def test_contact_sheet_of_several_micrographs(ax):
    class Named:
        def __init__(self, name, data):
            self.name, self.data = name, data

    dark, ramp = np.zeros((60, 60)), np.tile(np.arange(60.0), (60, 1))
    picks = table(["ramp", "dark", "other"], x=[30, 30, 30], y=[30, 30, 30], score=[0.1, 0.9, 1.0])
    plot.contact_sheet(ax, [Named("dark", dark), Named("ramp", ramp)], picks, size=20, columns=2)
    sheet = ax.images[0].get_array()
    assert sheet.shape == (20, 41)
    assert sheet[:, :20].std() == 0 < sheet[:, 21:].std()


def test_contact_sheet_that_cannot_be(ax):
    with pytest.raises(ArgumentError, match="picks"):
        plot.contact_sheet(ax, np.zeros((9, 9)), table())
    with pytest.raises(ArgumentError, match="size="):
        plot.contact_sheet(ax, np.zeros((9, 9)), table("a", x=[4], y=[4]))


def test_save_writes_by_suffix(tmp_path):
    picture, _ = plot.figure(1, 2)
    plot.save(picture, tmp_path / "new" / "a.pdf")
    assert (tmp_path / "new" / "a.pdf").read_bytes().startswith(b"%PDF")
    for name in ("a.docx", "a"):
        with pytest.raises(ArgumentError, match=rf"{name} .*svg"):
            plot.save(picture, tmp_path / name)
    assert [path.name for path in tmp_path.iterdir()] == ["new"]


def test_neither_pyplot_nor_a_display_is_needed():
    code = (
        "import io, sys, numpy as np; from cryokit import plot; from cryokit.coordinates import table;"
        "assert 'matplotlib' not in sys.modules;"
        "picture, axes = plot.figure();"
        "plot.overlay(axes[0, 0], np.zeros((50, 50)), table('a', x=[1], y=[1]));"
        "picture.savefig(io.BytesIO());"
        "assert 'matplotlib.pyplot' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=120)
