"""Models as plain trees of standard layers; this package imports no torch, its modules do."""

from trainables.models.catalog import MODELS, ModelInfo, model_info

__all__ = ["MODELS", "ModelInfo", "model_info"]
