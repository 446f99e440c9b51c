"""Training of networks: settings, samples, the loop, and what a trained network does and looks at.

`train` trains any Keras network that gives class probabilities, for whole patches or for maps of positions, with the
paper's settings (`PAPER`) or today's (`MODERN`); `confusion_matrix`, `accuracy` and `classification_table` say how well
it classifies; `first_layer_kernels` and `saliency` show what it looks at. `cryokit.plot.trainings` draws most of it.
Importing this package does not import Keras.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach(
    __name__,
    submod_attrs={
        "batches": ["ShuffledBatches"],
        "explain": ["first_layer_kernels", "saliency"],
        "loop": ["History", "fit_batches", "train"],
        "measures": ["accuracy", "classification_table", "confusion_matrix", "probabilities"],
        "samples": ["Samples"],
        "settings": ["MODERN", "PAPER", "PAPER_EPOCHS", "TrainingSettings"],
    },
)
