"""What the template says for choices of parameters.

evaluate.py template.yaml CHOICE...: reads the template and the nested ones that it names, and prints as JSON, for each CHOICE ("Name=Value
Name=Value"), a list of {"file", "name", "type", "metadata", "policies", "properties"}, a row for each resource whose condition holds.
Parameters, mappings, conditions and values that one application gives to another are resolved; what only AWS knows stays as "${Name}" or
"${Name.Attribute}". So a comparison is one of plain values, as AWS would see them.
"""

import json
import re
import sys
from functools import cache
from pathlib import Path

from cfnlint.decode import cfn_yaml

PSEUDO = {"AWS::Region": "us-east-1", "AWS::AccountId": "123456789012", "AWS::Partition": "aws", "AWS::URLSuffix": "amazonaws.com"}
NOTHING = object()


def plain(value):
    """Without the parser's own kinds of dict, list and text."""
    if isinstance(value, dict):
        return {str(key): plain(one) for key, one in value.items()}
    if isinstance(value, list):
        return [plain(one) for one in value]
    return str(value) if isinstance(value, str) else value


@cache
def read(path):
    return plain(cfn_yaml.load(str(path)))


class File:
    """One template with its parameters."""

    def __init__(self, path, given):
        self.path = path
        self.template = read(path)
        self.parameters = {}
        for name, declared in self.template.get("Parameters", {}).items():
            value = given.pop(name, declared.get("Default"))
            if value is None:
                sys.exit(f"{path}: nobody gives {name}")
            if value not in declared.get("AllowedValues", [value]) and str(value) not in map(str, declared["AllowedValues"]):
                sys.exit(f"{path}: {name} is {value!r}: expected one of {declared['AllowedValues']}")
            self.parameters[name] = value
        if given:
            sys.exit(f"{path}: nobody knows {sorted(given)}")
        self.outputs = {}

    def holds(self, condition):
        if isinstance(condition, str):
            return self.holds(self.template["Conditions"][condition])
        (kind, of), = condition.items()
        match kind:
            case "Condition":
                return self.holds(of)
            case "Fn::Equals":
                left, right = self.value(of[0]), self.value(of[1])
                return str(left) == str(right)
            case "Fn::Not":
                return not self.holds(of[0])
            case "Fn::And":
                return all(map(self.holds, of))
            case "Fn::Or":
                return any(map(self.holds, of))
        sys.exit(f"{self.path}: what is {kind}?")

    def name(self, name):
        if name in self.parameters:
            return self.parameters[name]
        if name == "AWS::NoValue":
            return NOTHING
        if name in PSEUDO:
            return PSEUDO[name]
        if name not in self.template["Resources"]:
            sys.exit(f"{self.path}: there is no {name}")
        return "${" + name + "}"

    def attribute(self, path):
        resource, attribute = path.split(".", 1)
        if attribute.startswith("Outputs."):
            outputs = self.outputs[resource]
            return outputs[attribute.removeprefix("Outputs.")]
        if resource not in self.template["Resources"]:
            sys.exit(f"{self.path}: there is no {resource}")
        return "${" + path + "}"

    def value(self, value):
        if isinstance(value, list):
            return [one for one in map(self.value, value) if one is not NOTHING]
        if not isinstance(value, dict):
            return value
        if len(value) == 1:
            (kind, of), = value.items()
            match kind:
                case "Ref":
                    return self.name(of)
                case "Fn::GetAtt":
                    return self.attribute(of if isinstance(of, str) else ".".join(of))
                case "Fn::If":
                    return self.value(of[1] if self.holds(of[0]) else of[2])
                case "Fn::FindInMap":
                    name, first, second = (self.value(one) for one in of)
                    return self.template["Mappings"][name][first][second]
                case "Fn::Join":
                    return of[0].join(map(str, self.value(of[1])))
                case "Fn::Select":
                    return self.value(of[1])[int(of[0])]
                case "Fn::Split":
                    parts = self.value(of[1]).split(of[0])
                    return parts if len(parts) > 6 else parts + ["${part}"] * 7
                case "Fn::Sub":
                    text, own = (of, {}) if isinstance(of, str) else (of[0], self.value(of[1]))
                    def one(found):
                        name = found[1]
                        return str(own[name] if name in own else self.attribute(name) if "." in name else self.name(name))
                    return re.sub(r"\$\{([^!}]+)\}", one, text)
        resolved = {key: self.value(one) for key, one in value.items()}
        return {key: one for key, one in resolved.items() if one is not NOTHING}

    def rows(self, root):
        rows = []
        for name, body in self.template["Resources"].items():
            if "Condition" in body and not self.holds(body["Condition"]):
                continue
            properties = self.value(body.get("Properties", {}))
            if body["Type"] == "AWS::Serverless::Application":
                nested = File(root / properties["Location"], dict(properties["Parameters"]))
                rows += nested.rows(root)
                self.outputs[name] = {key: nested.value(one["Value"]) for key, one in nested.template.get("Outputs", {}).items()}
            rows.append({
                "file": str(self.path.relative_to(root)),
                "name": name,
                "type": body["Type"],
                "metadata": body.get("Metadata", {}),
                "policies": [body.get("DeletionPolicy"), body.get("UpdateReplacePolicy")],
                "properties": properties,
            })
        return rows


path = Path(sys.argv[1]).resolve()
choices = [dict(one.split("=", 1) for one in choice.split()) for choice in sys.argv[2:]]
print(json.dumps([File(path, choice).rows(path.parent) for choice in choices]))
