"""Models as plain trees of standard layers. Only `build` imports torch."""

from trainables.models.catalog import MODELS, ModelInfo, model_info

__all__ = ["MODELS", "ModelInfo", "model_info"]
