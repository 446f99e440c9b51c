"""How lessons show pictures: letters that can be read when projected, and an alternative text for every picture."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING

from cryokit.errors import ArgumentError
from cryokit.plot.drawing import CURVE_COLOURS

if TYPE_CHECKING:
    from matplotlib.figure import Figure

WIDTH = 8.8  # inches: a page 1280 pixels wide shows pictures of this width without shrinking them
_ATTRIBUTE = "alternative_text"


def lesson_style() -> None:
    """Set how matplotlib draws the pictures of a lesson; the first cell of a lesson calls this.

    The letters have 12 points, small ones 10, at the width `WIDTH`, curves the colours of
    `cryokit.plot.CURVE_COLOURS`, and axes keep clear of each other.
    """
    import matplotlib as mpl

    mpl.rcParams.update(
        {
            "figure.constrained_layout.use": True,
            "figure.dpi": 100,
            "figure.figsize": (WIDTH, 0.6 * WIDTH),
            "font.size": 12,
            "axes.titlesize": 12,
            "axes.labelsize": 12,
            "xtick.labelsize": 11,
            "ytick.labelsize": 11,
            "legend.fontsize": 11,
            "axes.prop_cycle": mpl.cycler(color=CURVE_COLOURS),
            "lines.linewidth": 2,
        }
    )


def subplots(rows: int = 1, columns: int = 1, *, height: float, **options):
    """Make axes over the whole width of a lesson's page.

    Parameters
    ----------
    rows, columns : int
        Number of axes down and across.
    height : float
        Height of the figure in inches.
    **options
        Options of `matplotlib.pyplot.subplots`.

    Returns
    -------
    figure : matplotlib.figure.Figure
    axes : matplotlib.axes.Axes, or ndarray of them
        What `matplotlib.pyplot.subplots` returns.
    """
    import matplotlib.pyplot as plt

    return plt.subplots(rows, columns, figsize=(WIDTH, height), **options)


def describe(figure: Figure, alternative_text: str) -> Figure:
    """Give a figure the text that `show` passes on to readers who do not see it."""
    setattr(figure, _ATTRIBUTE, " ".join(alternative_text.split()))
    return figure


def show(figure: Figure, alternative_text: str = "") -> None:
    """Show a figure in a notebook, with an alternative text, and close it.

    The text lies in the metadata of the output (``{"image/png": {"alt": ...}}``), from which nbconvert and the pages of
    ``cryokit notebooks run`` take it. Outside notebooks, pyplot shows its open figures.

    Parameters
    ----------
    figure : matplotlib.figure.Figure
        Figure to show.
    alternative_text : str
        What the picture shows, in one or two sentences, for readers who do not see it. It may be left out if the figure
        has one already (`describe`).

    Raises
    ------
    ArgumentError
        If there is no text.
    """
    if alternative_text:
        describe(figure, alternative_text)
    text = getattr(figure, _ATTRIBUTE, "")
    if not text:
        raise ArgumentError("alternative_text must say what the picture shows")
    pyplot = sys.modules.get("matplotlib.pyplot")
    if _in_notebook():
        import base64

        from IPython.core.pylabtools import print_figure
        from IPython.display import display

        data = base64.b64encode(print_figure(figure, "png")).decode("ascii")
        display({"image/png": data, "text/plain": text}, metadata={"image/png": {"alt": text}}, raw=True)
        if pyplot is not None:
            pyplot.close(figure)
    elif pyplot is not None:
        pyplot.show()


def sentences(*parts: str | Sequence[str]) -> None:
    """Show Markdown made by code: a result in words, with its numbers taken from the run.

    Parameters
    ----------
    *parts : str or sequence of str
        Paragraphs; the items of a sequence become a list with bullets.
    """
    from IPython.display import Markdown, display

    paragraphs = [part if isinstance(part, str) else "\n".join(f"- {item}" for item in part) for part in parts]
    text = "\n\n".join(paragraphs)
    if _in_notebook():
        display(Markdown(text))
    else:
        sys.stdout.write(f"{text}\n")


def _in_notebook() -> bool:
    shell = sys.modules["IPython"].get_ipython() if "IPython" in sys.modules else None
    return shell is not None and hasattr(shell, "kernel")
