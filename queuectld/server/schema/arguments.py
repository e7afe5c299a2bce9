"""Checks the arguments of a request against the parameters that its method declares.

A handler gets a checked value, or the default, for every parameter it declares, and no
other. What a value means is for the handler to check.
"""

import difflib
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from queuectld.core import unixtext
from queuectld.server.schema.method import Param

_SHOWN = 64
"""Characters of a client's word that an error message repeats."""


class InvalidParamsError(Exception):
    """A parameter is unknown, missing, of the wrong type or out of range.

    Attributes:
        param: its name, as the client sent it.
        index: which item of a list is wrong, from 0.
    """

    def __init__(self, param: str, message: str, index: int | None = None) -> None:
        super().__init__(message)
        self.param = param
        self.index = index

    @property
    def data(self) -> dict[str, Any]:
        """The parameter's name, and the index of the wrong item."""
        place = {} if self.index is None else {"index": self.index}
        return {"param": self.param[:_SHOWN], **place}


class ItemError(ValueError):
    """An item of a list is wrong; the text completes "<name>, item <index>, ..."."""

    def __init__(self, index: int, message: str) -> None:
        super().__init__(message)
        self.index = index


def checked(declared: Sequence[Param], given: Mapping[str, Any]) -> dict[str, Any]:
    """Return a value for every declared parameter.

    Raises:
        InvalidParamsError: names the first parameter that is wrong.
    """
    values: dict[str, Any] = {}
    present = 0
    for param in declared:
        value = given.get(param.name)
        present += param.name in given
        if value is not None:
            values[param.name] = _value(param, value)
        elif param.required:
            raise InvalidParamsError(
                param.name, f"{param.name} is missing: {param.doc}"
            )
        else:
            values[param.name] = param.default
    if present != len(given):
        raise _unknown(declared, given)
    return values


def _value(param: Param, value: Any) -> Any:
    try:
        return param.check(value)
    except ItemError as error:
        text = f"{param.name}, item {error.index} from 0, {error}"
        raise InvalidParamsError(param.name, text, error.index) from None
    except ValueError as error:
        raise InvalidParamsError(param.name, f"{param.name} {error}") from None


def _unknown(declared: Sequence[Param], given: Mapping[str, Any]) -> InvalidParamsError:
    known = [param.name for param in declared]
    name = next(name for name in given if name not in known)
    advice = nearest(name, known) or (
        f"it takes: {', '.join(known)}" if known else "it takes none"
    )
    return InvalidParamsError(name, f"there is no parameter {shown(name)}; {advice}")


def nearest(name: str, known: Iterable[str]) -> str | None:
    """Return a "did you mean" question; None: no known name is similar."""
    close = difflib.get_close_matches(name[:_SHOWN], known, n=1)
    return f"did you mean {close[0]}?" if close else None


def shown(text: str) -> str:
    """Return a client's word in quotes, cut to what a message can hold."""
    return unixtext.quoted(text if len(text) <= _SHOWN else f"{text[:_SHOWN]}...")
