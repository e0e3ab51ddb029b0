"""The one AWS endpoint of the lab: Route 53, SSM, KMS and CloudTrail's history are ours and
strict, Auto Scaling and the rights of S3 are made so on their way to moto, the rest goes there as
it is.

Denied actions answer as AWS does, so that a missing permission can be tried. A caller whose
policies were given is held to them by KMS and S3.
"""

from __future__ import annotations

import http.client
import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from kafkaops.engine.clock import Clock, SystemClock
from kafkaops.lab import iam, kms_rest, route53_rest, s3_rights, ssm_rest, switches, trail
from kafkaops.lab import scaling as auto_scaling
from kafkaops.lab.kms import KeyStore
from kafkaops.lab.kms_calls import Desk
from kafkaops.lab.route53_rest import Api
from kafkaops.lab.ssm import Commands

HOP = {"connection", "keep-alive", "transfer-encoding", "expect", "te", "trailer", "upgrade"}
OPTIONS = "/lab/options"
HANG = 60.0
"""Seconds that a call which is to get no answer is held; clients give up earlier."""


class Front:
    """The HTTP server; `options` is what `lab set` changed. Without `ssm` there is no host that
    Run Command could reach, and moto would call every command a success: it is refused."""

    def __init__(
        self,
        api: Api,
        address: tuple[str, int],
        backend: tuple[str, int],
        ssm: ssm_rest.Api | None = None,
        kms: kms_rest.Api | None = None,
    ) -> None:
        self.api: Api = api
        self.ssm = ssm or ssm_rest.Api(Commands({}, SystemClock()))
        self.scaling = auto_scaling.Scaling()
        self.kms = kms or kms_of(SystemClock())
        self.callers = iam.Callers()
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
        target = request.headers.get("X-Amz-Target", "")
        signed = request.headers.get("Authorization", "")
        service = iam.scope(signed)[2]
        caller = self.callers.of(signed)
        if request.path.startswith(route53_rest.PREFIX):
            status, document = self.api.handle(request.command, request.path, body)
            _send(request, status, {"Content-Type": "text/xml"}, document)
        elif target.startswith(ssm_rest.TARGET):
            _send(request, *_json(self.ssm.handle(target, body)))
        elif target.startswith(kms_rest.TARGET):
            try:
                _send(request, *_json(self.kms.handle(target, body, signed, caller)))
            except kms_rest.Silence:
                threading.Event().wait(HANG)
                request.close_connection = True
        elif target.startswith(trail.TARGET):
            _send(request, *_json(self.kms.trail.handle(target, body, signed, caller)))
        elif request.path == OPTIONS:
            status, document = self._options(request.command, body)
            _send(request, status, {"Content-Type": "application/json"}, document)
        elif service == "autoscaling":
            status, document = self.scaling.handle(
                body, lambda sent: self._moto(request, sent)[::2]
            )
            _send(request, status, {"Content-Type": "text/xml"}, document)
        elif service == "sts" and b"Action=GetCallerIdentity" in body:
            _send(request, 200, {"Content-Type": "text/xml"}, iam.whoami(caller))
        elif service == "s3":
            self._s3(request, body, caller)
        else:
            _send(request, *self._moto(request, body))

    def _s3(self, request: BaseHTTPRequestHandler, body: bytes, caller: iam.Caller) -> None:
        asked = s3_rights.asked(
            request.command, request.path, request.headers.get("If-None-Match", "")
        )
        denied = self.api.denied
        action = s3_rights.refused(asked, caller, denied)
        if not action:
            answer = self._moto(request, body)
            if answer[0] != 404 or s3_rights.tells_absence(asked, caller, denied):
                _send(request, *answer)
                return
            action = "s3:ListBucket"
        message = f"User: {caller.arn} is not authorized to perform: {action}"
        text = f"<Error><Code>AccessDenied</Code><Message>{message}</Message></Error>"
        _send(request, 403, {"Content-Type": "application/xml"}, text.encode())

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
        """GET shows them, POST changes: see `switches`."""
        if method == "POST":
            try:
                self.set(json.loads(body))
            except (ValueError, TypeError, KeyError) as error:
                return 400, json.dumps({"error": str(error)}).encode()
        return 200, json.dumps(self.options()).encode()

    def options(self) -> dict[str, Any]:
        return switches.shown(self)

    def set(self, values: dict[str, Any]) -> None:
        """ValueError for an unknown option or value, and then nothing is changed."""
        switches.change(self, values)


def kms_of(clock: Clock) -> kms_rest.Api:
    """An empty KMS with its trail."""
    return kms_rest.Api(Desk(KeyStore(clock)), trail.Trail(clock))


def _json(answer: tuple[int, bytes]) -> tuple[int, dict[str, str], bytes]:
    return answer[0], {"Content-Type": "application/x-amz-json-1.1"}, answer[1]


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
