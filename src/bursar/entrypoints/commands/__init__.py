"""Twins of the REST API on the command line: the same services, without a server.

Modules here import what they run when they run, so that `bursar --help` stays quick.
"""

import typer


def mount(app: typer.Typer) -> None:
    """Add every group to the `bursar` command. `prices` and `models` are other spellings."""
    from bursar.entrypoints.commands.abuse import app as abuse
    from bursar.entrypoints.commands.audit import app as audit
    from bursar.entrypoints.commands.budget import app as budget
    from bursar.entrypoints.commands.identity_provider import app as identity_provider
    from bursar.entrypoints.commands.key import app as key
    from bursar.entrypoints.commands.limit import app as limit
    from bursar.entrypoints.commands.mail import app as mail
    from bursar.entrypoints.commands.member import app as member
    from bursar.entrypoints.commands.model import app as model
    from bursar.entrypoints.commands.operator import app as operator
    from bursar.entrypoints.commands.org import app as org
    from bursar.entrypoints.commands.org_routing import app as org_routing
    from bursar.entrypoints.commands.own_key import app as own_key
    from bursar.entrypoints.commands.price import app as price
    from bursar.entrypoints.commands.project import app as project
    from bursar.entrypoints.commands.provider import app as provider
    from bursar.entrypoints.commands.team import app as team
    from bursar.entrypoints.commands.usage import app as usage
    from bursar.entrypoints.commands.user import app as user
    from bursar.entrypoints.commands.wallet import app as wallet

    groups = {
        "audit": audit,
        "org": org,
        "member": member,
        "key": key,
        "team": team,
        "project": project,
        "limit": limit,
        "budget": budget,
        "wallet": wallet,
        "usage": usage,
        "provider": provider,
        "model": model,
        "price": price,
        "own-key": own_key,
        "operator": operator,
        "abuse": abuse,
        "user": user,
        "mail": mail,
        "identity-provider": identity_provider,
    }
    for name, group in groups.items():
        app.add_typer(group, name=name)
    org.add_typer(org_routing, name="routing")
    app.add_typer(price, name="prices", hidden=True)
    app.add_typer(model, name="models", hidden=True)
