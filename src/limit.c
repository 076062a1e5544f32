/*
 * limit.c
 *	  What one holder has of one pool, for pools with per_holder.
 *
 * Invariant: whatever can give the holder more, or keep a hold alive beyond its
 * time, has the lock of (pool, holder): a claim, an extend, a finalize. So while
 * we have it, the count as of now cannot grow behind our back. What can be under
 * way is the end of a claim, which counts until it is committed.
 *
 * Claims of pools without a limit are not in the index by holder. When a pool
 * gets its first limit, they are put there, and no claim is overlooked: whoever
 * sets the limit changes the pool's row first, then waits for the transactions
 * that have locked the table of claims for writing, then looks; whoever claims
 * locks the table first, then looks whether the pool's row is changing, and then
 * writes. One of the two sees the other.
 *
 * Locks: rsv_limit_lock, before the row of any claim; for a first limit, the pool's row,
 * then rsv_limit_lock_claims.
 */
#include "postgres.h"

#include "common/int.h"
#include "nodes/pg_list.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"

#include "reservation.h"

static int compare_places(const void *a, const void *b, void *holder);

/* Takes the lock, if the pool has a limit; false if it was not free in time. */
bool
rsv_limit_lock(const RsvPool *pool, const text *holder, TimestampTz deadline)
{
	if (pool->per_holder == 0)
		return true;
	return rsv_lock_until(RSV_LOCK_HOLDER, pool->pool_id, holder, deadline);
}

/*
 * Takes the locks of the holder in several pools, those that have a limit. Two
 * pools, or two holders, may fall on one place, so the order is that of the
 * places. Returns the pool whose lock was not free in time, NULL if none.
 */
const RsvPool *
rsv_limit_lock_all(const RsvPool **pools, int npools, const text *holder, TimestampTz deadline)
{
	if (npools > 1)
		qsort_arg(pools, npools, sizeof(RsvPool *), compare_places, unconstify(text *, holder));
	for (int i = 0; i < npools; i++)
	{
		if (!rsv_limit_lock(pools[i], holder, deadline))
			return pools[i];
	}
	return NULL;
}

static int
compare_places(const void *a, const void *b, void *holder)
{
	uint32 left = rsv_lock_place((*(RsvPool *const *) a)->pool_id, holder);
	uint32 right = rsv_lock_place((*(RsvPool *const *) b)->pool_id, holder);

	return (left > right) - (left < right);
}

/*
 * Counts the holder's live units and what the holder waits for, and lists the live
 * holds.
 */
int64
rsv_limit_holdings(const RsvPool *pool, const text *holder, TimestampTz now, List **holds)
{
	RsvKey keys[] = {
		{BTEqualStrategyNumber, F_TEXTEQ, PointerGetDatum(holder)},
		{BTEqualStrategyNumber, F_INT4EQ, Int32GetDatum(pool->pool_id)},
	};
	Snapshot as_of = rsv_store_now();
	int64 units = 0;
	RsvScan scan;

	*holds = NIL;
	rsv_scan_begin(&scan, RSV_CLAIM_HOLDER, as_of, keys, lengthof(keys));
	while (rsv_scan_next(&scan))
	{
		RsvClaim *claim = palloc(sizeof(RsvClaim));

		rsv_claim_from_scan(&scan, claim);
		if (claim->state == RSV_HELD && claim->expires_at <= now)
			continue;
		if (pg_add_s64_overflow(units, claim->quantity - claim->refunded, &units))
			units = PG_INT64_MAX;
		if (claim->state == RSV_HELD)
			*holds = lappend(*holds, claim);
	}
	rsv_scan_end(&scan);
	if (pg_add_s64_overflow(units, rsv_ticket_wanted(pool, holder, as_of), &units))
		units = PG_INT64_MAX;
	rsv_store_forget(as_of);
	return units;
}

/*
 * Whoever is going to wait for all that write claims, and to write some, comes here
 * before either: two of them would wait for each other.
 */
void
rsv_limit_lock_claims(void)
{
	rsv_lock(RSV_LOCK_CLAIMS, 0, cstring_to_text("claim"));
}

/* The pool's row has got its first limit: counts the claims there are. */
void
rsv_limit_begin(const RsvPool *pool)
{
	Datum pool_id = Int32GetDatum(pool->pool_id);
	RsvPlanSession session;

	rsv_limit_lock_claims();
	rsv_layout_wait(RSV_CLAIM);
	rsv_archive_recall_pool(pool->pool_id);
	rsv_plan_begin(&session);
	rsv_plan_run(RSV_PLAN_CLAIMS_LIMIT, &pool_id, NULL);
	rsv_plan_end(&session);
	rsv_hint_held(pool->pool_id, DT_NOBEGIN, false); /* new versions of holds */
}

/*
 * Before claims are written: is somebody changing the pool? Then it may be getting
 * its limit, and they count. False: its row is no longer as it was read.
 */
bool
rsv_limit_look(RsvPool *pool)
{
	bool stands;

	rsv_layout_lock(RSV_CLAIM);
	stands = !rsv_pool_is_changing(pool);
	pool->looked_again = true;
	pool->changed = !stands;
	pool->counts = pool->counts || pool->changed;
	return stands;
}
