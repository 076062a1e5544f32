/*
 * hold.c
 *	  Holding what a checkout asks of several pools: all of it or nothing.
 *
 * All items are taken in one subtransaction, in canonical order, without
 * waiting. If something is missing that nobody can bring, it is undone and the
 * caller is told everything that fell short. If unfinished transactions hold
 * what is missing, it is undone too, and only then do we wait.
 *
 * Invariant: while a call waits for units, it holds none. So checkouts cannot
 * deadlock with each other, whatever their carts have in common.
 *
 * Locks: those of the holder in pools with per_holder, in the order of their
 * places, before any row; they are kept.
 */
#include "postgres.h"

#include "miscadmin.h"

#include "reservation.h"

/* One item to wait for. */
typedef struct Probe
{
	const RsvItem *item;
	TimestampTz now;
	TimestampTz deadline;
} Probe;

static RsvItem *first_undecided(RsvHold *hold);
static void lock_limits(RsvHold *hold);
static bool hold_all(void *argument);
static void hold_item(RsvHold *hold, RsvItem *item);
static bool take_numbered(RsvHold *hold, RsvItem *item);
static bool take_counted(RsvHold *hold, RsvItem *item);
static bool short_of(RsvItem *item, RsvSupply supply, const char *reason, int64 available);
static bool probe_item(void *argument);

/*
 * Holds all items, or none: then every item that falls short has a reason, and
 * says what is available.
 */
bool
rsv_hold_items(RsvHold *hold)
{
	lock_limits(hold);
	hold->now = GetCurrentTimestamp();
	for (;;)
	{
		Probe probe = {.deadline = hold->deadline};

		CHECK_FOR_INTERRUPTS();
		if (rsv_attempt(hold_all, hold))
			return true;
		probe.item = first_undecided(hold);
		if (probe.item == NULL || hold->now >= hold->deadline)
			break;
		probe.now = hold->now;
		(void) rsv_attempt(probe_item, &probe);
		hold->now = GetCurrentTimestamp();
	}
	for (int i = 0; i < hold->nitems; i++)
	{
		RsvItem *item = &hold->items[i];

		/* what the attempts dealt out to those who wait was undone with them */
		rsv_pool_read(item->pool.pool_id, &item->pool);
		(void) rsv_line_look(&item->pool, hold->now);
		if (item->reason == NULL || item->available >= 0 || item->pool.open)
			continue;
		item->available = rsv_pass_count(&item->pool, hold->now);
	}
	return false;
}

static RsvItem *
first_undecided(RsvHold *hold)
{
	for (int i = 0; i < hold->nitems; i++)
	{
		if (hold->items[i].undecided)
			return &hold->items[i];
	}
	return NULL;
}

/* The locks of the holder in all pools that have a limit. */
static void
lock_limits(RsvHold *hold)
{
	const RsvPool **pools = palloc(sizeof(RsvPool *) * hold->nitems);
	const RsvPool *busy;

	for (int i = 0; i < hold->nitems; i++)
		pools[i] = &hold->items[i].pool;
	busy = rsv_limit_lock_all(pools, hold->nitems, hold->holder, hold->deadline);
	for (int i = 0; i < hold->nitems; i++)
		hold->items[i].limit_busy = &hold->items[i].pool == busy;
}

static bool
hold_all(void *argument)
{
	RsvHold *hold = argument;
	bool all = true;

	hold->claims = NIL;
	hold->expires_at = DT_NOEND;
	for (int i = 0; i < hold->nitems; i++)
	{
		hold_item(hold, &hold->items[i]);
		all = all && hold->items[i].reason == NULL;
	}
	return all;
}

/* Holds an item, or says why not. The checks are those of a claim, in their order. */
static void
hold_item(RsvHold *hold, RsvItem *item)
{
	const RsvPool *pool = &item->pool;
	List *holds;

	item->undecided = false;
	item->had = 0;
	item->available = -1;
	item->reason = rsv_pool_closed(pool, hold->now);
	if (item->reason == NULL && item->limit_busy)
		item->reason = "busy";
	if (item->reason == NULL && pool->per_holder > 0 &&
		(item->quantity > pool->per_holder ||
		 rsv_limit_holdings(pool, hold->holder, hold->now, &holds) >
			 pool->per_holder - item->quantity))
		item->reason = "limit_reached";
	if (item->reason != NULL)
		return;
	if (pool->counted ? take_counted(hold, item) : take_numbered(hold, item))
		hold->expires_at = Min(hold->expires_at, rsv_pool_hold_end(pool, hold->ttl, hold->now));
}

