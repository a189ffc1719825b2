import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import people
import pytest
import sqlalchemy as sa
from aiohttp import web
from control_client import Client, SettableClock
from standardwebhooks import Webhook

from bursar.adapters.webhooks import Answer
from bursar.adapters.webhooks.fake import FakeSender
from bursar.adapters.webhooks.pinned import PinnedSender
from bursar.core.permissions import MemberRole
from bursar.core.webhooks import TRIES_MAX
from bursar.db.connect import Role
from bursar.db.engine import Database
from bursar.db.outbox import deliver
from bursar.db.tables import outbox, webhook_delivery, webhook_message, webhook_secret
from bursar.features.webhooks.routes import TESTS_AT_ONCE
from bursar.features.webhooks.sending import CLAIM_LIFE, PER_ENDPOINT_MAX, PER_ROUND_MAX, Dispatcher
from bursar.features.webhooks.service import send_test
from bursar.features.webhooks.tasks import KEPT_FOR, fanning_out, forget
from bursar.rest.control import Control
from scratch_database import ScratchDatabase

HERE = "https://hooks.acme.example/bursar"
THANKS = Answer(status=200, excerpt="thanks")
DAY_MS = 24 * 3600 * 1000


@dataclass(frozen=True, kw_only=True)
class Post:
    """An organisation's client, and the worker's side of its webhooks."""

    client: Client
    organisation_id: str
    control: Control
    clock: SettableClock
    worker: Database
    sender: Any

    @property
    def path(self) -> str:
        return f"/organisations/{self.organisation_id}/webhooks"

    @property
    def dispatcher(self) -> Dispatcher:
        return Dispatcher(self.worker, self.sender, self.control.seal, self.control.edge)

    async def endpoint(self, url: str = HERE) -> str:
        """The path of a new one."""
        made = await self.client.post(self.path, {"url": url})
        return f"{self.path}/{made['id']}"

    async def test(self, hook: str) -> None:
        await self.client.post(f"{hook}/test", status=202)

    async def tests(self, hook: str, number: int) -> None:
        """More than a customer may ask for at once."""
        organisation_id, endpoint_id = UUID(self.organisation_id), UUID(hook.rpartition("/")[2])
        async with self.control.database.transaction(organisation=organisation_id) as tx:
            for _ in range(number):
                await send_test(tx, organisation_id, endpoint_id, control=self.control)

    async def fan_out(self) -> int:
        return await deliver(
            self.worker, {"webhook": fanning_out(self.control.edge)}, self.control.edge.now()
        )

    async def go_round(self) -> None:
        """What the worker does of it: events become deliveries, those that are due are sent."""
        await self.fan_out()
        while await self.dispatcher.run():
            """There may be more."""

    async def suspend(self) -> None:
        await self.client.call("PATCH", f"/organisations/{self.organisation_id}", {"status": "suspended"})


@pytest.fixture
async def post(
    client: Client,
    organisation: dict[str, Any],
    control: Control,
    clock: SettableClock,
    database: ScratchDatabase,
) -> AsyncIterator[Post]:
    worker = Database(database.url, Role.WORKER)
    yield Post(
        client=client,
        organisation_id=organisation["id"],
        control=control,
        clock=clock,
        worker=worker,
        sender=FakeSender(answers={HERE: THANKS}),
    )
    await worker.close()


