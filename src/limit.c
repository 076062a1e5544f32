/*
 * limit.c
 *	  What one holder has of one pool, for pools with per_holder.
 *
 * The caller holds the lock of (pool, holder), so no other claim of this holder
 * is under way. What can be under way is the end of one of the holder's claims,
 * or a finalize or extend that keeps a hold alive beyond its time. Claims that
 * count as of the snapshot count; a hold whose time is over counts only if that
 * version of it is still the newest, and if somebody is changing it, we wait
 * until that is decided.
 */
#include "postgres.h"

#include "miscadmin.h"
#include "utils/fmgroids.h"

#include "reservation.h"

static bool holdings_once(const RsvPool *pool, const text *holder, TimestampTz now, int64 *units,
						  List **holds, RsvInFlight *in_flight);

/*
 * Counts the holder's live units and lists the live holds among them. False if
 * another transaction keeps the count undecided for longer than
 * reservation.claim_wait.
 */
bool
rsv_limit_holdings(const RsvPool *pool, const text *holder, TimestampTz now, int64 *units,
				   List **holds)
{
	TimestampTz deadline = TimestampTzPlusMilliseconds(GetCurrentTimestamp(), rsv_claim_wait_ms);

	for (;;)
	{
		RsvInFlight in_flight = {0};

		CHECK_FOR_INTERRUPTS();
		if (holdings_once(pool, holder, now, units, holds, &in_flight))
			return true;
		if (in_flight.any && !rsv_in_flight_wait(&in_flight, deadline))
			return false;
	}
}

/* One look; false if it has to be repeated. */
static bool
holdings_once(const RsvPool *pool, const text *holder, TimestampTz now, int64 *units, List **holds,
			  RsvInFlight *in_flight)
{
	RsvKey keys[] = {
		{BTEqualStrategyNumber, F_TEXTEQ, PointerGetDatum(holder)},
		{BTEqualStrategyNumber, F_INT4EQ, Int32GetDatum(pool->pool_id)},
	};
	Snapshot as_of = rsv_store_now();
	RsvScan scan;
	bool decided = true;

	*units = 0;
	*holds = NIL;
	rsv_scan_begin(&scan, RSV_CLAIM_HOLDER, as_of, keys, lengthof(keys));
	while (decided && rsv_scan_next(&scan))
	{
		RsvClaim *claim = palloc(sizeof(RsvClaim));
		TransactionId changer;

		rsv_claim_from_scan(&scan, claim);
		if (claim->state == RSV_HELD && claim->expires_at <= now)
		{
			decided = rsv_scan_still(&scan, &changer) && !TransactionIdIsValid(changer);
			if (TransactionIdIsValid(changer))
				rsv_in_flight_add(in_flight, changer);
			continue;
		}
		*units += claim->quantity;
		if (claim->state == RSV_HELD)
			*holds = lappend(*holds, claim);
	}
	rsv_scan_end(&scan);
	rsv_store_forget(as_of);
	return decided;
}
