"""The models by name, with the options of each; importing this loads no torch."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from trainables.spec import InitialWeights, ModelSpec, is_custom


@dataclass(frozen=True)
class ModelInfo:
    """The options that a model has.

    Attributes:
        has_stem: whether `stem` is an option.
        has_norm_on_logits: whether `norm_on_logits` is an option.
        default_width: default of `width`; None if it is no option.
        default_dropout: default of `dropout`; None if it is no option.
    """

    has_stem: bool = False
    has_norm_on_logits: bool = False
    default_width: int | None = None
    default_dropout: float | None = None


MODELS: Mapping[str, ModelInfo] = MappingProxyType(
    {
        "resnet8": ModelInfo(default_width=16),
        "allcnn": ModelInfo(default_width=96, has_norm_on_logits=True),
        "nin": ModelInfo(default_width=192, default_dropout=0.5, has_norm_on_logits=True),
        "resnet18": ModelInfo(has_stem=True),
        "resnet34": ModelInfo(has_stem=True),
        "resnet50": ModelInfo(has_stem=True),
        "resnet101": ModelInfo(has_stem=True),
        "resnet152": ModelInfo(has_stem=True),
    }
)
"""The built-in models by name."""


def model_info(spec: ModelSpec) -> ModelInfo:
    """Return the model's entry; a custom model has an empty one and its options in `spec.options`.

    Raises:
        ValueError: an unknown name, or an option that the model does not have.
    """
    if spec.name not in MODELS and not is_custom(spec.name):
        raise ValueError(
            f"model {spec.name!r} is not one of {', '.join(MODELS)}; a model of your own is "
            f"'package.module:attr'"
        )
    info = ModelInfo() if is_custom(spec.name) else MODELS[spec.name]
    options = {
        "width": spec.width is None or info.default_width is not None,
        "dropout": spec.dropout is None or info.default_dropout is not None,
        "stem": spec.stem == "cifar" or info.has_stem,
        "norm_on_logits": not spec.norm_on_logits or info.has_norm_on_logits,
        "initial_weights": spec.initial_weights is None or is_custom(spec.name),
    }
    for option, is_read in options.items():
        if not is_read:
            value = getattr(spec, option)
            hint = "; those of your own model stand under `options`" if is_custom(spec.name) else ""
            raise ValueError(
                f"model {spec.name} has no option {option}, but got {option}={value}{hint}"
            )
    if spec.options and not is_custom(spec.name):
        raise ValueError(f"model {spec.name} has no `options`, which are a user's own model's")
    return info


def complete_new_model_spec(spec: ModelSpec) -> ModelSpec:
    """Return `complete_model_spec(spec)` with the initial weights that a new trial has.

    A custom model keeps its own initial weights unless the spec says `replaced`. `replaced` becomes
    None, which meant the same before the option existed: the ids of those trials hold.
    """
    spec = complete_model_spec(spec)
    if not is_custom(spec.name):
        return spec
    kept: InitialWeights | None = None if spec.initial_weights == "replaced" else "own"
    return dataclasses.replace(spec, initial_weights=kept)


def complete_model_spec(spec: ModelSpec) -> ModelSpec:
    """Return the spec with the model's defaults filled in, so that equal trials have equal specs.

    The module of a custom model is imported. Raises `ValueError` as `model_info`.
    """
    info = model_info(spec)
    if is_custom(spec.name):
        from trainables.models.custom import complete_model_options

        return complete_model_options(spec)
    return dataclasses.replace(
        spec,
        width=info.default_width if spec.width is None else spec.width,
        dropout=info.default_dropout if spec.dropout is None else spec.dropout,
    )
