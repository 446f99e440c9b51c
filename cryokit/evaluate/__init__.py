"""How good are picks? Matching with labels, precision, recall, curves, and how sure one can be of them."""

from cryokit.evaluate.evaluation import by_view, evaluate, sweep
from cryokit.evaluate.result import Evaluation

__all__ = ["Evaluation", "by_view", "evaluate", "sweep"]
