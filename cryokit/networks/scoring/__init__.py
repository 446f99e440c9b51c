"""Scores of a network over a whole picture: window by window (`sliding`), or all at once (`dense`).

Both return a `ScoreMap` with the same positions. `cryokit.imaging.preparation` makes the picture that a network scores,
`cryokit.imaging.peaks` finds the particles in a map.
"""

from cryokit.networks.scoring.centring import centred, turn_bias
from cryokit.networks.scoring.dense import dense
from cryokit.networks.scoring.scoremap import ScoreMap
from cryokit.networks.scoring.sliding import sliding

__all__ = ["ScoreMap", "centred", "dense", "sliding", "turn_bias"]
