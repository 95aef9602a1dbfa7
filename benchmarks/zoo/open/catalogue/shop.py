"""What is around the enrichment: deliveries that come in, and the shop with the articles that it has."""

from collections.abc import Callable
from functools import cache
from random import Random

from benchmarks.zoo.open.catalogue import models
from benchmarks.zoo.open.catalogue.goods import Feed, article, delivery
from benchmarks.zoo.open.catalogue.knobs import Knobs


class ShopTimeout(Exception):
    """The shop did not answer in time."""


class ShopConflict(Exception):
    """The shop has an article of that number."""


class FeedUnreadable(Exception):
    """Nothing could be read of a file."""


@cache
def shop_titles() -> tuple[str, ...]:
    draw = Random(77)
    return tuple(article(draw, known=True, comma=False, odd=False).title for _ in range(40))


@cache
def vectors_of(titles: tuple[str, ...]) -> tuple[tuple[str, list[float]], ...]:
    return tuple((title, models.embed(title, "finch-embed-3")) for title in titles)


def wanted(random: Random, knobs: Knobs) -> Feed:
    """The next delivery, of those that come in."""
    fits: dict[str, Callable[[Feed], object]] = {
        "gap": lambda f: b"\n\n" in f.raw,
        "accents": lambda f: any(not a.title.isascii() for a in f.articles),
        "known": lambda f: any(a.known for a in f.articles),
        "odd": lambda f: any(a.odd for a in f.articles),
    }
    feed = delivery(random, knobs.want)
    while knobs.want in fits and not fits[knobs.want](feed):
        feed = delivery(random, knobs.want)
    return feed
