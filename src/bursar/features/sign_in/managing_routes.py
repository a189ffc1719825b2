"""HTTP of what is set up: somebody's linked identities, single sign-on, the operator's further issuers."""

from uuid import UUID

from fastapi import APIRouter, Depends, Response

from bursar.core.permissions import Permission
from bursar.db.engine import AsWhom
from bursar.features.sign_in import attempts, connections, domains, identities, providers, service, sources
from bursar.features.sign_in.schemas import (
    Connection,
    ConnectionChange,
    DomainChange,
    IdentityProvider,
    IdentityProviderChange,
    LinkBegun,
    LinkedIdentity,
    NewConnection,
    NewDomain,
    NewIdentityProvider,
    NewLink,
    SsoDomain,
)
from bursar.rest.callers import Caller, Calling, SignedIn, may
from bursar.rest.control import Means
from bursar.rest.idempotency import Once
from bursar.rest.problems import responses
from bursar.rest.proofs import prove
from bursar.rest.transactions import OperatorRead, OperatorTx, OrganisationRead, OrganisationTx
from bursar.rest.visits import Visiting

router = APIRouter(tags=["sign-in elsewhere"])
ONESELF = [Depends(SignedIn())]
IDENTITIES = "/me/identities"
SSO = "/organisations/{organisation_id}/sso"
CONNECTIONS = SSO + "/connections"
DOMAINS = SSO + "/domains"
PROVIDERS = "/identity-providers"


@router.get(IDENTITIES, dependencies=ONESELF)
async def list_linked_identities(calling: Calling, control: Means) -> list[LinkedIdentity]:
    """List where else one may sign in as oneself."""
    return await identities.list_identities(control, calling)


@router.post(IDENTITIES, responses=responses(404, 424, 429), dependencies=ONESELF)
async def begin_linking(
    body: NewLink, response: Response, calling: Calling, control: Means, visit: Visiting
) -> LinkBegun:
    """Link another way to sign in, by the proof that a new password wants: send the browser where it says."""
    await prove(control, calling, body)
    chosen = await sources.chosen_provider(control, body.provider)
    wish = service.Wish(return_to=body.return_to)
    leaving = await service.leave(control, chosen, visit, wish, linking=calling)
    attempts.keep(response, attempts.ATTEMPT_COOKIE, leaving.begun, control)
    return LinkBegun(authorization_url=leaving.url)


@router.delete(IDENTITIES + "/{identity_id}", responses=responses(404), dependencies=ONESELF)
async def unlink_identity(identity_id: UUID, calling: Calling, control: Means) -> LinkedIdentity:
    """Sign in there no more. Who has no password can still have one sent by mail."""
    return await identities.unlink(control, calling, identity_id)


@router.post(
    CONNECTIONS,
    status_code=201,
    responses=responses(404, 409, 429),
    dependencies=may(Permission.SSO_MANAGE),
)
async def add_sso_connection(
    organisation_id: UUID, body: NewConnection, calling: Calling, once: Once
) -> Connection:
    """Set single sign-on up. Its issuer must answer; its secret is sealed and never shown again."""
    control = once.control
    await service.throttle_checks(control, calling)
    await providers.check_issuer(control, body.issuer, is_guarded=True)
    async with control.database.transaction(**_as(calling, organisation_id)) as tx:
        return await once.answer(
            tx, Connection, lambda: connections.add_connection(tx, organisation_id, body, control)
        )


@router.get(CONNECTIONS, responses=responses(404), dependencies=may(Permission.SSO_READ))
async def list_sso_connections(
    organisation_id: UUID, read: OrganisationRead, control: Means
) -> list[Connection]:
    """List an organisation's single sign-ons, oldest first: at most 10."""
    return await connections.list_connections(read, organisation_id, control)


@router.get(CONNECTIONS + "/{connection_id}", responses=responses(404), dependencies=may(Permission.SSO_READ))
async def get_sso_connection(
    organisation_id: UUID, connection_id: UUID, read: OrganisationRead, control: Means
) -> Connection:
    """Show one single sign-on, without its secret."""
    return await connections.get_connection(read, organisation_id, connection_id, control)


@router.patch(
    CONNECTIONS + "/{connection_id}", responses=responses(404), dependencies=may(Permission.SSO_MANAGE)
)
async def change_sso_connection(
    organisation_id: UUID, connection_id: UUID, body: ConnectionChange, tx: OrganisationTx, control: Means
) -> Connection:
    """Change all but the issuer: another one is another single sign-on."""
    return await connections.change_connection(tx, organisation_id, connection_id, body, control)


