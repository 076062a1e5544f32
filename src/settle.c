/*
 * settle.c
 *	  What becomes of a claim: extend, release, finalize, lapse; for refund.c,
 *	  how it is written.
 *
 * Each is a loop: read the newest version of the claim, decide, compare and
 * set. The set waits for an unfinished transaction that is changing the same
 * claim; if that one commits, the loop reads again. So of any number of callers
 * exactly one makes the change, and the others see it made.
 *
 * A hold is judged by the time of the call, not by whether a sweep has run.
 *
 * Locks: the claim's row; before it, for a refund with a request id, the lock of
 * that id, and for extend and finalize in a pool with per_holder, the lock of
 * the holder.
 */
#include "postgres.h"

#include "access/transam.h"
#include "access/xact.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/memutils.h"
#include "utils/uuid.h"

#include "reservation.h"

static TimestampTz begin(const pg_uuid_t *claim_id, RsvClaim *claim, RsvPool *pool);
static bool is_live_hold(const RsvClaim *claim, TimestampTz now);
static RsvState state_at(const RsvClaim *claim, TimestampTz now);
static const char *finalize(const pg_uuid_t *claim_id, int64 quantity, RsvClaim *claim,
							RsvPool *pool, bool *replayed);
static bool may_be_late(RsvClaim *claim, int64 wanted, RsvPool *pool, TimestampTz *now,
						bool *taken_again);
pg_noreturn static void refuse_undecided(const RsvClaim *claim);
static void answer_finalize(const char *status, const RsvClaim *claim, const RsvPool *pool,
							bool replayed, RsvAnswer *answer);
static int32 sweep_pool(int32 pool_id, int32 max, TimestampTz now, Snapshot as_of);

/*
 * extend(claim_id uuid, ttl interval) -> (status, claim_id, expires_at)
 *
 * Moves the end of a live hold to ttl from now, never to an earlier time.
 */
PG_FUNCTION_INFO_V1(rsv_extend);
Datum
rsv_extend(PG_FUNCTION_ARGS)
{
	static const char *const statuses[] = {"held", "finalized", "released", "lapsed", "finalized"};
	pg_uuid_t *claim_id;
	Interval *ttl;
	TimestampTz now;
	TimestampTz end;
	RsvAnswer answer;
	RsvClaim claim;
	RsvPool pool;

	rsv_answer_begin(&answer, fcinfo);
	claim_id = rsv_argument_claim_id(fcinfo, 0);
	rsv_argument_required(fcinfo, 1, "ttl");
	ttl = rsv_argument_ttl(fcinfo, 1, "ttl");
	rsv_require_writable("extend");
	now = begin(claim_id, &claim, &pool);
	end = rsv_hold_end(now, ttl);
	while (is_live_hold(&claim, now) && claim.expires_at < end)
	{
		claim.expires_at = end;
		if (rsv_settle_change(
				&claim, RSV_HELD,
				&(RsvEntry) {.at = now, .event = "extended", .quantity = claim.quantity}))
			break;
		rsv_settle_read(claim_id, &claim);
	}
	rsv_answer_row(&answer,
				   (Datum[]) {CStringGetTextDatum(statuses[state_at(&claim, now)]),
							  UUIDPGetDatum(claim_id), TimestampTzGetDatum(claim.expires_at)},
				   (bool[]) {false, false, false});
	return (Datum) 0;
}

/* release(claim_id uuid) -> (status, claim_id, replayed) */
PG_FUNCTION_INFO_V1(rsv_release);
Datum
rsv_release(PG_FUNCTION_ARGS)
{
	static const char *const statuses[] = {"held", "finalized", "released", "lapsed", "finalized"};
	TimestampTz now = GetCurrentTimestamp();
	pg_uuid_t *claim_id;
	RsvAnswer answer;
	RsvClaim claim;
	bool released;

	rsv_answer_begin(&answer, fcinfo);
	claim_id = rsv_argument_claim_id(fcinfo, 0);
	rsv_require_writable("release");
	rsv_settle_release(claim_id, now, &claim, &released);
	rsv_answer_row(&answer,
				   (Datum[]) {CStringGetTextDatum(statuses[state_at(&claim, now)]),
							  UUIDPGetDatum(claim_id),
							  BoolGetDatum(!released && claim.state == RSV_RELEASED)},
				   (bool[]) {false, false, false});
	return (Datum) 0;
}

/*
 * finalize(claim_id uuid, quantity bigint)
 *		-> (status, claim_id, pool, number, quantity, holder, finalized_at, late, replayed)
 *
 * quantity NULL: all that is held. The commit is flushed to disk even if the
 * session turned synchronous_commit off.
 */
