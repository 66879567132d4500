# SPDX-License-Identifier: BSD-3-Clause
"""Forty long chat templates, put together from parts that do what real templates do: system
messages found in other ways, tools shown as JSON, XML, TypeScript or Python, calls and reasoning
written and left out, roles checked. CONVERSATIONS is what they are given."""

PLACE = {
    "type": "object",
    "properties": {"lat": {"type": "number"}, "lon": {"type": ["number", "null"]}},
    "required": ["lat"],
}
TOOLS = [
    {
        "type": "function",
        "function": {
            "name": "weather",
            "description": 'The weather <now>, "exactly" & é 東京',
            "parameters": {
                "type": "object",
                "properties": {
                    "city": {"type": "string", "description": "Where"},
                    "unit": {"type": "string", "enum": ["c", "f"], "default": "c"},
                    "days": {"type": "integer", "default": 3},
                    "tags": {"type": "array", "items": {"type": "string"}},
                    "place": PLACE,
                },
                "required": ["city"],
            },
        },
    },
    {"type": "function", "function": {"name": "noop", "parameters": {"type": "object"}}},
]
CALL = {
    "role": "assistant",
    "content": "Let me see.",
    "tool_calls": [
        {"id": "c1", "type": "function", "function": {"name": "weather", "arguments": {"days": 2, "city": "Paris", "tags": ["a", None]}}},
        {"id": "c2", "type": "function", "function": {"name": "noop", "arguments": {}}},
    ],
}  # fmt: skip
SYSTEM = {"role": "system", "content": "  You are terse.\n"}
USER = {"role": "user", "content": " Hello “there” 😀 "}
CONVERSATIONS = [
    {"messages": [USER]},
    {"messages": [SYSTEM, USER, {"role": "assistant", "content": "<think>\nhm\n</think>\n\nHi. "}, {"role": "user", "content": "And\n now?"}]},
    {"messages": [SYSTEM, USER, CALL, {"role": "tool", "tool_call_id": "c1", "name": "weather", "content": '{"t": 21.5}'}, {"role": "tool", "tool_call_id": "c2", "content": "done"}], "tools": TOOLS},
    {"messages": [{"role": "user", "content": [{"type": "text", "text": "What"}, {"type": "image"}, {"type": "text", "text": " is it?"}]}, {"role": "assistant", "content": "Four", "reasoning_content": "2+2"}, USER], "enable_thinking": False},
    {"messages": [USER, USER], "tools": TOOLS[1:]},
    {"messages": [{"role": "assistant", "content": "I begin"}], "add_generation_prompt": False},
]  # fmt: skip

SYSTEM_PARTS = [
    # The first message, cut off.
    """{%- if messages[0]['role'] == 'system' %}
    {%- set system_message = messages[0]['content'] | trim %}
    {%- set loop_messages = messages[1:] %}
{%- else %}
    {%- set system_message = "" %}
    {%- set loop_messages = messages %}
{%- endif %}
{{- bos_token }}
{%- if system_message != "" %}{{- OPEN('system') + system_message + CLOSE }}{%- endif %}
""",
    # All of them, joined, through a namespace.
    """{% set ns = namespace(system='', count=0) %}
{% for message in messages if message.role in ['system', 'developer'] %}
{% set ns.system = ns.system ~ ('\\n\\n' if not loop.first else '') ~ message.content %}
{% set ns.count = ns.count + 1 %}
{% endfor %}
{% set loop_messages = messages | rejectattr('role', 'in', ['system', 'developer']) | list %}
{{ bos_token }}{% if ns.count %}{{ OPEN('system') }}{{ ns.system.strip() }}{{ CLOSE }}{% endif %}
""",
    # With the date and a default.
    """{%- set date_string = date_string if date_string is defined else strftime_now("%d %b %Y") -%}
{%- set default_system %}
You are a helpful assistant.
Today is {{ date_string }}.
{%- endset -%}
{%- set loop_messages = messages -%}
{%- if loop_messages and loop_messages[0].role == 'system' -%}
{%- set system_message = loop_messages[0].content -%}
{%- set loop_messages = loop_messages[1:] -%}
{%- else -%}
{%- set system_message = default_system | trim -%}
{%- endif -%}
{{- OPEN('system') -}}{{- system_message | replace('\\n', ' ') | trim -}}{{- CLOSE -}}
""",
    # By a macro, over parts of content.
    """{%- macro text_of(content) -%}
{%- if content is string -%}{{ content }}
{%- elif content is iterable and content is not mapping -%}
{%- for part in content -%}
{%- if part.type == 'text' -%}{{ part.text }}{%- else -%}<{{ part['type'] }}/>{%- endif -%}
{%- endfor -%}
{%- elif content is none or content is undefined -%}
{%- else -%}{{ raise_exception('Unexpected content') }}{%- endif -%}
{%- endmacro -%}
{%- set system = messages | selectattr('role', 'equalto', 'system') | map(attribute='content') | list -%}
{%- set loop_messages = messages | rejectattr('role', 'equalto', 'system') | list -%}
{%- if system -%}{{ OPEN('system') ~ text_of(system | first) ~ CLOSE }}{%- endif -%}
""",
]

