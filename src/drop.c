/*
 * drop.c
 *	  Dropping a pool, beside a running sale.
 *
 * Invariant: a pool that is dropped has no free unit, no stock and no hold; its
 * claims and tickets stay as history, and nobody waits for it.
 *
 * Claims read the pool's row without locking it, so marking it as dropped keeps
 * nobody out. What does is taking every free unit and settling every hold: the
 * only locks that a claim respects.
 *
 * A refund respects neither, because it begins with what is sold. So if something
 * is, we change the pool's row first, then wait for the transactions that have locked
 * the table of claims for writing, then take the rest; a refund writes its claim,
 * then looks whether somebody is dropping the pool, waits for that, and frees nothing
 * if it was dropped. One of the two sees the other. If both do, because the refund
 * had begun to write when we changed the row, that is a deadlock, and one is undone.
 *
 * Locks: the pool's row, by force rsv_limit_lock_claims, every free unit or slot, every
 * hold of the pool.
 */
#include "postgres.h"

#include "access/xact.h"
#include "miscadmin.h"
#include "utils/builtins.h"

#include "reservation.h"

typedef struct Drop
{
	const RsvPool *pool;
	bool force;
	TimestampTz now;
	Datum actor;
} Drop;

static bool drop(const RsvPool *pool, bool force, TimestampTz now);
static bool drop_attempt(void *argument);
static void empty(Datum *values);
static void settle(RsvPlan plan, Datum *values);

/*
 * drop_pool(pool text, force boolean) -> (status, pool)
 *
 * Refused while anybody has a live claim, unless forced: then holds are
 * released. Claims stay as history, and the name is free again.
 */
PG_FUNCTION_INFO_V1(rsv_drop_pool);
Datum
rsv_drop_pool(PG_FUNCTION_ARGS)
{
	TimestampTz now = GetCurrentTimestamp();
	RsvPool pool;
	RsvAnswer answer;
	bool dropped;

	rsv_answer_begin(&answer, fcinfo);
	rsv_pool_find(rsv_argument_name(fcinfo, 0, "pool"), &pool);
	rsv_argument_required(fcinfo, 1, "force");
	rsv_require_writable("drop_pool");
	dropped = drop(&pool, PG_GETARG_BOOL(1), now);
	if (dropped)
		rsv_chronicle_pool(&pool, "dropped", 0, now);
	rsv_answer_row(
		&answer,
		(Datum[]) {CStringGetTextDatum(dropped ? "dropped" : "in_use"), PointerGetDatum(pool.name)},
		(bool[]) {false, false});
	return (Datum) 0;
}

/* Drops the pool, or changes nothing and returns false if it is in use. */
static bool
drop(const RsvPool *pool, bool force, TimestampTz now)
{
	RsvPlanSession session;
	Drop work = {.pool = pool, .force = force, .now = now};
	bool dropped;

	work.actor = CStringGetTextDatum(GetUserNameFromId(GetUserId(), false));
	rsv_plan_begin(&session);
	dropped = rsv_attempt(drop_attempt, &work);
	rsv_plan_end(&session);
	return dropped;
}

/* Waits for refunds while it has nothing in hand that those might wait for who write claims. */
static bool
drop_attempt(void *argument)
{
	const Drop *work = argument;
	Datum values[6] = {
		Int32GetDatum(work->pool->pool_id),
		TimestampTzGetDatum(work->now),
		work->actor,
		BoolGetDatum(work->force),
	};

	if (rsv_plan_run(RSV_PLAN_POOL_DROP, values, NULL) != 1)
		rsv_pool_refuse_unknown(work->pool->name);
	if (work->force && rsv_plan_run(RSV_PLAN_CLAIMS_LIVE, values, NULL) > 0)
	{
		rsv_limit_lock_claims();
		rsv_layout_wait(RSV_CLAIM);
	}
	rsv_sequence_drop(work->pool);
	do
	{
		empty(values);
		if (!work->force && rsv_plan_run(RSV_PLAN_CLAIMS_LIVE, values, NULL) > 0)
			return false;
		/* the last hold may have been given back between the two looks */
	} while (rsv_plan_run(RSV_PLAN_POOL_REST, values, NULL) > 0);
	return true;
}

/*
 * Taking every free unit and settling every hold waits for the calls under way,
 * whose outcome may be more of both; when nothing is left to take, there is
 * nothing to claim for those that come, and the answer is certain.
 */
static void
empty(Datum *values)
{
	do
	{
		CHECK_FOR_INTERRUPTS();
		settle(RSV_PLAN_CLAIMS_SETTLE, values);
		rsv_plan_run(RSV_PLAN_UNITS_DELETE, values, NULL);
		settle(RSV_PLAN_TICKETS_DROP, values);
	} while (rsv_plan_run(RSV_PLAN_POOL_REST, values, NULL) > 0);
}

/* Settles the holds or tickets there are, each with an event of its own. */
static void
settle(RsvPlan plan, Datum *values)
{
	RsvStamp first;

	rsv_event_stamp(&first);
	values[4] = Int64GetDatum(first.position);
	values[5] = Int32GetDatum(first.step);
	rsv_event_pass(rsv_plan_run(plan, values, NULL));
}
