"""Content out of the events: it is masked and put into the artifact store, and its reference takes its place."""

import importlib
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import lru_cache
from typing import Any, Final

from causeline.otlp.receiver import plain_words
from causeline.otlp.receiver.drafts import Content, Draft
from causeline.otlp.receiver.telemetry import Value
from causeline.otlp.receiver.values import as_json
from causeline.producers.artifacts import ArtifactStore
from causeline.schemas.errors import UsageError
from causeline.schemas.events import MAX_LABEL_CHARS

MaskText = Callable[[str, str], str | None]
"""Given an attribute's key and its text; gives the text to keep, or None for nothing."""
_MOST_KEYS: Final = 200
_NEEDED: Final = frozenset({"step_name", "eval_case_id", "field_path", "evaluation_name"})
"""Fields that an event cannot do without: where the masking function gives nothing, `_MASKED` stands."""
_SAID: Final = _NEEDED | {
    "route_reason", "fallback_reason", "validation_errors", "error_type", "session_id", "original_kind",
    "evaluation_label", "evaluator",
}  # fmt: skip
"""Fields that are whatever an application wrote."""
_MASKED: Final = "masked"
_OTHERS: Final = "…"
_REST: Final = "attributes_ref"
_HOLD_CONTENT: Final = ("input_ref", "raw_output_ref", "context_refs", "evidence_refs", "explanation_ref", _REST)
"""Fields that the mapping leaves content in."""


class Keeper:
    """Keeps the content of drafts, or drops it.

    `set_aside` counts, by attribute key, what has no field or label of its own and is kept with the rest of its span;
    `dropped` what is nowhere kept.
    """

    def __init__(self, store: ArtifactStore | None, mask: MaskText | None = None) -> None:
        self._store = store
        self._mask = mask
        self.dropped: Counter[str] = Counter()
        self.set_aside: Counter[str] = Counter()
        self.mask_failed = 0

    def keep(self, drafts: Iterable[Draft]) -> None:
        """Replace all content by references; raises what the store raises, and then nothing is replaced."""
        places: list[tuple[dict[str, Any], str]] = []
        wanted: dict[Content, bytes | None] = {}
        for draft in drafts:
            if self._mask is not None:
                draft.workflow = self._masked_words("workflow", draft.workflow) or _MASKED
            for event in draft.events:
                self._mask_labels(event.fields)
                self._mask_words(event.fields)
                for name in _HOLD_CONTENT:
                    if (value := event.fields.get(name)) is None:
                        continue
                    found = [value] if isinstance(value, Content) else _contents(value)
                    if name == _REST and isinstance(value, Content) and self._store is not None:
                        self._count((key for key, _ in value.parts), self.set_aside)
                    if found:
                        places.append((event.fields, name))
                        wanted.update((content, None) for content in found if content not in wanted)
        refs = self._stored(list(wanted))
        for fields, name in places:
            fields[name] = _replaced(fields[name], refs)

    def let_go(self, keys: Iterable[str]) -> None:
        """Count what is kept nowhere."""
        self._count(keys)

    def _stored(self, contents: list[Content]) -> Mapping[Content, str]:
        if self._store is None:
            for content in contents:
                self._count(key for key, _ in content.parts)
            return {}
        inner = {value: None for content in contents for _, value in content.parts if isinstance(value, Content)}
        refs = self._put(self._store, list(inner), {}) if inner else {}
        return self._put(self._store, contents, refs)

    def _put(
        self, store: ArtifactStore, contents: list[Content], inner: Mapping[Content, str]
    ) -> Mapping[Content, str]:
        kept = [(content, data) for content in contents if (data := self._masked(content, inner)) is not None]
        refs = store.put_many([data for _, data in kept])
        return {content: ref for (content, _), ref in zip(kept, refs, strict=True)}

    def _masked(self, content: Content, inner: Mapping[Content, str]) -> bytes | None:
        if self._mask is None:
            return content.data(inner)
        parts: list[tuple[str, Value | Content]] = []
        for key, value in content.parts:
            if isinstance(value, Content):
                parts.append((key, value))
                continue
            text = self._mask_text(key, value if isinstance(value, str) else as_json(value))
            if text is None:
                self._count([key])
            else:
                parts.append((key, text))
        masked = Content.of(parts, is_object=content.is_object)
        return None if masked is None else masked.data(inner)

    def _mask_text(self, key: str, text: str) -> str | None:
        if self._mask is None:
            return text
        try:
            masked = self._mask(key, text)
        except Exception:  # noqa: BLE001 - it fails closed: what could not be masked is not kept
            self.mask_failed += 1
            return None
        return masked if isinstance(masked, str) else None

    def _mask_labels(self, fields: dict[str, Any]) -> None:
        """The masking function sees labels too: they travel with the events."""
        labels = fields.get("labels")
        if self._mask is None or not labels:
            return
        kept = {}
        for key, text in labels.items():
            masked = self._mask_text(key, text)
            if masked is None or len(masked) > MAX_LABEL_CHARS:
                self._count([key])
            else:
                kept[key] = masked
        fields["labels"] = kept

    def _mask_words(self, fields: dict[str, Any]) -> None:
        """It sees names and reasons as well: a span's name may hold what a customer asked."""
        if self._mask is None:
            return
        for name in _SAID & fields.keys():
            said = fields[name]
            if isinstance(said, str):
                fields[name] = self._masked_words(name, said) or (_MASKED if name in _NEEDED else None)
            elif isinstance(said, tuple):
                masked = [self._masked_words(name, each) for each in said]
                fields[name] = tuple(each for each in masked if each) or None

    def _masked_words(self, name: str, text: str) -> str | None:
        masked = self._mask_text(name, text)
        if not masked:
            self._count([name])
            return None
        return masked[: max(len(text), MAX_LABEL_CHARS)]  # a name or a phrase: it may not outgrow what it was

    def _count(self, keys: Iterable[str], counter: Counter[str] | None = None) -> None:
        counts = self.dropped if counter is None else counter
        for key in keys:
            shown = _shown(key)
            counts[shown if shown in counts or len(counts) < _MOST_KEYS else _OTHERS] += 1


def mask_function(path: str | None) -> MaskText | None:
    """The function that `module:function` names; raises UsageError when there is none."""
    if path is None:
        return None
    module, _, name = path.partition(":")
    try:
        function: MaskText = getattr(importlib.import_module(module), name)
    except (ImportError, AttributeError, ValueError) as error:
        raise UsageError(
            f"The masking function {path!r} cannot be imported: {error}.",
            hint="CAUSELINE_RECEIVE_MASK is module:function.",
        ) from error
    return function


@lru_cache(maxsize=4096)
def _shown(key: str) -> str:
    """A key as it is counted: without the place of its event, and only where a program may have written it."""
    where, _, bare = key.rpartition(":")
    kind = where.partition(".")[0] if where.startswith(("event.", "link.")) else where
    if not plain_words.key(bare):
        return _OTHERS
    return f"{kind}:{bare}" if plain_words.key(kind) else bare


def _contents(value: object) -> list[Content]:
    return [item for item in value if isinstance(item, Content)] if isinstance(value, tuple) else []


def _replaced(value: object, refs: Mapping[Content, str]) -> object:
    if isinstance(value, Content):
        return refs.get(value)
    items: Iterator[object] = (refs.get(item) if isinstance(item, Content) else item for item in _tuple(value))
    return tuple(item for item in items if item is not None)


def _tuple(value: object) -> tuple[object, ...]:
    return value if isinstance(value, tuple) else ()
