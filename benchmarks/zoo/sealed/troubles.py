"""How the services that a workflow calls go wrong."""


class Trouble(Exception):
    """A service did not do what it was asked."""

    status = 500


class RateLimited(Trouble):
    """Too many requests."""

    status = 429


class Overloaded(Trouble):
    """The provider has no capacity."""

    status = 503


class ContextTooLong(Trouble):
    """The request is longer than the model's window."""

    status = 400


class ModelTimeout(Trouble):
    """The provider did not answer in time."""

    status = 504


class ToolTimeout(Trouble):
    """A tool did not answer in time."""


class ToolFailed(Trouble):
    """A tool refused its arguments or broke."""


class Malformed(Trouble):
    """An answer is not of the shape that was asked for."""


class Blocked(Trouble):
    """A guardrail let nothing through."""


class BudgetSpent(Trouble):
    """The run may do no more calls."""
