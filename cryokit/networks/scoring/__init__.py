"""Scores of a network over a whole image: window by window (`sliding`), or all at once (`dense`).

Both give a `ScoreMap` with the same positions. What brings a micrograph to the image that a network scores, and what
makes particles of a map, is elsewhere.
"""

from cryokit.networks.scoring.centring import centred, turn_bias
from cryokit.networks.scoring.dense import dense
from cryokit.networks.scoring.scoremap import ScoreMap
from cryokit.networks.scoring.sliding import sliding

__all__ = ["ScoreMap", "centred", "dense", "sliding", "turn_bias"]
