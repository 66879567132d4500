# SPDX-License-Identifier: BSD-3-Clause
"""io/config_keys.json: all keys of the configuration classes in transformers, {family: [key, ...]}.

usage: python make_config_keys.py [FAMILY ...]
Of the families that the file has, which are made again, and of these.
"""

import json
import sys
from pathlib import Path

from transformers.models.auto.configuration_auto import CONFIG_MAPPING

HERE = Path(__file__).parent


def keys(family):
    config = CONFIG_MAPPING[family]()
    inside = getattr(config, "attn_config", None)  # MPT's
    if inside is None:
        return sorted(config.to_dict())
    generic = CONFIG_MAPPING["llama"]().to_dict()
    nested = [f"attn_config.{k}" for k in inside.to_dict() if k not in generic]
    return sorted([*config.to_dict(), *nested])


def main():
    file = HERE / "io" / "config_keys.json"
    found = {family: keys(family) for family in [*json.loads(file.read_text()), *sys.argv[1:]]}
    lines = [f" {json.dumps(f)}: {json.dumps(k)}" for f, k in found.items()]
    file.write_text("{\n" + ",\n".join(lines) + "\n}\n")


if __name__ == "__main__":
    main()
