"""What ``describe`` tells, as a client with a library for JSON Schema would use it."""

from typing import Any

from jsonschema import Draft202012Validator, FormatChecker, ValidationError, validators

from queuectl_protocol.units import parse_time

FORMATS = FormatChecker(formats=())
FORMATS.checks("bin")(lambda value: isinstance(value, bytes))


@FORMATS.checks("date-time", raises=ValueError)
def _is_time(value: object) -> bool:
    return not isinstance(value, str) or parse_time(value) is not None


def _size(value: object) -> int | None:
    if isinstance(value, str):
        return len(value.encode("utf-8", "surrogateescape"))
    return len(value) if isinstance(value, bytes) else None


def _min_bytes(_validator: Any, least: int, value: object, _schema: Any) -> Any:
    size = _size(value)
    if size is not None and size < least:
        yield ValidationError(f"{size} bytes are less than {least}")


def _max_bytes(_validator: Any, most: int, value: object, _schema: Any) -> Any:
    size = _size(value)
    if size is not None and size > most:
        yield ValidationError(f"{size} bytes are more than {most}")


_Validator = validators.extend(
    Draft202012Validator, {"minBytes": _min_bytes, "maxBytes": _max_bytes}
)


class Described:
    """The reply to ``describe``, and values held against it."""

    def __init__(self, told: dict[str, Any]) -> None:
        self.told = told
        self.methods = {method["name"]: method for method in told["methods"]}

    def schemas(self) -> list[dict[str, Any]]:
        """Return every schema that is told."""
        of_methods = [
            schema
            for method in self.told["methods"]
            for schema in (
                method["result_schema"],
                *(param["schema"] for param in method["params"]),
                *(event["schema"] for event in method["events"]),
            )
        ]
        fields = [field["schema"] for field in self.told["job_fields"]]
        return [*of_methods, *fields, *self.told["forms"].values()]

    def problems(
        self, schema: dict[str, Any], value: Any, *, closed: bool = True
    ) -> list[str]:
        """Return what is wrong with a value.

        With ``closed`` also keys that are not told, which a client ignores and a test
        of ours must not.
        """
        forms = self.told["forms"]
        document = {"forms": forms, "allOf": [schema]}
        validator = _Validator(
            _closed(document) if closed else document, format_checker=FORMATS
        )
        return [
            f"{'/'.join(map(str, each.absolute_path))}: {each.message[:300]}"
            for each in validator.iter_errors(value)
        ]

    def accepts(self, schema: dict[str, Any], value: Any) -> bool:
        """Whether a value is as a schema says."""
        return not self.problems(schema, value)


def _closed(schema: Any) -> Any:
    if isinstance(schema, list):
        return [_closed(each) for each in schema]
    if not isinstance(schema, dict):
        return schema
    inner = {key: _closed(value) for key, value in schema.items()}
    if isinstance(schema.get("properties"), dict) and "type" in schema:
        return {"additionalProperties": False, **inner}
    return inner
