"""Methods that end when a test lets them, for tests of connections."""

import asyncio
from typing import Any, cast

from helpers.rawclient import RawClient
from helpers.serving import Moment
from queuectld.server.call import Call
from queuectld.server.methods.logs import LogMethods
from queuectld.server.schema import params
from queuectld.server.schema.method import Method, Result

KIB = 1024


class Gated:
    """Methods that end when the test lets them."""

    def __init__(self) -> None:
        self.started, self.ended, self.cancelled = Moment(), Moment(), Moment()
        self.produced = Moment()
        self._gates: dict[int, asyncio.Event] = {}

    async def ping(self, _call: Call) -> Result:
        """Answer."""
        return {}

    async def echo(self, _call: Call, *, text: str) -> Result:
        """Return the text."""
        return {"text": text}

    async def hold(
        self, _call: Call, *, gate: int, load: dict[str, Any] | None
    ) -> Result:
        """Wait until ``open`` opens the gate."""
        del load
        self.started.happen()
        try:
            await self._gate(gate).wait()
        except asyncio.CancelledError:
            self.cancelled.happen()
            raise
        self.ended.happen()
        return {"gate": gate}

    async def open(self, _call: Call, *, gate: int) -> Result:
        """Open a gate."""
        self._gate(gate).set()
        return {}

    async def large(self, _call: Call, *, size: int) -> Result:
        """Return that many bytes."""
        self.produced.happen()
        return {"data": b"x" * size}

    async def pour(self, call: Call) -> Result:
        """Send events until the client has seen enough."""
        with call.stream() as stream:
            while not stream.ended:
                await stream.ready()
                stream.send({"data": b"x" * 64 * KIB})
                self.produced.happen()
        return {"poured": True}

    async def fail(self, _call: Call) -> Result:
        """Raise an unexpected error."""
        raise RuntimeError("a secret of ours")

    def _gate(self, gate: int) -> asyncio.Event:
        return self._gates.setdefault(gate, asyncio.Event())

    def table(self) -> dict[str, Method]:
        """Return the table of these methods."""
        gate = (params.whole("gate", "which", default=0),)
        hold = (*gate, params.fields("load", "anything"))
        size = (params.whole("size", "bytes"),)
        text = (params.text("text", "anything", required=True),)
        rows = (
            Method(name="ping", doc="", handler=self.ping),
            Method(name="echo", doc="", handler=self.echo, params=text),
            Method(name="hold", doc="", handler=self.hold, params=hold),
            Method(name="wait", doc="", handler=self.hold, params=hold, waits=True),
            Method(name="open", doc="", handler=self.open, params=gate),
            Method(name="large", doc="", handler=self.large, params=size),
            Method(name="bulk", doc="", handler=self.large, params=size, bulky=True),
            Method(name="pour", doc="", handler=self.pour, waits=True),
            Method(name="fail", doc="", handler=self.fail),
            Method(
                name="unfollow",
                doc="",
                handler=LogMethods(*[cast("Any", None)] * 4).unfollow,
                params=(params.request_id("sub", "which"),),
            ),
        )
        return {row.name: row for row in rows}


def push(client: RawClient, method: str, **arguments: Any) -> int:
    """Send requests until the kernel takes no more; return the bytes sent."""
    client.socket.settimeout(0.5)
    pushed = 0
    try:
        while pushed < 64 * KIB * KIB:
            client.wire.send_request(method, arguments)
            data = client.wire.data_to_send()
            client.socket.sendall(data)
            pushed += len(data)
    except TimeoutError:
        client.socket.settimeout(20)
        return pushed
    raise AssertionError("all of it was taken")
