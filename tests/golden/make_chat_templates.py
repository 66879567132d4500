# SPDX-License-Identifier: BSD-3-Clause
"""Goldens of chat templates: small ones (chat_template_cases.py) and long ones
(chat_template_long.py), as transformers renders them with Jinja2.

usage: python make_chat_templates.py
writes chat_templates/{small,long}.json; README.md has the schema
"""

import datetime
import json
import sys
from pathlib import Path

import transformers.utils.chat_template_utils as templates

from chat_template_cases import CONTEXT, REFUSED, SMALL
from chat_template_long import CONVERSATIONS, LONG

OUT = Path(__file__).parent / "chat_templates"
TOKENS = {"bos_token": "<s>", "eos_token": "</s>"}
DATE = "2024-07-04"


class Midnight(datetime.datetime):
    """strftime_now shows this day."""

    @classmethod
    def now(cls, tz=None):
        return cls.fromisoformat(DATE)


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


def lines(name, cases):
    return f' "{name}": [\n' + ",\n".join("  " + json.dumps(c) for c in cases) + "\n ]"


def main():
    templates.datetime = Midnight
    sys.setrecursionlimit(1000)
    OUT.mkdir(exist_ok=True)
    small = [{"template": t, **rendered(t, CONTEXT)} for t in SMALL]
    for template, why in REFUSED.items():
        small.append({"template": template, **rendered(template, CONTEXT), "refused": why})
    head = f'{{\n "date": "{DATE}",\n "conversation": {json.dumps(CONTEXT)},\n'
    (OUT / "small.json").write_text(head + lines("cases", small) + "\n}\n", encoding="utf-8")
    long = []
    for name, template in LONG.items():
        texts = [rendered(template, c) for c in CONVERSATIONS]
        long.append({"name": name, "template": template, "rendered": texts})
    head = f'{{\n "date": "{DATE}",\n' + lines("conversations", CONVERSATIONS) + ",\n"
    (OUT / "long.json").write_text(head + lines("cases", long) + "\n}\n", encoding="utf-8")
    errors = sum("error" in c for c in small), sum("error" in r for c in long for r in c["rendered"])
    print(f"{len(small)} small ({errors[0]} errors), {len(long)} long ({errors[1]} errors)")


if __name__ == "__main__":
    main()
