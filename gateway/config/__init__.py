"""config.yaml to frozen models; every fault at once, with file:line:col."""

from gateway.config.load import NO_CREDENTIALS, LoadedConfig, load_config, outline_of, read_secret, read_secret_at
from gateway.config.models import Config, SourceConfig, SourceOutline, Tls

__all__ = [
    "NO_CREDENTIALS",
    "Config",
    "LoadedConfig",
    "SourceConfig",
    "SourceOutline",
    "Tls",
    "load_config",
    "outline_of",
    "read_secret",
    "read_secret_at",
]
