"""What the pictures of comparisons show, read back from the axes."""

import numpy as np
import pytest
from benchmark_result import METHODS, SHAPE, SNR, all_picks, result, with_given
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import to_hex

from cryokit import plot
from cryokit.benchmark import result_file, summary
from cryokit.errors import ArgumentError
from cryokit.evaluate import evaluate
from cryokit.plot import comparison as pictures
from cryokit.plot import comparison_figures
from cryokit.plot.drawing import DIRECT


@pytest.fixture(scope="module")
def made_up():
    return result()


@pytest.fixture
def ax():
    figure, axes = plot.figure()
    FigureCanvasAgg(figure)
    return axes[0, 0]


def named(ax):
    """The names beside the axes, in the order of drawing."""
    return [text.get_text() for text in ax.texts if text.get_gid() == DIRECT]


def lines(ax):
    """The styles of the curves, without those of equal F1 and the marks."""
    return {line.get_linestyle() for line in ax.lines if line.get_drawstyle() == "steps-pre"}


def marks(ax):
    """The points that stand alone on the axes, by colour, marker and face."""
    return {
        (to_hex(line.get_color()), line.get_marker(), to_hex(line.get_markerfacecolor())): line.get_xydata()[0].tolist()
        for line in ax.lines
        if line.get_linestyle() == "None" and line.get_marker() in pictures.MARKERS and line.get_markersize() >= 7
    }


def of(look, learned):
    return (look.colour.lower(), look.marker, "#ffffff" if learned else look.colour.lower())


class TestStyles:
    @pytest.mark.parametrize("many", [False, True])
    def test_told_apart(self, many):
        known = {**result(), "methods": fourteen()} if many else result()
        looks = pictures.styles(known)
        for labels in (False, True):
            group = [look for name, look in looks.items() if summary.learns(known, name) == labels]
            assert len({look.colour for look in group}) == len({look.marker for look in group}) == len(group)
            assert {look.line for look in group} == {"dashed" if labels else "solid"}

    def test_same_method_same_colour_in_another_result(self, made_up):
        fewer = {
            **made_up,
            "methods": {name: made_up["methods"][name] for name in ("deepem", "auto", "deepcryopicker")},
        }
        several, few = pictures.styles(made_up), pictures.styles(fewer)
        assert {name: look.colour for name, look in few.items()} == {name: several[name].colour for name in few}

    def test_unknown_methods_take_what_is_left(self, made_up):
        unknown = {f"my {index}": made_up["methods"]["auto"] for index in range(12)}
        looks = pictures.styles({**made_up, "methods": {**unknown, "auto": made_up["methods"]["auto"]}})
        assert looks["auto"].colour == next(iter(pictures.COLOURS))
        assert sum(look.colour == next(iter(pictures.COLOURS)) for look in looks.values()) <= 2


def fourteen():
    free = ("auto", "template", "autocryopicker", "supercryoempicker", "deepcryopicker", "mine", "yours", "theirs")
    learned = ("relion_template", "deepem", "deeppicker", "pixer", "eman2_cnn", "his")
    told = {"settings": {}, "source": ""}
    return {name: {"title": name, "picker": name, "labels": name in learned, **told} for name in (*free, *learned)}


