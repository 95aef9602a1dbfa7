"""What neighbours tell of a run, as findings: what is far off, what a release changed, what failing runs share."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from functools import cached_property

from causeline.diagnosis.cohort import Cohort, Odd, is_time, most_odd, slowest
from causeline.diagnosis.contrast import Release, Shared, is_anchor, nearest, releases, shared
from causeline.diagnosis.finding import about_step, is_verdict, listed, step_fact, thing_of, touch, who
from causeline.diagnosis.model import Fact, Finding, Neighbour, Proof, Role
from causeline.diagnosis.odd_words import moved_words, odd_fact, sentence, shown, words_of
from causeline.diagnosis.record import Record, asked_in_vain, error_path, errors_of, says_nothing
from causeline.diagnosis.sizes import BESIDE
from causeline.diagnosis.traits import Row, of_steps, plain
from causeline.schemas.run import Step
from causeline.schemas.vocabulary import FinalState, Status, StepKind

_NO_PLACE = ("run", "field:", "eval:")
_RESOURCES = {"cost_usd": "cost", "input_tokens": "input tokens", "output_tokens": "output tokens", "seconds": "time",
              "retry_count": "retries", "steps": "steps"}  # fmt: skip
_GIVES = (StepKind.PROMPT, StepKind.TOOL, StepKind.RETRIEVE, StepKind.PARSE, StepKind.MASK, "reranker")
_RENDERS = (StepKind.PROMPT, StepKind.MODEL_CALL, StepKind.TOOL)
_GIVEN = ("label ", "context_refs", "output_tokens")
_DECIDES = (StepKind.ROUTE, StepKind.CLASSIFY)
_SYMPTOMS = frozenset({"errors", "error_type", "validation_errors", "final_state"})
_FOLLOWS = frozenset({"times", "retry_count", "label steps", "errors"})
"""How often something ran comes of what it was given or of what came back."""
_SAID = frozenset(
    {
        "raw_output_ref is",
        "route",
        "confidence",
        "score",
        "label",
        "verdict",
        "output.word",
        "output.score",
        "output.status",
    }
)
_SELDOM = 4.0
"""Bits from which on a verdict is seldom: one in sixteen runs, which whoever judges answers may well find bad."""
_DEPARTS = 6.0
"""Bits from which on the first departure in time is taken for what led to the others."""
_MOVED = 0.6
"""A step whose numbers or words moved so much is where a release began, if none before it did."""
_RELEASES = 3
"""As many releases are told of."""
_HEARD = 4.5
"""Bits of oddity from which on a trait may explain a symptom that is there."""


class Neighbours:
    """A run beside the others of its workflow."""

    def __init__(self, record: Record, cohort: Cohort, row: Row) -> None:
        self.record, self.cohort, self.row = record, cohort, row
        self.odd = cohort.oddities(row.traits, own=row.run_id in cohort.well_ids)
        self.calm = cohort.calm(row.run_id)
        self.around = {parent for step in record.steps if (parent := step.parent_step_id) is not None}
        """Steps with steps within them."""
        self.attempts: dict[str, list[Step]] = {}
        """The steps of each place, in order."""
        for step in record.steps:
            self.attempts.setdefault(plain(step.full_name), []).append(step)
        self.steps = {place: steps[0] for place, steps in self.attempts.items()}

    @cached_property
    def is_odd(self) -> bool:
        """Whether the run is so odd as a whole that this is a symptom by itself."""
        return most_odd(self.odd) > self.calm

    @cached_property
    def is_slow(self) -> bool:
        """Whether it took so much longer that this is."""
        return slowest(self.odd) > self.cohort.calm_in_time(self.row.run_id)

    @property
    def has_failed(self) -> bool:
        """Whether the run says of itself that it failed."""
        run = self.record.run
        return run.status == Status.ERROR or run.final_state == FinalState.FAILED

    def is_off(self, trait: str) -> bool:
        """Whether a trait is rare enough to explain something."""
        return any(odd.trait == trait and odd.bits >= _HEARD for odd in self.odd)

    def findings(self) -> Iterator[Finding]:
        """What is far off, and what a release changed; the run's symptoms are not asked."""
        yield from self._far_off()
        yield from self._never_content()
        for release in releases(self.cohort, self.row)[:_RELEASES]:
            yield self._release(release)

    def _never_content(self) -> Iterator[Finding]:
        """A check that turns down each of several attempts: where nothing before it is odd, it is the check."""
        for last in self.record.last_of_each(*self.record.by_kind):
            attempts = asked_in_vain(self.record, last)
            if not attempts:
                continue
            error = errors_of(last)[0]
            given = self._given_to_the_author(attempts[0])
            if given is not None and self._has_been_mended(error):
                yield about_step(
                    given,
                    rule="asked_in_vain",
                    proof=Proof.MEASURE,
                    role=Role.HINT,
                    strength=0.64,
                    headline=f"The model was asked {len(attempts)} times in vain ({error} at {last.full_name}), which "
                    f"other runs mend: what it was given lacks it, and nothing says what {given.full_name} gave.",
                    fix="what it gives, and record how much that is",
                    facts=[step_fact(step, "validation_errors") for step in attempts[:3]],
                    mark=error,
                )
                continue
            usual = sum(f"{plain(last.full_name)}|validation_errors" in row.traits for row in self.cohort.well)
            yield about_step(
                last,
                rule="never_content",
                proof=Proof.MEASURE,
                role=Role.HINT,
                strength=0.63,
                headline=f"{last.full_name} turned down each of {len(attempts)} attempts ({error}); of "
                f"{len(self.cohort.well)} runs {usual} had any error there.",
                fix="what it asks for, beside what the model was asked for",
                facts=[step_fact(step, "validation_errors") for step in attempts[:3]],
                mark=error,
            )

    def _given_to_the_author(self, check: Step) -> Step | None:
        """Who gave the model what it made its answer from, where nothing on record says what that was."""
        call = self.record.call_ahead_of(self.record.place[check.step_id])
        source = self._source(call) if call is not None else None
        return source if source is not None and source is not call and says_nothing(source) else None

    def _has_been_mended(self, error: str) -> bool:
        """Whether other runs had an error at the same place and mended it."""
        at = error_path(error) or error
        return any(hint.startswith("mended_shape|") and at in hint for row in self.cohort.rows for hint in row.hints)

    # --- far off

    def _far_off(self) -> Iterator[Finding]:
        by_place: dict[str, list[Odd]] = {}
        for odd in self.odd:
            by_place.setdefault(odd.place, []).append(odd)
        broken_off = self.record.run.final_state not in (FinalState.ANSWERED, None) or any(
            step.status == Status.ERROR for step in self.record.steps
        )
        absent: list[Odd] = []
        steps: list[tuple[Finding, Odd]] = []
        for place, odds in by_place.items():
            if place == "run":
                yield from self._resources(odds)
            if place.startswith(_NO_PLACE):
                continue
            step = self.steps.get(place)
            if step is None:
                absent += odds
                continue
            if is_verdict(place):
                yield from self._verdict(step, odds)
                continue
            telling = [
                odd
                for odd in odds
                if odd.name not in _SYMPTOMS
                and odd.bits >= _HEARD
                and not _cut_short(odd)
                and (not is_time(odd.trait) or (self.is_slow and odd.higher and not _ran_often(odds)))
            ]
            names = {odd.name for odd in odds} | {odd.name for odd in self.odd if odd.place in self.steps}
            telling = [
                odd
                for odd in telling
                if odd.name.removeprefix("route, then ") == odd.name
                or odd.name.removeprefix("route, then ") not in names
            ]
            telling.sort(key=lambda odd: (odd.name in _FOLLOWS, -odd.bits))
            if telling:
                steps.append((self._odd_step(self._showing(place, telling[0]), telling), telling[0]))
        yield from self._in_time(steps)
        if absent and not broken_off:  # what comes after an end never ran
            left_out = [odd for odd in absent if odd.given]
            yield self._left_out(left_out[0]) if left_out else self._never_ran(absent)

    def _in_time(self, found: Sequence[tuple[Finding, Odd]]) -> Iterator[Finding]:
        """The first that departs from what is usual may have led to all that follows: none of these outweighs it."""
        most = max((finding.strength for finding, _ in found), default=0.0)
        leading = [
            finding
            for finding, odd in found
            if odd.bits >= _DEPARTS
            and finding.role is Role.SIGN
            and odd.name not in _FOLLOWS
            and not is_time(odd.trait)
            and finding.step_id not in self.around
        ]
        first = min(leading, key=lambda finding: self.record.place[finding.step_id or ""], default=None)
        for finding, _ in found:
            yield replace(finding, strength=most) if finding is first and finding.strength < most else finding

    def _verdict(self, step: Step, odds: Sequence[Odd]) -> Iterator[Finding]:
        """Whoever says how good the answer is says something that it seldom says: a symptom, and no cause."""
        said = list(filter(_is_seldom_said, odds))
        if said:
            yield about_step(
                step,
                rule="verdict_differs",
                proof=Proof.MEASURE,
                role=Role.TROUBLE,
                strength=0.2,
                headline=f"{step.full_name} says of the answer what it seldom says: {sentence(said[0])}.",
                fix="what it says of this run",
                facts=[odd_fact(odd) for odd in said[:4]],
                mark=f"{said[0].name}={said[0].value}",
            )

    def _left_out(self, odd: Odd) -> Finding:
        """A step that all runs of this kind take, and this one did not."""
        return Finding(
            rule="left_out",
            proof=Proof.CONTRAST,
            role=Role.SIGN if _is_left_out(odd, self.calm) else Role.HINT,
            boundary=odd.place.partition(":")[0],
            headline=f"{odd.place} never ran, and it is {odd.usual}.",
            fix=f"What decides whether {odd.place} runs: {odd.given}.",
            thing=odd.place,
            strength=0.8,
            facts=(odd_fact(odd),),
            step=odd.place,
            mark=odd.given,
        )

    def _never_ran(self, absent: list[Odd]) -> Finding:
        """Steps that others take: whatever decided about the way is asked, not the steps that never ran."""
        names = [odd.place for odd in absent]
        decider = next(
            (step for step in reversed(self.record.steps) if step.route is not None or step.step_kind in _DECIDES), None
        )
        first = max(absent, key=lambda odd: odd.bits)
        what = f"{listed(names, 3)} never ran"
        facts = tuple(odd_fact(odd) for odd in absent[:4])
        role = Role.SIGN if self.is_odd else Role.HINT
        strength = min(0.7, 0.6 + (first.bits - 8) * 0.012)
        if decider is not None:
            decided = f"decided for {decider.route}" if decider.route else "decided the way"
            return about_step(
                decider,
                rule="never_ran",
                proof=Proof.MEASURE,
                role=role,
                strength=strength,
                headline=f"{decider.full_name} {decided}, and {what}; it is {first.usual} runs of this workflow.",
                fix=f"what decides whether {listed(names, 3)} runs",
                facts=facts,
                mark=",".join(sorted(names)),
            )
        return Finding(
            rule="never_ran",
            proof=Proof.MEASURE,
            role=role,
            boundary=first.place.partition(":")[0],
            headline=f"{what[:1].upper()}{what[1:]}; it is {first.usual} runs of this workflow.",
            fix=f"What decides whether {listed(names, 3)} runs.",
            thing=first.place,
            strength=min(strength, 0.5),
            facts=facts,
            step=first.place,
            mark=",".join(sorted(names)),
        )

    def _resources(self, odds: Sequence[Odd]) -> Iterator[Finding]:
        for odd in odds:
            grave = self.is_slow if is_time(odd.trait) else self.is_odd
            if odd.name in _RESOURCES and odd.bits >= max(_HEARD, self.calm - 4):
                yield Finding(
                    rule="far_off",
                    proof=Proof.MEASURE,
                    role=Role.SIGN if grave and odd.higher else Role.HINT,
                    boundary=StepKind.OUTPUT,
                    headline=f"The run's {_RESOURCES[odd.name]} is far off: {shown(odd.value)}, "
                    f"and {odd.usual} is usual.",
                    fix=f"What takes so {'much' if odd.higher else 'little'}: causeline show {self.record.run.run_id}.",
                    thing=f"run {odd.name}",
                    strength=0.3,
                    facts=(odd_fact(odd),),
                    mark=odd.name,
                )

    def _odd_step(self, step: Step, odds: list[Odd]) -> Finding:
        first = odds[0]
        strength = min(0.84, 0.62 + (first.bits - 8) * (0.018 if first.bits > 8 else 0.05))
        if first.name in _FOLLOWS or "error" in first.name:
            strength = min(strength, 0.5)
        elif step.step_id in self.around:
            strength = min(strength, 0.52)  # it shows what went on within it
        grave = self.is_odd
        if is_time(first.trait):
            grave, strength = self.is_slow, min(strength, 0.7)
        if first.name == "tokens that it adds" and isinstance(first.value, float) and first.value < 0:
            return about_step(
                step,
                rule="history_lost",
                proof=Proof.MEASURE,
                role=Role.SIGN if grave else Role.HINT,
                strength=strength,
                headline=f"After {step.full_name} the model was given {-first.value:,.0f} tokens less than before it: "
                f"what had been said was cut, and {first.usual} more is usual.",
                fix="what of the turns before goes into the next prompt",
                facts=[odd_fact(odd) for odd in odds[:4]],
                boundary=StepKind.PROMPT,
                mark=first.name,
            )
        call = self._call_of(step, first)
        source = self._source(call) if first.name.startswith("input_tokens") else None
        if source is not None and source.step_kind not in _RENDERS and self._is_cleared(source):
            source = call if call.step_kind == StepKind.MODEL_CALL else None
        if source is not None:
            return about_step(
                source,
                rule="odd_input",
                proof=Proof.MEASURE,
                role=Role.SIGN if grave and first.bits >= self.calm - 3 else Role.HINT,
                strength=(strength if grave else min(strength, 0.66)) - 0.01,
                headline=f"{'' if source is call else f'After {source.full_name}, '}{step.full_name} was given "
                f"{'more' if first.higher else 'less'} than usual: {shown(first.value)} input tokens, "
                f"and {first.usual} is usual in {first.of} runs.",
                fix=f"what it gives to {step.full_name}",
                facts=[odd_fact(odd) for odd in odds[:4]],
                boundary=StepKind.PROMPT if source is call else None,
                mark=first.name,
            )
        return about_step(
            step,
            rule="odd_step",
            proof=Proof.MEASURE,
            role=Role.SIGN if grave and first.bits >= self.calm - 3 and first.name != "input_ref is" else Role.HINT,
            strength=strength if grave else min(strength, 0.66),
            headline=f"{step.full_name}: {sentence(first)}.",
            fix=f"why {words_of(first.name)} is {shown(first.value)} here",
            facts=[odd_fact(odd) for odd in odds[:4]],
            mark=first.name,
        )

    def _showing(self, place: str, odd: Odd) -> Step:
        """Of several attempts at a step the one that shows what is odd; the first where only all together show it."""
        attempts = self.attempts[place]
        trait = odd.trait.partition(BESIDE)[0]
        name = trait.partition("|")[2].removesuffix(" at most").removesuffix(" at least")
        value = self.row.traits.get(trait)
        if len(attempts) == 1 or value is None:
            return attempts[0]
        return next((step for step in attempts if dict(of_steps((step,))).get(name) == value), attempts[0])

    def _call_of(self, step: Step, odd: Odd) -> Step:
        """The call that has the odd number."""
        calls = [self.record.steps[place] for place in self.record.attempts[step.full_name]]
        return next((call for call in calls if call.input_tokens == odd.value), step)

    def _source(self, call: Step) -> Step | None:
        """What a model call was given comes from what was done before it; of a first call it is its own prompt."""
        place = self.record.place[call.step_id]
        given: Step | None = None
        for before in reversed(self.record.steps[:place]):
            if before.step_id in self.around:
                continue
            if before.step_kind == StepKind.MODEL_CALL and given is not None:
                break
            if "prompt" in (before.step_kind, *before.step_name.lower().split()):
                return before
            if given is None and before.step_kind in _GIVES:
                given = before
        return given or (call if call.step_kind == StepKind.MODEL_CALL else None)

    def _is_cleared(self, step: Step) -> bool:
        """Whether what a step gave is on record, and as usual: how many sources or matches, how many characters."""
        place = plain(step.full_name)
        known = [name for name in (f"{place}|{each}" for each in self._names_at(place)) if name in self.cohort.habits]
        return bool(known) and not any(odd.place == place for odd in self.odd)

    def _names_at(self, place: str) -> list[str]:
        told = (trait.partition("|") for trait, value in self.row.traits.items() if isinstance(value, float))
        return [name for at, _, name in told if at == place and name.startswith(_GIVEN)]

    # --- releases

    def _release(self, release: Release) -> Finding:
        first = release.moved[0]
        place = (release.trait or first.what).partition("|")[0] if not first.finding or release.trait else first.place
        if place == "run" or place.startswith(_NO_PLACE) or is_verdict(place) or release.trait is None:
            place = self._most_upstream(release) or (place if is_verdict(place) and release.trait else "")
        step = self.steps.get(place)
        name = (release.trait or "").partition("|")[2].removeprefix("label ")
        since = datetime.fromtimestamp(release.since, UTC).strftime("%Y-%m-%d %H:%M UTC")
        if release.trait is None:
            came = f"Since {since} {place} is otherwise"
            fix = f"What was released at {since}: no version that is on record changed with it."
            numbers = f"({release.after_runs} runs since, {release.before_runs} before)"
        else:
            what = f"{name} {release.new}" + (f" of {place}" if step is not None else "")
            came = f"Since {what} replaced {release.old}"
            fix = f"{name} {release.new}: go back to {release.old}, or mend it."
            numbers = f"({release.after_runs} runs with it, {release.before_runs} with {release.old})"
        where = touch(step) + ". " if step is not None else ""
        return Finding(
            rule="release",
            proof=Proof.CONTRAST,
            role=Role.SIGN if _is_grave(release) else Role.HINT,
            boundary=_boundary(name, step, place),
            headline=f"{came}, {moved_words(first)} {numbers}.",
            fix=where + fix,
            thing=f"{name} {release.new} of {place}" if release.trait else place,
            strength=0.87 if release.trait else 0.8 if place and place != "run" else 0.25,
            facts=tuple(
                Fact("neighbours", each.what.replace("|", " "), f"{each.before} → {each.after}")
                for each in release.moved[:5]
            ),
            step_id=step.step_id if step is not None else None,
            step=step.full_name if step is not None else "",
            mark=f"{release.trait}={release.new}",
        )

    def _most_upstream(self, release: Release) -> str | None:
        moved = release.moved
        before = {trait for row in self.cohort.rows if row.started_at < release.since for trait in row.traits}
        new = (
            place
            for place, step in self.steps.items()
            if step.step_id not in self.around and not is_verdict(place) and f"{place}|times" not in before
        )
        if (never := next(new, None)) is not None:
            return never
        inner = {
            place for place, step in self.steps.items() if step.step_id not in self.around and not is_verdict(place)
        }
        near = [each for each in moved if abs(each.effect) >= _MOVED and each.place in inner]
        untimed = {each.place for each in near if not is_time(each.what)}
        timed = {each.place for each in near}
        within = [place for place, step in self.steps.items() if step.step_id not in self.around]
        return next((place for place in (*self.steps, "") if place in untimed), None) or next(
            (place for place in within if place in timed), None
        )

    # --- what failing runs share

    def shared_by(self, symptom: Finding) -> tuple[list[Finding], str | None]:
        """What the runs with a symptom have in common and the others have not; or why that cannot be told."""
        found, why_not = shared(self.cohort, self.row, symptom.key)
        found = [each for each in found if not is_verdict(each.trait.partition("|")[0])]
        return [self._shared(each, symptom) for each in found[:3]], why_not

    def began_with(self, symptom: Finding) -> list[Finding]:
        """A symptom that no run had before some time: something was released then, and no measure moved with it."""
        began, call = self.cohort.began(symptom.key), self.record.call_before(None)
        if began is None or call is None:
            return []
        since = datetime.fromtimestamp(began.since, UTC).strftime("%Y-%m-%d %H:%M UTC")
        return [
            about_step(
                call,
                rule="began",
                proof=Proof.CONTRAST,
                role=Role.HINT,
                strength=0.5,
                headline=f"Since {since} {began.runs} of {began.of} runs end so, and none of {began.before} before: "
                f"something was released, and no measure on record moved with it; {who(call)} gave the answer.",
                fix=f"what changed at {since}: its prompt, model or sources; record their versions",
                facts=(Fact("neighbours", "began", since),),
                mark=symptom.key,
            )
        ]

    def _shared(self, each: Shared, symptom: Finding) -> Finding:
        place, _, name = each.trait.partition("|")
        step = self.steps.get(place)
        what = f"{words_of(name.removeprefix('label '))} {each.says}" + (f" at {place}" if place != "run" else "")
        return Finding(
            rule="shared",
            proof=Proof.CONTRAST,
            role=Role.HINT,
            boundary=step.step_kind if step is not None else "input" if place == "run" else place.partition(":")[0],
            headline=f"{each.hits} of {each.of} runs with {what} end so; of {each.of_others} others, {each.others}.",
            fix=f"{touch(step)}: {what}." if step is not None else f"What {what} stands for.",
            thing=thing_of(step) if step is not None else f"{place} {name}",
            strength=min(0.76 if is_anchor(each.trait) else 0.45, 0.5 + 0.3 * each.ochiai)
            * (0.85 if step is None else 1.0),
            facts=(Fact("neighbours", "more often by at least", f"{each.least:.0%}"),),
            step_id=step.step_id if step is not None else None,
            step=step.full_name if step is not None else place,
            mark=f"{each.trait}{each.says}|{symptom.key}",
        )

    def nearest(self) -> Neighbour | None:
        """The run most like this one that went well."""
        found = nearest(self.cohort, self.row) if self.cohort.can_tell else None
        if found is None:
            return None
        other, differs = found
        return Neighbour(
            other.run_id,
            tuple(
                f"{trait.replace('|', ' ')}: {shown(here)} here, {shown(there)} there"
                for trait, here, there in differs[:6]
            ),
        )


