"""A browser's part of HTTP: requests with cookies, forms with their token."""

import json
import re
import urllib.error
import urllib.parse
import urllib.request
from http.cookiejar import CookieJar
from typing import Any

from example_project.tour._crew import CheckFailed

_TOKEN = re.compile(r'name="csrfmiddlewaretoken" value="([^"]+)"')


class Client:
    """Requests to one server of this host, over the cookies that it has set."""

    def __init__(self, address: str) -> None:
        self.address = address
        # No proxy of the environment: the servers are on the loopback interface.
        self._opener = urllib.request.build_opener(
            urllib.request.ProxyHandler({}), urllib.request.HTTPCookieProcessor(CookieJar()), _NoRedirect()
        )

    def ask(self, path: str, *, method: str = "GET", body: bytes | None = None, kind: str = "") -> tuple[int, str]:
        """Return status and text of an answer. Raises OSError where there is no server."""
        headers = {"Referer": self.address + path} | ({"Content-Type": kind} if kind else {})
        request = urllib.request.Request(self.address + path, data=body, headers=headers, method=method)  # noqa: S310 - an address of ours
        try:
            with self._opener.open(request, timeout=20) as response:
                return response.status, response.read().decode()
        except urllib.error.HTTPError as refusal:
            with refusal:
                return refusal.code, refusal.read().decode(errors="replace")

    def json(self, path: str, *, method: str = "GET", value: object = None) -> tuple[int, Any]:  # JSON
        """Return status and value of an answer in JSON; None where it is empty."""
        body = None if value is None else json.dumps(value).encode()
        status, text = self.ask(path, method=method, body=body, kind="application/json" if body else "")
        return status, json.loads(text) if text else None

    def submit(self, path: str, **fields: str) -> None:
        """Fill in the form of a page and send it; CheckFailed if it is not taken."""
        _, page = self.ask(path)
        token = _TOKEN.search(page)
        if token is None:
            raise CheckFailed(f"{path} shows no form")
        body = urllib.parse.urlencode({"csrfmiddlewaretoken": token.group(1), **fields}).encode()
        status, _ = self.ask(path, method="POST", body=body, kind="application/x-www-form-urlencoded")
        if status != 302:  # a form that is taken leads to another page
            raise CheckFailed(f"the form of {path} was answered with {status}")


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    """Leaves redirects to who asked."""

    def redirect_request(self, *_: object, **__: object) -> None:
        """Follow none."""
