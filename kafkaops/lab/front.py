"""The one AWS endpoint of the lab: Route 53 and SSM are ours and strict, Auto Scaling is made so
on its way to moto, the rest goes there as it is.

Denied actions answer as AWS does, so that a missing permission can be tried.
"""

from __future__ import annotations

import http.client
import json
import threading
import urllib.parse
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from kafkaops.engine.clock import SystemClock
from kafkaops.lab import route53_rest, ssm_rest
from kafkaops.lab import scaling as auto_scaling
from kafkaops.lab.route53_rest import ACCOUNT, Api
from kafkaops.lab.ssm import Commands

HOP = {"connection", "keep-alive", "transfer-encoding", "expect", "te", "trailer", "upgrade"}
S3_ACTIONS = {
    "GET": "s3:GetObject",
    "HEAD": "s3:GetObject",
    "PUT": "s3:PutObject",
    "POST": "s3:PutObject",
    "DELETE": "s3:DeleteObject",
}
OPTIONS = "/lab/options"


class Front:
    """The HTTP server; `options` is what `lab set` changed. Without `ssm` there is no host that
    Run Command could reach, and moto would call every command a success: it is refused."""

    def __init__(
        self,
        api: Api,
        address: tuple[str, int],
        backend: tuple[str, int],
        ssm: ssm_rest.Api | None = None,
    ) -> None:
        self.api = api
        self.ssm = ssm or ssm_rest.Api(Commands({}, SystemClock()))
        self.scaling = auto_scaling.Scaling()
        self.backend = backend
        front = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_any(self) -> None:
                front.answer(self)

            do_GET = do_PUT = do_POST = do_DELETE = do_HEAD = do_any
            do_PATCH = do_OPTIONS = do_any

            def log_message(self, format: str, *args: Any) -> None:
                print(f"{self.command} {self.path} {args[1] if len(args) > 1 else ''}", flush=True)

        self.server = ThreadingHTTPServer(address, Handler)
        self.server.daemon_threads = True

    def start(self) -> None:
        threading.Thread(target=self.server.serve_forever, args=(0.1,), daemon=True).start()

    def answer(self, request: BaseHTTPRequestHandler) -> None:
        body = _body(request)
        if request.path.startswith(route53_rest.PREFIX):
            status, document = self.api.handle(request.command, request.path, body)
            _send(request, status, {"Content-Type": "text/xml"}, document)
        elif (target := request.headers.get("X-Amz-Target", "")).startswith(ssm_rest.TARGET):
            status, document = self.ssm.handle(target, body)
            _send(request, status, {"Content-Type": "application/x-amz-json-1.1"}, document)
        elif request.path == OPTIONS:
            status, document = self._options(request.command, body)
            _send(request, status, {"Content-Type": "application/json"}, document)
        elif auto_scaling.SCOPE in request.headers.get("Authorization", ""):
            status, document = self.scaling.handle(
                body, lambda sent: self._moto(request, sent)[::2]
            )
            _send(request, status, {"Content-Type": "text/xml"}, document)
        elif action := self._denied(request):
            message = f"User: {ACCOUNT} is not authorized to perform: {action}"
            text = f"<Error><Code>AccessDenied</Code><Message>{message}</Message></Error>"
            _send(request, 403, {"Content-Type": "application/xml"}, text.encode())
        else:
            self._forward(request, body)

    def _denied(self, request: BaseHTTPRequestHandler) -> str:
        if "/s3/aws4_request" not in request.headers.get("Authorization", ""):
            return ""
        path = urllib.parse.urlsplit(request.path).path.strip("/")
        action = S3_ACTIONS.get(request.command, "") if "/" in path else "s3:ListBucket"
        return action if {action, "s3:*"} & self.api.denied else ""

    def _forward(self, request: BaseHTTPRequestHandler, body: bytes) -> None:
        status, headers, content = self._moto(request, body)
        _send(request, status, headers, content)

    def _moto(
        self, request: BaseHTTPRequestHandler, body: bytes
    ) -> tuple[int, dict[str, str], bytes]:
        headers = {k: v for k, v in request.headers.items() if k.lower() not in HOP}
        headers["Content-Length"] = str(len(body))
        link = http.client.HTTPConnection(*self.backend, timeout=60)
        try:
            link.request(request.command, request.path, body, headers)
            answer = link.getresponse()
            content = answer.read()
            kept = {k: v for k, v in answer.getheaders() if k.lower() not in HOP}
            return answer.status, kept, content
        except OSError as error:
            text = f"<Error><Code>ServiceUnavailable</Code><Message>{error}</Message></Error>"
            return 503, {"Content-Type": "application/xml"}, text.encode()
        finally:
            link.close()

    def _options(self, method: str, body: bytes) -> tuple[int, bytes]:
        """GET shows them, POST changes: `insync_delay` (seconds), `deny` (IAM actions, comma
        between), `throttle` (how many Route 53 calls to refuse), `ssm_throttle` (the same),
        `ssm_offline` (instance ids without a live agent, comma between), `scaling_throttle`,
        `scaling_delay` (seconds until a suspension is described), `scaling_busy` and
        `scaling_refreshing` (groups with an activity or an instance refresh under way)."""
        if method == "POST":
            try:
                self.set(json.loads(body))
            except (ValueError, TypeError) as error:
                return 400, json.dumps({"error": str(error)}).encode()
        return 200, json.dumps(self.options()).encode()

    def options(self) -> dict[str, Any]:
        return {
            "insync_delay": self.api.zone.delay,
            "deny": sorted(self.api.denied),
            "throttle": self.api.throttle,
            "ssm_throttle": self.ssm.commands.throttle,
            "ssm_offline": sorted(self.ssm.commands.offline),
            "scaling_throttle": self.scaling.throttle,
            "scaling_delay": self.scaling.delay,
            "scaling_busy": sorted(self.scaling.busy),
            "scaling_refreshing": sorted(self.scaling.refreshing),
        }

    def set(self, values: dict[str, Any]) -> None:
        """ValueError for an unknown option or value, and then nothing is changed."""
        unknown = set(values) - set(self.options())
        if unknown:
            known = ", ".join(self.options())
            raise ValueError(f"no option {', '.join(sorted(unknown))} (there are {known})")
        delay = float(values.get("insync_delay", self.api.zone.delay))
        throttle = int(values.get("throttle", self.api.throttle))
        deny = _words(values.get("deny", sorted(self.api.denied)))
        commands = self.ssm.commands
        ssm_throttle = int(values.get("ssm_throttle", commands.throttle))
        offline = _words(values.get("ssm_offline", sorted(commands.offline)))
        scaling = self.scaling
        scaling_throttle = int(values.get("scaling_throttle", scaling.throttle))
        scaling_delay = float(values.get("scaling_delay", scaling.delay))
        busy = _words(values.get("scaling_busy", sorted(scaling.busy)))
        refreshing = _words(values.get("scaling_refreshing", sorted(scaling.refreshing)))
        self.api.zone.set_delay(delay)
        self.api.throttle = throttle
        self.api.denied = self.ssm.denied = scaling.denied = deny
        scaling.throttle, scaling.delay = scaling_throttle, scaling_delay
        scaling.busy, scaling.refreshing = busy, refreshing
        commands.throttle, commands.offline = ssm_throttle, offline


def _words(value: Any) -> frozenset[str]:
    """A list, or one text with commas."""
    words = value.split(",") if isinstance(value, str) else list(value)
    return frozenset(word.strip() for word in words if word.strip())


def _body(request: BaseHTTPRequestHandler) -> bytes:
    if "chunked" in request.headers.get("Transfer-Encoding", "").lower():
        parts = []
        while size := int(request.rfile.readline().split(b";")[0], 16):
            parts.append(request.rfile.read(size))
            request.rfile.readline()
        while request.rfile.readline().strip():  # trailers
            pass
        return b"".join(parts)
    return request.rfile.read(int(request.headers.get("Content-Length") or 0))


def _send(
    request: BaseHTTPRequestHandler, status: int, headers: dict[str, str], body: bytes
) -> None:
    request.send_response(status)
    for key, value in headers.items():
        if key.lower() != "content-length" and key.lower() not in ("date", "server"):
            request.send_header(key, value)
    length = headers.get("Content-Length", str(len(body)))  # of a HEAD: what GET would send
    request.send_header("Content-Length", length if request.command == "HEAD" else str(len(body)))
    request.end_headers()
    if request.command != "HEAD":
        request.wfile.write(body)
