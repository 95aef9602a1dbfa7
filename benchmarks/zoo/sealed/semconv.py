"""The dialect of teams that write GenAI semantic conventions by hand."""

from collections.abc import Mapping
from typing import Any

from benchmarks.zoo.sealed.spans import Attributes


def plain(value: object) -> Any:
    """A value as an attribute may be."""
    if isinstance(value, str | bool | int | float):
        return value
    if isinstance(value, list | tuple):
        return [str(item) for item in value]
    return str(value)


class GenAi:
    """`invoke_agent`, `execute_tool`, `retrieval`, `embeddings`; other steps by their name, under the team's prefix."""

    def __init__(self, prefix: str, *, content: bool, silent: frozenset[str] = frozenset()) -> None:
        self._prefix, self._content, self._silent = prefix, content, silent

    def span(self, kind: str, name: str) -> tuple[str, Attributes] | None:
        if kind in self._silent:
            return None
        if kind == "agent":
            return f"invoke_agent {name}", {"gen_ai.operation.name": "invoke_agent", "gen_ai.agent.name": name}
        if kind == "tool":
            return f"execute_tool {name}", {
                "gen_ai.operation.name": "execute_tool",
                "gen_ai.tool.name": name,
                "gen_ai.tool.type": "function",
            }
        if kind == "retrieve":
            return f"retrieval {name}", {"gen_ai.operation.name": "retrieval", "gen_ai.data_source.id": name}
        if kind == "embed":
            return "embeddings vec-2", {"gen_ai.operation.name": "embeddings"}
        return name, {f"{self._prefix}.kind": kind}

    def said(self, kind: str, fields: Mapping[str, Any]) -> Attributes:
        attributes: Attributes = {}
        for key, value in fields.items():
            if key in {"raw_output_ref", "input_ref", "parsed_artifact_ref"}:
                if self._content and kind == "tool":
                    attributes["gen_ai.tool.call.arguments" if key == "input_ref" else "gen_ai.tool.call.result"] = (
                        value
                    )
                continue
            if key == "context_refs":
                attributes["gen_ai.retrieval.documents"] = plain(value)
            elif key in {"prompt_id", "prompt_version"}:
                attributes["gen_ai.prompt.name" if key == "prompt_id" else f"{self._prefix}.prompt.version"] = value
            else:
                attributes[f"{self._prefix}.{key}"] = plain(value)
        return attributes

    def words(self, kind: str, words: Mapping[str, object], *, measures: bool) -> Attributes:
        if measures and kind not in {"retrieve", "rerank"}:
            return {}
        return {f"{self._prefix}.{key.split('.')[-1]}": plain(value) for key, value in words.items()}

    def over(self, state: str, answer: str | None, words: Mapping[str, object]) -> Attributes:
        attributes = {f"{self._prefix}.{key}": plain(value) for key, value in words.items()}
        if self._content and answer:
            attributes["output.value"] = answer
        return attributes | {f"{self._prefix}.outcome": state}

    def event(self, what: str, fields: Mapping[str, Any]) -> tuple[str, Attributes] | None:
        if what == "evidence":
            return None
        if what == "eval":
            return "gen_ai.evaluation.result", {
                "gen_ai.evaluation.name": fields["name"],
                "gen_ai.evaluation.score.label": fields["outcome"],
            }
        shown = {key: plain(value) for key, value in fields.items() if self._content or key not in {"override", "note"}}
        return f"{self._prefix}.{what}", shown
