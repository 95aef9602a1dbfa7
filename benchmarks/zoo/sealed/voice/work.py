"""A voice at home and at the bank: what is heard becomes an intent, its slots, a tool's call and an answer."""

import json
import re
from dataclasses import dataclass, field
from random import Random

from benchmarks.zoo.sealed.book import Bad, Book
from benchmarks.zoo.sealed.model import REFUSAL, Ask, Model
from benchmarks.zoo.sealed.text import pause, rank, words
from benchmarks.zoo.sealed.troubles import Malformed, RateLimited, ToolFailed, ToolTimeout

ROOMS = ("kitchen", "bedroom", "hall", "study")
PEOPLE = ("anna", "boris", "clara", "dmitri")
NEEDS = {
    "transfer": ("amount", "payee"),
    "heating": ("room", "degrees"),
    "light": ("room", "switch"),
    "balance": (),
    "reminder": ("minute",),
}
SAMPLES = {
    "transfer": "transfer send pay euros to",
    "heating": "heating degrees set warm",
    "light": "light turn on off switch",
    "balance": "balance account money left",
    "reminder": "remind reminder minutes timer",
}
BANKING = {"transfer", "balance"}
HELP = (
    "To transfer money say the amount and the payee.",
    "Heating is set in whole degrees from 15 to 25.",
    "Lights are switched on or off by room.",
    "The balance is that of the main account.",
    "Reminders are set in minutes.",
)


@dataclass(frozen=True, slots=True)
class Turn:
    """What a person says in a session, and wants."""

    session: str
    said: str
    intent: str
    slots: dict[str, str]
    earlier: tuple[str, ...]
    """What was said before in the session."""
    balance: int


def make(random: Random, number: int, fault: str) -> Turn:
    """A turn; some lean on an earlier one for the room or the payee."""
    intent = WANTED.get(fault) or random.choice(tuple(NEEDS))
    room, payee = random.choice(ROOMS), random.choice(PEOPLE)
    amount, degrees, minute = random.randint(11, 89), random.randint(17, 23), random.randint(2, 40)
    switch = random.choice(("on", "off"))
    leaning = (
        (random.random() < 0.25 or fault in LEANING)
        and fault != "payee_masked"
        and intent in {"transfer", "heating", "light"}
    )
    here, there = ("there", "them") if leaning else (f"in the {room}", payee)
    said = {
        "transfer": f"please transfer {amount} euros to {there}",
        "heating": f"set the heating to {degrees} degrees {here}",
        "light": f"turn {switch} the light {here}",
        "balance": "what is the balance of my account",
        "reminder": f"remind me in {minute} minutes",
    }[intent]
    slots = {
        "transfer": {"amount": str(amount), "payee": payee},
        "heating": {"room": room, "degrees": str(degrees)},
        "light": {"room": room, "switch": switch},
        "balance": {},
        "reminder": {"minute": str(minute)},
    }[intent]
    earlier = (
        ((f"is the window in the {room} open",) if intent != "transfer" else (f"who is {payee}",)) if leaning else ()
    )
    return Turn(f"session-{number // 4:05d}", said, intent, slots, earlier, random.randint(200, 4000))


LEANING = {"session_lost", "session_of_other", "context_not_passed"}
WANTED = {
    "session_lost": "light",
    "session_of_other": "light",
    "context_not_passed": "heating",
    "confirmation_skipped": "transfer",
    "limit_guard_misreads": "transfer",
    "bank_times_out_swallowed": "transfer",
    "tool_schema_changed": "heating",
    "slot_written_wrong": "heating",
    "slots_not_validated": "heating",
    "digits_masked": "transfer",
    "payee_masked": "transfer",
    "stt_mishears_numbers": "reminder",
    "stt_release": "reminder",
    "slot_prompt_release": "transfer",
    "slot_model_exchanged": "heating",
    "stale_help": "heating",
    "help_not_found": "heating",
    "bank_unavailable": "transfer",
    "ranges_too_narrow": "heating",
    "agreement_lost": "transfer",
    "slot_answer_cut_short": "transfer",
    "slot_prompt_empty": "transfer",
    "slots_refused": "transfer",
    "stt_cuts_start": "light",
    "slots_rate_limited": "heating",
    "answer_cut_short": "transfer",
    "slow_tools": "light",
    "history_grows": "reminder",
}
"""What is asked where a fault touches some intents only."""


