"""From lines to an order with psycopg 3, paid through Razorpay."""

import psycopg
from psycopg.types.json import Jsonb


class Short(Exception):
    """Something is not to be had: shortages says what, and how much there is."""

    def __init__(self, shortages):
        super().__init__(shortages)
        self.shortages = shortages


def check_out(conn, key, holder, lines, amount):
    """Holds every line for fifteen minutes, or none. The same key again: the same checkout."""
    with conn.transaction():
        status, checkout_id, shortages = conn.execute(
            "SELECT status, checkout_id, shortages"
            " FROM reservation.checkout(%s, %s, %s, '15 minutes', %s, 'INR')",
            (key, holder, Jsonb(lines), amount)).fetchone()
    if status == "short":
        raise Short(shortages)
    return checkout_id


def pay_once(conn, checkout_id, create_provider_order):
    """The provider's order of a checkout, made by whoever clicks first."""
    with conn.transaction():
        status, response = conn.execute(
            "SELECT status, response FROM reservation.run_once('provider order', %s)",
            (str(checkout_id),)).fetchone()
        if status == "first":
            response = {"order_id": create_provider_order(receipt=str(checkout_id))}
            conn.execute("SELECT FROM reservation.save_response('provider order', %s, %s)",
                         (str(checkout_id), Jsonb(response)))
    return response["order_id"]


def paid(conn, checkout_id, order_id, payment_id, signature, amount):
    """From the browser's handler and from the webhook alike. order_id is what pay_once returned
    for this checkout, from your own records: never what the browser says it is."""
    with conn.transaction():
        status, = conn.execute(
            "SELECT status FROM reservation.record_payment(%s, 'razorpay', %s, %s, 'INR', %s, %s)",
            (checkout_id, payment_id, amount, f"{order_id}|{payment_id}", signature)).fetchone()
    if status != "paid":
        return status, None
    with conn.transaction():
        return conn.execute(
            "SELECT status, order_number FROM reservation.finalize_checkout(%s)",
            (checkout_id,)).fetchone()


def connect(url, prepare_threshold=5):
    # None through PgBouncer before 1.21. Without autocommit, psycopg would open a transaction with
    # the first statement and keep it, and everything that the calls lock with it.
    return psycopg.connect(url, autocommit=True, prepare_threshold=prepare_threshold)
