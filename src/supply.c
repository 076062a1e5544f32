/*
 * supply.c
 *	  Finding free units and taking them.
 *
 * Free is what has a row in reservation.available, and what is held by a claim
 * whose time is over. Both are walked together in the order of their numbers,
 * and each unit is taken by one row operation that does not wait: deleting the
 * free row, or ending the old hold. What an unfinished transaction has its hand
 * on is passed over; that is SKIP LOCKED in one step.
 *
 * Invariant: "gone" is said only of an instant. The walk is not one (a unit may
 * come free behind it while the last one ahead of it is taken), so before we
 * say gone, a snapshot taken before the walk must agree that too little was
 * free, and nothing may be in flight. If they disagree, somebody else has made
 * progress and we walk again.
 *
 * Several units are all or none: they are taken in a subtransaction, whose
 * rollback frees them at once for others.
 */
#include "postgres.h"

#include "miscadmin.h"
#include "utils/fmgroids.h"
#include "utils/memutils.h"

#include "reservation.h"

/* How many entries of the index a walk reads ahead at most, most of them of rows long gone */
#define RSV_READ_MAX (8 * RSV_SPOTS_MAX)

/* One walk. */
typedef struct Walk
{
	const RsvPool *pool;
	TimestampTz now;
	int32 wanted;
	int32 taken;
	int32 *numbers;       /* of the units taken */
	RsvHint hint;         /* where to begin, what to leave out */
	RsvClaim *lapsed;     /* holds whose time is over, by number */
	MemoryContext memory; /* of these; NULL: there are none */
	int nlapsed;
	int next_lapsed;
	RsvInFlight in_flight;
} Walk;

static bool take_next(const RsvPool *pool, TimestampTz now, int32 *number);
static void walk_units(Walk *walk);
static bool walk_all_or_none(void *argument);
static void take_lapsed(Walk *walk, int32 up_to);
static void take_free(Walk *walk, RsvScan *scan);
static void read_ahead(RsvHint *hint, RsvScan *scan);
static void take_new(Walk *walk);
static void lapsed_list(Walk *walk);
static int compare_numbers(const void *a, const void *b);
static bool find_claim(RsvIndex index, const RsvKey *keys, Snapshot as_of, RsvClaim *claim);
static bool unit_is_free(const RsvPool *pool, int32 number, Snapshot as_of);
static bool take_unit_once(const RsvPool *pool, int32 number, TimestampTz now,
						   RsvInFlight *in_flight, RsvSupply *answer);

/*
 * Takes the lowest free units, all or none. If they are gone, or still
 * undecided at the deadline, *available says how many were free. *now moves on
 * when the call has waited.
 *
 * Tentative: the caller undoes everything unless all were taken. Then there is
 * no need of a subtransaction of our own, and we do not wait, because we would
 * do so with units in our hands.
 */
RsvSupply
rsv_supply_take(const RsvPool *pool, int32 count, TimestampTz *now, TimestampTz deadline,
				int32 *numbers, int64 *available, bool tentative)
{
	RsvReach reach = RSV_NEAR;
	int32 taken = 0;

	rsv_layout_lock(RSV_AVAILABLE); /* so that the hints are about this file of it */
	if (count == 1 && take_next(pool, *now, &numbers[0]))
		return RSV_TAKEN;
	for (;;)
	{
		int32 wanted = count - taken;
		Walk attempt = {.pool = pool, .now = *now, .wanted = wanted, .numbers = numbers + taken};
		Snapshot as_of = reach == RSV_FULL ? rsv_store_now() : NULL;
		bool gone = false;

		CHECK_FOR_INTERRUPTS();
		rsv_hint_begin(pool->pool_id, wanted, *now, reach, &attempt.hint);
		if (count == 1 || tentative)
			walk_units(&attempt);
		else
			(void) rsv_attempt(walk_all_or_none, &attempt);
		if (attempt.hint.nothing_free && attempt.nlapsed == 0 && !attempt.in_flight.any)
			gone = true;
		else if (reach == RSV_FULL && attempt.taken < wanted && !attempt.in_flight.any)
		{
			gone = pool->open || rsv_count_at(pool, *now, as_of, wanted) < wanted;
			if (!gone)
				rsv_hint_doubt(pool->pool_id);
		}
		if (as_of != NULL)
			rsv_store_forget(as_of);
		if (attempt.memory != NULL)
			MemoryContextDelete(attempt.memory);

		*available = taken + attempt.taken;
		if (attempt.taken == wanted)
			return RSV_TAKEN;
		if (tentative)
			taken += attempt.taken;
		if (gone)
			return RSV_GONE;
		if (reach == RSV_FULL && attempt.in_flight.any &&
			(tentative || !rsv_supply_wait(pool, &attempt.in_flight, deadline, now)))
			return RSV_UNDECIDED;
		if (attempt.hint.to == PG_INT32_MAX)
			reach = RSV_FULL;
		else if (attempt.hint.from < attempt.hint.to)
			reach = RSV_FAR;
	}
}

