/*
 * serve.c
 *	  Serving the waiting line: what is free is dealt out to those who wait.
 *
 * A ticket is served by one compare-and-set of its row, which never waits, in the
 * transaction that takes the units and writes their claims. So a ticket is served
 * once, however many serve at the same moment: each passes over the tickets and
 * the units that an unfinished transaction has its hand on. If that one rolls
 * back, ticket and units are as they were.
 *
 * Invariant: in one call, the tickets are served in the order of the line, and
 * none is passed over that the same call could have served, unless the pool says
 * that one that wants too much may be (pass_over).
 *
 * What comes free is dealt out in the transaction that frees it (rsv_line_freed).
 * What comes free without anybody's doing, because a hold has lapsed, a claim was
 * rolled back, or the sale has begun, is dealt out by the next call that looks.
 *
 * Locks: the rows of tickets and units that are changed, without waiting.
 *
 * Memory: a ticket's in a context of its own; what the call keeps in the caller's.
 */
#include "postgres.h"

#include "access/xact.h"
#include "catalog/pg_type.h"
#include "miscadmin.h"
#include "nodes/pg_list.h"
#include "utils/fmgroids.h"
#include "utils/memutils.h"

#include "reservation.h"

/* Most tickets that a call serves by the way */
#define LOOK_TICKETS_MAX 100
/* Most tickets that want too much and are passed over by one call */
#define PASS_TICKETS_MAX 10000
/* Most units that are taken at once for tickets to come */
#define BATCH_UNITS_MAX 1000
/* What part of reservation.claim_wait is patience (rsv_line_patience) */
#define PATIENCE_PART 10

static bool wait_a_moment(const RsvInFlight *joining);
static bool is_known_empty(const RsvPool *pool, TimestampTz now);
static bool something_free(const RsvPool *pool, TimestampTz now);
static void walk_line(RsvServing *serving);
static void draw_lots(RsvServing *serving);
static void serve(RsvServing *serving, RsvTicket *ticket);
static bool gather(RsvServing *serving, int64 wanted);
static bool gather_units(RsvServing *serving, int32 wanted);
static void make_room(RsvServing *serving, int32 numbers);
static void give(RsvServing *serving, const RsvTicket *ticket, const pg_uuid_t *claim_ids,
				 int count);
static void put_back(RsvServing *serving);
static void note_departure(RsvServing *serving, const RsvTicket *ticket);

/* Deals out; serving says to whom and how much, and afterwards what happened. */
void
rsv_serve(RsvServing *serving)
{
	const RsvPool *pool = serving->pool;
	ListCell *cell;

	serving->row =
		AllocSetContextCreate(CurrentMemoryContext, "reservation ticket", ALLOCSET_SMALL_SIZES);
	serving->keep = CurrentMemoryContext;
	serving->expires_at = rsv_pool_hold_end(pool, pool->offer_ttl, serving->now);
	if (serving->lots != NULL)
		draw_lots(serving);
	else
		walk_line(serving);
	put_back(serving);
	foreach(cell, serving->departures)
		rsv_place_changed(pool->pool_id, lfirst(cell));
	MemoryContextDelete(serving->row);
	if (serving->served > 0)
		rsv_announce(pool);
}

/* A call looks by the way whether something is free for those who wait. */
int32
rsv_line_look(const RsvPool *pool, TimestampTz now)
{
	RsvServing serving = {.pool = pool, .now = now, .max = LOOK_TICKETS_MAX};

	if (!pool->lined || rsv_pool_closed(pool, now) != NULL || is_known_empty(pool, now))
		return 0;
	rsv_serve(&serving);
	return serving.served;
}

/*
 * For how many microseconds whoever frees what nobody waits for waits for those who
 * are joining. Who joins waits for those who free half as long, so one of the two sees
 * the other; and both are done before anybody looks for a deadlock, or the session's own
 * lock_timeout makes an error of it.
 */
