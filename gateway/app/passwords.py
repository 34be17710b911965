"""The password of one source as it was last read, and what a person has to do when it is wrong."""

from __future__ import annotations

from gateway.config import LoadedConfig, SourceConfig, read_secret, read_secret_at
from gateway.core.errors import ConfigError
from gateway.store.secret_file import SecretFile


def source_password(loaded: LoadedConfig, config: SourceConfig) -> str:
    """A source's password.

    Raises:
        ConfigError: it cannot be read, told at its key in config.yaml.
    """
    return read_secret_at(loaded, ("sources", loaded.config.sources.index(config), "password"), config.password)


class Password:
    """Reads at once, so that a missing password stops the start and not the first login; then only on `reread`."""

    def __init__(self, config: SourceConfig, loaded: LoadedConfig) -> None:
        self._config, self._folder = config, loaded.folder
        self.value = source_password(loaded, config)

    def __call__(self) -> str:
        return self.value

    def follow(self, other: Password) -> None:
        """Comes from where another one was read, from the next login on."""
        self._config, self._folder, self.value = other._config, other._folder, other.value

    @property
    def file(self) -> SecretFile | None:
        """The file it stands in, None when it comes from elsewhere."""
        name = self._config.password.file
        return None if name is None else SecretFile(self._folder / name)

    def mend(self) -> str:
        """What to do about a refusal, where the password comes from being the difference."""
        secret = self._config.password
        if secret.credential is not None:
            return "mend its systemd credential and restart the service: a credential is only read at start"
        if secret.env is not None:
            return f"mend the variable {secret.env} and restart the gateway: a running process keeps its variables"
        file = self.file
        if file is not None and file.has_pending:
            return f"a change was not finished: `evce-gateway passwd {self._config.name}` finds out which one is right"
        return "mend it, then `evce-gateway reload`"

    def reread(self) -> tuple[bool, str]:
        """Reads it again; returns whether that was possible, and in words what came of it."""
        secret = self._config.password
        if secret.credential is not None:
            return True, "a systemd credential is only read at start: restart the service to use another password"
        try:
            value = read_secret(secret, self._folder)
        except ConfigError as error:
            return False, f"the old password stays in use: {error}"
        if value == self.value:
            return True, f"the password in {secret.file or secret.env} is the same as before"
        self.value = value
        return True, f"the new password in {secret.file or secret.env} is used from the next login on"
