"""Hashing: the same work for everybody, and not for too many at once."""

import asyncio

import pytest

from bursar.rest.passwords import WAITING_MAX, Passwords, PasswordsBusy, PasswordWork

CHEAP = PasswordWork(memory_kib=8, passes=1)


class TestPasswords:
    async def test_know_their_own_and_no_other(self) -> None:
        passwords = Passwords(CHEAP)
        stored = await passwords.hash("contraseña \u00e9")
        assert await passwords.verify(stored, "contraseña e\u0301") is True
        assert await passwords.verify(stored, "contrasena e") is False
        assert await passwords.verify("not a hash", "contraseña") is False

    async def test_do_for_nobody_what_they_do_for_somebody(self) -> None:
        passwords = Passwords(CHEAP)
        assert await passwords.verify(None, "") is False
        assert (passwords.verified, passwords.wants_rehash(passwords._nobodys)) == (1, False)

    async def test_want_more_work_done_on_what_was_hashed_with_less(self) -> None:
        stored = await Passwords(CHEAP).hash("x")
        assert Passwords(PasswordWork(memory_kib=16, passes=1)).wants_rehash(stored)

    async def test_tell_a_crowd_to_come_back(self) -> None:
        passwords = Passwords(CHEAP)
        asked = [passwords.verify(None, "x") for _ in range(WAITING_MAX + 5)]
        answers = await asyncio.gather(*asked, return_exceptions=True)
        assert sum(isinstance(one, PasswordsBusy) for one in answers) == 5
        assert await passwords.verify(None, "x") is False

    def test_cost_more_than_the_least_that_is_advised(self) -> None:
        """OWASP's Password Storage Cheat Sheet: 19 MiB and two passes."""
        work = PasswordWork()
        assert (work.memory_kib >= 19 * 1024, work.passes >= 2) == (True, True)

    @pytest.mark.parametrize("password", ["", "\u0000", "x" * 10_000])
    async def test_take_anything(self, password: str) -> None:
        passwords = Passwords(CHEAP)
        assert await passwords.verify(await passwords.hash(password), password) is True
