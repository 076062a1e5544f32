"""Claim and sell with psycopg 3."""

import psycopg
from psycopg.rows import dict_row


class Shop:
    def __init__(self, url, prepare_threshold=5):
        # None through PgBouncer before 1.21, or without its max_prepared_statements
        self.url, self.prepare_threshold, self.db = url, prepare_threshold, None

    def repeatable(self, sql, arguments):
        """One call. Lost connections, deadlocks and timeouts are answered by calling again."""
        for again in (True, True, True, False):
            try:
                if self.db is None or self.db.closed:
                    self.db = psycopg.connect(
                        self.url, autocommit=True, row_factory=dict_row,
                        prepare_threshold=self.prepare_threshold)
                return self.db.execute(sql, arguments).fetchone()
            except psycopg.OperationalError:
                if not again:
                    raise

    def claim(self, pool, holder, request_id):
        """A refusal is a row: look at its status, which is 'claimed' or says why not."""
        return self.repeatable(
            "SELECT * FROM reservation.claim_next(%s, %s, request_id => %s)",
            (pool, holder, request_id))

    def sell(self, claim_id):
        return self.repeatable("SELECT * FROM reservation.finalize(%s)", (claim_id,))
