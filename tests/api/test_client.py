"""The typed client: pagination, statuses, and secrecy of the key."""

import json
import logging
from collections.abc import Callable
from typing import Any

import pytest
from pydantic import SecretStr

from cekura_dashboards.api import errors
from cekura_dashboards.api.client import CekuraClient
from cekura_dashboards.api.wire import Response
from support import KEY, Sent, now, open_tools, shared_sandbox

pytestmark = pytest.mark.anyio


AnswerOf = Callable[[Sent], Any]


class AnsweringTransport:
    """Answers every request by a function of it, and keeps the requests."""

    def __init__(self, answer: AnswerOf) -> None:
        self.answer = answer
        self.sent = list[Sent]()

    async def send(self, method: str, path: str, *, query: dict[str, str], **_: Any) -> Response:
        self.sent.append(Sent(method, path, query, None))
        result = self.answer(self.sent[-1])
        return (
            result if isinstance(result, Response) else Response(200, json.dumps(result).encode(), "application/json")
        )

    async def aclose(self) -> None:
        """Nothing to close."""


def client(answer: AnswerOf) -> tuple[CekuraClient, AnsweringTransport]:
    transport = AnsweringTransport(answer)
    return CekuraClient(transport=transport, key=SecretStr(KEY), now=now), transport


@pytest.mark.parametrize(
    ("status", "error"),
    [
        (302, errors.UnexpectedStatus),
        (400, errors.Refused),
        (401, errors.KeyRejected),
        (403, errors.Forbidden),
        (404, errors.NotFound),
        (405, errors.UnexpectedStatus),
        (418, errors.UnexpectedStatus),
        (500, errors.ApiFault),
        (599, errors.ApiFault),
    ],
)
async def test_every_http_status_maps_to_its_error(status: int, error: type[Exception]) -> None:
    api, _ = client(lambda _: Response(status, b"<html>internal detail</html>"))
    with pytest.raises(error) as caught:
        await api.get_widget(7)
    assert type(caught.value) is error
    assert "internal detail" not in str(caught.value)


@pytest.mark.parametrize(
    ("body", "messages"),
    [
        (b'{"detail": "Not so."}', {"detail": ["Not so."]}),
        (b'{"name": ["Too long.", "Too odd."]}', {"name": ["Too long.", "Too odd."]}),
        (b'{"name": {"deep": "x"}, "count": 3}', {}),
        (b"<html>no</html>", {}),
        (b"\xff\xfe", {}),
        (b"[1]", {}),
        (f'{{"detail": "the key {KEY} is bad"}}'.encode(), {"detail": ["the key [key] is bad"]}),
    ],
)
async def test_only_documented_messages_of_a_400_are_kept(body: bytes, messages: dict[str, list[str]]) -> None:
    api, _ = client(lambda _: Response(400, body))
    with pytest.raises(errors.Refused) as caught:
        await api.get_widget(7)
    assert caught.value.fields == messages


async def test_pagination_uses_the_query_of_next_and_keeps_the_host() -> None:
    def answer(request: Sent) -> Any:
        if request.query.get("page") == "2":
            return {"results": [{"id": 2}], "next": None}
        return {"results": [{"id": 1}], "next": "https://evil.invalid/elsewhere/?page=2&page_size=100"}

    api, transport = client(answer)
    assert [agent.id for agent in await api.agents()] == [1, 2]
    assert {request.path for request in transport.sent} == {"/test_framework/v2/aiagents/"}


MANY_VALUES = b"[" + b"[]," * 700_000 + b"0]"


OVERSIZED: list[tuple[Callable[[CekuraClient], Any], bytes, str]] = [
    (lambda api: api.get_dashboard(1), b'{"id":1,"widgets":' + MANY_VALUES + b"}", "more than 1000000 values"),
    (lambda api: api.get_dashboard(1), b'{"id":1,"name":"' + b"x" * 17 * 2**20 + b'"}', "larger than 16 MiB"),
    (lambda api: api.agents(), b'{"results":' + MANY_VALUES + b"}", "more than 1000000 values"),
    (lambda api: api.bulk_data([1]), b'{"results":[' + b"{}," * 3_000_000 + b"{}]}", "more than 3000000 values"),
    (lambda api: api.bulk_data([1]), b'{"results":' + MANY_VALUES + b"}", "an undocumented type"),
    (lambda api: api.preview_data({}), b'{"data":[' + b"{}," * 3_000_000 + b"{}]}", "more than 3000000 values"),
]


