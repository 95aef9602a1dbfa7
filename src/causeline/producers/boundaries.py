"""How a run makes its steps: one method for each boundary of the trace map, with the fields that are natural there."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Unpack

from causeline.producers import fields as f
from causeline.producers.steps import Step
from causeline.schemas.vocabulary import StepKind

if TYPE_CHECKING:
    from causeline.producers.runs import Run


class Boundaries(ABC):
    """The step-making half of `Run`."""

    @abstractmethod
    def _run(self) -> Run:
        """The run that the steps are of."""

    def step(self, kind: StepKind | str, name: str, *, announce: bool = False, **fields: Unpack[f.StepFields]) -> Step:
        """A step of any kind. `announce` tells its start at once, for steps that are long enough to watch."""
        return Step(self._run(), kind, name, fields, announce=announce)

    def parse(self, name: str, **fields: Unpack[f.ParseFields]) -> Step:
        """A step that parses an input."""
        return Step(self._run(), StepKind.PARSE, name, fields)

    def mask(self, name: str, **fields: Unpack[f.MaskFields]) -> Step:
        """A step that masks; what it masked where is an artifact like any other."""
        return Step(self._run(), StepKind.MASK, name, fields)

    def classify(self, name: str, **fields: Unpack[f.RouteFields]) -> Step:
        """A step that classifies."""
        return Step(self._run(), StepKind.CLASSIFY, name, fields)

    def route(self, name: str, **fields: Unpack[f.RouteFields]) -> Step:
        """A step that decides for a branch."""
        return Step(self._run(), StepKind.ROUTE, name, fields)

    def retrieve(self, name: str, **fields: Unpack[f.RetrieveFields]) -> Step:
        """A step that finds context."""
        return Step(self._run(), StepKind.RETRIEVE, name, fields)

    def prompt(self, name: str, **fields: Unpack[f.PromptFields]) -> Step:
        """A step that renders a prompt."""
        return Step(self._run(), StepKind.PROMPT, name, fields)

    def model_call(self, name: str, **fields: Unpack[f.ModelFields]) -> Step:
        """A step that asks a model."""
        return Step(self._run(), StepKind.MODEL_CALL, name, fields)

    def tool(self, name: str, **fields: Unpack[f.ToolFields]) -> Step:
        """A step that calls a tool."""
        return Step(self._run(), StepKind.TOOL, name, fields)

    def validate(self, name: str, **fields: Unpack[f.ValidateFields]) -> Step:
        """A step that validates an output."""
        return Step(self._run(), StepKind.VALIDATE, name, fields)

    def output(self, name: str, **fields: Unpack[f.OutputFields]) -> Step:
        """A step that gives the answer away."""
        return Step(self._run(), StepKind.OUTPUT, name, fields)
