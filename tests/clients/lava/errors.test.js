// Lava's library: every error as the library shows it, and the calls that this service does not have.

"use strict";

const assert = require("node:assert/strict");
const { describe, test } = require("node:test");
const { Lava } = require("@lavapayments/nodejs");
const service = require("./service.js");
const { client, unique } = service;

const lava = client();

/** Expects the library's error with the status and the service's message, from a call that changes no customer. */
async function refused(call, status, message) {
  const before = await service.customers();
  const expected = typeof message === "string" ? `${status} - ${message}` : message;
  await assert.rejects(call, (error) => {
    assert.equal(error.constructor, Error);
    assert.ok(error.message.startsWith(`Lava API Error: ${status} - `), error.message);
    const text = error.message.slice("Lava API Error: ".length);
    typeof expected === "string" ? assert.equal(text, expected) : assert.match(text, expected);
    // An error that is no text is shown as its JSON, and an answer that is no JSON as this.
    assert.doesNotMatch(text, /[{}]|Unknown error/);
    return true;
  });
  assert.deepEqual(await service.customers(), before);
}

describe("errors", () => {
  test("a wrong key is refused", async () => {
    const { customers } = client(service.wrongKey);
    for (const call of [
      () => customers.create({ reference_id: unique() }),
      () => customers.list(),
      () => customers.retrieve("user"),
      () => customers.update("user", { name: "x" }),
      () => customers.getSubscription("user"),
      () => customers.delete("user"),
    ]) {
      await refused(call, "401 Unauthorized", "Unauthorized");
    }
  });

  test("a missing scope is named", async () => {
    const { customers } = client(service.readKey);
    const message = "Forbidden: the credential lacks the scope customers:write";
    await refused(() => customers.create({ reference_id: unique() }), "403 Forbidden", message);
  });

  test("an unknown customer is not found", async () => {
    const ids = ["con_live_" + "0".repeat(26), "con_test_" + "0".repeat(26), "con_x", unique("never"), "%00"];
    for (const id of ids) {
      await refused(() => lava.customers.retrieve(id), "404 Not Found", "Customer not found");
      await refused(() => lava.customers.update(id, { name: "x" }), "404 Not Found", "Customer not found");
      await refused(() => lava.customers.delete(id), "404 Not Found", "Customer not found");
    }
  });

  test("a reference with a slash that is not encoded is not found", async () => {
    const { reference_id } = await lava.customers.create({ reference_id: `a/b:c%20ü${unique()}` });
    await refused(() => lava.customers.retrieve(reference_id), "404 Not Found", "Not found");
  });

  test("each invalid field is named", async () => {
    const { customer_id } = await lava.customers.create({});
    for (const [name, value] of [
      ["reference_id", "con_mine"],
      ["reference_id", ""],
      ["reference_id", "x".repeat(256)],
      ["name", "x".repeat(256)],
      ["name", "a\0b"],
      ["name", 7],
      ["email", "no address"],
      ["phone", "0151"],
      ["metadata", "text"],
      ["metadata", { big: "x".repeat(16384) }],
    ]) {
      const message = new RegExp(`^400 Bad Request - ${name} \\S`);
      await refused(() => lava.customers.create({ [name]: value }), "400 Bad Request", message);
      await refused(() => lava.customers.update(customer_id, { [name]: value }), "400 Bad Request", message);
    }
  });

  test("each invalid parameter of a list is named", async () => {
    for (const [name, value] of [["limit", 101], ["limit", -1], ["cursor", "no cursor"]]) {
      const message = new RegExp(`^400 Bad Request - ${name} \\S`);
      await refused(() => lava.customers.list({ [name]: value }), "400 Bad Request", message);
    }
  });

  test("a parameter that does not exist is named", async () => {
    const call = () => lava.request("GET", "customers", { query: { emial: "x" } });
    await refused(call, "400 Bad Request", /^400 Bad Request - emial \S/);
  });

  test("a reference in use cannot be given to another customer", async () => {
    const [first, second] = [unique(), unique()];
    await lava.customers.create({ reference_id: first });
    await lava.customers.create({ reference_id: second });
    const call = () => lava.customers.update(second, { reference_id: first });
    await refused(call, "409 Conflict", "A customer with this reference_id already exists");
  });

  test("a body that is too large is refused", async () => {
    const call = () => lava.customers.create({ metadata: { big: "x".repeat(70_000) } });
    await refused(call, "413 Payload Too Large", "The body may have at most 65536 bytes");
  });

  test("a customer without parameters is refused with a message", async () => {
    // The library's types do not allow it. It sends no body then.
    await refused(() => lava.customers.create(), "400 Bad Request", /^400 Bad Request - \S/);
  });

  test("too many requests are refused", async () => {
    const { customers } = client(service.key, service.limitedUrl);
    const untilRefused = async () => {
      for (let n = 0; n < 500; n++) {
        await customers.list({ limit: 1 });
      }
    };
    await refused(untilRefused, "429 Too Many Requests", "Too many requests: the limit of the key is reached");
  });

  test("a database that does not answer is reported", async () => {
    const { customers } = client(service.key, service.lockedUrl);
    const call = () => customers.create({ reference_id: unique() });
    await refused(call, "503 Service Unavailable", "Service temporarily unavailable");
  });
});

