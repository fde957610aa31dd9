"""Which routes there are for strangers, and what every reply says of itself."""

from __future__ import annotations

import asyncio
import json
import re

import pytest
from starlette.datastructures import Headers

from fedmed.server.headers import headers
from fedmed.server.routes import Routes
from tests.support.app_fixtures import REPOSITORY, SECRET
from tests.support.strangers import FILM, ask, multipart, upload, works

HEADERS = headers({})
FILES = (  # of the server, by every road to a file that Gradio had or has
    "/gradio_api/file=/etc/passwd",
    "/gradio_api/file=%2fetc%2fpasswd",
    "/gradio_api/file=../../../../etc/passwd",
    "/gradio_api/file=%2e%2e/%2e%2e/%2e%2e/etc/passwd",
    "/gradio_api/file=..%252f..%252fetc/passwd",
    "/gradio_api/file=....//....//etc/passwd",
    f"/gradio_api/file={REPOSITORY}/app.py",
    "/gradio_api/file=app.py",
    "/gradio_api/file=./app.py",
    "/gradio_api/file=/proc/self/environ",
    "/gradio_api/file=/proc/self/cwd/app.py",
    "/gradio_api/file=/dev/zero",
    "/gradio_api/file=%00",
    "/gradio_api/file=/etc/passwd%00.png",
    "/gradio_api/file=C:/Windows/win.ini",
    "/gradio_api/file=C:%5cWindows%5cwin.ini",
    "/gradio_api/file=%5c%5c127.0.0.1%5cshare%5cx",
    "/gradio_api/file=file:///etc/passwd",
    "/gradio_api/file=/tmp/gradio/x/../../../etc/passwd",
    "/gradio_api/file/etc/passwd",
    "/gradio_api/file=",
    "/file=/etc/passwd",
    "/file/etc/passwd",
    "/static/../../app.py",
    "/static/%2e%2e/%2e%2e/routes.py",
    "/static/..%2f..%2froutes.py",
    "/static/..%5c..%5croutes.py",
    "/static//etc/passwd",
    "/static/%2fetc%2fpasswd",
    "/static/img%00.svg",
    "/assets/../../../routes.py",
    "/assets/%2e%2e/index.html",
    "/assets//etc/passwd",
    "/svelte/../index.html",
    "/svelte//etc/passwd",
    "/gradio_api/custom_component/1/client/component/../../x",
    "/custom_component/../../etc/passwd",
    "/app.py",
    "/.env",
    "/.git/config",
    "//etc/passwd",
    "/%2e%2e/app.py",
    "/..",
)
ADDRESSES = (
    "/gradio_api/file=http://127.0.0.1:9/",
    "/gradio_api/file=http://169.254.169.254/latest/meta-data/",
    "/gradio_api/file=https://example.com/",
    "/gradio_api/proxy=http://127.0.0.1:9/",
    "/gradio_api/proxy=https://huggingface.co/",
    "/gradio_api/proxy=file:///etc/passwd",
)
ELSEWHERE = (  # what Gradio has for others: logins, debugging, editing, run histories
    "/docs",
    "/redoc",
    "/openapi.json",
    "/login",
    "/logout",
    "/gradio_api/user",
    "/gradio_api/token",
    "/gradio_api/login_check",
    "/gradio_api/dev/reload",
    "/gradio_api/runs",
    "/gradio_api/run-history/buckets",
    "/gradio_api/run-history/records",
    "/gradio_api/deep_link?session_hash=x",
    "/gradio_api/stream/a/1/1/playlist.m3u8",
    "/gradio_api/stream/a/1/1/x.ts",
    "/gradio_api/vibe-code",
    "/gradio_api/profiling/summary",
    "/gradio_api/profiling/traces",
    "/gradio_api/mcp",
    "/gradio_api/mcp/sse",
    "/monitoring",
    "/monitoring/summary",
    "/monitoring/x",
    "/pwa_icon/12",
    "/gradio_api/call/nosuch/x",
    "/gradio_api/call/predict/../report/x",
    "/?page=nosuch",
    "/?page=%00",
    "/config?page=nosuch",
    "/gradio_api/info?page=nosuch",
)
WRITES = (
    "/gradio_api/component_server",
    "/gradio_api/run/predict",
    "/gradio_api/api/predict",
    "/gradio_api/run/clicked",
    "/gradio_api/call/clicked",
    "/gradio_api/call/uploaded",
    "/gradio_api/call/v2/nosuch",
    "/gradio_api/process_recording",
    "/gradio_api/cancel",
    "/gradio_api/vibe-edit",
    "/gradio_api/vibe-code",
    "/gradio_api/undo-vibe-edit",
    "/gradio_api/vibe-starter-queries",
    "/gradio_api/stream/x",
    "/gradio_api/stream/x/close",
    "/gradio_api/run-history/connect",
    "/gradio_api/profiling/clear",
    "/login",
    "/",
    "/config",
)