class TestWebhooks:
    async def test_tell_of_keys_to_who_asked(self, post: Post) -> None:
        made = await post.client.post(post.path, {"url": HERE, "event_types": ["key.created", "key.revoked"]})
        everything = "https://all.acme.example/"
        post.sender.answers[everything] = THANKS
        await post.client.post(post.path, {"url": everything})
        keys = f"/organisations/{post.organisation_id}/keys"
        key = await post.client.post(keys, {"name": "server"})
        successor = await post.client.post(f"{keys}/{key['id']}/rotate")
        await post.client.post(f"{keys}/{successor['id']}/revoke", status=200)
        await post.suspend()
        await post.go_round()
        told = [
            Webhook(made["secret"]).verify(got.body, dict(got.headers))
            for got in post.sender.received
            if got.url == HERE
        ]
        assert [one["type"] for one in told] == ["key.created", "key.revoked"]
        about = {"key_id": key["id"], "name": "server", "visible": key["visible"]}
        assert told[0]["data"] == about
        assert (told[0]["version"], told[0]["organisation_id"]) == (1, post.organisation_id)
        assert post.sender.received[0].headers["webhook-id"] == told[0]["id"]
        assert key["secret"] not in str(post.sender.received)
        types = [b'"type":"' + kind for kind in (b"key.rotated", b"organisation.suspended")]
        rest = [got.body for got in post.sender.received if got.url == everything]
        assert len(rest) == 4
        assert all(any(kind in body for body in rest) for kind in types)

    async def test_arrive_over_http_with_both_signatures_of_a_rotation(self, post: Post) -> None:
        """The whole way, to a server that checks with the specification's own library."""
        seen: list[tuple[bytes, dict[str, str]]] = []

        async def receive(request: web.Request) -> web.Response:
            seen.append((await request.read(), dict(request.headers)))
            return web.Response(text="ok")

        app = web.Application()
        app.router.add_post("/hooks", receive)
        runner = web.AppRunner(app)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        made = await post.client.post(post.path, {"url": HERE})
        await move(post.worker, made["id"], f"http://127.0.0.1:{runner.addresses[0][1]}/hooks")
        rotated = [await post.client.post(f"{post.path}/{made['id']}/rotate-secret") for _ in range(2)]
        async with post.control.database.read(operator=True) as read:
            with pytest.raises(sa.exc.ProgrammingError, match="permission denied"):
                await read.execute(sa.select(webhook_secret.c.sealed))
        over_http = replace(post, sender=PinnedSender(allows_loopback=True))
        for ahead_ms in (0, 2 * DAY_MS):
            post.clock.ahead_ms = ahead_ms
            await post.test(f"{post.path}/{made['id']}")
            await over_http.go_round()
        await runner.cleanup()
        body, headers = seen[0]
        assert headers["webhook-signature"].count("v1,") == 2  # never three
        for secret in (one["secret"] for one in rotated):
            assert Webhook(secret).verify(body, headers)["type"] == "webhook.test"
        assert seen[1][1]["webhook-signature"].count("v1,") == 1  # the overlap has ended

    async def test_are_tried_for_a_day_and_can_be_replayed(self, post: Post) -> None:
        hook = await post.endpoint()
        post.sender.answers[HERE] = Answer(status=500, excerpt="oops")
        await post.test(hook)
        began = post.clock.ahead_ms
        for _ in range(TRIES_MAX):
            await post.go_round()
            (delivery,) = (await post.client.get(f"{hook}/deliveries"))["items"]
            if delivery["next_attempt_at"] is not None:
                post.clock.ahead_ms += ms_until(delivery["next_attempt_at"], post.control)
        assert (delivery["status"], delivery["attempts"]) == ("failed", TRIES_MAX)
        assert 20 * 3600 * 1000 < post.clock.ahead_ms - began < 28 * 3600 * 1000
        assert len({got.headers["webhook-id"] for got in post.sender.received}) == 1
        one = f"{hook}/deliveries/{delivery['id']}"
        shown = await post.client.get(one)
        assert [attempt["number"] for attempt in shown["attempts_made"]] == list(range(TRIES_MAX, 0, -1))
        assert (shown["attempts_made"][0]["status"], shown["attempts_made"][0]["answer"]) == (500, "oops")
        assert shown["body"]["id"] == delivery["message_id"]
        post.sender.answers[HERE] = THANKS
        since = {"since": "2020-01-01T00:00:00Z"}
        assert (await post.client.post(f"{hook}/replay", since, status=200))["replayed"] == 1
        await post.go_round()
        assert (await post.client.get(one))["status"] == "delivered"
        assert (await post.client.get(hook))["failing_since"] is None
        await post.client.post(f"{one}/replay", status=200)
        await post.go_round()
        assert (await post.client.get(one))["attempts"] == TRIES_MAX + 2
        assert (await post.client.get(f"{hook}/deliveries?status=failed"))["items"] == []

    async def test_that_fail_for_days_are_disabled_and_their_owner_is_told(self, post: Post) -> None:
        await people.make_person(
            post.control,
            email="ana@acme.example",
            organisation_id=post.organisation_id,
            role=MemberRole.OWNER,
        )
        del post.sender.answers[HERE]
        hook = await post.endpoint()
        await post.test(hook)
        for _ in range(TRIES_MAX):  # longer than the schedule: it ends on the sixth day
            await post.go_round()
            post.clock.ahead_ms += 18 * 3600 * 1000
        shown = await post.client.get(hook)
        assert (shown["status"], shown["disabled_reason"]) == ("disabled", "failing")
        async with post.control.database.read(operator=True) as read:
            mails = sa.select(outbox.c.payload).where(outbox.c.topic == "mail")
            (mail,) = (await read.execute(mails)).scalars()
        assert (mail["to"], mail["values"]["url"]) == ("ana@acme.example", HERE)
        await post.suspend()
        assert await post.client.refused("POST", f"{hook}/test") == "409 webhook_not_active"
        await post.go_round()
        assert len((await post.client.get(f"{hook}/deliveries"))["items"]) == 1  # nothing new for it
        again = await post.client.call("PATCH", hook, {"status": "active"})
        assert (again["disabled_reason"], again["failing_since"]) == (None, None)

    async def test_that_are_gone_are_disabled_at_once(self, post: Post) -> None:
        post.sender.answers[HERE] = Answer(status=410)
        hook = await post.endpoint()
        await post.test(hook)
        await post.go_round()
        assert (await post.client.get(hook))["disabled_reason"] == "gone"

    async def test_go_only_where_a_stranger_may_send_them(self, post: Post) -> None:
        for url in ("http://acme.example", "https://127.0.0.1/", "https://169.254.169.254/", "ftp://x.y"):
            assert await post.client.refused("POST", post.path, {"url": url}) == "422 webhook_url_refused"
        hook = await post.endpoint()
        change = {"url": "https://[::1]/"}
        assert await post.client.refused("PATCH", hook, change) == "422 webhook_url_refused"
        assert await post.client.refused("PATCH", hook, {"url": None}) == "422 invalid_request"
        wrong = {"url": HERE, "event_types": ["no.such"]}
        assert await post.client.refused("POST", post.path, wrong) == "422 invalid_request"
        for number in range(19):
            await post.client.post(post.path, {"url": f"{HERE}/{number}"})
        assert await post.client.refused("POST", post.path, {"url": HERE}) == "409 too_many_webhooks"
        await post.client.call("DELETE", hook)
        assert len(await post.client.get(post.path)) == 19

    async def test_are_tried_no_oftener_than_a_person_needs(self, post: Post) -> None:
        hook = await post.endpoint()
        for _ in range(TESTS_AT_ONCE):
            await post.test(hook)
        assert await post.client.refused("POST", f"{hook}/test") == "429 too_many_tries"
        post.clock.ahead_ms = 61_000
        await post.test(hook)


