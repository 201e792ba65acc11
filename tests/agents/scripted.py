"""Runs an example of docs/agents.md with a scripted model. Needs the frameworks, not this project.

``scripted.py FRAMEWORK EXAMPLE``: prints as JSON the tools that the framework offered, and its answer.
"""

import asyncio
import importlib.util
import json
import sys

CALL = "list_dashboards"
SEEN = {"tools": [], "strict": [], "answers": []}


def filled(schema):
    """Every property with a blank value, as strict models fill in optional arguments."""
    blank = {"integer": 0, "number": 0, "boolean": False, "array": []}
    if schema.get("type") == "object":
        return {name: filled(child) for name, child in schema["properties"].items()}
    return blank.get(str(schema.get("type")), "")


def pydantic_ai():
    from pydantic_ai.messages import ModelResponse, TextPart, ToolCallPart, ToolReturnPart
    from pydantic_ai.models.function import FunctionModel

    def respond(messages, info):
        SEEN["tools"] = [tool.name for tool in info.function_tools]
        parts = [part for part in messages[-1].parts if isinstance(part, ToolReturnPart)]
        if not parts:
            return ModelResponse(parts=[ToolCallPart(CALL, {})])
        SEEN["answers"] = [str(part.content) for part in parts]
        return ModelResponse(parts=[TextPart("Done.")])

    return FunctionModel(respond)


def langchain():
    from langchain_core.language_models import BaseChatModel
    from langchain_core.messages import AIMessage, ToolMessage
    from langchain_core.outputs import ChatGeneration, ChatResult

    class Scripted(BaseChatModel):
        @property
        def _llm_type(self):
            return "scripted"

        def bind_tools(self, tools, **_given):
            SEEN["tools"] = [tool.name for tool in tools]
            return self

        def _generate(self, messages, stop=None, run_manager=None, **_given):
            message = AIMessage(content="", tool_calls=[{"name": CALL, "args": {}, "id": "1"}])
            if isinstance(messages[-1], ToolMessage):
                SEEN["answers"] = [str(messages[-1].content)]
                message = AIMessage(content="Done.")
            return ChatResult(generations=[ChatGeneration(message=message)])

    return Scripted()


def openai_agents():
    from openai.types.responses import ResponseFunctionToolCall, ResponseOutputMessage, ResponseOutputText

    from agents import Model, ModelResponse, Usage, set_tracing_disabled

    set_tracing_disabled(disabled=True)

    class Scripted(Model):
        async def get_response(self, system_instructions, input, model_settings, tools, *_rest, **_given):
            SEEN["tools"] = [tool.name for tool in tools]
            SEEN["strict"] = [tool.name for tool in tools if tool.strict_json_schema]
            answers = [item for item in input if isinstance(item, dict) and item.get("type") == "function_call_output"]
            SEEN["answers"] = [str(item["output"]) for item in answers]
            [schema] = [tool.params_json_schema for tool in tools if tool.name == CALL]
            output = (
                ResponseOutputMessage(
                    id="2", type="message", role="assistant", status="completed",
                    content=[ResponseOutputText(type="output_text", text="Done.", annotations=[])],
                )
                if answers
                else ResponseFunctionToolCall(
                    type="function_call", call_id="1", name=CALL, arguments=json.dumps(filled(schema))
                )
            )  # fmt: skip
            return ModelResponse(output=[output], usage=Usage(), response_id=None)

        def stream_response(self, *_given, **_more):
            raise NotImplementedError("the example does not stream")

    return Scripted()


MODELS = {"pydantic_ai": pydantic_ai, "langchain": langchain, "openai_agents": openai_agents}


def main(framework, path):
    spec = importlib.util.spec_from_file_location("example", path)
    example = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(example)
    SEEN["said"] = asyncio.run(example.ask("Which dashboards are there?", MODELS[framework]()))
    print(json.dumps(SEEN))


if __name__ == "__main__":
    main(*sys.argv[1:])