class TestCurves:
    def test_curve_is_that_of_the_median_seed(self, ax, made_up):
        pictures.precision_recall(ax, made_up, "klh_sim")
        cells = [one for one in made_up["cells"] if (one["method"], one["dataset"]) == ("auto", "klh_sim")]
        lower = min(cells, key=lambda one: one["scores"]["f1"])
        (line,) = (line for line in ax.lines if line.get_color() == "#000000" and len(line.get_xdata()) > 2)
        assert line.get_xdata()[1:].tolist() == result_file.points(lower["curve"])["recall"].tolist()
        assert line.get_ydata()[1:].tolist() == result_file.points(lower["curve"])["precision"].tolist()
        assert [lower["scores"]["recall"], lower["scores"]["precision"]] in marks(ax).values()

    def test_one_kind_at_a_time(self, ax, made_up):
        pictures.precision_recall(ax, made_up, "klh_sim", labels=True)
        names = [name.partition(":")[0] for name in named(ax)]
        assert names == ["deeppicker", "deepem"]  # the better first
        assert lines(ax) == {"--"}
        looks = pictures.styles(made_up)
        assert set(marks(ax)) == {of(looks[name], True) for name in names}
        # A name has the colour of its curve.
        colours = {text.get_text().partition(":")[0]: text.get_color() for text in ax.texts if text.get_gid() == DIRECT}
        assert colours == {name: looks[name].colour for name in names}

    @pytest.mark.parametrize("labels", [False, True])
    def test_given_picks_are_drawn_where_they_are_ranked(self, ax, labels):
        known = with_given(result())
        pictures.precision_recall(ax, known, "klh_sim", labels=labels)
        names = [name.partition(":")[0] for name in named(ax)]
        assert names == summary.standing(known, "klh_sim", labels=labels)["title"].tolist()
        assert ("mine" in names) == labels
        assert lines(ax) == ({"--", ":"} if labels else {"-"})

    def test_all(self, ax, made_up):
        pictures.precision_recall(ax, made_up, "klh_sim")
        f1 = [float(name.split("F1 ")[1][:5]) for name in named(ax)]
        assert len(f1) == len(METHODS)
        assert f1 == sorted(f1, reverse=True)

    def test_view(self, ax, made_up):
        pictures.precision_recall(ax, made_up, "klh_sim", view="side")
        cells = [one for one in made_up["cells"] if (one["method"], one["dataset"]) == ("template", "klh_sim")]
        points = [[one["views"]["side"]["recall"], one["views"]["side"]["precision"]] for one in cells]
        assert marks(ax)[of(pictures.styles(made_up)["template"], False)] in points
        mean = np.mean([one["views"]["side"]["f1"] for one in cells])
        assert any(name.startswith("template") and f"F1 {mean:.3f}" in name for name in named(ax))

    def test_methods_without_scores_are_left_out(self, ax, made_up):
        pictures.precision_recall(ax, made_up, "apoferritin_sim")
        assert not any("deepem" in name for name in named(ax))

    def test_names_are_beside_the_axes_and_do_not_overlap(self, made_up):
        figure = comparison_figures.curves(result(many=True), "klh_sim")
        figure.canvas.draw()
        for ax in figure.axes:
            boxes = [text.get_window_extent() for text in ax.texts if text.get_gid() == DIRECT]
            # The extent of an annotation includes its line, so only the heights of the texts are compared.
            centres = sorted(text.xyann[1] for text in ax.texts if text.get_gid() == DIRECT)
            assert len(boxes) > 5
            assert np.diff(centres).min() * ax.bbox.height > 0.95 * 8 / 72 * figure.dpi
            assert min(text.xyann[0] for text in ax.texts if text.get_gid() == DIRECT) > 1


class TestF1:
    def test_places_and_values(self, ax, made_up):
        pictures.f1_intervals(ax, made_up, "klh_sim")
        table = summary.scores(made_up, "klh_sim")
        assert [label.get_text() for label in ax.get_yticklabels()] == table["title"].tolist()
        assert ax.get_ylim()[0] > ax.get_ylim()[1]  # the first is at the top
        looks, drawn = pictures.styles(made_up), marks(ax)
        for place, row in enumerate(table.itertuples()):
            assert drawn[of(looks[row.method], row.labels)] == [row.f1, place]
        bars = [line.get_xdata() for line in ax.lines if len(line.get_xdata()) == 2 and line.get_linestyle() == "-"]
        assert np.allclose(bars, table[["f1_low", "f1_high"]])

    def test_reason_instead_of_a_dot(self, ax, made_up):
        pictures.f1_intervals(ax, made_up, "apoferritin_sim")
        (told,) = ax.texts
        assert told.get_text().startswith("skipped: needs labels")
        assert told.get_position()[1] == ax.get_yticks()[-1]

    def test_what_the_paper_reports_stands_apart(self, made_up):
        figure = comparison_figures.beside_paper(made_up, "klh_sim")
        measured, printed = figure.axes
        assert {line.get_xdata()[0] for line in printed.lines} == {0.89, 0.88, 0.955}
        assert not any(line.get_marker() == "*" for line in measured.lines)
        assert comparison_figures.beside_paper(made_up, "apoferritin_sim") is None


class TestFigures:
    def test_none_where_there_is_nothing_to_draw(self, made_up):
        reduced = result_file.reduced(made_up)
        assert comparison_figures.curves(reduced, "klh_sim") is None
        assert comparison_figures.views(made_up, "apoferritin_sim") is None
        untimed = {**made_up, "cells": [{**cell, "seconds": {"fit": None, "pick": None}} for cell in made_up["cells"]]}
        assert comparison_figures.time(untimed, "klh_sim") is None

    def test_localisation(self, ax, made_up):
        pictures.localisation(ax, made_up, "klh_sim")
        table = summary.scores(made_up, "klh_sim")
        assert sorted(marks(ax).values()) == sorted((100 * table[["dx_share", "dy_share"]]).to_numpy().tolist())
        assert ax.get_ylim()[0] > ax.get_ylim()[1]  # down is down


