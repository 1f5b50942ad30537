"""Holds an answer to the API's model, which botocore itself does not: it leaves out what it does not know, and misses nothing."""

import base64
import json
import math
import re

JSON = {
    "structure": dict,
    "map": dict,
    "list": list,
    "string": str,
    "blob": str,
    "boolean": bool,
    "integer": int,
    "long": int,
    "float": (int, float),
    "double": (int, float),
    "timestamp": (int, float),
}
BITS = {"integer": 32, "long": 64}
# The reference has these at 500, and all others at 400; the model says nothing of it.
SERVER_FAULTS = {
    "BatchExecuteStatementException",
    "DatabaseConnectionException",
    "ExecuteStatementException",
    "InternalServerException",
}


def faults(shape, value, path="$"):
    """What is wrong with a value of the JSON protocol, each with its path; nothing if it is of that shape."""
    kind = shape.type_name
    if kind in ("float", "double") and value in ("NaN", "Infinity", "-Infinity"):
        return
    if not isinstance(value, JSON[kind]) or isinstance(value, bool) != (kind == "boolean"):
        yield f"{path}: {type(value).__name__} is no {kind}"
    elif kind == "structure":
        yield from _structure(shape, value, path)
    elif kind == "list":
        yield from _length(shape, value, path)
        for n, one in enumerate(value):
            yield from faults(shape.member, one, f"{path}[{n}]")
    elif kind == "map":
        for name, one in value.items():
            yield from faults(shape.value, one, f"{path}.{name}")
    elif kind == "string":
        yield from _string(shape, value, path)
    elif kind == "blob":
        base64.b64decode(value, validate=True)
    elif kind == "timestamp" and not (math.isfinite(value) and 1.5e9 < value < 1e10):
        yield f"{path}: {value} is not in seconds since 1970"
    elif kind in BITS and not -(2 ** (BITS[kind] - 1)) <= value < 2 ** (BITS[kind] - 1):
        yield f"{path}: {value} has more than {BITS[kind]} bits"


def _structure(shape, value, path):
    for name in value.keys() - shape.members.keys():
        yield f"{path}: {name} is not a member of {shape.name}"
    for name in set(shape.required_members) - value.keys():
        yield f"{path}: {shape.name} requires {name}"
    if getattr(shape, "is_tagged_union", False) and len(value) != 1:
        yield f"{path}: {shape.name} has {sorted(value)} and not one member"
    for name in value.keys() & shape.members.keys():
        yield from faults(shape.members[name], value[name], f"{path}.{name}")


def _string(shape, value, path):
    yield from _length(shape, value, path)
    pattern = shape.metadata.get("pattern")
    if pattern and not re.fullmatch(pattern, value):
        yield f"{path}: {value!r} is not of the form {pattern}"
    # The service writes the format of results in lower case, unlike the model.
    written = value.upper() if shape.name == "ResultFormatString" else value
    if shape.enum and written not in shape.enum:
        yield f"{path}: {value!r} is not one of {shape.enum}"


def _length(shape, value, path):
    least, most = shape.metadata.get("min", 0), shape.metadata.get("max", math.inf)
    if not least <= len(value) <= most:
        yield f"{path}: {shape.name} has {len(value)} elements or characters, and not {least} to {most}"


def members(shape, path=""):
    """The paths of all members of a shape, such as `SubStatements.Error`."""
    if shape.type_name == "list":
        yield from members(shape.member, path)
    elif shape.type_name == "structure":
        for name, member in shape.members.items():
            yield path + name
            yield from members(member, f"{path}{name}.")


def present(value, path=""):
    """The paths of the members that a value has."""
    if isinstance(value, list):
        for one in value:
            yield from present(one, path)
    elif isinstance(value, dict):
        for name, member in value.items():
            yield path + name
            yield from present(member, f"{path}{name}.")


def requests(client, target, id):
    """Each operation, and a request with what its model requires and with where to look."""
    values = {"Id": id, "Sql": "SELECT 1", "Sqls": ["SELECT 1"], **target}
    for name in client.meta.service_model.operation_names:
        shape = client.meta.service_model.operation_model(name).input_shape
        has = set(shape.required_members) | (target.keys() & shape.members.keys())
        yield name, {member: values[member] for member in has}


class Seen:
    """What of the model has been answered so far."""

    def __init__(self):
        self.members = set()
        self.errors = set()


class Checked:
    """A client whose answers and errors are held to the model as they arrive, before botocore reads them."""

    def __init__(self, client, seen=None):
        self.client = client
        self.seen = seen or Seen()
        self.faults = []
        client.meta.events.register("before-parse.redshift-data", self._check)

    def _check(self, operation_model, response_dict, **_):
        name, status = operation_model.name, response_dict["status_code"]
        body = json.loads(response_dict["body"])
        self.faults += [f"{name}: {fault}" for fault in self._headers(response_dict["headers"])]
        if status == 200:
            self._hold(name, operation_model.output_shape, body)
            self.seen.members.update(f"{name}.{path}" for path in present(body))
            return
        errors = {shape.name: shape for shape in operation_model.error_shapes}
        code = body.pop("__type", None)
        if code not in errors:
            self.faults.append(f"{name}: {code} is none of {sorted(errors)}")
            return
        if status != (500 if code in SERVER_FAULTS else 400):
            self.faults.append(f"{name}: {code} has the HTTP status {status}")
        self._hold(f"{name}, {code}", errors[code], body)
        self.seen.errors.add((name, code))

    def _hold(self, what, shape, body):
        self.faults += [f"{what}: {fault}" for fault in faults(shape, body)]

    @staticmethod
    def _headers(headers):
        if (kind := headers.get("Content-Type")) != "application/x-amz-json-1.1":
            yield f"the Content-Type is {kind}"
        if not headers.get("x-amzn-RequestId"):
            yield "there is no x-amzn-RequestId"
