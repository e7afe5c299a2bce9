"""Methods for the job settings."""

from dataclasses import dataclass

from queuectl_protocol.vocabulary import Role
from queuectld.broker import Broker
from queuectld.core import settings
from queuectld.operations import lookups
from queuectld.server import encoding
from queuectld.server.call import Call
from queuectld.server.schema import params
from queuectld.server.schema.method import READ_ERRORS, WRITE_ERRORS, Method, Result


@dataclass(frozen=True, slots=True)
class ConfigMethods:
    """The settings of jobs, which the store holds."""

    broker: Broker

    async def list_settings(self, _call: Call) -> Result:
        """Return all settings."""
        stored = await self.broker.read(lookups.settings)
        return {"settings": encoding.settings(stored)}

    async def get(self, _call: Call, *, key: str) -> Result:
        """Return one setting."""
        setting = settings.find(key)
        return encoding.setting(setting, await self.broker.read(lookups.settings))

    async def set_value(self, call: Call, *, key: str, value: float | str) -> Result:
        """Give a setting a value."""
        await self.broker.set_setting(key, value)
        return await self.get(call, key=key)

    async def unset(self, call: Call, *, key: str) -> Result:
        """Reset a setting to its default."""
        await self.broker.set_setting(key, None)
        return await self.get(call, key=key)


_KEY = params.text("key", "the setting's name, with - or _", required=True)

METHODS = (
    Method(
        name="config.list",
        doc="Return all job settings, and what each means.",
        handler=ConfigMethods.list_settings,
        role=Role.READ,
        result="{settings: [SETTING]}",
        errors=READ_ERRORS,
    ),
    Method(
        name="config.get",
        doc="Return one job setting.",
        handler=ConfigMethods.get,
        role=Role.READ,
        params=(_KEY,),
        result="SETTING",
        errors=READ_ERRORS,
    ),
    Method(
        name="config.set",
        doc="Give a job setting a value. Which jobs that touches, applies says.",
        handler=ConfigMethods.set_value,
        role=Role.ADMIN,
        changes=(),
        audit=("key", "value"),
        params=(_KEY, params.setting_value("value", "the value")),
        result="SETTING",
        errors=WRITE_ERRORS,
    ),
    Method(
        name="config.unset",
        doc="Give a job setting its default again.",
        handler=ConfigMethods.unset,
        role=Role.ADMIN,
        changes=(),
        audit=("key",),
        params=(_KEY,),
        result="SETTING",
        errors=WRITE_ERRORS,
    ),
)
