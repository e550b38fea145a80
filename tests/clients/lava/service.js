// The services that the checks call, and what other software of the merchant does.

"use strict";

const { randomUUID } = require("node:crypto");
const { Lava } = require("@lavapayments/nodejs");

const {
  ROSTER_URL: url,
  ROSTER_LIMITED_URL: limitedUrl,
  ROSTER_LOCKED_URL: lockedUrl,
  ROSTER_KEY: key,
  ROSTER_SANDBOX_KEY: sandboxKey,
  ROSTER_OTHER_KEY: otherKey,
  ROSTER_LIST_KEY: listKey,
  ROSTER_READ_KEY: readKey,
} = process.env;

const wrongKey = "sk_live_" + "0".repeat(36);

// Identifiers of merchants that are hard to send in a URL.
const odd = ["a/b:c%20ü", "a b", "50%", "%2F", "..", "?x=1&y=2#z", "ümläut/😀", "+1"];

/** A client of the library. `baseUrl` needs the slash at its end: the library resolves paths against it. */
function client(secretKey = key, origin = url) {
  return new Lava(secretKey, { baseUrl: `${origin}/lava/v1/` });
}

/** A text that no other check uses. */
function unique(text = "customer") {
  return `${text}-${randomUUID()}`;
}

/** A request to another surface. It returns the answer's JSON. */
async function request(method, path, body, secretKey = key) {
  const headers = { Authorization: `Bearer ${secretKey}`, "Content-Type": "application/json" };
  const response = await fetch(url + path, { method, headers, body: body && JSON.stringify(body) });
  const text = await response.text();
  if (!response.ok) {
    throw new Error(`${method} ${path}: ${response.status} ${text}`);
  }
  return text && JSON.parse(text);
}

/** All customers, as the Lumen surface lists them, sorted by their identifiers. */
async function customers(secretKey = key) {
  const { customers } = await request("GET", "/api/customers", undefined, secretKey);
  return customers.sort((a, b) => (a.id < b.id ? -1 : 1));
}

/** Reports a subscription of a customer, as a billing engine does, and returns its identifier. */
async function reportSubscription(customer, fields) {
  const id = "cus_" + customer.customer_id.split("_")[2].toLowerCase();
  const subscription = unique("sub");
  await request("PUT", `/v1/customers/${id}/subscriptions/${subscription}`, fields);
  return subscription;
}

module.exports = {
  client,
  customers,
  key,
  limitedUrl,
  listKey,
  lockedUrl,
  odd,
  otherKey,
  readKey,
  reportSubscription,
  sandboxKey,
  unique,
  wrongKey,
};
