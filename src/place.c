/*
 * place.c
 *	  Where a ticket stands in its line: how many wait before it.
 *
 * A line may have a million tickets. So that nobody counts all of them, the
 * numbers of a pool's tickets lie in blocks of a thousand, and once a block is
 * complete, somebody who joins counts it: a base, a few rows in line_block.
 * Whoever changes a ticket of a counted block adds a row with the change. What
 * waits in a block is the sum of its rows; blocks without a base are counted
 * ticket by ticket. The sums are made of committed rows like everything else, so
 * they are right in every snapshot.
 *
 * Invariant: a block with a base has rows that add up to the tickets that wait in
 * it. Whoever changes a ticket writes it first, then looks for a base, committed
 * or in flight. Whoever makes a base has a ticket behind the block, writes the base,
 * counts the tickets of the block, and then looks for changes: if any ticket is in
 * flight, or there is a change, nobody can say whether it was counted, and the base
 * is undone. So one of the two sees the other. Who joins need not look for a base
 * while nobody has drawn a number behind the block. Tickets are never deleted, so a
 * sequence that is made anew begins behind every base. A base never moves; it is
 * deleted when nobody waits in its block, and then the block is empty and quickly
 * counted.
 *
 * Locks: the rows written, without waiting.
 *
 * Memory: the caller's context; where this session joined last is static.
 */
#include "postgres.h"

#include "miscadmin.h"
#include "nodes/pg_list.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"

#include "reservation.h"

/* Columns of reservation.line_block */
enum
{
	BLOCK_POOL_ID,
	BLOCK_BLOCK,
	BLOCK_PRIORITY,
	BLOCK_WAITING,
	BLOCK_BASE,
	BLOCK_COLUMNS
};

/* Columns of the index ticket_line */
#define TICKET_NUMBER   3
#define TICKET_PRIORITY 7

/*
 * As often as this, in tickets, somebody looks whether blocks are complete; half of it
 * after the end of a block, when those who came last in it will have decided
 */
#define CLOSE_EVERY 250
/* The blocks before the current one that are looked at then */
#define CLOSE_BLOCKS 4
/* Changes of a block that are put together */
#define CHANGES_MAX 16
/* How far back this session's own count will do, and for how long */
#define ROUGH_FROM 1000
#define ROUGH_US   USECS_PER_SEC

/* A place as it is being counted. */
typedef struct Count
{
	int32 pool_id;
	int32 priority;
	int64 number;
	Snapshot as_of;
	List *priorities; /* those that wait, from the highest to this one; NIL: not asked yet */
	int64 ahead;
} Count;

typedef struct Closing
{
	int32 pool_id;
	int64 block;
} Closing;

/* Where this session's last ticket stood, and when that was counted. */
static struct
{
	int32 pool_id;
	int32 priority;
	int64 number;
	int64 place;
	TimestampTz at;
} last;

static void count_gap(Count *count, int64 from, int64 to);
static int64 count_tickets(const Count *count, int32 priority, int64 from, int64 to);
static List *list_priorities(int32 pool_id, int32 lowest, Snapshot as_of);
static void close_block(int32 pool_id, int64 block);
static bool write_base(void *argument);
static bool begin_base(const Closing *closing);
static bool call_roll(const Closing *closing, List **priorities, List **waiting);
static void write_row(int32 pool_id, int64 block, int32 priority, int64 waiting, bool base);
static void begin_block(RsvScan *scan, int32 pool_id, int64 block);
static bool has_row(int32 pool_id, int64 block, bool base);
static void tidy(int32 pool_id, const RsvDeparture *change);

