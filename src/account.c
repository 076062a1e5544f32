/*
 * account.c
 *	  The balance of counted pools: corrections, and the ledger of an account.
 *
 * The balance of a pool is what its slots have, plus its floor. adjust moves it,
 * and with it the pool's capacity, by a change that one slot remembers ("added")
 * and the log explains; so what was put into a pool needs no row that all have
 * to write.
 *
 * Invariant: adjust and add_units never take the balance above the ceiling, nor
 * anything beyond what a bigint holds; claims and adjust never take it below the
 * floor. What is given back is never refused, also above the ceiling.
 *
 * Locks: the request id by hash; to raise, the pool's row, so that two together
 * cannot pass the ceiling; then slots (slot.c).
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "access/xact.h"
#include "common/int.h"
#include "executor/spi.h"
#include "utils/builtins.h"

#include "reservation.h"

static const char *adjust(RsvPool *pool, int64 delta, const char *event, TimestampTz *now,
						  const text *request_id, const text *reason);
static int64 argument_delta(FunctionCallInfo fcinfo, int argument);
static bool has_room(const RsvPool *pool, int64 delta, TimestampTz now);
static void require_span(const RsvPool *pool, int64 total, int64 floor);
pg_noreturn static void refuse_span(const RsvPool *pool);
static const char *take_out(const RsvPool *pool, int64 quantity, RsvDraw draw, TimestampTz *now);

/*
 * adjust(pool text, delta bigint, request_id text, reason text)
 *		-> (status, pool, delta, balance, replayed)
 *
 * reason: for the log. The commit is flushed to disk even if the session turned
 * synchronous_commit off.
 */
PG_FUNCTION_INFO_V1(rsv_adjust);
Datum
rsv_adjust(PG_FUNCTION_ARGS)
{
	int64 delta;
	text *reason;
	const char *status;
	TimestampTz now;
	RsvAnswer answer;
	RsvPool pool;
	RsvRequest request;
	bool busy;

	rsv_answer_begin(&answer, fcinfo);
	rsv_pool_find(rsv_argument_name(fcinfo, 0, "pool"), &pool);
	delta = argument_delta(fcinfo, 1);
	reason = rsv_argument_optional_name(fcinfo, 3, "reason");
	rsv_request_begin(&request, pool.pool_id, "adjust",
					  rsv_argument_optional_name(fcinfo, 2, "request_id"));
	rsv_require_writable("adjust");
	rsv_pool_require_counted(&pool, "adjust");
	rsv_request_add_integer(&request, "delta", delta);
	if (reason != NULL)
		rsv_request_add_text(&request, "reason", reason);
	now = GetCurrentTimestamp();
	if (rsv_request_replay_until(&request, rsv_wait_deadline(NULL, now), &answer, &busy))
		return (Datum) 0;

	status = busy ? "busy" : adjust(&pool, delta, "adjusted", &now, request.request_id, reason);
	if (strcmp(status, "adjusted") == 0)
		rsv_request_keep(&request, &answer);
	rsv_answer_row(
		&answer,
		(Datum[]) {CStringGetTextDatum(status), PointerGetDatum(pool.name), Int64GetDatum(delta),
				   Int64GetDatum(rsv_sum_balance(&pool, now)), BoolGetDatum(false)},
		(bool[]) {false, false, false, false, false});
	rsv_request_save(&request, &answer, now);
	return (Datum) 0;
}

/*
 * account_entries(account text)
 *		-> (at, event, claim_id, amount, balance, holder, actor, reason, request_id)
 *
 * Every movement in order, with the balance after it. Reads with the snapshot of
 * its caller.
 */
PG_FUNCTION_INFO_V1(rsv_account_entries);
Datum
rsv_account_entries(PG_FUNCTION_ARGS)
{
	RsvAnswer answer;
	RsvPlanSession session;
	RsvPool pool;
	Datum pool_id;

	rsv_answer_begin(&answer, fcinfo);
	rsv_pool_find(rsv_argument_name(fcinfo, 0, "account"), &pool);
	rsv_pool_require_counted(&pool, "account_entries");
	pool_id = Int32GetDatum(pool.pool_id);
	rsv_plan_begin(&session);
	rsv_plan_run(RSV_PLAN_ACCOUNT_ENTRIES, &pool_id, NULL);
	for (uint64 i = 0; i < SPI_processed; i++)
	{
		Datum values[9];
		bool nulls[9];

		heap_deform_tuple(SPI_tuptable->vals[i], SPI_tuptable->tupdesc, values, nulls);
		rsv_answer_row(&answer, values, nulls);
	}
	rsv_plan_end(&session);
	return (Datum) 0;
}

/* add_units of a counted pool: returns the status */
const char *
rsv_account_grow(RsvPool *pool, int64 count)
{
	TimestampTz now;
	const char *status = adjust(pool, count, "added", &now, NULL, NULL);

	return strcmp(status, "adjusted") == 0 ? "added" : status;
}

