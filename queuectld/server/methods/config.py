"""Methods for the job settings."""

from queuectl_protocol.errors import ErrorCode
from queuectl_protocol.vocabulary import Role
from queuectld.core import settings
from queuectld.server import encoding
from queuectld.server.call import Call
from queuectld.server.schema import params
from queuectld.server.schema.method import Method, Result


async def list_settings(call: Call) -> Result:
    """Return all settings."""
    return {"settings": encoding.settings(await call.context.broker.stored_settings())}


async def get(call: Call, *, key: str) -> Result:
    """Return one setting."""
    setting = settings.find(key)
    return encoding.setting(setting, await call.context.broker.stored_settings())


async def set_value(call: Call, *, key: str, value: float | str) -> Result:
    """Give a setting a value."""
    await call.context.broker.set_setting(key, value)
    return await get(call, key=key)


async def unset(call: Call, *, key: str) -> Result:
    """Give a setting its default again."""
    await call.context.broker.set_setting(key, None)
    return await get(call, key=key)


_KEY = params.text("key", "the setting's name, with - or _", required=True)

METHODS = (
    Method(
        name="config.list",
        doc="Return all job settings, and what each means.",
        handler=list_settings,
        role=Role.READ,
        result="{settings: [SETTING]}",
        errors=(ErrorCode.STORAGE_ERROR,),
    ),
    Method(
        name="config.get",
        doc="Return one job setting.",
        handler=get,
        role=Role.READ,
        params=(_KEY,),
        result="SETTING",
        errors=(ErrorCode.STORAGE_ERROR,),
    ),
    Method(
        name="config.set",
        doc="Give a job setting a value. Which jobs that touches, applies says.",
        handler=set_value,
        role=Role.ADMIN,
        changes=(),
        audit=("key", "value"),
        params=(_KEY, params.setting_value("value", "the value")),
        result="SETTING",
        errors=(ErrorCode.STORAGE_FULL, ErrorCode.STORAGE_ERROR),
    ),
    Method(
        name="config.unset",
        doc="Give a job setting its default again.",
        handler=unset,
        role=Role.ADMIN,
        changes=(),
        audit=("key",),
        params=(_KEY,),
        result="SETTING",
        errors=(ErrorCode.STORAGE_FULL, ErrorCode.STORAGE_ERROR),
    ),
)
