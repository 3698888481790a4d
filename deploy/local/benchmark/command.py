"""What `sural bench` prints."""

from __future__ import annotations

from dataclasses import asdict

import orjson


def alerts(number: int, *, rate: float, as_json: bool) -> None:
    """How soon so many emergencies are told of."""
    from deploy.local.benchmark.alerts import measure_alerts

    measured = measure_alerts(number, per_second=rate)
    print(orjson.dumps(asdict(measured)).decode() if as_json else measured.as_line())


def stages(*, as_json: bool) -> None:
    """Each stage of one response, and what hostile bodies cost."""
    from deploy.local.benchmark import stages as benchmark
    from deploy.local.benchmark.hostile import measure_hostile

    costs = benchmark.measure()
    if not as_json:
        print("\n".join(benchmark.as_table(costs)))
    hostile = measure_hostile()
    whole = {**benchmark.as_json(costs), "malformed": hostile.as_json()}
    print(orjson.dumps(whole).decode() if as_json else hostile.as_line())
