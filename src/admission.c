/*
 * admission.c
 *	  Whether a holder may claim from a pool now, before any unit is looked at.
 *
 * The order is the same for every function that claims: the window and the pause,
 * the rates of the pool, the holder's lock. Outside of its window a pool spends
 * nothing and locks nobody. Time is read again once the lock is there: by that moment
 * the call judges, and the window may have ended.
 *
 * Locks: those of rates (rate.c), then the (pool, holder) of a limited pool.
 */
#include "postgres.h"

#include "reservation.h"

/*
 * Why the holder cannot claim now; NULL if they can, and then the caller has the
 * lock of the holder. Refused by a rate, *retry_after says when to come back.
 */
const char *
rsv_admission(const RsvPool *pool, const text *holder, TimestampTz deadline, TimestampTz *now,
			  Interval **retry_after)
{
	const char *refusal = rsv_pool_closed(pool, GetCurrentTimestamp());
	bool locked = false;

	if (refusal == NULL)
		refusal = rsv_rate_refusal(pool, holder, deadline, retry_after);
	if (refusal == NULL)
		locked = rsv_limit_lock(pool, holder, deadline);
	*now = GetCurrentTimestamp();
	if (refusal == NULL)
		refusal = rsv_pool_closed(pool, *now);
	if (refusal == NULL && !locked)
		refusal = "busy";
	return refusal;
}
