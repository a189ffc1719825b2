import pytest

from bursar.settings import Settings, SettingsInvalid, networks_in


class TestTrustedProxies:
    def test_are_networks_separated_by_commas(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("BURSAR_TRUSTED_PROXIES", "10.0.0.0/8, 192.0.2.7,fd00::/8,")
        assert networks_in(Settings.load().trusted_proxies) == ["10.0.0.0/8", "192.0.2.7", "fd00::/8"]

    @pytest.mark.parametrize("wrong", ["10.0.0.1/8", "proxy.example.org", "10.0.0.0/8;fd00::/8"])
    def test_are_refused_when_they_are_none(self, monkeypatch: pytest.MonkeyPatch, wrong: str) -> None:
        monkeypatch.setenv("BURSAR_TRUSTED_PROXIES", wrong)
        with pytest.raises(
            SettingsInvalid, match=r"^BURSAR_TRUSTED_PROXIES: .*such as 10\.0\.0\.0/8"
        ) as refused:
            Settings.load()
        assert wrong not in str(refused.value)


class TestRedisUrl:
    @pytest.mark.parametrize("url", ["redis://h:6379/0", "rediss://:p@h/1", "unix:///run/redis.sock", ""])
    def test_names_a_redis_or_none(self, monkeypatch: pytest.MonkeyPatch, url: str) -> None:
        monkeypatch.setenv("BURSAR_REDIS_URL", url)
        assert Settings.load().redis_url == url

    def test_is_refused_when_it_is_none(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("BURSAR_REDIS_URL", "localhost:6379")
        with pytest.raises(SettingsInvalid, match="BURSAR_REDIS_URL"):
            Settings.load()
