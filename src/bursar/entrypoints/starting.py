"""How every command begins: settings, then the log."""

from bursar.entrypoints import logs
from bursar.settings import Settings


def loaded(host: str | None = None, port: int | None = None, *, quiet: bool = False) -> Settings:
    """Read the settings and set up the log; options win over the environment.

    `quiet`: log only warnings unless the environment says otherwise, for commands whose output is for people.

    Raises:
        SettingsInvalid: the environment says something that cannot be.
    """
    settings = Settings.load()
    options = {"host": host, "port": port}
    given: dict[str, object] = {name: value for name, value in options.items() if value is not None}
    if quiet and "log_level" not in settings.model_fields_set:
        given["log_level"] = "warning"
    settings = settings.model_copy(update=given)
    logs.set_up(settings.log_level, settings.log_format)
    return settings
