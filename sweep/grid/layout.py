"""The sections of a grid's file as pydantic models: types, bounds and what each field means.

The sections `data`, `model` and `train` are the spec classes of `trainables.spec`. The checks, the
JSON schema and the reference `docs/grid.md` all follow from the annotations.
"""

from __future__ import annotations

import re
from copy import deepcopy
from typing import Annotated, Any, Literal

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    GetJsonSchemaHandler,
    TypeAdapter,
    WithJsonSchema,
    field_validator,
)
from pydantic_core import CoreSchema

import normmods
from sweep.grid.field_names import CUSTOM_OPTIONS, REQUIRED_FACTORS, settable_names
from trainables.spec import DataSpec, ModelSpec, TrainSpec
from trainables.spec_class import Count, Seed, Seeding, spec_class, with_attributes

LONGEST_NAME, LONGEST_PATH = 255, 1024
"""Bytes that a file's name, and a path, may have on any file system or object store."""

MAX_SEEDS = 10_000
MIN_FIRST_SEEDS, MAX_LOOKED_AT_SEEDS = 3, 100
"""Bounds of `from` and `to` of seeds until decided: a test needs three seeds."""
NAME_PATTERN = r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}"
IMPORT_PATH_PATTERN = ":"

JsonSchema = dict[str, Any]


class Section(BaseModel):
    """Base of the grid's sections, which rejects unknown keys and converts no value silently."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, allow_inf_nan=False)

    @classmethod
    def __pydantic_init_subclass__(cls, **kwargs: Any) -> None:
        """List the section's fields in its docstring."""
        cls.__doc__ = with_attributes(cls.__doc__, cls.model_fields)


_NORM_NAME: JsonSchema = {
    "anyOf": [{"enum": list(normmods.names())}, {"pattern": IMPORT_PATH_PATTERN}]
}
_NORM: JsonSchema = {
    "oneOf": [
        {"type": "string", **_NORM_NAME},
        {
            "type": "object",
            "required": ["name"],
            "properties": {"name": {"type": "string", **_NORM_NAME}},
        },
    ]
}
_SETTABLE: list[JsonSchema] = [
    {"enum": settable_names()},
    {"pattern": f"^({'|'.join(map(re.escape, CUSTOM_OPTIONS))})[.].+"},
]
_FACTOR_NAME: JsonSchema = {"anyOf": [{"enum": list(REQUIRED_FACTORS)}, *_SETTABLE]}
_SET_NAME: JsonSchema = {"anyOf": [*_SETTABLE, {"pattern": "^norm[.].+"}]}
_DISTINCT: JsonSchema = {"uniqueItems": True}

NormLevel = Annotated[Any, WithJsonSchema(_NORM)]
NumSeeds = Annotated[int, Field(ge=1, le=MAX_SEEDS)]
Levels = Annotated[dict[str, Any], Field(json_schema_extra={"propertyNames": _FACTOR_NAME})]
"""A level or a list of levels by the factor's name: which trials a rule is about."""


class SeedsUntilDecided(Section):
    """The factor `seed` where seeds are trained until each norm's contrasts are decided."""

    until: Annotated[
        Literal["decided"],
        Field(
            description="Seeds are trained one by one until level and robustness of each norm are "
            "decided against the reference, at a family error of 5 %."
        ),
    ]
    first: Annotated[
        int,
        Field(alias="from", ge=MIN_FIRST_SEEDS, description="Seeds before the first decision."),
    ]
    last: Annotated[
        int,
        Field(alias="to", ge=MIN_FIRST_SEEDS, le=MAX_LOOKED_AT_SEEDS, description="Seeds at most."),
    ]


class FactorsSection(Section):
    """The section `factors`: the levels of each factor."""

    model_config = ConfigDict(
        extra="allow",
        json_schema_extra={
            "propertyNames": _FACTOR_NAME,
            "additionalProperties": {
                "type": "array",
                "minItems": 1,
                **_DISTINCT,
                "description": "Any field of `data`, `model` or `train` by its dotted name, such "
                "as `train.optimizer.lr`, with a list of levels.",
            },
        },
    )

    norm: Annotated[
        list[NormLevel],
        Field(
            min_length=1,
            json_schema_extra=_DISTINCT,
            description="Names of norms, `{name: groupnorm, num_groups: 8}` with options, or "
            "`module:attribute` for a layer of your own.",
        ),
    ]
    batch_size: Annotated[
        list[Count],
        Field(
            min_length=1, json_schema_extra=_DISTINCT, description="Images that share statistics."
        ),
    ]
    seed: Annotated[
        NumSeeds
        | Annotated[list[Seed], Field(min_length=1, json_schema_extra=_DISTINCT)]
        | SeedsUntilDecided,
        Field(
            description="How many seeds, a list of them, or `{until: decided, from: 3, to: 12}`. "
            "A seed draws initial weights, order, crops and dropout."
        ),
    ]


@spec_class
class DataSection(DataSpec):
    """The section `data`: a data set, and where its files lie, which is no part of a trial."""

    root: Annotated[
        str,
        Field(
            description="Folder where the files lie or are put; your own data set gets it as its "
            "argument `root`."
        ),
    ]


class Override(Section):
    """Set fields (`train.schedule.milestones`) in the trials whose levels match `when`."""

    when: Annotated[
        Levels,
        Field(
            description="Levels of the factors that a trial must have: a level, or a list. A norm "
            "is named as `plan` shows it, or as it stands under `factors.norm`."
        ),
    ]
    set: Annotated[
        dict[str, Any],
        Field(
            json_schema_extra={"propertyNames": _SET_NAME},
            description="Fields by their dotted names; options of the norm as `norm.momentum`.",
        ),
    ]


