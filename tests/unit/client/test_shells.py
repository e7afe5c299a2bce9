"""The two clients are the same but for waiting; the protocol is all theirs."""

import inspect
from typing import Any

import pytest

import queuectl
from queuectl.aio import groups as agroups
from queuectl.aio.client import AsyncClient
from queuectl.calls import config, daemon, dlq, enqueue, jobs, output, queue, workers
from queuectl.calls.call import WAITS, Call
from queuectl.sync import groups
from queuectl.sync.client import Client
from queuectld.server.dispatch import METHODS

PAIRS = [
    (Client, AsyncClient),
    (groups.Dlq, agroups.AsyncDlq),
    (groups.Config, agroups.AsyncConfig),
    (groups.Workers, agroups.AsyncWorkers),
    (groups.Daemon, agroups.AsyncDaemon),
]


def methods(kind: type) -> dict[str, Any]:
    """Return what a class itself offers."""
    return {n: m for n, m in vars(kind).items() if not n.startswith("_")}


@pytest.mark.parametrize(("blocking", "asynchronous"), PAIRS)
def test_both_clients_have_the_same_methods(blocking: type, asynchronous: type) -> None:
    """By name and by parameters."""
    ours, theirs = methods(blocking), methods(asynchronous)
    assert set(ours) == set(theirs)
    for name, method in ours.items():
        if not isinstance(method, property):
            mine = inspect.signature(method).parameters
            assert mine == inspect.signature(theirs[name]).parameters, name


def test_methods_are_shown_as_they_are_documented() -> None:
    """Name, parameters and documentation are those of the call."""
    assert Client.list.__name__ == "list"
    assert list(inspect.signature(Client.list).parameters) == ["self", "state", "limit"]
    assert inspect.getdoc(Client.list) == inspect.getdoc(jobs.list_)
    assert inspect.iscoroutinefunction(AsyncClient.get)


CALLS = (config, daemon, dlq, enqueue, jobs, output, queue, workers)


def made() -> list[Call[Any]]:
    """Return what each function of ``calls`` makes, every parameter being given."""
    return [
        call
        for module in CALLS
        for name, function in vars(module).items()
        if inspect.isfunction(function)
        and function.__module__ == module.__name__
        and not name.startswith("_")
        for call in _called(function)
    ]


def _called(function: Any) -> list[Call[Any]]:
    names = inspect.signature(function).parameters
    made = function(**{name: SOME.get(name, 1) for name in names})
    return made if isinstance(made, list) else [made]


SOME: dict[str, Any] = {
    "job": {"command": "x"},
    "job_ids": ["1"],
    "path": "/copy.db",
    "state": "dead",
    "inherited": {},
    "states": ["dead"],
    "streams": ["stdout"],
    "numbers": [1],
}


def test_every_method_of_the_daemon_has_a_call() -> None:
    """What the daemon can do, a Python program can ask for."""
    asked = {call.method for call in made()}
    # EnqueueMany makes the batches, and EventStream ends itself.
    assert asked | {"enqueue_many", "unfollow"} == set(METHODS)


def test_the_methods_without_a_time_limit_are_methods() -> None:
    """And so are the parameters that limit the wait of one."""
    for method, limited_by in WAITS.items():
        names = {param.name for param in METHODS[method].params}
        assert limited_by is None or limited_by in names


def test_every_call_has_parameters_that_the_daemon_knows() -> None:
    """And all of those that it requires."""
    for call in made():
        known = {param.name: param for param in METHODS[call.method].params}
        assert set(call.params) <= set(known), call.method
        assert {n for n, p in known.items() if p.required} <= set(call.params)


@pytest.mark.parametrize("name", queuectl.__all__)
def test_the_package_exports_what_it_says(name: str) -> None:
    """Lazily, and each name is listed by ``dir``."""
    assert getattr(queuectl, name) is not None
    assert name in dir(queuectl)


def test_a_name_that_is_not_exported_is_an_attribute_error() -> None:
    """As of any module."""
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        _ = queuectl.nothing
