"""config.yaml to frozen models; every fault at once, with file:line:col."""

from gateway.config.load import LoadedConfig, load_config, read_secret
from gateway.config.models import Config, SourceConfig

__all__ = ["Config", "LoadedConfig", "SourceConfig", "load_config", "read_secret"]
