#!/usr/bin/python3
"""introspect/PROTOCOL.md has each verb, argument and error of protocol.h, and each member of each message of schema.json.

Between a line `<!-- NAME -->` and the next `<!-- end -->` stands what this script makes of the tables. Usage: protocol_md.py [write],
the latter to put it there.
"""
import json
import pathlib
import re
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))
from support import SOURCE, check, equal

PATH = SOURCE / "introspect/PROTOCOL.md"
SCHEMA = json.loads((SOURCE / "introspect/schema.json").read_text())


def table_rows(name):
    """The rows of one of protocol.h's tables; strings that stand side by side are one."""
    text = (SOURCE / "introspect/protocol.h").read_text()
    body = re.search(rf"#define {name}\(X\) (?:\\\n.*)+?(?<!\\)\n", text)[0].replace("\\\n", " ")
    body = re.sub(r'"\s+"', "", body)
    rows = re.findall(r'X\((\w+),((?:\s*"(?:[^"\\]|\\.)*",?)+)\)', body)
    return [(key, re.findall(r'"((?:[^"\\]|\\.)*)"', strings)) for key, strings in rows]


def cell(text):
    return text.replace("|", "\\|")


def verbs():
    yield "| verb | arguments | what it does, and the type of the answer |"
    yield "|---|---|---|"
    for name, (arguments, meaning) in table_rows("HAK_PROTOCOL_VERBS"):
        words = " ".join(f"`{word}`" for word in arguments.split())
        yield f"| `{name}` | {words} | {cell(meaning)} |"


def errors():
    yield "| code | meaning |"
    yield "|---|---|"
    for name, (meaning,) in table_rows("HAK_PROTOCOL_ERRORS"):
        yield f"| `{name}` | {cell(meaning)} |"


def resolved(node):
    """What a $ref points to, with what stands beside it on top."""
    while "$ref" in node:
        target = SCHEMA
        for part in node["$ref"].lstrip("#/").split("/"):
            target = target[part]
        node = {**target, **{key: value for key, value in node.items() if key != "$ref"}}
    return node


def kind(node):
    if "const" in node:
        return json.dumps(node["const"])
    if "enum" in node:
        return "one of " + ", ".join(map(str, node["enum"]))
    kinds = node.get("type", "any")
    if isinstance(kinds, str):
        kinds = [kinds]
    if "0x" in node.get("pattern", ""):
        kinds = ["address" if one == "string" else one for one in kinds]
    return " or ".join(kinds)


def members(node, prefix, required=True):
    """A row for each member, depth first: what is below a member has its name in front."""
    node = resolved(node)
    for part in node.get("allOf", ()):
        yield from members(part, prefix)
    for name, raw in node.get("properties", {}).items():
        member = resolved(raw)
        optional = "" if not required or name in node.get("required", ()) else ", may be absent"
        yield f"| `{prefix}{name}` | {kind(member)}{optional} | {cell(member.get('description', ''))} |"
        if raw.get("$ref", "").startswith("#/$defs/state/properties/") or name == "schema":
            continue  # described with the snapshot
        yield from members(member, f"{prefix}{name}.")
        if "items" in member:
            if "$ref" in member["items"] and member["items"]["$ref"].startswith("#/$defs/state/properties/"):
                continue
            yield from members(member["items"], f"{prefix}{name}[].")
            for number, column in enumerate(resolved(member["items"]).get("prefixItems", ())):
                yield f"| `{prefix}{name}[][{number}]` | {kind(column)} | {cell(column['description'])} |"


def message(name):
    node = SCHEMA["$defs"][name]
    yield f"{node['description'][0].upper()}{node['description'][1:]}."
    yield ""
    yield "| member | value | what it is |"
    yield "|---|---|---|"
    if name != "state":
        node = {**node, "allOf": [part for part in node.get("allOf", ()) if part != {"$ref": "#/$defs/state"}]}
    yield from members(node, "")


def generated():
    sections = {"verbs": verbs, "errors": errors}
    for name in ["state", *SCHEMA["properties"]["type"]["enum"]]:
        sections[name] = lambda name=name: message(name)
    return {name: "\n".join(make()) for name, make in sections.items()}


def main():
    text = PATH.read_text()
    parts = generated()
    marked = re.findall(r"<!-- (\w+) -->\n", text)
    equal(sorted(set(marked) - {"end"}), sorted(parts), "sections")
    for name, part in parts.items():
        check(len(part.splitlines()) > 3, f"nothing was made of {name}")
        text = re.sub(rf"(<!-- {name} -->\n).*?(<!-- end -->)", lambda found, part=part: found[1] + part + "\n" + found[2],
                      text, flags=re.S)
    if sys.argv[1:] == ["write"]:
        PATH.write_text(text)
    check(text == PATH.read_text(), "PROTOCOL.md differs from the tables: tests/table/protocol_md.py write")


main()
