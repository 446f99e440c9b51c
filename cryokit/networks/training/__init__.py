"""Training of networks: settings, samples, the loop, and what a trained network does and looks at.

`train` trains any Keras network that gives class probabilities, for whole patches or for maps of positions, with the
paper's settings (`PAPER`) or today's (`MODERN`); `confusion_matrix`, `accuracy` and `classification_table` say how well
it classifies; `first_layer_kernels` and `saliency` show what it looks at. `cryokit.plot.trainings` draws all of them.
Importing this package does not import Keras.
"""

from cryokit.networks.training.batches import ShuffledBatches
from cryokit.networks.training.explain import first_layer_kernels, saliency
from cryokit.networks.training.loop import History, fit_batches, train
from cryokit.networks.training.measures import accuracy, classification_table, confusion_matrix, probabilities
from cryokit.networks.training.samples import Samples
from cryokit.networks.training.settings import MODERN, PAPER, PAPER_EPOCHS, TrainingSettings

__all__ = [
    "MODERN",
    "PAPER",
    "PAPER_EPOCHS",
    "History",
    "Samples",
    "ShuffledBatches",
    "TrainingSettings",
    "accuracy",
    "classification_table",
    "confusion_matrix",
    "first_layer_kernels",
    "fit_batches",
    "probabilities",
    "saliency",
    "train",
]
