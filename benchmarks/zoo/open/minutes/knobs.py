"""How the minutes are set up; a fault is another setting of one of its parts."""

from dataclasses import dataclass, replace

from benchmarks.zoo.open.kit.faults import fault
from benchmarks.zoo.protocol import Fault


@dataclass(frozen=True, slots=True)
class Knobs:
    """One set-up."""

    want: str = ""
    """What meetings come in, where a part matters to some only."""
    blocks_lost: int = 0
    foreign: bool = False
    voices: int = 9
    """How many voices the diarisation tells apart at most."""
    glossary: str = "company"
    masked: tuple[str, ...] = ("EMAIL", "PHONE")
    classifier: str = "kinds-5"
    last_part: bool = True
    part_prompt: str = "9"
    part_model: str = "wren-1"
    fingerprint: str = "fp_a10"
    drops: float = 0.0
    wordy: bool = False
    refusals: float = 0.01
    """How often the provider has no room for a call."""
    merged: int = 99
    """How many parts the merge's prompt holds at most."""
    merge_tokens: int = 3000
    series: str = "own"
    dates: str = r"\d{4}-\d\d-\d\d"
    never: bool = False
    """Whether the reviewer minds everything."""


BASE = Knobs()
_SET: tuple[tuple[Fault, Knobs], ...] = (
    (
        fault(
            "end_not_heard",
            "parse",
            "transcribe",
            "transcribe, asr-7, blocks, parse.pages_read",
            "The recogniser stops before the last blocks of the recording: fewer blocks are read than there "
            "are, and what was agreed at the end is in no part.",
        ),
        replace(BASE, blocks_lost=2, want="long"),
    ),
    (
        fault(
            "heard_in_another_language",
            "parse",
            "transcribe",
            "transcribe, asr-7, language, parse.quality",
            "The recording is heard with another language's model: the recogniser is unsure of its words and "
            "many are none, so little is found in them.",
        ),
        replace(BASE, foreign=True),
    ),
    (
        fault(
            "voices_taken_together",
            "custom",
            "diarise",
            "diarise, voices, speakers, diarisation",
            "The diarisation tells two voices apart where four and more were invited; tasks go to the wrong "
            "person, who is a guest of the meeting, so no check minds it, and the host puts it right.",
        ),
        replace(BASE, voices=2, want="crowd"),
    ),
    (
        fault(
            "glossary_of_another_house",
            "retrieve",
            "glossary",
            "glossary, terms, glossary search",
            "The search for the company's words is made in another customer's glossary and finds nothing; names "
            "of products stay as they sound, and the reviewer minds unknown words.",
        ),
        replace(BASE, glossary="other"),
    ),
    (
        fault(
            "dates_masked",
            "mask",
            "mask private data",
            "mask private data, DATE, masking",
            "The rules for personal data take out dates as well; tasks have no day by which they are due, and "
            "the check turns them down each time.",
        ),
        replace(BASE, masked=("EMAIL", "PHONE", "DATE"), want="tasks"),
    ),
    (
        fault(
            "phones_not_masked",
            "mask",
            "mask private data",
            "mask private data, PHONE, masking",
            "The rule for telephone numbers is gone: none is ever replaced, and the privacy check before "
            "sending stops the minutes.",
        ),
        replace(BASE, masked=("EMAIL",), want="phone"),
    ),
    (
        fault(
            "kinds_6_loves_sales",
            "classify route",
            "kind of meeting",
            "kind of meeting, kinds-6, kinds-5, classifier",
            "Since its release kinds-6 takes steering meetings for sales ones; the sections are those of "
            "another template, more hosts override, and some sections stay empty.",
            regression=True,
        ),
        replace(BASE, classifier="kinds-6", want="steering"),
    ),
    (
        fault(
            "last_part_lost",
            "custom",
            "split",
            "split, parts, split.covered, last part",
            "The split forgets the part that is not full: fewer utterances stand in the parts than were "
            "transcribed, and tasks from the end are missing.",
        ),
        replace(BASE, last_part=False, want="ending"),
    ),
    (
        fault(
            "part_prompt_10",
            "prompt model_call",
            "part prompt",
            "part prompt, prompt_id part, part:10, prompt version 10",
            "Version 10 of the part's prompt does not ask for decisions any more: minutes have none, and hosts "
            "add them.",
            regression=True,
        ),
        replace(BASE, part_prompt="10", want="decided"),
    ),
    (
        fault(
            "part_model_1_1",
            "model_call",
            "read part",
            "wren-1.1, wren-1, read part, fp_b22",
            "The next release of the model writes more and leaves lines out: more tokens a part, fewer tasks, "
            "more overrides by hosts.",
            regression=True,
        ),
        replace(BASE, part_model="wren-1.1", fingerprint="fp_b22", drops=0.35, wordy=True, want="tasks"),
    ),
    (
        fault(
            "provider_has_no_room",
            "model_call",
            "read part",
            "read part, wren-1, provider, rate limit, RateLimited",
            "The provider turns most calls away: they are tried again, and a smaller model stands in.",
        ),
        replace(BASE, refusals=0.7),
    ),
    (
        fault(
            "two_parts_merged",
            "prompt",
            "merge prompt",
            "merge prompt, prompt_id merge, merge:4, parts",
            "The template of the merge's prompt loops over two parts at most: what later parts say is in "
            "neither sections nor tasks, though each part was read well.",
        ),
        replace(BASE, merged=2, want="long"),
    ),
    (
        fault(
            "merge_cut",
            "model_call",
            "merge parts",
            "merge parts, max_tokens, output limit, length",
            "The merge's limit of output tokens is too low: its JSON ends in the middle (length), the check of "
            "sections cannot read it, and a second try is no better.",
        ),
        replace(BASE, merge_tokens=60, want="long"),
    ),
    (
        fault(
            "tasks_of_another_series",
            "retrieve",
            "open tasks",
            "open tasks, series, previous minutes",
            "Open tasks come from another series of meetings: their owners were not invited, the check turns "
            "them down, and the list is sent in part.",
        ),
        replace(BASE, series="other", want="series"),
    ),
    (
        fault(
            "check_wants_other_dates",
            "validate",
            "check tasks",
            "check tasks, tasks-3, date format, validation",
            "The check of tasks reads days as dd.mm.yyyy only: it turns down each right list, try after try.",
        ),
        replace(BASE, dates=r"\d\d\.\d\d\.\d{4}", want="tasks"),
    ),
    (
        fault(
            "reviewer_never_content",
            "agent model_call",
            "reviewer",
            "reviewer, review minutes, prompt_id review, loop",
            "The reviewing agent minds the tone of every draft: each run takes all its rounds, costs thrice as "
            "much and goes to a person.",
        ),
        replace(BASE, never=True),
    ),
)
FAULTS = tuple(each for each, _ in _SET)


def knobs_of(planted: Fault | None) -> Knobs:
    """The set-up of a run."""
    return next((knobs for each, knobs in _SET if planted is not None and each.name == planted.name), BASE)
