"""The customers of a sign-up service, kept in Roster. Python 3.11 or later, standard library only.

In the environment, ROSTER_URL is where Roster serves, such as http://127.0.0.1:8080, and KEY is an API key.
"""

import csv
import json
import os
import time
from concurrent.futures import ThreadPoolExecutor
from http.client import HTTPException
from urllib import parse, request

URL, BEARER = os.environ["ROSTER_URL"], "Bearer " + os.environ["KEY"]


def call(method, path="", body=None):
    """Sends a request, again after 429, 503 or no answer. Its Idempotency-Key lets it take effect once."""
    headers = {"Authorization": BEARER, "Content-Type": "application/json", "Idempotency-Key": os.urandom(16).hex()}
    sent = request.Request(f"{URL}/v1/customers{path}", body and json.dumps(body).encode(), headers, method=method)
    for wait in (0.1, 0.5, 2, 5, None):  # seconds; after the fifth attempt, the failure is the caller's
        try:
            with request.urlopen(sent, timeout=30) as answer:
                return json.loads(answer.read() or "null")
        except (OSError, HTTPException) as failure:
            if wait is None or getattr(failure, "code", 503) not in (429, 503):
                raise
            # Only an answer has headers.
            time.sleep(float(getattr(failure, "headers", {}).get("Retry-After", wait)))


def sign_up(user):
    """Returns the customer with the user's external_id, and creates it first if there is none."""
    return call("POST", body={**user, "on_conflict": "return_existing"})


def update(customer_id, changes):
    """Changes the fields that are given; None clears one."""
    return call("PATCH", f"/{customer_id}", changes)


def delete(customer_id):
    """Deletes a customer."""
    call("DELETE", f"/{customer_id}")


def customers(**filters):
    """Yields all customers that match, newest first, a page at a time."""
    query = {"limit": 100, **filters}
    while query:
        page = call("GET", "?" + parse.urlencode(query))
        yield from page["data"]
        query = page["has_more"] and {**query, "cursor": page["next_cursor"]}


def find_by_email(email):
    """Returns the newest customer with this address, or None."""
    return next(customers(email=email), None)


def sync(path):
    """Makes customers what the rows of a CSV file say, whose first row names the fields. Returns a result for each."""
    with open(path, newline="", encoding="utf-8") as file, ThreadPoolExecutor(max_workers=2) as workers:
        items = [{"op": "upsert", "body": {k: v for k, v in row.items() if v}} for row in csv.DictReader(file)]
        batches = [{"items": items[start : start + 500]} for start in range(0, len(items), 500)]
        answers = workers.map(lambda batch: call("POST", "/batch", batch), batches)
        return [result for answer in answers for result in answer["results"]]
