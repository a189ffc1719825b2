"""Where a browser may be sent afterwards: to paths of our own, nowhere else. Pure."""

import re
from typing import Final

from bursar.rest.problems import Invalid

PATH_LENGTH_MAX: Final = 500
HOME: Final = "/"
# Browsers take `//host` and `/\host` for another host, and drop tabs and line ends before they look.
OWN_PATH: Final = re.compile(r"/(?![/\\])[!-\[\]-~]*")


class ReturnPathInvalid(Invalid):
    code = "return_path_invalid"

    def __init__(self) -> None:
        super().__init__("return_to: must be a path of this server, such as /keys.")


def own_path(given: str | None) -> str:
    """The path, or the home page when none is given. Raises `ReturnPathInvalid`."""
    if not given:
        return HOME
    if len(given) > PATH_LENGTH_MAX or not OWN_PATH.fullmatch(given):
        raise ReturnPathInvalid
    return given
