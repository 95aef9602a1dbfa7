"""A run with what the page says of it: its live gaps, and its diagnosis by the policy that judged it.

What is worked out is remembered as long as nothing that it was worked out from changes.
"""

import json
from collections import OrderedDict
from collections.abc import Callable
from concurrent.futures import Executor, ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property
from threading import Lock

from causeline.console import lookups
from causeline.console.answers import LiveGap
from causeline.console.neighbours import cohort_of
from causeline.console.run_cache import RunCache
from causeline.console.store import Store
from causeline.console.views.run_page import RunPage, StepDetails, StepPanel, run_page, step_columns
from causeline.diagnosis import Cohort, Diagnosis, DriftAlert, diagnose
from causeline.drift.alerts import alerts_for_diagnosis
from causeline.schemas.policy import DEFAULT_POLICY, Policy
from causeline.schemas.run import Run
from causeline.web.remembered import Remembered
from causeline.web.run_context import RunContext, context_of

_DIAGNOSES = 64
_POLICIES = 256
_COHORTS = 32
_COHORT_S = 60.0
"""So old the neighbours of a workflow's runs are looked for again, beside the page that they are given to."""
_ALERTED = 256
_ALERTS_S = 5.0
"""So old what drift says of a workflow is asked again, in the same way: its windows are minutes long."""

BESIDE = "beside-pages"
"""How the thread is called that asks for what no page waits for."""

Alerts = tuple[DriftAlert, ...] | None


@dataclass(frozen=True)
class Read:
    """A run, its live gaps and what is diagnosed of it; what pages show of that is made once."""

    run: Run
    live: tuple[LiveGap, ...]
    diagnosis: Diagnosis

    @cached_property
    def page(self) -> RunPage:
        """The page, bounded to the rows that matter."""
        return run_page(self.run, self.live, self.diagnosis)

    @cached_property
    def columns(self) -> bytes:
        """Every step as columns, as JSON."""
        return json.dumps(step_columns(self.run, self.diagnosis), separators=(",", ":")).encode()

    @cached_property
    def panel(self) -> StepPanel:
        """What gives the details of steps."""
        return StepPanel(self.run, self.live, self.diagnosis)

    def details(self, step_id: str) -> StepDetails | None:
        """What is said of a step; None where the run has no such step."""
        return self.panel.details(step_id)


class Reading:
    """Reads runs for the pages, for any number of threads; `now_s` is a clock that does not go back."""

    def __init__(self, now_s: Callable[[], float], beside: Executor | None = None) -> None:
        beside = beside or ThreadPoolExecutor(1, BESIDE)
        self._runs = RunCache()
        self._lock = Lock()
        self._read: OrderedDict[str, tuple[tuple[object, ...], Read]] = OrderedDict()
        self._policies: OrderedDict[str, Policy] = OrderedDict()
        self._cohorts: Remembered[tuple[object, ...], Cohort] = Remembered(
            now_s, beside, young_s=_COHORT_S, most=_COHORTS
        )
        self._alerts: Remembered[str, Alerts] = Remembered(now_s, beside, young_s=_ALERTS_S, most=_ALERTED)

    def read(self, store: Store, text: str) -> Read:
        """The run whose id is, or ends or begins with, `text`; raises NotFound or MalformedId."""
        run = lookups.run_by_id(store, text, self._runs)
        live, policy, alerts = self._beside(store, run)
        with self._lock:
            found = self._read.get(run.run_id)
            if found is not None and found[0][0] is run and found[0][1:] == (live, policy, alerts):
                self._read.move_to_end(run.run_id)
                return found[1]
        judging = policy or DEFAULT_POLICY
        made = Read(run, live, diagnose(run, judging, alerts, self._cohort(store, run, judging)))
        with self._lock:
            self._read[run.run_id] = ((run, live, policy, alerts), made)
            self._read.move_to_end(run.run_id)
            while len(self._read) > _DIAGNOSES:
                self._read.popitem(last=False)
        return made

    def _beside(self, store: Store, run: Run) -> tuple[tuple[LiveGap, ...], Policy | None, Alerts]:
        """Live gaps, the policy (a hash names one text for ever) and the alerts of the workflow, in one question."""
        policy = self._policies.get(run.policy_hash or "")
        known = self._alerts.get(run.workflow, lambda: alerts_for_diagnosis(store, run.workflow))
        told = context_of(store, run, policy=policy is None, drift=known is None)
        alerts = known.value if known else self._alerts.put(run.workflow, self._alerts_of(store, run.workflow, told))
        if policy is None and told.policy is not None and run.policy_hash is not None:
            with self._lock:
                policy = self._policies[run.policy_hash] = told.policy
                while len(self._policies) > _POLICIES:
                    self._policies.popitem(last=False)
        return told.live, policy, alerts

    @staticmethod
    def _alerts_of(store: Store, workflow: str, told: RunContext) -> Alerts:
        if not told.is_watched:
            return None
        return alerts_for_diagnosis(store, workflow) if told.has_alerts else ()

    def _cohort(self, store: Store, run: Run, policy: Policy) -> Cohort:
        """The neighbours of a run, shared by those of its workflow that started in the same hour."""
        hour = run.started_at.replace(minute=0, second=0, microsecond=0) if run.started_at else None
        key = (run.workflow, run.policy_hash, hour)
        known = self._cohorts.get(key, lambda: cohort_of(store, run, policy))
        return known.value if known else self._cohorts.put(key, cohort_of(store, run, policy))
