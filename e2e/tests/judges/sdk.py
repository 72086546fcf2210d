"""Judges request bodies by the types of the vendors' own libraries.

Reads lines of {"wire": ..., "body": ...} and prints one line of JSON for each: null, or what is wrong with it.
Unknown keys are wrong, too: the types are closed here, and their iterables are read to the end. Google's are closed as
they are; AWS's are a model of the service, which its library validates by.
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

    return by_type(response_create_params.ResponseCreateParamsNonStreaming)


def openai_chat():
    closed("openai.types.chat")
    from openai.types.chat import completion_create_params

    return by_type(completion_create_params.CompletionCreateParamsNonStreaming)


def anthropic():
    closed("anthropic.types")
    from anthropic.types import message_create_params

    return by_type(message_create_params.MessageCreateParamsNonStreaming)


def google():
    from google.genai import types

    class Body(pydantic.BaseModel):
        model_config = pydantic.ConfigDict(extra="forbid")
        systemInstruction: typing.Optional[types.Content] = None
        contents: typing.List[types.Content]
        tools: typing.Optional[typing.List[types.Tool]] = None
        toolConfig: typing.Optional[types.ToolConfig] = None
        generationConfig: types.GenerationConfig

    # Bytes are base64 in JSON alone.
    return lambda body: complaints(lambda: Body.model_validate_json(json.dumps(body)))


def bedrock():
    import botocore.session
    from botocore.validate import ParamValidator

    service = botocore.session.get_session().get_service_model("bedrock-runtime")
    shape = service.operation_model("Converse").input_shape

    def judge(body):
        # The model's id is part of the address.
        report = ParamValidator().validate({**body, "modelId": "m"}, shape)
        return report.generate_report() if report.has_errors() else None

    return judge


def by_type(accepted):
    adapter = pydantic.TypeAdapter(accepted)
    return lambda body: complaints(lambda: adapter.validate_python(body))


def complaints(validate):
    try:
        validate()
        return None
    except pydantic.ValidationError as error:
        # The full place names every member of every union on the way.
        found = [".".join(map(str, problem["loc"][-2:])) + ": " + problem["msg"] for problem in error.errors()]
        return "; ".join(found[:9])


WIRES = {"openai": openai_responses, "chat": openai_chat, "anthropic": anthropic, "google": google, "bedrock": bedrock}


def main():
    judges = {}
    for line in sys.stdin:
        case = json.loads(line)
        wire = case["wire"]
        if wire not in judges:
            judges[wire] = WIRES[wire]()
        print(json.dumps(judges[wire](case["body"])), flush=True)


main()
