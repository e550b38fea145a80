"""billing.io's Python library: customers and health."""

import unittest
from urllib.parse import quote

from billingio import BillingIO, BillingIOError, Customer, auto_paginate

import service
from service import at_once, unique, unique_email


def client(key: str = service.KEY, url: str = service.URL) -> BillingIO:
    return BillingIO(key, base_url=f"{url}/v1")


class Create(unittest.TestCase):
    def test_a_customer_is_returned_whole(self):
        email, metadata = unique_email(), {"plan": "pro", "emoji": "😀"}
        customer = client().customers.create(email, name="Zoë “Z” Müller", metadata=metadata)
        self.assertRegex(customer.customer_id, r"^cus_[0-9a-hjkmnp-tv-z]{26}$")
        self.assertEqual((email, "Zoë “Z” Müller", "active", metadata),
                         (customer.email, customer.name, customer.status, customer.metadata))
        self.assertRegex(customer.created_at, r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$")
        self.assertEqual(customer.created_at, customer.updated_at)

    def test_an_email_address_is_enough(self):
        customer = client().customers.create(unique_email())
        self.assertEqual((None, {}), (customer.name, customer.metadata))

    def test_of_many_threads_with_one_address_exactly_one_creates_the_customer(self):
        email = unique_email()
        # A client for each thread: a session of `requests` is not made for several.
        outcomes = at_once(lambda _: client().customers.create(email))
        created = [outcome for outcome in outcomes if isinstance(outcome, Customer)]
        refused = [outcome.code for outcome in outcomes if isinstance(outcome, BillingIOError)]
        self.assertEqual((1, ["email_taken"] * 15), (len(created), refused), outcomes)
        self.assertEqual(created[0], client().customers.get(created[0].customer_id))


class Get(unittest.TestCase):
    def test_it_returns_what_was_created(self):
        customer = client().customers.create(unique_email(), name="Ada", metadata={"a": "b"})
        self.assertEqual(customer, client().customers.get(customer.customer_id))

    def test_odd_external_identifiers_of_other_software_work_when_they_are_encoded(self):
        for odd in service.ODD:
            with self.subTest(odd):
                external_id = f"{odd}{unique('/')}"
                body = {"email": unique_email(), "external_id": external_id}
                expected = service.native("POST", "/customers", json=body).json()["id"]
                found = client().customers.get(f"external/{quote(external_id, safe='')}")
                self.assertEqual(expected, found.customer_id)


class Update(unittest.TestCase):
    def setUp(self):
        self.customer = client().customers.create(unique_email(), name="Before", metadata={"kept": "no", "a": "1"})

    def update(self, **fields):
        """Updates the customer, and expects that nothing else changes and that `get` returns the same."""
        before = self.customer
        after = client().customers.update(before.customer_id, **fields)
        changed = {**vars(before), **fields, "updated_at": after.updated_at}
        self.assertEqual(changed, vars(after))
        self.assertEqual(after, client().customers.get(before.customer_id))
        self.customer = after

    def test_each_field_is_changed_alone(self):
        for fields in [{"email": unique_email()}, {"name": "After"}, {"metadata": {"b": "2"}}]:
            with self.subTest(fields):
                self.update(**fields)

    def test_metadata_is_replaced_as_a_whole(self):
        self.update(metadata={"a": "2"})
        self.update(metadata={})

    def test_no_field_changes_nothing(self):
        self.update()

    def test_a_customer_is_archived_and_active_again(self):
        self.update(status="archived")
        self.update(name="Still archived")
        self.update(status="active")

    def test_an_archived_customer_keeps_its_email_address(self):
        self.update(status="archived")
        with self.assertRaises(BillingIOError) as caught:
            client().customers.create(self.customer.email)
        self.assertEqual((409, "email_taken"), (caught.exception.status_code, caught.exception.code))

    def test_changes_of_different_fields_at_once_are_all_kept(self):
        email, customer_id = unique_email(), self.customer.customer_id
        changes = [{"email": email}, {"name": "After"}, {"metadata": {"b": "2"}}, {"status": "archived"}]
        outcomes = at_once(lambda number: client().customers.update(customer_id, **changes[number]), len(changes))
        self.assertEqual([Customer] * 4, [type(outcome) for outcome in outcomes], outcomes)
        after = client().customers.get(customer_id)
        self.assertEqual((email, "After", {"b": "2"}, "archived"),
                         (after.email, after.name, after.metadata, after.status))


class List(unittest.TestCase):
    def setUp(self):
        self.addCleanup(service.delete_all)
        self.customers = client(service.LIST_KEY).customers
        self.newest_first = [self.customers.create(unique_email(), name=f"Number {n}") for n in range(7)][::-1]

    def test_a_page_has_the_newest_customers_and_a_cursor(self):
        page = self.customers.list(limit=3)
        self.assertEqual((self.newest_first[:3], True), (page.data, page.has_more))
        following = self.customers.list(limit=100, cursor=page.next_cursor)
        self.assertEqual((self.newest_first[3:], False, None),
                         (following.data, following.has_more, following.next_cursor))

    def test_the_default_limit_shows_them_all(self):
        self.assertEqual(self.newest_first, self.customers.list().data)

    def test_auto_paginate_returns_every_customer_once(self):
        for limit in [1, 2, 3, 7, 100]:
            with self.subTest(limit=limit):
                self.assertEqual(self.newest_first, list(auto_paginate(self.customers.list, limit=limit)))

    def test_a_status_filters_the_list(self):
        archived = [self.customers.update(c.customer_id, status="archived") for c in self.newest_first[1::2]]
        self.assertEqual(archived, list(auto_paginate(self.customers.list, limit=2, status="archived")))
        self.assertEqual(self.newest_first[::2], list(auto_paginate(self.customers.list, limit=2, status="active")))
        self.assertEqual(7, len(self.customers.list().data))

    def test_an_empty_list_has_no_cursor(self):
        service.delete_all()
        page = self.customers.list()
        self.assertEqual(([], False, None), (page.data, page.has_more, page.next_cursor))


class Isolation(unittest.TestCase):
    def setUp(self):
        self.customer = client().customers.create(unique_email(), name="Ours")
        self.strangers = [client(key) for key in [service.OTHER_KEY, service.SANDBOX_KEY]]

    def test_another_key_gets_the_answer_for_a_customer_that_never_existed(self):
        for stranger in self.strangers:
            answers = []
            for customer_id in [self.customer.customer_id, "cus_" + "0" * 26]:
                for call in [stranger.customers.get, lambda c: stranger.customers.update(c, name="Theirs")]:
                    with self.assertRaises(BillingIOError) as caught:
                        call(customer_id)
                    answers.append(repr(caught.exception))
            self.assertEqual(1, len(set(answers)), answers)
        self.assertEqual(self.customer, client().customers.get(self.customer.customer_id))

    def test_another_key_does_not_list_it(self):
        for stranger in self.strangers:
            listed = [customer.customer_id for customer in auto_paginate(stranger.customers.list, limit=100)]
            self.assertNotIn(self.customer.customer_id, listed)

    def test_another_key_may_use_the_same_email_address(self):
        for stranger in self.strangers:
            self.assertNotEqual(self.customer.customer_id, stranger.customers.create(self.customer.email).customer_id)


class Health(unittest.TestCase):
    def test_it_is_healthy_and_has_a_version(self):
        health = client().health.get()
        self.assertEqual("healthy", health.status)
        self.assertRegex(health.version, r"^\d+\.\d+\.\d+")

    def test_it_needs_no_valid_key(self):
        self.assertEqual("healthy", client(service.WRONG_KEY).health.get().status)
