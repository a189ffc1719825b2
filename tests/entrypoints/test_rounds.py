import asyncio

from bursar.entrypoints.rounds import PAUSE_S_MAX, Round, go_round, pause_s

WAIT_S_MAX = 10


class TestRounds:
    async def test_run_again_without_a_pause_while_more_is_waiting(self) -> None:
        stop, left = asyncio.Event(), [3, 2, 1, 0]
        seen = []

        async def work() -> bool:
            seen.append(left.pop(0))
            if not left:
                stop.set()
            return bool(left)

        async with asyncio.timeout(WAIT_S_MAX):
            await go_round([Round(name="posting", every_ms=3_600_000, run=work)], stop)
        assert seen == [3, 2, 1, 0]

    async def test_go_on_when_one_fails(self) -> None:
        stop = asyncio.Event()
        tries = []

        async def fails_twice() -> bool:
            tries.append("failing")
            if len(tries) < 3:
                raise ConnectionError("away")
            stop.set()
            return False

        async with asyncio.timeout(WAIT_S_MAX):
            await go_round([Round(name="sweep", every_ms=1, run=fails_twice)], stop)
        assert len(tries) == 3

    async def test_do_not_wait_for_each_other(self) -> None:
        stop, second_ran = asyncio.Event(), asyncio.Event()

        async def stuck_until_the_other_ran() -> bool:
            await second_ran.wait()
            stop.set()
            return False

        async def other() -> bool:
            second_ran.set()
            return False

        rounds = [
            Round(name="slow", every_ms=1, run=stuck_until_the_other_ran),
            Round(name="quick", every_ms=1, run=other),
        ]
        async with asyncio.timeout(WAIT_S_MAX):
            await go_round(rounds, stop)
        assert stop.is_set()

    def test_wait_longer_after_each_failure_up_to_a_limit(self) -> None:
        assert [pause_s(500, failures) for failures in (0, 1, 2)] == [0.5, 1.0, 2.0]
        assert pause_s(500, 99) == PAUSE_S_MAX
        assert pause_s(900_000, 99) == 900