/*
 * Moves the floor of a pool whose row the caller has locked: a higher floor takes
 * from what the slots can give, a lower one adds to it.
 */
void
rsv_account_move_floor(const RsvPool *pool, int64 floor)
{
	TimestampTz now = GetCurrentTimestamp();
	const char *status = "adjusted";
	int64 change;

	require_span(pool, pool->capacity + rsv_sum_added(pool), floor);
	/* never below: nothing was put in that is below the floor, and the span is checked */
	if (pg_sub_s64_overflow(floor, pool->floor, &change))
		status = "insufficient";
	else if (change > 0)
		status = take_out(pool, change, RSV_DRAW_CLAIM, &now);
	else if (change < 0)
		rsv_slot_give(pool->pool_id, -change, 0);

	if (strcmp(status, "busy") == 0)
		ereport(ERROR,
				(errcode(ERRCODE_LOCK_NOT_AVAILABLE),
				 errmsg("could not decide whether the balance of pool \"%s\" allows that floor",
						rsv_text_display(pool->name)),
				 errdetail("Unfinished transactions hold some of its stock."),
				 errhint("Try again when those transactions have ended.")));
	if (strcmp(status, "insufficient") == 0)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("floor must not be above the balance"),
				 errhint("The balance of the pool lies between floor and ceiling.")));
}

/* 22023 unless the balance of the pool, whose row the caller has locked, allows its ceiling. */
void
rsv_account_check_ceiling(const RsvPool *pool)
{
	if (pool->has_ceiling &&
		rsv_sum_available(pool, GetCurrentTimestamp()) + pool->floor > pool->ceiling)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("ceiling must not be below the balance"),
				 errhint("The balance of the pool lies between floor and ceiling.")));
}

/* By how much to move a balance: anything but nothing. */
static int64
argument_delta(FunctionCallInfo fcinfo, int argument)
{
	int64 delta = rsv_argument_int64(fcinfo, argument, "delta", -PG_INT64_MAX, PG_INT64_MAX);

	if (delta == 0)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE), errmsg("delta must not be zero"),
				 errhint("Pass what to add to the balance, or below zero what to take from it.")));
	return delta;
}

/* Moves the balance and writes it down; returns the status. */
static const char *
adjust(RsvPool *pool, int64 delta, const char *event, TimestampTz *now, const text *request_id,
	   const text *reason)
{
	const char *status = "adjusted";

	if (delta > 0)
		rsv_pool_lock(pool);
	*now = GetCurrentTimestamp();
	if (delta < 0)
		status = take_out(pool, -delta, RSV_DRAW_ADJUST, now);
	else if (has_room(pool, delta, *now))
		rsv_slot_spread(pool->pool_id, delta);
	else
		status = "over_ceiling";
	if (strcmp(status, "adjusted") != 0)
		return status;

	rsv_log(&(RsvEntry) {
		.at = *now,
		.pool_id = pool->pool_id,
		.quantity = delta,
		.change = delta,
		.counted = true,
		.event = event,
		.request_id = request_id,
		.reason = reason,
	});
	if (delta > 0)
		rsv_line_freed(pool);
	ForceSyncCommit();
	return status;
}

/* Is there room for this much more below the ceiling? */
static bool
has_room(const RsvPool *pool, int64 delta, TimestampTz now)
{
	int64 total = pool->capacity + rsv_sum_added(pool);
	int64 balance = rsv_sum_available(pool, now) + pool->floor;
	int64 room;

	if (pg_add_s64_overflow(total, delta, &total))
		refuse_span(pool);
	require_span(pool, total, pool->floor);
	/* room for more than a bigint counts is room for this */
	return !pool->has_ceiling || pg_sub_s64_overflow(pool->ceiling, balance, &room) ||
		delta <= room;
}

/*
 * Whatever comes back must find room in a slot: from the floor up to all that was
 * put in, a bigint must be wide enough.
 */
static void
require_span(const RsvPool *pool, int64 total, int64 floor)
{
	int64 span;

	if (pg_sub_s64_overflow(total, floor, &span))
		refuse_span(pool);
}

static void
refuse_span(const RsvPool *pool)
{
	ereport(ERROR,
			(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
			 errmsg("pool \"%s\" would hold more than a bigint can count",
					rsv_text_display(pool->name)),
			 errhint("From the floor to all that was put in are at most " INT64_FORMAT " units.",
					 PG_INT64_MAX)));
}

/* Takes from the pool, and returns the status. */
static const char *
take_out(const RsvPool *pool, int64 quantity, RsvDraw draw, TimestampTz *now)
{
	int64 available;

	switch (rsv_draw(pool, quantity, draw, now, rsv_wait_deadline(NULL, *now), &available))
	{
		case RSV_TAKEN:
			return "adjusted";
		case RSV_GONE:
			return "insufficient";
		default:
			return "busy";
	}
}
