"""The models by name, with the options each reads; importing this loads no torch."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from trainables.spec import InitialWeights, ModelSpec, is_custom


@dataclass(frozen=True)
class ModelInfo:
    """What a grid may say about a model.

    `default_width` and `default_dropout` are None where `width` and `dropout` are no options.
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


def model_info(spec: ModelSpec) -> ModelInfo:
    """The model's entry; raises `ValueError` for an unknown name or an option it does not read.

    A user's own model has an empty one: its options are in `spec.options`.
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


def in_new_trials(spec: ModelSpec) -> ModelSpec:
    """`with_defaults`, and a user's own model keeps its initial weights unless the spec says not.

    `replaced` becomes None, which meant it before there was the choice: those trials' ids hold.
    """
    spec = with_defaults(spec)
    if not is_custom(spec.name):
        return spec
    kept: InitialWeights | None = None if spec.initial_weights == "replaced" else "own"
    return dataclasses.replace(spec, initial_weights=kept)


def with_defaults(spec: ModelSpec) -> ModelSpec:
    """The spec with the model's own defaults where it states none: one trial, not two.

    For a user's own model this imports its module. Raises `ValueError` as `model_info`.
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
