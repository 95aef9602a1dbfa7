"""How a run makes its steps: one method for each boundary of the trace map, with the fields that are natural there."""

from typing import Unpack

from causeline.producers import fields as f
from causeline.producers.recording import Recording
from causeline.producers.steps import Step
from causeline.schemas.vocabulary import StepKind

# Looked up once: a member of an enumeration is a slow look-up to make at every step.
_CLASSIFY = StepKind.CLASSIFY
_MASK = StepKind.MASK
_MODEL_CALL = StepKind.MODEL_CALL
_OUTPUT = StepKind.OUTPUT
_PARSE = StepKind.PARSE
_PROMPT = StepKind.PROMPT
_RETRIEVE = StepKind.RETRIEVE
_ROUTE = StepKind.ROUTE
_TOOL = StepKind.TOOL
_VALIDATE = StepKind.VALIDATE


class Boundaries(Recording):
    """The step-making part of `Run`."""

    def step(self, kind: StepKind | str, name: str, *, announce: bool = False, **fields: Unpack[f.StepFields]) -> Step:
        """A step of any kind. `announce` tells its start at once, for steps that are long enough to watch."""
        return Step(self, kind, name, fields, announce=announce)

    def parse(self, name: str, **fields: Unpack[f.ParseFields]) -> Step:
        """A step that parses an input."""
        return Step(self, _PARSE, name, fields)

    def mask(self, name: str, **fields: Unpack[f.MaskFields]) -> Step:
        """A step that masks; what it masked where is an artifact like any other."""
        return Step(self, _MASK, name, fields)

    def classify(self, name: str, **fields: Unpack[f.RouteFields]) -> Step:
        """A step that classifies."""
        return Step(self, _CLASSIFY, name, fields)

    def route(self, name: str, **fields: Unpack[f.RouteFields]) -> Step:
        """A step that decides for a branch."""
        return Step(self, _ROUTE, name, fields)

    def retrieve(self, name: str, **fields: Unpack[f.RetrieveFields]) -> Step:
        """A step that finds context."""
        return Step(self, _RETRIEVE, name, fields)

    def prompt(self, name: str, **fields: Unpack[f.PromptFields]) -> Step:
        """A step that renders a prompt."""
        return Step(self, _PROMPT, name, fields)

    def model_call(self, name: str, **fields: Unpack[f.ModelFields]) -> Step:
        """A step that asks a model."""
        return Step(self, _MODEL_CALL, name, fields)

    def tool(self, name: str, **fields: Unpack[f.ToolFields]) -> Step:
        """A step that calls a tool."""
        return Step(self, _TOOL, name, fields)

    def validate(self, name: str, **fields: Unpack[f.ValidateFields]) -> Step:
        """A step that validates an output."""
        return Step(self, _VALIDATE, name, fields)

    def output(self, name: str, **fields: Unpack[f.OutputFields]) -> Step:
        """A step that gives the answer away."""
        return Step(self, _OUTPUT, name, fields)
