"""Projections of the simulator's proteins, without a microscope."""

import numpy as np

from cryokit.simulate.density import Cloud, atom_transfer, splat


def project(cloud: Cloud, rotation: np.ndarray, shape: tuple[int, int], pixel_size: float) -> np.ndarray:
    """Return the projected potential against ice, V Angstrom, with the centre of mass in the middle pixel."""
    canvas = np.zeros(shape, np.float32)
    splat(canvas, cloud, rotation, shape[1] // 2, shape[0] // 2, pixel_size)
    fy = np.fft.fftfreq(shape[0], pixel_size)[:, None]
    fx = np.fft.rfftfreq(shape[1], pixel_size)[None, :]
    spectrum = np.fft.rfft2(canvas) * atom_transfer(fx, fy, pixel_size, cloud.sigma)
    return np.fft.irfft2(spectrum, shape).astype(np.float32)
