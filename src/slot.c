/*
 * slot.c
 *	  What a counted pool has left: rows of reservation.stock, its slots.
 *
 * One row would make every buyer wait for the commit of the one before. So the
 * stock lies in slots, each a row with a quantity above the floor that it can
 * give, and a call takes from one that nobody else is changing. A pool begins
 * with two slots, so that a second buyer has somewhere to go; whoever finds one
 * in flight leaves half of what another has in a slot of its own, up to
 * reservation.stock_slots. Emptied slots are deleted by the next who passes, and
 * rsv_slot_merge puts together the slots of a pool that has become quiet.
 *
 * Invariant: the quantities of a pool's slots, its floor and its live claims add
 * up to capacity + units_added + what was adjusted (added). A constraint holds
 * every slot at or above zero, so the balance never goes below the floor.
 *
 * A change is a compare-and-set of one slot that never waits. What no single
 * slot has is gathered in slot order, in a subtransaction, all or nothing; holds
 * whose time is over are ended and taken too, no more than are needed.
 * "Too little" is said only if a walk over all slots met none in flight, and a
 * snapshot taken after it agrees; otherwise we wait, or walk again.
 *
 * Numbers: a session makes only slots whose number is its own, the place of its
 * process plus a multiple of RSV_SLOT_STEP, and only one that it does not find,
 * in flight or not. So no two sessions ever insert the same key.
 *
 * Locks: the rows of the slots that are changed, to the end of the transaction,
 * without waiting. Whoever has to wait has none of them that it wants.
 *
 * Memory: all in the caller's context; where this session last took is static.
 */
#include "postgres.h"

#include "common/int.h"
#include "miscadmin.h"
#include "nodes/pg_list.h"
#include "storage/proc.h"
#include "utils/fmgroids.h"

#include "compat.h"
#include "reservation.h"

/* Columns of reservation.stock */
enum
{
	STOCK_POOL_ID,
	STOCK_SLOT,
	STOCK_QUANTITY,
	STOCK_ADDED,
	STOCK_COLUMNS
};

/* More than there can be processes */
#define RSV_SLOT_STEP (1 << 18)

/* Slots that a pool begins with, if it has as many units: see plan.c */
#define RSV_SLOTS_FIRST 2

/* Most empty slots that one call deletes */
#define RSV_SLOT_DELETE_MAX 8

/* A slot as it was met. */
typedef struct Slot
{
	int32 slot;
	int64 quantity;
	int64 added;
	ItemPointerData tid;
	TransactionId holder; /* in flight: whose */
} Slot;

/*
 * A way around the slots of a pool: downwards from one, then from the top down to
 * it. Downwards, because then the newest version of a slot comes first, and the
 * old ones, however many an old snapshot keeps, need not be looked at.
 */
typedef struct Round
{
	int32 pool_id;
	int32 start;
	int32 at_most;
	Snapshot as_of; /* NULL: committed rows and rows in flight */
	bool wrapped;
	bool begun;
	RsvScan scan;
} Round;

typedef struct Taking
{
	const RsvPool *pool;
	int64 wanted;
	bool adjust; /* what is taken leaves the pool for good */
	TimestampTz now;
	bool crowded;  /* a slot was in flight, now or when we looked before */
	List *slots;   /* those that nobody is changing, none with enough */
	int64 free;    /* in them */
	int64 lapsed;  /* in holds whose time is over */
	bool gone;     /* too little is left, for certain */
	int64 missing; /* while gathering */
	RsvInFlight in_flight;
} Taking;

/*
 * Where this session last took from a pool: a guess, which costs time when wrong.
 * The row found there counts only if it is a slot of that pool.
 */
typedef struct Place
{
	int32 pool_id;
	int32 slot;
	ItemPointerData tid;
	TimestampTz full; /* when the pool last had no room for another slot */
} Place;

#define PLACES 256 /* a power of two */

int rsv_stock_slots = 64;

static Place places[PLACES];

static bool look(Taking *taking, int64 *available);
static Place *place_of(int32 pool_id);
static void round_begin(Round *round, int32 pool_id, int32 start, Snapshot as_of);
static bool round_next(Round *round, Slot *slot);
static void round_end(Round *round);
static void slot_from_scan(RsvScan *scan, Slot *slot);
static bool find_slot(RsvScan *scan, int32 pool_id, int32 number, Slot *slot);
static bool slot_exists(int32 pool_id, int32 number);
static RsvWrite change_slot(int32 pool_id, Slot *slot, int64 quantity, int64 added,
							TransactionId *holder);
