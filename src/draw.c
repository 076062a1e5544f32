/*
 * draw.c
 *	  Drawing from the slots of a counted pool: the first slot that has enough, or
 *	  several together.
 *
 * Invariant: all of the quantity or nothing. "Too little" is said only if a walk
 * over all slots and lapsed holds met none in flight, and a snapshot taken after
 * it agrees; otherwise we wait for whoever is in the way, or walk again. Every
 * decision is about the newest committed rows, at every isolation level.
 *
 * One slot is taken from by a compare-and-set that never waits. What no single
 * slot has is gathered in slot order, in a subtransaction, then from holds whose
 * time is over; no more of these are ended than are needed. Whoever waits has
 * nothing of what it wants: so two that gather never wait for each other.
 *
 * Locks: the rows of the slots and lapsed holds that are changed, to the end of
 * the transaction, without waiting.
 *
 * Memory: all in the caller's context.
 */
#include "postgres.h"

#include "common/int.h"
#include "miscadmin.h"
#include "nodes/pg_list.h"
#include "utils/fmgroids.h"
#include "utils/memutils.h"

#include "reservation.h"

/* Most empty slots that one call deletes on its way */
#define RSV_SLOT_DELETE_MAX 8

typedef struct Taking
{
	const RsvPool *pool;
	int64 wanted;
	RsvDraw draw;
	TimestampTz now;
	bool crowded; /* a slot was in flight, now or when we looked before */
	bool asked;   /* whether there is room for a slot of our own */
	bool may_split;
	List *slots;   /* those that nobody is changing, none with enough */
	int64 free;    /* in them */
	int64 lapsed;  /* in holds whose time is over */
	bool gone;     /* too little is left, for certain */
	int64 missing; /* while gathering */
	RsvInFlight in_flight;
} Taking;

static bool look(Taking *taking, int64 *available);
static RsvSupply say_left(const Taking *taking, int64 *left);
static bool take_quickly(Taking *taking);
static bool take_surveyed(Taking *taking, int64 *left);
static bool take_somewhere(Taking *taking);
static RsvWrite take_from(Taking *taking, RsvSlot *slot);
static bool may_split(Taking *taking);
static void delete_empty(Taking *taking);
static void look_at_lapsed(Taking *taking, RsvHint *hint);
static bool gather(void *argument);
static int compare_slots(const ListCell *a, const ListCell *b);
static bool gather_lapsed(Taking *taking);

/*
 * Takes a quantity, all or nothing. If there is too little, or it is undecided
 * at the deadline, *available says how much is free; if taken, nothing, except after
 * a charge how much is left. *now moves on when the call has waited.
 *
 * Tentative: what was gathered before somebody came in the way is kept, and the
 * rest looked for. There is no need of a subtransaction of our own, and we do not
 * wait, because we would do so with something in our hands.
 */
RsvSupply
rsv_draw(const RsvPool *pool, int64 quantity, RsvDraw draw, TimestampTz *now, TimestampTz deadline,
		 int64 *available)
{
	bool tentative = draw == RSV_DRAW_TENTATIVE;
	int64 got = 0;
	Taking taking = {
		.pool = pool,
		.wanted = quantity,
		.draw = draw,
		.now = *now,
	};

	Assert(quantity > 0);
	if (draw == RSV_DRAW_CHARGE ? take_surveyed(&taking, available) : take_quickly(&taking))
		return RSV_TAKEN;
	for (;;)
	{
		bool enough;

		CHECK_FOR_INTERRUPTS();
		if (look(&taking, available))
			return say_left(&taking, available);
		enough = *available >= taking.wanted;
		rsv_sum_add(available, got);
		if (enough && (tentative ? gather(&taking) : rsv_attempt(gather, &taking)))
		{
			delete_empty(&taking);
			return say_left(&taking, available);
		}
		if (enough && tentative)
		{
			got += taking.wanted - taking.missing;
			taking.wanted = taking.missing;
		}
		if (!enough && !taking.in_flight.any && taking.gone)
			return RSV_GONE;
		if (!taking.in_flight.any)
			continue;
		if (tentative || !rsv_supply_wait(pool, &taking.in_flight, deadline, now))
			return RSV_UNDECIDED;
		taking.now = *now;
		taking.crowded = true;
	}
}

/* It is taken; if that was asked, *left says what the pool still has. */
static RsvSupply
say_left(const Taking *taking, int64 *left)
{
	if (taking->draw == RSV_DRAW_CHARGE)
		*left = rsv_sum_available(taking->pool, taking->now);
	return RSV_TAKEN;
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

	list_free_deep(taking->slots);
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
	rsv_sum_add(available, taking->lapsed);
	if (!taken && *available < taking->wanted && !taking->in_flight.any)
	{
		/* a hold may have lapsed since the mark was set, and have come back since we looked */
		if (!hint.nothing_free || hint.check_lapsed)
		{
			Snapshot as_of = rsv_store_now();

			*available = rsv_sum_at(pool_id, taking->now, hint.check_lapsed, as_of);
			rsv_store_forget(as_of);
		}
		taking->gone = *available < taking->wanted;
		if (*available == 0 && !hint.nothing_free)
			hint.first_free = RSV_NOTHING_FREE;
	}
	rsv_hint_end(&hint, taking->now);
	return taken;
}

