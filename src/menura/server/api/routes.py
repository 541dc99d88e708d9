"""All of the REST interface, put into an application."""

from pathlib import Path

from fastapi import FastAPI

from menura.server.access import Gate
from menura.server.api.conversions import Conversions, conversion_routes
from menura.server.api.description import add_description
from menura.server.api.errors import add_errors
from menura.server.api.models import Uploads, model_routes
from menura.server.api.recordings import recording_routes
from menura.server.api.sessions import session_routes
from menura.server.api.settings import settings_routes
from menura.server.api.system import system_routes
from menura.server.api.tokens import token_routes
from menura.server.api.voices import voice_routes
from menura.server.catalogue import Catalogue
from menura.server.limits import Limiter
from menura.server.previews import Previews
from menura.store.access_tokens import AccessTokens

__all__ = ["Rest"]


class Rest:
    """The REST interface of an application: its routes, and what they hold until it ends.

    Args:
        app: To which it is added.
        catalogue: The voices.
        page: Folder of the page.
        tokens: The named tokens that the gate lets in, so that a change counts at once; the library's by default.
    """

    def __init__(self, app: FastAPI, catalogue: Catalogue, page: Path, tokens: AccessTokens | None = None) -> None:
        self._app = app
        self.previews, self.uploads = Previews(catalogue), Uploads()
        self.conversions, self.tokens = Conversions(), tokens or AccessTokens()
        add_errors(app)
        add_description(app)
        for routes in (
            voice_routes(catalogue, self.previews),
            system_routes(catalogue, page),
            model_routes(catalogue, self.uploads),
            conversion_routes(catalogue, self.conversions),
            settings_routes(catalogue),
            session_routes(self._limiter),
            recording_routes(catalogue),
            token_routes(catalogue, self.tokens),
        ):
            app.include_router(routes)

    def _limiter(self) -> Limiter:
        """That of the gate before all routes."""
        layer = self._app.middleware_stack
        while layer is not None and not isinstance(layer, Gate):
            layer = getattr(layer, "app", None)
        assert isinstance(layer, Gate)  # every application has one
        return layer.limiter

    def close(self) -> None:
        """End what runs, and let go of what was not kept. Takes its time."""
        self.conversions.close()
        self.previews.close()
        self.uploads.close()
        self.tokens.close()