class TestSweep:
    def test_points(self, ax, made_up):
        pictures.sweep(ax, made_up, "snr", quantity="average_precision")
        look = pictures.styles(made_up)["auto"]
        (line,) = (
            line for line in ax.lines if to_hex(line.get_color()) == look.colour and line.get_marker() == look.marker
        )
        expected = [
            next(one for one in made_up["cells"] if (one["method"], one["dataset"]) == ("auto", f"klh_snr_{snr:g}"))
            for snr in SNR
        ]
        assert line.get_xdata().tolist() == list(SNR)
        assert line.get_ydata().tolist() == [one["scores"]["average_precision"] for one in expected]
        assert (ax.get_xscale(), ax.get_xlabel(), ax.get_ylabel()) == (
            "log",
            "signal-to-noise ratio",
            "average precision",
        )
        assert [label.get_text() for label in ax.get_xticklabels()] == ["0.02", "0.05", "0.1", "0.2"]
        assert set(named(ax)) == set(METHODS)

    def test_one_kind(self, ax, made_up):
        pictures.sweep(ax, made_up, "snr", labels=False)
        assert set(named(ax)) == {name for name, (*_, labels) in METHODS.items() if not labels}

    def test_errors(self, ax, made_up):
        with pytest.raises(ArgumentError, match=r"'dose'.*snr$"):
            pictures.sweep(ax, made_up, "dose")
        with pytest.raises(ArgumentError, match=r"quantity .*'recall'$"):
            pictures.sweep(ax, made_up, "snr", quantity="recall")


def test_time_against_f1(ax, made_up):
    pictures.time_against_f1(ax, made_up, "klh_sim")
    table = summary.scores(made_up, "klh_sim")
    assert sorted(marks(ax).values()) == sorted(table[["pick", "f1"]].to_numpy().tolist())
    assert ax.get_xscale() == "log"
    ax.figure.canvas.draw()
    assert all("10^" not in label.get_text() for label in ax.get_xticklabels(which="both"))


@pytest.fixture(scope="module")
def picked():
    name = "klh_sim_01"
    tables = {method: all_picks(method, "klh_sim", 0) for method in ("auto", "deepem")}
    labels = next(iter(tables.values()))[1]
    return name, {method: made for method, (made, _) in tables.items()}, labels


class TestOverlays:
    def test_counts_are_those_of_the_evaluation(self, picked):
        name, tables, labels = picked
        figure, axes = plot.figure(1, 3)
        pictures.overlays(axes, np.zeros(SHAPE, np.float32), tables, labels, name=name)
        for ax, (method, made) in zip(axes[0], tables.items(), strict=False):
            found = evaluate(made[made["micrograph"] == name], labels[labels["micrograph"] == name], bootstrap=0)
            title = ax.get_title()
            assert title.startswith(method)
            assert f"{found.tp} true, {found.fp} false, {found.fn} missed" in title
            circles = {to_hex(group.get_edgecolor()[0]).upper(): len(group.get_offsets()) for group in ax.collections}
            assert circles[plot.STYLES["true"][0]] == found.tp
            assert circles.get(plot.STYLES["missed"][0], 0) == found.fn
        assert not axes[0, 2].axison
        pictures.explain_overlays(figure)
        assert [text.get_text() for text in figure.legends[0].get_texts()][:3] == [
            "true pick",
            "false pick",
            "missed particle",
        ]

    def test_a_method_without_picks_misses_all(self, picked):
        name, tables, labels = picked
        _, axes = plot.figure(1, 1)
        pictures.overlays(axes, np.zeros(SHAPE, np.float32), {"none": tables["auto"].iloc[:0]}, labels, name=name)
        assert "0 true, 0 false, 20 missed" in axes[0, 0].get_title()

    def test_errors(self, picked):
        name, tables, labels = picked
        _, axes = plot.figure(1, 1)
        with pytest.raises(ArgumentError, match=r"axes: 2 .* 1$"):
            pictures.overlays(axes, np.zeros(SHAPE, np.float32), tables, labels, name=name)
        with pytest.raises(ArgumentError, match="name="):
            pictures.overlays(axes, np.zeros(SHAPE, np.float32), {}, labels)
