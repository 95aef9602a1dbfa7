"""Reviews and evals that came by the events topic: claims, which decide nothing, and which the run counts and says."""

import polars as pl

from causeline.schemas.decisions import CLAIMS, DECISIONS
from causeline.schemas.vocabulary import CLAIMS_LABEL
from causeline.streams.runs.distinct import RUN
from causeline.streams.runs.labels import with_label

_CLAIMED = list(CLAIMS.values())


def as_claims(events: pl.DataFrame) -> pl.DataFrame:
    """Events of the events topic, in which a decision is what it is there: a claim."""
    kind = events["event_type"]
    if not kind.is_in(list(DECISIONS)).any():  # as nearly always
        return events
    return events.with_columns(kind.replace(dict(CLAIMS)))


def tell_claims(runs: pl.DataFrame, events: pl.DataFrame) -> pl.DataFrame:
    """The runs with the label `foreign.decisions` where there are claims; one from outside does not stand there."""
    claims = events.select(RUN, pl.col("event_type").is_in(_CLAIMED).alias("is_claim")).filter("is_claim")
    if claims.is_empty():
        return runs
    counted = claims.group_by(RUN).agg(pl.len().cast(pl.String).alias("value"))
    told = runs.select(RUN).join(counted, on=RUN, how="left", maintain_order="left")["value"]
    return with_label(runs, CLAIMS_LABEL, told)
