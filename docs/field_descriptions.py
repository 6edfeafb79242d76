"""An extension of griffe: fields of pydantic's classes are documented by their descriptions.

`Annotated[int, Field(ge=1, description="Images that share statistics.")]` describes a field where
it is declared. mkdocstrings reads the source without running it, and looks for a docstring.
"""

from __future__ import annotations

import ast
from typing import Any

import griffe


class FieldDescriptions(griffe.Extension):
    """Gives each attribute whose annotation has `Field(description=…)` this text as docstring."""

    def on_attribute_instance(
        self, *, node: ast.AST | griffe.ObjectNode, attr: griffe.Attribute, **_: Any
    ) -> None:
        """Document one attribute that griffe has read from the source."""
        if not isinstance(node, ast.AnnAssign) or attr.docstring is not None:
            return
        text = find_description(node.annotation)
        if text:
            attr.docstring = griffe.Docstring(text, lineno=node.lineno, parent=attr)
            attr.annotation = without_metadata(attr.annotation)


def without_metadata(annotation: str | griffe.Expr | None) -> str | griffe.Expr | None:
    """Return `int` of `Annotated[int, …]`: the description would stand there a second time."""
    if isinstance(annotation, griffe.ExprSubscript) and str(annotation.left) == "Annotated":
        parts = annotation.slice
        return parts.elements[0] if isinstance(parts, griffe.ExprTuple) else annotation
    return annotation


def find_description(annotation: ast.expr) -> str | None:
    """Return the description in an annotation, or None."""
    for call in ast.walk(annotation):
        if isinstance(call, ast.Call) and isinstance(call.func, ast.Name):
            for keyword in call.keywords if call.func.id == "Field" else ():
                if keyword.arg == "description" and isinstance(keyword.value, ast.Constant):
                    return str(keyword.value.value)
    return None
