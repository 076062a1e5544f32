-- An application's own tables that refer to our claims: the locks of their foreign keys are no obstacle to a transaction
-- that holds them itself.
\a
\pset footer off
SET statement_timeout = '5s';

SELECT status FROM reservation.create_pool('fk', 1);
CREATE TABLE public.purchase (claim_id uuid PRIMARY KEY REFERENCES reservation.claim, item text);

-- bought, returned and bought again, in one transaction and in several
BEGIN;
SELECT claim_id AS one FROM reservation.claim_next('fk', 'ann') \gset
INSERT INTO public.purchase VALUES (:'one', 'hat');
SELECT status FROM reservation.extend(:'one', '1 hour');
SELECT status, late, replayed FROM reservation.finalize(:'one');
SELECT status FROM reservation.refund(:'one');
SELECT claim_id AS two FROM reservation.claim_next('fk', 'bob') \gset
INSERT INTO public.purchase VALUES (:'two', 'cap');
SELECT status FROM reservation.release(:'two');
COMMIT;
SELECT claim_id AS three FROM reservation.claim_next('fk', 'cem') \gset
BEGIN;
INSERT INTO public.purchase VALUES (:'three', 'mug');
SELECT status FROM reservation.finalize(:'three');
COMMIT;
BEGIN;
UPDATE public.purchase SET item = 'big mug' WHERE claim_id = :'three';
SELECT status FROM reservation.refund(:'three');
COMMIT;

-- a hold whose time is over: free at once, also for the transaction that just wrote a row about it
SELECT claim_id AS four FROM reservation.claim_next('fk', 'dan', ttl => '1 microsecond') \gset
BEGIN;
INSERT INTO public.purchase VALUES (:'four', 'pen');
SELECT status, number FROM reservation.claim_next('fk', 'eve', wait => '0');
ROLLBACK;
BEGIN;
INSERT INTO public.purchase VALUES (:'four', 'pen');
SELECT status, number FROM reservation.claim_next('fk', 'eve');
ROLLBACK;
BEGIN;
INSERT INTO public.purchase VALUES (:'four', 'pen');
SELECT status, number FROM reservation.claim_unit('fk', 1, 'eve');
ROLLBACK;
BEGIN;
SAVEPOINT a;
INSERT INTO public.purchase VALUES (:'four', 'pen');
RELEASE a;
SELECT status, number FROM reservation.claim_next('fk', 'eve');
ROLLBACK;
BEGIN;
INSERT INTO public.purchase VALUES (:'four', 'pen');
SELECT status, late FROM reservation.finalize(:'four');
ROLLBACK;

-- in one transaction from beginning to end
BEGIN;
SELECT claim_id AS five FROM reservation.claim_next('fk', 'fay', ttl => '1 microsecond') \gset
INSERT INTO public.purchase VALUES (:'five', 'pot');
SELECT status, number FROM reservation.claim_next('fk', 'gus');
COMMIT;

-- a unit that its own transaction has locked, as an administrator may
SELECT status FROM reservation.drop_pool('fk', true);
SELECT status FROM reservation.create_pool('fk', 1);
BEGIN;
SELECT number FROM reservation.available a JOIN reservation.pool p USING (pool_id) WHERE p.pool = 'fk' FOR UPDATE OF a;
SELECT status, number FROM reservation.claim_next('fk', 'hal');
ROLLBACK;
BEGIN;
SELECT number FROM reservation.available a JOIN reservation.pool p USING (pool_id) WHERE p.pool = 'fk' FOR KEY SHARE OF a;
SELECT status, number FROM reservation.claim_unit('fk', 1, 'hal');
ROLLBACK;

SELECT item FROM public.purchase ORDER BY item;
DROP TABLE public.purchase;
SELECT * FROM reservation.verify();
