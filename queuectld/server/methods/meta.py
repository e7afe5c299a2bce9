"""Methods about the protocol itself."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from queuectl_protocol.vocabulary import Role
from queuectld.broker import Broker
from queuectld.config import DaemonConfig
from queuectld.server.call import Call
from queuectld.server.connection.greeting import greeting
from queuectld.server.schema import description, params, wire_limits
from queuectld.server.schema.method import Method, Result


@dataclass(frozen=True, slots=True)
class MetaMethods:
    """Tells clients how to speak to the daemon.

    Attributes:
        methods: the rows to describe, by name.
        config: returns the configuration in force.
        instance: identifies the daemon's process.
    """

    methods: Mapping[str, Method]
    broker: Broker
    config: Callable[[], DaemonConfig]
    instance: str

    async def ping(self, _call: Call) -> Result:
        """Answer."""
        return {}

    async def greet(self, call: Call, *, bin: bool) -> Result:
        """Set how strings are sent on this connection; return the greeting."""
        # Without an await before it: it holds for all that is sent after this request.
        call.peer.outbox.write_bin(wanted=bin)
        return {
            "greeting": greeting(call.peer, self.config(), self.instance),
            "limits": self._limits(),
            "bin": bin,
        }

    async def describe(self, _call: Call) -> Result:
        """Return the table of methods as data."""
        return {**description.describe(self.methods), "limits": self._limits()}

    def _limits(self) -> dict[str, int]:
        return wire_limits.in_force(self.config(), self.broker.settings)


METHODS = (
    Method(
        name="ping",
        doc="Do nothing, and answer.",
        handler=MetaMethods.ping,
        role=Role.READ,
    ),
    Method(
        name="greet",
        doc="Say how this connection is to be spoken to; return the greeting again, "
        "and the limits.",
        handler=MetaMethods.greet,
        role=Role.READ,
        params=(
            params.flag(
                "bin",
                "from the reply on, strings that are not UTF-8 come as bin, not as str",
            ),
        ),
        result="{greeting: GREETING, limits: {str: int}, bin: bool}",
    ),
    Method(
        name="describe",
        doc="Tell all methods, the fields of a job, the forms, the limits and the "
        "error codes. The errors of a method are its own; common_errors can meet any "
        "request.",
        handler=MetaMethods.describe,
        role=Role.READ,
        result="{methods: [METHOD], job_fields: [FIELD], forms: {str: map}, "
        "errors: [str], common_errors: [str], limits: {str: int}}",
        bulky=True,
    ),
)
