"""All of the REST interface, put into an application."""

import asyncio
from pathlib import Path

from fastapi import FastAPI

from menura.log import get_logger, log_internal_error
from menura.server.access import Gate
from menura.server.api.access import access_routes
from menura.server.api.conversions import Conversions, conversion_routes
from menura.server.api.description import add_description
from menura.server.api.effect_presets import effect_preset_routes
from menura.server.api.errors import add_errors
from menura.server.api.models import Uploads, model_routes
from menura.server.api.recordings import recording_routes
from menura.server.api.rvc_options import rvc_option_routes
from menura.server.api.sessions import session_routes
from menura.server.api.settings import settings_routes
from menura.server.api.system import system_routes
from menura.server.api.tokens import token_routes
from menura.server.api.voices import voice_routes
from menura.server.catalogue import Catalogue
from menura.server.figures import ServerFigures
from menura.server.limits import Limiter
from menura.server.previews import Previews
from menura.store.access_tokens import AccessTokens

__all__ = ["Rest"]

_log = get_logger(__name__)
LOOK_S = 60.0
"""How often what is old is let go of."""


class Rest:
    """The REST interface of an application: its routes, and what they hold until it ends.

    Args:
        app: To which it is added.
        catalogue: The voices.
        page: Folder of the page.
        figures: Counts what is done.
        tokens: The named tokens that the gate lets in, so that a change counts at once; the library's by default.
    """

    def __init__(
        self,
        app: FastAPI,
        catalogue: Catalogue,
        page: Path,
        figures: ServerFigures,
        tokens: AccessTokens | None = None,
    ) -> None:
        self._app = app
        self.previews, self.uploads = Previews(catalogue, figures), Uploads()
        self.conversions, self.tokens = Conversions(on_end=figures.converted), tokens or AccessTokens()
        figures.watch_conversions(self.conversions.states)
        add_errors(app)
        add_description(app)
        for routes in (
            voice_routes(catalogue, self.previews, figures),
            system_routes(catalogue, page),
            access_routes(),
            model_routes(catalogue, self.uploads, figures),
            conversion_routes(catalogue, self.conversions, figures),
            settings_routes(catalogue),
            effect_preset_routes(catalogue),
            rvc_option_routes(),
            session_routes(lambda: self.limiter),
            recording_routes(catalogue),
            token_routes(catalogue, self.tokens),
        ):
            app.include_router(routes)

    @property
    def limiter(self) -> Limiter:
        """That of the gate before all routes."""
        layer = self._app.middleware_stack
        while layer is not None and not isinstance(layer, Gate):
            layer = getattr(layer, "app", None)
        assert isinstance(layer, Gate)  # every application has one
        return layer.limiter

    def open(self) -> None:
        """Begin: what killed servers have left goes. Takes its time."""
        self.conversions.open()

    async def watch(self, look_s: float = LOOK_S) -> None:
        """Let go of what nobody wants any more, again and again, beside the event loop, until cancelled."""
        while True:
            await asyncio.sleep(look_s)
            for held in (self.conversions, self.uploads):
                try:
                    await asyncio.to_thread(held.expire)
                except Exception as error:  # the next look may find the disk well again
                    log_internal_error(_log, "what is old cannot be let go of", error)

    def close(self) -> None:
        """End what runs, and let go of what was not kept. Takes its time."""
        self.conversions.close()
        self.previews.close()
        self.uploads.close()
        self.tokens.close()
