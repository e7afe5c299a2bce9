"""Accepts clients and, at the end, closes their connections."""

import asyncio
import socket
from collections.abc import Mapping, Sequence
from pathlib import Path

from queuectld.host import logs
from queuectld.linux.inotify import Watcher
from queuectld.server import dispatch
from queuectld.server.connection.accept_errors import AcceptErrorReporter
from queuectld.server.connection.endpoint import (
    BACKLOG,
    Endpoint,
    ListenError,
    open_endpoint,
)
from queuectld.server.connection.session import ServerSession
from queuectld.server.connection.shared import Shared
from queuectld.server.parts import Parts
from queuectld.server.schema.method import Method

__all__ = ["ListenError", "Listener"]

CLOSE_GRACE = 2.0
"""Seconds at the end for requests at work and for clients to read their replies."""

_ACCEPTED_AT_ONCE = 1
"""asyncio accepts up to ``backlog`` clients in one turn of the loop. When descriptors
run out, it fails as often, each time with a traceback and a timer."""

_log = logs.get("server")


class Listener:
    """The public sockets and the connections to them."""

    def __init__(
        self, shared: Shared, endpoints: Sequence[Endpoint], files: Watcher
    ) -> None:
        self._shared = shared
        self._endpoints = list(endpoints)
        self._files = files
        self._servers: list[asyncio.Server] = []

    @classmethod
    async def open(
        cls,
        parts: Parts,
        passed: Sequence[socket.socket] = (),
        methods: Mapping[str, Method] | None = None,
    ) -> "Listener":
        """Answer at the sockets that systemd passed, or else at the configured path.

        Args:
            parts: of the daemon.
            passed: sockets that systemd opened.
            methods: the dispatch table, bound; None: that of ``dispatch``.

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
        listener = cls(shared, endpoints, parts.files)
        errors = AcceptErrorReporter(parts.clock.monotonic)
        asyncio.get_running_loop().set_exception_handler(errors)
        for endpoint in endpoints:
            listener._servers.append(await listener._serve(endpoint))
        return listener

    @property
    def addresses(self) -> list[Path]:
        """The paths at which clients connect."""
        found = [endpoint.address for endpoint in self._endpoints]
        return [address for address in found if address is not None]

    @property
    def passed(self) -> bool:
        """Whether another program, such as systemd, made the first socket."""
        return self._endpoints[0].path is None

    async def restore(self) -> None:
        """Listen again where a socket's file has vanished; connections stay open.

        Raises:
            ListenError: a path cannot be used now, or another program must make it.
        """
        errors = []
        for number, endpoint in enumerate(self._endpoints):
            if not endpoint.is_there():
                try:
                    await self._reopen(number, endpoint)
                except ListenError as error:
                    errors.append(error)
        if errors:
            raise errors[0]

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
            ListenError: the path cannot be used.
        """
        made = open_endpoint(path)
        self._endpoints.append(made)
        self._servers.append(await self._serve(made))

    async def close(self) -> None:
        """Accept no more clients; answer the requests at work, refuse the others."""
        for endpoint in self._endpoints:
            endpoint.remove()
        for server in self._servers:
            server.close()
        sessions: list[ServerSession] = list(self._shared.connections)
        for session in sessions:
            session.finish()
        try:
            async with asyncio.timeout(CLOSE_GRACE):
                for session in sessions:
                    await session.gone.wait()
        except TimeoutError:
            self._abort()
        self._files.close()

    async def _serve(self, endpoint: Endpoint) -> asyncio.Server:
        # Not create_unix_server: since 3.13 it removes the file at the end, even one
        # that systemd made.
        server = await asyncio.get_running_loop().create_server(
            lambda: ServerSession(self._shared),
            sock=endpoint.socket,
            backlog=_ACCEPTED_AT_ONCE,
        )
        endpoint.socket.listen(BACKLOG)  # asyncio has set it to its own backlog
        _log.info("listening", socket=endpoint.socket.getsockname())
        return server

    def _abort(self) -> None:
        """Abort connections whose client does not read or whose request goes on."""
        sessions: list[ServerSession] = list(self._shared.connections)
        _log.warning("clients_cut_off", count=len(sessions))
        for session in sessions:
            session.abort()
