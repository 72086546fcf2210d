"""Judges request bodies by the types of the vendors' own libraries.

Reads lines of {"wire": ..., "body": ...} and prints one line of JSON for each: null, or what is wrong with it.
Unknown keys are wrong, too: the types are closed here, and their iterables are read to the end.
"""

import importlib
import json
import pkgutil
import sys
import typing

import pydantic


def closed(package):
    """Closes every typed dictionary of a package, and makes lists of what it only iterates over."""
    root = importlib.import_module(package)
    for module in [root] + [importlib.import_module(found.name) for found in pkgutil.walk_packages(root.__path__, package + ".")]:
        if hasattr(module, "Iterable"):
            module.Iterable = typing.List
        for value in vars(module).values():
            if isinstance(value, type) and hasattr(value, "__total__") and hasattr(value, "__annotations__"):
                value.__pydantic_config__ = pydantic.ConfigDict(extra="forbid", strict=True, arbitrary_types_allowed=True)


def openai_responses():
    closed("openai.types.responses")
    from openai.types.responses import response_create_params

    return response_create_params.ResponseCreateParamsNonStreaming


def openai_chat():
    closed("openai.types.chat")
    from openai.types.chat import completion_create_params

    return completion_create_params.CompletionCreateParamsNonStreaming


def anthropic():
    closed("anthropic.types")
    from anthropic.types import message_create_params

    return message_create_params.MessageCreateParamsNonStreaming


WIRES = {"openai": openai_responses, "chat": openai_chat, "anthropic": anthropic}


def main():
    judges = {}
    for line in sys.stdin:
        case = json.loads(line)
        wire = case["wire"]
        if wire not in judges:
            judges[wire] = pydantic.TypeAdapter(WIRES[wire]())
        try:
            judges[wire].validate_python(case["body"])
            verdict = None
        except pydantic.ValidationError as error:
            # The full place names every member of every union on the way.
            found = [".".join(map(str, problem["loc"][-2:])) + ": " + problem["msg"] for problem in error.errors()]
            verdict = "; ".join(found[:9])
        print(json.dumps(verdict), flush=True)


main()
