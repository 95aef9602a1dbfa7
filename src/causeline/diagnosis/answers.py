"""The same question, another answer: what a step gave beside what it gave earlier runs for the same input. Pure.

An artifact's reference is made of its bytes, so a step that reads what it read before and gives something else has
changed, whatever came before it in the run; and a step whose input is new as well tells nothing of itself.
"""

import zlib
from collections import Counter
from collections.abc import Iterable, Mapping

from causeline.schemas.run import Run, Step

ANOTHER = "another answer"
"""The trait of a step: 1 where it gave another answer than most runs before, 0 where the same; absent where the
question is new."""
_MOST = 120
_LEAST_ROWS = 20
_DIGEST = 12


def answers_of(run: Run, named: Mapping[str, str]) -> dict[str, str]:
    """What each step gave for what it read, both by address: `place|input` to output; `named` are the steps' places.

    A question to which a run itself has two answers is left out.
    """
    found: dict[str, str] = {}
    for step in run.steps:
        gave = _gave(step)
        if step.input_ref is None or gave is None:
            continue
        key = f"{named[step.full_name]}|{step.input_ref[-_DIGEST:]}"
        if found.setdefault(key, gave) != gave:
            found[key] = ""
        if len(found) >= _MOST:
            break
    return {key: gave for key, gave in found.items() if gave}


def _gave(step: Step) -> str | None:
    ref = step.raw_output_ref or step.parsed_artifact_ref
    if ref is not None:
        return ref[-_DIGEST:]
    return f"{zlib.crc32(' '.join(step.context_refs).encode()):08x}" if step.context_refs else None


class Known:
    """The answers of runs, in order of time."""

    def __init__(self) -> None:
        self._given: dict[str, dict[str, int]] = {}
        self.places: frozenset[str] = frozenset()
        """The steps of which enough is known."""

    def learn(self, rows: Iterable[Mapping[str, str]]) -> list[dict[str, float]]:
        """Take up the answers of rows, the oldest first; for each what it says beside those before it."""
        told = []
        for answers in rows:
            told.append(self._beside(answers))
            for key, gave in answers.items():
                given = self._given.get(key)
                if given is None:
                    self._given[key] = {gave: 1}
                else:
                    given[gave] = given.get(gave, 0) + 1
        rows_of = Counter(place for each in told for place in each)
        self.places = frozenset(place for place, rows in rows_of.items() if rows >= _LEAST_ROWS)
        return [self._kept(each) for each in told]

    def ask(self, answers: Mapping[str, str]) -> dict[str, float]:
        """What a run says beside all of them; its own answers may be among them, once."""
        return self._kept(self._beside(answers))

    def _kept(self, told: Mapping[str, float]) -> dict[str, float]:
        return {f"{place}|{ANOTHER}": value for place, value in told.items() if place in self.places}

    def _beside(self, answers: Mapping[str, str]) -> dict[str, float]:
        found: dict[str, float] = {}
        for key, gave in answers.items():
            given = self._given.get(key)
            if given:
                most = next(iter(given)) if len(given) == 1 else max(given, key=given.__getitem__)
                place = key.rpartition("|")[0]
                is_another = gave != most and given.get(gave, 0) * 2 < given[most]
                found[place] = max(found.get(place, 0.0), float(is_another))
        return found
