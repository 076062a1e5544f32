/*
 * slot.c
 *	  What a counted pool has left: rows of reservation.stock, its slots.
 *
 * One row would make every buyer wait for the commit of the one before. So the
 * stock lies in slots, each a row with a quantity above the floor that it can
 * give, and a call takes from one that nobody else is changing. A pool begins
 * with two slots, so that a second buyer has somewhere to go; whoever finds one
 * in flight leaves half of what another has in a slot of its own, up to
 * reservation.stock_slots, and fills that again when it is empty. Whoever has to
 * gather from several deletes some that were empty, and sweep puts together the
 * slots of a pool that has become quiet. Nobody else does: a long transaction that
 * did so by the way would sit on what others could have, and under an old snapshot
 * a walk passes all that is left of every slot there was.
 *
 * Invariant: the quantities of a pool's slots, its floor and its live claims add
 * up to capacity + units_added + what was adjusted (added). A constraint holds
 * every slot at or above zero, so the balance never goes below the floor.
 *
 * A change is a compare-and-set of one slot that never waits. Taking is in draw.c.
 *
 * Numbers: a session makes only slots whose number is its own, the place of its
 * process plus a multiple of RSV_SLOT_STEP, and only one that it does not find,
 * in flight or not. So no two sessions ever insert the same key.
 *
 * Locks: the rows of the slots that are changed, to the end of the transaction,
 * without waiting.
 *
 * Memory: all in the caller's context; where this session last took is static.
 */
#include "postgres.h"

#include "access/transam.h"
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

static Place *place_of(int32 pool_id);
static void begin_at(RsvRound *round, int32 pool_id, int32 start, Snapshot as_of);
static bool next_below(RsvRound *round, RsvSlot *slot);
static void slot_from_scan(RsvScan *scan, RsvSlot *slot);
static bool find_slot(RsvScan *scan, int32 pool_id, int32 number, RsvSlot *slot);
static bool slot_exists(int32 pool_id, int32 number);
static void insert_slot(int32 pool_id, int32 number, int64 quantity, int64 added);

/*
 * Gives a quantity, which may be zero, to a slot that nobody else is changing; if
 * there is none, to a new one. Never waits. added: by how much the pool grows.
 */