PG_FUNCTION_INFO_V1(rsv_finalize);
Datum
rsv_finalize(PG_FUNCTION_ARGS)
{
	pg_uuid_t *claim_id;
	int64 quantity;
	RsvAnswer answer;
	RsvClaim claim;
	RsvPool pool;
	const char *status;
	bool replayed;

	rsv_answer_begin(&answer, fcinfo);
	claim_id = rsv_argument_claim_id(fcinfo, 0);
	quantity = PG_ARGISNULL(1) ? 0 : rsv_argument_int64(fcinfo, 1, "quantity", 1, PG_INT64_MAX);
	rsv_require_writable("finalize");
	status = finalize(claim_id, quantity, &claim, &pool, &replayed);
	answer_finalize(status, &claim, &pool, replayed, &answer);
	return (Datum) 0;
}

/*
 * sweep(max integer) -> (status, lapsed)
 *
 * Gives back up to max units whose hold is over, of all pools, and offers what is
 * free to those who wait. Nothing depends on it: a lapsed unit is free for anyone
 * at once, and any call serves the line of its pool. It keeps the books short.
 */
PG_FUNCTION_INFO_V1(rsv_sweep);
Datum
rsv_sweep(PG_FUNCTION_ARGS)
{
	int32 pool_id = 0;
	int32 max;
	int32 lapsed;
	RsvAnswer answer;

	rsv_answer_begin(&answer, fcinfo);
	max = rsv_argument_int32(fcinfo, 0, "max", 1, RSV_SWEEP_BATCH_MAX);
	rsv_require_writable("sweep");
	lapsed = rsv_sweep_holds(&pool_id, PG_INT32_MAX, max);
	pool_id = 0;
	rsv_sweep_slots(&pool_id, max, ReadNextTransactionId());
	pool_id = 0;
	rsv_line_sweep(&pool_id, max);
	rsv_answer_row(&answer, (Datum[]) {CStringGetTextDatum("swept"), Int32GetDatum(lapsed)},
				   (bool[]) {false, false});
	return (Datum) 0;
}

/*
 * Reads the claim and its pool, under the holder's lock if the pool has a limit:
 * no claim of the same holder may take the hold for lapsed while we keep it
 * alive. Returns the time by which the call judges.
 */
static TimestampTz
begin(const pg_uuid_t *claim_id, RsvClaim *claim, RsvPool *pool)
{
	rsv_settle_read(claim_id, claim);
	rsv_pool_read(claim->pool_id, pool);
	if (pool->per_holder > 0)
	{
		(void) rsv_limit_lock(pool, claim->holder, DT_NOEND);
		rsv_settle_read(claim_id, claim);
	}
	return GetCurrentTimestamp();
}

static bool
is_live_hold(const RsvClaim *claim, TimestampTz now)
{
	return claim->state == RSV_HELD && claim->expires_at > now;
}

/* The state of a claim at a time: a hold lapses though nobody writes it down. */
static RsvState
state_at(const RsvClaim *claim, TimestampTz now)
{
	return claim->state == RSV_HELD && claim->expires_at <= now ? RSV_LAPSED : claim->state;
}

/* Reads the claim as it is now; RS002 if there is none. */
void
rsv_settle_read(const pg_uuid_t *claim_id, RsvClaim *claim)
{
	bool found;

	do
	{
		Snapshot as_of = rsv_store_now();

		CHECK_FOR_INTERRUPTS();
		found = rsv_claim_read(claim_id, as_of, claim);
		rsv_store_forget(as_of);
	} while (!found && rsv_archive_recall(claim_id));
	if (!found)
		ereport(ERROR,
				(errcode(ERRCODE_RSV_UNKNOWN_CLAIM),
				 errmsg("claim %s does not exist",
						DatumGetCString(DirectFunctionCall1(uuid_out, UUIDPGetDatum(claim_id)))),
				 errhint("Pass a claim_id from a claim whose transaction committed.")));
}

/*
 * Makes the change, the log entry, and what comes back free, unless the pool is
 * gone; false: read again. The caller leaves out of the entry what the claim says.
 */
bool
rsv_settle_change(RsvClaim *claim, RsvState state, const RsvEntry *entry)
{
	RsvEntry complete = *entry;
	TransactionId holder;
	RsvPool pool;

	if (rsv_claim_change(claim, state, true, &holder) != RSV_WRITTEN)
		return false;
	complete.pool_id = claim->pool_id;
	complete.claim_id = &claim->claim_id;
	complete.counted = !claim->numbered;
	rsv_log(&complete);
	if (entry->change > 0)
	{
		rsv_pool_read(claim->pool_id, &pool);
		if (!pool.dropped)
		{
			rsv_claim_free(claim, entry->change);
			rsv_line_freed(&pool);
		}
	}
	return true;
}

