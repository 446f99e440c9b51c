"""Networks: built from settings by name, trained, made fully convolutional, described layer by layer, saved and loaded.

Nothing here imports Keras before a network is built or loaded, so reading the header of a saved model is quick.
Networks run on every backend of Keras 3 (``KERAS_BACKEND``).

Examples
--------
>>> available()[:4]
('deepcryopicker', 'deepcryopicker_valid', 'compact', 'deepem')
>>> config = create("deepcryopicker", classes=("top", "background"))
>>> config.window, config.stride, config.valid
(227, 32, False)
"""

from cryokit.networks.architectures.network_config import (
    NetworkConfig,
    available,
    config_from_dict,
    create,
    particle_classes,
)
from cryokit.networks.model import Model, header, shipped

__all__ = [
    "Model",
    "NetworkConfig",
    "available",
    "config_from_dict",
    "create",
    "header",
    "particle_classes",
    "shipped",
]