/* Takes one unit by its number. A number that the pool does not have: 22023. */
RsvSupply
rsv_supply_take_unit(const RsvPool *pool, int32 number, TimestampTz *now, TimestampTz deadline)
{
	for (;;)
	{
		RsvInFlight in_flight = {0};
		RsvSupply answer;

		CHECK_FOR_INTERRUPTS();
		if (take_unit_once(pool, number, *now, &in_flight, &answer))
			return answer;
		if (in_flight.any && !rsv_supply_wait(pool, &in_flight, deadline, now))
			return RSV_UNDECIDED;
	}
}

/*
 * Takes the next unit that an earlier walk has read in the index, straight from
 * its place. Whatever is there now counts only if it is that unit, free.
 */
static bool
take_next(const RsvPool *pool, TimestampTz now, int32 *number)
{
	bool taken = false;
	RsvSpot spot;

	while (!taken && rsv_hint_next(pool->pool_id, now, &spot))
	{
		Walk attempt = {.pool = pool, .numbers = number};
		RsvScan scan;

		CHECK_FOR_INTERRUPTS();
		if (rsv_scan_at(&scan, RSV_AVAILABLE, &spot.tid) &&
			DatumGetInt32(scan.slot->tts_values[0]) == pool->pool_id &&
			DatumGetInt32(scan.slot->tts_values[1]) == spot.number)
			take_free(&attempt, &scan);
		rsv_scan_end(&scan);
		taken = attempt.taken == 1;
	}
	return taken;
}

/*
 * Waits for who is in the way, and counts that; *now moves on. False: no time left, or
 * the pool has closed meanwhile.
 */
bool
rsv_supply_wait(const RsvPool *pool, const RsvInFlight *in_flight, TimestampTz deadline,
				TimestampTz *now)
{
	TimestampTz begin = GetCurrentTimestamp();
	bool closes = *now < pool->closes_at;
	bool waited = rsv_in_flight_wait(in_flight, closes ? Min(deadline, pool->closes_at) : deadline);

	*now = GetCurrentTimestamp();
	if (waited)
	{
		rsv_stats_add(pool->pool_id, RSV_COUNT_WAITS, 1);
		rsv_stats_add(pool->pool_id, RSV_COUNT_WAITED, *now - begin);
	}
	return waited && !(closes && *now >= pool->closes_at);
}

static bool
walk_all_or_none(void *argument)
{
	Walk *walk = argument;

	walk_units(walk);
	return walk->taken == walk->wanted;
}

/* Walks the free rows and the lapsed holds together, lowest number first. */
static void
walk_units(Walk *walk)
{
	RsvHint *hint = &walk->hint;
	RsvKey keys[] = {
		{BTEqualStrategyNumber, F_INT4EQ, Int32GetDatum(walk->pool->pool_id)},
		{BTGreaterEqualStrategyNumber, F_INT4GE, Int32GetDatum(hint->from)},
		{BTLessEqualStrategyNumber, F_INT4LE, Int32GetDatum(hint->to)},
	};
	int nkeys = hint->to < PG_INT32_MAX ? 3 : (hint->from > PG_INT32_MIN ? 2 : 1);
	RsvScan scan;
	bool found = false;

	hint->first_free = RSV_NOTHING_FREE;
	hint->last_taken = -1;
	lapsed_list(walk);
	if (hint->nothing_free)
		take_lapsed(walk, PG_INT32_MAX);
	else
	{
		rsv_scan_begin(&scan, RSV_AVAILABLE_PKEY, NULL, keys, nkeys);
		do
		{
			int32 number = hint->to;

			found = rsv_scan_next(&scan);
			if (found)
			{
				number = DatumGetInt32(scan.slot->tts_values[1]);
				hint->first_free = Min(hint->first_free, number);
			}
			take_lapsed(walk, number);
			if (found && walk->taken < walk->wanted)
				take_free(walk, &scan);
		} while (found && walk->taken < walk->wanted);
		if (hint->ahead && hint->last_taken >= 0)
			read_ahead(hint, &scan);
		rsv_scan_end(&scan);
	}
	hint->enough = walk->taken == walk->wanted;
	rsv_hint_end(hint, walk->now);

	if (walk->pool->open && hint->to == PG_INT32_MAX)
		take_new(walk);
}