static void insert_slot(int32 pool_id, int32 number, int64 quantity, int64 added);
static bool take_quickly(Taking *taking);
static bool take_somewhere(Taking *taking);
static RsvWrite take_from(Taking *taking, Slot *slot);
static bool may_split(int32 pool_id, int32 number, TimestampTz now);
static void delete_empty(Taking *taking);
static bool delete_slot(int32 pool_id, int32 number, int64 most);
static void look_at_lapsed(Taking *taking, RsvHint *hint);
static bool gather(void *argument);
static bool gather_lapsed(Taking *taking);
static int compare_slots(const ListCell *a, const ListCell *b);
static int64 sum_as_of(int32 pool_id, TimestampTz now, bool lapsed, Snapshot as_of);
static void add(int64 *sum, int64 quantity);

/*
 * Takes a quantity, all or nothing. If there is too little, or it is undecided
 * at the deadline, *available says how much is free. *now moves on when the call
 * has waited.
 */
RsvSupply
rsv_slot_take(const RsvPool *pool, int64 quantity, bool adjust, TimestampTz *now,
			  TimestampTz deadline, int64 *available)
{
	Taking taking = {
		.pool = pool,
		.wanted = quantity,
		.adjust = adjust,
		.now = *now,
	};

	Assert(quantity > 0);
	if (take_quickly(&taking))
		return RSV_TAKEN;
	for (;;)
	{
		CHECK_FOR_INTERRUPTS();
		if (look(&taking, available))
			return RSV_TAKEN;
		if (*available >= quantity)
		{
			if (rsv_attempt(gather, &taking))
				return RSV_TAKEN;
		}
		else if (!taking.in_flight.any && taking.gone)
			return RSV_GONE;
		if (taking.in_flight.any)
		{
			if (!rsv_in_flight_wait(&taking.in_flight, deadline))
				return RSV_UNDECIDED;
			*now = taking.now = GetCurrentTimestamp();
			taking.crowded = true;
		}
	}
}

/*
 * Gives a quantity, which may be zero, to a slot that nobody else is changing; if
 * there is none, to a new one. Never waits. added: by how much the pool grows.
 */
void
rsv_slot_give(int32 pool_id, int64 quantity, int64 added)
{
	Place *place = place_of(pool_id);
	bool given = false;
	Round round;
	Slot slot;

	Assert(quantity >= 0);
	round_begin(&round, pool_id, place->slot, NULL);
	while (!given && round_next(&round, &slot))
	{
		TransactionId holder;
		int64 sum;
		int64 sum_added;

		if (TransactionIdIsValid(slot.holder) ||
			pg_add_s64_overflow(slot.quantity, quantity, &sum) ||
			pg_add_s64_overflow(slot.added, added, &sum_added))
			continue;
		given = change_slot(pool_id, &slot, sum, sum_added, &holder) == RSV_WRITTEN;
	}
	round_end(&round);
	if (!given)
	{
		int32 number = MyProcNumber;

		while (slot_exists(pool_id, number))
		{
			if (pg_add_s32_overflow(number, RSV_SLOT_STEP, &number))
				elog(ERROR, "pool %d has no number left for a slot", pool_id);
		}
		insert_slot(pool_id, number, quantity, added);
	}
	if (quantity > 0)
		rsv_touch_freed(pool_id, 0, false);
}

/* What a pool can give now, holds whose time is over included. */
int64
rsv_slot_available(const RsvPool *pool, TimestampTz now)
{
	Snapshot as_of = rsv_store_now();
	int64 sum = sum_as_of(pool->pool_id, now, true, as_of);

	rsv_store_forget(as_of);
	return sum;
}

/* What was put into a pool by adjust and add_units, less what was taken out. */
int64
rsv_slot_added(const RsvPool *pool)
{
	Snapshot as_of = rsv_store_now();
	uint64 sum = 0; /* on the way it may wrap, in the end it fits */
	Round round;
	Slot slot;

	round_begin(&round, pool->pool_id, PG_INT32_MAX, as_of);
	while (round_next(&round, &slot))
		sum += (uint64) slot.added;
	round_end(&round);
	rsv_store_forget(as_of);
	return (int64) sum;
}

