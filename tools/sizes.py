#!/usr/bin/env python3
"""Measures what customers weigh on PostgreSQL, and how much WAL their writes make. `docs/scale.md` quotes what it prints.

    tools/sizes.py target/release/roster postgresql://postgres@127.0.0.1:5432/empty [FILLFACTOR]

FILLFACTOR is how many percent of each page of `customers` an import fills: 100 if it is left out, PostgreSQL's default.
The database must be empty, on a server of its own whose administrator the URL names: settings of the server are changed
meanwhile (`full_page_writes`, `wal_compression`), and are reset at the end. `psql` must be installed.
"""

import csv
import http.client
import json
import os
import random
import re
import subprocess
import sys
import tempfile
import threading

# Customers that are imported before anything is measured.
CUSTOMERS = 100_000

# Writes of each kind that are measured, over HTTP.
WRITES = 1_000

# Requests at a time.
CALLERS = 16

# The same seed each time: the same customers.
RANDOM = random.Random(1)

FIRST = "Ada Grace Alan Edsger Barbara Donald Frances Ken Margaret Niklaus Radia Tim Hedy Claude Katherine Dennis".split()
LAST = "Lovelace Hopper Turing Dijkstra Liskov Knuth Allen Thompson Hamilton Wirth Perlman Lee Lamarr Shannon".split()
CITIES = [("New York", "NY", "10001", "US"), ("Berlin", "", "10115", "DE"), ("Lyon", "", "69001", "FR")]


def customer(number):
    """A customer with what a billing platform usually has."""
    first, last = RANDOM.choice(FIRST), RANDOM.choice(LAST)
    city, state, postal_code, country = RANDOM.choice(CITIES)
    return {
        # Identifiers of other systems are spread evenly: neighbours in time are no neighbours in an index.
        "external_id": f"usr_{RANDOM.getrandbits(64):016x}",
        "email": f"{first}.{last}.{RANDOM.getrandbits(40):010x}@example.com".lower(),
        "name": f"{first} {last}",
        "phone": f"+1415555{number % 10000:04d}",
        "billing_address": {
            "line1": f"{number % 900 + 1} Main Street", "city": city, "state": state or None,
            "postal_code": postal_code, "country": country,
        },
        "metadata": {"plan": RANDOM.choice(["free", "pro", "team"]), "source": SOURCE[0], "seats": str(number % 40)},
    }


# Where the next customers come from.
SOURCE = ["import"]


class Server:
    """The PostgreSQL server, asked with psql."""

    def __init__(self, url):
        self.url = url

    def ask(self, *statements):
        """Runs statements one by one, each in a transaction of its own. Returns the rows of the last."""
        command = ["psql", "--no-psqlrc", "--quiet", "--tuples-only", "--no-align", "--set=ON_ERROR_STOP=1", self.url]
        for statement in statements:
            command.append(f"--command={statement}")
        lines = subprocess.run(command, check=True, capture_output=True, text=True).stdout.splitlines()
        return [line.split("|") for line in lines]

    def set(self, **settings):
        """Changes settings of the server, and begins a checkpoint after which pages are written whole again."""
        changes = [f"ALTER SYSTEM SET {name} = {value}" for name, value in settings.items()]
        self.ask(*changes, "SELECT pg_reload_conf()")
        for name, value in settings.items():
            while self.ask(f"SHOW {name}") != [[value]]:
                pass
        self.ask("CHECKPOINT")

    def wal(self):
        """The bytes of WAL so far, once the index for searches has all that was written."""
        self.ask("SELECT gin_clean_pending_list('customers_search')")
        return int(self.ask("SELECT pg_current_wal_lsn() - '0/0'::pg_lsn")[0][0])

    def sizes(self):
        """The bytes of each table of customers and events, and of each index, without what VACUUM can give back."""
        self.ask("VACUUM ANALYZE", "CHECKPOINT")
        return self.ask("""
            SELECT tables.relname, coalesce(indexes.relname, ''), CASE WHEN indexes.oid IS NULL
                THEN pg_table_size(tables.oid) ELSE pg_relation_size(indexes.oid) END
            FROM pg_class AS tables LEFT JOIN (SELECT indrelid, pg_class.* FROM pg_index
                JOIN pg_class ON pg_class.oid = indexrelid UNION ALL
                SELECT DISTINCT indrelid, (NULL::pg_class).* FROM pg_index) AS indexes ON indrelid = tables.oid
            WHERE tables.relname IN ('customers', 'events', 'replies') AND tables.relkind = 'r' ORDER BY 1, 2""")


