"""Evaluation of picks: matching with labels, precision and recall, curves, intervals, and where picks lie."""

from cryokit.evaluate.against_labels import by_view, evaluate, sweep
from cryokit.evaluate.evaluation import Evaluation
from cryokit.evaluate.proportions import wilson
from cryokit.evaluate.wrong_frame import wrong_frame

__all__ = ["Evaluation", "by_view", "evaluate", "sweep", "wilson", "wrong_frame"]
