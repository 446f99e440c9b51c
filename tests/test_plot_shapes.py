"""What the pictures of masks and particles show, read back from the drawn figure."""

import math

import numpy as np
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import to_hex, to_rgb
from matplotlib.figure import Figure
from matplotlib.patches import Circle as CirclePatch
from matplotlib.patches import Polygon

from cryokit import plot
from cryokit.errors import ArgumentError
from cryokit.plot import particle_shapes as plot_shapes
from cryokit.segmentation import Circle, Particle, components
from cryokit.segmentation.selection import Decision

ROWS, COLUMNS = 90, 120


def shape_of(mask):
    (shape,) = components(mask)
    return shape


@pytest.fixture
def ax():
    figure, axes = plot.figure(width=9)
    FigureCanvasAgg(figure)
    return axes[0, 0]


@pytest.fixture
def picture():
    return np.random.default_rng(0).random((ROWS, COLUMNS)).astype(np.float32)


@pytest.fixture
def top():
    row, column = np.mgrid[:ROWS, :COLUMNS]
    circle = Circle(x=30.25, y=20.5, radius=12.0, strength=0.9)
    return Particle(31, 21, "top", 24, math.nan, shape_of(np.hypot(column - 30, row - 20) <= 12), circle, 0.9)


@pytest.fixture
def side():
    # A rectangle of 20 x 10 pixels, turned by 30 degrees around (80, 60).
    row, column = np.mgrid[:ROWS, :COLUMNS]
    angle = math.radians(30)
    along = (column - 80) * math.cos(angle) + (row - 60) * math.sin(angle)
    across = (row - 60) * math.cos(angle) - (column - 80) * math.sin(angle)
    mask = (abs(along) <= 10) & (abs(across) <= 5)
    return Particle(80, 60, "side", 20, 30.0, shape_of(mask), None, 0.8)


@pytest.fixture
def irregular():
    return Particle(60, 30, "irregular", 16, math.nan, None, None, 0.5)


def decide(particle, good, reason="because of 1.5"):
    return Decision(particle, good, reason, 1.5, (0, 1))


def patches(ax, kind):
    return [artist for artist in ax.patches if isinstance(artist, kind)]


def words(ax):
    return [text.get_text() for text in ax.get_legend().get_texts()]


class TestOutlines:
    def test_top_view_is_its_circle(self, ax, picture, top):
        assert plot_shapes.outlines(ax, picture, [top]) is ax
        (circle,) = patches(ax, CirclePatch)
        assert (*circle.center, circle.radius) == (30.25, 20.5, 12.0)
        assert not circle.get_fill()

    def test_top_view_without_circle_has_one_of_its_diameter(self, ax, picture):
        plot_shapes.outlines(ax, picture, [Particle(50, 40, "top", 18, math.nan, None, None, 0.6)])
        (circle,) = patches(ax, CirclePatch)
        assert (*circle.center, circle.radius) == (50, 40, 9)

    def test_side_view_is_its_rectangle(self, ax, picture, side):
        plot_shapes.outlines(ax, picture, [side])
        (rectangle,) = patches(ax, Polygon)
        corners = rectangle.get_xy()[:4]
        lengths = np.hypot(*np.diff(np.vstack([corners, corners[:1]]), axis=0).T)
        assert corners.mean(axis=0) == pytest.approx([80, 60], abs=0.6)
        assert sorted(lengths) == pytest.approx([11, 11, 21, 21], abs=2)
        # Turned: none of its sides is upright.
        assert len(np.unique(np.round(corners[:, 0]))) == 4

    @pytest.mark.parametrize("view", ["irregular", "side"])
    def test_without_object_it_is_the_box(self, ax, picture, view):
        plot_shapes.outlines(ax, picture, [Particle(60, 30, view, 16, math.nan, None, None, 0.5)])
        (box,) = patches(ax, Polygon)
        assert box.get_xy()[:4].tolist() == [[52, 22], [68, 22], [68, 38], [52, 38]]

    def test_views_have_colours_of_their_own(self, ax, picture, top, side, irregular):
        plot_shapes.outlines(ax, picture, [top, side, irregular, irregular])
        assert len({to_hex(patch.get_edgecolor()) for patch in ax.patches}) == 3
        assert words(ax) == ["top (1)", "side (1)", "irregular (2)"]

    def test_good_is_solid_bad_dashed(self, ax, picture, top, side, irregular):
        decisions = [decide(side, False), decide(top, True)]
        plot_shapes.outlines(ax, picture, [top, side, irregular], decisions=decisions)
        lines = {patch.get_linestyle() for patch in patches(ax, CirclePatch)}
        lines_of_others = [patch.get_linestyle() for patch in patches(ax, Polygon)]
        assert lines == {"solid"}
        assert lines_of_others == ["dashed", "dotted"]
        assert words(ax) == ["top good (1)", "side bad (1)", "irregular not judged (1)"]

    def test_colour_by_decision(self, ax, picture, top, side):
        particles = [top, side, side]
        plot_shapes.outlines(
            ax, picture, particles, decisions=[decide(top, True), decide(side, True)], colour_by="decision"
        )
        assert len({to_hex(patch.get_edgecolor()) for patch in ax.patches}) == 1
        assert words(ax) == ["good (3)"]

    def test_on_what_is_there(self, ax, top):
        plot_shapes.outlines(ax, None, [top], legend=False, title="t")
        assert not ax.images
        assert ax.get_legend() is None
        assert ax.get_title() == "t"

    def test_nothing_to_outline(self, ax, picture):
        plot_shapes.outlines(ax, picture, [])
        assert not ax.patches
        assert len(ax.images) == 1

    def test_boolean_picture(self, ax, top):
        mask = np.zeros((ROWS, COLUMNS), bool)
        mask[10:80, 10:110] = True
        plot_shapes.outlines(ax, mask, [top])
        assert ax.images[0].get_array().max() > ax.images[0].get_array().min()

    def test_refuses(self, ax, picture, top):
        with pytest.raises(ArgumentError, match=r"colour_by .*'size'"):
            plot_shapes.outlines(ax, picture, [top], colour_by="size")
        with pytest.raises(ArgumentError, match="decisions="):
            plot_shapes.outlines(ax, picture, [top], colour_by="decision")


