"""Scores of a network over a whole image: window by window (`sliding`), or all at once (`dense`).

Both give a `ScoreMap` with the same positions. What brings a micrograph to the image that a network scores, and what
makes particles of a map, is elsewhere.
"""

from cryokit.scoring.dense import dense
from cryokit.scoring.scoremap import ScoreMap
from cryokit.scoring.sliding import sliding

__all__ = ["ScoreMap", "dense", "sliding"]
