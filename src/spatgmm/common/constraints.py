"""Constraints as data: what a parameter may be, its default and what it is for, said once.

Estimators, plug-ins, configurations, the command line and tests read the same declaration: a
mapping of names to :class:`Parameter`.  A rule says in words what it takes, so that every refusal
reads ``tol must be a positive number, got -1``.  Values that look alike are told apart: True is no
number, numpy's integers are integers, NaN and infinity are no numbers.
"""

from __future__ import annotations

import difflib
import math
import os
import re
from abc import ABC, abstractmethod
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from numbers import Integral, Real
from typing import Any, NamedTuple

import numpy as np

#: What YAML 1.1 takes for a text, since it has no point.
_LOOKS_LIKE_A_NUMBER = re.compile(r"[+-]?\d+[eE][+-]?\d+")

#: Longest part of a refused value that a message repeats.
_LONGEST = 60


class Problem(NamedTuple):
    """What is wrong with a value: keys that lead to the place, and a message to follow them."""

    path: tuple[str | int, ...]
    message: str

    def at(self, *keys: str | int) -> Problem:
        """The same problem seen from above."""
        return self._replace(path=(*keys, *self.path))

    @property
    def place(self) -> str:
        """The path, dotted; a key that would not be seen as it is is quoted."""
        plain = re.compile(r"[\w-]+")
        return ".".join(
            text if plain.fullmatch(text) else repr(key)
            for key, text in ((key, str(key)) for key in self.path)
        )

    def __str__(self) -> str:
        return f"{self.place} {self.message}".lstrip()


class Rule(ABC):
    """What values are allowed; ``str`` says it in words that follow "must be"."""

    @abstractmethod
    def is_kind(self, value: Any) -> bool:
        """Whether a value is of the kind that this rule is about, if perhaps out of range."""

    def fits(self, value: Any) -> bool:
        """Whether a value is allowed, whatever is in it."""
        return self.is_kind(value)

    def inside(self, value: Any) -> Iterator[Problem]:
        """What is wrong with what a value that fits holds."""
        yield from ()

    def problems(self, value: Any) -> Iterator[Problem]:
        """Everything that is wrong with a value."""
        yield from self.inside(value) if self.fits(value) else [self.refusal(value)]

    def allows(self, value: Any) -> bool:
        """Whether nothing is wrong with a value."""
        return not any(self.problems(value))

    def refusal(self, value: Any) -> Problem:
        """What to say of a value that does not fit."""
        return Problem((), f"must be {self}, got {_shown(value)}")

    def below(self, key: str | int) -> list[Rule]:
        """The rules of what a value holds under a key; none where it holds nothing there."""
        return []

    def filled(self, value: Any) -> Any:
        """A copy of an allowed value with the defaults of its absent keys."""
        return value


@dataclass(frozen=True)
class Parameter:
    """One parameter: its default, the rule of its values, and one line that describes it."""

    default: Any
    rule: Rule
    text: str


#: "Default" of a key that must be given, and of one that may be absent.
REQUIRED, ABSENT = type("Required", (), {})(), type("Absent", (), {})()


@dataclass(frozen=True)
class Kind(Rule):
    """Values that a function knows, and what to call them."""

    noun: str
    test: Callable[[Any], bool]

    def is_kind(self, value: Any) -> bool:
        return self.test(value)

    def __str__(self) -> str:
        return self.noun


FLAG = Kind("true or false", lambda value: isinstance(value, bool | np.bool_))
NOTHING = Kind("None", lambda value: value is None)
ANYTHING = Kind("anything", lambda value: True)


def given(noun: str) -> Rule:
    """What only the data decide about, such as an array; checked where they are known."""
    return Kind(
        noun, lambda value: not (value is None or isinstance(value, str | bool | Real | Mapping))
    )


@dataclass(frozen=True)
class Number(Rule):
    """A finite real number, within limits."""

    least: float | None = None
    most: float | None = None
    above: float | None = None

    _noun = "a number"

    def is_kind(self, value: Any) -> bool:
        return isinstance(value, Real) and not isinstance(value, bool)

    def fits(self, value: Any) -> bool:
        return (
            self.is_kind(value)
            and _is_finite(value)
            and (self.least is None or value >= self.least)
            and (self.most is None or value <= self.most)
            and (self.above is None or value > self.above)
        )

    def refusal(self, value: Any) -> Problem:
        plain = super().refusal(value)
        if isinstance(value, str) and _LOOKS_LIKE_A_NUMBER.fullmatch(value):
            return plain._replace(message=plain.message + "; YAML reads 1e-6 as a text, not 1.0e-6")
        return plain

    def __str__(self) -> str:
        noun = self._noun
        if self.above == 0 and self.most is None:
            return noun.replace(" ", " positive ")
        if self.least is not None and self.most is not None:
            return f"{noun} from {self.least} to {self.most}"
        limits = [
            f"{words} {limit:g}"
            for words, limit in (
                ("of at least", self.least),
                ("above", self.above),
                ("of at most", self.most),
            )
            if limit is not None
        ]
        return " ".join([noun, " and ".join(limits)]).rstrip()


