"""What shop.py promises, and what psycopg makes of every type. Prints TAP.

RSV_URL      a database made by ../setup.sql
RSV_ROUTE    direct or pooled
RSV_PREPARE  1: with prepared statements
RSV_MISUSE   the file misuse.tsv
"""

import datetime
import json
import os
import pathlib
import sys
import uuid

import psycopg
from psycopg.rows import dict_row

from shop import Shop

tests = 0


def ok(passed, name, *found):
    global tests
    tests += 1
    print(f"{'ok' if passed else 'not ok'} {tests} - {name}")
    if not passed:
        print("# found:", *found, file=sys.stderr)


def same(found, expected, name):
    ok(found == expected, name, repr(found), "expected:", repr(expected))


url, route = os.environ["RSV_URL"], os.environ["RSV_ROUTE"]
prepare = os.environ["RSV_PREPARE"] == "1"
threshold = 0 if prepare else None
shop = Shop(url, threshold)

# ---- claim, replay, sell, refuse

first = shop.claim("print", "ann", "cart-1")
same((first["status"], first["number"], first["replayed"]), ("claimed", 1, False), "claimed")
same(type(first["claim_id"]), uuid.UUID, "claim_id is a UUID")
same(type(first["expires_at"]), datetime.datetime, "expires_at is a datetime")
left = first["expires_at"] - datetime.datetime.now(datetime.timezone.utc)
ok(590 < left.total_seconds() < 601, "ten minutes from now", left)
same(shop.claim("print", "ann", "cart-1"), {**first, "replayed": True}, "replayed, the same row")
sale = shop.sell(first["claim_id"])
same((sale["status"], sale["number"], sale["replayed"]), ("finalized", 1, False), "finalized")
same(shop.sell(first["claim_id"]), {**sale, "replayed": True}, "finalized again: the same row")

with shop.db.transaction():
    gone = shop.claim("last", "bob", "cart-2")
    same((gone["status"], gone["claim_id"], gone["available"]), ("sold_out", None, 0),
         "a refusal is a row")
    second = shop.claim("print", "bob", "cart-2")
same(second["number"], 2, "and leaves the transaction as it was")
same(shop.claim("print", "bob", "cart-2")["replayed"], True, "which has committed")

# ---- misuse

lines = pathlib.Path(os.environ["RSV_MISUSE"]).read_text().splitlines()
for sqlstate, sql, message, detail, hint in (line.split("\t") for line in lines):
    try:
        found = shop.db.execute(sql).fetchall()
    except psycopg.Error as error:
        e = error.diag
        found = e.sqlstate, e.message_primary, e.message_detail or "", e.message_hint or ""
    same(found, (sqlstate, message, detail, hint), f"{sqlstate} whole: {message}")

# ---- one statement many times, with arguments

same([shop.claim("print", "eve", f"eve-{i}")["number"] for i in range(10)], list(range(3, 13)),
     "ten times the same statement: ten numbers")
if prepare and route == "direct":
    plans = shop.db.execute("SELECT sum(generic_plans) AS n FROM pg_prepared_statements"
                            " WHERE statement LIKE '%claim_next%'").fetchone()
    ok(plans["n"] > 0, "by a prepared statement and its generic plan", plans)

# ---- types, as text and in binary

for binary in (False, True):
    how = "binary" if binary else "text"
    cursor = shop.db.cursor(binary=binary)

    def row(sql, *arguments):
        return cursor.execute(sql, arguments).fetchone()

    again = row("SELECT * FROM reservation.claim_next(%b, %t, request_id => %b)",
                "print", "ann", "cart-1")
    same(again, {**first, "replayed": True}, f"{how}: uuid, timestamptz, integer, boolean")
    ok(again["expires_at"].microsecond != 0, f"{how}: with its microseconds", again["expires_at"])
    row("SELECT * FROM reservation.claim_next('slow', %s)", how)
    wait = row("SELECT * FROM reservation.claim_next('slow', %s)", how)
    same((wait["status"], type(wait["retry_after"])), ("rate_limited", datetime.timedelta),
         f"{how}: interval")
    ok(5300 < wait["retry_after"].total_seconds() <= 5400, f"{how}: of 90 minutes", wait)
    grain = row("SELECT * FROM reservation.availability(%s)", ["grains"])
    same(grain["capacity"], 2**53 + 1, f"{how}: bigint, and an array as an argument")
    basket = [{"pool": "grains", "quantity": 2}, {"pool": "print", "quantity": 1}]
    checkout = row("SELECT * FROM reservation.checkout(%s, %s, %s::jsonb)",
                   f"checkout {how}", "ann", json.dumps(basket))
    same(sorted((c["pool"], c["quantity"]) for c in checkout["claims"]),
         [("grains", 2), ("print", 1)], f"{how}: jsonb")
    same(row("SELECT * FROM reservation.cancel_checkout(%s)", checkout["checkout_id"])["status"],
         "cancelled", f"{how}: a UUID goes back as it came")

# ---- several units, fetched in parts: one call all the same

with shop.db.transaction(), shop.db.cursor("parts", row_factory=dict_row) as parts:
    parts.execute("SELECT * FROM reservation.claim_next('print', 'fay', count => 5)")
    numbers = [r["number"] for r in parts.fetchmany(2) + parts.fetchmany(2) + parts.fetchmany(2)]
same(numbers, list(range(13, 18)), "five units through a cursor, in parts")
many = shop.db.cursor()
many.executemany("SELECT * FROM reservation.claim_next('print', %s)", [("gus",), ("hal",)],
                 returning=True)
numbers = [many.fetchone()["number"]]
while many.nextset():
    numbers.append(many.fetchone()["number"])
same(numbers, [18, 19], "a batch in one round trip (pipeline)")

# ---- what is not committed has not happened

try:
    with shop.db.transaction():
        same(shop.claim("print", "ian", "cart-9")["number"], 20, "claimed, and rolled back")
        raise psycopg.Rollback
except psycopg.Rollback:
    pass
same(shop.claim("print", "joe", "cart-10")["number"], 20, "so the next one gets that number")

# ---- the answer got lost

before = shop.claim("print", "kim", "cart-11")
try:
    shop.db.execute("SELECT pg_terminate_backend(pg_backend_pid())")
except psycopg.OperationalError:
    pass
ok(shop.db.closed, "the connection is cut")
same(shop.claim("print", "kim", "cart-11"), {**before, "replayed": True},
     "the same call again gets the first answer")

# ---- the pooler does what it is there for

if route == "pooled":
    shops = [Shop(url, threshold) for i in range(6)]
    numbers = [s.claim("print", f"crowd {i}", f"crowd-{i}")["number"] for i, s in enumerate(shops)]
    same(numbers, list(range(22, 28)), "six clients at once")
    backends = {s.db.execute("SELECT pg_backend_pid() AS pid").fetchone()["pid"] for s in shops}
    ok(len(backends) <= 2, "are served by two sessions at the most", backends)

same(shop.db.execute("SELECT * FROM reservation.verify()").fetchall(), [],
     "verify() finds nothing wrong")
print(f"1..{tests}")
