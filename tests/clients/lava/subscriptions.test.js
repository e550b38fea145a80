// Lava's library: subscriptions of customers, which a billing engine has reported.

"use strict";

const assert = require("node:assert/strict");
const { test } = require("node:test");
const service = require("./service.js");
const { client, reportSubscription, unique } = service;

const { customers } = client();
const active = { plan_id: "plan_pro", name: "Pro", status: "active", started_at: "2026-01-01T00:00:00.000Z" };

// What the library's types name beyond what every report has.
const details = {
  cycle_start_at: "2026-11-01T00:00:00.000Z",
  cycle_end_at: "2026-12-01T00:00:00.000Z",
  auto_top_up_bundle_id: "bundle_1",
  pending_change: { type: "downgrade", effective_at: null, plan_id: "plan_basic", name: "Basic" },
  plan: {
    name: "Professional",
    period_amount: "29.00",
    included_credit: "10.00",
    billing_interval: "month",
    rollover_type: "none",
    bundle_rollover_type: "full",
  },
  credits: { total_remaining: "12.50", cycle_remaining: "2.50", bundle_remaining: "10.00" },
};

const none = (names) => Object.fromEntries(names.map((name) => [name, null]));

async function created() {
  return customers.create({ reference_id: unique("user") });
}

test("a customer without a subscription has none", async () => {
  const { customer_id, reference_id } = await created();
  for (const id of [customer_id, reference_id]) {
    assert.deepEqual(await customers.getSubscription(id), { subscription: null });
  }
});

test("a subscription is shown with what was reported, the rest is null, and the plan has its name", async () => {
  const customer = await created();
  const subscription_id = await reportSubscription(customer, active);
  const { subscription } = await customers.getSubscription(customer.customer_id);
  assert.deepEqual(subscription, {
    subscription_id,
    ...active,
    ...none(["cancelled_at", "cycle_start_at", "cycle_end_at", "auto_top_up_bundle_id", "pending_change"]),
    plan: { ...none(Object.keys(details.plan)), name: "Pro" },
    credits: none(Object.keys(details.credits)),
  });
});

test("details that were reported are shown", async () => {
  const customer = await created();
  const subscription_id = await reportSubscription(customer, { ...active, details });
  const { subscription } = await customers.getSubscription(customer.reference_id);
  assert.deepEqual(subscription, { subscription_id, ...active, cancelled_at: null, ...details });
});

test("details that were not reported are null beside others", async () => {
  const customer = await created();
  await reportSubscription(customer, { ...active, details: { plan: { period_amount: "29.00" } } });
  const { subscription } = await customers.getSubscription(customer.customer_id);
  assert.deepEqual(subscription.plan, { ...none(Object.keys(details.plan)), name: "Pro", period_amount: "29.00" });
  assert.deepEqual(subscription.credits, none(Object.keys(details.credits)));
});

test("a customer has a summary of its subscription", async () => {
  const customer = await created();
  const subscription_id = await reportSubscription(customer, active);
  const summary = { subscription_id, plan_id: "plan_pro", name: "Pro", status: "active" };
  const shown = await customers.retrieve(customer.customer_id);
  assert.deepEqual(shown.subscription, { ...shown.subscription, ...summary });
  assert.deepEqual(await customers.update(customer.customer_id, {}), shown);
});

test("active and trialing subscriptions are shown, and no others", async () => {
  for (const [status, isShown] of [
    ["active", true],
    ["trialing", true],
    ["cancelled", false],
    ["past_due", false],
    ["paused", false],
    ["expired", false],
  ]) {
    const customer = await created();
    await reportSubscription(customer, { ...active, status });
    for (const { subscription } of [
      await customers.getSubscription(customer.customer_id),
      await customers.retrieve(customer.customer_id),
    ]) {
      // The library's types know `active` and `cancelled` only. Either name of a trial is taken.
      const names = isShown ? ["active", status] : [null];
      assert.ok(names.includes(subscription?.status ?? null), `${status} is shown as ${subscription?.status}`);
    }
  }
});

test("the subscription that started last is shown", async () => {
  const customer = await created();
  const last = await reportSubscription(customer, { ...active, started_at: "2026-03-01T00:00:00Z" });
  await reportSubscription(customer, { ...active, started_at: "2026-02-01T00:00:00Z" });
  await reportSubscription(customer, { ...active, status: "cancelled", started_at: "2026-04-01T00:00:00Z" });
  assert.equal((await customers.getSubscription(customer.customer_id)).subscription.subscription_id, last);
});

test("odd references are found when they are encoded", async () => {
  for (const odd of service.odd) {
    const customer = await customers.create({ reference_id: `${odd}${unique("/")}` });
    const subscription_id = await reportSubscription(customer, active);
    const { subscription } = await customers.getSubscription(encodeURIComponent(customer.reference_id));
    assert.equal(subscription.subscription_id, subscription_id);
  }
});

test("an unknown customer is not found", async () => {
  const message = "Lava API Error: 404 Not Found - Customer not found";
  await assert.rejects(customers.getSubscription(unique("never")), { message });
});
