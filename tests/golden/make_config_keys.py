# SPDX-License-Identifier: BSD-3-Clause
"""io/config_keys.json: all keys of the configuration classes in transformers, {family: [key, ...]}.

usage: python make_config_keys.py FAMILY ...
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
    found = {family: keys(family) for family in sys.argv[1:]}
    (HERE / "io").mkdir(exist_ok=True)
    lines = [f" {json.dumps(f)}: {json.dumps(k)}" for f, k in found.items()]
    (HERE / "io" / "config_keys.json").write_text("{\n" + ",\n".join(lines) + "\n}\n")


if __name__ == "__main__":
    main()
