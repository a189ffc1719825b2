import os
import re
import stat
from pathlib import Path
from threading import Thread

import pytest
from pydantic import SecretStr

from bursar.settings import Settings, SettingsInvalid, env_name, keep_secret, secret_key_of, unknown_names


@pytest.fixture(autouse=True)
def bare_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No setting of the person who runs the tests leaks in, by environment or by .env."""
    for name in list(os.environ):
        if name.startswith("BURSAR_") or name.endswith("_API_KEY"):
            monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)


class TestSettings:
    def test_take_the_environment(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("BURSAR_PORT", "9000")
        monkeypatch.setenv("OPENAI_API_KEY", "sk-something")
        settings = Settings.load()
        assert settings.port == 9000
        assert settings.openai_api_key.get_secret_value() == "sk-something"

    def test_take_the_file_where_the_environment_is_silent(
        self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
    ) -> None:
        (tmp_path / ".env").write_text("BURSAR_PORT=9000\nBURSAR_HOST=::1\n")
        monkeypatch.setenv("BURSAR_PORT", "9001")
        settings = Settings.load()
        assert (settings.host, settings.port) == ("::1", 9001)

    def test_take_an_empty_value_for_none(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("BURSAR_PORT", "")
        assert Settings.load().port == 8080

    def test_refuse_a_wrong_value_by_name_and_without_showing_it(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("BURSAR_PORT", "eighty-eighty")
        with pytest.raises(SettingsInvalid, match=r"^BURSAR_PORT: ") as refused:
            Settings.load()
        assert "eighty" not in str(refused.value)

    def test_refuse_a_misspelt_name_and_offer_the_near_one(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("BURSAR_PROT", "9000")
        with pytest.raises(
            SettingsInvalid, match=r"BURSAR_PROT is not a setting; did you mean BURSAR_PORT\?"
        ):
            Settings.load()

    def test_leave_the_names_of_harnesses_alone(self) -> None:
        assert unknown_names(["BURSAR_TEST_SEED", "BURSAR_BENCH_CORE", "PATH", "BURSAR_PORT"]) == ""

    def test_hide_secrets_when_shown(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("BURSAR_SECRET_KEY", "ab" * 32)
        assert "abab" not in repr(Settings.load())

    def test_choose_the_most_particular_database(self, monkeypatch: pytest.MonkeyPatch) -> None:
        embedded = "postgresql://embedded"
        assert Settings.load().dsn_of("api", embedded) == embedded
        monkeypatch.setenv("BURSAR_DATABASE_URL", "postgresql://all")
        assert Settings.load().dsn_of("api", embedded) == "postgresql://all"
        monkeypatch.setenv("BURSAR_DATABASE_URL_API", "postgresql://own")
        assert Settings.load().dsn_of("api", embedded) == "postgresql://own"
        assert Settings.load().dsn_of("worker", embedded) == "postgresql://all"

    def test_spool_beside_the_database(self, tmp_path: Path) -> None:
        assert Settings(data_dir=tmp_path).spool_dir == tmp_path / "spool"

    @pytest.mark.parametrize("field", sorted(Settings.model_fields))
    def test_say_what_each_is_for_and_carry_the_unit(self, field: str) -> None:
        described = Settings.model_fields[field].description
        assert described
        assert described.endswith(".")
        if re.search(r"^(How often|Pause|Longest (wait|time|silence))|for so long|so long after", described):
            assert field.endswith("_ms")
        assert env_name(field).isupper()


class TestSecretKey:
    def test_is_made_once_and_kept_to_its_owner(self, tmp_path: Path) -> None:
        settings = Settings(data_dir=tmp_path / "new")
        first = secret_key_of(settings)
        assert len(first) == 32
        assert secret_key_of(settings) == first
        assert stat.S_IMODE((tmp_path / "new" / "secret.key").stat().st_mode) == 0o600
        assert [path.name for path in (tmp_path / "new").iterdir()] == ["secret.key"]

    def test_is_taken_from_the_settings_before_the_file(self, tmp_path: Path) -> None:
        secret_key_of(Settings(data_dir=tmp_path))
        assert secret_key_of(Settings(data_dir=tmp_path, secret_key=SecretStr("0f" * 32))) == b"\x0f" * 32

    @pytest.mark.parametrize("wrong", ["0f" * 31, "zz" * 32, "short"])
    def test_is_refused_when_it_is_no_key(self, tmp_path: Path, wrong: str) -> None:
        with pytest.raises(SettingsInvalid, match="BURSAR_SECRET_KEY must be 64 hex digits") as refused:
            secret_key_of(Settings(data_dir=tmp_path, secret_key=SecretStr(wrong)))
        assert wrong not in str(refused.value)

    def test_is_refused_when_others_may_read_it(self, tmp_path: Path) -> None:
        secret_key_of(Settings(data_dir=tmp_path))
        (tmp_path / "secret.key").chmod(0o644)
        with pytest.raises(SettingsInvalid, match="chmod 600"):
            secret_key_of(Settings(data_dir=tmp_path))

    def test_says_that_the_folder_cannot_be_written(self, tmp_path: Path) -> None:
        (tmp_path / "file").write_text("in the way")
        with pytest.raises(SettingsInvalid, match="cannot keep a secret"):
            secret_key_of(Settings(data_dir=tmp_path / "file"))

    def test_is_one_when_many_start_at_once(self, tmp_path: Path) -> None:
        kept: list[str] = []
        starts = [
            Thread(target=lambda n=n: kept.append(keep_secret(tmp_path / "s", f"mine {n}")))
            for n in range(16)
        ]
        for start in starts:
            start.start()
        for start in starts:
            start.join()
        assert len(kept) == 16
        assert len(set(kept)) == 1
