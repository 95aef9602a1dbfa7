"""The JSON Schema that an answer must keep: a file beside its case, read once, and never fetched from anywhere."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from jsonschema import Draft202012Validator
from jsonschema.exceptions import SchemaError
from referencing import Registry
from referencing.exceptions import Unresolvable

from causeline.eval.case import EvalCase
from causeline.schemas.errors import UsageError

_NOTHING_ELSE: Registry[Any] = Registry()
"""Resolves what the schema itself has: by default the library would fetch a reference from the network."""


def read_schema(case: EvalCase, folder: Path) -> Mapping[str, Any] | None:
    """The output schema of a case, None where it has none; raises UsageError where its file is missing or no schema."""
    wanted = case.expect.output_schema
    if wanted is None:
        return None
    file = (folder / wanted.file).resolve()
    if not file.is_relative_to(folder.resolve()):
        raise UsageError(f"Its schema {wanted.file} is not within the case's folder.")
    try:
        schema: Mapping[str, Any] = json.loads(file.read_bytes())
        Draft202012Validator.check_schema(schema)
    except OSError:
        raise UsageError(f"Its schema {wanted.file} is missing.") from None
    except (ValueError, RecursionError):
        raise UsageError(f"Its schema {wanted.file} is no JSON.") from None
    except SchemaError as error:
        raise UsageError(f"Its schema {wanted.file} is no JSON Schema: {error.json_path} is wrong.") from None
    return schema


def wrong_places(answer: object, schema: Mapping[str, Any]) -> list[str]:
    """Where an answer does not keep a schema, as JSON paths in order; raises UsageError where nothing can be."""
    try:
        errors = Draft202012Validator(schema, registry=_NOTHING_ELSE).iter_errors(answer)
        return sorted({error.json_path for error in errors})
    except Unresolvable as error:
        raise UsageError(f"Its schema refers to {error.ref}, which it does not have.") from None
    except RecursionError:
        raise UsageError("Its schema refers to itself without an end.") from None
