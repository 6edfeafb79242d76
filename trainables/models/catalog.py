"""The models by name, with the options each reads; importing this loads no torch."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from trainables.spec import ModelSpec


@dataclass(frozen=True)
class ModelInfo:
    """What a grid may say about a model; `default_width` is None where `width` is no option."""

    has_stem: bool = False
    default_width: int | None = None


MODELS: Mapping[str, ModelInfo] = MappingProxyType(
    {
        "resnet8": ModelInfo(default_width=16),
        "resnet18": ModelInfo(has_stem=True),
        "resnet34": ModelInfo(has_stem=True),
        "resnet50": ModelInfo(has_stem=True),
        "resnet101": ModelInfo(has_stem=True),
        "resnet152": ModelInfo(has_stem=True),
    }
)


def model_info(spec: ModelSpec) -> ModelInfo:
    """The model's entry; raises `ValueError` for an unknown name or an option it does not read."""
    if spec.name not in MODELS:
        raise ValueError(f"model {spec.name!r} is not one of {', '.join(MODELS)}")
    info = MODELS[spec.name]
    if spec.width is not None and info.default_width is None:
        raise ValueError(f"model {spec.name} has no option width, but got width={spec.width}")
    if spec.stem != "cifar" and not info.has_stem:
        raise ValueError(f"model {spec.name} has no option stem, but got stem={spec.stem}")
    return info


def with_defaults(spec: ModelSpec) -> ModelSpec:
    """The spec with the model's own default width where it states none: one trial, not two."""
    info = model_info(spec)
    if spec.width is not None or info.default_width is None:
        return spec
    return dataclasses.replace(spec, width=info.default_width)
