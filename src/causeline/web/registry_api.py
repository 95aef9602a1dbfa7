"""The bundled schemas under the paths of a Confluent schema registry, read-only.

Source: Confluent Schema Registry API reference (paths, error codes, content type). A subject answers to our own name
(`trace-batch`) and to the topic name strategy's (`causeline.events-value`).
"""

import json
from collections.abc import Mapping
from typing import Annotated

from fastapi import APIRouter, Body, FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import Response
from starlette.exceptions import HTTPException

from causeline.schemas import catalogue
from causeline.schemas.catalogue import SchemaVersion
from causeline.schemas.topics import TOPICS

CONTENT_TYPE = "application/vnd.schemaregistry.v1+json"
_READ_ONLY = 42205
_INVALID_VERSION = 42202
_INVALID_REQUEST = 422
_SUBJECT_NOT_FOUND = 40401
_VERSION_NOT_FOUND = 40402
_SCHEMA_NOT_FOUND = 40403


class RegistryResponse(Response):
    """JSON under the registry's content type."""

    media_type = CONTENT_TYPE

    def render(self, content: object) -> bytes:
        """Compact JSON."""
        return json.dumps(content, separators=(",", ":")).encode()


class RegistryError(Exception):
    """An answer of the registry's own kind: HTTP status, error code and message."""

    def __init__(self, status: int, code: int, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.message = message


def subject_names(prefix: str) -> Mapping[str, str]:
    """Every name a subject answers to → our own: its own, and one for each topic that carries it."""
    own = {name: name for name in catalogue.subjects()}
    return own | {f"{topic.full_name(prefix)}-value": topic.subject for topic in TOPICS}


def registry_routes(prefix: str) -> APIRouter:
    """The registry's routes, for topics named with `prefix`."""
    router = APIRouter(default_response_class=RegistryResponse)
    names = subject_names(prefix)
    _add_subjects(router, names)
    _add_schemas(router, names)
    _add_settings(router)
    return router


def install_errors(app: FastAPI) -> None:
    """Have `app` answer what the registry refuses as a registry does: `{error_code, message}`."""

    @app.exception_handler(RegistryError)
    async def _registry_error(_: Request, error: RegistryError) -> RegistryResponse:
        return RegistryResponse({"error_code": error.code, "message": error.message}, error.status)


def malformed_answer(error: RequestValidationError) -> RegistryResponse:
    """What a registry says of a request that does not validate."""
    first = error.errors()[0]
    where = ".".join(str(part) for part in first["loc"])
    return RegistryResponse({"error_code": _INVALID_REQUEST, "message": f"{where}: {first['msg']}."}, 422)


def http_answer(request: Request, error: HTTPException) -> RegistryResponse:
    """What a registry says of a path or method that it does not have."""
    message = str(error.detail)
    if error.status_code == 404:
        message = f"There is nothing at {request.url.path}."
    elif error.status_code == 405:
        message = f"{request.method} is not allowed here: the bundled schemas are read-only."
    return RegistryResponse({"error_code": error.status_code, "message": message}, error.status_code, error.headers)


def _add_subjects(router: APIRouter, names: Mapping[str, str]) -> None:
    @router.get("/subjects")
    def _subjects(subjectPrefix: str = "") -> RegistryResponse:  # noqa: N803 - the API's own spelling
        return RegistryResponse(sorted(name for name in names if name.startswith(subjectPrefix)))

    @router.get("/subjects/{subject}/versions")
    def _versions(subject: str) -> RegistryResponse:
        return RegistryResponse([schema.version for schema in _of(names, subject)])

    @router.get("/subjects/{subject}/versions/{version}")
    def _version(subject: str, version: str) -> RegistryResponse:
        return RegistryResponse(_described(subject, _version_of(names, subject, version)))

    @router.get("/subjects/{subject}/versions/{version}/schema")
    def _version_text(subject: str, version: str) -> Response:
        return Response(_version_of(names, subject, version).text, media_type=CONTENT_TYPE)

    @router.post("/subjects/{subject}")
    def _look_up(subject: str, body: Annotated[dict[str, object], Body()]) -> RegistryResponse:
        found = _same(_of(names, subject), body)
        if found is None:
            raise RegistryError(404, _SCHEMA_NOT_FOUND, "Schema not found.")
        return RegistryResponse(_described(subject, found))

    @router.post("/subjects/{subject}/versions")
    def _register(subject: str, body: Annotated[dict[str, object], Body()]) -> RegistryResponse:
        # Registering what is registered changes nothing, and a serializer does it before its first message.
        found = _same(_of(names, subject), body)
        if found is None:
            raise RegistryError(403, _READ_ONLY, f"Subject {subject} is in read-only mode: its schemas are bundled.")
        return RegistryResponse({"id": found.schema_id})


def _add_schemas(router: APIRouter, names: Mapping[str, str]) -> None:
    @router.get("/schemas/types")
    def _types() -> RegistryResponse:
        return RegistryResponse(["AVRO"])

    @router.get("/schemas/ids/{schema_id}")
    def _schema(schema_id: int) -> RegistryResponse:
        return RegistryResponse({"schema": _by_id(schema_id).text})

    @router.get("/schemas/ids/{schema_id}/schema")
    def _schema_text(schema_id: int) -> Response:
        return Response(_by_id(schema_id).text, media_type=CONTENT_TYPE)

    @router.get("/schemas/ids/{schema_id}/subjects")
    def _schema_subjects(schema_id: int) -> RegistryResponse:
        return RegistryResponse(_names_of(names, _by_id(schema_id)))

    @router.get("/schemas/ids/{schema_id}/versions")
    def _schema_versions(schema_id: int) -> RegistryResponse:
        schema = _by_id(schema_id)
        return RegistryResponse([{"subject": name, "version": schema.version} for name in _names_of(names, schema)])


def _add_settings(router: APIRouter) -> None:
    @router.get("/config")
    @router.get("/config/{subject}")
    def _config(subject: str = "") -> RegistryResponse:
        return RegistryResponse({"compatibilityLevel": "FULL_TRANSITIVE"})

    @router.get("/mode")
    @router.get("/mode/{subject}")
    def _mode(subject: str = "") -> RegistryResponse:
        return RegistryResponse({"mode": "READONLY"})


def _of(names: Mapping[str, str], subject: str) -> tuple[SchemaVersion, ...]:
    own = names.get(subject)
    if own is None:
        raise RegistryError(404, _SUBJECT_NOT_FOUND, f"Subject '{subject}' not found.")
    return catalogue.versions(own)


def _version_of(names: Mapping[str, str], subject: str, version: str) -> SchemaVersion:
    schemas = _of(names, subject)
    if version in {"latest", "-1"}:
        return schemas[-1]
    if not (version.isascii() and version.isdigit() and int(version) > 0):
        raise RegistryError(422, _INVALID_VERSION, f"The version '{version}' is neither a number from 1 nor 'latest'.")
    for schema in schemas:
        if schema.version == int(version):
            return schema
    raise RegistryError(404, _VERSION_NOT_FOUND, f"Version {version} not found.")


def _by_id(schema_id: int) -> SchemaVersion:
    schema = catalogue.bundled().get(schema_id)
    if schema is None:
        raise RegistryError(404, _SCHEMA_NOT_FOUND, f"Schema {schema_id} not found.")
    return schema


def _same(schemas: tuple[SchemaVersion, ...], body: Mapping[str, object]) -> SchemaVersion | None:
    if body.get("schemaType") not in {None, "AVRO"}:
        return None
    try:
        asked = json.loads(str(body.get("schema")))
    except ValueError:
        raise RegistryError(422, 42201, "The schema is not JSON.") from None
    return next((schema for schema in schemas if json.loads(schema.text) == asked), None)


def _described(subject: str, schema: SchemaVersion) -> dict[str, object]:
    return {"subject": subject, "id": schema.schema_id, "version": schema.version, "schema": schema.text}


def _names_of(names: Mapping[str, str], schema: SchemaVersion) -> list[str]:
    return sorted(name for name, own in names.items() if own == schema.subject)
