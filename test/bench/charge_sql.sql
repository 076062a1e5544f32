\set account random(1, 100000)
WITH taken AS (
    UPDATE peer.account SET balance = balance - 1 WHERE account = 'account ' || :account AND balance >= 1 RETURNING account
)
INSERT INTO peer.entry (account, amount) SELECT account, -1 FROM taken RETURNING account;
