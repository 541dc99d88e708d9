from menura.live.turnaround import Turnaround


def test_burst_is_not_its_own_latency() -> None:
    turnaround = Turnaround(48000)
    dues = [turnaround.arrived(100.0, 960) for _ in range(50)]
    for index, due in enumerate(dues):
        turnaround.answered(due, 100.0 + 0.001 * (index + 1))
    assert turnaround.mean_s < 0.001


def test_live_chunks_count_their_whole_wait() -> None:
    turnaround = Turnaround(48000)
    for index in range(100):
        turnaround.answered(turnaround.arrived(index * 0.02, 960), index * 0.02 + 0.007)
    assert abs(turnaround.mean_s - 0.007) < 1e-6
