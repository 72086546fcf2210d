"""Makes a template that the emulator takes out of the real one.

strip.py template.yaml OUT: writes the template and the nested ones that it names below OUT, without the resources whose types the
emulator does not know, and prints what was taken out as JSON: a list of {"template", "resource", "type", "properties"}. What referred to one of
those refers to a made-up name instead.
"""

import json
import re
import sys
from pathlib import Path

import yaml
from ministack.services.cloudformation.provisioners import _RESOURCE_HANDLERS

# What the transform and the emulator turn into something else before resources are made.
TRANSFORMED = {"AWS::Serverless::Application"}
NESTED = {"AWS::Serverless::Application": "Location", "AWS::CloudFormation::Stack": "TemplateURL"}


class Loader(yaml.SafeLoader):
    """YAML with CloudFormation's short forms, which become the long ones."""


def long_form(loader, suffix, node):
    name = suffix if suffix in ("Ref", "Condition") else f"Fn::{suffix}"
    if isinstance(node, yaml.ScalarNode):
        value = loader.construct_scalar(node)
        if suffix == "GetAtt":
            value = value.split(".", 1)
    elif isinstance(node, yaml.SequenceNode):
        value = loader.construct_sequence(node, deep=True)
    else:
        value = loader.construct_mapping(node, deep=True)
    return {name: value}


Loader.add_multi_constructor("!", long_form)
# A date stays the text that it is.
Loader.add_constructor("tag:yaml.org,2002:timestamp", lambda loader, node: loader.construct_scalar(node))


def known(kind):
    return kind in _RESOURCE_HANDLERS or kind in TRANSFORMED


def without(value, gone):
    """`value` with a made-up name wherever it asks for a resource that is gone."""
    if isinstance(value, list):
        return [without(one, gone) for one in value]
    if not isinstance(value, dict):
        return value
    if value.get("Ref") in gone:
        return f"without-{value['Ref']}"
    wanted = value.get("Fn::GetAtt")
    if wanted and (wanted if isinstance(wanted, list) else wanted.split("."))[0] in gone:
        # As many parts as an ARN has: what is split stays in its place.
        return f"arn:aws:emulator:us-east-1:000000000000:kind:{'.'.join(wanted)}" if wanted[-1].endswith("Arn") else "without-" + "-".join(wanted)
    if "Fn::Sub" in value:
        text, *rest = value["Fn::Sub"] if isinstance(value["Fn::Sub"], list) else [value["Fn::Sub"]]
        for name in gone:
            text = re.sub(r"\$\{" + name + r"(\.[A-Za-z.]+)?\}", f"without-{name}", text)
        rest = without(rest, gone)
        return {"Fn::Sub": [text, *rest] if rest else text}
    return {key: without(one, gone) for key, one in value.items()}


def strip(folder, name, out, taken):
    template = yaml.load((folder / name).read_text(), Loader)
    resources = template["Resources"]
    gone = {resource for resource, body in resources.items() if not known(body["Type"])}
    for resource in sorted(gone):
        body = resources[resource]
        taken.append({"template": name, "resource": resource, "type": body["Type"], "properties": body.get("Properties", {})})
    kept = {}
    for resource, body in resources.items():
        if resource in gone:
            continue
        after = body.get("DependsOn")
        if after is not None:
            after = [one for one in ([after] if isinstance(after, str) else after) if one not in gone]
            body = {**body, "DependsOn": after} if after else {key: one for key, one in body.items() if key != "DependsOn"}
        kept[resource] = body
        place = NESTED.get(body["Type"])
        if place and isinstance(body["Properties"][place], str):
            strip(folder, body["Properties"][place], out, taken)
    template = without({**template, "Resources": kept}, gone)
    target = out / name
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_text(json.dumps(template, indent=1))


def main():
    source, out = Path(sys.argv[1]), Path(sys.argv[2])
    taken = []
    strip(source.parent, source.name, out, taken)
    print(json.dumps(taken))


main()
