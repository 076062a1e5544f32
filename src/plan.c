/*
 * plan.c
 *	  Cached SPI plans: the only file that prepares a statement.
 *
 * For what is not hot: making and changing pools, and reading them. Texts are
 * constant and qualified down to the operators, so no search_path changes what
 * they mean. Plans run in the name of the owner of our tables, as foreign key
 * checks do: the right to call a function is all that its caller needs.
 *
 * Plans see what is true now, at every isolation level. If another transaction
 * changes the same rows meanwhile, one that writes raises 40001 above READ
 * COMMITTED, as every UPDATE does. Only availability follows the snapshot of its
 * caller.
 *
 * Memory: plans live as long as the session. What a plan returns lives until
 * rsv_plan_end.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "miscadmin.h"
#include "utils/snapmgr.h"

#include "plan.h"

static RsvPlanInfo plans[RSV_PLAN_BOOKS] = {
	[RSV_PLAN_POOL_INSERT] =
		{
			.text = "INSERT INTO reservation.pool"
					" (pool, kind, capacity, first_number, hold_ttl, per_holder, floor, ceiling,"
					" opens_at, closes_at, holder_rate, holder_period, pool_rate, pool_period,"
					" pass_over, offer_ttl, notify_every)"
					" VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14,"
					" $15, $16, $17)"
					" ON CONFLICT (pool) WHERE dropped_at IS NULL DO NOTHING"
					" RETURNING pool_id",
			.types = {TEXTOID, TEXTOID, INT8OID, INT4OID, INTERVALOID, INT4OID, INT8OID, INT8OID,
					  TIMESTAMPTZOID, TIMESTAMPTZOID, INT4OID, INTERVALOID, INT4OID, INTERVALOID,
					  BOOLOID, INTERVALOID, INTERVALOID},
		},
	[RSV_PLAN_POOL_LOCK] =
		{
			.text = "SELECT FROM reservation.pool WHERE pool_id OPERATOR(pg_catalog.=) $1"
					" FOR NO KEY UPDATE",
			.types = {INT4OID},
		},
	[RSV_PLAN_POOL_ALTER] =
		{
			.text = "UPDATE reservation.pool SET"
					" hold_ttl = coalesce($2, hold_ttl), per_holder = coalesce($3, per_holder),"
					" opens_at = coalesce($4, opens_at), closes_at = coalesce($5, closes_at),"
					" paused = coalesce($6, paused), floor = coalesce($7, floor),"
					" ceiling = coalesce($8, ceiling),"
					" holder_rate = $9, holder_period = $10, pool_rate = $11, pool_period = $12,"
					" pass_over = $13, offer_ttl = $14, notify_every = $15"
					" WHERE pool_id OPERATOR(pg_catalog.=) $1",
			.types = {INT4OID, INTERVALOID, INT4OID, TIMESTAMPTZOID,
					  TIMESTAMPTZOID, /* the window */
					  BOOLOID, INT8OID, INT8OID, INT4OID, INTERVALOID, INT4OID, INTERVALOID,
					  BOOLOID, INTERVALOID, INTERVALOID},
		},
	[RSV_PLAN_CLAIMS_LIMIT] =
		{
			.text = "UPDATE reservation.claim SET by_holder = true"
					" WHERE pool_id OPERATOR(pg_catalog.=) $1 AND NOT by_holder"
					" AND (state OPERATOR(pg_catalog.=) 'held'"
					" OR state OPERATOR(pg_catalog.=) 'finalized')",
			.types = {INT4OID},
		},
	[RSV_PLAN_POOL_GROW] =
		{
			.text =
				"UPDATE reservation.pool SET"
				" units_added = units_added OPERATOR(pg_catalog.+) $2, labelled = labelled OR $3"
				" WHERE pool_id OPERATOR(pg_catalog.=) $1 AND dropped_at IS NULL",
			.types = {INT4OID, INT8OID, BOOLOID},
		},
	[RSV_PLAN_POOL_DROP] =
		{
			.text = "UPDATE reservation.pool SET dropped_at = pg_catalog.clock_timestamp()"
					" WHERE pool_id OPERATOR(pg_catalog.=) $1 AND dropped_at IS NULL",
			.types = {INT4OID},
		},
	[RSV_PLAN_POOL_REST] =
		{
			.text =
				"SELECT FROM reservation.available WHERE pool_id OPERATOR(pg_catalog.=) $1"
				" UNION ALL"
				" SELECT FROM reservation.stock WHERE pool_id OPERATOR(pg_catalog.=) $1"
				" UNION ALL"
				" SELECT FROM reservation.claim"
				" WHERE pool_id OPERATOR(pg_catalog.=) $1 AND state OPERATOR(pg_catalog.=) 'held'"
				" AND ($4 OR expires_at OPERATOR(pg_catalog.<=) $2)"
				" LIMIT 1",
			.types = {INT4OID, TIMESTAMPTZOID, TEXTOID, BOOLOID},
		},
	[RSV_PLAN_POOL_STATUS] =
		{
			.text = "SELECT s.pool, s.kind, s.capacity, s.available, s.held, s.finalized,"
					" s.state, n.name"
					" FROM ROWS FROM (pg_catalog.unnest($1)) WITH ORDINALITY AS n (name, place)"
					" LEFT JOIN LATERAL (SELECT * FROM reservation.pool_status"
					" WHERE pool OPERATOR(pg_catalog.=) n.name) s ON true"
					" ORDER BY n.place",
			.types = {TEXTARRAYOID},
			.read_only = true,
			.as_caller = true,
		},
	[RSV_PLAN_UNITS_INSERT] =
		{
			.text = "INSERT INTO reservation.available (pool_id, number)"
					" SELECT $1, n FROM pg_catalog.generate_series($2, $3) AS n",
			.types = {INT4OID, INT4OID, INT4OID},
		},
	[RSV_PLAN_UNITS_DESCRIBE] =
		{
			.text = "INSERT INTO reservation.unit (pool_id, number, label, attributes)"
					" SELECT $1,"
					" ($2 OPERATOR(pg_catalog.+) place OPERATOR(pg_catalog.-) 1)::pg_catalog.int4,"
					" label, attributes"
					" FROM ROWS FROM (pg_catalog.unnest($3), pg_catalog.unnest($4))"
					" WITH ORDINALITY AS u (label, attributes, place)"
					" WHERE label IS NOT NULL OR attributes IS NOT NULL",
			.types = {INT4OID, INT4OID, TEXTARRAYOID, JSONBARRAYOID},
		},
	[RSV_PLAN_UNITS_LAST] =
		{
			.text = "SELECT GREATEST("
					"(SELECT pg_catalog.max(number) FROM reservation.available"
					" WHERE pool_id OPERATOR(pg_catalog.=) $1),"
					" (SELECT pg_catalog.max(number) FROM reservation.every_claim"
					" WHERE pool_id OPERATOR(pg_catalog.=) $1 AND number IS NOT NULL"
					" AND (state OPERATOR(pg_catalog.=) 'held'"
					" OR state OPERATOR(pg_catalog.=) 'finalized')))",
			.types = {INT4OID},
		},
	[RSV_PLAN_UNITS_DELETE] =
		{
			.text = "WITH stock AS ("
					" DELETE FROM reservation.stock WHERE pool_id OPERATOR(pg_catalog.=) $1)"
					" DELETE FROM reservation.available WHERE pool_id OPERATOR(pg_catalog.=) $1",
			.types = {INT4OID},
		},
	[RSV_PLAN_CLAIMS_SETTLE] =
		{
			.text =
				"WITH settled AS ("
				" UPDATE reservation.claim"
				" SET state = CASE WHEN expires_at OPERATOR(pg_catalog.<=) $2"
				" THEN 'lapsed' ELSE 'released' END"
				" WHERE pool_id OPERATOR(pg_catalog.=) $1 AND state OPERATOR(pg_catalog.=) 'held'"
				" AND ($4 OR expires_at OPERATOR(pg_catalog.<=) $2)"
				" RETURNING claim_id, quantity, state)"
				" INSERT INTO reservation.log"
				" (at, position, step, pool_id, claim_id, quantity, kind, event, actor)"
				" SELECT $2, $5, ($6 OPERATOR(pg_catalog.+) pg_catalog.row_number() OVER ()"
				" OPERATOR(pg_catalog.-) 1)::pg_catalog.int4,"
				" $1, claim_id, quantity, 'claim', state, $3 FROM settled",
			.types = {INT4OID, TIMESTAMPTZOID, TEXTOID, BOOLOID, INT8OID, INT4OID},
		},
	[RSV_PLAN_CLAIMS_LIVE] =
		{
			.text = "SELECT FROM reservation.every_claim"
					" WHERE pool_id OPERATOR(pg_catalog.=) $1"
					" AND (state OPERATOR(pg_catalog.=) 'finalized'"
					" OR (state OPERATOR(pg_catalog.=) 'held'"
					" AND expires_at OPERATOR(pg_catalog.>) $2))"
					" LIMIT 1",
			.types = {INT4OID, TIMESTAMPTZOID},
		},
	[RSV_PLAN_TICKETS_LAST] =
		{
			.text = "SELECT pg_catalog.max(number) FROM reservation.ticket"
					" WHERE pool_id OPERATOR(pg_catalog.=) $1",
			.types = {INT4OID},
		},
	[RSV_PLAN_TICKETS_DROP] =
		{
			.text = "WITH counted AS ("
					" DELETE FROM reservation.line_block WHERE pool_id OPERATOR(pg_catalog.=) $1)"
					", gone AS (UPDATE reservation.ticket SET state = 'left', settled_at = $2"
					" WHERE pool_id OPERATOR(pg_catalog.=) $1"
					" AND state OPERATOR(pg_catalog.=) 'waiting'"
					" RETURNING ticket_id, holder, quantity)"
					" INSERT INTO reservation.log"
					" (at, position, step, pool_id, quantity, kind, event, actor, details)"
					" SELECT $2, $5, ($6 OPERATOR(pg_catalog.+) pg_catalog.row_number() OVER ()"
					" OPERATOR(pg_catalog.-) 1)::pg_catalog.int4,"
					" $1, quantity, 'ticket', 'left', $3, pg_catalog.jsonb_build_object("
					"'ticket_id', ticket_id, 'holder', holder, 'claim_ids', '[]'::pg_catalog.jsonb)"
					" FROM gone",
			.types = {INT4OID, TIMESTAMPTZOID, TEXTOID, BOOLOID, INT8OID, INT4OID},
		},
	[RSV_PLAN_STOCK_INSERT] =
		{
			/* two slots, so that a second buyer has somewhere to go; one if there is less */
			.text = "INSERT INTO reservation.stock (pool_id, slot, quantity)"
					" SELECT $1, slot, CASE WHEN slot OPERATOR(pg_catalog.=) 0"
					" THEN $2 OPERATOR(pg_catalog.-) half ELSE half END"
					" FROM (SELECT $2 OPERATOR(pg_catalog./) 2::pg_catalog.int8 AS half) AS h,"
					" pg_catalog.generate_series("
					"0, CASE WHEN half OPERATOR(pg_catalog.>) 0::pg_catalog.int8 THEN 1 ELSE 0 END)"
					" AS slot",
			.types = {INT4OID, INT8OID},
		},
	[RSV_PLAN_CART_ADD] =
		{
			.text = "INSERT INTO reservation.cart_line AS c (cart, pool, options, quantity)"
					" VALUES ($1, $2, $3, $4)"
					" ON CONFLICT (cart, pool, options) DO UPDATE"
					" SET quantity = c.quantity OPERATOR(pg_catalog.+) excluded.quantity"
					" WHERE c.quantity OPERATOR(pg_catalog.<=)"
					" (9223372036854775807 OPERATOR(pg_catalog.-) excluded.quantity)"
					" RETURNING c.quantity",
			.types = {TEXTOID, TEXTOID, JSONBOID, INT8OID},
		},
	[RSV_PLAN_CART_SET] =
		{
			.text = "INSERT INTO reservation.cart_line (cart, pool, options, quantity)"
					" VALUES ($1, $2, $3, $4)"
					" ON CONFLICT (cart, pool, options) DO UPDATE SET quantity = excluded.quantity",
			.types = {TEXTOID, TEXTOID, JSONBOID, INT8OID},
		},
	[RSV_PLAN_CART_REMOVE] =
		{
			.text = "DELETE FROM reservation.cart_line"
					" WHERE cart OPERATOR(pg_catalog.=) $1 AND pool OPERATOR(pg_catalog.=) $2"
					" AND options OPERATOR(pg_catalog.=) $3",
			.types = {TEXTOID, TEXTOID, JSONBOID, INT8OID},
		},
	[RSV_PLAN_CART_LINES] =
		{
			.text = "SELECT pool, options, quantity FROM reservation.cart_line"
					" WHERE cart OPERATOR(pg_catalog.=) $1 ORDER BY pool, options",
			.types = {TEXTOID},
			.read_only = true,
			.as_caller = true,
		},
	[RSV_PLAN_CART_READ] =
		{
			.text = "SELECT pg_catalog.jsonb_agg(pg_catalog.jsonb_build_object("
					"'pool', pool, 'options', options, 'quantity', quantity)"
					" ORDER BY pool, options)"
					" FROM reservation.cart_line WHERE cart OPERATOR(pg_catalog.=) $1",
			.types = {TEXTOID},
			.read_only = true,
		},
	[RSV_PLAN_CART_SOLD] =
		{
			.text = "WITH sold AS ("
					" SELECT pool, options, quantity AS sold"
					" FROM pg_catalog.jsonb_to_recordset($2) AS s (pool pg_catalog.text,"
					" options pg_catalog.jsonb, quantity pg_catalog.int8)),"
					" emptied AS ("
					" DELETE FROM reservation.cart_line c USING sold s"
					" WHERE c.cart OPERATOR(pg_catalog.=) $1"
					" AND c.pool OPERATOR(pg_catalog.=) s.pool"
					" AND c.options OPERATOR(pg_catalog.=) s.options"
					" AND c.quantity OPERATOR(pg_catalog.<=) s.sold)"
					" UPDATE reservation.cart_line c"
					" SET quantity = c.quantity OPERATOR(pg_catalog.-) s.sold FROM sold s"
					" WHERE c.cart OPERATOR(pg_catalog.=) $1"
					" AND c.pool OPERATOR(pg_catalog.=) s.pool"
					" AND c.options OPERATOR(pg_catalog.=) s.options"
					" AND c.quantity OPERATOR(pg_catalog.>) s.sold",
			.types = {TEXTOID, JSONBOID},
		},
	[RSV_PLAN_CART_MERGE] =
		{
			.text = "WITH moved AS ("
					" DELETE FROM reservation.cart_line WHERE cart OPERATOR(pg_catalog.=) $1"
					" RETURNING pool, options, quantity),"
					" merged AS ("
					" INSERT INTO reservation.cart_line AS c (cart, pool, options, quantity)"
					" SELECT $2, pool, options, quantity FROM moved"
					" ON CONFLICT (cart, pool, options) DO UPDATE SET quantity = CASE"
					" WHEN $3 OPERATOR(pg_catalog.=) 'sum'"
					" THEN c.quantity OPERATOR(pg_catalog.+) excluded.quantity"
					" WHEN $3 OPERATOR(pg_catalog.=) 'max'"
					" THEN GREATEST(c.quantity, excluded.quantity)"
					" WHEN $3 OPERATOR(pg_catalog.=) 'source' THEN excluded.quantity"
					" ELSE c.quantity END"
					" WHERE $3 OPERATOR(pg_catalog.<>) 'sum' OR c.quantity"
					" OPERATOR(pg_catalog.<=) (9223372036854775807"
					" OPERATOR(pg_catalog.-) excluded.quantity)"
					" RETURNING 1)"
					" SELECT (SELECT pg_catalog.count(*) FROM moved),"
					" (SELECT pg_catalog.count(*) FROM merged)",
			.types = {TEXTOID, TEXTOID, TEXTOID},
		},
	[RSV_PLAN_CART_MERGED] =
		{
			.text = "INSERT INTO reservation.cart_merge (source, target, lines, merged_at)"
					" VALUES ($1, $2, $3, pg_catalog.clock_timestamp())"
					" ON CONFLICT (source, target) DO UPDATE"
					" SET lines = excluded.lines, merged_at = excluded.merged_at",
			.types = {TEXTOID, TEXTOID, INT8OID},
		},
	[RSV_PLAN_CART_MERGED_BEFORE] =
		{
			.text = "SELECT lines FROM reservation.cart_merge"
					" WHERE source OPERATOR(pg_catalog.=) $1 AND target OPERATOR(pg_catalog.=) $2",
			.types = {TEXTOID, TEXTOID},
			.read_only = true,
		},
	[RSV_PLAN_CHECKOUT_CART] =
		{
			.text = "UPDATE reservation.checkout SET cart = $2"
					" WHERE cart OPERATOR(pg_catalog.=) $1"
					" AND (state OPERATOR(pg_catalog.=) 'open'"
					" OR state OPERATOR(pg_catalog.=) 'paid')",
			.types = {TEXTOID, TEXTOID},
		},
	[RSV_PLAN_PROVIDER_SET] =
		{
			.text = "INSERT INTO reservation.payment_provider (provider, scheme, secret)"
					" VALUES ($1, $2, $3)"
					" ON CONFLICT (provider) DO UPDATE"
					" SET scheme = excluded.scheme, secret = excluded.secret",
			.types = {TEXTOID, TEXTOID, TEXTOID},
		},
	[RSV_PLAN_REQUESTS_FORGET] =
		{
			.text = "DELETE FROM reservation.request"
					" WHERE ctid OPERATOR(pg_catalog.>=) $1 AND ctid OPERATOR(pg_catalog.<) $2"
					" AND created_at OPERATOR(pg_catalog.<) $3",
			.types = {TIDOID, TIDOID, TIMESTAMPTZOID},
		},
	[RSV_PLAN_OPERATIONS_FORGET] =
		{
			.text = "DELETE FROM reservation.operation"
					" WHERE ctid OPERATOR(pg_catalog.>=) $1 AND ctid OPERATOR(pg_catalog.<) $2"
					" AND created_at OPERATOR(pg_catalog.<) $3",
			.types = {TIDOID, TIDOID, TIMESTAMPTZOID},
		},
	[RSV_PLAN_ACCOUNT_ENTRIES] =
		{
			.text = "SELECT at, event, claim_id, amount,"
					" pg_catalog.sum(amount) OVER (ORDER BY at USING OPERATOR(pg_catalog.<),"
					" place USING OPERATOR(pg_catalog.<), position USING OPERATOR(pg_catalog.<),"
					" step USING OPERATOR(pg_catalog.<), claim_id USING OPERATOR(pg_catalog.<)"
					" ROWS UNBOUNDED PRECEDING)::pg_catalog.int8 AS balance,"
					" holder, actor, reason, request_id"
					" FROM reservation.entries WHERE pool_id OPERATOR(pg_catalog.=) $1"
					" ORDER BY at USING OPERATOR(pg_catalog.<),"
					" place USING OPERATOR(pg_catalog.<), position USING OPERATOR(pg_catalog.<),"
					" step USING OPERATOR(pg_catalog.<), claim_id USING OPERATOR(pg_catalog.<)",
			.types = {INT4OID},
			.read_only = true,
			.as_caller = true,
		},
};

