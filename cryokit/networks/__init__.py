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

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach(
    __name__,
    submod_attrs={
        "architectures.network_config": [
            "NetworkConfig",
            "available",
            "config_from_dict",
            "create",
            "particle_classes",
        ],
        "model": ["Model", "header", "shipped"],
    },
)