class TestMaskOverlay:
    def test_tints_the_mask_and_nothing_else(self, ax):
        mask = np.zeros((60, 80), bool)
        mask[10:30, 50:70] = True
        plot_shapes.mask_overlay(ax, np.full((60, 80), 0.5), mask)
        tint = ax.images[1].get_array()
        assert (tint[..., 3][~mask] == 0).all()
        assert tint[20, 60].tolist() == pytest.approx([*to_rgb(plot_shapes.MASK_COLOUR), plot_shapes.MASK_OPACITY])
        # Its rim, one pixel wide, is opaque.
        assert (tint[..., 3] == 1).sum() == 20 * 20 - 18 * 18

    def test_is_drawn_over_its_object(self, ax, monkeypatch):
        monkeypatch.setattr(plot_shapes, "MASK_COLOUR", "#FF0000")
        monkeypatch.setattr(plot_shapes, "MASK_OPACITY", 1)
        picture = np.zeros((60, 80), np.float32)
        picture[10:30, 50:70] = 1
        plot_shapes.mask_overlay(ax, picture, picture > 0)
        canvas = ax.figure.canvas
        canvas.draw()
        pixels = np.asarray(canvas.buffer_rgba())[..., :3]

        def colour(x, y):
            column, up = ax.transData.transform((x, y))
            return pixels[round(pixels.shape[0] - up), round(column)].tolist()

        assert colour(51, 11) == colour(68, 28) == [255, 0, 0]
        assert colour(47, 20) == colour(60, 33) == colour(20, 51) == [0, 0, 0]

    def test_axes_stay_those_of_a_large_picture(self, ax):
        picture = np.zeros((2101, 2203), np.float32)
        plot.show_micrograph(ax, picture)
        limits = ax.get_xlim(), ax.get_ylim()
        plot_shapes.mask_overlay(ax, picture, picture > 0)
        assert (ax.get_xlim(), ax.get_ylim()) == limits

    def test_refuses_another_shape(self, ax, picture):
        with pytest.raises(ArgumentError, match="mask"):
            plot_shapes.mask_overlay(ax, picture, np.zeros((5, 5), bool))


