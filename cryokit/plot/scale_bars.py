"""Scale bars: a line of a round length in nanometres, which follows the limits of its axes."""

from __future__ import annotations

from typing import TYPE_CHECKING

import matplotlib.artist
from matplotlib.lines import Line2D
from matplotlib.patheffects import Stroke, withStroke
from matplotlib.text import Text

if TYPE_CHECKING:
    from matplotlib.backend_bases import RendererBase

LENGTHS = tuple(digit * 10**power for power in range(-1, 5) for digit in (1, 2, 5))  # nanometres
SHARE = 0.3  # of the width of the axes: the bar is at most as long


class ScaleBar(matplotlib.artist.Artist):
    """Scale bar in the lower right corner of axes that show a picture.

    Parameters
    ----------
    pixel_size : float
        Size of a pixel, the unit of the axes, in Angstrom.
    """

    def __init__(self, pixel_size: float) -> None:
        super().__init__()
        self.pixel_size = pixel_size
        self.set_zorder(5)
        self.set_in_layout(False)

    def length(self) -> float:
        """Return the length in nanometres: the longest round one that takes at most `SHARE` of the width."""
        left, right = self.axes.get_xlim()
        width = abs(right - left) * self.pixel_size / 10
        return max((length for length in LENGTHS if length <= SHARE * width), default=LENGTHS[0])

    def draw(self, renderer: RendererBase) -> None:
        """Draw the bar, and its length above it, in white on black edges."""
        if not self.get_visible():
            return
        ax, nanometres = self.axes, self.length()
        left, right = ax.get_xlim()
        share = nanometres * 10 / self.pixel_size / abs(right - left)
        # The text's height decides how far the bar is from the border.
        height = ax.bbox.height / ax.figure.dpi * 72
        bar = Line2D([0.97 - share, 0.97], [5 / height] * 2, color="white", linewidth=3.5, solid_capstyle="butt")
        bar.set_path_effects([Stroke(linewidth=5.5, foreground="black"), Stroke(linewidth=3.5, foreground="white")])
        words = Text(0.97, 9 / height, f"{nanometres:g} nm", color="white", fontsize=10, ha="right")
        words.set_path_effects([withStroke(linewidth=2.5, foreground="black")])
        for artist in (bar, words):
            artist.set_figure(ax.figure)
            artist.axes = ax
            artist.set_transform(ax.transAxes)
            artist.draw(renderer)