/* 1 for who is next, as of a snapshot. The ticket itself need not wait. */
int64
rsv_place(const RsvTicket *ticket, Snapshot as_of)
{
	Count count = {
		.pool_id = ticket->pool_id,
		.priority = ticket->priority,
		.number = ticket->number,
		.as_of = as_of,
	};
	RsvKey key = {BTEqualStrategyNumber, F_INT4EQ, Int32GetDatum(ticket->pool_id)};
	int64 own = ticket->number / RSV_BLOCK_TICKETS;
	int64 gap = 0; /* everything below is counted */
	int64 block = -1;
	int64 sum = 0;
	bool based = false;
	bool found;
	RsvScan scan;

	rsv_scan_begin(&scan, RSV_LINE_BLOCK_PLACE, as_of, &key, 1);
	do
	{
		const Datum *values = scan.slot->tts_values;
		int64 next;

		found = rsv_scan_next(&scan);
		next = found ? DatumGetInt64(values[BLOCK_BLOCK]) : -1;
		if (next != block && based)
		{
			count_gap(&count, gap, block * RSV_BLOCK_TICKETS);
			count.ahead += sum;
			if (block == own)
				count.ahead +=
					count_tickets(&count, count.priority, own * RSV_BLOCK_TICKETS, ticket->number);
			gap = (block + 1) * RSV_BLOCK_TICKETS;
		}
		if (next != block)
		{
			block = next;
			sum = 0;
			based = false;
		}
		if (found)
		{
			int32 priority = DatumGetInt32(values[BLOCK_PRIORITY]);

			based = based || DatumGetBool(values[BLOCK_BASE]);
			if (priority > count.priority || (priority == count.priority && block < own))
				sum += DatumGetInt64(values[BLOCK_WAITING]);
		}
	} while (found);
	rsv_scan_end(&scan);
	count_gap(&count, gap, PG_INT64_MAX);
	return count.ahead + 1;
}

/*
 * After a ticket was inserted, with a number from the sequence: where does it stand?
 * Far back in the line, what this session counted within the last second will do,
 * with the numbers drawn since.
 */
int64
rsv_place_joined(const RsvTicket *ticket, Oid sequence)
{
	int64 block = ticket->number / RSV_BLOCK_TICKETS;
	RsvDeparture joined = {.block = block, .priority = ticket->priority, .tickets = -1};
	TimestampTz now = GetCurrentTimestamp();
	Snapshot as_of;

	if (rsv_sequence_reached(sequence, (block + 1) * RSV_BLOCK_TICKETS))
		rsv_place_changed(ticket->pool_id, &joined);
	if (ticket->number % CLOSE_EVERY == CLOSE_EVERY / 2)
	{
		for (int i = 1; i <= CLOSE_BLOCKS && block >= i; i++)
			close_block(ticket->pool_id, block - i);
	}
	if (last.pool_id == ticket->pool_id && last.priority == ticket->priority &&
		last.place >= ROUGH_FROM && last.number < ticket->number && now - last.at < ROUGH_US)
		return last.place + (ticket->number - last.number);

	as_of = rsv_store_now();
	last.pool_id = ticket->pool_id;
	last.priority = ticket->priority;
	last.number = ticket->number;
	last.place = rsv_place(ticket, as_of);
	last.at = now;
	rsv_store_forget(as_of);
	return last.place;
}

/* Tickets of a block have been changed: whoever has counted them must know. */
void
rsv_place_changed(int32 pool_id, const RsvDeparture *change)
{
	if (!has_row(pool_id, change->block, true))
		return;
	write_row(pool_id, change->block, change->priority, -change->tickets, false);
	tidy(pool_id, change);
}

/* Counts the tickets ahead with numbers from here to below there, one by one. */
static void
count_gap(Count *count, int64 from, int64 to)
{
	ListCell *cell;

	if (from >= to)
		return;
	if (count->priorities == NIL)
		count->priorities = list_priorities(count->pool_id, count->priority, count->as_of);
	foreach(cell, count->priorities)
	{
		int32 priority = lfirst_int(cell);

		count->ahead += count_tickets(count, priority, from,
									  priority == count->priority ? Min(to, count->number) : to);
	}
}

