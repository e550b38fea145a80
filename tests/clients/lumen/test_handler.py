"""Lumen's Python library: its handler for Flask, by which web pages reach the service through their own backend.

Those for FastAPI and Django send the same requests.
"""

import asyncio

from flask import Flask
from lumen.handlers import lumen_flask_handler

import service
from service import report_subscription, unique
from test_customers import Case
from test_functions import UNKNOWN


def page_of(user: str, key: str = service.KEY, base: str = "/api"):
    """A web page of the user, which calls the backend."""
    backend = Flask("backend")
    handler = lumen_flask_handler(lambda: user, api_key=key, api_url=service.URL + base)
    backend.add_url_rule("/api/lumen/<path:path>", view_func=handler, methods=["GET", "POST"])
    return backend.test_client()


class Handler(Case):
    def status_of(self, user: str, **more):
        query = {"externalCustomerId": user}
        answer = page_of(user, **more).get("/api/lumen/customers/subscription-status", query_string=query)
        return answer.status_code, answer.json

    async def test_the_subscription_status_is_passed_on(self):
        customer = await self.created()
        for expected in [False, True]:
            # The handler takes a base URL that ends in /v1, too.
            for base in ["/api", "/api/v1"]:
                code, status = await asyncio.to_thread(self.status_of, customer["userId"], base=base)
                self.assertEqual((200, expected), (code, status.get("hasActiveSubscription")), status)
            await asyncio.to_thread(report_subscription, customer["userId"], "active")

    async def test_odd_user_ids_are_found(self):
        for odd in service.ODD:
            with self.subTest(odd):
                customer = await self.created(userId=f"{odd}{unique('/')}")
                code, status = await asyncio.to_thread(self.status_of, customer["userId"])
                self.assertEqual((200, customer["id"]), (code, status.get("customer", {}).get("id")), status)

    async def test_an_unknown_user_is_404_in_the_vendors_format(self):
        for key in [service.KEY, service.OTHER_KEY, service.SANDBOX_KEY]:
            user = unique("user") if key == service.KEY else (await self.created())["userId"]
            self.assertEqual((404, {"error": UNKNOWN}), await asyncio.to_thread(self.status_of, user, key=key))

    async def test_paths_that_this_service_does_not_have_are_404_in_the_vendors_format(self):
        for method, path in [("GET", "customers/portal/overview"), ("POST", "customers/portal/create-setup-intent"),
                             ("POST", "customers/portal/set-subscription-payment-method"),
                             ("GET", "customers/portal/payment-methods/pm_1"), ("GET", "entitlements/user"),
                             ("GET", "invoices/inv_1/pdf")]:
            with self.subTest(path):
                answer = page_of("user").open(f"/api/lumen/{path}", method=method, json={} if method == "POST" else None)
                self.assertEqual((404, {"error": "Not found"}), (answer.status_code, answer.json))
