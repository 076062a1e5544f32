/*
 * sum.c
 *	  How much a counted pool has, at one instant: the sum of its slots (slot.c).
 *
 * What it can give is what its slots have, and what is in holds whose time is
 * over. A walk (draw.c) is no instant; this is what a refusal rests on, and what
 * it tells.
 *
 * Locks: none.
 */
#include "postgres.h"

#include "common/int.h"
#include "utils/fmgroids.h"

#include "reservation.h"

static int64 sum_slots(int32 pool_id, Snapshot as_of, int64 wanted, RsvSlot *best);
static int64 sum_lapsed(int32 pool_id, TimestampTz now, Snapshot as_of);

/* What a pool can give now, holds whose time is over included. */
int64
rsv_sum_available(const RsvPool *pool, TimestampTz now)
{
	Snapshot as_of = rsv_store_now();
	int64 sum = rsv_sum_at(pool->pool_id, now, true, as_of);

	rsv_store_forget(as_of);
	return sum;
}

/* The same above the floor of that instant: alter_pool moves both together. */
int64
rsv_sum_balance(const RsvPool *pool, TimestampTz now)
{
	Snapshot as_of = rsv_store_now();
	int64 balance =
		rsv_sum_at(pool->pool_id, now, true, as_of) + rsv_pool_floor(pool->pool_id, as_of);

	rsv_store_forget(as_of);
	return balance;
}

/* What was put into a pool by adjust and add_units, less what was taken out. */
int64
rsv_sum_added(const RsvPool *pool)
{
	Snapshot as_of = rsv_store_now();
	uint64 sum = 0; /* on the way it may wrap, in the end it fits */
	RsvRound round;
	RsvSlot slot;

	rsv_round_all(&round, pool->pool_id, as_of);
	while (rsv_round_next(&round, &slot))
		sum += (uint64) slot.added;
	rsv_round_end(&round);
	rsv_store_forget(as_of);
	return (int64) sum;
}

/* What a pool could give at an instant; with lapsed, also what is in holds whose time is over. */
int64
rsv_sum_at(int32 pool_id, TimestampTz now, bool lapsed, Snapshot as_of)
{
	RsvSlot best;
	int64 sum = sum_slots(pool_id, as_of, 0, &best);

	if (lapsed)
		rsv_sum_add(&sum, sum_lapsed(pool_id, now, as_of));
	return sum;
}

/*
 * What a pool can give now, holds whose time is over included, and the slot to take
 * this much from: that of which we took last, if it has enough, else the largest.
 * *best has no quantity if there is none.
 */
int64
rsv_sum_survey(int32 pool_id, TimestampTz now, int64 wanted, RsvSlot *best)
{
	Snapshot as_of = rsv_store_now();
	int64 sum;

	sum = sum_slots(pool_id, as_of, wanted, best);
	rsv_sum_add(&sum, sum_lapsed(pool_id, now, as_of));
	rsv_store_forget(as_of);
	return sum;
}

static int64
sum_slots(int32 pool_id, Snapshot as_of, int64 wanted, RsvSlot *best)
{
	int32 last = rsv_slot_usual(pool_id);
	int64 sum = 0;
	bool chosen = false;
	RsvRound round;
	RsvSlot slot;

	*best = (RsvSlot) {0};
	rsv_round_all(&round, pool_id, as_of);
	while (rsv_round_next(&round, &slot))
	{
		bool suits = slot.slot == last && slot.quantity >= wanted;

		rsv_sum_add(&sum, slot.quantity);
		if (!chosen && (suits || slot.quantity > best->quantity))
		{
			*best = slot;
			chosen = suits;
		}
	}
	rsv_round_end(&round);
	return sum;
}

static int64
sum_lapsed(int32 pool_id, TimestampTz now, Snapshot as_of)
{
	RsvKey keys[] = {
		{BTEqualStrategyNumber, F_INT4EQ, Int32GetDatum(pool_id)},
		{BTLessEqualStrategyNumber, F_TIMESTAMPTZ_LE, TimestampTzGetDatum(now)},
	};
	int64 sum = 0;
	RsvScan scan;

	rsv_scan_begin(&scan, RSV_CLAIM_EXPIRY, as_of, keys, lengthof(keys));
	while (rsv_scan_next(&scan))
		rsv_sum_add(&sum, rsv_claim_quantity(&scan));
	rsv_scan_end(&scan);
	return sum;
}

/* The sum of a pool fits; of what several transactions are about to do, it may not. */
void
rsv_sum_add(int64 *sum, int64 quantity)
{
	if (pg_add_s64_overflow(*sum, quantity, sum))
		*sum = PG_INT64_MAX;
}
