"""The control plane as one FastAPI application: `/api/v1`, its OpenAPI document and self-hosted `/docs`."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from importlib.metadata import version
from importlib.resources import files

import orjson
from fastapi import APIRouter, Depends, FastAPI
from fastapi.openapi.docs import get_swagger_ui_html
from fastapi.responses import HTMLResponse
from fastapi.routing import APIRoute
from starlette.middleware.cors import CORSMiddleware
from starlette.staticfiles import StaticFiles

from bursar.adapters.dns.resolver import Nameservers
from bursar.core.addresses import Networks
from bursar.db.connect import Role
from bursar.db.engine import Database
from bursar.db.secrets import SecretBox
from bursar.entrypoints import elsewhere
from bursar.entrypoints.accounts import captcha, passwords, sign_up_policy
from bursar.entrypoints.counters import shared_counters
from bursar.entrypoints.mailing import brand_of
from bursar.features.abuse.routes import router as abuse
from bursar.features.accounts.auth_routes import router as auth
from bursar.features.accounts.key_routes import router as well_known
from bursar.features.accounts.me_routes import router as me
from bursar.features.audit.routes import router as audit
from bursar.features.budgets.routes import router as budgets
from bursar.features.data_rights.routes import own_router as own_data_rights
from bursar.features.data_rights.routes import router as data_rights
from bursar.features.keys.routes import router as keys
from bursar.features.limits.routes import router as limits
from bursar.features.mail.routes import router as mail
from bursar.features.members.invited_routes import router as invited
from bursar.features.members.routes import router as members
from bursar.features.models.routes import router as models
from bursar.features.operators.routes import people_router as operator_people
from bursar.features.operators.routes import router as operators
from bursar.features.organisations.routes import own_router as own_organisations
from bursar.features.organisations.routes import router as organisations
from bursar.features.own_keys.routes import router as own_keys
from bursar.features.prices.routes import router as prices
from bursar.features.projects.routes import router as projects
from bursar.features.providers.routes import router as providers
from bursar.features.sign_in.managing_routes import router as sign_in_set_up
from bursar.features.sign_in.routes import router as sign_in
from bursar.features.usage.routes import router as usage
from bursar.features.view_as.routes import router as view_as
from bursar.features.wallet.routes import router as wallet
from bursar.features.webhooks.routes import router as webhooks
from bursar.rest import problems
from bursar.rest.body_limit import BodyLimit
from bursar.rest.callers import CSRF_HEADER, Public
from bursar.rest.control import Control, Policy
from bursar.rest.edge import Edge, SystemClock
from bursar.rest.masking import Masking
from bursar.settings import Settings, networks_in, secret_key_of

PREFIX = "/api/v1"
OPENAPI_PATH = f"{PREFIX}/openapi.json"
DOCS_PATH = "/docs"
ASSETS_PATH = "/docs/assets"
ROUTERS = (
    auth,
    me,
    sign_in,
    sign_in_set_up,
    organisations,
    own_organisations,
    members,
    invited,
    keys,
    limits,
    budgets,
    projects,
    wallet,
    usage,
    own_keys,
    providers,
    models,
    prices,
    operators,
    webhooks,
    abuse,
    operator_people,
    view_as,
    audit,
    data_rights,
    own_data_rights,
    mail,
)
DESCRIPTION = (
    "Control plane of Bursar. Amounts and prices are decimal strings. Failures are "
    "`application/problem+json` with a stable `code`. Send `Idempotency-Key` with what must happen once."
)


def control_of(settings: Settings, database_url: str, *, actor: str = "") -> Control:
    """The control plane's means, from the settings. Close them when done. `actor`: see `Database`."""
    return Control(
        database=Database(database_url, Role.API, actor=actor),
        edge=Edge(SystemClock()),
        seal=SecretBox(secret_key_of(settings)),
        policy=Policy(
            key_prefix=settings.key_prefix,
            requests_per_minute_default=settings.requests_per_minute_default,
            margin_percent_default=settings.margin_percent_default,
            organisations_per_person_max=settings.organisations_per_person_max,
            trusted_proxies=Networks(networks_in(settings.trusted_proxies)),
            operator_addresses=Networks(networks_in(settings.operator_addresses)),
            public_url=settings.public_url.rstrip("/"),
            brand=brand_of(settings),
            webhooks_to_loopback=settings.webhooks_to_loopback,
            origins=tuple(networks_in(settings.cors_origins)),
            sign_up=sign_up_policy(settings),
            erasure_grace=timedelta(days=settings.erasure_grace_days),
        ),
        counters=shared_counters(settings),
        passwords=passwords(settings),
        captcha=captcha(settings),
        identities=elsewhere.identities(settings),
        sources=elsewhere.sources(settings),
        txt_records=Nameservers(),
    )


