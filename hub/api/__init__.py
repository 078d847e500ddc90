"""The HTTP side: webhooks come in, the management API answers, callback links are pressed."""

from hub.api.app import create_app
from hub.api.services import HealthCheck, ProjectView, Services, TreeView

__all__ = ["HealthCheck", "ProjectView", "Services", "TreeView", "create_app"]
