"""introspect/schema.json as tests apply it: stricter than readers have to be, since a member that it doesn't describe is a fault here."""
import copy
import json
import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))
from support import SOURCE, check, skip  # noqa: E402

try:
    import jsonschema
except ImportError:
    skip("python3-jsonschema is not installed")

SCHEMA = json.loads((SOURCE / "introspect/schema.json").read_text())
jsonschema.Draft202012Validator.check_schema(SCHEMA)
# What other definitions build on does not know the members that they add.
BASES = {("$defs", "state"), ("$defs", "whereabouts"), ("$defs", "heap_profile")}


def forbid_others(node, path=()):
    """Has every object refuse members that nothing describes."""
    if isinstance(node, list):
        for item in node:
            forbid_others(item, path)
    if not isinstance(node, dict):
        return
    for key, value in node.items():
        forbid_others(value, (*path, key))
    if path and path not in BASES and node.get("type") == "object" and "properties" in node and "additionalProperties" not in node:
        node["unevaluatedProperties"] = False


STRICT = copy.deepcopy(SCHEMA)
forbid_others(STRICT)
VALIDATOR = jsonschema.Draft202012Validator(STRICT)
AS_IT_IS = jsonschema.Draft202012Validator(SCHEMA)


def problems(message, strict=True):
    """What is wrong with a message; not `strict` is quicker, for long ones of a kind that was seen before."""
    return [f"{'/'.join(map(str, e.absolute_path))}: {e.message}"[:300] for e in (VALIDATOR if strict else AS_IT_IS).iter_errors(message)]


def validate(message):
    """Returns the message, which must be one of the schema's."""
    found = problems(message)
    check(not found, f"{message.get('type')} is not valid: {found[:5]}")
    return message
