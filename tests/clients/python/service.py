"""The services that the checks call, and what a billing engine reports to them."""

import os
import uuid
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Callable, List
from urllib.parse import quote

import requests

URL = os.environ["ROSTER_URL"]
"""The service that nearly all checks are about."""

LIMITED_URL = os.environ["ROSTER_LIMITED_URL"]
"""A service that allows two requests per second."""

LOCKED_URL = os.environ["ROSTER_LOCKED_URL"]
"""A service whose database takes no writes in time."""

KEY = os.environ["ROSTER_KEY"]
"""A live key with all scopes."""

SANDBOX_KEY = os.environ["ROSTER_SANDBOX_KEY"]
"""A sandbox key of the same merchant."""

OTHER_KEY = os.environ["ROSTER_OTHER_KEY"]
"""A live key of another merchant."""

LIST_KEY = os.environ["ROSTER_LIST_KEY"]
"""A sandbox key of that merchant. Only checks of complete lists use it, and each deletes what it made."""

READ_KEY = os.environ["ROSTER_READ_KEY"]
"""A live key with the scope customers:read only."""

WRONG_KEY = "sk_live_" + "0" * 36
"""A key that does not exist."""

ODD = ["a/b:c%20ü", "a b", "50%", "%2F", "..", "?x=1&y=2#z", "ümläut/😀", "+1"]
"""External identifiers that are hard to send in a URL."""


def unique(text: str = "customer") -> str:
    """A text that no other check uses."""
    return f"{text}-{uuid.uuid4().hex}"


def unique_email() -> str:
    return f"{unique()}@example.com"


def at_once(call: Callable[[int], Any], count: int = 16) -> List[Any]:
    """Calls `call` in `count` threads and returns the results. An exception is a result, too."""

    def outcome(number: int) -> Any:
        try:
            return call(number)
        except Exception as error:  # noqa: BLE001
            return error

    with ThreadPoolExecutor(count) as threads:
        return list(threads.map(outcome, range(count)))


def native(method: str, path: str, key: str = KEY, **more: Any) -> requests.Response:
    """A request to the native surface, as other software of the merchant sends it."""
    response = requests.request(method, f"{URL}/v1{path}", headers={"Authorization": f"Bearer {key}"}, timeout=60, **more)
    assert response.ok, response.text
    return response


def customers(key: str = KEY) -> List[str]:
    """The identifiers of all customers, as the Lumen surface lists them, without their prefixes, sorted."""
    listed = requests.get(f"{URL}/api/customers", headers={"Authorization": f"Bearer {key}"}, timeout=60).json()
    return sorted(customer["id"].split("_")[1] for customer in listed["customers"])


def delete_all(key: str = LIST_KEY) -> None:
    for suffix in customers(key):
        native("DELETE", f"/customers/cus_{suffix}", key)


def report_subscription(customer: str, status: str, **more: Any) -> str:
    """Reports a subscription of the customer with an external identifier, as a billing engine does."""
    customer_id = native("GET", f"/customers/external/{quote(customer, safe='')}").json()["id"]
    subscription = unique("sub")
    body = {"plan_id": "plan_pro", "name": "Pro", "status": status, "started_at": "2026-01-01T00:00:00Z", **more}
    native("PUT", f"/customers/{customer_id}/subscriptions/{subscription}", json=body)
    return subscription