def fill(prompt: str) -> str:
    """The slots of the utterance, as JSON, with what the session said before."""
    said = re.search(r"^Said: (.*)$", prompt, re.MULTILINE)
    before = re.search(r"^Before: (.*)$", prompt, re.MULTILINE)
    wanted = re.search(r"^Slots: (.*)$", prompt, re.MULTILINE)
    text, past = said[1] if said else "", before[1] if before else ""
    found: dict[str, str | None] = {}
    for name in (wanted[1] if wanted else "").split(","):
        pattern = {
            "amount": r"(\d+) euros",
            "payee": rf"\b({'|'.join(PEOPLE)})\b",
            "room": rf"\b({'|'.join(ROOMS)})\b",
            "degrees": r"(\d+) degrees",
            "switch": r"turn (on|off)",
            "minute": r"in (\d+) minutes",
        }.get(name)
        if pattern:
            hit = re.search(pattern, text) or (re.search(pattern, past) if name in {"room", "payee"} else None)
            found[name] = hit[1] if hit else None
    return json.dumps(found)


def speak(prompt: str) -> str:
    """A sentence on what the tool said."""
    result = re.search(r"Result: (\{.*\})", prompt)
    if result is None:
        return "I am not sure that it worked."
    told = json.loads(result[1])
    return "Done: " + ", ".join(f"{key} {value}" for key, value in told.items()) + "."


