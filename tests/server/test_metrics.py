"""Figures of all engines, as Prometheus reads them."""

from collections.abc import Callable

from fastapi.testclient import TestClient
from prometheus_client.parser import text_string_to_metric_families

from menura import __version__
from menura.audio.config import AudioConfig
from menura.engine.config import BufferConfig, ProcessingMode
from menura.engine.engine import Engine
from menura.server.access import Access
from menura.server.app import create_app
from menura.server.hosts import HostRules
from menura.server.metrics import make_registry
from menura.server.rates import ServerLimits
from menura.server.tokens import Token
from menura.vad.config import VADConfig
from tests.server.gate import TOKEN

LOUD = b"\x00\x20\x00\xe0" * 240


def engine() -> Engine:
    engine = Engine(ProcessingMode.REALTIME, AudioConfig(chunk_duration_ms=20))
    for _ in range(10):
        engine.process_audio(LOUD)
        engine.process_vad_chunk(LOUD)
    engine.process_audio(b"odd")
    return engine


def test_engines_are_added_up_and_stay_counted_when_they_end() -> None:
    registry, engines = make_registry()
    first, second = engine(), engine()
    engines.watch(first)
    engines.watch(first)
    engines.watch(second)
    value = registry.get_sample_value
    assert value("menura_engine_sessions") == 2
    assert value("menura_engine_chunks_total") == 20
    assert value("menura_engine_refused_chunks_total", {"reason": "odd_bytes"}) == 2
    assert value("menura_engine_dropped_bytes_total", {"reason": "odd_bytes"}) == 6
    assert value("menura_engine_stage_seconds_count", {"stage": "process"}) == 20
    assert value("menura_engine_vad_transitions_total", {"from": "silence", "to": "speech_starting"}) == 2
    engines.forget(second)
    engines.forget(second)
    assert value("menura_engine_sessions") == 1
    assert value("menura_engine_chunks_total") == 20


def test_counters_never_go_down() -> None:
    registry, engines = make_registry()
    watched = engine()
    engines.watch(watched)
    names = [
        ("menura_engine_chunks_total", {}),
        ("menura_engine_vad_transitions_total", {"from": "silence", "to": "speech_starting"}),
        ("menura_engine_stage_seconds_count", {"stage": "vad"}),
    ]
    before = [registry.get_sample_value(name, labels) for name, labels in names]
    watched.reset_metrics()
    watched.configure_vad(VADConfig())
    watched.optimize_for_quality()
    assert [registry.get_sample_value(name, labels) for name, labels in names] == before
    assert None not in before


class Interrupted:
    """A lock; what another thread does the moment it is free happens then."""

    def __init__(self) -> None:
        self.then: Callable[[], None] | None = None

    def __enter__(self) -> None:
        """Nobody else is there."""

    def __exit__(self, *_: object) -> None:
        then, self.then = self.then, None
        if then is not None:
            then()


def test_figures_reset_while_they_are_added_up_count_once() -> None:
    engine, lock = Engine(ProcessingMode.REALTIME), Interrupted()
    engine._lock = lock
    engine.process_audio(bytes(960))
    lock.then = engine.reset_metrics
    assert engine.totals().counters["chunks", ()] == 1
    assert engine.totals().counters["chunks", ()] == 1


def test_what_a_provider_sends_in_vain_is_counted() -> None:
    engine = Engine(ProcessingMode.REALTIME)
    engine.queue_playback(b"1")
    engine.prepare_for_playback(b"")
    counters = engine.totals().counters
    assert counters["playback_refused", (("reason", "odd_bytes"),)] == 1
    assert counters["playback_refused", (("reason", "empty"),)] == 1


def test_packets_out_of_order_take_no_counter_back() -> None:
    engine = Engine(ProcessingMode.REALTIME, buffer_config=BufferConfig(jitter=True))
    registry, engines = make_registry()
    engines.watch(engine)
    before: dict[str, float] = {}
    for number in (0, 1, 2, 5, 6, 3, 4, 9, 7, 8, 10):
        engine.stream_buffer.add_audio(bytes(960), sequence=number)
        engine.read_stream_buffer(20)
        after = {
            sample.name: sample.value
            for family in registry.collect()
            for sample in family.samples
            if family.type == "counter" and not sample.labels
        }
        assert all(after[name] >= value for name, value in before.items() if name.startswith("menura"))
        before = after


def test_buckets_are_cumulative() -> None:
    registry, engines = make_registry()
    engines.watch(engine())
    (family,) = [f for f in registry.collect() if f.name == "menura_engine_stage_seconds"]
    buckets = [s.value for s in family.samples if s.name.endswith("_bucket") and s.labels["stage"] == "process"]
    assert buckets == sorted(buckets)
    assert buckets[-1] == 10


def test_the_server_tells_them_in_prometheus_format() -> None:
    app = create_app()
    app.state.engines.watch(engine())
    response = TestClient(app).get("/metrics")
    assert response.status_code == 200
    assert response.headers["content-type"].startswith("text/plain")
    families = {family.name: family for family in text_string_to_metric_families(response.text)}
    assert families["menura_engine_chunks"].samples[0].value == 10
    assert families["menura_engine_load"].type == "gauge"
    assert "process_resident_memory_bytes" in families
    assert all(family.documentation for family in families.values())


def test_two_servers_in_one_process_count_apart() -> None:
    first, second = create_app(), create_app()
    first.state.engines.watch(engine())
    assert "menura_engine_sessions 1.0" in TestClient(first).get("/metrics").text
    assert "menura_engine_sessions 0.0" in TestClient(second).get("/metrics").text


def test_refusals_and_latencies_are_told() -> None:
    app = create_app(relay=False, access=Access(Token(TOKEN), HostRules.of("127.0.0.1"), ServerLimits(sessions=7)))
    bearer = {"Authorization": f"Bearer {TOKEN}", "Host": "localhost"}
    with TestClient(app) as client:
        assert client.get("/metrics", headers={"Host": "localhost"}).status_code == 401
        assert client.get("/metrics", headers=bearer | {"Host": "evil.example"}).status_code == 421
        address = f"/ws/realtime-control?token={TOKEN}"
        with client.websocket_connect(address, headers={"Host": "localhost"}) as socket:
            socket.send_json({"action": "selectVoice", "voiceId": "robot"})
            audio = {"source": "client", "sample_rate": 48000, "format": "pcm16"}
            socket.send_json({"action": "start", "audio": audio})
            while socket.receive_json()["type"] != "status":
                pass
            text = client.get("/metrics", headers=bearer).text
    families = {family.name: family for family in text_string_to_metric_families(text)}

    def value(family: str, **labels: str) -> float:
        (sample,) = [one for one in families[family].samples if labels.items() <= one.labels.items()][:1]
        return sample.value

    refused = [one for one in families["menura_refusals"].samples if one.name.endswith("_total")]
    assert {one.labels["code"]: one.value for one in refused} == {
        "unauthorized": 1,
        "host_not_allowed": 1,
        "origin_not_allowed": 0,
        "forbidden": 0,
        "rate_limited": 0,
    }
    assert value("menura_sessions_limit") == 7
    assert 0.01 < value("menura_sessions_latency_seconds", kind="control", over_sessions="max") < 60.0
    assert value("menura_sessions_latency_seconds", kind="control", over_sessions="mean") > 0.01
    assert value("menura_build_info", version=__version__) == 1
