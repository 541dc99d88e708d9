"""The web application."""

import asyncio
import os
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Literal

from fastapi import FastAPI, Request, Response, WebSocket
from fastapi.concurrency import run_in_threadpool
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, Counter, generate_latest

from menura import __version__
from menura.live.pool import VoicePool
from menura.live.speaking_stats import Devices
from menura.server.access import Access, Gate
from menura.server.api.routes import Rest
from menura.server.catalogue import Catalogue
from menura.server.figures import ServerFigures
from menura.server.headers import HEADERS
from menura.server.metrics import make_registry
from menura.server.model_figures import ModelFigures
from menura.server.page_files import PageFiles
from menura.server.realtime_socket import RealtimeSocket
from menura.server.relay_options import RelaySettings
from menura.server.relay_socket import RelayServices, RelaySocket
from menura.server.socket import ControlSocket, Services
from menura.store.access_tokens import AccessTokens
from menura.voices.voice import Voice

__all__ = ["create_app"]

PAGE = Path(__file__).with_name("page")
METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})


def _add_sockets(app: FastAPI, services: Services, relays: RelayServices) -> None:
    @app.websocket("/ws/realtime-control")
    async def control(websocket: WebSocket) -> None:
        await ControlSocket(websocket, services).serve()

    @app.websocket("/ws/relay")
    async def relay(websocket: WebSocket) -> None:
        await RelaySocket(websocket, relays).serve()

    @app.websocket("/v1/realtime")
    async def realtime(websocket: WebSocket) -> None:
        await RealtimeSocket(websocket, relays).serve()


def _count_and_secure(app: FastAPI, registry: CollectorRegistry) -> None:
    requests = Counter(
        "menura_http_requests", "Requests let in, by route.", ["method", "route", "status"], registry=registry
    )

    @app.middleware("http")
    async def secure(request: Request, call_next: Callable[[Request], Awaitable[Response]]) -> Response:
        response = await call_next(request)
        path = getattr(request.scope.get("route"), "path", "other")  # not what was asked: anybody may ask for anything
        method = request.method if path != "other" and request.method in METHODS else "other"
        requests.labels(method, path, response.status_code).inc()
        for name, value in HEADERS.items():
            response.headers.setdefault(name, value)
        return response


def _add_figures(app: FastAPI, rest: Rest, figures: ServerFigures, registry: CollectorRegistry) -> None:
    @app.get("/health")
    async def health() -> dict[str, str]:
        """Whether the server is up."""
        return {"status": "ok", "version": __version__}

    @app.get("/metrics", include_in_schema=False)
    async def metrics() -> Response:
        """All figures in Prometheus' text format; gathered beside the event loop, as engines hold locks."""
        figures.look(rest.limiter)
        text = await run_in_threadpool(generate_latest, registry)
        return Response(text, headers={"Content-Type": CONTENT_TYPE_LATEST})


def _add_page(app: FastAPI) -> None:
    files = PageFiles(PAGE)

    @app.get("/", include_in_schema=False)
    async def index(request: Request) -> Response:
        return files.index(request.scope)

    app.mount("/page", files, name="page")


def create_app(
    voices: Sequence[Voice] | None = None,
    devices: Devices | None = None,
    relay: RelaySettings | Literal[False] | None = None,
    access: Access | None = None,
) -> FastAPI:
    """Build the application: the control socket at ``/ws/realtime-control``, the relay to an AI provider at
    ``/ws/relay`` and, for clients of the Realtime API, at ``/v1/realtime``, the page at ``/``, ``/metrics``.

    Engines that your own routes use are counted once ``app.state.engines.watch(engine)`` was called, and until
    ``forget``.

    Args:
        voices: On offer, fixed; by default those of the user's library, as it is at each moment.
        devices: The machine's microphone and output, for ``start`` without ``audio``; its default ones by default.
        relay: The relay's provider; by default what the environment says, see
            :meth:`~menura.server.relay_options.RelaySettings.from_environment`. False for no relay.
        access: What it asks of its clients; by default no token, and that a page in a browser comes from itself.

    Raises:
        VoiceNotFoundError: A voice of ``relay`` is not on offer.

    A library that cannot be read is no error: the built-in voices are on offer until it can, and ``/api/ready`` says
    why.
    """
    pool = VoicePool(max(2, os.cpu_count() or 2))
    catalogue = Catalogue(voices)
    registry, engines = make_registry()
    try:
        settings = RelaySettings.from_environment() if relay is None else relay or None
        relays = RelayServices(settings, catalogue, pool, engines)
        if settings is not None:
            relays.voices_for(None, None)
    except BaseException:
        catalogue.close()
        raise

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        await run_in_threadpool(rest.open)
        watching = [asyncio.create_task(one.watch()) for one in (catalogue, rest)]
        yield
        for task in watching:
            task.cancel()
        pool.shutdown(wait=False, cancel_futures=True)
        await run_in_threadpool(rest.close)
        await run_in_threadpool(catalogue.close)

    app = FastAPI(
        title="menura",
        version=__version__,
        lifespan=lifespan,
        docs_url=None,
        redoc_url=None,
        openapi_url="/api/openapi.json",
        redirect_slashes=False,  # to an address that a proxy would have to know
    )
    access = access or Access()
    figures = ServerFigures(registry)
    registry.register(ModelFigures())
    rest = Rest(app, catalogue, PAGE, figures, access.named if isinstance(access.named, AccessTokens) else None)
    services = Services(catalogue, pool, rest.previews, figures, devices or Devices())
    app.state.catalogue, app.state.previews = catalogue, rest.previews
    app.state.engines = engines
    app.state.relays = relays

    _count_and_secure(app, registry)
    app.add_middleware(Gate, access=access, headers=HEADERS)
    _add_sockets(app, services, relays)

    _add_figures(app, rest, figures, registry)
    _add_page(app)
    return app