void
rsv_plan_begin(RsvPlanSession *session)
{
	GetUserIdAndSecContext(&session->caller, &session->security_context);
	SetUserIdAndSecContext(rsv_layout_owner(),
						   session->security_context | SECURITY_LOCAL_USERID_CHANGE |
							   SECURITY_NOFORCE_RLS);
	SPI_connect();
}

/* Runs a plan and returns the number of rows it read or wrote. */
uint64
rsv_plan_run(RsvPlan plan, Datum *values, const char *nulls)
{
	RsvPlanInfo *info =
		plan < RSV_PLAN_BOOKS ? &plans[plan] : &rsv_book_plans[plan - RSV_PLAN_BOOKS];
	int result;

	if (info->plan == NULL)
	{
		SPIPlanPtr prepared;
		int nargs = 0;

		while (OidIsValid(info->types[nargs]))
			nargs++;
		prepared = SPI_prepare(info->text, nargs, info->types);
		if (prepared == NULL)
			elog(ERROR, "could not prepare plan %d: %s", plan, SPI_result_code_string(SPI_result));
		SPI_keepplan(prepared);
		info->plan = prepared;
	}

	if (info->as_caller)
		result = SPI_execute_plan(info->plan, values, nulls, info->read_only, 0);
	else
	{
		Snapshot now = rsv_store_now();

		result = SPI_execute_snapshot(info->plan, values, nulls, now, InvalidSnapshot,
									  info->read_only, true, 0);
		rsv_store_forget(now);
	}
	if (result < 0)
		elog(ERROR, "plan %d failed: %s", plan, SPI_result_code_string(result));
	return SPI_processed;
}

/* Runs a utility command that only the caller can put together, such as GRANT. */
void
rsv_plan_command(const char *command)
{
	int result = SPI_execute(command, false, 0);

	if (result != SPI_OK_UTILITY)
		elog(ERROR, "command \"%s\" failed: %s", command, SPI_result_code_string(result));
}

/* A column, from 1, of the first row that the last plan returned. */
Datum
rsv_plan_value(int column, bool *isnull)
{
	Assert(SPI_processed >= 1);
	return SPI_getbinval(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, column, isnull);
}

void
rsv_plan_end(RsvPlanSession *session)
{
	SPI_finish();
	SetUserIdAndSecContext(session->caller, session->security_context);
}
