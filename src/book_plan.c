/*
 * book_plan.c
 *	  Statements that read the books as a whole, and mend them: events, balances,
 *	  repair, verify. plan.c prepares and runs them.
 */
#include "postgres.h"

#include "catalog/pg_type.h"

#include "plan.h"

#define BOOK(name) (RSV_PLAN_##name - RSV_PLAN_BOOKS)

RsvPlanInfo rsv_book_plans[] = {
	/* where so many keys end, which nobody but the owner may read; then the rows up to there */
	[BOOK(EVENTS_PAGE)] =
		{
			.text =
				"WITH page AS MATERIALIZED ("
				" SELECT position, step FROM reservation.stream"
				" WHERE ROW(position, step) OPERATOR(pg_catalog.>) ROW($1, $2)"
				" AND position OPERATOR(pg_catalog.<) ($4 OPERATOR(pg_catalog.+)"
				" pg_catalog.pg_snapshot_xmin(pg_catalog.pg_current_snapshot())"
				"::pg_catalog.text::pg_catalog.int8)"
				" ORDER BY position USING OPERATOR(pg_catalog.<),"
				" step USING OPERATOR(pg_catalog.<) LIMIT $3)"
				" SELECT position, step FROM page"
				" ORDER BY position USING OPERATOR(pg_catalog.>),"
				" step USING OPERATOR(pg_catalog.>) LIMIT 1",
			.types = {INT8OID, INT4OID, INT4OID, INT8OID},
			.read_only = true,
		},
	[BOOK(EVENTS)] =
		{
			.text =
				"SELECT pg_catalog.format('%s.%s', e.position, e.step), e.at, e.transaction_id,"
				" e.kind, e.event, e.pool, e.number, e.claim_id, e.checkout_id, e.quantity,"
				" e.change, e.actor, e.holder, e.request_id, e.reason, e.details"
				" FROM reservation.events e"
				" WHERE ROW(e.position, e.step) OPERATOR(pg_catalog.>) ROW($1, $2)"
				" AND ROW(e.position, e.step) OPERATOR(pg_catalog.<=) ROW($3, $4)"
				" ORDER BY e.position USING OPERATOR(pg_catalog.<),"
				" e.step USING OPERATOR(pg_catalog.<)",
			.types = {INT8OID, INT4OID, INT8OID, INT4OID},
			.read_only = true,
		},
	[BOOK(POOL_DETAILS)] =
		{
			.text =
				"SELECT pg_catalog.jsonb_strip_nulls(pg_catalog.to_jsonb(p)"
				" OPERATOR(pg_catalog.-) '{pool_id,pool,created_at,dropped_at}'::pg_catalog.text[])"
				" FROM reservation.pool p WHERE pool_id OPERATOR(pg_catalog.=) $1",
			.types = {INT4OID},
			.read_only = true,
		},
	[BOOK(BALANCE_AT)] =
		{
			.text =
				"WITH ended AS ("
				" SELECT claim_id FROM reservation.log"
				" WHERE pool_id OPERATOR(pg_catalog.=) $1 AND at OPERATOR(pg_catalog.<=) $2"
				" AND (event OPERATOR(pg_catalog.=) 'released'"
				" OR event OPERATOR(pg_catalog.=) 'lapsed'"
				" OR event OPERATOR(pg_catalog.=) 'finalized') AND claim_id IS NOT NULL),"
				" moved AS ("
				" SELECT pg_catalog.sum(quantity) FILTER (WHERE kind OPERATOR(pg_catalog.=) 'pool'"
				" AND (event OPERATOR(pg_catalog.=) 'adjusted'"
				" OR event OPERATOR(pg_catalog.=) 'added')) AS added,"
				" pg_catalog.sum(quantity) FILTER"
				" (WHERE event OPERATOR(pg_catalog.=) 'finalized') AS finalized,"
				" pg_catalog.sum(quantity) FILTER"
				" (WHERE event OPERATOR(pg_catalog.=) 'refunded') AS refunded"
				" FROM reservation.log"
				" WHERE pool_id OPERATOR(pg_catalog.=) $1 AND at OPERATOR(pg_catalog.<=) $2),"
				" made AS ("
				" SELECT pg_catalog.sum(COALESCE(taken, quantity))"
				" FILTER (WHERE finalized_at OPERATOR(pg_catalog.=) claimed_at) AS sold,"
				" pg_catalog.sum(COALESCE(taken, quantity)) FILTER (WHERE"
				" (finalized_at IS NULL OR finalized_at OPERATOR(pg_catalog.<>) claimed_at)"
				" AND (expires_at OPERATOR(pg_catalog.>) $2"
				" OR expires_at OPERATOR(pg_catalog.=) 'infinity') AND NOT EXISTS (SELECT"
				" FROM ended e WHERE e.claim_id OPERATOR(pg_catalog.=) c.claim_id)) AS held"
				" FROM reservation.every_claim c"
				" WHERE pool_id OPERATOR(pg_catalog.=) $1"
				" AND claimed_at OPERATOR(pg_catalog.<=) $2),"
				" total AS ("
				" SELECT CASE WHEN p.created_at OPERATOR(pg_catalog.<=) $2"
				" THEN p.capacity ELSE 0 END"
				" OPERATOR(pg_catalog.+) COALESCE(m.added, 0) AS units,"
				" COALESCE(held, 0) AS held, COALESCE(sold, 0)"
				" OPERATOR(pg_catalog.+) COALESCE(m.finalized, 0)"
				" OPERATOR(pg_catalog.-) COALESCE(m.refunded, 0) AS finalized"
				" FROM reservation.pool p, moved m, made"
				" WHERE p.pool_id OPERATOR(pg_catalog.=) $1)"
				" SELECT (units OPERATOR(pg_catalog.-) held OPERATOR(pg_catalog.-) finalized)"
				"::pg_catalog.int8, held::pg_catalog.int8, finalized::pg_catalog.int8 FROM total",
			.types = {INT4OID, TIMESTAMPTZOID},
			.read_only = true,
		},
	[BOOK(ARCHIVE)] =
		{
			.text = "WITH chosen AS MATERIALIZED ("
					" SELECT c.claim_id FROM reservation.claim c, reservation.pool p"
					" WHERE p.pool_id OPERATOR(pg_catalog.=) c.pool_id"
					" AND c.state OPERATOR(pg_catalog.<>) 'held'"
					" AND c.claimed_at OPERATOR(pg_catalog.<) $1"
					" AND CASE WHEN c.finalized_at IS NOT NULL THEN c.finalized_at"
					" WHEN c.expires_at OPERATOR(pg_catalog.=) 'infinity' THEN c.claimed_at"
					" ELSE c.expires_at END OPERATOR(pg_catalog.<) $1"
					" AND (NOT c.by_holder OR c.state OPERATOR(pg_catalog.<>) 'finalized'"
					" OR p.dropped_at IS NOT NULL)"
					" ORDER BY c.claim_id USING OPERATOR(pg_catalog.<) LIMIT $2"
					" FOR UPDATE OF c SKIP LOCKED FOR SHARE OF p SKIP LOCKED),"
					" moved AS (DELETE FROM reservation.claim c USING chosen"
					" WHERE c.claim_id OPERATOR(pg_catalog.=) chosen.claim_id RETURNING c.*)"
					" INSERT INTO reservation.claim_archive SELECT * FROM moved",
			.types = {TIMESTAMPTZOID, INT4OID},
		},
	[BOOK(ARCHIVE_RECALL)] =
		{
			.text = "WITH back AS (DELETE FROM reservation.claim_archive"
					" WHERE claim_id OPERATOR(pg_catalog.=) $1 RETURNING *)"
					" INSERT INTO reservation.claim SELECT * FROM back",
			.types = {UUIDOID},
		},
	[BOOK(ARCHIVE_RECALL_POOL)] =
		{
			.text = "WITH back AS (DELETE FROM reservation.claim_archive"
					" WHERE pool_id OPERATOR(pg_catalog.=) $1"
					" AND state OPERATOR(pg_catalog.=) 'finalized' RETURNING *)"
					" INSERT INTO reservation.claim SELECT * FROM back",
			.types = {INT4OID},
		},
	[BOOK(ARCHIVE_LOOK)] =
		{
			.text = "SELECT FROM reservation.every_claim"
					" WHERE claim_id OPERATOR(pg_catalog.=) $1",
			.types = {UUIDOID},
			.read_only = true,
		},
	[BOOK(REPAIR_FREE)] =
		{
			.text = "DELETE FROM reservation.available a USING reservation.every_claim c"
					" WHERE a.pool_id OPERATOR(pg_catalog.=) $1"
					" AND c.pool_id OPERATOR(pg_catalog.=) $1"
					" AND c.number OPERATOR(pg_catalog.=) a.number AND c.number IS NOT NULL"
					" AND (c.state OPERATOR(pg_catalog.=) 'held'"
					" OR c.state OPERATOR(pg_catalog.=) 'finalized')"
					" RETURNING a.number",
			.types = {INT4OID},
		},
	[BOOK(REPAIR_KIND)] =
		{
			.text = "WITH stock AS (DELETE FROM reservation.stock s USING reservation.pool p"
					" WHERE s.pool_id OPERATOR(pg_catalog.=) $1"
					" AND p.pool_id OPERATOR(pg_catalog.=) $1"
					" AND p.kind OPERATOR(pg_catalog.=) 'numbered' RETURNING s.slot),"
					" free AS (DELETE FROM reservation.available a USING reservation.pool p"
					" WHERE a.pool_id OPERATOR(pg_catalog.=) $1"
					" AND p.pool_id OPERATOR(pg_catalog.=) $1"
					" AND p.kind OPERATOR(pg_catalog.=) 'counted'"
					" RETURNING a.number)"
					" SELECT slot FROM stock UNION ALL SELECT number FROM free",
			.types = {INT4OID},
		},
	[BOOK(REPAIR_LABELS)] =
		{
			.text = "UPDATE reservation.pool SET labelled = true"
					" WHERE pool_id OPERATOR(pg_catalog.=) $1 AND NOT labelled AND EXISTS (SELECT"
					" FROM reservation.unit u WHERE u.pool_id OPERATOR(pg_catalog.=) $1)",
			.types = {INT4OID},
		},
	[BOOK(REPAIR_BALANCE)] =
		{
			/*
			 * What is missing in the slots, if entries, claims and log agree on it; not
			 * if slots and claims agree as well, or if a claim is known to be lost.
			 */
			.text =
				"SELECT (e.amount OPERATOR(pg_catalog.-) s.units OPERATOR(pg_catalog.-) p.floor)"
				"::pg_catalog.int8,"
				" (l.added OPERATOR(pg_catalog.-) s.added)::pg_catalog.int8"
				" FROM reservation.pool p, LATERAL ("
				" SELECT COALESCE(pg_catalog.sum(quantity), 0) AS units,"
				" COALESCE(pg_catalog.sum(added), 0) AS added FROM reservation.stock"
				" WHERE pool_id OPERATOR(pg_catalog.=) p.pool_id) s, LATERAL ("
				" SELECT COALESCE(pg_catalog.sum(amount), 0) AS amount"
				" FROM reservation.entries WHERE pool_id OPERATOR(pg_catalog.=) p.pool_id"
				" AND place OPERATOR(pg_catalog.<) 2) e, LATERAL ("
				" SELECT COALESCE(pg_catalog.sum(change), 0) AS added FROM reservation.log"
				" WHERE pool_id OPERATOR(pg_catalog.=) p.pool_id AND claim_id IS NULL) l,"
				" LATERAL (SELECT COALESCE(pg_catalog.sum(quantity OPERATOR(pg_catalog.-)"
				" COALESCE(refunded, 0)), 0) AS units FROM reservation.every_claim"
				" WHERE pool_id OPERATOR(pg_catalog.=) p.pool_id"
				" AND (state OPERATOR(pg_catalog.=) 'held'"
				" OR state OPERATOR(pg_catalog.=) 'finalized')) c"
				" WHERE p.pool_id OPERATOR(pg_catalog.=) $1"
				" AND p.kind OPERATOR(pg_catalog.=) 'counted'"
				" AND (e.amount OPERATOR(pg_catalog.<>) (s.units OPERATOR(pg_catalog.+) p.floor)"
				" OR l.added OPERATOR(pg_catalog.<>) s.added)"
				" AND p.capacity OPERATOR(pg_catalog.+) p.units_added"
				" OPERATOR(pg_catalog.+) s.added OPERATOR(pg_catalog.<>)"
				" (s.units OPERATOR(pg_catalog.+) p.floor OPERATOR(pg_catalog.+) c.units)"
				" AND NOT EXISTS (SELECT FROM reservation.contradictions w"
				" WHERE w.pool OPERATOR(pg_catalog.=) p.pool"
				" AND w.problem OPERATOR(pg_catalog.~) 'names a claim that does not exist')"
				" AND p.capacity OPERATOR(pg_catalog.+) p.units_added"
				" OPERATOR(pg_catalog.+) l.added"
				" OPERATOR(pg_catalog.=) (e.amount OPERATOR(pg_catalog.+) c.units)",
			.types = {INT4OID},
			.read_only = true,
		},
	[BOOK(REPAIR_SLOT)] =
		{
			.text = "UPDATE reservation.stock SET quantity = quantity OPERATOR(pg_catalog.+) $2,"
					" added = added OPERATOR(pg_catalog.+) $3"
					" WHERE pool_id OPERATOR(pg_catalog.=) $1 AND slot OPERATOR(pg_catalog.=)"
					" (SELECT slot FROM reservation.stock"
					" WHERE pool_id OPERATOR(pg_catalog.=) $1"
					" ORDER BY quantity USING OPERATOR(pg_catalog.>) LIMIT 1)"
					" AND quantity OPERATOR(pg_catalog.+) $2 OPERATOR(pg_catalog.>=) 0",
			.types = {INT4OID, INT8OID, INT8OID},
		},
	[BOOK(REPAIR_REST)] =
		{
			.text = "SELECT 'refused', pool, problem, found, hint FROM reservation.verify($1)",
			.types = {TEXTOID},
		},
	[BOOK(CONTRADICTIONS)] =
		{
			.text = "SELECT pool, problem, expected, found, hint FROM reservation.contradictions"
					" WHERE $1 IS NULL OR pool OPERATOR(pg_catalog.=) $1",
			.types = {TEXTOID},
			.read_only = true,
		},
};