class TestGallery:
    @pytest.fixture
    def figure(self):
        return Figure(figsize=(12, 6))

    def texts(self, figure):
        return [text.get_text() for ax in figure.axes for text in ax.texts]

    def squares(self, axes):
        return [[np.asarray(ax.images[0].get_array()) for ax in row if ax.images] for row in axes]

    def test_good_above_bad_with_reasons(self, figure, picture, top, side, irregular):
        decisions = [decide(side, False, "too long"), decide(top, True, "full disc"), decide(irregular, False, "small")]
        axes = plot_shapes.gallery(figure, picture, decisions)
        assert {"too long", "full disc", "small", "good, 1 of 1", "bad, 2 of 2"} == set(self.texts(figure))
        places = {text.get_text(): text.axes.get_position().y0 for ax in figure.axes for text in ax.texts}
        assert places["full disc"] > places["too long"] == places["small"]
        # Pictures, masks, texts
        assert [len(row) for row in self.squares(axes)] == [1, 1, 0, 2, 2, 0]

    def test_at_most_n_of_each(self, figure, picture, top, side):
        decisions = [decide(top, True)] * 9 + [decide(side, False)] * 2
        axes = plot_shapes.gallery(figure, picture, decisions, n=4)
        assert "good, 4 of 9" in self.texts(figure)
        # In the picture and in the mask
        assert [sum(len(patches(ax, CirclePatch)) for ax in row) for row in axes] == [4, 4, 0, 0, 0, 0]
        assert [sum(len(patches(ax, Polygon)) for ax in row) for row in axes] == [0, 0, 0, 2, 2, 0]

    def test_bad_ones_differ_in_their_reasons(self, figure, picture, side):
        decisions = [decide(side, False, f"area {n}.5: too small") for n in range(20)]
        decisions += [decide(side, False, "fills 0.31"), decide(side, False, "nothing in the mask")]
        plot_shapes.gallery(figure, picture, decisions, n=3)
        words = " ".join(self.texts(figure))
        assert "too small" in words
        assert "fills 0.31" in words
        assert "nothing in" in words

    def test_squares_are_cut_around_the_particles(self, figure, monkeypatch):
        monkeypatch.setattr(plot_shapes, "TILE", 1.05)  # of 10 pixels
        picture = np.zeros((ROWS, COLUMNS), np.float32)
        picture[28:33, 58:63] = 1  # around (60, 30), five pixels of it
        decisions = [decide(Particle(60, 30, "top", 10, math.nan, None, None, 1), True)]
        axes = plot_shapes.gallery(figure, picture, decisions)
        square = np.zeros((11, 11))
        square[3:8, 3:8] = 1
        assert (self.squares(axes)[0][0] == square).all()
        for row in axes[:2]:
            (circle,) = patches(row[0], CirclePatch)
            assert circle.center == (5, 5)

    def test_mask_is_the_object_alone(self, picture, top, monkeypatch):
        monkeypatch.setattr(plot_shapes, "TILE", 29.5 / top.diameter)
        axes = plot_shapes.gallery(Figure(), picture, [decide(top, True)])
        assert self.squares(axes)[1][0].mean() == pytest.approx(math.pi * 12**2 / 900, rel=0.05)

    def test_beyond_the_border_is_grey(self, figure, monkeypatch):
        monkeypatch.setattr(plot_shapes, "TILE", 1.0)
        corner = Particle(0, 0, "top", 10, math.nan, None, None, 1)
        axes = plot_shapes.gallery(figure, np.eye(ROWS, COLUMNS), [decide(corner, True)])
        square = self.squares(axes)[0][0]
        assert (square[:5] == 0.5).all()
        assert (square[:, :5] == 0.5).all()
        assert (square[5:, 5:] == np.eye(5)).all()

    def test_title(self, figure, picture, top):
        plot_shapes.gallery(figure, picture, [decide(top, True)], title="t")
        assert figure.get_suptitle() == "t"

    def test_without_particles_says_so(self, figure, picture):
        plot_shapes.gallery(figure, picture, [])
        assert [text.get_text() for text in figure.texts if text.get_text()] == ["no particles to show"]

    def test_constant_picture(self, figure, top):
        axes = plot_shapes.gallery(figure, np.ones((ROWS, COLUMNS)), [decide(top, True)])
        assert np.isfinite(self.squares(axes)[0][0]).all()

    def test_refuses(self, figure, picture, top):
        with pytest.raises(ArgumentError, match=r"n .* 0$"):
            plot_shapes.gallery(figure, picture, [decide(top, True)], n=0)
