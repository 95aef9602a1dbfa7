"""One run of a demo workflow: every step does its work on the documents, stores what it made, and says so.

What a policy decides about evidence is done: search again, retry narrower, take the authority's word, answer in part,
ask a person, stop.
"""

from causeline.demo import asking, ending, finding, proving, reading
from causeline.demo.desk import Desk, Turns


def turns(desk: Desk) -> Turns:
    """Do the run, step by step; ends it in whatever state it came to."""
    yield from reading.read(desk)
    reading.decide_route(desk)
    yield
    if desk.case.workflow == "invoice":
        yield from finding.use_tools(desk)
    if not desk.over:
        yield from finding.find_context(desk)
        yield from asking.extract(desk)
    if not desk.over:
        for path in desk.labels:
            yield from proving.prove(desk, path)
    ending.review(desk)
    yield
    ending.deliver(desk)
