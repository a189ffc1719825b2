"""Which passwords are taken, and what it costs to say so."""

import time

import pytest

from bursar.features.accounts.password_rules import PasswordWeak, check_password
from bursar.rest.fields import PASSWORD_LENGTH_MAX

ABOUT_HIM = ("mina@harbour.example", "Mina", "Harbour Ltd")
LOOK_ALIKES = "4@8({[<3691!|0$5+7%2"
"""Each may stand for a letter: zxcvbn tries what they could mean together."""

WORK_S_MAX = 0.5


class TestCheckPassword:
    @pytest.mark.parametrize(
        "password",
        [
            "correct horse battery staple",
            "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaa a quiet zebra paints",
            (LOOK_ALIKES * 7)[:PASSWORD_LENGTH_MAX],
        ],
    )
    def test_takes_what_nobody_guesses(self, password: str) -> None:
        check_password(password, ABOUT_HIM)

    @pytest.mark.parametrize(
        "password", ["password" * 16, "mina harbour mina harbour mina", "a" * 128, "1234567890"]
    )
    def test_refuses_what_is_long_and_easy(self, password: str) -> None:
        with pytest.raises(PasswordWeak):
            check_password(password, ABOUT_HIM)

    def test_is_done_before_anybody_waits(self) -> None:
        check_password("a quiet zebra paints", ABOUT_HIM)  # its dictionaries are read once
        began_s = time.thread_time()
        check_password((LOOK_ALIKES * 7)[:PASSWORD_LENGTH_MAX], ABOUT_HIM)
        assert time.thread_time() - began_s < WORK_S_MAX
