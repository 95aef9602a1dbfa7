"""Three workflows that do real work on generated documents, with faults planted in what their steps do.

publish(tracer=…, artifacts=…, seed=7, runs=3000, truth_file=…, session_label="…")
"""

from causeline.demo.plan import PlannedRun, plan
from causeline.demo.publish import Published, demo_policy, publish

__all__ = ["PlannedRun", "Published", "demo_policy", "plan", "publish"]
