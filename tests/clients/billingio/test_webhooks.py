"""billing.io's Python library: webhook endpoints and signatures."""

import threading
import unittest
from http.server import BaseHTTPRequestHandler, HTTPServer
from queue import Queue

from billingio import BillingIO, BillingIOError, WebhookVerificationError, verify_webhook_signature

import service
from service import unique_email


def client() -> BillingIO:
    return BillingIO(service.KEY, base_url=f"{service.URL}/v1")


def created(url: str = "http://127.0.0.1:1/hooks", **more):
    return client().webhooks.create(url, ["customer.created", "customer.deleted"], **more)


class Endpoints(unittest.TestCase):
    def tearDown(self):
        for webhook in client().webhooks.list(limit=100).data:
            client().webhooks.delete(webhook.webhook_id)

    def test_an_endpoint_is_created_with_its_secret_and_read_without(self):
        webhook = created(description="Invoices")
        self.assertRegex(webhook.webhook_id, r"^we_[0-9a-hjkmnp-tv-z]{26}$")
        self.assertRegex(webhook.secret, r"^whsec_")
        self.assertEqual(("active", "Invoices"), (webhook.status, webhook.description))
        self.assertEqual(["customer.created", "customer.deleted"], webhook.events)
        read = client().webhooks.get(webhook.webhook_id)
        self.assertEqual({**vars(webhook), "secret": None}, vars(read))

    def test_all_endpoints_are_listed_page_by_page(self):
        ids = [created().webhook_id for _ in range(3)]
        first = client().webhooks.list(limit=2)
        rest = client().webhooks.list(limit=2, cursor=first.next_cursor)
        self.assertEqual((True, False), (first.has_more, rest.has_more))
        self.assertEqual(ids, [webhook.webhook_id for webhook in first.data + rest.data])

    def test_a_deleted_endpoint_is_not_found(self):
        webhook = created()
        client().webhooks.delete(webhook.webhook_id)
        with self.assertRaises(BillingIOError) as raised:
            client().webhooks.get(webhook.webhook_id)
        self.assertEqual((404, "webhook_not_found"), (raised.exception.status_code, raised.exception.code))

    def test_types_of_events_that_are_not_here_are_refused(self):
        with self.assertRaises(BillingIOError) as raised:
            client().webhooks.create("http://127.0.0.1:1/hooks", ["checkout.completed"])
        self.assertEqual((422, "events/0"), (raised.exception.status_code, raised.exception.param))


class Signatures(unittest.TestCase):
    def test_a_delivery_is_verified_by_the_library(self):
        received: Queue = Queue()

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self):
                body = self.rfile.read(int(self.headers["Content-Length"])).decode()
                received.put((body, self.headers["X-Billing-Signature"]))
                self.send_response(204)
                self.end_headers()

            def log_message(self, *_):
                pass

        server = HTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        webhook = created(f"http://127.0.0.1:{server.server_port}/hooks")
        try:
            customer = client().customers.create(unique_email())
            body, signature = received.get(timeout=60)
            while customer.customer_id not in body:
                # Of a test that runs at the same time.
                body, signature = received.get(timeout=60)
            event = verify_webhook_signature(body, signature, webhook.secret)
            self.assertEqual(("customer.created", customer.customer_id), (event["type"], event["customer_id"]))
            with self.assertRaises(WebhookVerificationError):
                verify_webhook_signature(body + " ", signature, webhook.secret)
        finally:
            client().webhooks.delete(webhook.webhook_id)
            server.shutdown()
