"""What checkout.py promises, as docs/checkout.md shows it. Prints TAP.

RSV_URL      a database made by ../setup.sql
RSV_PREPARE  1: with prepared statements
"""

import hashlib
import hmac
import os
import sys
import threading

from checkout import Short, check_out, connect, paid, pay_once

SECRET = b"EnLs21M47BllR3X8PSFtjtbd"
tests = 0


def same(found, expected, name):
    global tests
    tests += 1
    print(f"{'ok' if found == expected else 'not ok'} {tests} - {name}")
    if found != expected:
        print("# found:", repr(found), "expected:", repr(expected), file=sys.stderr)


url = os.environ["RSV_URL"]
threshold = 0 if os.environ["RSV_PREPARE"] == "1" else None
conn = connect(url, threshold)
lines = [{"pool": "poster", "quantity": 2}, {"pool": "hall", "number": 12}]


def at_once(work, callers):
    """What so many threads, each with a connection of its own, get."""
    answers = []

    def call():
        with connect(url, threshold) as own:
            answers.append(work(own))

    threads = [threading.Thread(target=call) for _ in range(callers)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return answers


def sign(order_id, payment_id):
    return hmac.new(SECRET, f"{order_id}|{payment_id}".encode(), hashlib.sha256).hexdigest()


def free(pool):
    return conn.execute("SELECT available FROM reservation.availability(%s)",
                        ([pool],)).fetchone()[0]


ids = set(at_once(lambda own: check_out(own, "cart 7, first try", "ann", lines, 590000), 4))
same(len(ids), 1, "four tabs: one checkout")
checkout_id = ids.pop()
same((free("poster"), free("hall")), (98, 19), "which holds every line, once")
try:
    check_out(conn, "cart 8", "bob", lines, 590000)
    found = "no shortage"
except Short as short:
    found = [(s["pool"], s["requested"], s["available"]) for s in short.shortages]
same(found, [("hall", 1, 19)], "the same seat for another: it falls short, by name")
same(free("poster"), 98, "and nothing is held for them")

calls = []


def create_provider_order(receipt):
    calls.append(receipt)
    return f"order_{len(calls)}"


orders = at_once(lambda own: pay_once(own, checkout_id, create_provider_order), 4)
same((orders, calls), (["order_1"] * 4, [str(checkout_id)]),
     "four clicks on the button: one order at the provider")


def fail(receipt):
    raise ConnectionError("the provider does not answer")


try:
    pay_once(conn, "another", fail)
except ConnectionError:
    pass
same(pay_once(conn, "another", create_provider_order), "order_2",
     "a call that failed is free for the next")

order_id, payment_id = orders[0], "pay_1"
same(paid(conn, checkout_id, order_id, payment_id, sign("order_2", payment_id), 590000),
     ("bad_signature", None), "the signature of another order is refused")
same(paid(conn, checkout_id, order_id, payment_id, sign(order_id, payment_id), 1),
     ("amount_mismatch", None), "so is another amount")
answers = at_once(lambda own: paid(own, checkout_id, order_id, payment_id,
                                   sign(order_id, payment_id), 590000), 4)
same(answers, [("finalized", 1)] * 4, "browser and webhook, twice each: one order, number 1")
same(conn.execute("SELECT count(*), count(DISTINCT order_id) FROM reservation.checkouts"
                  " WHERE state = 'finalized'").fetchone(), (1, 1), "one order")
same((free("poster"), free("hall")), (98, 19), "the goods are sold once")
print(f"1..{tests}")
