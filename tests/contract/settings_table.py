"""The table of every setting in docs/operations.md, made from the code: `python -m tests.contract.settings_table`."""

import ast
import inspect
import textwrap
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from pydantic import BaseModel, SecretStr
from pydantic_core import PydanticUndefined

from causeline.console.drift.settings import DriftSettings
from causeline.console.settings import ServeSettings
from causeline.producers.otlp.settings import ReceiverSettings
from causeline.producers.settings import EmitterSettings
from causeline.schemas.connections import ClickHouseConnection, KafkaConnection
from causeline.schemas.health_port import HealthSettings
from causeline.sinks.loader.settings import LoaderSettings
from causeline.sinks.otlp.settings import ExporterSettings
from causeline.stack.clickhouse.settings import ServerSettings
from causeline.stack.settings import StackSettings
from causeline.streams.amender.settings import AmenderSettings
from causeline.streams.settings import WorkerSettings

PAGE = Path(__file__).parents[2] / "docs" / "operations.md"
BEGIN, END = "<!-- settings: made by tests/contract/settings_table.py -->\n", "<!-- end of settings -->\n"
GROUPS: tuple[tuple[str, str, type[BaseModel]], ...] = (
    ("Kafka, for every part", "CAUSELINE_KAFKA_", KafkaConnection),
    ("ClickHouse, for every part", "CAUSELINE_CLICKHOUSE_", ClickHouseConnection),
    ("Emitter", "CAUSELINE_EMITTER_", EmitterSettings),
    ("OTLP receiver", "CAUSELINE_RECEIVE_", ReceiverSettings),
    ("Worker", "CAUSELINE_WORKER_", WorkerSettings),
    ("Loader", "CAUSELINE_LOADER_", LoaderSettings),
    ("Health and metrics of worker, loader and receiver", "CAUSELINE_HEALTH_", HealthSettings),
    ("Exporter", "CAUSELINE_EXPORT_", ExporterSettings),
    ("Amender", "CAUSELINE_AMENDER_", AmenderSettings),
    ("Console service", "CAUSELINE_SERVE_", ServeSettings),
    ("Watch for drift", "CAUSELINE_DRIFT_", DriftSettings),
    ("Local stack", "CAUSELINE_", StackSettings),
    ("Embedded ClickHouse", "CAUSELINE_CLICKHOUSE_", ServerSettings),
)


def table() -> str:
    """Every group's settings with their variables, defaults and descriptions, as Markdown."""
    parts = []
    for title, prefix, model in GROUPS:
        rows = [f"| `{name}` | {default} | {text} |" for name, default, text in _rows(prefix, model)]
        parts += [f"### {title}\n", "| variable | default | meaning |", "|---|---|---|", *rows, ""]
    return "\n".join(parts) + "\n"


def _rows(prefix: str, model: type[BaseModel]) -> Iterator[tuple[str, str, str]]:
    said = _attribute_docs(model)
    for name, field in model.model_fields.items():
        if name in {"kafka", "clickhouse", "health"}:
            continue
        alias = field.validation_alias
        variable = alias if isinstance(alias, str) else f"{prefix}{name.upper()}"
        text = (field.description or said.get(name, "")).replace("\n", " ").replace("|", "\\|")
        yield variable, _shown(field.default), " ".join(text.split())


def _shown(default: Any) -> str:
    if default is PydanticUndefined or default is None or isinstance(default, SecretStr):
        return ""
    return f"`{getattr(default, 'value', default)}`"


def _attribute_docs(model: type[BaseModel]) -> dict[str, str]:
    body = ast.parse(textwrap.dedent(inspect.getsource(model))).body[0]
    assert isinstance(body, ast.ClassDef)
    found = {}
    for node, after in zip(body.body, body.body[1:], strict=False):
        if (
            isinstance(node, ast.AnnAssign)
            and isinstance(node.target, ast.Name)
            and isinstance(after, ast.Expr)
            and isinstance(after.value, ast.Constant)
        ):
            found[node.target.id] = str(after.value.value)
    return found


def main() -> None:
    """Write the table into its place in the page."""
    text = PAGE.read_text("utf-8")
    head, _, rest = text.partition(BEGIN)
    PAGE.write_text(f"{head}{BEGIN}\n{table()}{END}{rest.partition(END)[2]}", "utf-8")


if __name__ == "__main__":
    main()
