# SPDX-License-Identifier: BSD-3-Clause
"""Goldens of chat templates, as transformers renders them with Jinja2: small ones, each of which
shows one thing that Jinja or Python does, and forty long ones, put together from parts that do what
real templates do.

usage: python make_chat_templates.py
reads the templates and conversations of chat_templates/{small,long}.json and what is in
chat_templates/parts, and writes both files with what they give; README.md has the schema. A new
small template is a line {"template": ...}; what xlens refuses has "refused" with words of why.
"""

import datetime
import json
from pathlib import Path

import transformers.utils.chat_template_utils as templates

FOLDER = Path(__file__).parent / "chat_templates"
TOKENS = {"bos_token": "<s>", "eos_token": "</s>"}
DATE = "2024-07-04"
LONG = 40

# How turns begin and end in long templates: the body of a macro OPEN(role), and a text CLOSE.
MARKS = [
    ("<|begin|>{{ role }}\n", "<|finish|>\n"),
    ("<|header|>{{ role | capitalize }}<|/header|>\n\n", "<|eot|>"),
    ("[{{ role | upper }}] ", " [/{{ 0 }}]"),
    ("<turn of='{{ role }}'>\n", "</turn>\n\n"),
    ("{{ role[0] }}{{ role[1:] | title }}: ", "\n"),
]


class Midnight(datetime.datetime):
    """strftime_now shows this day."""

    @classmethod
    def now(cls, tz=None):
        return cls.fromisoformat(DATE)


def long_template(i):
    begin, close = MARKS[i % len(MARKS)]
    out = f"{{%- macro OPEN(role) -%}}{begin}{{%- endmacro -%}}\n{{%- set CLOSE = {close!r} -%}}\n"
    out += "{# Template %d #}\n" % i
    for part, step in (("system", 1), ("tools", 1), ("turns", 8), ("end", 3)):
        choices = sorted(FOLDER.glob(f"parts/{part}?.jinja"))
        out += choices[i // step % len(choices)].read_text(encoding="utf-8")
    return out.replace("\n", "\r\n") if i % 13 == 12 else out


def rendered(template, conversation):
    """{"text"} or, where Jinja fails, {"error"} with its kind and message."""
    given = {"add_generation_prompt": True, **TOKENS, **conversation}
    try:
        texts, _ = templates.render_jinja_template(
            conversations=[given.pop("messages")], chat_template=template, **given
        )
        return {"text": texts[0]}
    except Exception as error:  # noqa: BLE001: all that Jinja and Python raise
        return {"error": f"{type(error).__name__}: {error}"[:100]}


def write(name, document):
    """A case or conversation a line."""
    members = []
    for key, value in document.items():
        listed = key in ("cases", "conversations")
        lines = ",\n".join("  " + json.dumps(item) for item in value) if listed else ""
        members.append(f' "{key}": ' + (f"[\n{lines}\n ]" if listed else json.dumps(value)))
    text = "{\n" + ",\n".join(members) + "\n}\n"
    (FOLDER / name).write_text(text, encoding="utf-8")


def main():
    templates.datetime = Midnight
    small = json.loads((FOLDER / "small.json").read_text(encoding="utf-8"))
    cases = []
    for case in small["cases"]:
        new = {"template": case["template"], **rendered(case["template"], small["conversation"])}
        cases.append(new | {key: case[key] for key in ("refused",) if key in case})
    write("small.json", {"date": DATE, "conversation": small["conversation"], "cases": cases})
    conversations = json.loads((FOLDER / "long.json").read_text(encoding="utf-8"))["conversations"]
    long = []
    for i in range(LONG):
        template = long_template(i)
        texts = [rendered(template, conversation) for conversation in conversations]
        long.append({"template": template, "rendered": texts})
    write("long.json", {"date": DATE, "conversations": conversations, "cases": long})
    print(f"{len(cases)} small, {len(long)} long")


if __name__ == "__main__":
    main()
