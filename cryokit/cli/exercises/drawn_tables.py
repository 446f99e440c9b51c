"""Tables and coordinate files for exercises, drawn from a seed."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray


class Candidates(NamedTuple):
    """Scored candidates of some micrographs: scores, which of them are particles, and how many particles there are."""

    score: NDArray[np.float64]
    true: NDArray[np.bool_]
    particles: int


def areas(seed: int, n: int = 60) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """Draw the areas of objects, and which of them are single particles.

    Parameters
    ----------
    seed : int
        Random seed.
    n : int
        Number of objects; a fifth of them are clumps and crystals of ice, 2 to 30 times as large.
    """
    rng = np.random.default_rng(seed)
    single = rng.permutation(np.arange(n) >= n // 5)
    usual = rng.uniform(400, 1200)
    area = np.where(single, usual * rng.uniform(0.88, 1.12, n), usual * np.exp(rng.uniform(0.7, 3.4, n)))
    return area, single


def split(seed: int, n: int = 36) -> tuple[pd.DataFrame, set[str]]:
    """Draw micrographs split into training and test, with a leak.

    Parameters
    ----------
    seed : int
        Random seed.
    n : int
        Number of micrographs.

    Returns
    -------
    table : pandas.DataFrame
        One row per micrograph: its name, grid square, hole within the square (numbered from 1 in each square), checksum
        of the pixels and part (``train``, ``validation`` or ``test``).
    leaking : set of str
        Test micrographs that show what a training micrograph shows: the same file under another name, or another
        exposure of the same hole.
    """
    rng = np.random.default_rng(seed)
    places = rng.permutation([(square, hole) for square in "ABCD" for hole in range(1, 10)])[:n]
    table = pd.DataFrame(
        {
            "micrograph": [f"mic_{number:04d}" for number in rng.choice(9000, n, replace=False) + 1000],
            "square": places[:, 0],
            "hole": places[:, 1].astype(int),
            "checksum": [f"{value:08x}" for value in rng.choice(2**32 - 1, n, replace=False)],
            "part": np.resize(["train", "train", "test", "validation"], n),
        }
    )
    test = table.index[table["part"] == "test"]
    train = table.index[table["part"] == "train"]
    other = table.index[table["part"] == "validation"]
    copied, again, harmless = rng.choice(test, 2, replace=False), [], []
    rest = [row for row in test if row not in set(copied)]
    again, harmless = rest[:2], rest[2:4]
    sources = rng.choice(train, 4, replace=False)
    for row, twin in zip(copied, sources[:2], strict=True):  # the same file, renamed; whoever renamed it lost its place
        table.loc[row, "checksum"] = table.loc[twin, "checksum"]
    for row, twin in zip(again, sources[2:], strict=True):  # a second exposure of the same hole
        table.loc[row, ["square", "hole"]] = table.loc[twin, ["square", "hole"]].to_numpy()
    for row, twin in zip(harmless, rng.choice(other, 2, replace=False), strict=True):  # no leak from the training
        table.loc[row, "checksum"] = table.loc[twin, "checksum"]
    return table, set(table.loc[[*copied, *again], "micrograph"])


def confusion(seed: int) -> pd.DataFrame:
    """Draw a confusion matrix of four classes; rows are true classes, columns predicted ones."""
    rng = np.random.default_rng(seed)
    names = ["top", "side", "ice", "background"]
    counts = rng.integers(1, 12, (4, 4))
    np.fill_diagonal(counts, rng.integers(60, 200, 4))
    row, column = rng.choice(4, 2, replace=False)
    counts[row, column] += rng.integers(25, 45)
    return pd.DataFrame(counts, index=pd.Index(names, name="true"), columns=pd.Index(names, name="predicted"))


def candidates(seed: int, particles: int = 60) -> Candidates:
    """Draw scored candidates as a picker would return them for a few micrographs.

    Parameters
    ----------
    seed : int
        Random seed.
    particles : int
        Number of particles; one in twelve has no candidate.

    Returns
    -------
    Candidates
        Best score first.
    """
    rng = np.random.default_rng(seed)
    found = round(particles * 11 / 12)
    false = 2 * particles
    score = np.concatenate([rng.beta(4, 4, found), rng.beta(1.6, 6, false)])
    true = np.arange(found + false) < found
    order = np.argsort(-score)
    return Candidates(score[order], true[order], particles)


def flipped_boxes(seed: int, n: int = 20) -> tuple[str, int, NDArray[np.float64]]:
    """Draw an EMAN1 box file whose rows are counted from the bottom of the micrograph.

    Parameters
    ----------
    seed : int
        Random seed.
    n : int
        Number of particles.

    Returns
    -------
    text : str
        Lines ``corner_x corner_y width height``; the corner is the one nearest to the first pixel of the bottom row.
    rows : int
        Rows of the micrograph.
    centres : ndarray of float, shape (n, 2)
        True centres: x, and y counted from the first row of the file.
    """
    rng = np.random.default_rng(seed)
    rows, columns = int(rng.integers(700, 1200)), int(rng.integers(700, 1200))
    side = 2 * int(rng.integers(20, 50))
    centres = np.column_stack([rng.integers(side, columns - side, n), rng.integers(side, rows - side, n)])
    corners = np.column_stack([centres[:, 0] - side // 2, rows - 1 - centres[:, 1] - side // 2])
    text = "".join(f"{x}\t{y}\t{side}\t{side}\n" for x, y in corners)
    return text, rows, centres.astype(float)


def crowd(seed: int, n: int = 12) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Draw picks and labels that lie so close together that greedy matching loses pairs.

    Parameters
    ----------
    seed : int
        Random seed.
    n : int
        Number of groups, 100 pixels apart; each has two picks and two labels. The tolerance should be 10 pixels.

    Returns
    -------
    picks, labels : ndarray of float, shape (2 n, 2)
        Centres in pixels, in random order. All picks can be matched.
    """
    rng = np.random.default_rng(seed)
    picks, labels = [], []
    for group in range(n):
        x, y = 100.0 * (group % 4) + 50, 100.0 * (group // 4) + 50
        # Of the first label one pick is near, the other is nearest: whoever takes the nearest first leaves one alone.
        near = rng.uniform(1, 4)
        labels += [(x, y), (x + 9, y)]
        picks += [(x + near, y), (x - 8, y)]
    return rng.permutation(picks), rng.permutation(labels)