/* Units by their numbers, then the next ones. */
static bool
take_numbered(RsvHold *hold, RsvItem *item)
{
	int32 rest = (int32) item->quantity - item->named;
	int32 *numbers = palloc(sizeof(int32) * item->quantity);
	RsvClaim claim = {
		.claimed_at = hold->now,
		.expires_at = rsv_pool_hold_end(&item->pool, hold->ttl, hold->now),
		.quantity = 1,
		.pool_id = item->pool.pool_id,
		.numbered = true,
		.state = RSV_HELD,
		.holder = hold->holder,
		.request_id = hold->request_id,
	};

	for (; item->had < item->named; item->had++)
	{
		int32 number = item->numbers[item->had];
		RsvSupply supply = rsv_pass_take_unit(&item->pool, number, &hold->now, hold->now);

		if (supply != RSV_TAKEN)
			return short_of(item, supply, "taken", -1);
		numbers[item->had] = number;
	}
	if (rest > 0)
	{
		int64 available;
		RsvSupply supply = rsv_pass_take(&item->pool, rest, &hold->now, hold->now,
										 numbers + item->named, &available, true);

		if (supply != RSV_TAKEN)
			return short_of(item, supply, "sold_out", available + item->named);
	}
	for (int64 i = 0; i < item->quantity; i++)
	{
		RsvClaim *copy = palloc(sizeof(RsvClaim));

		rsv_identifier_make(&claim.claim_id, hold->now, item->pool.name);
		claim.number = numbers[i];
		rsv_claim_insert(&claim, &item->pool);
		*copy = claim;
		hold->claims = lappend(hold->claims, copy);
	}
	pfree(numbers);
	return true;
}

/* A quantity of a counted pool, in one claim. */
static bool
take_counted(RsvHold *hold, RsvItem *item)
{
	RsvClaim *claim = palloc0(sizeof(RsvClaim));
	int64 available = 0;
	RsvSupply supply = rsv_pass_draw(&item->pool, item->quantity, RSV_DRAW_TENTATIVE, &hold->now,
									 hold->now, &available);

	if (supply != RSV_TAKEN)
		return short_of(item, supply, "insufficient", available);
	claim->claimed_at = hold->now;
	claim->expires_at = rsv_pool_hold_end(&item->pool, hold->ttl, hold->now);
	claim->quantity = item->quantity;
	claim->pool_id = item->pool.pool_id;
	claim->state = RSV_HELD;
	claim->holder = hold->holder;
	claim->request_id = hold->request_id;
	rsv_identifier_make(&claim->claim_id, hold->now, item->pool.name);
	rsv_claim_insert(claim, &item->pool);
	hold->claims = lappend(hold->claims, claim);
	return true;
}

/* Notes that there is not enough; false, so that the caller can pass it on. */
static bool
short_of(RsvItem *item, RsvSupply supply, const char *reason, int64 available)
{
	item->undecided = supply == RSV_UNDECIDED;
	item->reason = item->undecided ? "busy" : reason;
	item->available = item->pool.open ? -1 : available;
	return false;
}

/*
 * Waits until what is missing of one item is decided. What it gets is given back:
 * the answer is that of the next attempt at all items. It asks only for what the
 * last one failed at: one unit, or, if that had all that are named, as many as the
 * item has in all. Either has nothing in hand while it waits; asking for one thing
 * after the other would have the first.
 */
static bool
probe_item(void *argument)
{
	Probe *probe = argument;
	const RsvItem *item = probe->item;
	int64 available;

	if (rsv_pass_line(&item->pool, &probe->now, probe->deadline) != RSV_TAKEN)
		return false;
	if (item->pool.counted)
		(void) rsv_draw(&item->pool, item->quantity, RSV_DRAW_CLAIM, &probe->now, probe->deadline,
						&available);
	else if (item->had < item->named)
		(void) rsv_supply_take_unit(&item->pool, item->numbers[item->had], &probe->now,
									probe->deadline);
	else
		(void) rsv_supply_take(&item->pool, (int32) item->quantity, &probe->now, probe->deadline,
							   palloc(sizeof(int32) * item->quantity), &available, false);
	return false;
}
