/*
 * sweep.c
 *	  Putting in order what nobody has come for: holds whose time is over, slots that
 *	  have been quiet.
 *
 * Nothing depends on it: a lapsed unit is free for anyone at once, and any call
 * serves the line of its pool. It keeps the books short. The background worker does
 * the same, some pools at a time (worker.c).
 *
 * Locks: the rows that it writes, without waiting.
 */
#include "postgres.h"

#include "access/transam.h"
#include "access/xact.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/memutils.h"

#include "reservation.h"

static int32 sweep_pool(int32 pool_id, int32 max, TimestampTz now, Snapshot as_of);

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