@dataclass(frozen=True)
class Integer(Number):
    """A whole number, within limits; 2.0 is none."""

    _noun = "an integer"

    def is_kind(self, value: Any) -> bool:
        return isinstance(value, Integral) and not isinstance(value, bool)


@dataclass(frozen=True)
class Text(Rule):
    """A text, of a pattern that `noun` puts into words."""

    pattern: str = r"(?s).*"
    noun: str = "a text"

    def is_kind(self, value: Any) -> bool:
        return isinstance(value, str)

    def fits(self, value: Any) -> bool:
        # The whole of it: "$" would let a line break at the end pass.
        return self.is_kind(value) and re.fullmatch(self.pattern, value) is not None

    def __str__(self) -> str:
        return self.noun


@dataclass(frozen=True)
class ExistingFile(Text):
    """The path of a file that is there when it is checked."""

    noun: str = "the path of a file"

    def fits(self, value: Any) -> bool:
        return self.is_kind(value) and os.path.isfile(value)

    def refusal(self, value: Any) -> Problem:
        if self.is_kind(value):
            return Problem((), f"{value}: there is no such file")
        return super().refusal(value)


class Choice(Rule):
    """One of these names; `also` holds further spellings that are taken, but not listed."""

    def __init__(self, *names: str, also: Collection[str] = ()) -> None:
        self.names = names
        self.also = tuple(also)

    def is_kind(self, value: Any) -> bool:
        return isinstance(value, str)

    def fits(self, value: Any) -> bool:
        return self.is_kind(value) and value in (*self.names, *self.also)

    def refusal(self, value: Any) -> Problem:
        plain = super().refusal(value)
        return plain._replace(message=plain.message + _did_you_mean(value, self.names))

    def __str__(self) -> str:
        known = ", ".join(map(repr, self.names))
        return f"one of {known}" if len(self.names) > 1 else known


#: What scikit-learn's users pass as ``random_state``.
SEED = Kind(
    "None, an integer of at least 0, a Generator or a RandomState",
    lambda value: (
        value is None
        or isinstance(value, np.random.Generator | np.random.RandomState)
        or Integer(0).allows(value)
    ),
)


class Either(Rule):
    """Any of several rules; a wrong value is told what the rule of its own kind says."""

    def __init__(self, *rules: Rule) -> None:
        self.rules = rules

    def is_kind(self, value: Any) -> bool:
        return any(rule.is_kind(value) for rule in self.rules)

    def problems(self, value: Any) -> Iterator[Problem]:
        rule = self._rule_for(value)
        yield from [self.refusal(value)] if rule is None else rule.problems(value)

    def below(self, key: str | int) -> list[Rule]:
        return [found for rule in self.rules for found in rule.below(key)]

    def filled(self, value: Any) -> Any:
        rule = self._rule_for(value)
        return value if rule is None else rule.filled(value)

    def _rule_for(self, value: Any) -> Rule | None:
        of_kind = [rule for rule in self.rules if rule.is_kind(value)]
        return next((rule for rule in of_kind if rule.allows(value)), (*of_kind, None)[0])

    def __str__(self) -> str:
        return " or ".join(map(str, self.rules))


def optional(rule: Rule) -> Rule:
    """The rule, or None."""
    return Either(rule, NOTHING)


@dataclass(frozen=True)
class List(Rule):
    """A list of values of one rule, of at least and at most so many."""

    of: Rule
    least: int = 0
    most: float = math.inf
    distinct: bool = False

    def is_kind(self, value: Any) -> bool:
        return isinstance(value, list | tuple)

    def fits(self, value: Any) -> bool:
        return self.is_kind(value) and self.least <= len(value) <= self.most

    def inside(self, value: Any) -> Iterator[Problem]:
        for number, item in enumerate(value):
            yield from (problem.at(number) for problem in self.of.problems(item))
            if self.distinct and item in value[:number]:
                yield Problem((number,), f"repeats {_shown(item)}")

    def below(self, key: str | int) -> list[Rule]:
        return [self.of] if isinstance(key, int) else []

    def filled(self, value: Any) -> Any:
        return [self.of.filled(item) for item in value]

    def __str__(self) -> str:
        if self.least == self.most:
            return f"a list of {self.least}, each {self.of}"
        limits = f" of at least {self.least}" if self.least else ""
        limits += f" and at most {self.most}" if self.most < math.inf else ""
        return f"a list{limits}, each {self.of}"


