"""HTTP: the connector, and the client that other connectors of HTTP services stand on."""

from connectors.http.http import Http
from connectors.http.settings import Settings

__all__ = ["Http", "Settings"]
