"""Errors of the client: one class for each code, messages that help."""

import pickle

import pytest

from queuectl import errors
from queuectl_protocol.errors import ErrorCode
from queuectl_protocol.messages import Failure, failure


def test_every_code_of_the_wire_has_its_own_exception() -> None:
    """No code is left to the base class, and no two share one."""
    assert set(errors.BY_CODE) == set(ErrorCode)
    assert len(set(errors.BY_CODE.values())) == len(ErrorCode)


@pytest.mark.parametrize("code", ErrorCode)
def test_an_exception_carries_the_code_it_stands_for(code: ErrorCode) -> None:
    """Raised without a failure at hand, it says the same code and retryability."""
    error = errors.BY_CODE[code]()
    assert error.code == code
    assert error.retryable == failure(1, code, "").retryable


def test_a_failure_is_raised_with_all_it_says() -> None:
    """Message, data and retryability come from the wire."""
    error = errors.from_failure(
        Failure(1, "not_found", "no job 7", {"id": "7"}, retryable=True)
    )
    assert type(error) is errors.NotFoundError
    assert (str(error), error.data, error.retryable) == ("no job 7", {"id": "7"}, True)


def test_a_code_of_a_newer_daemon_is_a_plain_request_error() -> None:
    """The code is kept, so that a program can still act on it."""
    error = errors.from_failure(Failure(1, "moon_phase", "wait", None))
    assert type(error) is errors.RequestError
    assert (error.code, error.data) == ("moon_phase", {})


def test_the_docstring_is_the_default_message() -> None:
    """An exception raised bare says what its class means."""
    assert str(errors.DaemonNotRunningError()) == (
        "No daemon answers; start one: queuectl daemon start."
    )


def test_a_missing_daemon_may_come_back() -> None:
    """Nothing was sent, so the same request is safe to make again."""
    assert errors.DaemonNotRunningError().retryable
    assert not errors.ConnectionLostError().retryable


def test_timeouts_are_pythons_too() -> None:
    """``except TimeoutError`` catches them."""
    assert issubclass(errors.WaitTimeoutError, TimeoutError)
    assert issubclass(errors.RequestTimeoutError, TimeoutError)


@pytest.mark.parametrize("kind", [errors.NotFoundError, errors.WaitTimeoutError])
def test_errors_survive_pickling(kind: type[errors.QueuectlError]) -> None:
    """They can cross from a worker process to its parent."""
    error = pickle.loads(pickle.dumps(kind("gone", data={"id": "7"})))
    assert (type(error), str(error), error.data) == (kind, "gone", {"id": "7"})


def test_the_tree_in_the_docstring_is_the_real_one() -> None:
    """Every class stands in the drawing, under its parent."""
    drawn: dict[str, str] = {}
    depths = {0: "Exception"}
    for line in (errors.__doc__ or "").splitlines():
        name = line.lstrip(" │├└─").partition(" ")[0]
        if not name.endswith("Error"):
            continue
        depth = (len(line) - len(line.lstrip(" │├└─"))) // 4
        depths[depth] = name
        drawn[name] = depths[depth - 1]
    real = {
        name: value.__bases__[0].__name__
        for name, value in vars(errors).items()
        if isinstance(value, type) and issubclass(value, errors.QueuectlError)
    }
    assert drawn == real