static int64
count_tickets(const Count *count, int32 priority, int64 from, int64 to)
{
	RsvKey keys[] = {
		{BTEqualStrategyNumber, F_INT4EQ, Int32GetDatum(count->pool_id)},
		{BTEqualStrategyNumber, F_INT4EQ, Int32GetDatum(priority)},
		{BTGreaterEqualStrategyNumber, F_INT8GE, Int64GetDatum(from)},
		{BTLessEqualStrategyNumber, F_INT8LE, Int64GetDatum(to - 1)},
	};
	int64 tickets = 0;
	RsvScan scan;

	if (from >= to)
		return 0;
	rsv_scan_begin(&scan, RSV_TICKET_LINE, count->as_of, keys, lengthof(keys));
	while (rsv_scan_pass(&scan))
		tickets++;
	rsv_scan_end(&scan);
	return tickets;
}

/* The priorities that wait, down to the lowest asked for; NULL: also those in flight. */
static List *
list_priorities(int32 pool_id, int32 lowest, Snapshot as_of)
{
	RsvKey keys[] = {
		{BTEqualStrategyNumber, F_INT4EQ, Int32GetDatum(pool_id)},
		{BTLessStrategyNumber, F_INT4LT, (Datum) 0},
	};
	List *priorities = NIL;
	bool found;

	do
	{
		RsvScan scan;

		CHECK_FOR_INTERRUPTS();
		rsv_scan_begin(&scan, RSV_TICKET_LINE, as_of, keys, priorities == NIL ? 1 : 2);
		found = rsv_scan_next(&scan);
		if (found)
		{
			int32 priority = DatumGetInt32(scan.slot->tts_values[TICKET_PRIORITY]);

			found = priority >= lowest;
			keys[1].value = Int32GetDatum(priority);
			if (found)
				priorities = lappend_int(priorities, priority);
		}
		rsv_scan_end(&scan);
	} while (found);
	return priorities;
}

/* Makes the base of a block, unless it has one or somebody is changing its tickets. */
static void
close_block(int32 pool_id, int64 block)
{
	Closing closing = {.pool_id = pool_id, .block = block};

	if (!has_row(pool_id, block, true))
		(void) rsv_attempt(write_base, &closing);
}

/*
 * The base is there, for those who look, before we call the roll. So whoever did not
 * see it had changed a ticket before that, and the roll tells; and of whoever did, and
 * had ended when the roll met the ticket, there is a change beside the base.
 */
static bool
write_base(void *argument)
{
	const Closing *closing = argument;
	List *priorities = NIL;
	List *waiting = NIL;

	if (!begin_base(closing) || !call_roll(closing, &priorities, &waiting) || priorities == NIL ||
		has_row(closing->pool_id, closing->block, false))
		return false;
	for (int i = 0; i < list_length(priorities); i++)
		write_row(closing->pool_id, closing->block, list_nth_int(priorities, i),
				  list_nth_int(waiting, i), true);
	return true;
}

/*
 * Takes the block for us to count, and removes changes that a base which was undone
 * has left behind. False if somebody else counts it, has done so, or is changing it.
 */
static bool
begin_base(const Closing *closing)
{
	const text *name = cstring_to_text("");
	bool alone = true;
	RsvScan scan;

	rsv_lock(RSV_LOCK_BLOCK, closing->pool_id, name);
	begin_block(&scan, closing->pool_id, closing->block);
	while (alone && rsv_scan_next(&scan))
	{
		TransactionId holder = scan.holder;

		alone = !DatumGetBool(scan.slot->tts_values[BLOCK_BASE]) && !TransactionIdIsValid(holder) &&
			rsv_store_delete(&scan, &holder) == RSV_WRITTEN;
	}
	rsv_scan_end(&scan);
	if (alone)
		write_row(closing->pool_id, closing->block, 0, 0, true);
	rsv_unlock(RSV_LOCK_BLOCK, closing->pool_id, name);
	return alone;
}

