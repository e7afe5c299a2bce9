"""The daemon's own configuration: one table of options, four places to set them.

Modules in this package import each other directly, never this package. Job settings
(``queuectl config``) are another kind: see ``queuectld.core.settings``.
"""

from queuectld.config.load import load
from queuectld.config.model import ConfigError, DaemonConfig, Problem, Sources
from queuectld.config.options import OPTIONS, Option, OptionKind, TakesEffect
from queuectld.config.reload import OptionChange, Reload, reload
from queuectld.config.roles import Roles

__all__ = [
    "OPTIONS",
    "ConfigError",
    "DaemonConfig",
    "Option",
    "OptionChange",
    "OptionKind",
    "Problem",
    "Reload",
    "Roles",
    "Sources",
    "TakesEffect",
    "load",
    "reload",
]
