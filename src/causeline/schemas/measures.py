"""Measures: labels with a meaning that every workflow may record at a boundary, and that the diagnosis reads.

They are plain labels of a step, so any producer can set them; docs/trace-contract.md says what each is good for.
Counts are whole numbers, scores 0 to 1, lists are joined by commas.
"""

from typing import Final

PARSE_QUALITY: Final = "parse.quality"
"""How well the parser believes it read the input: a score measured on what it read."""
PARSE_PAGES: Final = "parse.pages"
"""Pages that the input has."""
PARSE_PAGES_READ: Final = "parse.pages_read"
"""Pages that came out of the parser; fewer than the input has means that some were lost."""
MASKED: Final = "masked."
"""Prefix; `masked.MONEY=4` says that a mask step replaced four entities of that type."""
BRANCH_TAKEN: Final = "route.taken"
"""The branch that was really entered, where the workflow can tell it from the decision."""
RETRIEVE_FIELD: Final = "retrieve.field"
"""Field path that a retrieval was made for."""
RETRIEVE_MATCHES: Final = "retrieve.matches"
"""Chunks that matched at all."""
RETRIEVE_SHOWN: Final = "retrieve.shown"
"""Chunks that went into the context; fewer than the matches means that some were cut."""
RETRIEVE_TOP_SCORE: Final = "retrieve.top_score"
"""Score of the best chunk."""
PROMPT_ASKS: Final = "prompt.asks"
"""Field paths that the rendered prompt asks for."""
FINISH_REASON: Final = "model.finish_reason"
"""Why the model stopped: stop, length, content_filter, tool_calls, error."""
OUTPUT_FORM: Final = "output.form"
"""What a step gave, as the receiver of spans sees it: text, json, broken_json (begins so, cannot be parsed), empty."""
VALIDATED: Final = "validate.checked"
"""Field paths that the validation looked at."""
