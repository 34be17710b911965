"""config.yaml to frozen models; every fault at once, with file:line:col."""

from gateway.config.load import LoadedConfig, load_config, outline_of, read_secret
from gateway.config.models import Config, SourceConfig, SourceOutline, Tls

__all__ = ["Config", "LoadedConfig", "SourceConfig", "SourceOutline", "Tls", "load_config", "outline_of", "read_secret"]