class Resources(Section):
    """The section `resources`: what one trainable occupies, and how many seeds it trains."""

    cpu: Annotated[float, Field(gt=0, description="Cores a trial; as many threads.")] = 1
    gpu: Annotated[
        Annotated[float, Field(ge=0)] | Literal["auto"],
        Field(
            description="Share of a GPU a trial. `auto`: as many trials share one as train fastest "
            "together; without a GPU, none."
        ),
    ] = "auto"
    seeds_per_trainable: Annotated[
        Annotated[int, Field(ge=1)] | Literal["auto"],
        Field(
            description="Seeds of a cell trained side by side as one network. `auto`: as many as "
            "turns out to be fastest."
        ),
    ] = 1
    compile: Annotated[
        bool | Literal["auto"],
        Field(
            description="Whether the steps are compiled by `torch.compile`. `auto`: where the "
            "steps that are left repay the compilation."
        ),
    ] = False
    cuda_graphs: Annotated[
        Literal["auto", False],
        Field(
            description="Whether steps not compiled are replayed from a CUDA graph. `auto`: where "
            "that works."
        ),
    ] = False


class Tracking(Section):
    """The section `tracking`. MLflow's server is MLflow's own setting, MLFLOW_TRACKING_URI."""

    experiment: Annotated[
        Annotated[str, Field(min_length=1, max_length=250)] | None,
        Field(description="Name of the MLflow experiment."),
    ] = None
    log_models: Annotated[
        bool,
        Field(
            description="Whether a completed trial's last checkpoint, its weights among it, goes "
            "to MLflow too."
        ),
    ] = False


class SectionSchema:
    """Annotation of a plain-data field that gives the field the JSON schema of a section's class.

    Attributes:
        section: the class.
        is_partial: whether fields that the class requires may be missing in the file, since a
            factor or an override may set them.
    """

    def __init__(self, section: type, *, is_partial: bool = True) -> None:
        self.section = section
        self.is_partial = is_partial

    def __get_pydantic_json_schema__(
        self, core_schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> JsonSchema:
        """Return the schema of the class instead of that of the plain data."""
        of_class = handler(TypeAdapter(self.section).core_schema)
        schema: JsonSchema = deepcopy(handler.resolve_ref_schema(of_class))
        if self.is_partial:
            schema.pop("required", None)
        schema.pop("description", None)
        return schema


class Layout(Section):
    """The grid's file, before its factors are crossed."""

    name: Annotated[
        str,
        Field(
            json_schema_extra={"pattern": f"^{NAME_PATTERN}$"},
            description="Names the folder of the records and, unless `tracking` names another, "
            "the MLflow experiment.",
        ),
    ]
    factors: Annotated[
        dict[str, Any],
        SectionSchema(FactorsSection, is_partial=False),
        Field(
            description="What is crossed: every norm at every batch size with every seed, and "
            "every level of any further field, is one trial."
        ),
    ]
    data: Annotated[dict[str, Any], SectionSchema(DataSection)]
    model: Annotated[dict[str, Any], SectionSchema(ModelSpec)]
    train: Annotated[dict[str, Any], SectionSchema(TrainSpec)]
    overrides: Annotated[
        list[Override], Field(description="Fields set in some trials only; later ones win.")
    ] = []
    exclude: Annotated[
        list[Levels], Field(description="Combinations of levels that are left out.")
    ] = []
    seeding: Annotated[
        Seeding,
        Field(
            description="What initial weights, order, crops and dropout derive from, the same for "
            "all norms. `per_cell`: seed and batch size, so that batch sizes are independent "
            "replicates. `per_seed`: the seed alone, which batch sizes then share."
        ),
    ] = "per_cell"
    resources: Resources = Resources()
    tracking: Tracking = Tracking()
    storage: Annotated[
        str,
        Field(
            min_length=1,
            description="Folder, or `s3://bucket/folder`, of the records and checkpoints.",
        ),
    ] = "runs"
    checkpoint_every_s: Annotated[
        float, Field(gt=0, description="Seconds between two checkpoints within an epoch.")
    ] = 60
    reference: Annotated[
        str | None, Field(description="The norm that the others are compared with.")
    ] = None
    infeasible: Annotated[
        Literal["refuse", "skip"],
        Field(description="What becomes of cells that cannot be trained."),
    ] = "refuse"

    @field_validator("name")
    @classmethod
    def _require_folder_name(cls, name: str) -> str:
        """Return the name; raise `ValueError` unless a folder can have it."""
        if not re.fullmatch(NAME_PATTERN, name):
            what = "expected letters, digits, '.', '_' and '-' (it names a folder)"
            raise ValueError(f"{what}, at most 100, starting with a letter or digit")
        return name

    @field_validator("storage")
    @classmethod
    def _require_usable_path(cls, storage: str) -> str:
        """Return the path; raise `ValueError` for one that is too long."""
        if problem := describe_long_path(storage):
            raise ValueError(problem)
        return storage


def describe_long_path(path: str) -> str | None:
    """Return the error message for a path too long for file systems; None for any other path."""
    if max(len(part.encode(errors="replace")) for part in path.split("/")) > LONGEST_NAME:
        return f"expected a path whose parts have at most {LONGEST_NAME} bytes each"
    if len(path.encode(errors="replace")) > LONGEST_PATH:
        return f"expected a path of at most {LONGEST_PATH} bytes"
    return None
