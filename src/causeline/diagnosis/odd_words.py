"""How what neighbours tell is said: oddities and what moved with a release, as sentences and facts."""

from causeline.diagnosis.answers import ANOTHER
from causeline.diagnosis.cohort import Odd
from causeline.diagnosis.contrast import Moved
from causeline.diagnosis.model import Fact
from causeline.diagnosis.sizes import BESIDE
from causeline.diagnosis.traits import Value

_WORDS = {
    "context_refs": "sources in its context", "times": "runs of the step", "input_tokens": "input tokens",
    "output_tokens": "output tokens", "cost_usd": "cost in USD", "seconds": "seconds", "retry_count": "retries",
    "evidence_refs": "references", "raw_output_ref": "an output on record", "input_ref": "an input on record",
    "parsed_artifact_ref": "a parsed artifact on record", "route_confidence": "route confidence",
    "input_tokens at most": "input tokens in one call", "output_tokens at most": "output tokens in one call",
    "cost_usd at most": "cost in USD of one call", "input_tokens at least": "fewest input tokens of a call",
    "output_tokens at least": "fewest output tokens of a call", "cost_usd at least": "least cost of a call",
    "input_ref is": "what it read", "raw_output_ref is": "what it gave", "parsed_artifact_ref is": "what it made",
    "input from": "where its input comes from", "tokens that it adds": "tokens that its answer adds to the prompt",
}  # fmt: skip


def moved_words(moved: Moved) -> str:
    """What is otherwise since a release, in words."""
    if moved.finding:
        rule, place, mark = moved.what.split("|", 2)
        what = f"{rule.replace('_', ' ')}{f' at {place}' if place else ''}{f' ({mark})' if mark else ''}"
        return f"{what} is found in {moved.after} runs, before in {moved.before}"
    place, _, name = moved.what.partition("|")
    where = f" of {place}" if place != "run" else " of the run"
    return f"{words_of(name)}{where} went from {moved.before} to {moved.after}"


def words_of(name: str) -> str:
    """A trait's name in words."""
    return _WORDS.get(name, name.removeprefix("label ").replace("_", " "))


def sentence(odd: Odd) -> str:
    """An oddity in words, beside what is usual."""
    words, value = words_of(odd.name), shown(odd.value)
    if odd.name == ANOTHER:
        return f"for what it was asked it gave another answer than in the runs before ({odd.usual} of {odd.of} did)"
    if BESIDE in odd.name and isinstance(odd.value, float):
        number, _, given = odd.name.partition(BESIDE)
        more = "more" if odd.value > 0 else "less"
        return f"{words_of(number)} is {shown(abs(odd.value))} {more} than goes with {words_of(given)}"
    if odd.given:
        return f"{words} is {value}, and it is {odd.usual}"
    if odd.value is None:
        return f"{words} is missing, and it is {odd.usual} runs"
    if isinstance(odd.value, str):
        return f"{_word_sentence(odd, words)}; of {odd.of} runs: {odd.usual}"
    return f"{words} is {value}, and {odd.usual} is usual in {odd.of} runs"


def _word_sentence(odd: Odd, words: str) -> str:
    if odd.name == "label output.keys":
        return f"what it gave has members of other names than usual ({odd.value})"
    if odd.name.endswith("_ref is"):
        return f"{words} is what none or few others have ({odd.value})"
    return f"{words} is {odd.value}"


def odd_fact(odd: Odd) -> Fact:
    """An oddity as a fact."""
    return Fact(odd.place, words_of(odd.name), f"{shown(odd.value)} (usual: {odd.usual})")


def shown(value: Value | None) -> str:
    """A trait's value in words."""
    if value is None:
        return "nothing"
    if isinstance(value, str):
        return value
    return f"{value:,.0f}" if value == int(value) and abs(value) < 1e12 else f"{value:.3g}"