describe("calls that this service does not have are not found", () => {
  const customer_id = "con_live_" + "0".repeat(26);
  const page = { limit: 10 };
  const calls = {
    checkoutSessions: [(l) => l.checkoutSessions.create({ checkout_mode: "subscription", origin_url: "x", customer_id })],
    requests: [
      (l) => l.requests.list({ customer_id, metadata_filters: { a: "b" } }),
      (l) => l.requests.create({ request_id: "r", customer_id, meter_slug: "m" }),
      (l) => l.requests.retrieve("r"),
    ],
    usage: [(l) => l.usage.retrieve({ start: "2026-01-01T00:00:00Z", customer_id })],
    meters: [
      (l) => l.meters.list(page),
      (l) => l.meters.retrieve("m"),
      (l) => l.meters.create({ name: "m", rate_type: "fixed", tier_type: "requests", tiers: [] }),
      (l) => l.meters.update("m", { name: "n" }),
      (l) => l.meters.delete("m"),
    ],
    creditBundles: [(l) => l.creditBundles.list({ plan_id: "p" }), (l) => l.creditBundles.retrieve("b")],
    subscriptions: [
      (l) => l.subscriptions.listPlans(page),
      (l) => l.subscriptions.retrievePlan("p"),
      (l) => l.subscriptions.createPlan({ name: "p" }),
      (l) => l.subscriptions.updatePlan("p", { name: "q" }),
      (l) => l.subscriptions.deletePlan("p"),
      (l) => l.subscriptions.create({ customer_id, plan_id: "p" }),
      (l) => l.subscriptions.list({ status: "active", customer_id }),
      (l) => l.subscriptions.update("s", { auto_top_up_bundle_id: null }),
      (l) => l.subscriptions.cancel("s"),
    ],
    secretKeys: [
      (l) => l.secretKeys.list(page),
      (l) => l.secretKeys.create({ name: "k" }),
      (l) => l.secretKeys.delete("k"),
    ],
    spendKeys: [
      (l) => l.spendKeys.create({ name: "k" }),
      (l) => l.spendKeys.list(page),
      (l) => l.spendKeys.retrieve("k"),
      (l) => l.spendKeys.update("k", { name: "l" }),
      (l) => l.spendKeys.revoke("k"),
      (l) => l.spendKeys.rotate("k"),
    ],
    models: [(l) => l.models.list()],
    gateway: [(l) => l.gateway("https://example.com/v1/chat", { body: { model: "x" } })],
  };
  for (const [resource, methods] of Object.entries(calls)) {
    test(resource, async () => {
      for (const method of methods) {
        await refused(() => method(lava), "404 Not Found", "Not found");
      }
    });
  }

  test("exchangeAuthCode", async () => {
    const call = Lava.exchangeAuthCode({ code: "x", baseUrl: lava.baseUrl });
    // The library reads the message of this one error from an object, which no other error of the vendor is.
    await assert.rejects(call, { message: "Lava API Error: 404 Not Found - Unknown error" });
  });
});
