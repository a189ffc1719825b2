"""The control plane's application, made once a process: a third of a second that hundreds of tests share."""

from copy import copy
from functools import cache

import httpx2
from fastapi import FastAPI
from starlette.datastructures import State

from bursar.entrypoints.api import build_api
from bursar.rest.control import Control


def api_with(control: Control) -> httpx2.ASGITransport:
    """The application with these means: the routes are shared, what they are given is not."""
    return httpx2.ASGITransport(app=_app_with(control), raise_app_exceptions=False)


def _app_with(control: Control) -> FastAPI:
    if control.policy.origins:
        return build_api(control)  # answers browsers too: made otherwise
    app = copy(_without_means())
    app.state = State({"control": control})
    return app


@cache
def _without_means() -> FastAPI:
    return build_api(None)
