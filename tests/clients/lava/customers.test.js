// Lava's library: customers.

"use strict";

const assert = require("node:assert/strict");
const { afterEach, beforeEach, describe, test } = require("node:test");
const service = require("./service.js");
const { client, unique } = service;

const lava = client();

/** A customer with a `reference_id` of its own. */
function created(params = {}) {
  return lava.customers.create({ reference_id: unique("user"), ...params });
}

describe("create", () => {
  test("a customer is returned whole", async () => {
    const params = {
      reference_id: unique("user"),
      name: "Jane van der Smith",
      email: "jane@example.com",
      phone: "+14155552671",
      metadata: { tier: "premium", nested: { a: [1, null, "😀"] } },
    };
    const { customer_id, created_at, ...customer } = await lava.customers.create(params);
    assert.match(customer_id, /^con_live_[0-9A-HJKMNP-TV-Z]{26}$/);
    assert.match(created_at, /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/);
    assert.deepEqual(customer, {
      reference_id: params.reference_id,
      contact: { phone: params.phone, email: params.email, first_name: "Jane", last_name: "van der Smith" },
      subscription: null,
      metadata: params.metadata,
    });
  });

  test("everything is optional", async () => {
    const customer = await lava.customers.create({});
    const contact = { phone: null, email: null, first_name: null, last_name: null };
    const { reference_id, metadata, subscription } = customer;
    assert.deepEqual({ reference_id, metadata, subscription }, { reference_id: null, metadata: {}, subscription: null });
    assert.deepEqual(customer.contact, contact);
  });

  test("a sandbox key creates a sandbox customer", async () => {
    const { customer_id } = await client(service.sandboxKey).customers.create({});
    assert.match(customer_id, /^con_test_/);
  });

  test("a reference that exists returns its customer unchanged", async () => {
    const customer = await created({ name: "First" });
    const { reference_id } = customer;
    assert.deepEqual(await lava.customers.create({ reference_id, name: "Second", metadata: { a: 1 } }), customer);
  });

  test("customers may share an e-mail address", async () => {
    const email = `${unique()}@example.com`;
    const [first, second] = [await created({ email }), await created({ email })];
    assert.notEqual(first.customer_id, second.customer_id);
  });

  test("many requests with one reference create one customer", async () => {
    const reference_id = unique("user");
    const calls = Array.from({ length: 32 }, (_, n) => lava.customers.create({ reference_id, name: `Number ${n}` }));
    const [first, ...others] = await Promise.all(calls);
    others.forEach((other) => assert.deepEqual(other, first));
  });

  test("odd references are returned as they were sent", async () => {
    for (const odd of service.odd) {
      const reference_id = `${odd}${unique("/")}`;
      assert.equal((await lava.customers.create({ reference_id })).reference_id, reference_id);
    }
  });
});

describe("retrieve", () => {
  test("a customer is found by both identifiers", async () => {
    const customer = await created({ name: "Jane" });
    for (const id of [customer.customer_id, customer.reference_id]) {
      assert.deepEqual(await lava.customers.retrieve(id), customer);
    }
  });

  test("the identifier may be written in lower case", async () => {
    const customer = await created();
    assert.deepEqual(await lava.customers.retrieve(customer.customer_id.toLowerCase()), customer);
  });

  test("odd references are found when they are encoded", async () => {
    for (const odd of service.odd) {
      const customer = await created({ reference_id: `${odd}${unique("/")}` });
      assert.deepEqual(await lava.customers.retrieve(encodeURIComponent(customer.reference_id)), customer);
    }
  });

  // The library puts identifiers into the path as they are: what a URL can hold works without encoding.
  test("a reference with a space, a colon and letters of any script needs no encoding", async () => {
    const customer = await created({ reference_id: unique("a b:ü😀") });
    assert.deepEqual(await lava.customers.retrieve(customer.reference_id), customer);
  });
});

describe("update", () => {
  test("each field is changed alone, by both identifiers", async () => {
    let customer = await created({ name: "Jane Smith", email: "jane@example.com", phone: "+14155552671" });
    const changes = [
      [{ name: "Ada" }, { contact: { first_name: "Ada", last_name: null } }],
      [{ email: "ada@example.com" }, { contact: { email: "ada@example.com" } }],
      [{ phone: "+4915112345678" }, { contact: { phone: "+4915112345678" } }],
      [{ metadata: { a: 1 } }, { metadata: { a: 1 } }],
      [{ metadata: { b: 2 } }, { metadata: { b: 2 } }],
      [{ email: null }, { contact: { email: null } }],
      [{ phone: null }, { contact: { phone: null } }],
      [{ name: null }, { contact: { first_name: null, last_name: null } }],
      [{ metadata: null }, { metadata: {} }],
      [{}, {}],
    ];
    for (const [n, [params, shown]] of changes.entries()) {
      const expected = { ...customer, ...shown, contact: { ...customer.contact, ...shown.contact } };
      const id = n % 2 ? customer.customer_id : customer.reference_id;
      assert.deepEqual(await lava.customers.update(id, params), expected);
      customer = await lava.customers.retrieve(id);
      assert.deepEqual(customer, expected);
    }
  });

  test("a reference is changed, and cleared", async () => {
    const { customer_id, reference_id } = await created();
    const renamed = unique("renamed");
    assert.equal((await lava.customers.update(reference_id, { reference_id: renamed })).customer_id, customer_id);
    assert.equal((await lava.customers.update(renamed, { reference_id: null })).reference_id, null);
    assert.notEqual((await lava.customers.create({ reference_id: renamed })).customer_id, customer_id);
  });

  test("changes of different fields at once are all kept", async () => {
    const { customer_id } = await created();
    const changes = [{ name: "Ada" }, { email: "ada@example.com" }, { phone: "+14155552671" }, { metadata: { a: 1 } }];
    await Promise.all(changes.map((params) => lava.customers.update(customer_id, params)));
    const { contact, metadata } = await lava.customers.retrieve(customer_id);
    assert.deepEqual(contact, { first_name: "Ada", last_name: null, email: "ada@example.com", phone: "+14155552671" });
    assert.deepEqual(metadata, { a: 1 });
  });
});