int64
rsv_line_patience(void)
{
	int most = LockTimeout > 0 ? Min(DeadlockTimeout, LockTimeout) / 2 : DeadlockTimeout / 2;

	return Min(rsv_claim_wait_ms / PATIENCE_PART, most) * INT64CONST(1000);
}

/*
 * Something has come free: it is owed to the line, from now on. If nobody waits but
 * somebody is just joining, we give them a moment, because they may not have seen
 * what we freed.
 */
void
rsv_line_freed(const RsvPool *pool)
{
	TimestampTz now = GetCurrentTimestamp();
	bool again;

	/* whoever is changing the pool may be its first joiner */
	if ((!pool->lined && !rsv_pool_is_changing(pool)) || rsv_pool_closed(pool, now) != NULL)
		return;
	do
	{
		RsvServing serving = {.pool = pool, .now = now, .max = LOOK_TICKETS_MAX};

		rsv_serve(&serving);
		again = !serving.over && serving.joining.any && something_free(pool, now) &&
			wait_a_moment(&serving.joining);
	} while (again);
}

/*
 * All that one statement frees shares our patience: whoever gives many units back would
 * wait for as many moments. False: none is left.
 */
static bool
wait_a_moment(const RsvInFlight *joining)
{
	static TimestampTz statement = 0;
	static int64 left = 0;
	TimestampTz begin = GetCurrentTimestamp();
	bool waited;

	if (statement != GetCurrentStatementStartTimestamp())
	{
		statement = GetCurrentStatementStartTimestamp();
		left = rsv_line_patience();
	}
	waited = rsv_in_flight_wait(joining, begin + left);
	left -= GetCurrentTimestamp() - begin;
	return waited;
}

/* Then nobody need look at who waits. */
static bool
is_known_empty(const RsvPool *pool, TimestampTz now)
{
	if (pool->counted || pool->open)
		return false;
	rsv_layout_lock(RSV_AVAILABLE); /* so that the hints are about this file of it */
	return rsv_hint_nothing_free(pool->pool_id, now);
}

static bool
something_free(const RsvPool *pool, TimestampTz now)
{
	return pool->counted ? rsv_sum_available(pool, now) > 0 : rsv_count_to(pool, now, 1) > 0;
}

/*
 * Looks in up to so many pools that somebody waits for, those above *pool_id. Moves
 * it as rsv_sweep_holds does.
 */
void
rsv_line_sweep(int32 *pool_id, int32 pools)
{
	TimestampTz now = GetCurrentTimestamp();

	for (int32 i = 0; *pool_id < RSV_SWEPT && i < pools; i++)
	{
		RsvKey key = {BTGreaterStrategyNumber, F_INT4GT, Int32GetDatum(*pool_id)};
		Snapshot as_of = rsv_store_now();
		RsvTicket ticket = {.pool_id = RSV_SWEPT};
		RsvScan scan;
		RsvPool pool;
		bool whole;

		CHECK_FOR_INTERRUPTS();
		rsv_scan_begin(&scan, RSV_TICKET_LINE, as_of, &key, 1);
		if (rsv_scan_next(&scan))
			rsv_ticket_from_scan(&scan, &ticket);
		rsv_scan_end(&scan);
		*pool_id = ticket.pool_id;
		whole = *pool_id < RSV_SWEPT && rsv_pool_is_whole(*pool_id, as_of);
		rsv_store_forget(as_of);
		if (!whole)
			continue;
		rsv_pool_read(*pool_id, &pool);
		if (!pool.dropped)
			(void) rsv_line_look(&pool, now);
	}
}

/* In the order of the line: priority, then joining. */
static void
walk_line(RsvServing *serving)
{
	RsvKey key = {BTEqualStrategyNumber, F_INT4EQ, Int32GetDatum(serving->pool->pool_id)};
	RsvScan scan;

	rsv_scan_begin(&scan, RSV_TICKET_LINE, NULL, &key, 1);
	while (!serving->over && serving->served < serving->max && rsv_scan_next(&scan))
	{
		RsvTicket ticket;

		CHECK_FOR_INTERRUPTS();
		if (TransactionIdIsValid(scan.dirty.xmin))
			rsv_in_flight_add(&serving->joining, scan.dirty.xmin);
		if (TransactionIdIsValid(scan.holder))
			continue;
		MemoryContextSwitchTo(serving->row);
		rsv_ticket_from_scan(&scan, &ticket);
		serve(serving, &ticket);
		MemoryContextSwitchTo(serving->keep);
		MemoryContextReset(serving->row);
	}
	rsv_scan_end(&scan);
}