void
rsv_slot_give(int32 pool_id, int64 quantity, int64 added)
{
	bool given = false;
	RsvRound round;
	RsvSlot slot;

	Assert(quantity >= 0);
	rsv_round_begin(&round, pool_id);
	while (!given && rsv_round_next(&round, &slot))
	{
		TransactionId holder;
		int64 sum;
		int64 sum_added;

		if (TransactionIdIsValid(slot.holder) ||
			pg_add_s64_overflow(slot.quantity, quantity, &sum) ||
			pg_add_s64_overflow(slot.added, added, &sum_added))
			continue;
		given = rsv_slot_change(pool_id, &slot, sum, sum_added, &holder) == RSV_WRITTEN;
	}
	rsv_round_end(&round);
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

/*
 * Gives what the pool grows by, half of it to a second slot that has less: so that
 * two who come for it do not meet.
 */
void
rsv_slot_spread(int32 pool_id, int64 quantity)
{
	int64 half = quantity / 2;
	int found = 0;
	RsvRound round;
	RsvSlot slot;
	TransactionId holder;

	rsv_round_begin(&round, pool_id);
	while (found < RSV_SLOTS_FIRST && rsv_round_next(&round, &slot))
	{
		if (!TransactionIdIsValid(slot.holder))
			found++;
	}
	rsv_round_end(&round);
	if (found < RSV_SLOTS_FIRST || slot.quantity >= half ||
		rsv_slot_change(pool_id, &slot, slot.quantity + half, slot.added, &holder) != RSV_WRITTEN)
		half = 0;
	else
		place_of(pool_id)->slot = slot.slot - 1;
	rsv_slot_give(pool_id, quantity - half, quantity);
}

/*
 * Puts the slots of a pool together, down to as many as a pool begins with, if
 * nobody is changing any of them, nor has since this transaction id was the next.
 */
void
rsv_slot_merge(int32 pool_id, TransactionId quiet_since)
{
	List *slots = NIL;
	bool quiet = true;
	RsvRound round;
	RsvSlot slot;

	rsv_round_all(&round, pool_id, NULL);
	while (quiet && rsv_round_next(&round, &slot))
	{
		quiet = !TransactionIdIsValid(slot.holder) &&
			TransactionIdPrecedes(rsv_scan_writer(&round.scan), quiet_since);
		slots = lcons_int(slot.slot, slots);
	}
	rsv_round_end(&round);
	if (!quiet || list_length(slots) <= RSV_SLOTS_FIRST)
		return;
	*place_of(pool_id) = (Place) {.pool_id = pool_id, .slot = linitial_int(slots)};
	for (int i = RSV_SLOTS_FIRST; i < list_length(slots); i++)
		(void) rsv_slot_delete(pool_id, list_nth_int(slots, i), PG_INT64_MAX);
}

static Place *
place_of(int32 pool_id)
{
	Place *place = &places[pool_id & (PLACES - 1)];

	if (place->pool_id != pool_id)
		*place = (Place) {.pool_id = pool_id, .slot = MyProcNumber};
	return place;
}

/* Begins where this session last took, with the rows of unfinished transactions. */
void
rsv_round_begin(RsvRound *round, int32 pool_id)
{
	begin_at(round, pool_id, place_of(pool_id)->slot, NULL);
}

/* Passes all slots of the pool, downwards; as of a snapshot, if one is given. */
void
rsv_round_all(RsvRound *round, int32 pool_id, Snapshot as_of)
{
	begin_at(round, pool_id, PG_INT32_MAX, as_of);
}

static void
begin_at(RsvRound *round, int32 pool_id, int32 start, Snapshot as_of)
{
	*round = (RsvRound) {
		.pool_id = pool_id,
		.start = start,
		.at_most = start,
		.as_of = as_of,
		.wrapped = start == PG_INT32_MAX, /* from there down is all there is */
	};
}

bool
rsv_round_next(RsvRound *round, RsvSlot *slot)
{
	for (;;)
	{
		if (round->at_most >= 0 && next_below(round, slot))
		{
			if (round->wrapped && slot->slot <= round->start && round->start < PG_INT32_MAX)
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

/* Looks for the next slot downwards; there is none below zero. */
static bool
next_below(RsvRound *round, RsvSlot *slot)
{
	RsvKey keys[] = {
		{BTEqualStrategyNumber, F_INT4EQ, Int32GetDatum(round->pool_id)},
		{BTLessEqualStrategyNumber, F_INT4LE, Int32GetDatum(round->at_most)},
	};
	bool found;

	if (round->begun)
		found = rsv_scan_beyond(&round->scan, keys, lengthof(keys));
	else
	{
		rsv_scan_begin(&round->scan, RSV_STOCK_PKEY, round->as_of, keys, lengthof(keys));
		round->scan.direction = BackwardScanDirection;
		round->begun = true;
		found = rsv_scan_next(&round->scan);
	}
	if (!found)
		return false;
	slot_from_scan(&round->scan, slot);
	return true;
}

void
rsv_round_end(RsvRound *round)
{
	if (round->begun)
		rsv_scan_end(&round->scan);
}

static void
slot_from_scan(RsvScan *scan, RsvSlot *slot)
{
	slot->slot = DatumGetInt32(scan->slot->tts_values[STOCK_SLOT]);
	slot->quantity = DatumGetInt64(scan->slot->tts_values[STOCK_QUANTITY]);
	slot->added = DatumGetInt64(scan->slot->tts_values[STOCK_ADDED]);
	slot->tid = scan->slot->tts_tid;
	slot->holder = scan->holder;
}

/* Stands a scan on one slot, in flight or not; the caller ends the scan. */
static bool
find_slot(RsvScan *scan, int32 pool_id, int32 number, RsvSlot *slot)
{
	RsvKey keys[] = {
		{BTEqualStrategyNumber, F_INT4EQ, Int32GetDatum(pool_id)},
		{BTEqualStrategyNumber, F_INT4EQ, Int32GetDatum(number)},
	};
	bool found = rsv_scan_find(scan, RSV_STOCK_PKEY, keys, lengthof(keys));

	if (found)
		slot_from_scan(scan, slot);
	return found;
}

static bool
slot_exists(int32 pool_id, int32 number)
{
	RsvScan scan;
	RsvSlot slot;
	bool found = find_slot(&scan, pool_id, number, &slot);

	rsv_scan_end(&scan);
	return found;
}

/* Sets what a slot has, and remembers where it is. */
RsvWrite
rsv_slot_change(int32 pool_id, RsvSlot *slot, int64 quantity, int64 added, TransactionId *holder)
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
		/* what we take is still ours to give back: we may not say that nothing is left */
		rsv_touch_hold(pool_id);
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

/*
 * Deletes a slot, unless it has more than this or somebody is changing it. What it
 * had goes to another.
 */
bool
rsv_slot_delete(int32 pool_id, int32 number, int64 most)
{
	RsvScan scan;
	TransactionId holder;
	bool deleted = false;
	RsvSlot slot;

	if (find_slot(&scan, pool_id, number, &slot) && !TransactionIdIsValid(slot.holder) &&
		slot.quantity <= most)
		deleted = rsv_store_delete(&scan, &holder) == RSV_WRITTEN;
	rsv_scan_end(&scan);
	if (deleted && (slot.quantity > 0 || slot.added != 0))
		rsv_slot_give(pool_id, slot.quantity, slot.added);
	return deleted;
}

/* Is there room for a slot of our own, or one already that nobody is changing? */
bool
rsv_slot_may_split(int32 pool_id, TimestampTz now)
{
	Place *place = place_of(pool_id);
	int count = 0;
	RsvRound round;
	RsvScan scan;
	RsvSlot slot;
	bool exists;

	if (now - place->full < USECS_PER_SEC)
		return false;
	exists = find_slot(&scan, pool_id, MyProcNumber, &slot);
	rsv_scan_end(&scan);
	if (exists)
		return !TransactionIdIsValid(slot.holder);
	rsv_round_all(&round, pool_id, NULL);
	while (count < rsv_stock_slots && rsv_round_next(&round, &slot))
		count++;
	rsv_round_end(&round);
	if (count >= rsv_stock_slots)
		place->full = now;
	return count < rsv_stock_slots;
}

/* Fills the slot of our own, or makes it: from there this session takes next. */
void
rsv_slot_split(int32 pool_id, int64 quantity)
{
	place_of(pool_id)->slot = MyProcNumber;
	ItemPointerSetInvalid(&place_of(pool_id)->tid);
	if (slot_exists(pool_id, MyProcNumber))
		rsv_slot_give(pool_id, quantity, 0);
	else
		insert_slot(pool_id, MyProcNumber, quantity, 0);
}

/* The number of the slot that this session would take from, whether it is there or not. */
int32
rsv_slot_usual(int32 pool_id)
{
	return place_of(pool_id)->slot;
}

/* The slot that this session took from last, if it is still there. */
bool
rsv_slot_last(int32 pool_id, RsvSlot *slot)
{
	Place *place = place_of(pool_id);
	bool found;
	RsvScan scan;

	if (!ItemPointerIsValid(&place->tid))
		return false;
	found = rsv_scan_at(&scan, RSV_STOCK, &place->tid) &&
		DatumGetInt32(scan.slot->tts_values[STOCK_POOL_ID]) == pool_id;
	if (found)
		slot_from_scan(&scan, slot);
	rsv_scan_end(&scan);
	return found;
}
