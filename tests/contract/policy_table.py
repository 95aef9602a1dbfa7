"""docs/policy.md's tables, made from the policy's models: `python -m tests.contract.policy_table`."""

from pathlib import Path
from typing import get_args

from pydantic import BaseModel

from causeline.schemas.policy import (
    DEFAULT_POLICY,
    EvidenceRule,
    ExpectedStep,
    Policy,
    ReviewRule,
    ReviewWhen,
    WorkflowPolicy,
)

PAGE = Path(__file__).parents[2] / "docs" / "policy.md"
BEGIN, END = "<!-- tables: made by tests/contract/policy_table.py -->\n", "<!-- end of tables -->\n"
TABLES: tuple[tuple[str, type[BaseModel]], ...] = (
    ("The file", Policy),
    ("`[defaults]` and `[workflow.NAME]`", WorkflowPolicy),
    ("`expect`, a list of tables", ExpectedStep),
    ('`[workflow.NAME.evidence."$.field"]`', EvidenceRule),
    ("`[[workflow.NAME.review]]`", ReviewRule),
    ("`when` of a review rule", ReviewWhen),
)
_BUILT_IN = DEFAULT_POLICY.rules("")


def tables() -> str:
    """Every model's fields with what they mean, as Markdown."""
    parts = []
    for title, model in TABLES:
        parts += [f"### {title}\n", "| key | default | meaning |", "|---|---|---|"]
        for name, field in model.model_fields.items():
            parts.append(f"| `{name}` | {_default(model, name)} | {field.description or ''} |")
        parts.append("")
    return "\n".join(parts) + "\n"


def _default(model: type[BaseModel], name: str) -> str:
    field = model.model_fields[name]
    if field.is_required():
        return "required"
    if model is WorkflowPolicy and name in {"threshold", "support_floor"}:
        return f"`{getattr(_BUILT_IN.standard(None), name)}`"
    if model is WorkflowPolicy and field.default is None:
        built_in = getattr(_BUILT_IN, name)
        return "" if built_in is None else f"`{built_in}`"
    shown = field.default
    plain = not isinstance(shown, BaseModel) and shown not in (None, ()) and not get_args(type(shown))
    return f"`{shown}`" if plain and field.default_factory is None else ""


def main() -> None:
    """Write the tables into their place in the page."""
    text = PAGE.read_text("utf-8")
    head, _, rest = text.partition(BEGIN)
    PAGE.write_text(f"{head}{BEGIN}\n{tables()}{END}{rest.partition(END)[2]}", "utf-8")


if __name__ == "__main__":
    main()