/*
 * Puts the slots of a pool together, down to as many as a pool begins with, if
 * nobody is changing any of them.
 */
void
rsv_slot_merge(int32 pool_id)
{
	List *slots = NIL;
	bool quiet = true;
	Round round;
	Slot slot;

	round_begin(&round, pool_id, PG_INT32_MAX, NULL);
	while (quiet && round_next(&round, &slot))
	{
		quiet = !TransactionIdIsValid(slot.holder);
		slots = lcons_int(slot.slot, slots);
	}
	round_end(&round);
	if (!quiet || list_length(slots) <= RSV_SLOTS_FIRST)
		return;
	*place_of(pool_id) = (Place) {.pool_id = pool_id, .slot = linitial_int(slots)};
	for (int i = RSV_SLOTS_FIRST; i < list_length(slots); i++)
		(void) delete_slot(pool_id, list_nth_int(slots, i), PG_INT64_MAX);
}

/*
 * One look at all there is: takes from the first slot that has enough (true), or
 * finds out how much is free, what is in flight, and whether it is gone.
 */
static bool
look(Taking *taking, int64 *available)
{
	int32 pool_id = taking->pool->pool_id;
	bool taken = false;
	RsvHint hint;

	taking->slots = NIL;
	taking->free = taking->lapsed = 0;
	taking->in_flight = (RsvInFlight) {0};
	taking->gone = false;
	rsv_hint_begin(pool_id, 0, taking->now, RSV_FULL, &hint);
	hint.first_free = 0;
	hint.first_held = DT_NOBEGIN;
	if (!hint.nothing_free)
		taken = take_somewhere(taking);
	if (!taken && hint.check_lapsed)
		look_at_lapsed(taking, &hint);

	*available = taking->free;
	add(available, taking->lapsed);
	if (!taken && *available < taking->wanted && !taking->in_flight.any)
	{
		/* a hold may have lapsed since the mark was set, and have come back since we looked */
		if (!hint.nothing_free || hint.check_lapsed)
		{
			Snapshot as_of = rsv_store_now();

			*available = sum_as_of(pool_id, taking->now, hint.check_lapsed, as_of);
			rsv_store_forget(as_of);
		}
		taking->gone = *available < taking->wanted;
		if (*available == 0 && !hint.nothing_free)
		{
			hint.first_free = RSV_NOTHING_FREE;
			/* what this transaction took may come back */
			rsv_touch_taken(pool_id, 0);
		}
	}
	rsv_hint_end(pool_id, &hint, taking->now);
	return taken;
}

static Place *
place_of(int32 pool_id)
{
	Place *place = &places[pool_id & (PLACES - 1)];

	if (place->pool_id != pool_id)
		*place = (Place) {.pool_id = pool_id, .slot = MyProcNumber};
	return place;
}

static void
round_begin(Round *round, int32 pool_id, int32 start, Snapshot as_of)
{
	*round = (Round) {.pool_id = pool_id, .start = start, .at_most = start, .as_of = as_of};
}

static bool
round_next(Round *round, Slot *slot)
{
	for (;;)
	{
		RsvKey keys[] = {
			{BTEqualStrategyNumber, F_INT4EQ, Int32GetDatum(round->pool_id)},
			{BTLessEqualStrategyNumber, F_INT4LE, Int32GetDatum(round->at_most)},
		};

		if (round->begun)
			rsv_scan_again(&round->scan, keys, lengthof(keys));
		else
			rsv_scan_begin(&round->scan, RSV_STOCK_PKEY, round->as_of, keys, lengthof(keys));
		round->begun = true;
		round->scan.direction = BackwardScanDirection;
		if (rsv_scan_next(&round->scan))
		{
			slot_from_scan(&round->scan, slot);
			if (round->wrapped && slot->slot <= round->start)
				return false;
			round->at_most = slot->slot - 1;
			return true;
		}
		if (round->wrapped)
			return false;
		round->wrapped = true;
		round->at_most = PG_INT32_MAX;
	}
}