def create_api(settings: Settings, database_url: str) -> FastAPI:
    """The application `bursar serve` and `bursar api` run; its lifespan closes the connections."""
    return build_api(control_of(settings, database_url))


def build_api(control: Control | None) -> FastAPI:
    """The application with the means given. None: only its document can be asked for."""

    @asynccontextmanager
    async def lifespan(_app: FastAPI) -> AsyncIterator[None]:
        yield
        if control is not None:
            await control.close()

    app = FastAPI(
        title="Bursar",
        version=version("bursar"),
        description=DESCRIPTION,
        openapi_url=OPENAPI_PATH,
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
        lifespan=lifespan,
        generate_unique_id_function=operation_id,
    )
    app.state.control = control
    app.add_middleware(BodyLimit)
    app.add_middleware(Masking)
    problems.install(app)
    api = APIRouter(prefix=PREFIX, responses=problems.responses(401, 403, 422, 503))
    for router in ROUTERS:
        api.include_router(router)
    app.include_router(api)
    app.include_router(well_known)
    let_pages_call(app, control)
    serve_docs(app)
    return app


def let_pages_call(app: FastAPI, control: Control | None) -> None:
    """Answer browsers on pages of the origins allowed, cookies included; on no others."""
    origins = () if control is None else control.policy.origins
    if origins:
        app.add_middleware(
            CORSMiddleware,
            allow_origins=origins,
            allow_credentials=True,
            allow_methods=["GET", "POST", "PUT", "PATCH", "DELETE"],
            allow_headers=["authorization", "content-type", "idempotency-key", CSRF_HEADER],
            expose_headers=["content-language", "retry-after"],
        )


def operation_id(route: APIRoute) -> str:
    """Route functions have unique names; a generated client gets them as its methods."""
    return route.name


def serve_docs(app: FastAPI) -> None:
    """`/docs` with swagger-ui from the package `fastapi-offline`: nothing is fetched from elsewhere."""
    assets = files("fastapi_offline").joinpath("static")
    app.mount(ASSETS_PATH, StaticFiles(directory=str(assets)), name="docs-assets")

    @app.get(
        DOCS_PATH,
        include_in_schema=False,
        dependencies=[Depends(Public("what the API is, and nobody's data"))],
    )
    async def docs() -> HTMLResponse:
        return get_swagger_ui_html(
            openapi_url=OPENAPI_PATH,
            title="Bursar: API",
            swagger_js_url=f"{ASSETS_PATH}/swagger-ui-bundle.js",
            swagger_css_url=f"{ASSETS_PATH}/swagger-ui.css",
            swagger_favicon_url=f"{ASSETS_PATH}/favicon.png",
        )


def openapi_document() -> bytes:
    """The document kept at `docs/openapi.json`: indented, keys sorted, so that a change is a small diff."""
    document = build_api(None).openapi()
    return orjson.dumps(document, option=orjson.OPT_INDENT_2 | orjson.OPT_SORT_KEYS) + b"\n"
