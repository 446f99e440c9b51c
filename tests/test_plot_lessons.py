"""What all lessons share: the workflow, scale bars, the palette, letters that can be read, alternative texts."""

import itertools
import warnings

import numpy as np
import pytest
from matplotlib.colors import to_rgb
from matplotlib.text import Text

from cryokit import plot
from cryokit.errors import ArgumentError
from cryokit.micrograph import Micrograph
from cryokit.plot import workflow_picture
from cryokit.plot.explorer.contents import RAMP
from cryokit.plot.scale_bars import LENGTHS, ScaleBar

# Linear RGB as the colour-blind see it (Machado et al. 2009, severity 1)
DEFICIENCIES = {
    "protanopia": [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]],
    "deuteranopia": [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.011820, 0.042940, 0.968881]],
    "tritanopia": [[1.255528, -0.076749, -0.178779], [-0.078411, 0.930809, 0.147602], [0.004733, 0.691367, 0.303900]],
}


def lab(colour, deficiency=None):
    from skimage.color import rgb2lab

    rgb = np.array(to_rgb(colour))
    if deficiency:
        linear = np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)
        linear = np.clip(np.array(DEFICIENCIES[deficiency]) @ linear, 0, 1)
        rgb = np.where(linear <= 0.0031308, 12.92 * linear, 1.055 * linear ** (1 / 2.4) - 0.055)
    return rgb2lab(rgb)


def bars(ax):
    return [artist for artist in ax.get_children() if isinstance(artist, ScaleBar)]


class TestWorkflow:
    @pytest.mark.parametrize("lesson", workflow_picture.LESSONS)
    def test_marks_the_steps_of_a_lesson(self, lesson):
        (ax,) = plot.workflow(here=lesson).axes
        marks = [text for text in ax.texts if text.get_text() == "you are here"]
        steps = [step for step in workflow_picture.STEPS.values() if step.lesson == lesson]
        assert sorted(text.get_position()[0] for text in marks) == sorted(step.x for step in steps)

    def test_without_a_mark(self):
        (ax,) = plot.workflow().axes
        assert "you are here" not in [text.get_text() for text in ax.texts]

    def test_number_of_a_lesson(self):
        assert plot.workflow(here=3).alternative_text == plot.workflow(here="03").alternative_text

    def test_unknown_lesson(self):
        with pytest.raises(ArgumentError, match="'17'"):
            plot.workflow(here="17")

    def test_letters_can_be_read_and_keep_apart(self):
        figure = plot.workflow(here="03")
        assert figure.get_size_inches()[0] <= plot.WIDTH
        texts = [text for text in figure.findobj(Text) if text.get_text().strip() and text.get_visible()]
        assert min(text.get_fontsize() for text in texts) >= 10
        renderer = figure.canvas.get_renderer() if hasattr(figure.canvas, "get_renderer") else _renderer(figure)
        boxes = [text.get_window_extent(renderer) for text in figure.axes[0].texts if text.get_text()]
        assert not [pair for pair in itertools.combinations(boxes, 2) if pair[0].overlaps(pair[1])]
        assert all(figure.bbox.contains(*corner) for box in boxes for corner in box.corners())


def _renderer(figure):
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    FigureCanvasAgg(figure).draw()
    return figure.canvas.get_renderer()


class TestScaleBar:
    def test_micrographs_with_a_pixel_size_get_one(self):
        ax = plot.figure()[1][0, 0]
        plot.show_micrograph(ax, Micrograph(np.eye(1000), pixel_size=2.0))
        (bar,) = bars(ax)
        assert bar.length() == 50  # of 200 nm

    def test_others_do_not(self):
        ax = plot.figure()[1][0, 0]
        plot.show_micrograph(ax, np.eye(100))
        assert not bars(ax)

    def test_length_follows_the_limits(self):
        ax = plot.figure()[1][0, 0]
        plot.show_micrograph(ax, np.eye(1000), pixel_size=2.0)
        ax.set_xlim(0, 100)
        assert bars(ax)[0].length() == 5  # of 20 nm

    def test_binned_pictures(self):
        ax = plot.figure()[1][0, 0]
        plot.show_micrograph(ax, np.eye(250))
        plot.scale_bar(ax, 2.0, step=4.0)
        assert bars(ax)[0].length() == 50

    def test_the_line_drawn_is_as_long(self):
        ax = plot.figure(width=4, height=4)[1][0, 0]
        plot.show_micrograph(ax, np.zeros((400, 400)), pixel_size=5.0)
        ax.set_axis_off()
        renderer = _renderer(ax.figure)
        pixels = np.asarray(renderer.buffer_rgba())[..., :3].min(axis=2)
        box = ax.get_window_extent(renderer)
        inside = pixels[:, int(np.ceil(box.x0)) + 1 : int(box.x1) - 1]
        longest = max((row > 250).sum() for row in inside if (row > 250).mean() < 0.9)
        drawn = longest / box.width * 400 * 5.0 / 10
        assert bars(ax)[0].length() in LENGTHS
        assert drawn == pytest.approx(bars(ax)[0].length(), rel=0.05)


class TestPalette:
    @pytest.mark.parametrize("deficiency", [None, *DEFICIENCIES])
    def test_everybody_can_tell_them_apart(self, deficiency):
        """True, false and missed, and the views among themselves; 10 is clearly different."""
        for group in (("true", "false", "particle", "ignored"), ("top", "side", "irregular", "mask")):
            colours = [lab(plot.PALETTE[name], deficiency) for name in group]
            for one, other in itertools.combinations(colours, 2):
                assert np.linalg.norm(one - other) > 15

    @pytest.mark.parametrize("deficiency", [None, *DEFICIENCIES])
    def test_the_scores_of_the_explorer_keep_their_order(self, deficiency):
        lightness = [lab(colour, deficiency)[0] for colour in RAMP]
        assert (np.diff(lightness) > 0).all()
        assert lightness[-1] - lightness[0] > 50

    def test_they_show_on_dark_and_on_grey(self):
        for name, colour in plot.PALETTE.items():
            lightness = lab(colour)[0]
            assert lightness > 50, name

    def test_the_styles_use_it(self):
        assert {style[0] for style in plot.STYLES.values()} <= set(plot.PALETTE.values())


class TestShow:
    @pytest.fixture
    def displayed(self, monkeypatch):
        import IPython.display

        from cryokit.plot import lesson_pictures

        calls = []
        monkeypatch.setattr(lesson_pictures, "_in_notebook", lambda: True)
        monkeypatch.setattr(IPython.display, "display", lambda *data, **options: calls.append((data, options)))
        return calls

    def test_the_text_goes_with_the_picture(self, displayed):
        plot.show(plot.figure(width=1, height=1)[0], "A white\nsquare.")
        (((data,), options),) = displayed
        assert data["text/plain"] == "A white square."
        assert options["metadata"] == {"image/png": {"alt": "A white square."}}

    def test_a_figure_may_bring_its_text(self, displayed):
        plot.show(plot.workflow(here="00"))
        assert "lesson 00" in displayed[0][1]["metadata"]["image/png"]["alt"]

    def test_no_picture_without_a_text(self, displayed):
        with pytest.raises(ArgumentError, match="alternative_text"):
            plot.show(plot.figure()[0])
        assert displayed == []

    def test_figures_are_closed(self, displayed):
        import matplotlib.pyplot as plt

        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            figure, _ = plot.subplots(height=1)
        plot.show(figure, "Empty axes.")
        assert not plt.fignum_exists(figure.number)
