/*
 * passer.c
 *	  Claiming past the waiting line: what everybody gets who does not stand in it.
 *
 * While a committed ticket waits, what is free is owed to the line. A passer-by
 * who comes then first looks whether something can be dealt out, and gets nothing
 * if anybody still waits.
 *
 * Invariant: whoever gets a unit here had it in hand at an instant when no
 * committed ticket waited. So we look again after the unit was taken, and put it
 * back if somebody has begun to wait meanwhile. A pool in whose line nobody ever
 * stood says so in its row. Whoever takes its first ticket changes that row; so
 * for such a pool it is enough to see, after the unit was taken, that the row is
 * as we read it. Nobody waits for anybody.
 *
 * Locks: those of supply.c and draw.c; for the first ticket of a pool, its row.
 */
#include "postgres.h"

#include "access/xact.h"
#include "miscadmin.h"
#include "utils/fmgroids.h"

#include "reservation.h"

/* Columns of reservation.pool: see pool.c */
#define POOL_DROPPED_AT 15
#define POOL_LINED      20

/* A look at the line, and what came of it. */
typedef struct Look
{
	const RsvPool *pool;
	TimestampTz now;
	bool waits;
	RsvInFlight leaving;
} Look;

static bool look_at_line(void *argument);
static bool overtaken(RsvPool *pool);
static void put_units_back(const RsvPool *pool, const int32 *numbers, int32 count);

/*
 * What the line leaves to a passer-by. RSV_TAKEN: nobody waits. RSV_GONE: somebody
 * does, whom what is free could not satisfy. Those whom unfinished transactions serve,
 * or let leave, may wait on or not: it waits for these, and what it says at the deadline
 * is RSV_UNDECIDED. While it waits, it has served nobody.
 */
RsvSupply
rsv_pass_line(const RsvPool *pool, TimestampTz *now, TimestampTz deadline)
{
	while (pool->lined && rsv_ticket_waits(pool->pool_id, NULL))
	{
		Look look = {.pool = pool, .now = *now};

		CHECK_FOR_INTERRUPTS();
		if (rsv_attempt(look_at_line, &look))
			return look.waits ? RSV_GONE : RSV_TAKEN;
		if (!rsv_supply_wait(pool, &look.leaving, deadline, now))
		{
			(void) rsv_line_look(pool, *now);
			return RSV_UNDECIDED;
		}
	}
	return RSV_TAKEN;
}

/* Serves who waits, and says whether anybody still does; undone if that is not decided. */
static bool
look_at_line(void *argument)
{
	Look *look = argument;

	look->leaving = (RsvInFlight) {0};
	(void) rsv_line_look(look->pool, look->now);
	look->waits = rsv_ticket_waits(look->pool->pool_id, &look->leaving);
	return !look->leaving.any;
}

/* rsv_supply_take for a passer-by */
RsvSupply
rsv_pass_take(RsvPool *pool, int32 count, TimestampTz *now, TimestampTz deadline, int32 *numbers,
			  int64 *available, bool tentative)
{
	for (;;)
	{
		RsvSupply supply = rsv_pass_line(pool, now, tentative ? *now : deadline);

		*available = 0;
		if (supply == RSV_TAKEN)
			supply = rsv_supply_take(pool, count, now, deadline, numbers, available, tentative);
		if (supply != RSV_TAKEN || !overtaken(pool))
			return supply;
		put_units_back(pool, numbers, count);
		deadline = *now; /* what was put back is still in our hands */
	}
}

/* rsv_supply_take_unit for a passer-by */
RsvSupply
rsv_pass_take_unit(RsvPool *pool, int32 number, TimestampTz *now, TimestampTz deadline)
{
	for (;;)
	{
		RsvSupply supply = rsv_pass_line(pool, now, deadline);

		if (supply == RSV_TAKEN)
			supply = rsv_supply_take_unit(pool, number, now, deadline);
		if (supply != RSV_TAKEN || !overtaken(pool))
			return supply;
		put_units_back(pool, &number, 1);
		deadline = *now; /* what was put back is still in our hands */
	}
}

/* rsv_draw for a passer-by */
RsvSupply
rsv_pass_draw(RsvPool *pool, int64 quantity, RsvDraw draw, TimestampTz *now, TimestampTz deadline,
			  int64 *available)
{
	for (;;)
	{
		RsvSupply supply =
			rsv_pass_line(pool, now, draw == RSV_DRAW_TENTATIVE ? *now : deadline);

		*available = 0;
		if (supply == RSV_TAKEN)
			supply = rsv_draw(pool, quantity, draw, now, deadline, available);
		if (supply != RSV_TAKEN || !overtaken(pool))
			return supply;
		rsv_slot_give(pool->pool_id, quantity, 0);
		deadline = *now; /* what was put back is still in our hands */
	}
}

/* Something was taken: does anybody wait by now? */
static bool
overtaken(RsvPool *pool)
{
	RsvPool current;
	bool waits = rsv_pass_overtaken(pool, &current);

	if (waits)
		*pool = current;
	return waits;
}

/*
 * Somebody stands in the line of this pool for the first time: passers-by have to
 * look from now on. Waits for whoever is changing the pool's row, and reads it anew.
 */
void
rsv_pass_mark(RsvPool *pool)
{
	RsvKey key = {BTEqualStrategyNumber, F_INT4EQ, Int32GetDatum(pool->pool_id)};
	bool lined = false;
	bool written = false;

	while (!lined && !written)
	{
		Snapshot as_of = rsv_store_now();
		TransactionId holder;
		RsvScan scan;

		rsv_scan_begin(&scan, RSV_POOL_PKEY, as_of, &key, 1);
		if (!rsv_scan_next(&scan) || !scan.slot->tts_isnull[POOL_DROPPED_AT])
			rsv_pool_refuse_unknown(pool->name);
		lined = DatumGetBool(scan.slot->tts_values[POOL_LINED]);
		scan.slot->tts_values[POOL_LINED] = BoolGetDatum(true);
		if (!lined)
			written = rsv_store_update(RSV_POOL, &scan.slot->tts_tid, scan.slot->tts_values,
									   scan.slot->tts_isnull, true, &holder) == RSV_WRITTEN;
		rsv_scan_end(&scan);
		rsv_store_forget(as_of);
	}
	CommandCounterIncrement();
	rsv_pool_read(pool->pool_id, pool);
	pool->first_in_line = written;
}

/* What a passer-by could get. */
int64
rsv_pass_count(const RsvPool *pool, TimestampTz now)
{
	if (pool->lined && rsv_ticket_waits(pool->pool_id, NULL))
		return 0;
	return pool->counted ? rsv_sum_available(pool, now) : rsv_count_free(pool, now);
}

/* A unit was taken: does anybody wait by now? Then *current is the pool as it is. */
bool
rsv_pass_overtaken(RsvPool *pool, RsvPool *current)
{
	bool stands = rsv_limit_look(pool);

	if (!pool->lined && stands)
		return false;
	rsv_pool_read(pool->pool_id, current);
	pool->labelled = current->labelled; /* a unit may have come with the first labels */
	return current->lined && rsv_ticket_waits(pool->pool_id, NULL);
}

static void
put_units_back(const RsvPool *pool, const int32 *numbers, int32 count)
{
	RsvClaim nobody = {.pool_id = pool->pool_id, .numbered = true, .state = RSV_RELEASED};

	for (int32 i = 0; i < count; i++)
	{
		nobody.number = numbers[i];
		rsv_claim_free(&nobody, 1);
	}
}