class Service:
    """A running service, with the key of one merchant."""

    def __init__(self, binary, url):
        self.environment = dict(os.environ, DATABASE_URL=url, ROSTER__HTTP__BIND="127.0.0.1:0", ROSTER__LOG__FORMAT="json",
                                # A busy machine changes no figure.
                                ROSTER__DATABASE__DEADLINE_MS="30000",
                                ROSTER__LIMITS__LIVE_KEY_PER_SECOND="1000000",
                                ROSTER__LIMITS__LIVE_MERCHANT_PER_SECOND="1000000")
        self.binary = binary
        self.run("migrate")
        self.merchant = json.loads(self.run("merchants", "create", "Sizes", "--json"))["id"]
        made = self.run("keys", "create", "--merchant", self.merchant, "--environment", "live", "--json")
        self.key = json.loads(made)["key"]

    def run(self, *arguments):
        """Runs a command of the program."""
        done = subprocess.run([self.binary, *arguments], env=self.environment, capture_output=True, text=True)
        if done.returncode:
            raise SystemExit(f"{' '.join(arguments)}: {done.stdout}{done.stderr}")
        return done.stdout

    def without_searches(self):
        """The same service without its index for searches."""
        self.environment["ROSTER__SEARCH__ENABLED"] = "false"
        return self

    def __enter__(self):
        self.process = subprocess.Popen([self.binary, "serve"], env=self.environment, stderr=subprocess.PIPE, text=True)
        for line in self.process.stderr:
            address = re.search(r"127\.0\.0\.1:([1-9]\d*)", line)
            if address:
                self.port = int(address[1])
                threading.Thread(target=self.process.stderr.read, daemon=True).start()
                return self
        raise SystemExit("the service does not start")

    def __exit__(self, *_error):
        self.process.terminate()
        self.process.wait()

    def send(self, requests):
        """Sends requests, some at a time, and returns the JSON of their answers."""
        answers, lock, waiting = [], threading.Lock(), iter(list(requests))

        def call():
            connection = http.client.HTTPConnection("127.0.0.1", self.port)
            while True:
                with lock:
                    request = next(waiting, None)
                if request is None:
                    return
                method, path, body, headers = request
                headers = {"Authorization": f"Bearer {self.key}", "Content-Type": "application/json", **headers}
                connection.request(method, path, json.dumps(body) if body else None, headers)
                response = connection.getresponse()
                text = response.read()
                if response.status >= 300:
                    raise SystemExit(f"{method} {path}: {response.status} {text}")
                with lock:
                    answers.append(json.loads(text) if text else None)

        threads = [threading.Thread(target=call) for _ in range(CALLERS)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        return answers


def write_file(path):
    """The customers to import, as CSV."""
    with open(path, "w", newline="", encoding="utf-8") as file:
        fields = ["external_id", "email", "name", "phone", "line1", "city", "state", "postal_code", "country", "metadata"]
        writer = csv.DictWriter(file, [f"billing_address.{name}" if name in fields[4:9] else name for name in fields])
        writer.writeheader()
        for number in range(CUSTOMERS):
            row = customer(number)
            address = {f"billing_address.{name}": value for name, value in row.pop("billing_address").items()}
            writer.writerow({**row, **address, "metadata": json.dumps(row["metadata"])})


def creates(keyed=False):
    """Requests that create customers."""
    for number in range(WRITES):
        headers = {"Idempotency-Key": f"{RANDOM.getrandbits(128):032x}"} if keyed else {}
        yield "POST", "/v1/customers", customer(number), headers


def changes(ids):
    """Requests that change a phone number, which is in no index."""
    for number, each in enumerate(ids):
        yield "PATCH", f"/v1/customers/{each}", {"phone": f"+1628555{number % 10000:04d}"}, {}


def renames(ids):
    """Requests that change a name, which is in the index for searches."""
    for number, each in enumerate(ids):
        yield "PATCH", f"/v1/customers/{each}", {"name": f"{RANDOM.choice(FIRST)} {RANDOM.choice(LAST)} {number}"}, {}


def deletes(ids):
    """Requests that delete customers."""
    for each in ids:
        yield "DELETE", f"/v1/customers/{each}", None, {}


def imported(server, service):
    """Identifiers of customers that were imported and not changed since, from all over the table."""
    found = server.ask("SELECT external_id FROM customers WHERE deleted_at IS NULL AND version = 1 "
                       f"AND metadata->>'source' = 'import' ORDER BY hashtext(external_id) LIMIT {WRITES}")
    lists = service.send(("GET", f"/v1/customers?external_id={row[0]}", None, {}) for row in found)
    return [answer["data"][0]["id"] for answer in lists]


def measure(server, service, what, requests):
    """Prints the bytes of WAL that each of these requests makes."""
    weights = []
    for settings in [{"full_page_writes": "off", "wal_compression": "off"},
                     {"full_page_writes": "on", "wal_compression": "off"},
                     {"full_page_writes": "on", "wal_compression": "lz4"}]:
        some = list(requests())
        server.set(**settings)
        before = server.wal()
        service.send(some)
        weights.append((server.wal() - before) / len(some))
    print(f"| {what} | {' | '.join(f'{weight:,.0f}' for weight in weights)} |", flush=True)


def main():
    binary, url, *fillfactor = sys.argv[1:]
    server, service = Server(url), Service(binary, url)
    for percent in fillfactor:
        server.ask(f"ALTER TABLE customers SET (fillfactor = {int(percent)})")
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "customers.csv")
        write_file(path)
        server.set(full_page_writes="off", wal_compression="off")
        before = server.wal()
        service.run("import", path, "--merchant", service.merchant, "--environment", "live")
        weight = (server.wal() - before) / CUSTOMERS
    print(f"\n{CUSTOMERS:,} customers were imported. An import makes {weight:,.0f} bytes of WAL for each, without whole pages.\n")
    SOURCE[0] = "request"
    print("| table | index | bytes a customer |\n|---|---|---:|")
    total = 0
    for table, index, size in server.sizes():
        total += int(size)
        print(f"| `{table}` | {f'`{index}`' if index else ''} | {int(size) / CUSTOMERS:,.1f} |")
    print(f"| all | | {total / CUSTOMERS:,.1f} |")

    print(f"\n| {WRITES:,} requests, {CALLERS} at a time | no whole pages | whole pages, just after a checkpoint | compressed |")
    print("|---|---:|---:|---:|")
    with service:
        measure(server, service, "create", creates)
        measure(server, service, "create with an `Idempotency-Key`", lambda: creates(keyed=True))
        measure(server, service, "change of a phone number", lambda: changes(imported(server, service)))
        measure(server, service, "change of a name", lambda: renames(imported(server, service)))
        measure(server, service, "delete", lambda: deletes(imported(server, service)))
    with service.without_searches():
        measure(server, service, "create, `search.enabled = false`", creates)
        measure(server, service, "change of a name, `search.enabled = false`", lambda: renames(imported(server, service)))
    hot = server.ask("SELECT relname, n_tup_upd, n_tup_hot_upd FROM pg_stat_user_tables "
                     "WHERE relname IN ('customers', 'feed_heads') ORDER BY 1")
    print("\n| table | updates | of them in place (HOT) |\n|---|---:|---:|")
    for table, updates, in_place in hot:
        print(f"| `{table}` | {int(updates):,} | {100 * int(in_place) / max(int(updates), 1):.1f} % |")
    heads = server.ask("SELECT pg_total_relation_size('feed_heads')")[0][0]
    print(f"\n`feed_heads` has {int(heads):,} bytes after all of this.")
    server.ask("ALTER SYSTEM RESET full_page_writes", "ALTER SYSTEM RESET wal_compression", "SELECT pg_reload_conf()")


main()
