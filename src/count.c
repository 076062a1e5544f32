/*
 * count.c
 *	  How many units of a numbered pool are free, at one instant.
 *
 * Free is what has a row in reservation.available, and what is held by a claim
 * whose time is over. A walk (supply.c) is no instant; this is what a refusal
 * rests on, and what it tells.
 *
 * Locks: none.
 */
#include "postgres.h"

#include "utils/fmgroids.h"

#include "reservation.h"

/*
 * How many units are free now, lapsed holds included; of a large pool, how many
 * were a moment ago.
 */
int64
rsv_count_free(const RsvPool *pool, TimestampTz now)
{
	int64 count;

	if (rsv_hint_count(pool->pool_id, now, &count))
		return count;
	count = rsv_count_to(pool, now, PG_INT64_MAX);
	rsv_hint_counted(pool->pool_id, now, count);
	return count;
}

/* The same, exactly, but counts no further than enough. */
int64
rsv_count_to(const RsvPool *pool, TimestampTz now, int64 enough)
{
	Snapshot as_of = rsv_store_now();
	int64 count = rsv_count_at(pool, now, as_of, enough);

	rsv_store_forget(as_of);
	return count;
}

/* Counts what was free at an instant, lapsed holds included, up to enough. */
int64
rsv_count_at(const RsvPool *pool, TimestampTz now, Snapshot as_of, int64 enough)
{
	RsvKey keys[] = {
		{BTEqualStrategyNumber, F_INT4EQ, Int32GetDatum(pool->pool_id)},
		{BTLessEqualStrategyNumber, F_TIMESTAMPTZ_LE, TimestampTzGetDatum(now)},
	};
	RsvScan scan;
	int64 count = 0;

	rsv_scan_begin(&scan, RSV_AVAILABLE_PKEY, as_of, keys, 1);
	while (count < enough && rsv_scan_next(&scan))
		count++;
	rsv_scan_end(&scan);
	rsv_scan_begin(&scan, RSV_CLAIM_EXPIRY, as_of, keys, 2);
	while (count < enough && rsv_scan_next(&scan))
		count++;
	rsv_scan_end(&scan);
	return count;
}