TOOL_PARTS = [
    """{%- if tools %}
    {{- OPEN('tools') + '\\n<tools>' }}
    {%- for tool in tools %}
        {{- '\\n' }}{{- tool | tojson }}
    {%- endfor %}
    {{- '\\n</tools>' + CLOSE }}
{%- endif %}
""",
    """{% if tools is not none and tools | length > 0 %}
{{ OPEN('tools') }}
{% for tool in tools %}
{{ tool.function | tojson(indent=4) }}
{% if not loop.last %}

{% endif %}
{% endfor %}
{{ CLOSE }}
{% endif %}
""",
    """{%- macro ts(schema, indent='') -%}
{%- set kind = schema.type if schema.type is defined else 'any' -%}
{%- if kind is not string and kind is iterable -%}{{ kind | join(' | ') }}
{%- elif kind == 'object' -%}
{%- if schema.properties -%}{
{%- for name, inner in schema.properties | dictsort %}

{{ indent }}  {{ name }}{{ '' if name in (schema.required or []) else '?' }}: {{ ts(inner, indent ~ '  ') }},
{%- if inner.default is defined %} // default: {{ inner.default | tojson }}{% endif %}
{%- endfor %}

{{ indent }}}{%- else -%}{}{%- endif -%}
{%- elif kind == 'array' -%}{{ ts(schema['items'] or {}) }}[]
{%- elif schema.enum -%}{{ '"' ~ schema.enum | join('" | "') ~ '"' }}
{%- else -%}{{ {'integer': 'number', 'number': 'number', 'string': 'string'}.get(kind, kind) }}{%- endif -%}
{%- endmacro -%}
{%- if tools %}{{ OPEN('tools') }}
{%- for tool in tools | map(attribute='function') %}
// {{ tool.description | default('none', true) | replace('\\n', '\\n// ') }}
type {{ tool['name'] }} = (_: {{ ts(tool.parameters) }}) => any;
{% endfor %}{{ CLOSE }}{% endif %}
""",
    """{%- macro extra(object, handled) %}
    {%- for key in object if key not in handled %}
        {%- set value = object[key] %}
        {%- if value is mapping or (value is sequence and value is not string) %}
            {{- '\\n<' ~ key ~ '>' ~ (value | tojson) ~ '</' ~ key ~ '>' }}
        {%- else %}
            {{- '\\n<' ~ key ~ '>' ~ (value | string) ~ '</' ~ key ~ '>' }}
        {%- endif %}
    {%- endfor %}
{%- endmacro %}
{%- if tools is iterable and tools | length > 0 %}
    {{- OPEN('tools') }}
    {%- for tool in tools %}
        {%- if tool.function is defined %}{%- set tool = tool.function %}{%- endif %}
        {{- '\\n<function>\\n<name>' ~ tool.name ~ '</name>' }}
        {%- if tool.parameters is mapping and tool.parameters.properties is mapping %}
            {%- for name, fields in tool.parameters.properties | items %}
                {{- '\\n<parameter name="' ~ name ~ '">' }}{{- extra(fields, ['type', 'items']) }}{{- '</parameter>' }}
            {%- endfor %}
        {%- endif %}
        {{- extra(tool, ['name', 'parameters']) }}{{- '\\n</function>' }}
    {%- endfor %}
    {{- CLOSE }}
{%- endif %}
""",
    """{% macro py_type(p) %}{% if p.type == 'array' %}list[{{ py_type(p['items']) }}]{% elif p.type is string %}{{ {'string': 'str', 'integer': 'int', 'number': 'float'}[p.type] | default('dict') }}{% else %}Any{% endif %}{% endmacro %}
{% if tools %}
{% set names = [] %}
{% for tool in tools %}{% set names = names + [tool.function.name] %}{% endfor %}
{{ OPEN('tools') }}{{ tools | map(attribute='function.name') | join(', ') }} {{ tools | length }}
{% for tool in tools %}
def {{ tool.function.name }}({% for n, p in (tool.function.parameters.properties or {}).items() %}{{ n }}: {{ py_type(p) }}{% if 'default' in p %} = {{ p.default }}{% endif %}{{ ', ' if not loop.last }}{% endfor %}):
{% if tool.function.description %}    \"\"\"{{ tool.function.description | indent(4) }}\"\"\"{% endif %}

{% endfor %}
{{ CLOSE }}{% endif %}
""",
]