@pytest.mark.parametrize(("read", "body", "messages"), OVERSIZED)
async def test_oversized_answers_are_rejected_before_decoding(
    read: Callable[[CekuraClient], Any], body: bytes, messages: str
) -> None:
    api, _ = client(lambda _: Response(200, body, "application/json"))
    with pytest.raises(errors.UnreadableAnswer, match=messages):
        await read(api)


async def test_widgets_without_a_valid_id_are_omitted() -> None:
    api, _ = client(lambda _: {"id": 1, "widgets": [{"id": 7}, {"id": -1}, {"id": None}, {"name": "x"}]})
    assert [widget.id for widget in (await api.get_dashboard(1)).widgets] == [7]


async def test_a_malformed_widget_makes_its_dashboard_unreadable() -> None:
    api, _ = client(lambda _: {"id": 1, "widgets": [0] * 300_000})
    with pytest.raises(errors.UnreadableAnswer, match=r"widgets\.0 has an undocumented type"):
        await api.get_dashboard(1)


async def test_repeating_pages_are_an_error() -> None:
    api, transport = client(lambda _: {"results": [], "next": "https://x.invalid/?page=1"})
    with pytest.raises(errors.UnreadableAnswer, match="repeat"):
        await api.agents()
    assert len(transport.sent) == 2


async def test_pagination_stops_after_100_pages() -> None:
    numbers = iter(range(1000))
    api, transport = client(lambda _: {"results": [], "next": f"https://x.invalid/?page={next(numbers)}"})
    with pytest.raises(errors.UnreadableAnswer, match="more than 100 pages"):
        await api.agents()
    assert len(transport.sent) == 100


@pytest.mark.parametrize(
    ("answer", "problem"),
    [
        (Response(200, b"<html></html>", "text/html; charset=utf-8"), "HTML"),
        (Response(200, b'{"id": 7, "chart_type"'), "not valid JSON"),
        (Response(200, b'{"id": "seven", "chart_type": "pie"}'), "id has an undocumented type"),
        (Response(200, b'{"id": 8, "chart_type": "pie"}'), "describes 8, but 7"),
    ],
    ids=["html", "truncated", "wrong type", "another widget"],
)
async def test_a_success_with_an_unexpected_body_is_an_error(answer: Response, problem: str) -> None:
    api, _ = client(lambda _: answer)
    with pytest.raises(errors.UnreadableAnswer, match=problem):
        await api.get_widget(7)


async def test_unknown_keys_and_chart_types_are_kept() -> None:
    api, _ = client(lambda _: {"id": 7, "chart_type": "list", "colour": "red", "metadata": [1]})
    widget = await api.get_widget(7)
    assert (widget.chart_type, widget.metadata, widget.model_extra) == ("list", [1], {"colour": "red"})


@pytest.mark.parametrize(
    "body", [[{"name": "A", "chart_type": "stat"}], {"id": 1, "widgets": [{"name": "A", "chart_type": "stat"}]}, {}]
)
async def test_predefined_widgets_are_accepted_as_a_list_or_in_an_object(body: Any) -> None:
    api, _ = client(lambda _: body)
    assert [w.name for w in await api.predefined_widgets()] == (["A"] if body else [])


async def test_the_api_key_is_absent_from_reprs_logs_and_errors(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    async with open_tools(shared_sandbox()) as (context, recorder):
        await context.api.get_dashboard(11)
        with pytest.raises(errors.NotFound) as caught:
            await context.api.get_dashboard(4711)
        texts = [repr(context), repr(context.settings), repr(caught.value), str(caught.value), caplog.text]
        assert recorder.keys == {KEY}
    assert not [text for text in texts if KEY in text]


async def test_one_deadline_covers_all_pages() -> None:
    api, transport = client(lambda _: {"results": [], "next": "https://x.invalid/?page=2"})
    with pytest.raises(errors.DeadlinePassed):
        await api.within(0).agents()
    assert transport.sent == []
