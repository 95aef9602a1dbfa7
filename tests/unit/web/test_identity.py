"""Who asks, and what that person may do."""

import pytest
from pydantic import SecretStr

from causeline.web.identity import KEY_S, NOBODY, SESSION_S, Identities, Role, is_link_key, link_key
from causeline.web.settings import ServeSettings

NOW = 1_800_000_000.0
EVERY = frozenset(Role)


def identities(**chosen: object) -> Identities:
    return Identities(ServeSettings(**chosen))  # type: ignore[arg-type]


def asks(
    who: Identities, *, cookie: str = "", peer: str = "127.0.0.1", now: float = NOW, **headers: str
) -> frozenset[Role]:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return who.person(named, cookie, peer, now).roles


def test_on_loopback_without_a_token_anybody_may_read_and_nobody_acts() -> None:
    assert asks(identities()) == {Role.VIEWER}


def test_with_a_token_nobody_reads_without_it() -> None:
    who = identities(token=SecretStr("t"))

    assert asks(who) == frozenset()
    assert asks(who, authorization="Bearer wrong") == frozenset()
    assert asks(who, authorization="Bearer t") == EVERY


def test_free_reading_lets_this_machine_read_beside_a_token_and_no_other() -> None:
    here = identities(token=SecretStr("t"), free_reading=True)
    there = identities(token=SecretStr("t"), free_reading=True, host="0.0.0.0")  # noqa: S104 - that is the point

    assert asks(here) == {Role.VIEWER}
    assert asks(there) == frozenset()


def test_a_session_is_good_until_it_ends() -> None:
    who = identities(token=SecretStr("t"))
    cookie = who.sign_in("t", "Anna", NOW)
    assert cookie is not None

    assert who.person({}, cookie, "", NOW + SESSION_S - 1).name == "Anna"
    assert asks(who, cookie=cookie, now=NOW + SESSION_S) == frozenset()


@pytest.mark.parametrize(
    "spoil", [lambda text: text[:-1], lambda text: "x" + text, lambda text: text.split(".")[0], lambda _: "."]
)
def test_a_session_that_somebody_touched_is_none(spoil: object) -> None:
    who = identities(token=SecretStr("t"))
    cookie = who.sign_in("t", "Anna", NOW)

    assert who.person({}, spoil(cookie), "", NOW) == NOBODY  # type: ignore[operator]


def test_the_session_of_another_token_is_none() -> None:
    cookie = identities(token=SecretStr("other")).sign_in("other", "Anna", NOW) or ""

    assert asks(identities(token=SecretStr("t")), cookie=cookie) == frozenset()


def test_the_token_gives_the_roles_that_were_chosen_for_it() -> None:
    who = identities(token=SecretStr("t"), token_roles=("viewer", "reviewer"))

    assert asks(who, authorization="Bearer t") == {Role.VIEWER, Role.REVIEWER}


def proxied() -> Identities:
    return identities(
        token=SecretStr("t"),
        user_header="X-Forwarded-User",
        groups_header="X-Forwarded-Groups",
        trusted_proxies=("10.0.0.0/8",),
        reviewer_groups=("claims",),
        content_groups=("claims", "legal"),
    )


def test_a_trusted_proxy_says_who_asks_and_its_groups_say_what_for() -> None:
    roles = asks(proxied(), peer="10.1.2.3", x_forwarded_user="anna", x_forwarded_groups="claims, other")

    assert roles == {Role.VIEWER, Role.REVIEWER, Role.CONTENT}


@pytest.mark.parametrize("peer", ["192.0.2.1", "", "not an address", "::1"])
def test_the_same_headers_from_anybody_else_count_for_nothing(peer: str) -> None:
    assert asks(proxied(), peer=peer, x_forwarded_user="anna", x_forwarded_groups="claims") == frozenset()


def test_a_reviewer_is_an_id_that_names_nobody_and_stays_the_same() -> None:
    one, again = identities(identity_key=SecretStr("k")), identities(identity_key=SecretStr("k"), token=SecretStr("t"))
    anna = one.person({}, "", "", NOW).__class__("Anna", frozenset())

    ref = one.reviewer_ref(anna)
    assert ref.startswith("reviewer:")
    assert "anna" not in ref.lower()
    assert again.reviewer_ref(anna) == ref
    assert identities(identity_key=SecretStr("another")).reviewer_ref(anna) != ref


def test_the_link_that_opens_the_door_ends_soon_and_is_made_by_the_token_alone() -> None:
    key = link_key("t", NOW)

    assert is_link_key("t", key, NOW + KEY_S - 1)
    assert not is_link_key("t", key, NOW + KEY_S)
    assert not is_link_key("other", key, NOW)
    later = f"{int(NOW) + 10_000}.{key.partition('.')[2]}"
    assert not is_link_key("t", later, NOW)
    for hostile in ("", ".", "..", "x.y", "9" * 400, "é.é"):
        assert not is_link_key("t", hostile, NOW)