LOOP_PARTS = [
    """{%- for message in loop_messages %}
    {%- if (message['role'] == 'user') != (loop.index0 % 2 == 0) and not message.tool_calls and message.role != 'tool' %}
        {{- raise_exception('Roles must alternate user/assistant/user/assistant/...') }}
    {%- endif %}
    {{- OPEN(message.role) }}
    {%- if message.content is string %}{{- message.content.strip() }}{%- endif %}
    {{- CLOSE }}
{%- endfor %}
""",
    """{% for message in loop_messages %}
{% if message.role == 'user' %}
{{ OPEN('user') }}{% if message.content is string %}{{ message.content }}{% else %}{% for part in message.content %}{% if part.type == 'text' %}{{ part.text }}{% elif part.type == 'image' %}<image {{ loop.index }}>{% endif %}{% endfor %}{% endif %}{{ CLOSE }}
{% elif message.role == 'assistant' %}
{{ OPEN('assistant') }}{% generation %}{{ message.content }}{% if message.tool_calls %}{% for call in message.tool_calls %}

<call>{{ call.function.name }}{{ call.function.arguments | tojson }}</call>{% endfor %}{% endif %}{% endgeneration %}{{ CLOSE }}
{% elif message.role == 'tool' %}
{{ OPEN('tool') }}{{ message.name | default('unknown') }}: {{ message.content }}{{ CLOSE }}
{% else %}
{{ raise_exception('Unknown role: ' ~ message.role) }}
{% endif %}
{% endfor %}
""",
    """{%- set ns2 = namespace(last_query_index=loop_messages | length - 1, found=false) %}
{%- for message in loop_messages[::-1] %}
    {%- set index = (loop_messages | length - 1) - loop.index0 %}
    {%- if not ns2.found and message.role == 'user' and message.content is string %}
        {%- set ns2.found = true %}{%- set ns2.last_query_index = index %}
    {%- endif %}
{%- endfor %}
{%- for message in loop_messages %}
    {%- set content = message.content if message.content is string else '' %}
    {%- set reasoning = '' %}
    {%- if message.reasoning_content is string %}
        {%- set reasoning = message.reasoning_content %}
    {%- elif '</think>' in content %}
        {%- set reasoning = content.split('</think>')[0].rstrip('\\n').split('<think>')[-1].lstrip('\\n') %}
        {%- set content = content.split('</think>')[-1].lstrip('\\n') %}
    {%- endif %}
    {%- if message.role == 'assistant' and loop.index0 > ns2.last_query_index %}
        {{- OPEN('assistant') + '<think>' + reasoning.strip() + '</think>' + content + CLOSE }}
    {%- elif message.role == 'tool' %}
        {%- if loop.first or loop_messages[loop.index0 - 1].role != 'tool' %}{{- OPEN('tool') }}{%- endif %}
        {{- '\\n<response>\\n' ~ content ~ '\\n</response>' }}
        {%- if loop.last or loop_messages[loop.index0 + 1].role != 'tool' %}{{- CLOSE }}{%- endif %}
    {%- else %}
        {{- OPEN(message.role) + content + CLOSE }}
    {%- endif %}
{%- endfor %}
""",
    """{%- for m in loop_messages -%}
{%- set role = 'model' if m['role'] == 'assistant' else m['role'] -%}
{%- if loop.previtem is defined and loop.previtem.role == m.role and role == 'user' -%}
{{ raise_exception('Two turns of ' + role) }}
{%- endif -%}
{{ OPEN(role) }}
{%- for part in ([{'type': 'text', 'text': m.content}] if m.content is string else m.content or []) -%}
{%- if part['type'] != 'text' -%}{%- continue -%}{%- endif -%}
{{ part['text'] | trim }}
{%- endfor -%}
{%- for call in m.tool_calls or [] -%}
{%- set f = call.function -%}
{{ '\\n[' ~ f.name ~ '(' }}
{%- for k, v in f.arguments.items() -%}
{{ k }}={{ v if v is number else v | tojson }}{{ ', ' if not loop.last else '' }}
{%- endfor -%}{{ ')]' }}
{%- endfor -%}
{{ CLOSE }}
{%- if loop.nextitem is defined and loop.nextitem.role == 'tool' and m.role == 'assistant' -%}{{ '<wait>' }}{%- endif -%}
{%- endfor -%}
""",
    """{%- macro show(message, number) -%}
{{ OPEN(message.role) }}#{{ number }} {{ caller(message) }}{{ CLOSE }}
{%- endmacro -%}
{%- for message in loop_messages -%}
{%- call(m) show(message, loop.index) -%}
{%- if m.content is string -%}{{ m.content | upper if m.role == 'tool' else m.content | trim }}{%- else -%}{{ m.content | selectattr('type', 'equalto', 'text') | map(attribute='text') | join }}{%- endif -%}
{%- with calls = m.tool_calls | default([]) -%}
{%- if calls -%}{{ ' calls ' ~ calls | map(attribute='function.name') | sort | join(' & ') ~ ' ' ~ calls[0].function.arguments }}{%- endif -%}
{%- endwith -%}
{%- endcall -%}
{%- endfor -%}
""",
]