/* Takes the lapsed holds with numbers up to this one. */
static void
take_lapsed(Walk *walk, int32 up_to)
{
	while (walk->taken < walk->wanted && walk->next_lapsed < walk->nlapsed)
	{
		RsvClaim *claim = &walk->lapsed[walk->next_lapsed];
		TransactionId holder;
		RsvWrite result;

		if (claim->number > up_to)
			return;
		walk->next_lapsed++;
		result = rsv_claim_lapse(claim, walk->now, &holder);
		if (result == RSV_WRITTEN)
			walk->numbers[walk->taken++] = claim->number;
		else if (result == RSV_BUSY)
			rsv_in_flight_add(&walk->in_flight, holder);
	}
}

/* Takes the free unit that the scan stands on, unless somebody else has. */
static void
take_free(Walk *walk, RsvScan *scan)
{
	int32 number = DatumGetInt32(scan->slot->tts_values[1]);
	TransactionId holder = scan->holder;
	RsvWrite result = TransactionIdIsValid(holder) ? RSV_BUSY : rsv_store_delete(scan, &holder);

	if (result == RSV_WRITTEN)
	{
		walk->numbers[walk->taken++] = number;
		walk->hint.last_taken = number;
		rsv_touch_taken(walk->pool->pool_id, number);
	}
	else if (result == RSV_BUSY)
		rsv_in_flight_add(&walk->in_flight, holder);
}

/* Reads on in the index, for those who come after, as far as the hint says. */
static void
read_ahead(RsvHint *hint, RsvScan *scan)
{
	RsvSpot read[RSV_READ_MAX];
	int nread = 0;
	Datum number;

	while (nread < RSV_READ_MAX && rsv_scan_ahead(scan, 2, &number, &read[nread].tid))
		read[nread++].number = DatumGetInt32(number);
	hint->read_to = nread == RSV_READ_MAX ? read[nread - 1].number : hint->to;
	nread = rsv_scan_sift(scan, read, nread);
	if (nread > RSV_SPOTS_MAX)
		hint->read_to = Min(hint->read_to, read[RSV_SPOTS_MAX].number);
	hint->nspots = Min(nread, RSV_SPOTS_MAX);
	memcpy(hint->spots, read, sizeof(RsvSpot) * hint->nspots);
}

/*
 * Open edition: makes new units, so there is always another. A sequence that
 * lost its latest values in a crash repeats numbers; those are stepped over.
 */
static void
take_new(Walk *walk)
{
	while (walk->taken < walk->wanted)
	{
		int64 number = rsv_sequence_next(walk->pool);
		Snapshot as_of;
		RsvClaim claim;

		CHECK_FOR_INTERRUPTS();
		if (number > PG_INT32_MAX)
			return;
		as_of = rsv_store_now();
		if (!unit_is_free(walk->pool, (int32) number, as_of) &&
			!rsv_supply_live_claim(walk->pool, (int32) number, as_of, &claim))
			walk->numbers[walk->taken++] = (int32) number;
		rsv_store_forget(as_of);
	}
}

/*
 * Lists the holds whose time is over, a bounded batch of those first to lapse.
 * Those that somebody is changing are in flight.
 */
static void
lapsed_list(Walk *walk)
{
	RsvKey key = {BTEqualStrategyNumber, F_INT4EQ, Int32GetDatum(walk->pool->pool_id)};
	int most = Max(RSV_LAPSED_BATCH_MAX, walk->wanted);
	int room = 0;
	MemoryContext caller;
	RsvScan scan;

	walk->hint.first_held = DT_NOBEGIN;
	if (!walk->hint.check_lapsed)
		return;
	walk->hint.first_held = DT_NOEND;
	rsv_scan_begin(&scan, RSV_CLAIM_EXPIRY, NULL, &key, 1);
	while (walk->nlapsed < most && rsv_scan_next(&scan))
	{
		TimestampTz expires_at = rsv_claim_expires_at(&scan);

		walk->hint.first_held = Min(walk->hint.first_held, expires_at);
		if (expires_at > walk->now)
			break;
		if (TransactionIdIsValid(scan.holder))
		{
			rsv_in_flight_add(&walk->in_flight, scan.holder);
			continue;
		}
		if (walk->memory == NULL)
			walk->memory = AllocSetContextCreate(CurrentMemoryContext, "reservation lapsed holds",
												 ALLOCSET_SMALL_SIZES);
		caller = MemoryContextSwitchTo(walk->memory);
		if (walk->nlapsed == room)
		{
			room = walk->lapsed == NULL ? RSV_LAPSED_BATCH_MAX : room * 2;
			walk->lapsed = walk->lapsed == NULL ? palloc(sizeof(RsvClaim) * room)
												: repalloc(walk->lapsed, sizeof(RsvClaim) * room);
		}
		rsv_claim_from_scan(&scan, &walk->lapsed[walk->nlapsed++]);
		MemoryContextSwitchTo(caller);
	}
	rsv_scan_end(&scan);
	if (walk->nlapsed > 1)
		qsort(walk->lapsed, walk->nlapsed, sizeof(RsvClaim), compare_numbers);
}

