"""What makes parts of a micrograph unusable: foil, beam edge, gold beads, aggregates, crystalline ice, padded borders.

Foil, beads and aggregates are matter in the beam: like `cryokit.simulate.specimen`, they add to the maps `phase` and
`loss`, which the lens turns into an image. The beam edge takes light away, crystalline ice darkens the whole field in
patches, and borders are filled after recording, as programs that align frames do. Sizes and strengths cover what real
micrographs show, from hardly visible to opaque; they are drawn anew for every micrograph.
"""

from __future__ import annotations

import numpy as np
from scipy import ndimage

from cryokit.simulate.conditions import Conditions
from cryokit.simulate.density import clip_window
from cryokit.simulate.placement import Field, waves

_CLOSED = 0.9  # less than this share of the light is the shadow of the beam edge
_DENSE = 0.2  # of an aggregate's largest thickness: thinner parts do not hide what lies under them


class Artefacts:
    """The artefacts of one micrograph.

    Parameters
    ----------
    rng : numpy.random.Generator
        Random numbers.
    field : Field
        Field that is simulated.
    conditions : Conditions
        Numbers of beads and aggregates per area, and probabilities of the others.

    Attributes
    ----------
    hidden : ndarray of bool, shape `field.padded`
        Pixels that an artefact makes unusable.
    """

    def __init__(self, rng: np.random.Generator, field: Field, conditions: Conditions) -> None:
        self._rng, self._field = rng, field
        self.hidden = np.zeros(field.padded, bool)
        area = field.padded[0] * field.padded[1] * field.pixel_size**2 * 1e-8
        # A stream of random numbers for each, so that one artefact more does not change the others.
        foil, edge, crystalline, borders = rng.random(4) < (
            conditions.foil, conditions.beam_edge, conditions.crystalline, conditions.borders
        )  # fmt: skip
        for_beads, for_aggregates, for_foil, for_edge, for_ice, for_borders = rng.spawn(6)
        beads, aggregates = (
            for_beads.poisson(conditions.beads * area),
            for_aggregates.poisson(conditions.aggregates * area),
        )
        self._makers = []
        if beads:
            self._makers.append(lambda phase, loss: self._beads(phase, loss, beads, for_beads))
        if aggregates:
            self._makers.append(lambda phase, loss: self._aggregates(phase, loss, aggregates, for_aggregates))
        if foil:
            self._makers.append(lambda phase, loss: self._foil(phase, loss, for_foil))
        self._edge = for_edge if edge else None
        self._crystalline = for_ice if crystalline else None
        self._borders = for_borders if borders else None

    def add_matter(self, phase: np.ndarray, loss: np.ndarray) -> None:
        """Add what lies in the beam to the maps of the field, in place."""
        for make in self._makers:
            make(phase, loss)
        if self._crystalline is not None:
            self._crystals(phase, loss, self._crystalline)

    @property
    def matter(self) -> bool:
        """Whether `add_matter` adds anything."""
        return bool(self._makers) or self._crystalline is not None

    def light(self) -> np.ndarray | None:
        """Return the share of the beam that reaches each pixel of the micrograph; None where it is whole."""
        if self._edge is None:
            return None
        rng, (rows, columns) = self._edge, self._field.shape
        pixel = self._field.pixel_size
        share, radius = rng.uniform(0.03, 0.3), rng.uniform(0.6, 4) * (rows + columns)
        distance = _distance_to_arc(rng, self._field.shape, share, radius)
        width = rng.uniform(2, 60) / pixel
        light = 1 / (1 + np.exp(np.clip(-distance / width, -30, 30)))
        # Fresnel fringes run along the rim of an aperture.
        height, period = rng.uniform(0, 0.15), rng.uniform(80, 400) / pixel
        light = light * (1 + height * np.exp(-np.abs(distance) / period) * np.cos(2 * np.pi * distance / period))
        darkest = rng.choice((0.0, 0.02, 0.2, 0.5), p=(0.4, 0.3, 0.2, 0.1))
        light = (darkest + (1 - darkest) * np.maximum(light, 0)).astype(np.float32)
        self.hidden[self._field.inner] |= light < _CLOSED + 0.1 * darkest
        return light

    def fill_borders(self, data: np.ndarray) -> None:
        """Overwrite borders of the recorded micrograph, in place, by a constant or by the last row or column."""
        if self._borders is None:
            return
        rng, shape = self._borders, self._field.shape
        hidden = self.hidden[self._field.inner]
        constant = rng.random() < 0.4
        level = float(rng.choice((0.0, data.mean(), data.min())))
        for side in rng.choice(4, size=rng.integers(1, 4), replace=False):
            axis, last = divmod(int(side), 2)
            width = int(rng.uniform(0.004, 0.07) * shape[axis]) + 1
            # Views whose first rows are the border.
            view, hidden_view = (
                np.flip(part.swapaxes(0, axis), 0) if last else part.swapaxes(0, axis) for part in (data, hidden)
            )
            view[:width] = level if constant else view[width]
            hidden_view[:width] = True

    def _beads(self, phase: np.ndarray, loss: np.ndarray, number: int, rng: np.random.Generator) -> None:
        pixel = self._field.pixel_size
        radius = rng.choice((25.0, 50.0, 75.0, 125.0))
        opacity = rng.uniform(0.08, 0.5)
        for _ in range(number):
            r = radius * rng.uniform(0.85, 1.15) / pixel
            x, y = rng.uniform((0, 0), phase.shape[::-1])
            window, distance = _around(phase.shape, x, y, r + 3)
            if window is not None:
                # As thick as a ball: its middle scatters the most.
                thickness = np.sqrt(np.clip(1 - (distance / r) ** 2, 0, None)).astype(np.float32)
                phase[window] += 2 * opacity * thickness
                loss[window] += opacity * np.tanh(3 * thickness)
                self.hidden[window] |= distance < r + 1

    def _aggregates(self, phase: np.ndarray, loss: np.ndarray, number: int, rng: np.random.Generator) -> None:
        pixel = self._field.pixel_size
        for _ in range(number):
            lumps = int(rng.integers(4, 40))
            lump = rng.uniform(25, 90) / pixel
            spread = lump * np.sqrt(lumps) * rng.uniform(0.4, 0.9)
            stretch = rng.uniform(1, 2.5)
            x, y = rng.uniform((0, 0), phase.shape[::-1])
            window, _ = _around(phase.shape, x, y, 3 * stretch * spread + 3 * lump)
            if window is None:
                continue
            yy, xx = np.mgrid[window].astype(np.float32)
            direction = rng.uniform(0, np.pi)
            thickness = np.zeros(yy.shape, np.float32)
            for along, across in rng.normal(0, spread, (lumps, 2)) * (stretch, 1):
                px = x + along * np.cos(direction) - across * np.sin(direction)
                py = y + along * np.sin(direction) + across * np.cos(direction)
                size = lump * rng.uniform(0.5, 1.3)
                thickness += np.exp(-((xx - px) ** 2 + (yy - py) ** 2) / (2 * size**2))
            strength = rng.uniform(0.04, 0.25)
            depth = np.tanh(thickness)
            phase[window] += strength * depth * (1 + 0.3 * _grain(rng, yy.shape, 12 / pixel))
            loss[window] += strength * rng.uniform(0.1, 0.6) * depth
            self.hidden[window] |= depth > _DENSE

    def _foil(self, phase: np.ndarray, loss: np.ndarray, rng: np.random.Generator) -> None:
        """Add a film over one side or corner: thick carbon, or gold, whose crystals differ in darkness."""
        pixel, shape = self._field.pixel_size, self._field.padded
        distance = _distance_to_arc(rng, shape, rng.uniform(0.08, 0.45), rng.uniform(4000, 20000) / pixel)
        film = 1 / (1 + np.exp(np.clip(distance * (pixel / rng.uniform(6, 60)), -30, 30)))
        opacity = rng.uniform(0.03, 0.45)
        texture = 1 + rng.uniform(0, 0.35) * _grain(rng, shape, rng.uniform(60, 400) / pixel)
        fine = rng.normal(0, rng.uniform(0.1, 0.6) / pixel, shape).astype(np.float32)
        loss += (opacity * film * np.maximum(texture, 0)).astype(np.float32)
        phase += (film * (opacity + fine)).astype(np.float32)
        self.hidden |= distance < 0

    def _crystals(self, phase: np.ndarray, loss: np.ndarray, rng: np.random.Generator) -> None:
        """Darken the field in patches, as the domains of crystalline ice do, with cracks between them."""
        pixel, shape = self._field.pixel_size, self._field.padded
        size = rng.uniform(150, 900) / pixel
        patches = _grain(rng, shape, size)
        strength = rng.uniform(0.03, 0.15)
        loss += strength * np.maximum(patches - rng.uniform(0, 1.5), 0)
        phase += strength * patches * rng.uniform(0.2, 1)
        rim = np.abs(_grain(rng, shape, 0.7 * size))
        phase += rng.uniform(0, 0.12) * np.exp(-rim * rng.uniform(6, 15))
        self.hidden[...] = True


