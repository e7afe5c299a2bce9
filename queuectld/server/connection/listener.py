"""Accepts clients, and at the end lets them go: the server as the daemon sees it."""

import asyncio
import socket
from collections.abc import Mapping, Sequence
from pathlib import Path

from queuectld.host import logs
from queuectld.server import dispatch
from queuectld.server.connection.accept_errors import AcceptErrorReporter
from queuectld.server.connection.endpoint import (
    BACKLOG,
    Endpoint,
    ListenError,
    open_endpoint,
)
from queuectld.server.connection.session import Session
from queuectld.server.connection.shared import Shared
from queuectld.server.parts import Parts
from queuectld.server.schema.method import Method

__all__ = ["ListenError", "Listener"]

CLOSE_GRACE = 2.0
"""Seconds for requests at work to end and for clients to read their replies."""

_ACCEPTED_AT_ONCE = 1
"""asyncio takes up to ``backlog`` clients in one turn of the loop, and after a failure
it goes on to fail so often, with a traceback and a timer each time."""

_log = logs.get("server")


class Listener:
    """The public sockets and everybody connected to them."""

    def __init__(
        self, parts: Parts, shared: Shared, endpoints: Sequence[Endpoint]
    ) -> None:
        self._parts = parts
        self._shared = shared
        self._endpoints = list(endpoints)
        self._servers: list[asyncio.Server] = []

    @classmethod
    async def open(
        cls,
        parts: Parts,
        passed: Sequence[socket.socket] = (),
        methods: Mapping[str, Method] | None = None,
    ) -> "Listener":
        """Answer at the sockets that systemd passed, or else at the configured path.

        Raises:
            ListenError: the path cannot be used; the message is for a person.
        """
        endpoints = [Endpoint(each) for each in passed]
        if not endpoints:
            endpoints = [open_endpoint(parts.config().socket)]
        shared = Shared(
            methods=dispatch.bind(parts) if methods is None else methods,
            config=parts.config,
            instance=parts.instance,
            find_job=parts.broker.job,
            client_gone=parts.supervisor.release,
            connections=parts.connections,
        )
        listener = cls(parts, shared, endpoints)
        await listener._start()
        return listener

    @property
    def addresses(self) -> list[Path]:
        """The paths where clients connect."""
        found = [endpoint.address for endpoint in self._endpoints]
        return [address for address in found if address is not None]

    @property
    def passed(self) -> bool:
        """Whether the first of them is somebody else's to make, such as systemd's."""
        return self._endpoints[0].path is None

    async def restore(self) -> None:
        """Listen again where the socket's file has vanished.

        Who is connected stays so.

        Raises:
            ListenError: the path cannot be used now, or it is another's to make.
        """
        faults = []
        for number, endpoint in enumerate(self._endpoints):
            if not endpoint.is_there():
                try:
                    await self._reopen(number, endpoint)
                except ListenError as error:
                    faults.append(error)
        if faults:
            raise faults[0]

    async def _reopen(self, number: int, endpoint: Endpoint) -> None:
        if endpoint.path is None:
            raise ListenError(
                f"{endpoint.address} has vanished, and is systemd's to make; have that "
                "done: systemctl restart queuectld.socket"
            )
        made = open_endpoint(endpoint.path)
        self._servers[number].close()
        self._endpoints[number] = made
        self._servers[number] = await self._serve(made)

    async def add(self, path: Path) -> None:
        """Listen at another path as well.

        Raises:
            ListenError: it cannot be used.
        """
        made = open_endpoint(path)
        self._endpoints.append(made)
        self._servers.append(await self._serve(made))

    async def close(self) -> None:
        """Take nobody new, refuse who waits, answer the rest, and let them go."""
        for endpoint in self._endpoints:
            endpoint.remove()
        for server in self._servers:
            server.close()
        sessions: list[Session] = list(self._shared.connections)
        for session in sessions:
            session.finish()
        try:
            async with asyncio.timeout(CLOSE_GRACE):
                for session in sessions:
                    await session.gone.wait()
        except TimeoutError:
            self._abort()
        self._parts.files.close()

    async def _start(self) -> None:
        loop = asyncio.get_running_loop()
        loop.set_exception_handler(AcceptErrorReporter(self._parts.clock.monotonic))
        for endpoint in self._endpoints:
            self._servers.append(await self._serve(endpoint))

    async def _serve(self, endpoint: Endpoint) -> asyncio.Server:
        # Not create_unix_server, which since 3.13 removes the file at the end, even
        # one that systemd made.
        server = await asyncio.get_running_loop().create_server(
            lambda: Session(self._shared),
            sock=endpoint.socket,
            backlog=_ACCEPTED_AT_ONCE,
        )
        endpoint.socket.listen(BACKLOG)  # as asyncio has just said otherwise
        _log.info("listening", socket=endpoint.socket.getsockname())
        return server

    def _abort(self) -> None:
        """Cut off who does not read, or whose request does not end."""
        sessions: list[Session] = list(self._shared.connections)
        _log.warning("clients_cut_off", count=len(sessions))
        for session in sessions:
            session.abort()