class TestWorker:
    async def test_shares_what_waits_and_takes_up_what_another_left(self, post: Post) -> None:
        slow, quick = HERE, "https://quick.example/"
        post.sender.answers[quick] = THANKS
        hooks = [await post.endpoint(url) for url in (slow, quick)]
        await post.tests(hooks[0], 17)
        await post.test(hooks[1])
        await post.fan_out()
        assert await post.dispatcher.run()
        # However much waits for one endpoint, another's is not behind it.
        sent = [got.url for got in post.sender.received]
        assert (sent.count(slow), sent.count(quick)) == (PER_ENDPOINT_MAX, 1)
        assert all(await asyncio.gather(post.dispatcher.run(), post.dispatcher.run()))
        ids = [got.headers["webhook-id"] for got in post.sender.received]
        assert (
            len(set(ids)) == len(ids) == 3 * PER_ENDPOINT_MAX + 1
        )  # two workers share, and send nothing twice
        assert await replace(post, sender=Dying()).dispatcher.run()
        assert not await post.dispatcher.run()  # the last two are still the other's
        post.clock.ahead_ms += int(CLAIM_LIFE.total_seconds() * 1000) + 1
        assert await post.dispatcher.run()
        async with post.worker.read() as read:
            states = (await read.execute(sa.select(webhook_delivery.c.status))).scalars().all()
        assert set(states) == {"delivered"}

    async def test_lets_organisations_take_turns(self, post: Post) -> None:
        greedy = [
            await post.endpoint(f"https://slow-{number}.acme.example/")
            for number in range(PER_ROUND_MAX // PER_ENDPOINT_MAX + 1)
        ]
        for hook in greedy:
            await post.tests(hook, PER_ENDPOINT_MAX)
        await post.fan_out()
        post.clock.ahead_ms += 1_000
        modest = await post.client.post("/organisations", {"name": "Modest"})
        post = replace(post, organisation_id=modest["id"])
        await post.test(await post.endpoint())
        await post.fan_out()
        assert await post.dispatcher.run()
        assert [got.url for got in post.sender.received] == [HERE]

    async def test_forgets_what_is_old(self, post: Post) -> None:
        hook = await post.endpoint()
        await post.test(hook)
        await post.go_round()
        await post.client.post(f"{hook}/rotate-secret", {"overlap_s": 60})
        post.clock.ahead_ms += int((KEPT_FOR + timedelta(hours=1)).total_seconds() * 1000)
        async with post.worker.transaction() as tx:
            assert await forget(tx, post.control.edge.now()) == 1
            for table, left in ((webhook_message, 0), (webhook_delivery, 0), (webhook_secret, 1)):
                question = sa.select(sa.func.count()).select_from(table)
                assert (await tx.execute(question)).scalar_one() == left

    async def test_parks_an_event_of_no_type_there_is(self, post: Post) -> None:
        row = {"topic": "webhook", "payload": {"type": "no.such", "data": {}}}
        async with post.worker.transaction() as tx:
            moments = {"created_at": post.control.edge.now(), "due_at": post.control.edge.now()}
            await tx.execute(sa.insert(outbox).values(**row, **moments))
        assert await post.fan_out() == 0
        async with post.worker.read() as read:
            assert "no.such" in (await read.execute(sa.select(outbox.c.last_error))).scalar_one()


class Dying:
    """A sender whose process ends before it says what came of it."""

    async def send(self, *_: object) -> Answer:
        raise SystemError("killed")


async def move(worker: Database, endpoint_id: str, url: str) -> None:
    """To this machine, which no customer may name."""
    async with worker.engine.begin() as connection:
        await connection.execute(sa.text("SET LOCAL ROLE bursar_owner"))
        await connection.execute(
            sa.text("UPDATE webhook_endpoint SET url = :url WHERE id = :id"),
            {"url": url, "id": UUID(endpoint_id)},
        )


def ms_until(moment: str, control: Control) -> int:
    due = datetime.fromisoformat(moment)
    return max(int((due - control.edge.now()).total_seconds() * 1000) + 1, 0)