def _around(shape: tuple[int, int], x: float, y: float, reach: float) -> tuple[tuple[slice, slice] | None, np.ndarray]:
    """Return the window around a place and the distance of its pixels from the place; None where it lies outside."""
    reach = int(np.ceil(reach)) + 1
    top, left = round(y) - reach, round(x) - reach
    window = clip_window(shape, top, left, top + 2 * reach + 1, left + 2 * reach + 1)
    if window is None:
        return None, np.empty(0)
    yy, xx = np.mgrid[window].astype(np.float32)
    return window, np.hypot(xx - np.float32(x), yy - np.float32(y))


def _distance_to_arc(rng: np.random.Generator, shape: tuple[int, int], share: float, radius: float) -> np.ndarray:
    """Return the distance of each pixel from an arc that cuts a share off one side or corner; negative beyond it.

    `share` is that of the width in the direction of the cut; `radius` that of the arc, in pixels.
    """
    rows, columns = shape
    direction = rng.uniform(0, 2 * np.pi)
    c, s = np.cos(direction), np.sin(direction)
    middle = (abs(c) * columns + abs(s) * rows) * (0.5 - share) - radius
    x = np.arange(columns, dtype=np.float32) - np.float32((columns - 1) / 2 + middle * c)
    y = np.arange(rows, dtype=np.float32) - np.float32((rows - 1) / 2 + middle * s)
    ragged = rng.uniform(0, 0.006) * (rows + columns) * waves(rng, shape, 12)
    return np.float32(radius) - np.hypot(x[None, :], y[:, None]) + ragged


def _grain(rng: np.random.Generator, shape: tuple[int, int], size: float) -> np.ndarray:
    """Return a random field of mean 0 and deviation 1 whose patches are about `size` pixels across."""
    # Drawn on a coarse grid: a wide blur of every pixel would take long and show nothing more.
    step = max(1, int(size / 4))
    coarse = [n // step + 4 for n in shape]
    field = ndimage.gaussian_filter(rng.standard_normal(coarse, dtype=np.float32), max(size / step / 2, 0.5))
    field = ndimage.zoom(field, step, order=1)[: shape[0], : shape[1]] if step > 1 else field[: shape[0], : shape[1]]
    return (field - field.mean()) / max(float(field.std()), 1e-6)