static void
round_end(Round *round)
{
	if (round->begun)
		rsv_scan_end(&round->scan);
}

static void
slot_from_scan(RsvScan *scan, Slot *slot)
{
	slot->slot = DatumGetInt32(scan->slot->tts_values[STOCK_SLOT]);
	slot->quantity = DatumGetInt64(scan->slot->tts_values[STOCK_QUANTITY]);
	slot->added = DatumGetInt64(scan->slot->tts_values[STOCK_ADDED]);
	slot->tid = scan->slot->tts_tid;
	slot->holder = scan->holder;
}

/* Stands a scan on one slot, in flight or not; the caller ends the scan. */
static bool
find_slot(RsvScan *scan, int32 pool_id, int32 number, Slot *slot)
{
	RsvKey keys[] = {
		{BTEqualStrategyNumber, F_INT4EQ, Int32GetDatum(pool_id)},
		{BTEqualStrategyNumber, F_INT4EQ, Int32GetDatum(number)},
	};
	bool found;

	rsv_scan_begin(scan, RSV_STOCK_PKEY, NULL, keys, lengthof(keys));
	scan->direction = BackwardScanDirection;
	found = rsv_scan_next(scan);
	if (found)
		slot_from_scan(scan, slot);
	return found;
}

static bool
slot_exists(int32 pool_id, int32 number)
{
	RsvScan scan;
	Slot slot;
	bool found = find_slot(&scan, pool_id, number, &slot);

	rsv_scan_end(&scan);
	return found;
}

/* Sets what a slot has, and remembers where it is. */
static RsvWrite
change_slot(int32 pool_id, Slot *slot, int64 quantity, int64 added, TransactionId *holder)
{
	Place *place = place_of(pool_id);
	Datum values[] = {
		Int32GetDatum(pool_id),
		Int32GetDatum(slot->slot),
		Int64GetDatum(quantity),
		Int64GetDatum(added),
	};
	bool nulls[STOCK_COLUMNS] = {false};
	RsvWrite result;

	Assert(quantity >= 0);
	result = rsv_store_update(RSV_STOCK, &slot->tid, values, nulls, false, holder);
	if (result == RSV_WRITTEN)
	{
		place->slot = slot->slot;
		place->tid = slot->tid;
	}
	return result;
}

static void
insert_slot(int32 pool_id, int32 number, int64 quantity, int64 added)
{
	Datum values[] = {
		Int32GetDatum(pool_id),
		Int32GetDatum(number),
		Int64GetDatum(quantity),
		Int64GetDatum(added),
	};
	bool nulls[STOCK_COLUMNS] = {false};

	rsv_store_insert(RSV_STOCK, values, nulls);
}

/* Takes from the slot that this session took from last, if it has enough. */
static bool
take_quickly(Taking *taking)
{
	int32 pool_id = taking->pool->pool_id;
	Place *place = place_of(pool_id);
	bool taken = false;
	RsvScan scan;
	Slot slot;

	if (!ItemPointerIsValid(&place->tid))
		return false;
	if (rsv_scan_at(&scan, RSV_STOCK, &place->tid) &&
		DatumGetInt32(scan.slot->tts_values[STOCK_POOL_ID]) == pool_id)
	{
		slot_from_scan(&scan, &slot);
		if (!TransactionIdIsValid(slot.holder) && slot.quantity >= taking->wanted)
			taken = take_from(taking, &slot) == RSV_WRITTEN;
	}
	rsv_scan_end(&scan);
	return taken;
}

/* Takes from the first slot on the way round that has enough. */
static bool
take_somewhere(Taking *taking)
{
	int32 pool_id = taking->pool->pool_id;
	bool taken = false;
	Round round;
	Slot slot;

	round_begin(&round, pool_id, place_of(pool_id)->slot, NULL);
	while (!taken && round_next(&round, &slot))
	{
		RsvWrite result;

		if (!TransactionIdIsValid(slot.holder) && slot.quantity < taking->wanted)
		{
			Slot *small = palloc(sizeof(Slot));

			*small = slot;
			taking->slots = lappend(taking->slots, small);
			add(&taking->free, slot.quantity);
			continue;
		}
		result = TransactionIdIsValid(slot.holder) ? RSV_BUSY : take_from(taking, &slot);
		taken = result == RSV_WRITTEN;
		if (result == RSV_BUSY)
		{
			rsv_in_flight_add(&taking->in_flight, slot.holder);
			taking->crowded = true;
		}
		else if (result == RSV_CHANGED)
			round.at_most = slot.slot;
	}
	round_end(&round);
	if (taken)
		delete_empty(taking);
	return taken;
}

