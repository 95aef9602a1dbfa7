"""Demo runs that the tests of the diagnosis share: made once, most of them with a planted fault."""

from benchmarks.joined import joined
from benchmarks.why import published_events
from causeline.demo.publish import demo_policy

POLICY = demo_policy()
EVENTS, TRUTH = published_events(61, 150, faulty_share=0.7, pairs=False)
RUNS = tuple(joined(EVENTS, POLICY))