/* Gives a live hold back; *released if it was this call that did. */
void
rsv_settle_release(const pg_uuid_t *claim_id, TimestampTz now, RsvClaim *claim, bool *released)
{
	*released = false;
	rsv_settle_read(claim_id, claim);
	while (is_live_hold(claim, now) && !*released)
	{
		*released = rsv_settle_change(claim, RSV_RELEASED,
									  &(RsvEntry) {.at = now,
												   .event = "released",
												   .quantity = claim->quantity,
												   .change = claim->quantity});
		if (!*released)
			rsv_settle_read(claim_id, claim);
	}
}

/* Finalizes all of a claim, and returns the status. */
const char *
rsv_settle_finalize(const pg_uuid_t *claim_id, RsvClaim *claim)
{
	RsvPool pool;
	bool replayed;

	return finalize(claim_id, 0, claim, &pool, &replayed);
}

/* Finalizes, and returns the status. quantity 0: all that is held. */
static const char *
finalize(const pg_uuid_t *claim_id, int64 quantity, RsvClaim *claim, RsvPool *pool, bool *replayed)
{
	TimestampTz now = begin(claim_id, claim, pool);

	for (;; rsv_settle_read(claim_id, claim))
	{
		RsvState state = claim->state;
		int64 wanted = quantity == 0 ? claim->quantity : quantity;
		bool taken_again = false;
		RsvEntry entry = {.event = "finalized", .quantity = wanted};

		/* a hold that was alive when the call began may have lapsed while it waited */
		if (state == RSV_LAPSED)
			now = GetCurrentTimestamp();
		*replayed = state == RSV_FINALIZED || state == RSV_REFUNDED;
		if (*replayed)
			return "finalized";
		if (state == RSV_RELEASED)
			return "released";
		if (quantity > claim->quantity)
			ereport(ERROR,
					(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
					 errmsg("cannot finalize " INT64_FORMAT " of a claim of " INT64_FORMAT,
							quantity, claim->quantity),
					 errhint("Pass at most what is held, or NULL for all of it.")));

		if (!is_live_hold(claim, now) && !may_be_late(claim, wanted, pool, &now, &taken_again))
		{
			/* perhaps because another call has finalized it meanwhile */
			rsv_settle_read(claim_id, claim);
			if (claim->state == state)
				return "lapsed";
			continue;
		}
		claim->finalized_at = entry.at = now;
		entry.change = taken_again ? -wanted : claim->quantity - wanted;
		if (wanted < claim->quantity)
			claim->taken = claim->quantity;
		claim->quantity = wanted;
		if (rsv_settle_change(claim, RSV_FINALIZED, &entry))
		{
			ForceSyncCommit();
			return "finalized";
		}
		if (taken_again)
		{
			claim->state = RSV_LAPSED;
			rsv_claim_free(claim, wanted);
		}
	}
}

/*
 * May this hold be finalized after its time? It must pass what a new claim
 * would, and if its unit was given back, get it again (taken_again).
 */
static bool
may_be_late(RsvClaim *claim, int64 wanted, RsvPool *pool, TimestampTz *now, bool *taken_again)
{
	TimestampTz deadline = rsv_wait_deadline(NULL, *now);
	int64 available;
	List *holds;
	RsvSupply supply;

	if (pool->dropped)
		return false;
	if (pool->per_holder > 0 &&
		rsv_limit_holdings(pool, claim->holder, *now, &holds) > pool->per_holder - wanted)
		return false;
	if (claim->state == RSV_HELD)
		return !rsv_pass_barred(pool, *now);

	supply = claim->numbered
		? rsv_pass_take_unit(pool, claim->number, now, deadline)
		: rsv_pass_draw(pool, wanted, RSV_DRAW_CLAIM, now, deadline, &available);
	if (supply == RSV_UNDECIDED)
		refuse_undecided(claim);
	*taken_again = supply == RSV_TAKEN;
	claim->by_holder = claim->by_holder || pool->counts;
	return *taken_again;
}

static void
refuse_undecided(const RsvClaim *claim)
{
	ereport(
		ERROR,
		(errcode(ERRCODE_LOCK_NOT_AVAILABLE),
		 errmsg("could not decide whether claim %s can be finalized after it lapsed",
				DatumGetCString(DirectFunctionCall1(uuid_out, UUIDPGetDatum(&claim->claim_id)))),
		 errdetail("An unfinished transaction holds its unit."),
		 errhint("Try again when that transaction has ended.")));
}