/* How many wait in a block, by priority; false if anybody is changing that. */
static bool
call_roll(const Closing *closing, List **priorities, List **waiting)
{
	ListCell *cell;

	foreach(cell, list_priorities(closing->pool_id, PG_INT32_MIN, NULL))
	{
		int64 first = closing->block * RSV_BLOCK_TICKETS;
		RsvKey keys[] = {
			{BTEqualStrategyNumber, F_INT4EQ, Int32GetDatum(closing->pool_id)},
			{BTEqualStrategyNumber, F_INT4EQ, Int32GetDatum(lfirst_int(cell))},
			{BTGreaterEqualStrategyNumber, F_INT8GE, Int64GetDatum(first)},
			{BTLessEqualStrategyNumber, F_INT8LE, Int64GetDatum(first + RSV_BLOCK_TICKETS - 1)},
		};
		bool quiet = true;
		int count = 0;
		RsvScan scan;

		rsv_scan_begin(&scan, RSV_TICKET_LINE, NULL, keys, lengthof(keys));
		while (quiet && rsv_scan_pass(&scan))
		{
			quiet = !TransactionIdIsValid(scan.holder);
			count++;
		}
		rsv_scan_end(&scan);
		if (!quiet)
			return false;
		if (count > 0)
		{
			*priorities = lappend_int(*priorities, lfirst_int(cell));
			*waiting = lappend_int(*waiting, count);
		}
	}
	return true;
}

static void
write_row(int32 pool_id, int64 block, int32 priority, int64 waiting, bool base)
{
	Datum values[] = {
		Int32GetDatum(pool_id),
		Int64GetDatum(block),
		Int32GetDatum(priority),
		Int64GetDatum(waiting),
		BoolGetDatum(base),
	};
	bool nulls[BLOCK_COLUMNS] = {false};

	rsv_store_insert(RSV_LINE_BLOCK, values, nulls);
}

/* Stands a scan before the rows of a block, those in flight included. */
static void
begin_block(RsvScan *scan, int32 pool_id, int64 block)
{
	RsvKey keys[] = {
		{BTEqualStrategyNumber, F_INT4EQ, Int32GetDatum(pool_id)},
		{BTEqualStrategyNumber, F_INT8EQ, Int64GetDatum(block)},
	};

	rsv_scan_begin(scan, RSV_LINE_BLOCK_PLACE, NULL, keys, lengthof(keys));
}

/* Has a block a base, or else a change? */
static bool
has_row(int32 pool_id, int64 block, bool base)
{
	bool found = false;
	RsvScan scan;

	begin_block(&scan, pool_id, block);
	while (!found && rsv_scan_next(&scan))
		found = DatumGetBool(scan.slot->tts_values[BLOCK_BASE]) == base;
	rsv_scan_end(&scan);
	return found;
}

/*
 * Puts the changes of a block together if there are many, or deletes all of its rows
 * if nobody waits in it any more. What somebody else has his hand on is left.
 */
static void
tidy(int32 pool_id, const RsvDeparture *change)
{
	int64 waiting = 0;
	int64 sum = 0;
	int changes = 0;
	bool quiet = true;
	bool all;
	RsvScan scan;

	begin_block(&scan, pool_id, change->block);
	while (quiet && rsv_scan_next(&scan))
	{
		quiet = !TransactionIdIsValid(scan.holder);
		waiting += DatumGetInt64(scan.slot->tts_values[BLOCK_WAITING]);
		changes += DatumGetBool(scan.slot->tts_values[BLOCK_BASE]) ? 0 : 1;
	}
	rsv_scan_end(&scan);
	all = waiting == 0;
	if (!quiet || !(all || changes > CHANGES_MAX))
		return;

	begin_block(&scan, pool_id, change->block);
	while (rsv_scan_next(&scan))
	{
		const Datum *values = scan.slot->tts_values;
		TransactionId holder = scan.holder;

		if (!all &&
			(DatumGetBool(values[BLOCK_BASE]) ||
			 DatumGetInt32(values[BLOCK_PRIORITY]) != change->priority))
			continue;
		if (!TransactionIdIsValid(holder) && rsv_store_delete(&scan, &holder) == RSV_WRITTEN)
			sum += DatumGetInt64(values[BLOCK_WAITING]);
	}
	rsv_scan_end(&scan);
	if (!all && sum != 0)
		write_row(pool_id, change->block, change->priority, sum, false);
}
