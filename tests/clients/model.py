"""Holds an answer to the API's model, which botocore itself does not: it leaves out what it does not know, and misses nothing."""

import base64
import json
import math


def faults(shape, value, path="$"):
    """What is wrong with a value of the JSON protocol, each with its path; nothing if it is of that shape."""
    kinds = {
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
    words = ("NaN", "Infinity", "-Infinity")
    if shape.type_name in ("float", "double") and value in words:
        return
    if not isinstance(value, kinds[shape.type_name]) or isinstance(value, bool) != (shape.type_name == "boolean"):
        yield f"{path}: {type(value).__name__} is no {shape.type_name}"
    elif shape.type_name == "structure":
        for name in value.keys() - shape.members.keys():
            yield f"{path}: {name} is not a member of {shape.name}"
        for name in set(shape.required_members) - value.keys():
            yield f"{path}: {shape.name} requires {name}"
        if getattr(shape, "is_tagged_union", False) and len(value) != 1:
            yield f"{path}: {shape.name} has {sorted(value)} and not one member"
        for name in value.keys() & shape.members.keys():
            yield from faults(shape.members[name], value[name], f"{path}.{name}")
    elif shape.type_name == "list":
        for n, one in enumerate(value):
            yield from faults(shape.member, one, f"{path}[{n}]")
    elif shape.type_name == "map":
        for name, one in value.items():
            yield from faults(shape.value, one, f"{path}.{name}")
    elif shape.type_name == "string" and getattr(shape, "enum", []) and value.upper() not in shape.enum:
        # ResultFormat is "json" where the model has "JSON": the service writes it so.
        yield f"{path}: {value!r} is not one of {shape.enum}"
    elif shape.type_name == "blob":
        base64.b64decode(value, validate=True)
    elif shape.type_name == "timestamp" and not (math.isfinite(value) and 1.5e9 < value < 1e10):
        yield f"{path}: {value} is not in seconds since 1970"


class Checked:
    """A client whose answers and errors are held to the model as they arrive; `operations` has those that were."""

    def __init__(self, client):
        self.client = client
        self.operations = set()
        self.faults = []
        client.meta.events.register("before-parse.redshift-data", self._check)

    def _check(self, operation_model, response_dict, **_):
        body = json.loads(response_dict["body"])
        name = operation_model.name
        self.operations.add(name)
        if response_dict["status_code"] < 300:
            self.faults += [f"{name}: {fault}" for fault in faults(operation_model.output_shape, body)]
            return
        errors = {shape.name: shape for shape in operation_model.error_shapes}
        code = body.pop("__type", None)
        if code not in errors:
            self.faults.append(f"{name}: {code} is none of {sorted(errors)}")
        else:
            self.faults += [f"{name}: {fault}" for fault in faults(errors[code], body)]
