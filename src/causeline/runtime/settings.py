"""The base of every part's settings: variables in, one checked and frozen model out, the same rules for all.

1. A field is the variable of the class's prefix and its name in capitals, unless its `validation_alias` names another.
2. An empty variable counts as unset.
3. A secret may come from a file that `…_FILE` names.
4. A variable under the prefix that nothing reads is refused, with the nearest name there is.
5. A setting that is itself a class of settings reads its own variables.
6. What is wrong is a UsageError that names the variable; nothing has been connected by then.

Decided in ADR 28.
"""

import ipaddress
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar, Self, get_args, get_origin

from pydantic import AliasChoices, BaseModel, ConfigDict, SecretStr, ValidationError
from pydantic.fields import FieldInfo

from causeline.schemas.errors import UsageError

_LIST = "docs/operations.md lists every setting."


class Settings(BaseModel):
    """A part's settings. `from_environment` reads and checks them; the constructor takes what it is given."""

    model_config = ConfigDict(extra="forbid", frozen=True, populate_by_name=True)

    prefix: ClassVar[str]
    """What the part's variables begin with, e.g. `CAUSELINE_WORKER_`."""
    beside: ClassVar[frozenset[str]] = frozenset()
    """Variables under the same prefix that others read; one that ends in `_` stands for all that begin so."""

    @classmethod
    def from_environment(cls, environment: Mapping[str, str] | None = None, /, **chosen: object) -> Self:
        """From the variables of `environment` (the process's own by default); what is `chosen` and not None wins.

        Raises UsageError naming the variable that is wrong, or that nothing reads.
        """
        given = os.environ if environment is None else environment
        cls._refuse_unknown(given)
        values = {name: value for name, value in chosen.items() if value is not None}
        for name, field in cls.model_fields.items():
            if name in values:
                continue
            if isinstance(field.annotation, type) and issubclass(field.annotation, Settings):
                values[name] = field.annotation.from_environment(given)
            elif (text := cls._text_of(name, given)) is not None:
                values[name] = _listed(text) if get_origin(field.annotation) is tuple else text
        try:
            settings = cls.model_validate(values)
        except ValidationError as error:
            first = error.errors(include_input=False, include_url=False)[0]
            raise UsageError(f"{cls._variable_at(first['loc'])}: {first['msg']}.", hint=_LIST) from None
        settings.check()
        return settings

    def check(self) -> None:
        """Raises UsageError where settings that are right one by one cannot stand together."""

    @classmethod
    def variables(cls) -> dict[str, tuple[str, ...]]:
        """The variables of each field, the first that is set counting; nested settings have theirs themselves."""
        return {
            name: _names(cls.prefix, name, field)
            for name, field in cls.model_fields.items()
            if not (isinstance(field.annotation, type) and issubclass(field.annotation, Settings))
        }

    @classmethod
    def _text_of(cls, name: str, given: Mapping[str, str]) -> str | None:
        for variable in cls.variables()[name]:
            if text := given.get(variable):
                return _content(variable, text) if _is_file_of(variable, cls.model_fields[name]) else text
        return None

    @classmethod
    def _refuse_unknown(cls, given: Mapping[str, str]) -> None:
        known = {variable for variables in cls.variables().values() for variable in variables}
        families = tuple(each for each in cls.beside if each.endswith("_"))
        for variable in sorted(given):
            if not variable.startswith(cls.prefix) or variable in known or not given[variable]:
                continue
            if variable in cls.beside or (families and variable.startswith(families)):
                continue
            raise UsageError(f"{variable} is not a setting.", hint=f"Did you mean {_nearest(variable, known)}? {_LIST}")

    @classmethod
    def _variable_at(cls, where: tuple[int | str, ...]) -> str:
        if not where:
            return f"{cls.prefix}…"
        name = str(where[0])  # the field's name, or the alias that the value came by
        return cls.variables().get(name, (name,))[0]


class ListenerSettings(Settings):
    """Where a part listens, and what it asks of those who come: away from the loopback it needs a token."""

    host: str = "127.0.0.1"
    """Address to listen on; one that is not loopback needs a token."""
    token: SecretStr | None = None
    """Asked of every request: as a bearer token, or as the password of basic authentication."""

    @property
    def is_loopback(self) -> bool:
        """Whether only this machine can reach the address."""
        if self.host == "localhost":
            return True
        try:
            return ipaddress.ip_address(self.host).is_loopback
        except ValueError:
            return False

    def secret(self) -> str | None:
        """The token; None where none is asked for."""
        return (self.token.get_secret_value() or None) if self.token else None

    def check(self) -> None:
        """Raises UsageError for an address that others can reach, without a token."""
        if not self.is_loopback and not self.secret():
            raise UsageError(
                f"Listening on {self.host} needs a token, because it can be reached from other machines.",
                hint=f"Set {self.prefix}TOKEN or {self.prefix}TOKEN_FILE, or listen on 127.0.0.1.",
            )


def _names(prefix: str, name: str, field: FieldInfo) -> tuple[str, ...]:
    alias = field.validation_alias
    if isinstance(alias, AliasChoices):
        names = tuple(str(choice) for choice in alias.choices)
    else:
        names = (alias if isinstance(alias, str) else prefix + name.upper(),)
    return (*names, *(f"{each}_FILE" for each in names)) if _is_secret(field) else names


def _is_secret(field: FieldInfo) -> bool:
    return SecretStr in (field.annotation, *get_args(field.annotation))


def _is_file_of(variable: str, field: FieldInfo) -> bool:
    return variable.endswith("_FILE") and _is_secret(field)


def _content(variable: str, file: str) -> str:
    try:
        return Path(file).read_text("utf-8").strip()
    except OSError as error:
        raise UsageError(f"{variable} cannot be read: {error.strerror}.") from error
    except UnicodeDecodeError:
        raise UsageError(f"{variable} names a file that is not UTF-8 text.") from None


def _listed(text: str) -> Any:
    """A JSON list, or words joined by commas."""
    if not text.lstrip().startswith("["):
        return [word.strip() for word in text.split(",") if word.strip()]
    try:
        return json.loads(text)
    except ValueError:
        return text  # the model says that this is no list


def _nearest(variable: str, known: set[str]) -> str:
    from difflib import SequenceMatcher  # noqa: PLC0415 - only for whoever mistypes

    return max(sorted(known), key=lambda each: SequenceMatcher(None, variable, each).ratio())
