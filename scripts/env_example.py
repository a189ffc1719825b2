"""Write `.env.example` from `bursar.settings`; with `--check`, fail when it differs."""

import argparse
import sys
import textwrap
from pathlib import Path

from pydantic import SecretStr

from bursar.settings import Settings, env_name

TARGET = Path(__file__).parent.parent / ".env.example"
HEAD = """\
# Every setting of Bursar with its default, made from src/bursar/settings.py by `make env-example`.
# Copy to .env and change what you need; the environment wins over the file.
"""


def example() -> str:
    parts = [HEAD]
    for name, field in Settings.model_fields.items():
        default = field.default.get_secret_value() if isinstance(field.default, SecretStr) else field.default
        said = textwrap.fill(field.description or "", 108, initial_indent="# ", subsequent_indent="# ")
        parts.append(f"{said}\n# {env_name(name)}={default}\n")
    return "\n".join(parts)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true")
    if parser.parse_args().check:
        if TARGET.exists() and TARGET.read_text() == example():
            return 0
        sys.stderr.write("settings changed but .env.example did not; run: make env-example\n")
        return 1
    TARGET.write_text(example())
    return 0


if __name__ == "__main__":
    sys.exit(main())
