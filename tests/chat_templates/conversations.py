# SPDX-License-Identifier: BSD-3-Clause
"""Twelve conversations for chat templates: what scripts/compare_chat_templates renders."""

TOOLS = [
    {
        "type": "function",
        "function": {
            "name": "get_weather",
            "description": 'Get the weather <b>"now"</b>',
            "parameters": {
                "type": "object",
                "properties": {
                    "city": {"type": "string", "description": "The city: é, 東京"},
                    "unit": {"type": "string", "enum": ["celsius", "fahrenheit"]},
                    "days": {"type": "integer", "default": 3},
                    "tags": {"type": "array", "items": {"type": "string"}},
                    "where": {
                        "type": "object",
                        "properties": {
                            "lat": {"type": "number"},
                            "lon": {"type": ["number", "null"]},
                        },
                        "required": ["lat"],
                    },
                },
                "required": ["city"],
            },
            "return": {"type": "string"},
        },
    },
    {
        "type": "function",
        "function": {
            "name": "noop",
            "description": "Nothing",
            "parameters": {"type": "object", "properties": {}},
        },
    },
]


def said(role, content, **more):
    return {"role": role, "content": content, **more}


SYSTEM = said("system", "You are terse. ")
USER = said("user", "Hello there!")
ANSWER = said("assistant", "Hi. ")
WEATHER = {"name": "get_weather", "arguments": {"city": "Paris", "days": 2, "unit": "celsius"}}
CALL = said(
    "assistant", "", tool_calls=[{"id": "call00001", "type": "function", "function": WEATHER}]
)
RESULT = said("tool", '{"t": 21.5}', tool_call_id="call00001", name="get_weather")
PARTS = [{"type": "text", "text": "What"}, {"type": "text", "text": " is this?"}]
THOUGHT = said("assistant", "<think>\nhm\n</think>\n\nFour", reasoning_content="two plus two")

CONVERSATIONS = {
    "user": {"messages": [USER]},
    "system": {"messages": [SYSTEM, USER]},
    "turns": {"messages": [SYSTEM, USER, ANSWER, said("user", "  And\nnow? ")]},
    "answered": {"messages": [USER, ANSWER], "add_generation_prompt": False},
    "parts": {"messages": [said("user", PARTS)]},
    "unicode": {
        "messages": [
            said("system", "É 東京 \u2028 <b>&\"'"),
            said("user", "it's “ß” 😀\r\n\tx"),
        ]
    },
    "wrong order": {"messages": [ANSWER, USER, USER]},
    "tools": {"messages": [SYSTEM, USER], "tools": TOOLS},
    "call": {"messages": [USER, CALL, RESULT], "tools": TOOLS},
    "calls": {
        "messages": [SYSTEM, USER, CALL, RESULT, said("assistant", "21.5."), said("user", "Oh")],
        "tools": TOOLS,
    },
    "reasoning": {"messages": [USER, THOUGHT, said("user", "Sure?")]},
    "no thinking": {
        "messages": [SYSTEM, USER, said("assistant", "Four", reasoning="2+2"), USER],
        "enable_thinking": False,
    },
}