static void
answer_finalize(const char *status, const RsvClaim *claim, const RsvPool *pool, bool replayed,
				RsvAnswer *answer)
{
	bool finalized = claim->state == RSV_FINALIZED || claim->state == RSV_REFUNDED;

	rsv_answer_row(
		answer,
		(Datum[]) {CStringGetTextDatum(status), UUIDPGetDatum(&claim->claim_id),
				   PointerGetDatum(pool->name), Int32GetDatum(claim->number),
				   Int64GetDatum(claim->quantity), PointerGetDatum(claim->holder),
				   TimestampTzGetDatum(claim->finalized_at),
				   BoolGetDatum(finalized && claim->expires_at <= claim->finalized_at),
				   BoolGetDatum(replayed)},
		(bool[]) {false, false, false, !claim->numbered, false, false, !finalized, false, false});
}

/*
 * Gives back up to max lapsed units, looking at up to so many pools, those above
 * *pool_id. Moves it to where the next call goes on, RSV_SWEPT if there is nothing more.
 */
int32
rsv_sweep_holds(int32 *pool_id, int32 pools, int32 max)
{
	TimestampTz now = GetCurrentTimestamp();
	Snapshot as_of = rsv_store_now();
	int32 lapsed = 0;
	bool found = true;

	for (int32 i = 0; found && i < pools && lapsed < max; i++)
	{
		RsvKey key = {BTGreaterStrategyNumber, F_INT4GT, Int32GetDatum(*pool_id)};
		RsvScan scan;
		RsvClaim first;

		/* the earliest hold of the next pool that has any */
		rsv_scan_begin(&scan, RSV_CLAIM_EXPIRY, as_of, &key, 1);
		found = rsv_scan_next(&scan);
		if (found)
			rsv_claim_from_scan(&scan, &first);
		rsv_scan_end(&scan);
		*pool_id = found ? first.pool_id : RSV_SWEPT;
		if (found && first.expires_at <= now && rsv_pool_is_whole(*pool_id, as_of))
			lapsed += sweep_pool(*pool_id, max - lapsed, now, as_of);
	}
	rsv_store_forget(as_of);
	/* this pool may have more */
	if (found && lapsed == max)
		(*pool_id)--;
	return lapsed;
}

/* Gives back up to max lapsed units of one pool. Passes over what is locked. */
static int32
sweep_pool(int32 pool_id, int32 max, TimestampTz now, Snapshot as_of)
{
	RsvKey keys[] = {
		{BTEqualStrategyNumber, F_INT4EQ, Int32GetDatum(pool_id)},
		{BTLessEqualStrategyNumber, F_TIMESTAMPTZ_LE, TimestampTzGetDatum(now)},
	};
	MemoryContext row =
		AllocSetContextCreate(CurrentMemoryContext, "reservation sweep row", ALLOCSET_SMALL_SIZES);
	int32 lapsed = 0;
	RsvScan scan;

	rsv_scan_begin(&scan, RSV_CLAIM_EXPIRY, as_of, keys, lengthof(keys));
	while (lapsed < max && rsv_scan_next(&scan))
	{
		MemoryContext caller = MemoryContextSwitchTo(row);
		RsvClaim claim;
		TransactionId holder;

		CHECK_FOR_INTERRUPTS();
		rsv_claim_from_scan(&scan, &claim);
		if (rsv_claim_lapse(&claim, now, &holder) == RSV_WRITTEN)
		{
			rsv_claim_free(&claim, claim.quantity);
			lapsed++;
		}
		MemoryContextSwitchTo(caller);
		MemoryContextReset(row);
	}
	rsv_scan_end(&scan);
	MemoryContextDelete(row);
	if (lapsed > 0)
	{
		RsvPool pool;

		rsv_pool_read(pool_id, &pool);
		if (!pool.dropped)
			(void) rsv_line_look(&pool, now);
	}
	return lapsed;
}

/*
 * Puts the slots of up to so many counted pools together, those above *pool_id, if
 * they have been quiet since this transaction id was the next. Moves *pool_id as
 * rsv_sweep_holds does.
 */
void
rsv_sweep_slots(int32 *pool_id, int32 pools, TransactionId quiet_since)
{
	Snapshot as_of = rsv_store_now();
	bool found = true;

	for (int32 i = 0; found && i < pools; i++)
	{
		RsvKey key = {BTGreaterStrategyNumber, F_INT4GT, Int32GetDatum(*pool_id)};
		RsvScan scan;

		CHECK_FOR_INTERRUPTS();
		rsv_scan_begin(&scan, RSV_STOCK_SPLIT, as_of, &key, 1);
		found = rsv_scan_next(&scan);
		*pool_id = found ? DatumGetInt32(scan.slot->tts_values[0]) : RSV_SWEPT;
		rsv_scan_end(&scan);
		if (found)
			rsv_slot_merge(*pool_id, quiet_since);
	}
	rsv_store_forget(as_of);
}