END_PARTS = [
    "{%- if add_generation_prompt %}\n    {{- OPEN('assistant') }}\n{%- endif %}\n",
    "{% if add_generation_prompt %}{{ OPEN('assistant') }}{% if enable_thinking is defined and enable_thinking is false %}{{ '<think>\\n\\n</think>\\n\\n' }}{% endif %}{% endif %}",
    "{%- if add_generation_prompt and loop_messages[-1]['role'] != 'assistant' -%}\n{{ OPEN('assistant') | trim }}\n{%- elif not add_generation_prompt -%}\n{{ eos_token }}\n{%- endif -%}\n",
]

# How turns begin and end; OPEN is a macro, CLOSE a text.
MARKS = [
    ("<|begin|>{{ role }}\n", "<|finish|>\n"),
    ("<|header|>{{ role | capitalize }}<|/header|>\n\n", "<|eot|>"),
    ("[{{ role | upper }}] ", " [/{{ 0 }}]"),
    ("<turn of='{{ role }}'>\n", "</turn>\n\n"),
    ("{{ role[0] }}{{ role[1:] | title }}: ", "\n"),
]


def template(i):
    begin, close = MARKS[i % len(MARKS)]
    marks = f"{{%- macro OPEN(role) -%}}{begin}{{%- endmacro -%}}\n{{%- set CLOSE = {close!r} -%}}\n"
    parts = [group[i // step % len(group)] for group, step in
             ((SYSTEM_PARTS, 1), (TOOL_PARTS, 1), (LOOP_PARTS, 8), (END_PARTS, 3))]  # fmt: skip
    out = marks + "{# Template %d #}\n" % i + "".join(parts)
    return out.replace("\n", "\r\n") if i % 13 == 12 else out


LONG = {f"long{i}": template(i) for i in range(40)}