/* In the order of lots that were drawn: a ticket may have been served or left since. */
static void
draw_lots(RsvServing *serving)
{
	for (int32 i = 0; i < serving->nlots && !serving->over && serving->served < serving->max; i++)
	{
		RsvLot *lot = &serving->lots[i];
		RsvTicket ticket;
		RsvScan scan;
		bool waits;

		CHECK_FOR_INTERRUPTS();
		MemoryContextSwitchTo(serving->row);
		waits = rsv_scan_at(&scan, RSV_TICKET, &lot->tid) && !TransactionIdIsValid(scan.holder);
		if (waits)
			rsv_ticket_from_scan(&scan, &ticket);
		ticket.tid = lot->tid;
		rsv_scan_end(&scan);
		if (waits && ticket.state == RSV_TICKET_WAITING &&
			memcmp(&ticket.ticket_id, &lot->ticket_id, sizeof(pg_uuid_t)) == 0)
			serve(serving, &ticket);
		MemoryContextSwitchTo(serving->keep);
		MemoryContextReset(serving->row);
	}
}

/* Offers one ticket what it wants, if there is so much. */
static void
serve(RsvServing *serving, RsvTicket *ticket)
{
	const RsvPool *pool = serving->pool;
	int count = pool->counted ? 1 : (int) ticket->quantity;
	pg_uuid_t *claim_ids;
	Datum *elements;

	if (!gather(serving, ticket->quantity))
	{
		serving->over = serving->over || !pool->pass_over || ++serving->passed >= PASS_TICKETS_MAX;
		return;
	}
	claim_ids = palloc(sizeof(pg_uuid_t) * count);
	elements = palloc(sizeof(Datum) * count);
	for (int i = 0; i < count; i++)
	{
		rsv_identifier_make(&claim_ids[i], serving->now, pool->name);
		elements[i] = UUIDPGetDatum(&claim_ids[i]);
	}
	ticket->claim_ids = construct_array(elements, count, UUIDOID, UUID_LEN, false, TYPALIGN_CHAR);
	/* whoever was quicker has the ticket; what we have is for the next */
	if (rsv_ticket_change(ticket, RSV_TICKET_OFFERED, serving->now, false) != RSV_WRITTEN)
		return;
	give(serving, ticket, claim_ids, count);
	note_departure(serving, ticket);
	serving->served++;
}

/* Has so much in hand; or else the ticket does not fit, and over says if nothing is left. */
static bool
gather(RsvServing *serving, int64 wanted)
{
	int64 missing = wanted - serving->quantity;
	int64 available = 0;

	CommandCounterIncrement(); /* so that we can change again what we have changed */
	if (!serving->pool->counted)
		return gather_units(serving, (int32) wanted);
	if (missing > 0 &&
		rsv_draw(serving->pool, missing, RSV_DRAW_CLAIM, &serving->now, serving->now,
				 &available) != RSV_TAKEN)
	{
		serving->over = available == 0 && serving->quantity == 0;
		return false;
	}
	serving->quantity += Max(missing, 0);
	return true;
}

