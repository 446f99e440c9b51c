"""Labelled pictures for tests of what pickers learn from."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from cryokit.pickers.labelled import Scene


def scene(
    particles: ArrayLike = (),
    ignored: ArrayLike = (),
    *,
    picture: NDArray | None = None,
    shape: tuple[int, int] = (400, 420),
    seed: int = 0,
) -> Scene:
    """Return a scene with labels at some places, by default in noise."""
    if picture is None:
        picture = np.random.default_rng(seed).normal(size=shape).astype(np.float32)
    particles, ignored = (np.array(places, float).reshape(-1, 2) for places in (particles, ignored))
    views = np.full(len(particles), "", object)
    return Scene(f"scene{seed}", picture.shape, lambda: picture, particles, views, ignored)


def four_particles(picture: NDArray | None = None) -> Scene:
    """Return a scene with four particles and an ignored label."""
    return scene([(100, 120), (190, 130), (300, 260), (60, 300)], [(210, 250)], picture=picture)