/* Takes from a slot that has enough, and leaves half of the rest in a slot of our own. */
static RsvWrite
take_from(Taking *taking, Slot *slot)
{
	int32 pool_id = taking->pool->pool_id;
	int64 rest = slot->quantity - taking->wanted;
	int64 half = 0;
	int32 number = MyProcNumber;
	RsvWrite result;

	Assert(rest >= 0);
	if (taking->crowded && rest / 2 >= taking->wanted && may_split(pool_id, number, taking->now))
		half = rest / 2;
	result = change_slot(pool_id, slot, rest - half,
						 slot->added - (taking->adjust ? taking->wanted : 0), &slot->holder);
	if (result == RSV_WRITTEN && half > 0)
	{
		insert_slot(pool_id, number, half, 0);
		place_of(pool_id)->slot = number;
		ItemPointerSetInvalid(&place_of(pool_id)->tid);
	}
	return result;
}

/* Is there room for one slot more, and is this number free for it? */
static bool
may_split(int32 pool_id, int32 number, TimestampTz now)
{
	Place *place = place_of(pool_id);
	bool exists = false;
	int count = 0;
	Round round;
	Slot slot;

	if (now - place->full < USECS_PER_SEC)
		return false;
	round_begin(&round, pool_id, number, NULL);
	while (!exists && count < rsv_stock_slots && round_next(&round, &slot))
	{
		exists = slot.slot == number;
		count++;
	}
	round_end(&round);
	if (count >= rsv_stock_slots)
		place->full = now;
	return !exists && count < rsv_stock_slots;
}

/* Deletes some of the slots on the way that have nothing left. */
static void
delete_empty(Taking *taking)
{
	int deleted = 0;
	ListCell *cell;

	foreach(cell, taking->slots)
	{
		Slot *slot = lfirst(cell);

		if (slot->quantity == 0 && deleted++ < RSV_SLOT_DELETE_MAX)
			(void) delete_slot(taking->pool->pool_id, slot->slot, 0);
	}
}

/*
 * Deletes a slot, unless it has more than this or somebody is changing it. What it
 * had goes to another.
 */
static bool
delete_slot(int32 pool_id, int32 number, int64 most)
{
	RsvScan scan;
	TransactionId holder;
	bool deleted = false;
	Slot slot;

	if (find_slot(&scan, pool_id, number, &slot) && !TransactionIdIsValid(slot.holder) &&
		slot.quantity <= most)
		deleted = rsv_scan_delete(&scan, &holder) == RSV_WRITTEN;
	rsv_scan_end(&scan);
	if (deleted && (slot.quantity > 0 || slot.added != 0))
		rsv_slot_give(pool_id, slot.quantity, slot.added);
	return deleted;
}

/* Adds up the holds whose time is over, until there is enough. */
static void
look_at_lapsed(Taking *taking, RsvHint *hint)
{
	RsvKey key = {BTEqualStrategyNumber, F_INT4EQ, Int32GetDatum(taking->pool->pool_id)};
	int64 missing = taking->wanted - Min(taking->free, taking->wanted);
	RsvScan scan;
	RsvClaim claim;

	hint->first_held = DT_NOEND;
	rsv_scan_begin(&scan, RSV_CLAIM_EXPIRY, NULL, &key, 1);
	while (taking->lapsed < missing && rsv_scan_next(&scan))
	{
		rsv_claim_from_scan(&scan, &claim);
		hint->first_held = Min(hint->first_held, claim.expires_at);
		if (claim.expires_at > taking->now)
			break;
		if (TransactionIdIsValid(scan.holder))
			rsv_in_flight_add(&taking->in_flight, scan.holder);
		else
			add(&taking->lapsed, claim.quantity);
	}
	rsv_scan_end(&scan);
}