static bool
gather_units(RsvServing *serving, int32 wanted)
{
	const RsvPool *pool = serving->pool;
	int32 missing = wanted - serving->nnumbers;
	int64 available = 0;

	if (missing <= 0)
		return true;
	/* taking some and putting them back leaves dead rows: look first */
	if (missing > 1 && !pool->open)
	{
		available = rsv_count_to(pool, serving->now, missing);
		serving->over = available == 0 && serving->nnumbers == 0;
		if (available < missing)
			return false;
	}

	/* every walk passes what we took before, so each takes twice as much as the last */
	if (!pool->open)
		missing = Max(missing, Min(serving->batch, serving->max - serving->served));
	serving->batch = Min(missing, BATCH_UNITS_MAX) * 2;
	make_room(serving, serving->nnumbers + missing);
	if (rsv_supply_take(pool, missing, &serving->now, serving->now,
						serving->numbers + serving->nnumbers, &available, missing > 1) == RSV_TAKEN)
		available = missing;
	serving->nnumbers += (int32) available;
	serving->over = serving->nnumbers == 0;
	return serving->nnumbers >= wanted;
}

static void
make_room(RsvServing *serving, int32 numbers)
{
	MemoryContext row;

	if (numbers <= serving->room)
		return;
	row = MemoryContextSwitchTo(serving->keep);
	serving->numbers = serving->room == 0 ? palloc(sizeof(int32) * numbers)
										  : repalloc(serving->numbers, sizeof(int32) * numbers);
	serving->room = numbers;
	MemoryContextSwitchTo(row);
}

/* Writes the claims of a ticket's offer. */
static void
give(RsvServing *serving, const RsvTicket *ticket, const pg_uuid_t *claim_ids, int count)
{
	const RsvPool *pool = serving->pool;
	RsvPool current = *pool;
	RsvClaim claim = {
		.claimed_at = serving->now,
		.expires_at = serving->expires_at,
		.quantity = pool->counted ? ticket->quantity : 1,
		.pool_id = pool->pool_id,
		.numbered = !pool->counted,
		.state = RSV_HELD,
		.holder = ticket->holder,
	};

	(void) rsv_limit_look(&current);
	for (int i = 0; i < count; i++)
	{
		claim.claim_id = claim_ids[i];
		if (!pool->counted)
			claim.number = serving->numbers[i];
		rsv_claim_insert(&claim, &current);
		if (serving->answer != NULL)
			rsv_answer_row(serving->answer,
						   (Datum[]) {UUIDPGetDatum(&ticket->ticket_id),
									  PointerGetDatum(ticket->holder), UUIDPGetDatum(&claim_ids[i]),
									  Int32GetDatum(claim.number), Int64GetDatum(claim.quantity),
									  TimestampTzGetDatum(claim.expires_at)},
						   (bool[]) {false, false, false, pool->counted, false, false});
	}
	if (pool->counted)
		serving->quantity -= ticket->quantity;
	else
	{
		serving->nnumbers -= count;
		memmove(serving->numbers, serving->numbers + count, sizeof(int32) * serving->nnumbers);
	}
}

/* What was taken and nobody got is free again. */
static void
put_back(RsvServing *serving)
{
	RsvClaim nobody = {
		.pool_id = serving->pool->pool_id,
		.numbered = true,
		.state = RSV_RELEASED,
	};

	for (int32 i = 0; i < serving->nnumbers; i++)
	{
		nobody.number = serving->numbers[i];
		rsv_claim_free(&nobody, 1);
	}
	if (serving->quantity > 0)
		rsv_slot_give(serving->pool->pool_id, serving->quantity, 0);
	serving->nnumbers = 0;
	serving->quantity = 0;
}

/* Adds up how many of a thousand numbers, and of a priority, have stopped waiting. */
static void
note_departure(RsvServing *serving, const RsvTicket *ticket)
{
	int64 block = ticket->number / RSV_BLOCK_TICKETS;
	MemoryContext row = MemoryContextSwitchTo(serving->keep);
	RsvDeparture *departure = NULL;
	ListCell *cell;

	foreach(cell, serving->departures)
	{
		departure = lfirst(cell);
		if (departure->block == block && departure->priority == ticket->priority)
			break;
		departure = NULL;
	}
	if (departure == NULL)
	{
		departure = palloc0(sizeof(RsvDeparture));
		departure->block = block;
		departure->priority = ticket->priority;
		serving->departures = lcons(departure, serving->departures);
	}
	departure->tickets++;
	MemoryContextSwitchTo(row);
}
