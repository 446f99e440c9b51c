"""How far a network's peaks lie beside the particles: measured from pictures alone, without labels."""

from collections.abc import Callable, Iterable, Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from cryokit.imaging.frame import Frame

MICROGRAPHS = 4  # that a picker is centred on
FEWEST = 30  # pairs of peaks: the mean of fewer is known no better than not at all
REACH = 0.2  # diameters between the two peaks of one particle, at most


def turn_bias(
    locate: Callable[[NDArray], tuple[NDArray, NDArray]], pictures: Iterable[NDArray], diameter: float
) -> tuple[float, float]:
    """Return the mean displacement of a network's peaks that comes from the network itself.

    Trained networks prefer a direction: their peaks lie a little to one side, everywhere alike, by some
    thousandths of the particle's diameter. If a picture is turned by 180 degrees the particles turn with it, but the
    preference does not. So a peak that lies beside its particle by b in the picture lies by -b in the turned one once
    that is turned back, and half of the mean difference is b.

    Parameters
    ----------
    locate : callable
        Returns x and y of the peaks of a picture, in its pixels.
    pictures : iterable of ndarray, shape (rows, columns)
        Pictures as the network sees them.
    diameter : float
        Particle diameter in pixels of the pictures.

    Returns
    -------
    x, y : float
        Displacement in pixels of the pictures; zero where fewer than 30 particles are found both ways.
    """
    differences = []
    for picture in pictures:
        places = np.column_stack(locate(picture))
        turned = np.array(picture.shape[::-1]) - 1 - np.column_stack(locate(np.ascontiguousarray(picture[::-1, ::-1])))
        if not len(places) or not len(turned):
            continue
        distance, partner = cKDTree(turned).query(places)
        mutual = cKDTree(places).query(turned)[1][partner] == np.arange(len(places))
        pairs = mutual & (distance <= REACH * diameter)
        differences.append(places[pairs] - turned[partner[pairs]])
    differences = np.concatenate(differences) if differences else np.empty((0, 2))
    if len(differences) < FEWEST:
        return 0.0, 0.0
    x, y = differences.mean(axis=0) / 2
    return float(x), float(y)


def centred(frame: Frame, bias: Sequence[float]) -> Frame:
    """Return the frame that takes a network's displaced positions to where the particles are.

    Parameters
    ----------
    frame : Frame
        Frame of the picture that the network scores.
    bias : (float, float)
        Displacement that `turn_bias` measured, in pixels of the picture.
    """
    return frame.moved(-bias[0] * frame.step_x, -bias[1] * frame.step_y)