def speaks_beside(row: Row, cohort: Cohort) -> bool:
    """Whether anything that neighbours tell may be a symptom of a run, told from its row: see `Neighbours.findings`."""
    row = cohort.beside(row)
    odds = cohort.oddities(row.traits, own=row.run_id in cohort.well_ids)
    calm = cohort.calm(row.run_id)
    if most_odd(odds) > calm or slowest(odds) > cohort.calm_in_time(row.run_id):
        return True
    if any(_is_left_out(odd, calm) or (is_verdict(odd.place) and _is_seldom_said(odd)) for odd in odds):
        return True
    return any(map(_is_grave, releases(cohort, row)[:_RELEASES]))


def _is_seldom_said(odd: Odd) -> bool:
    return odd.name.removeprefix("label ") in _SAID and odd.bits >= _SELDOM and not odd.higher


def _is_left_out(odd: Odd, calm: float) -> bool:
    return bool(odd.given) and odd.bits >= calm - 3


def _is_grave(release: Release) -> bool:
    return any(each.is_worse or abs(each.effect) >= 0.8 for each in release.moved)


def _boundary(anchor: str, step: Step | None, place: str) -> str:
    if anchor.startswith("prompt"):
        return StepKind.PROMPT
    return step.step_kind if step is not None else place.partition(":")[0]


def _ran_often(odds: Sequence[Odd]) -> bool:
    """Whether a step took long because it ran oftener."""
    return any(odd.name == "times" and odd.higher for odd in odds)


def _cut_short(odd: Odd) -> bool:
    """The greatest of fewer calls is less, the least of more calls is less: neither tells anything."""
    return (odd.name.endswith(" at most") and not odd.higher) or (odd.name.endswith(" at least") and bool(odd.higher))
