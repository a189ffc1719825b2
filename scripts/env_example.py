"""Write `.env.example` from `bursar.settings`; with `--check`, fail when it differs."""

import sys
import textwrap
from pathlib import Path

from pydantic import SecretStr

from bursar.settings import Settings, env_name
from generated import keep

TARGET = Path(__file__).parent.parent / ".env.example"
HEAD = """\
# Every setting of Bursar with its default, made from src/bursar/settings by `make env-example`.
# Copy to .env and change what you need; the environment wins over the file.
"""


def example() -> str:
    parts = [HEAD]
    for name, field in Settings.model_fields.items():
        default = field.default.get_secret_value() if isinstance(field.default, SecretStr) else field.default
        said = textwrap.fill(field.description or "", 108, initial_indent="# ", subsequent_indent="# ")
        parts.append(f"{said}\n# {env_name(name)}={default}\n")
    return "\n".join(parts)


if __name__ == "__main__":
    sys.exit(keep(TARGET, example().encode(), changed="settings", command="make env-example"))