describe("delete", () => {
  test("a deleted customer is gone, and its reference is free again", async () => {
    for (const name of ["customer_id", "reference_id"]) {
      const customer = await created();
      assert.deepEqual(await lava.customers.delete(customer[name]), { success: true });
      const gone = /^Error: Lava API Error: 404 Not Found - Customer not found$/;
      for (const id of [customer.customer_id, customer.reference_id]) {
        await assert.rejects(lava.customers.retrieve(id), gone);
        await assert.rejects(lava.customers.delete(id), gone);
      }
      const { reference_id } = customer;
      assert.notEqual((await lava.customers.create({ reference_id })).customer_id, customer.customer_id);
    }
  });
});

describe("list", () => {
  const { customers } = client(service.listKey);
  let newestFirst;

  beforeEach(async () => {
    newestFirst = [];
    for (let n = 0; n < 7; n++) {
      const email = `${unique()}@example.com`;
      newestFirst.unshift(await customers.create({ reference_id: unique("user"), email, name: `Number ${n}` }));
    }
  });

  afterEach(async () => {
    for (const { customer_id } of newestFirst) {
      await customers.delete(customer_id);
    }
  });

  test("a page without parameters has all customers, the newest first", async () => {
    assert.deepEqual(await customers.list(), { data: newestFirst, has_more: false });
  });

  test("the pages have every customer once, whatever the limit", async () => {
    for (const limit of [1, 2, 3, 7, 100]) {
      const found = [];
      let page = { has_more: true };
      while (page.has_more) {
        page = await customers.list({ limit, cursor: page.next_cursor });
        found.push(...page.data);
      }
      assert.deepEqual(found, newestFirst);
      assert.equal(page.next_cursor, undefined);
    }
  });

  // `list` sends a cursor and a limit and nothing else. `request` is the library's public method for everything else.
  test("a reference and an e-mail address filter exactly", async () => {
    const lava = client(service.listKey);
    const list = async (query) => (await lava.request("GET", "customers", { query })).data;
    const wanted = newestFirst[3];
    assert.deepEqual(await list({ reference_id: wanted.reference_id }), [wanted]);
    assert.deepEqual(await list({ email: wanted.contact.email }), [wanted]);
    assert.deepEqual(await list({ reference_id: wanted.reference_id.slice(0, -1) }), []);
    for (const odd of service.odd) {
      const renamed = await lava.customers.update(wanted.customer_id, { reference_id: `${odd}${unique("/")}` });
      assert.deepEqual(await list({ reference_id: renamed.reference_id }), [renamed]);
    }
    assert.deepEqual(await list({ email: `${unique()}@example.com` }), []);
  });
});

describe("isolation", () => {
  const strangers = [service.otherKey, service.sandboxKey].map((key) => client(key));

  test("another key gets the answer for a customer that never existed", async () => {
    const customer = await created({ name: "Ours" });
    const ids = [customer.customer_id, customer.reference_id, "con_live_" + "0".repeat(26), unique("never")];
    for (const { customers } of strangers) {
      for (const id of ids) {
        const calls = [
          () => customers.retrieve(id),
          () => customers.update(id, { name: "Theirs" }),
          () => customers.getSubscription(id),
          () => customers.delete(id),
        ];
        for (const call of calls) {
          await assert.rejects(call, { message: "Lava API Error: 404 Not Found - Customer not found" });
        }
      }
    }
    assert.deepEqual(await lava.customers.retrieve(customer.customer_id), customer);
  });

  test("another key does not list it", async () => {
    const { customer_id } = await created();
    for (const { customers } of strangers) {
      const { data } = await customers.list({ limit: 100 });
      assert.ok(data.every((other) => other.customer_id.split("_")[2] !== customer_id.split("_")[2]));
    }
  });

  test("another key may use the same reference", async () => {
    const { customer_id, reference_id } = await created();
    for (const { customers } of strangers) {
      const theirs = await customers.create({ reference_id });
      assert.notEqual(theirs.customer_id.split("_")[2], customer_id.split("_")[2]);
    }
  });
});