@dataclass(slots=True)
class Assistant:
    """One turn's work."""

    turn: Turn
    bad: Bad
    random: Random
    book: Book = field(init=False)
    model: Model = field(init=False)
    done: dict[str, str] = field(default_factory=dict)
    """What really happened in the house or at the bank."""

    def __post_init__(self) -> None:
        bad = self.bad
        self.model = Model(
            random=self.random,
            name="swift-1",
            provider="aurora",
            price=0.5,
            window=60_000,
            fingerprint="fp_s12" if bad("slot_model_exchanged") else "fp_s11",
            slowness=9.0 if bad("slow_speech_model") else 0.15,
        )
        if bad("slots_rate_limited"):
            self.model.broken = {"slots": RateLimited()}

    def run(self, book: Book) -> None:
        """The whole of it."""
        self.book = book
        with book.step("input", "audio", input_ref=f"pcm of {self.turn.said}") as note:
            note.tell(
                {"session": self.turn.session, "device": self.random.choice(("kitchen-pod", "phone", "hall-pod"))}
            )
        said = self.mask(self.hear())
        intent = self.classify(said)
        if intent == "none":
            self.answer("Sorry, what was that?", "handed_over", fallback=True)
            return
        branch = self.branch(intent)
        slots = self.slots(said, intent, self.remember(said))
        if not self.valid(slots, intent):
            self.answer("Could you say that again with all that I need?", "handed_over", fallback=True)
            return
        if not self.allowed(intent, slots):
            self.answer("I may not do that.", "stopped")
            return
        self.act(branch, intent, slots)

    def hear(self) -> str:
        """Speech to text."""
        bad, said = self.bad, self.turn.said
        sure, release = round(self.random.uniform(0.8, 0.99), 2), "7"
        if bad("stt_mishears_numbers"):
            said, sure = re.sub(r"\d+", lambda m: str(int(m[0]) + 40), said), 0.43
        if bad("stt_release"):
            said, release = re.sub(r"\d+", lambda m: str(int(m[0]) + 40), said), "8"
        if bad("stt_cuts_start"):
            said, sure = " ".join(said.split()[-1:]), 0.55
        with self.book.step("parse", "speech", parser_version=f"stt-{release}", input_ref="pcm") as note:
            pause(0.2 * self.random.random())
            note.say(parsed_artifact_ref=said, confidence=sure)
            note.measure({"parse.quality": sure})
        return said

    def mask(self, said: str) -> str:
        """Account numbers are taken out of what is kept."""
        pattern = r"\b[A-Z]{2}\d{20}\b"
        kind = "IBAN"
        if self.bad("digits_masked"):
            pattern, kind = r"\d+", "NUMBER"
        if self.bad("payee_masked"):
            pattern, kind = rf"\b({'|'.join(PEOPLE)})\b", "PERSON"
        with self.book.step("mask", "transcript", input_ref=said) as note:
            hits = len(re.findall(pattern, said))
            masked = re.sub(pattern, f"[{kind}]", said)
            note.say(parsed_artifact_ref=masked, raw_output_ref=f"{kind} {hits}")
            note.measure({f"masked.{kind}": hits})
        return masked

    def classify(self, said: str) -> str:
        """The intent."""
        bad = self.bad
        scored = sorted(
            ((len(set(words(said)) & set(words(text))), name) for name, text in SAMPLES.items()), reverse=True
        )
        intent = scored[0][1] if scored[0][0] else "none"
        sure = round(self.random.uniform(0.72, 0.98), 2) if intent != "none" else 0.2
        release = "21"
        other = {
            "transfer": "balance",
            "balance": "reminder",
            "heating": "light",
            "light": "heating",
            "reminder": "balance",
            "none": "none",
        }
        if bad("intent_guessed"):
            intent, sure = other[intent], 0.39
        if bad("intent_release"):
            intent, release = other[intent], "22"
        with self.book.step(
            "classify",
            "intent",
            route=intent,
            route_confidence=sure,
            route_policy_version=release,
            route_reason=f"{scored[0][0]} words",
        ) as note:
            note.tell({"second": scored[1][1]})
        return intent

    def branch(self, intent: str) -> str:
        """House or bank."""
        branch = "bank" if intent in BANKING else "house"
        with self.book.step(
            "route", "domain", route=branch, route_reason=intent, route_confidence=1.0, route_policy_version="2"
        ) as note:
            taken = ("house" if branch == "bank" else "bank") if self.bad("wrong_domain") else branch
            note.measure({"route.taken": taken})
        return taken

    def remember(self, said: str) -> str:
        """What the session said before, where it matters, and the help page for the intent."""
        bad, turn = self.bad, self.turn
        earlier = "" if bad("session_lost") else " / ".join(turn.earlier)
        if bad("session_of_other"):
            earlier = "is the window in the " + next(room for room in ROOMS if room != turn.slots.get("room")) + " open"
        with self.book.step("retrieve", "session", input_ref=turn.session) as note:
            note.say(context_refs=[self.book.keep(earlier)] if earlier else [])
            note.measure({"retrieve.matches": int(bool(earlier)), "retrieve.shown": int(bool(earlier))})
        return earlier

    def slots(self, said: str, intent: str, earlier: str) -> dict[str, str | None]:
        """The model fills the slots."""
        bad, book = self.bad, self.book
        if not NEEDS[intent]:
            return {}
        release = "15" if bad("slot_prompt_release") else "14"
        lines = [f"Slots: {','.join(NEEDS[intent])}", f"Said: {'' if bad('slot_prompt_empty') else said}"]
        if earlier and not bad("context_not_passed"):
            lines.append(f"Before: {earlier}")
        if release == "15":
            lines[0] = f"Slots: {NEEDS[intent][0]}"
        if bad("history_grows"):
            lines.append("History: " + f"{said}; " * 250)
        refs = (book.keep(earlier),) if earlier and not bad("context_not_passed") else ()
        text = "\n".join(lines)
        with book.step(
            "prompt", "slot prompt", prompt_id="voice-slots", prompt_version=release, context_refs=list(refs)
        ) as note:
            note.say(raw_output_ref=text)
            note.measure({"prompt.asks": ",".join(f"$.{name}" for name in lines[0][7:].split(","))})
        slip = self.random.random() < 0.1

        def skill(prompt: str) -> str:
            return self.filled(prompt)

        for attempt in range(2):
            ask = Ask(
                step="slots",
                prompt_id="voice-slots",
                prompt_version=release,
                user=text,
                context=refs,
                max_tokens=3 if bad("slot_answer_cut_short") else 200,
            )
            said_ = book.ask(self.model, ask, (lambda prompt: "{ slots:") if slip and attempt == 0 else skill)
            try:
                return dict(json.loads(said_.text))
            except ValueError:
                book.fallback("retry", "slots are not JSON")
        raise Malformed

    def filled(self, prompt: str) -> str:
        """What the model makes of the prompt."""
        bad = self.bad
        if bad("slots_refused"):
            return REFUSAL
        said = fill(prompt)
        if bad("slot_written_wrong", "slots_not_validated"):
            said = re.sub(
                r'("degrees": ")(\d+)',
                lambda m: m[1] + (str(int(m[2]) * 9 // 5 + 32) if bad("slots_not_validated") else str(int(m[2]) - 2)),
                said,
            )
        if bad("slot_model_exchanged"):
            said = re.sub(r'("degrees": ")(\d+)', lambda m: f"{m[1]}{min(25, int(m[2]) + 2)}", said)
        return said

    def valid(self, slots: dict[str, str | None], intent: str) -> bool:
        """All slots, within their ranges."""
        bad = self.bad
        high = 16 if bad("ranges_too_narrow") else 25
        with self.book.step("validate", "slots", schema_version="slots-4", input_ref=json.dumps(slots)) as note:
            needed = () if bad("slots_not_validated") else NEEDS[intent]
            errors = [f"missing:$.{name}" for name in needed if not slots.get(name)]
            if "degrees" in needed and not errors and not 15 <= int(slots["degrees"] or 0) <= high:
                errors.append("out_of_range:$.degrees")
            note.say(validation_errors=errors)
            note.measure({"validate.checked": ",".join(f"$.{name}" for name in needed)})
        for name in NEEDS[intent]:
            value = slots.get(name)
            stood = bool(value) and str(value) in (self.turn.said + " ".join(self.turn.earlier))
            self.book.evidence(
                f"$.{name}", refs=[self.book.keep(self.turn.said)] if stood else [], score=0.9 if stood else None
            )
        return not errors

    def allowed(self, intent: str, slots: dict[str, str | None]) -> bool:
        """The bank's guardrail, and the person's yes."""
        if intent != "transfer":
            return True
        with self.book.step("guardrail", "limit", input_ref=json.dumps(slots)) as note:
            limit = 9 if self.bad("limit_guard_misreads") else 900
            blocked = int(slots["amount"] or 0) > limit
            note.tell({"decision": "block" if blocked else "allow"})
        if blocked:
            return False
        if self.bad("confirmation_skipped"):
            return True
        with self.book.step("custom", "confirm") as note:
            heard = not self.bad("agreement_lost")
            note.tell({"confirmed": heard})
        if heard:
            self.book.review("approved", field="$.amount", reviewer="reviewer:customer")
        return heard

    def act(self, branch: str, intent: str, slots: dict[str, str | None]) -> None:
        """Call the tool, and say what came of it."""
        bad, book = self.bad, self.book
        tool = f"{branch}.{intent}"
        result: dict[str, str] | None = None
        try:
            result = self.call(tool, intent, slots)
        except ToolTimeout:
            result = {} if bad("bank_times_out_swallowed") else None
        except ToolFailed:
            book.fallback("safe_message", "tool failed")
            self.answer("That did not work, sorry.", "failed", error="ToolFailed")
            return
        if self.random.random() < 0.15 or bad("help_not_found", "stale_help"):
            self.help(intent)
        told = None if bad("result_not_passed_on") else result
        text = f"Intent: {intent}\n" + (f"Result: {json.dumps(told)}" if told is not None else "")
        release = "10" if bad("answer_prompt_release") else "9"
        with book.step("prompt", "answer prompt", prompt_id="voice-answer", prompt_version=release) as note:
            note.say(raw_output_ref=text, context_refs=[book.keep(json.dumps(told))] if told is not None else [])
        said = book.ask(
            self.model,
            Ask(
                step="answer",
                prompt_id="voice-answer",
                prompt_version=release,
                user=text,
                context=(book.keep(json.dumps(told)),) if told is not None else (),
                max_tokens=3 if bad("answer_cut_short") else 120,
            ),
            (lambda _: "Your wish has been noted.") if release == "10" else speak,
        )
        self.answer(said.text, "answered")

    def call(self, tool: str, intent: str, slots: dict[str, str | None]) -> dict[str, str]:
        """The tool's work in the house or at the bank."""
        bad = self.bad
        with self.book.step("tool", tool, input_ref=json.dumps(slots)) as note:
            pause(8.0 if bad("slow_tools") else 0.2 * self.random.random())
            if bad("bank_unavailable", "wrong_domain"):
                raise ToolFailed
            if bad("bank_times_out_swallowed"):
                raise ToolTimeout
            sent = {key: str(value) for key, value in slots.items()}
            if bad("tool_schema_changed"):
                sent = {("zone" if key == "room" else key): value for key, value in sent.items() if key != "degrees"}
            self.done = sent
            result = dict(sent) if sent else {"balance": str(self.turn.balance - (70 if bad("balance_cached") else 0))}
            note.say(raw_output_ref=json.dumps(result))
            self.done = result
        return result

    def help(self, intent: str) -> None:
        """A help page, which some like to hear of."""
        with self.book.step("retrieve", "help", input_ref=intent) as note:
            hits = [hit for hit in rank(SAMPLES[intent], HELP) if hit[0] > 0.1]
            note.say(context_refs=[self.book.keep(HELP[at]) for _, at in hits[:1]])
            note.measure(
                {
                    "retrieve.matches": len(hits),
                    "retrieve.shown": min(1, len(hits)),
                    "retrieve.top_score": hits[0][0] if hits else 0.0,
                }
            )

    def answer(self, text: str, state: str, *, fallback: bool = False, error: str | None = None) -> None:
        """Say it aloud; the person knows whether it was done."""
        book, turn = self.book, self.turn
        if fallback:
            book.fallback("safe_message", "asked again")
        try:
            with book.step("tool", "speak", input_ref=text) as note:
                if self.bad("voice_service_fails"):
                    raise ToolFailed  # noqa: TRY301 - the service
                note.say(raw_output_ref=f"pcm of {text}")
        except ToolFailed:
            state, error = "failed", "ToolFailed"
        wanted = turn.slots or {"balance": str(turn.balance)}
        fine = state == "answered" and self.done == wanted and all(value in text for value in wanted.values())
        with book.step("output", "turn", raw_output_ref=text, schema_version="turn-2"):
            pass
        told: dict[str, object] = {"session": turn.session, "said_again": not fine}
        if not fine:
            told["complaint"] = "not what I wanted"
        elif self.bad("confirmation_skipped"):
            told["complaint"] = "I was not asked"
        book.finish(state, answer=text, error=error, words=told)