@router.delete(
    CONNECTIONS + "/{connection_id}", responses=responses(404), dependencies=may(Permission.SSO_MANAGE)
)
async def delete_sso_connection(
    organisation_id: UUID, connection_id: UUID, tx: OrganisationTx, control: Means
) -> Connection:
    """Forget a single sign-on with its domains. Its people stay members and sign in otherwise."""
    return await connections.delete_connection(tx, organisation_id, connection_id, control)


@router.post(DOMAINS, status_code=201, responses=responses(404, 409), dependencies=may(Permission.SSO_MANAGE))
async def add_sso_domain(organisation_id: UUID, body: NewDomain, tx: OrganisationTx, once: Once) -> SsoDomain:
    """Claim a domain for a single sign-on. It counts once the TXT record of the answer was seen."""
    return await once.answer(
        tx, SsoDomain, lambda: domains.add_domain(tx, organisation_id, body, once.control)
    )


@router.get(DOMAINS, responses=responses(404), dependencies=may(Permission.SSO_READ))
async def list_sso_domains(organisation_id: UUID, read: OrganisationRead) -> list[SsoDomain]:
    """List an organisation's domains: at most 50."""
    return await domains.list_domains(read, organisation_id)


@router.patch(DOMAINS + "/{domain_id}", responses=responses(404), dependencies=may(Permission.SSO_MANAGE))
async def change_sso_domain(
    organisation_id: UUID, domain_id: UUID, body: DomainChange, tx: OrganisationTx
) -> SsoDomain:
    """Say whether the domain's people sign in at their organisation only."""
    return await domains.change_domain(tx, organisation_id, domain_id, body)


@router.post(
    DOMAINS + "/{domain_id}/verify",
    responses=responses(404, 409, 424, 429),
    dependencies=may(Permission.SSO_MANAGE),
)
async def verify_sso_domain(
    organisation_id: UUID, domain_id: UUID, calling: Calling, control: Means
) -> SsoDomain:
    """Look for the TXT record now."""
    as_whom = _as(calling, organisation_id)
    await service.throttle_checks(control, calling)
    async with control.database.read(**as_whom) as read:
        domain = await domains.get_domain(read, organisation_id, domain_id)
    await domains.look_for_proof(control, domain)
    async with control.database.transaction(**as_whom) as tx:
        return await domains.mark_verified(tx, organisation_id, domain_id, control.edge.now())


@router.delete(DOMAINS + "/{domain_id}", responses=responses(404), dependencies=may(Permission.SSO_MANAGE))
async def delete_sso_domain(organisation_id: UUID, domain_id: UUID, tx: OrganisationTx) -> SsoDomain:
    """Give a domain up: its people sign in as everybody does."""
    return await domains.delete_domain(tx, organisation_id, domain_id)


@router.post(
    PROVIDERS, status_code=201, responses=responses(409), dependencies=may(Permission.PLATFORM_MANAGE)
)
async def add_identity_provider(body: NewIdentityProvider, calling: Calling, once: Once) -> IdentityProvider:
    """Add an OpenID Connect issuer for everybody. It must answer; its secret is sealed."""
    control = once.control
    await providers.check_issuer(control, body.issuer, is_guarded=False)
    async with control.database.transaction(operator=True, actor=calling.as_actor()) as tx:
        return await once.answer(tx, IdentityProvider, lambda: providers.add_provider(tx, body, control))


@router.get(PROVIDERS, dependencies=may(Permission.PLATFORM_READ))
async def list_identity_providers(read: OperatorRead) -> list[IdentityProvider]:
    """List the further issuers: at most 50. Google, GitHub and Discord are in the settings."""
    return await providers.list_providers(read)


@router.patch(
    PROVIDERS + "/{identity_provider_id}",
    responses=responses(404),
    dependencies=may(Permission.PLATFORM_MANAGE),
)
async def change_identity_provider(
    identity_provider_id: UUID, body: IdentityProviderChange, tx: OperatorTx, control: Means
) -> IdentityProvider:
    """Change all but the issuer and the slug, or switch it off or on."""
    return await providers.change_provider(tx, identity_provider_id, body, control)


@router.delete(
    PROVIDERS + "/{identity_provider_id}",
    responses=responses(404),
    dependencies=may(Permission.PLATFORM_MANAGE),
)
async def delete_identity_provider(identity_provider_id: UUID, tx: OperatorTx) -> IdentityProvider:
    """Forget an issuer, its secret and who is linked to it."""
    return await providers.delete_provider(tx, identity_provider_id)


def _as(calling: Caller, organisation_id: UUID) -> AsWhom:
    """For what asks the outside between two transactions, and so opens them itself."""
    return AsWhom(organisation=organisation_id, user=calling.user_id, actor=calling.as_actor())
