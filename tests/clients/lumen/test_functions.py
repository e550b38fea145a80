"""Lumen's Python library: its functions. Those that are not about customers are refused, and create nothing."""

import asyncio
import contextlib
import io

import lumen
from lumen import get_seat_usage_by_user, get_subscription_status

import service
from service import report_subscription, unique, unique_email
from test_customers import Case

AT = {"api_key": service.KEY, "api_url": f"{service.URL}/api"}
UNKNOWN = "Customer not found or access denied"


class SubscriptionStatus(Case):
    async def test_a_customer_without_a_subscription_has_none_that_is_active(self):
        customer = await self.created(name="Jane")
        status = await get_subscription_status(customer["userId"], **AT)
        self.assertEqual((False, customer["id"]), (status.get("hasActiveSubscription"), status.get("customer", {}).get("id")),
                         status)

    async def test_active_and_trialing_subscriptions_count_and_no_others(self):
        for state, expected in [("active", True), ("trialing", True), ("cancelled", False), ("past_due", False),
                                ("paused", False), ("expired", False)]:
            with self.subTest(state):
                customer = await self.created()
                await asyncio.to_thread(report_subscription, customer["userId"], state)
                status = await get_subscription_status(customer["userId"], **AT)
                self.assertIs(expected, status.get("hasActiveSubscription"), status)

    async def test_odd_user_ids_are_found(self):
        for odd in service.ODD:
            with self.subTest(odd):
                customer = await self.created(userId=f"{odd}{unique('/')}")
                status = await get_subscription_status(customer["userId"], **AT)
                self.assertEqual(customer["id"], status.get("customer", {}).get("id"), status)

    async def test_an_unknown_user_is_refused(self):
        self.assertEqual({"error": UNKNOWN}, await get_subscription_status(unique(), **AT))

    async def test_another_key_gets_the_answer_for_a_user_that_never_existed(self):
        customer = await self.created()
        for key in [service.OTHER_KEY, service.SANDBOX_KEY]:
            status = await get_subscription_status(customer["userId"], api_key=key, api_url=AT["api_url"])
            self.assertEqual({"error": UNKNOWN}, status)

    async def test_a_wrong_key_is_refused(self):
        status = await get_subscription_status("user", api_key=service.WRONG_KEY, api_url=AT["api_url"])
        self.assertEqual({"error": "Unauthorized"}, status)

    async def test_a_missing_or_unknown_parameter_is_refused(self):
        for params in [None, {"externalCustomerId": ""}, {"externalId": "x"}]:
            with self.subTest(params):
                answer = await self.lumen.get("/v1/customers/subscription-status", params=params)
                self.assertEqual(["error"], list(answer))
                # These are answers of other routes: `GET …/customers/{id}`, and of a path that does not exist.
                self.assertNotIn(answer["error"], ["Invalid customer ID format", "Not found"])


class SeatUsage(Case):
    # The library asks for the status of the subscription first, and reads `customer.id` and `hasActiveSubscription`.
    async def test_a_customer_without_a_subscription_is_told_so(self):
        customer = await self.created()
        self.assertEqual({"error": "No active subscription"}, await get_seat_usage_by_user(customer["userId"], **AT))

    async def test_an_unknown_user_is_refused(self):
        self.assertEqual({"error": UNKNOWN}, await get_seat_usage_by_user(unique(), **AT))

    async def test_seats_of_a_subscription_are_not_found(self):
        customer = await self.created()
        await asyncio.to_thread(report_subscription, customer["userId"], "active")
        self.assertEqual({"error": "Not found"}, await get_seat_usage_by_user(customer["userId"], **AT))


class OutOfScope(Case):
    async def asyncSetUp(self):
        await super().asyncSetUp()
        # Several functions print their errors, too.
        self.enterContext(contextlib.redirect_stdout(io.StringIO()))
        self.before = await asyncio.to_thread(service.customers)

    async def asyncTearDown(self):
        self.assertEqual(self.before, await asyncio.to_thread(service.customers))

    async def test_functions_that_return_errors_return_the_vendors_error(self):
        for name, answer in {
            "get_customer_overview": lumen.get_customer_overview("user", **AT),
            "add_seat": lumen.add_seat("new", organisation_user_id="user", **AT),
            "remove_seat": lumen.remove_seat("old", organisation_user_id="user", **AT),
            "get_seat_usage": lumen.get_seat_usage("cust_" + "0" * 26, **AT),
        }.items():
            with self.subTest(name):
                self.assertEqual({"error": "Not found"}, await answer)

    async def test_functions_that_raise_name_the_status(self):
        user = {"email": unique_email(), "name": "Jane", "user_id": unique("user")}
        for answer, message in [
            (lumen.enroll_user(**user, plan_id="plan", **AT), "Failed to enroll user: 404"),
            (lumen.create_free_subscription(**user, **AT), "Failed to create free subscription: 404"),
            (lumen.create_free_subscription_if_none_exists(**user, **AT), "Failed to create free subscription: 404"),
        ]:
            with self.subTest(message), self.assertRaises(Exception) as caught:
                await answer
            self.assertEqual(message, str(caught.exception))

    async def test_an_event_is_answered_with_the_vendors_error(self):
        response = await lumen.send_event("call", 1, user_id="user", idempotency_key=unique("key"), **AT)
        self.assertEqual((404, {"error": "Not found"}), (response.status_code, response.json()))

    async def test_entitlements_are_refused_and_no_feature_is_granted(self):
        usage = await lumen.get_usage("user", **AT)
        self.assertEqual({"error": f"Error: Failed to fetch {AT['api_url']}/v1/entitlements/user?isExtCustId=true"}, usage)
        self.assertEqual({}, await lumen.get_features("user", **AT))
        self.assertIs(False, await lumen.is_feature_entitled("premium", user_id="user", **AT))