static int
compare_numbers(const void *a, const void *b)
{
	int32 left = ((const RsvClaim *) a)->number;
	int32 right = ((const RsvClaim *) b)->number;

	return (left > right) - (left < right);
}

static bool
unit_is_free(const RsvPool *pool, int32 number, Snapshot as_of)
{
	RsvKey keys[] = {
		{BTEqualStrategyNumber, F_INT4EQ, Int32GetDatum(pool->pool_id)},
		{BTEqualStrategyNumber, F_INT4EQ, Int32GetDatum(number)},
	};
	RsvScan scan;
	bool found;

	rsv_scan_begin(&scan, RSV_AVAILABLE_PKEY, as_of, keys, lengthof(keys));
	found = rsv_scan_next(&scan);
	rsv_scan_end(&scan);
	return found;
}

/* The claim of a unit by one index or the other. */
static bool
find_claim(RsvIndex index, const RsvKey *keys, Snapshot as_of, RsvClaim *claim)
{
	RsvScan scan;
	bool found;

	rsv_scan_begin(&scan, index, as_of, keys, 2);
	found = rsv_scan_next(&scan);
	if (found)
	{
		rsv_claim_from_scan(&scan, claim);
		claim->archived = index == RSV_ARCHIVE_LIVE;
	}
	rsv_scan_end(&scan);
	return found;
}

/* The claim, held or finalized, that has this unit; perhaps it is archived. */
bool
rsv_supply_live_claim(const RsvPool *pool, int32 number, Snapshot as_of, RsvClaim *claim)
{
	RsvKey keys[] = {
		{BTEqualStrategyNumber, F_INT4EQ, Int32GetDatum(pool->pool_id)},
		{BTEqualStrategyNumber, F_INT4EQ, Int32GetDatum(number)},
	};

	return find_claim(RSV_CLAIM_LIVE, keys, as_of, claim) ||
		find_claim(RSV_ARCHIVE_LIVE, keys, as_of, claim);
}

/*
 * One look at one unit. True if that decided it; otherwise something is in
 * flight, or somebody was quicker and we have to look again.
 */
static bool
take_unit_once(const RsvPool *pool, int32 number, TimestampTz now, RsvInFlight *in_flight,
			   RsvSupply *answer)
{
	RsvKey keys[] = {
		{BTEqualStrategyNumber, F_INT4EQ, Int32GetDatum(pool->pool_id)},
		{BTEqualStrategyNumber, F_INT4EQ, Int32GetDatum(number)},
	};
	Walk attempt = {.pool = pool, .now = now, .wanted = 1, .numbers = &number};
	Snapshot as_of = rsv_store_now();
	RsvClaim claim;
	RsvScan scan;
	bool live = false;
	bool known;

	rsv_scan_begin(&scan, RSV_AVAILABLE_PKEY, NULL, keys, lengthof(keys));
	while (attempt.taken == 0 && rsv_scan_next(&scan))
		take_free(&attempt, &scan);
	rsv_scan_end(&scan);

	if (attempt.taken == 0 && rsv_supply_live_claim(pool, number, as_of, &claim))
	{
		live = claim.state == RSV_FINALIZED || claim.expires_at > now;
		if (!live)
		{
			attempt.lapsed = &claim;
			attempt.nlapsed = 1;
			take_lapsed(&attempt, number);
		}
		known = true;
	}
	else
		known = attempt.taken == 1 || attempt.in_flight.any || unit_is_free(pool, number, as_of);
	rsv_store_forget(as_of);

	if (!known)
	{
		RsvPool current;

		rsv_pool_read(pool->pool_id, &current);
		if (current.dropped)
			rsv_pool_refuse_unknown(pool->name);
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("pool \"%s\" has no number %d", rsv_text_display(pool->name), number),
				 errhint("reservation.units lists the numbers of a pool; add_units makes more.")));
	}
	*in_flight = attempt.in_flight;
	*answer = attempt.taken == 1 ? RSV_TAKEN : RSV_GONE;
	return attempt.taken == 1 || (live && !in_flight->any);
}
