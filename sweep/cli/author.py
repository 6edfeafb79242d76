"""Commands for authors of grids and layers: init, schema, check-norm, parameters."""

from __future__ import annotations

import json
import os
import shlex
from pathlib import Path
from typing import Annotated

import typer

from sweep.cli.arguments import GridPath, LogFile, Verbose, console, load_grid_argument
from sweep.cli.exit_codes import exit_on_error
from sweep.errors import ExitCode, RefusedError

TEMPLATE = Path(__file__).parents[1] / "template.yaml"


def _complete_example_names() -> list[str]:
    """Return the names of the example grids, for a shell to complete."""

    from sweep.grid.examples import example_names

    return example_names()


def _complete_norm_names() -> list[str]:
    """Return the names of the registered norms, for a shell to complete."""

    import normmods

    return list(normmods.names())


def init(
    path: Annotated[Path, typer.Argument(help="Where to write it.")] = Path("grid.yaml"),
    example: Annotated[
        str,
        typer.Option(
            help="A grid that comes with the program: quickstart, assocnorm-table3.",
            autocompletion=_complete_example_names,
        ),
    ] = "",
    verbose: Verbose = False,
    log_file: LogFile = None,
) -> None:
    """Write a commented grid to start from, and beside it the schema that editors use."""
    from sweep.grid.examples import read_example as text_of
    from sweep.grid.schema import EDITOR_HINT, make_schema

    beside = path.parent / "grid.schema.json"
    with exit_on_error():
        template = text_of(example) if example else TEMPLATE.read_text(encoding="utf-8")
        try:
            with open(path, "x", encoding="utf-8") as file:
                file.write(f"{EDITOR_HINT}{beside.name}\n{template}")
            beside.write_text(json.dumps(make_schema(), indent=1) + "\n", encoding="utf-8")
        except FileExistsError:
            raise RefusedError(f"{path} is there already; it was left as it is") from None
        except FileNotFoundError:
            raise RefusedError(f"{path} cannot be written: make {path.parent}/ first") from None
        except OSError as error:
            raise RefusedError(f"{path} cannot be written: {error.strerror}") from None
    print(f"wrote {path}; try `norm-sweep plan {shlex.quote(str(path))}`")


def schema(
    markdown: Annotated[
        bool, typer.Option("--markdown", help="Print the fields and what they mean instead.")
    ] = False,
    verbose: Verbose = False,
    log_file: LogFile = None,
) -> None:
    """Print the JSON Schema of a grid, with which editors complete and check one."""
    from sweep.grid.reference import format_reference
    from sweep.grid.schema import make_schema

    print(format_reference() if markdown else json.dumps(make_schema(), indent=1))


def parameters(grid: GridPath, verbose: Verbose = False, log_file: LogFile = None) -> None:
    """Print the parameters of each model, and how many each norm adds to it. Trains nothing."""
    with exit_on_error():
        from sweep.display.tables import print_parameters
        from sweep.planning.added_parameters import count_added_parameters

        print_parameters(console(), count_added_parameters(load_grid_argument(grid)))


def check_norm(
    norm: Annotated[
        str,
        typer.Argument(
            metavar="NORM",
            help="module:attr, or a registered norm's name.",
            autocompletion=_complete_norm_names,
        ),
    ],
    options: Annotated[
        list[str] | None, typer.Argument(metavar="[OPTION=VALUE]...", help="num_groups=8, …")
    ] = None,
    channels: Annotated[int, typer.Option(min=1, help="Channels of the layers tried.")] = 48,
    verbose: Verbose = False,
    log_file: LogFile = None,
) -> None:
    """Run the contract of a norm layer on yours and print a line per property.

    Exit codes: 0 every property holds; 1 one does not; 2 there is no such layer.

    Examples:

      norm-sweep check-norm my_layers:MyNorm

      norm-sweep check-norm groupnorm num_groups=8
    """
    with exit_on_error():
        from sweep.grid.yaml_source import parse_scalar

        given = [option.partition("=") for option in options or []]
        for name, sign, _ in given:
            if not name.isidentifier() or not sign:
                raise RefusedError(f"expected OPTION=VALUE, found {name + sign!r}")
        _import_from_working_folder(norm)
        import normmods
        from normmods.registry import describe_value_mismatch

        chosen = {name: parse_scalar(value) for name, _, value in given}
        try:
            normmods.complete_options(norm, chosen)
            for name, value in chosen.items():
                if wanted := describe_value_mismatch(norm, name, value):
                    raise RefusedError(
                        f"norm {norm!r}: option {name!r}: expected {wanted}, found {value!r}"
                    )
            from normmods.contract import check_layer

            report = check_layer(norm, channels, chosen)
        except normmods.NormError as error:
            raise RefusedError(str(error)) from None
    print(report)
    raise typer.Exit(ExitCode.DONE if report.passed else ExitCode.FAILED)


def _import_from_working_folder(norm: str) -> None:
    """Put the working folder on `sys.path` for a norm named `module:attr`.

    Raises:
        RefusedError: another module would be imported by this name.
    """
    from sweep.grid.shadowed_modules import describe_shadowed_module
    from sweep.process.import_order import put_custom_modules_last

    here = os.getcwd()
    put_custom_modules_last([here])
    taken = (
        describe_shadowed_module(norm.partition(":")[0].partition(".")[0], [here])
        if ":" in norm
        else None
    )
    if taken:
        raise RefusedError(f"{norm}: {taken}")
