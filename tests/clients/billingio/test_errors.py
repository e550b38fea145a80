"""billing.io's Python library: every error as the library shows it, and the calls that this service does not have."""

import unittest
from typing import Optional

from billingio import BillingIOError

import service
from service import unique, unique_email
from test_customers import client


class Errors(unittest.TestCase):
    def refused(self, call, status: int, kind: str, code: Optional[str], param: Optional[str] = None) -> BillingIOError:
        """Expects an error with a readable message, from a call that changes no customer. `None` is any code."""
        before = service.customers()
        with self.assertRaises(BillingIOError) as caught:
            call()
        error = caught.exception
        self.assertEqual((status, kind, param), (error.status_code, error.type, error.param), repr(error))
        self.assertEqual(error.code if code is None else code, error.code, repr(error))
        # Without a structured error the library shows the whole body as the message, and these defaults.
        self.assertNotIn("unknown", [error.type, error.code], repr(error))
        self.assertRegex(error.message, r"^[A-Za-z][^{}]{8,}$", repr(error))
        self.assertEqual(before, service.customers())
        return error

    def invalid(self, param: str, call) -> None:
        error = self.refused(call, 422, "invalid_request", None, param)
        self.assertIn(param, error.message)

    def test_a_wrong_key_is_an_authentication_error(self):
        stranger = client(service.WRONG_KEY).customers
        for call in [lambda: stranger.create(unique_email()), stranger.list, lambda: stranger.get("cus_" + "0" * 26)]:
            self.refused(call, 401, "authentication_error", "unauthorized")

    def test_a_missing_scope_is_an_authentication_error(self):
        error = self.refused(lambda: client(service.READ_KEY).customers.create(unique_email()),
                             403, "authentication_error", "missing_scope")
        self.assertIn("customers:write", error.message)

    def test_an_unknown_customer_is_not_found(self):
        for customer_id in ["cus_" + "0" * 26, "cus_x", "a:b%20ü", "%00", "cust_" + "0" * 26]:
            with self.subTest(customer_id):
                self.refused(lambda: client().customers.get(customer_id), 404, "not_found", "customer_not_found")
                self.refused(lambda: client().customers.update(customer_id, name="x"),
                             404, "not_found", "customer_not_found")

    def test_an_identifier_with_a_slash_that_is_not_encoded_is_not_found(self):
        # The library does not encode identifiers, so that this is another path.
        self.refused(lambda: client().customers.get("a/b:c%20ü"), 404, "not_found", "unknown_path")

    def test_each_invalid_field_is_named(self):
        customer_id = client().customers.create(unique_email()).customer_id
        for param, fields in [
            ("email", {"email": "no address"}),
            ("email", {"email": ""}),
            ("email", {"email": "a" * 300 + "@example.com"}),
            ("name", {"name": "x" * 257}),
            ("name", {"name": "a\0b"}),
            ("name", {"name": 7}),
            ("metadata", {"metadata": {"big": "x" * 16384}}),
            ("metadata", {"metadata": ["a"]}),
        ]:
            with self.subTest(param, fields=str(fields)[:40]):
                self.invalid(param, lambda: client().customers.update(customer_id, **fields))
                self.invalid(param, lambda: client().customers.create(**{"email": unique_email(), **fields}))

    def test_an_unknown_status_is_named(self):
        customer_id = client().customers.create(unique_email()).customer_id
        self.invalid("status", lambda: client().customers.update(customer_id, status="deleted"))

    def test_a_missing_email_address_is_named(self):
        self.invalid("email", lambda: client().customers.create(None))

    def test_the_first_of_several_faults_is_named(self):
        self.invalid("email", lambda: client().customers.create("no address", name="x" * 257))

    def test_each_invalid_parameter_of_a_list_is_named(self):
        for parameters in [{"limit": 0}, {"limit": 101}, {"limit": "many"}, {"status": "deleted"}]:
            with self.subTest(parameters):
                self.invalid(next(iter(parameters)), lambda: client().customers.list(**parameters))

    def test_a_cursor_of_no_list_is_named(self):
        self.refused(lambda: client().customers.list(cursor="no cursor"), 400, "invalid_request", "invalid_cursor", "cursor")

    def test_an_email_address_in_use_is_named(self):
        first, second = (client().customers.create(unique_email()) for _ in range(2))
        taken = [lambda: client().customers.create(first.email),
                 lambda: client().customers.create(first.email.upper()),
                 lambda: client().customers.update(second.customer_id, email=first.email)]
        for call in taken:
            self.refused(call, 409, "invalid_request", "email_taken", "email")

    def test_a_body_that_is_too_large_is_refused(self):
        metadata = {"big": "x" * 70_000}
        self.refused(lambda: client().customers.create(unique_email(), metadata=metadata),
                     413, "invalid_request", "body_too_large")

    def test_too_many_requests_are_an_error_with_the_limit_in_its_headers(self):
        limited, headers = client(url=service.LIMITED_URL), []
        # The library shows no headers, but sends with a session of its own that can be asked for them.
        limited._http._session.hooks["response"].append(lambda response, **_: headers.append(response.headers))

        def until_refused():
            for _ in range(500):
                limited.customers.list(limit=1)

        self.refused(until_refused, 429, "rate_limited", "rate_limited")
        last = headers[-1]
        self.assertEqual(("2", "0", "1"),
                         (last.get("X-RateLimit-Limit"), last.get("X-RateLimit-Remaining"), last.get("Retry-After")))
        self.assertRegex(last.get("X-RateLimit-Reset", ""), r"^\d+$")

    def test_a_database_that_does_not_answer_is_an_internal_error(self):
        locked = client(url=service.LOCKED_URL)
        self.refused(lambda: locked.customers.create(unique_email()), 503, "internal_error", "database_unavailable")

    def test_calls_that_this_service_does_not_have_are_not_found(self):
        b, customer_id = client(), "cus_" + "0" * 26
        calls = {
            "checkouts.create": lambda: b.checkouts.create(1.0, "tron", "USDT", idempotency_key=unique("key")),
            "checkouts.list": lambda: b.checkouts.list(status="confirmed"),
            "checkouts.get": lambda: b.checkouts.get("co_1"),
            "checkouts.get_status": lambda: b.checkouts.get_status("co_1"),
            "payment_methods.create": lambda: b.payment_methods.create(customer_id, "wallet"),
            "payment_methods.list": lambda: b.payment_methods.list(customer_id=customer_id),
            "payment_methods.update": lambda: b.payment_methods.update("pm_1", label="x"),
            "payment_methods.delete": lambda: b.payment_methods.delete("pm_1"),
            "payment_methods.set_default": lambda: b.payment_methods.set_default("pm_1"),
            "payment_links.create": lambda: b.payment_links.create(1.0, "tron", "USDT"),
            "payment_links.list": lambda: b.payment_links.list(),
            "subscription_plans.create": lambda: b.subscription_plans.create("Pro", 1.0, "tron", "USDT", "month"),
            "subscription_plans.list": lambda: b.subscription_plans.list(),
            "subscription_plans.update": lambda: b.subscription_plans.update("plan_1", name="x"),
            "subscriptions.create": lambda: b.subscriptions.create(customer_id, "plan_1"),
            "subscriptions.list": lambda: b.subscriptions.list(customer_id=customer_id),
            "subscriptions.update": lambda: b.subscriptions.update("sub_1", status="cancelled"),
            "subscription_renewals.list": lambda: b.subscription_renewals.list(),
            "subscription_renewals.retry": lambda: b.subscription_renewals.retry("ren_1"),
            "entitlements.list": lambda: b.entitlements.list(),
            "entitlements.create": lambda: b.entitlements.create("sub_1", "seats"),
            "entitlements.update": lambda: b.entitlements.update("ent_1", value="2"),
            "entitlements.check": lambda: b.entitlements.check(customer_id, "seats"),
            "entitlements.delete": lambda: b.entitlements.delete("ent_1"),
            "payout_intents.create": lambda: b.payout_intents.create(1.0, "tron", "USDT", "T1"),
            "payout_intents.update": lambda: b.payout_intents.update("po_1", metadata={}),
            "payout_intents.list": lambda: b.payout_intents.list(),
            "payout_intents.execute": lambda: b.payout_intents.execute("po_1"),
            "settlements.list": lambda: b.settlements.list(),
            "revenue_events.list": lambda: b.revenue_events.list(),
            "revenue_events.accounting": lambda: b.revenue_events.accounting(),
            "adjustments.create": lambda: b.adjustments.create("credit", 1.0, "po_1", "payout"),
            "adjustments.list": lambda: b.adjustments.list(),
        }
        for name, call in calls.items():
            with self.subTest(name):
                self.refused(call, 404, "not_found", "unknown_path")