/* Takes from the slot that this session took from last, if it has enough. */
static bool
take_quickly(Taking *taking)
{
	RsvSlot slot;

	return rsv_slot_last(taking->pool->pool_id, &slot) && !TransactionIdIsValid(slot.holder) &&
		slot.quantity >= taking->wanted && take_from(taking, &slot) == RSV_WRITTEN;
}

/*
 * Adds up what there is at an instant, and takes from a slot that has not changed since
 * then: so what was there, less that, is left.
 */
static bool
take_surveyed(Taking *taking, int64 *left)
{
	RsvSlot slot;

	*left = rsv_sum_survey(taking->pool->pool_id, taking->now, taking->wanted, &slot);
	*left -= taking->wanted;
	return slot.quantity >= taking->wanted && take_from(taking, &slot) == RSV_WRITTEN;
}

/* Takes from the first slot on the way round that has enough. */
static bool
take_somewhere(Taking *taking)
{
	int32 pool_id = taking->pool->pool_id;
	bool taken = false;
	RsvRound round;
	RsvSlot slot;

	rsv_round_begin(&round, pool_id);
	while (!taken && rsv_round_next(&round, &slot))
	{
		RsvWrite result;

		if (!TransactionIdIsValid(slot.holder) && slot.quantity < taking->wanted)
		{
			RsvSlot *small = palloc(sizeof(RsvSlot));

			*small = slot;
			taking->slots = lappend(taking->slots, small);
			rsv_sum_add(&taking->free, slot.quantity);
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
	rsv_round_end(&round);
	return taken;
}

/* Takes from a slot that has enough, and leaves half of the rest in the slot of our own. */
static RsvWrite
take_from(Taking *taking, RsvSlot *slot)
{
	int32 pool_id = taking->pool->pool_id;
	int64 rest = slot->quantity - taking->wanted;
	int64 half = 0;
	RsvWrite result;

	Assert(rest >= 0);
	if (taking->crowded && rest / 2 >= taking->wanted && may_split(taking))
		half = rest / 2;
	result = rsv_slot_change(pool_id, slot, rest - half,
							 slot->added - (taking->draw == RSV_DRAW_ADJUST ? taking->wanted : 0),
							 &slot->holder);
	if (result == RSV_WRITTEN && half > 0)
		rsv_slot_split(pool_id, half);
	return result;
}

/*
 * Is there room for a slot of our own? Asked once in a call: it may take longer
 * than others leave a slot as it is.
 */
static bool
may_split(Taking *taking)
{
	if (!taking->asked)
		taking->may_split = rsv_slot_may_split(taking->pool->pool_id, taking->now);
	taking->asked = true;
	return taking->may_split;
}

/*
 * What is left is thin: deletes some of the slots that had nothing, except the first.
 * Before, an empty slot waits for its session to fill it again.
 */
static void
delete_empty(Taking *taking)
{
	int deleted = 0;
	ListCell *cell;

	foreach(cell, taking->slots)
	{
		RsvSlot *slot = lfirst(cell);

		if (slot->slot >= RSV_SLOTS_FIRST && slot->quantity == 0 && deleted++ < RSV_SLOT_DELETE_MAX)
			(void) rsv_slot_delete(taking->pool->pool_id, slot->slot, 0);
	}
}

/*
 * Adds up the holds whose time is over, until there is enough. If there is enough
 * without, we have not looked, and may not say when the first of them lapses.
 */
static void
look_at_lapsed(Taking *taking, RsvHint *hint)
{
	RsvKey key = {BTEqualStrategyNumber, F_INT4EQ, Int32GetDatum(taking->pool->pool_id)};
	int64 missing = taking->wanted - Min(taking->free, taking->wanted);
	RsvScan scan;

	if (missing == 0)
		return;
	hint->first_held = DT_NOEND;
	rsv_scan_begin(&scan, RSV_CLAIM_EXPIRY, NULL, &key, 1);
	while (taking->lapsed < missing && rsv_scan_next(&scan))
	{
		TimestampTz expires_at = rsv_claim_expires_at(&scan);

		hint->first_held = Min(hint->first_held, expires_at);
		if (expires_at > taking->now)
			break;
		if (TransactionIdIsValid(scan.holder))
			rsv_in_flight_add(&taking->in_flight, scan.holder);
		else
			rsv_sum_add(&taking->lapsed, rsv_claim_quantity(&scan));
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
		RsvSlot *slot = lfirst(cell);
		int64 part = Min(slot->quantity, taking->missing);
		RsvWrite result;

		if (part == 0)
			continue;
		result = rsv_slot_change(taking->pool->pool_id, slot, slot->quantity - part,
								 slot->added - (taking->draw == RSV_DRAW_ADJUST ? part : 0),
								 &slot->holder);
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
	int32 left = ((const RsvSlot *) lfirst(a))->slot;
	int32 right = ((const RsvSlot *) lfirst(b))->slot;

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
	if (taking->missing == 0 && (rest > 0 || taking->draw == RSV_DRAW_ADJUST))
		rsv_slot_give(pool_id, rest, taking->draw == RSV_DRAW_ADJUST ? -wanted : 0);
	return taking->missing == 0;
}
