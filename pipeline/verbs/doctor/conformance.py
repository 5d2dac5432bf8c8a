"""`doctor --server`: what a server is like, told from some ten requests about one thread."""

import json
from collections.abc import Sequence
from dataclasses import asdict

from pipeline.errors import CheckFailedError
from pipeline.http.event_loop import run_in_loop
from pipeline.http.probe import Probe, probe_server
from pipeline.settings.invocation import Settings
from pipeline.verbs.doctor.diagnosis import failed
from pipeline.verbs.doctor.guarantees import judge_answers, settings_for
from pipeline.verbs.doctor.server_answers import ask_server
from pipeline.verbs.doctor.server_health import first_token

# A hundred runs with long instructions: more than an ordinary probe reads.
_MOST_BYTES = 64 * 2**20


def examine_conformance(settings: Settings, thread_id: str, *, as_json: bool) -> int:
    """Print which guarantees the server gives; the exit code: 5 if a sync cannot do without one that it does not give.

    Raises ConfigurationError where no server can be asked.
    """
    endpoint, tokens = settings.endpoint(), settings.tokens()
    token = run_in_loop(first_token(tokens)) if tokens else None

    def ask(segments: Sequence[str], params: Sequence[tuple[str, str]]) -> Probe:
        return run_in_loop(probe_server(endpoint, segments, params, token=token, most_bytes=_MOST_BYTES))

    answers = ask_server(thread_id, ask, endpoint.list_reader())
    found = judge_answers(answers)
    wanted = settings_for(answers, found)
    if as_json:
        checks = [asdict(each) for each in found]
        summary = {"thread_id": thread_id, "requests": answers.requests, "healthy": not failed(found)}
        print(json.dumps({**summary, "checks": checks, "settings": wanted}))
    else:
        for each in found:
            print(each.line)
        named = ", ".join(f"{name} = {json.dumps(value)}" for name, value in wanted.items())
        print(f"{answers.requests} requests; settings for this server: {named or 'none but the defaults'}")
    return CheckFailedError.exit_code if failed(found) else 0
