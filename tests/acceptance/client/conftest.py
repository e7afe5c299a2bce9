"""Both clients, connected to a daemon."""

import asyncio
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from helpers.blocking import Blocking
from helpers.cli import Cli, shared
from queuectl import AsyncClient, Client

cli = shared(workers=2)

Connect = Callable[..., Any]


@pytest.fixture(scope="module", params=["Client", "AsyncClient"])
def connect(request: pytest.FixtureRequest) -> Iterator[Connect]:
    """What makes a client of either kind."""
    if request.param == "Client":
        yield Client
        return
    with asyncio.Runner() as runner:
        yield lambda *args, **options: Blocking(runner, AsyncClient(*args, **options))


@pytest.fixture(scope="module")
def q(cli: Cli, connect: Connect) -> Iterator[Any]:
    """A client that the tests share."""
    with connect(str(cli.home.socket)) as client:
        yield client
