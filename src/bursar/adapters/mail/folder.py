"""Mail into a folder, for trying things out: each message is a file that mail programs open."""

import asyncio
import os
from pathlib import Path

from bursar.adapters.mail import Mail, ServerUnusable
from bursar.adapters.mail.writing import written

FILE_MODE = 0o600
FOLDER_MODE = 0o700


class FolderMailer:
    """Writes `<message id>.eml`; a second copy of a message takes the first one's place."""

    def __init__(self, folder: Path) -> None:
        self.name = "folder"
        self._folder = folder

    async def send(self, mail: Mail) -> str:
        message = written(mail).as_bytes()
        path = self._folder / f"{mail.message_id.strip('<>').partition('@')[0]}.eml"
        try:
            await asyncio.to_thread(_write, path, message)
        except OSError as error:
            raise ServerUnusable(f"the folder for mails: {error.strerror}") from error
        return f"250 written to {path.name}"

    async def close(self) -> None:
        """Nothing is kept open."""


def _write(path: Path, message: bytes) -> None:
    """For its owner's eyes: mails carry links that open accounts."""
    path.parent.mkdir(mode=FOLDER_MODE, parents=True, exist_ok=True)
    draft = path.with_suffix(".draft")
    with os.fdopen(os.open(draft, os.O_CREAT | os.O_TRUNC | os.O_WRONLY, FILE_MODE), "wb") as file:
        file.write(message)
    draft.replace(path)
