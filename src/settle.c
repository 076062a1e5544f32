/*
 * settle.c
 *	  What becomes of a claim: extend, release, finalize; for refund.c, how it is
 *	  written.
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
#include "utils/uuid.h"

#include "reservation.h"

/* A late finalize of what was given back. */
typedef struct Late
{
	const RsvClaim *claim;
	RsvPool *pool;
	TimestampTz *now;
	TimestampTz deadline;
	RsvSupply supply;
} Late;

static TimestampTz begin(const pg_uuid_t *claim_id, RsvClaim *claim, RsvPool *pool);
static bool is_live_hold(const RsvClaim *claim, TimestampTz now);
static RsvState state_at(const RsvClaim *claim, TimestampTz now);
static void await_decision(RsvClaim *claim, TimestampTz now);
static bool is_lapsing(const pg_uuid_t *claim_id);
static void write_down(const RsvClaim *claim, const RsvEntry *entry);
static const char *finalize(const pg_uuid_t *claim_id, int64 quantity, RsvClaim *claim,
							RsvPool *pool, bool *replayed);
static bool may_be_late(RsvClaim *claim, int64 wanted, RsvPool *pool, TimestampTz *now,
						bool *taken_again);
static RsvSupply take_unit_again(Late *late);
static bool take_unit(void *argument);
static bool is_newest(RsvClaim *claim);
static bool keep(RsvClaim *claim, RsvClaim *lapsed, RsvPool *pool, const RsvEntry *entry);
pg_noreturn static void refuse_undecided(const RsvClaim *claim);
static void answer_finalize(const char *status, const RsvClaim *claim, const RsvPool *pool,
							bool replayed, RsvAnswer *answer);

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
	for (;; rsv_settle_read(claim_id, &claim))
	{
		await_decision(&claim, now);
		if (!is_live_hold(&claim, now) || claim.expires_at >= end)
			break;
		claim.expires_at = end;
		if (rsv_settle_change(
				&claim, RSV_HELD,
				&(RsvEntry) {.at = now, .event = "extended", .quantity = claim.quantity}))
			break;
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
	rsv_settle_release(claim_id, now, false, &claim, &released);
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
		rsv_pool_read(claim->pool_id, pool);
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
 * Waits for whoever is changing a claim that seems to have lapsed, and reads it anew: an
 * extend that came in time, or a finalize, may be about to commit, and then it has not.
 */
static void
await_decision(RsvClaim *claim, TimestampTz now)
{
	pg_uuid_t claim_id = claim->claim_id;

	while (state_at(claim, now) == RSV_LAPSED && !rsv_scan_stands(RSV_CLAIM, &claim->tid) &&
		   !is_lapsing(&claim_id))
	{
		rsv_claim_lock(&claim_id);
		rsv_settle_read(&claim_id, claim);
	}
}

/* Is somebody taking what has lapsed? Then it has, however that ends. */
static bool
is_lapsing(const pg_uuid_t *claim_id)
{
	RsvKey key = {BTEqualStrategyNumber, F_UUID_EQ, UUIDPGetDatum(claim_id)};
	bool lapsing = false;
	RsvScan scan;

	rsv_scan_begin(&scan, RSV_CLAIM_PKEY, NULL, &key, 1);
	while (!lapsing && rsv_scan_next(&scan))
	{
		RsvClaim version;

		rsv_claim_from_scan(&scan, &version);
		lapsing = TransactionIdIsValid(scan.dirty.xmin) && version.state == RSV_LAPSED;
	}
	rsv_scan_end(&scan);
	return lapsing;
}

/*
 * Makes the change, the log entry, and what comes back free, unless the pool is
 * gone; false: read again. The caller leaves out of the entry what the claim says.
 */
bool
rsv_settle_change(RsvClaim *claim, RsvState state, const RsvEntry *entry)
{
	TransactionId holder;

	if (rsv_claim_change(claim, state, true, &holder) != RSV_WRITTEN)
		return false;
	write_down(claim, entry);
	return true;
}

/* The claim is changed: the rest of rsv_settle_change. */
static void
write_down(const RsvClaim *claim, const RsvEntry *entry)
{
	RsvEntry complete = *entry;
	RsvPool pool;

	complete.pool_id = claim->pool_id;
	complete.claim_id = &claim->claim_id;
	complete.counted = !claim->numbered;
	rsv_log(&complete);
	if (entry->change > 0)
	{
		rsv_pool_read(claim->pool_id, &pool);
		/* whoever drops it waits for holds; what was sold is none, so here we wait */
		if (claim->refunded > 0 && rsv_pool_is_changing(&pool))
			rsv_pool_await_drop(&pool);
		if (!pool.dropped)
		{
			rsv_claim_free(claim, entry->change);
			rsv_line_freed(&pool);
		}
	}
}

/*
 * Gives a live hold back; *released if this call did. One whose time is over is left to
 * whoever claims next, unless the caller wants it back, too (lapsed_too).
 */
void
rsv_settle_release(const pg_uuid_t *claim_id, TimestampTz now, bool lapsed_too, RsvClaim *claim,
				   bool *released)
{
	for (rsv_settle_read(claim_id, claim);; rsv_settle_read(claim_id, claim))
	{
		RsvEntry entry = {.at = now, .event = "released"};

		await_decision(claim, now);
		*released = is_live_hold(claim, now);
		if (!*released && !(lapsed_too && claim->state == RSV_HELD))
			return;
		if (!*released)
			entry.event = "lapsed";
		entry.quantity = entry.change = claim->quantity;
		if (rsv_settle_change(claim, *released ? RSV_RELEASED : RSV_LAPSED, &entry))
			break;
	}
	if (!*released)
		rsv_stats_add(claim->pool_id, RSV_COUNT_LAPSES, 1);
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
		bool late;
		RsvClaim lapsed;
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

		late = !is_live_hold(claim, now);
		if (late && !may_be_late(claim, wanted, pool, &now, &taken_again))
		{
			/* perhaps because another call has changed it meanwhile, or we have served the line */
			ItemPointerData seen = claim->tid;

			rsv_settle_read(claim_id, claim);
			await_decision(claim, now);
			if (ItemPointerEquals(&claim->tid, &seen))
				return "lapsed";
			continue;
		}
		lapsed = *claim;
		claim->finalized_at = entry.at = now;
		entry.change = taken_again ? -wanted : claim->quantity - wanted;
		if (wanted < claim->quantity)
			claim->taken = claim->quantity;
		claim->quantity = wanted;
		if (late && !taken_again ? keep(claim, &lapsed, pool, &entry)
								 : rsv_settle_change(claim, RSV_FINALIZED, &entry))
		{
			ForceSyncCommit();
			return "finalized";
		}
		if (taken_again)
		{
			claim->state = RSV_LAPSED;
			rsv_claim_free(claim, wanted);
			rsv_line_freed(pool);
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

	if (pool->dropped ||
		(pool->per_holder > 0 &&
		 rsv_limit_holdings(pool, claim->holder, *now, &holds) > pool->per_holder - wanted))
		return false;
	if (claim->state == RSV_HELD)
		supply = rsv_pass_line(pool, now, deadline);
	else if (claim->numbered)
		supply = take_unit_again(
			&(Late) {.claim = claim, .pool = pool, .now = now, .deadline = deadline});
	else
		supply = rsv_pass_draw(pool, wanted, RSV_DRAW_CLAIM, now, deadline, &available);
	if (supply == RSV_UNDECIDED)
		refuse_undecided(claim);
	if (claim->state == RSV_HELD)
		return supply == RSV_TAKEN && is_newest(claim);
	*taken_again = supply == RSV_TAKEN;
	claim->by_holder = claim->by_holder || pool->counts;
	return *taken_again;
}

/* Takes the unit of a claim that was given back. In a pool dropped meanwhile it is gone. */
static RsvSupply
take_unit_again(Late *late)
{
	ErrorData *error = rsv_attempt_refused(take_unit, late);

	if (error == NULL)
		return late->supply;
	rsv_pool_read(late->claim->pool_id, late->pool);
	if (!late->pool->dropped)
		ReThrowError(error);
	return RSV_GONE;
}

static bool
take_unit(void *argument)
{
	Late *late = argument;

	late->supply =
		rsv_pass_take_unit(late->pool, late->claim->number, late->now, late->deadline);
	return true;
}

/* Is the claim as it was read? Who serves the line deals out what has lapsed, also this. */
static bool
is_newest(RsvClaim *claim)
{
	RsvClaim now;

	rsv_settle_read(&claim->claim_id, &now);
	return ItemPointerEquals(&now.tid, &claim->tid);
}

/*
 * Finalizes a hold whose time is over. That may have waited for somebody who was taking
 * it; if anybody has begun to wait in line meanwhile, it lapses after all, and is theirs.
 */
static bool
keep(RsvClaim *claim, RsvClaim *lapsed, RsvPool *pool, const RsvEntry *entry)
{
	TransactionId holder;

	if (rsv_claim_change(claim, RSV_FINALIZED, true, &holder) != RSV_WRITTEN)
		return false;
	if (!rsv_pass_overtaken(pool, pool))
	{
		write_down(claim, entry);
		return true;
	}
	lapsed->tid = claim->tid;
	(void) rsv_settle_change(lapsed, RSV_LAPSED,
							 &(RsvEntry) {.at = entry->at,
										  .event = "lapsed",
										  .quantity = lapsed->quantity,
										  .change = lapsed->quantity});
	rsv_stats_add(claim->pool_id, RSV_COUNT_LAPSES, 1);
	return false;
}

static void
refuse_undecided(const RsvClaim *claim)
{
	ereport(
		ERROR,
		(errcode(ERRCODE_LOCK_NOT_AVAILABLE),
		 errmsg("could not decide whether claim %s can be finalized after it lapsed",
				DatumGetCString(DirectFunctionCall1(uuid_out, UUIDPGetDatum(&claim->claim_id)))),
		 errdetail("An unfinished transaction holds its unit, or serves who waits for it."),
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
