"""Meetings of a company: who speaks, what is said, what is agreed, and how a recording of it sounds."""

from dataclasses import dataclass
from random import Random

PEOPLE = ("Amara", "Bruno", "Chen", "Dilek", "Emil", "Farah", "Goran", "Hanna", "Imre", "Jasmin")
TERMS = {
    "Orbital": "or bit all",
    "Ledgerly": "ledger lee",
    "Quokka": "quaker",
    "Fernpost": "fern post",
    "Tillgate": "till gate",
    "Maxwire": "max wire",
}
HEARD = {heard: term for term, heard in TERMS.items()}
OTHER_TERMS = {"bone graph": "Bonegraft", "sten tor": "Stentor"}
KINDS = {
    "sales": ("pricing of {t}", "the renewal with the customer", "the demo of {t}", "the competitor's offer"),
    "steering": ("the budget of {t}", "the roadmap of {t}", "hiring for {t}", "risks of the milestone"),
    "incident": ("the outage of {t}", "the timeline of the alarm", "the root cause in {t}", "the rollback"),
}
MARKS = {
    "sales": ("customer", "pricing", "renewal", "demo", "offer"),
    "steering": ("budget", "roadmap", "hiring", "milestone", "risk"),
    "incident": ("outage", "alarm", "root cause", "rollback", "timeline"),
}
SECTIONS = {
    "sales": ("Needs", "Offer", "Next steps"),
    "steering": ("Status", "Decisions", "Next steps"),
    "incident": ("What happened", "Causes", "Next steps"),
}
DO = (
    "send the figures",
    "draft the contract",
    "book the room",
    "update the plan",
    "call the vendor",
    "test the backup",
)
AGREE = ("move the date by a week", "keep the scope", "pay the invoice", "drop the second phase", "ask legal first")
FILL = (
    "I think {topic} is going well",
    "can we look at {topic} again",
    "there were questions about {topic} last week",
    "on {topic} we have new numbers",
    "to be honest {topic} took longer than we thought",
    "let me share my screen for {topic}",
)
SMALL = ("can everybody hear me", "sorry I was muted", "good morning all", "let us go on", "one second please")


@dataclass(frozen=True, slots=True)
class Action:
    """Who does what until when."""

    owner: str
    what: str
    due: str


@dataclass(frozen=True, slots=True)
class Said:
    """An utterance as it was really said."""

    voice: int
    second: int
    text: str


@dataclass(frozen=True, slots=True)
class Meeting:
    """What took place."""

    kind: str
    people: tuple[str, ...]
    said: tuple[Said, ...]
    actions: tuple[Action, ...]
    decisions: tuple[str, ...]
    private: dict[str, int]
    """How many addresses and numbers of persons were said, by type."""
    noisy: bool


def meet(random: Random) -> Meeting:
    """A meeting of twenty to sixty utterances; a few have nothing to do afterwards, and that is fine."""
    kind = random.choice(tuple(KINDS))
    people = tuple(random.sample(PEOPLE, random.randint(2, 5)))
    terms = random.sample(tuple(TERMS), 2)
    said: list[Said] = []
    actions: list[Action] = []
    decisions: list[str] = []
    private = {"EMAIL": 0, "PHONE": 0}
    quiet = random.random() < 0.06

    def say(text: str, voice: int | None = None) -> None:
        said.append(Said(random.randrange(len(people)) if voice is None else voice, len(said) * 9, text))

    say(SMALL[2])
    for topic in random.sample(KINDS[kind], random.randint(2, 4)):
        about = topic.format(t=random.choice(terms))
        for _ in range(random.randint(3, 8)):
            say(random.choice(FILL).format(topic=about) if random.random() < 0.8 else random.choice(SMALL))
        if random.random() < 0.6:
            decisions.append(f"{random.choice(AGREE)} on {about}")
            say(f"so we agree to {decisions[-1]}")
        if not quiet and random.random() < 0.75:
            who = random.randrange(len(people))
            made = Action(
                people[who], f"{random.choice(DO)} for {about}", f"2026-0{random.randint(2, 5)}-1{random.randint(0, 9)}"
            )
            actions.append(made)
            say(f"I will {made.what} by {made.due}", who)
        if random.random() < 0.4:
            private["EMAIL"] += 1
            say(f"write to {random.choice(people).lower()}@corp.example about {about}")
        if random.random() < 0.3:
            private["PHONE"] += 1
            say(f"my number is +49 30 {random.randint(100000, 999999)} for {about}")
    return Meeting(kind, people, tuple(said), tuple(actions), tuple(decisions), private, random.random() < 0.08)


def transcribe(meeting: Meeting, random: Random, *, blocks: int, foreign: bool) -> tuple[list[Said], int, float]:
    """What the recogniser hears: utterances, blocks of two minutes that it read, and how sure it is of its words.

    It does not know the company's own words; with the model of another language it knows few words at all.
    """
    heard: list[Said] = []
    sure: list[float] = []
    last = meeting.said[-1].second // 120
    for each in meeting.said:
        if each.second // 120 > last - blocks and last >= blocks:
            continue
        text = each.text
        for term, as_heard in TERMS.items():
            text = text.replace(term, as_heard)
        words = text.split(" ")
        for n, word in enumerate(words):
            certain = random.uniform(0.72 if meeting.noisy else 0.86, 0.99)
            if foreign and random.random() < 0.45:
                words[n], certain = word[::-1], random.uniform(0.2, 0.6)
            elif certain < 0.74:
                words[n] = word + "s"
            sure.append(certain)
        heard.append(Said(each.voice, each.second, " ".join(words)))
    read = len({h.second // 120 for h in heard})
    return heard, read, round(sum(sure) / max(1, len(sure)), 3)