@pytest.fixture(scope="module", autouse=True)
def works_afterwards(server):
    yield
    assert works(server)


@pytest.mark.parametrize("path", FILES + ADDRESSES + ELSEWHERE)
def test_there_is_nothing_to_read(server, path):
    assert ask(server, "GET", path).status in (403, 404)
    assert ask(server, "HEAD", path).status in (403, 404, 405)


@pytest.mark.parametrize("path", WRITES)
def test_there_is_nothing_to_write(server, path):
    body = {"data": [], "component_id": 1, "session_hash": "a", "fn_name": "x", "prompt": "x"}
    assert ask(server, "POST", path, body).status == 404


@pytest.mark.parametrize("method", ["PUT", "DELETE", "PATCH", "TRACE", "CONNECT", "PROPFIND", "X"])
@pytest.mark.parametrize("path", ["/", "/config", "/gradio_api/upload"])
def test_no_other_methods(server, method, path):
    assert ask(server, method, path).status in (400, 404, 405)


def test_an_upload_cannot_be_fetched(server):
    kept = json.loads(upload(server, multipart(("files", "film.png", FILM))).body)[0]
    for path in (f"/gradio_api/file={kept}", f"/file={kept}", f"/gradio_api/file/{kept}"):
        assert ask(server, "GET", path).status == 404


@pytest.mark.parametrize("link", ["x", "..%2f..%2fx", "%00", "a" * 5000])
def test_links_to_stored_pages_lead_to_the_page(server, link):
    assert ask(server, "GET", f"/?deep_link={link}").status == 200


@pytest.mark.parametrize("path", ["/", "/config", "/gradio_api/info", "/nosuch", "/theme.css"])
def test_every_reply_has_the_headers(server, path):
    reply = ask(server, "GET", path)
    assert {name: reply.headers.get(name.lower()) for name in HEADERS} == HEADERS
    assert "set-cookie" not in reply.headers


@pytest.mark.parametrize("origin", ["https://example.com", "null", "http://127.0.0.1.example.com"])
@pytest.mark.parametrize("method", ["GET", "OPTIONS"])
def test_pages_of_others_may_not_read_replies_of_a_local_app(server, origin, method):
    headers = {"Origin": origin, "Cookie": "session=x", "Access-Control-Request-Method": "POST"}
    reply = ask(server, method, "/config", headers=headers)
    assert "access-control-allow-origin" not in reply.headers


@pytest.mark.parametrize("name", ["Host", "X-Forwarded-Host"])
@pytest.mark.parametrize(
    "host", ["a</script><script>alert(1)</script>", "a/../b", "a b", "a'b", 'a"b', "a\\b", "a@b"]
)
def test_a_host_is_a_host(server, name, host):
    assert ask(server, "GET", "/", headers={name: host}).status == 400


@pytest.mark.parametrize("query", ["", "?serialize=False", "?all_endpoints=1", "?page="])
def test_the_code_to_copy_names_the_host_it_was_asked_by(server, query):
    """And not one that somebody else asked by before."""
    for name in ("X-Forwarded-Host", "Host"):
        for path in ("/gradio_api/info", "/gradio_api/info/"):
            ask(server, "GET", path + query, headers={name: "evil.example"})
    ask(server, "POST", "/gradio_api/call/v2/report", {}, {"Host": "evil.example"})
    told = ask(server, "GET", "/gradio_api/info" + query).body
    assert b"evil.example" not in told and b"/predict" in told


def test_what_fails_has_the_headers_too(caplog):
    sent: list[dict] = []

    async def fails(scope, receive, send):
        raise RuntimeError("at /some/place")

    async def send(message):
        sent.append(message)

    scope = {"type": "http", "method": "GET", "path": "/", "query_string": b"", "headers": []}
    asyncio.run(Routes(fails, HEADERS)(scope, fails, send))
    assert sent[0]["status"] == 500 and b"place" not in sent[1]["body"]
    told = Headers(raw=sent[0]["headers"])
    assert {name: told.get(name) for name in HEADERS} == HEADERS
    assert "at /some/place" in caplog.text


@pytest.mark.parametrize("path", ["/", "/config", "/gradio_api/info", "/gradio_api/openapi.json"])
def test_no_secret_and_no_place_is_told(server, scratch, path):
    told = ask(server, "GET", path).body.decode()  # which looks for secrets itself
    assert str(scratch) not in told
    assert not re.search(r"/(home|root|tmp|usr|var)/", told)


def test_the_token_is_not_in_the_log(server, scratch):
    assert works(server)
    assert SECRET not in (scratch / "log").read_text()
