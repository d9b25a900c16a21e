"""A brand's backend: hands its own agents a token, and takes signed events."""

import hashlib
import hmac
import json
import os
import time
import urllib.request
from http.cookies import SimpleCookie
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

GATEWAY = os.environ["SWITCHBOARD_GATEWAY"]  # https://video.example.com
API_KEY = os.environ["SWITCHBOARD_API_KEY"]  # swk_…; `switchboard api-key` makes one
SECRET = os.environ["WEBHOOK_SECRET"].encode()  # what the webhook's secret_file holds
AGENTS = {"session-of-alex": {"agent_id": "7", "name": "Alex"}}  # your own login's sessions
SEEN: dict[str, float] = {}  # event id → when; keep it where all your processes see it


def mint_token(agent: dict[str, str]) -> bytes:
    head = {"Authorization": f"Bearer {API_KEY}", "Content-Type": "application/json"}
    body = json.dumps({"kind": "agent", **agent}).encode()
    asked = urllib.request.Request(f"{GATEWAY}/v1/tokens", body, head)
    return bytes(urllib.request.urlopen(asked, timeout=10).read())


def is_ours(signature: str, body: bytes) -> bool:
    at, _, digest = signature.removeprefix("t=").partition(",v1=")
    ours = hmac.new(SECRET, at.encode() + b"." + body, hashlib.sha256).hexdigest()
    fresh = at.isdecimal() and len(at) < 15 and abs(time.time() - int(at)) <= 300
    return fresh and hmac.compare_digest(digest.encode(), ours.encode())


class Backend(BaseHTTPRequestHandler):
    def do_OPTIONS(self) -> None:  # The widget's page is the gateway's, so a browser asks first.
        self.reply(204)

    def do_POST(self) -> None:
        body = self.rfile.read(min(int(self.headers.get("Content-Length", 0)), 1 << 20))
        if self.path == "/switchboard-token":
            cookie = SimpleCookie(self.headers.get("Cookie", "")).get("session")
            agent = AGENTS.get(cookie.value if cookie else "")
            return self.reply(200, mint_token(agent)) if agent else self.reply(401)
        if not is_ours(self.headers.get("Switchboard-Signature", ""), body):
            return self.reply(401)
        event, now = json.loads(body), time.time()
        if SEEN.setdefault(event["id"], now) == now:  # A delivery may come twice.
            print(event["at_ms"], event["session_id"], event["type"], flush=True)
        self.reply(204)

    def reply(self, status: int, body: bytes = b"") -> None:
        self.send_response(status)
        self.send_header("Access-Control-Allow-Origin", GATEWAY)
        self.send_header("Access-Control-Allow-Credentials", "true")
        self.send_header("Access-Control-Allow-Headers", "content-type")
        self.end_headers()
        self.wfile.write(body)


ThreadingHTTPServer(("127.0.0.1", int(os.environ.get("PORT", "9000"))), Backend).serve_forever()