class Keys(Rule):
    """A mapping with declared keys.

    Parameters
    ----------
    keys : mapping of str to Parameter
        With :data:`REQUIRED` or :data:`ABSENT` for a default where there is none.
    further : bool
        Whether other keys are somebody else's to check.
    """

    def __init__(self, keys: Mapping[str, Parameter], further: bool = False) -> None:
        self.keys = keys
        self.further = further

    def is_kind(self, value: Any) -> bool:
        needed = (key for key, declared in self.keys.items() if declared.default is REQUIRED)
        return isinstance(value, Mapping) and next(needed, None) in (None, *value)

    def fits(self, value: Any) -> bool:
        return isinstance(value, Mapping)

    def inside(self, value: Any) -> Iterator[Problem]:
        for key, item in value.items():
            if key in self.keys:
                yield from (problem.at(key) for problem in self.keys[key].rule.problems(item))
            elif not self.further:
                yield Problem((key,), f"is unknown; {suggest(key, self.keys)}")
        for key, declared in self.keys.items():
            if declared.default is REQUIRED and key not in value:
                yield Problem((key,), "is missing")

    def below(self, key: str | int) -> list[Rule]:
        return [self.keys[key].rule] if isinstance(key, str) and key in self.keys else []

    def filled(self, value: Any) -> Any:
        defaults = {
            key: declared.default
            for key, declared in self.keys.items()
            if key not in value and declared.default not in (REQUIRED, ABSENT)
        }
        return {
            key: self.keys[key].rule.filled(item) if key in self.keys else item
            for key, item in (dict(value) | defaults).items()
        }

    def __str__(self) -> str:
        return f"a mapping with {', '.join(self.keys)}"


@dataclass(frozen=True)
class Named(Rule):
    """A mapping of names of one rule to values of another."""

    name: Rule
    of: Rule
    least: int = 0

    def is_kind(self, value: Any) -> bool:
        return isinstance(value, Mapping)

    def fits(self, value: Any) -> bool:
        return self.is_kind(value) and len(value) >= self.least

    def inside(self, value: Any) -> Iterator[Problem]:
        for name, item in value.items():
            if self.name.allows(name):
                yield from (problem.at(name) for problem in self.of.problems(item))
            else:
                yield Problem((name,), f"must be {self.name}")

    def filled(self, value: Any) -> Any:
        return {name: self.of.filled(item) for name, item in value.items()}

    def __str__(self) -> str:
        return ("a mapping" if self.least == 0 else "a mapping that is not empty") + " by id"


def declared(defaults: Mapping[str, Any]) -> dict[str, Parameter]:
    """Declarations of what is given as plain defaults; what is declared already stays.

    Of a plain default the kind alone is known: a number for a number, a text for a text.
    """
    return {
        name: default if isinstance(default, Parameter) else Parameter(default, _like(default), "")
        for name, default in defaults.items()
    }


def defaults(declared: Mapping[str, Parameter]) -> dict[str, Any]:
    """Names and defaults."""
    return {name: parameter.default for name, parameter in declared.items()}


def check(rule: Rule, value: Any) -> None:
    """Refuse a value that its rule does not allow.

    Raises
    ------
    ValueError
        With everything that is wrong, each by its name.
    """
    found = [str(problem) for problem in rule.problems(value)]
    if found:
        raise ValueError("; ".join(found))


def check_value(name: str, value: Any, rule: Rule) -> None:
    """Refuse one value that its rule does not allow, with a ValueError that starts with `name`."""
    check(Keys({name: Parameter(None, rule, "")}), {name: value})


def reaches(rule: Rule, path: Iterable[str | int]) -> bool:
    """Whether a rule knows these keys, one below the other; an int is a place in a list."""
    rules = [rule]
    for key in path:
        rules = [below for rule in rules for below in rule.below(key)]
    return bool(rules)


def suggest(name: Any, known: Iterable[str]) -> str:
    """The end of an error about an unknown name: the nearest known one, or all of them."""
    known = list(known)
    near = _did_you_mean(name, known).removeprefix("; ")
    return near or (f"known are {', '.join(known)}" if known else "none is known")


def _did_you_mean(name: Any, known: Iterable[str]) -> str:
    near = difflib.get_close_matches(name, known, n=1) if isinstance(name, str) else []
    return f"; did you mean {near[0]!r}?" if near else ""


def _like(default: Any) -> Rule:
    for rule in (FLAG, Number(), Text()):
        if rule.is_kind(default):
            return rule
    return ANYTHING


def _is_finite(value: Real) -> bool:
    try:
        return math.isfinite(value)
    except OverflowError:  # an integer beyond the largest float
        return False


def _shown(value: Any) -> str:
    try:
        text = " ".join(repr(value).split())
    except ValueError:  # Python writes no integer of more than 4,300 digits
        text = "a number of thousands of digits"
    return text if len(text) <= _LONGEST else text[:_LONGEST] + "..."