/* Takes what is missing from several slots, in slot order, then from lapsed holds. */
static bool
gather(void *argument)
{
	Taking *taking = argument;
	ListCell *cell;

	taking->missing = taking->wanted;
	list_sort(taking->slots, compare_slots);
	foreach(cell, taking->slots)
	{
		Slot *slot = lfirst(cell);
		int64 part = Min(slot->quantity, taking->missing);
		RsvWrite result;

		if (part == 0)
			continue;
		result = change_slot(taking->pool->pool_id, slot, slot->quantity - part,
							 slot->added - (taking->adjust ? part : 0), &slot->holder);
		if (result == RSV_BUSY)
			rsv_in_flight_add(&taking->in_flight, slot->holder);
		if (result != RSV_WRITTEN)
			return false;
		taking->missing -= part;
	}
	return taking->missing == 0 || gather_lapsed(taking);
}

static int
compare_slots(const ListCell *a, const ListCell *b)
{
	int32 left = ((const Slot *) lfirst(a))->slot;
	int32 right = ((const Slot *) lfirst(b))->slot;

	return (left > right) - (left < right);
}

/* Ends as many holds as are needed, and gives back what they had more. */
static bool
gather_lapsed(Taking *taking)
{
	int32 pool_id = taking->pool->pool_id;
	RsvKey keys[] = {
		{BTEqualStrategyNumber, F_INT4EQ, Int32GetDatum(pool_id)},
		{BTLessEqualStrategyNumber, F_TIMESTAMPTZ_LE, TimestampTzGetDatum(taking->now)},
	};
	MemoryContext row = AllocSetContextCreate(CurrentMemoryContext, "reservation lapsed hold",
											  ALLOCSET_SMALL_SIZES);
	int64 wanted = taking->missing;
	int64 rest = 0;
	RsvScan scan;

	rsv_scan_begin(&scan, RSV_CLAIM_EXPIRY, NULL, keys, lengthof(keys));
	while (taking->missing > 0 && rsv_scan_next(&scan))
	{
		MemoryContext caller = MemoryContextSwitchTo(row);
		TransactionId holder = scan.holder;
		RsvWrite result = RSV_BUSY;
		RsvClaim claim;

		CHECK_FOR_INTERRUPTS();
		rsv_claim_from_scan(&scan, &claim);
		if (!TransactionIdIsValid(holder))
			result = rsv_claim_lapse(&claim, taking->now, &holder);
		MemoryContextSwitchTo(caller);
		MemoryContextReset(row);
		if (result == RSV_BUSY)
			rsv_in_flight_add(&taking->in_flight, holder);
		else if (result == RSV_WRITTEN)
		{
			rest = Max(claim.quantity - taking->missing, 0);
			taking->missing = Max(taking->missing - claim.quantity, 0);
		}
	}
	rsv_scan_end(&scan);
	MemoryContextDelete(row);
	if (taking->missing == 0 && (rest > 0 || taking->adjust))
		rsv_slot_give(pool_id, rest, taking->adjust ? -wanted : 0);
	return taking->missing == 0;
}

/* What a pool could give at an instant; with lapsed, also what is in holds whose time is over. */
static int64
sum_as_of(int32 pool_id, TimestampTz now, bool lapsed, Snapshot as_of)
{
	RsvKey keys[] = {
		{BTEqualStrategyNumber, F_INT4EQ, Int32GetDatum(pool_id)},
		{BTLessEqualStrategyNumber, F_TIMESTAMPTZ_LE, TimestampTzGetDatum(now)},
	};
	int64 sum = 0;
	RsvScan scan;
	RsvClaim claim;
	Round round;
	Slot slot;

	round_begin(&round, pool_id, PG_INT32_MAX, as_of);
	while (round_next(&round, &slot))
		add(&sum, slot.quantity);
	round_end(&round);
	if (!lapsed)
		return sum;

	rsv_scan_begin(&scan, RSV_CLAIM_EXPIRY, as_of, keys, lengthof(keys));
	while (rsv_scan_next(&scan))
	{
		rsv_claim_from_scan(&scan, &claim);
		add(&sum, claim.quantity);
	}
	rsv_scan_end(&scan);
	return sum;
}

/* The sum of a pool fits; of what several transactions are about to do, it may not. */
static void
add(int64 *sum, int64 quantity)
{
	if (pg_add_s64_overflow(*sum, quantity, sum))
		*sum = PG_INT64_MAX;
}
