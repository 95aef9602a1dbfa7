"""The table of every setting in docs/operations.md, made from the code: `python -m tests.contract.settings_table`."""

import ast
import inspect
import textwrap
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from pydantic import BaseModel, SecretStr
from pydantic_core import PydanticUndefined

from causeline.causes.settings import DiagnoserSettings
from causeline.drift.settings import DriftSettings
from causeline.otlp.exporter.settings import ExporterSettings
from causeline.otlp.receiver.settings import ReceiverSettings
from causeline.producers.emitter.settings import EmitterSettings
from causeline.runtime.connections import ClickHouseConnection, KafkaConnection
from causeline.runtime.health import HealthSettings
from causeline.runtime.settings import Settings
from causeline.runtime.variables import SINGLE
from causeline.sinks.loader.settings import LoaderSettings
from causeline.sinks.retention import RetentionSettings
from causeline.stack.clickhouse.settings import ServerSettings
from causeline.stack.settings import StackSettings
from causeline.streams.amender.settings import AmenderSettings
from causeline.streams.worker.settings import WorkerSettings
from causeline.web.settings import ServeSettings

PAGE = Path(__file__).parents[2] / "docs" / "operations.md"
BEGIN, END = "<!-- settings: made by tests/contract/settings_table.py -->\n", "<!-- end of settings -->\n"
GROUPS: tuple[tuple[str, type[Settings]], ...] = (
    ("Kafka, for every part", KafkaConnection),
    ("ClickHouse, for every part", ClickHouseConnection),
    ("Emitter", EmitterSettings),
    ("OTLP receiver", ReceiverSettings),
    ("Worker", WorkerSettings),
    ("Loader", LoaderSettings),
    ("Health and metrics of every part", HealthSettings),
    ("Exporter", ExporterSettings),
    ("Amender", AmenderSettings),
    ("Diagnoser", DiagnoserSettings),
    ("Console service", ServeSettings),
    ("Watch for drift", DriftSettings),
    ("Retention, for `causeline migrate`", RetentionSettings),
    ("Local stack", StackSettings),
    ("Embedded ClickHouse", ServerSettings),
)


def table() -> str:
    """Every group's settings with their variables, defaults and descriptions, as Markdown."""
    parts = []
    for title, model in GROUPS:
        parts += _section(title, _rows(model))
    parts += _section("By themselves", ((each.name, each.default, each.meaning) for each in SINGLE))
    return "\n".join(parts) + "\n"


def _section(title: str, rows: Iterable[tuple[str, str, str]]) -> list[str]:
    lines = [f"| `{variable}` | {default} | {text} |" for variable, default, text in rows]
    return [f"### {title}\n", "| variable | default | meaning |", "|---|---|---|", *lines, ""]


def _rows(model: type[Settings]) -> Iterator[tuple[str, str, str]]:
    docs = descriptions(model)
    for name, (variable, *others) in model.variables().items():
        text = docs[name].replace("\n", " ").replace("|", "\\|")
        if others:
            text += f" Else from `{'`, `'.join(others)}`."
        yield variable, _shown(model.model_fields[name].default), " ".join(text.split())


def _shown(default: Any) -> str:
    if default is PydanticUndefined or default is None or isinstance(default, SecretStr):
        return ""
    return f"`{getattr(default, 'value', default)}`"


def descriptions(model: type[BaseModel]) -> dict[str, str]:
    """What each field means: its description, or the string after it, in the class or in one that it stands on."""
    found: dict[str, str] = {}
    for base in model.__mro__:
        if issubclass(base, BaseModel) and base is not BaseModel:
            found = _attribute_docs(base) | found
    return found | {name: field.description for name, field in model.model_fields.items() if field.description}


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
