/*
 * ticket.c
 *	  Tickets of waiting lines: rows of reservation.ticket.
 *
 *		waiting ----> offered ----> ended (its holder has joined again)
 *		   |             |
 *		   `------------>`--------> left
 *
 * What became of an offer is in its claims; the ticket keeps which these are.
 *
 * Invariant: a ticket that waits has no claims; one that was offered has claims
 * for exactly what it asked for. Both are written in one transaction, so a ticket
 * is served once, and one whose server dies waits where it was. The unique index
 * ticket_holder lets a holder stand in a line once.
 *
 * A change is a compare-and-set on the row version that was read. A ticket that
 * has stopped waiting is taken off the count of its thousand (place.c).
 *
 * Memory: what is read lives in the caller's context.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "common/int.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"

#include "reservation.h"

/* Columns of reservation.ticket */
enum
{
	TICKET_TICKET_ID,
	TICKET_JOINED_AT,
	TICKET_SETTLED_AT,
	TICKET_NUMBER,
	TICKET_QUANTITY,
	TICKET_POSITION,
	TICKET_POOL_ID,
	TICKET_PRIORITY,
	TICKET_STEP,
	TICKET_STATE,
	TICKET_ACTOR,
	TICKET_HOLDER,
	TICKET_CLAIM_IDS,
	TICKET_COLUMNS
};

static const char *const state_names[] = {
	[RSV_TICKET_WAITING] = "waiting",
	[RSV_TICKET_OFFERED] = "offered",
	[RSV_TICKET_LEFT] = "left",
	[RSV_TICKET_ENDED] = "ended",
};

static RsvTicketState state_from_text(Datum value);
static bool anybody_stays(const RsvKey *key, RsvInFlight *leaving);
static void to_row(const RsvTicket *ticket, Datum *values, bool *nulls);

/* Reads the ticket that a scan stands on. Texts and arrays are copied. */
void
rsv_ticket_from_scan(RsvScan *scan, RsvTicket *ticket)
{
	const Datum *values = scan->slot->tts_values;
	const bool *nulls = scan->slot->tts_isnull;

	ticket->tid = scan->slot->tts_tid;
	ticket->ticket_id = *DatumGetUUIDP(values[TICKET_TICKET_ID]);
	ticket->joined_at = DatumGetTimestampTz(values[TICKET_JOINED_AT]);
	ticket->settled_at =
		nulls[TICKET_SETTLED_AT] ? 0 : DatumGetTimestampTz(values[TICKET_SETTLED_AT]);
	ticket->number = DatumGetInt64(values[TICKET_NUMBER]);
	ticket->quantity = DatumGetInt64(values[TICKET_QUANTITY]);
	ticket->stamp.position = DatumGetInt64(values[TICKET_POSITION]);
	ticket->stamp.step = DatumGetInt32(values[TICKET_STEP]);
	ticket->stamp.actor = DatumGetTextPCopy(values[TICKET_ACTOR]);
	ticket->pool_id = DatumGetInt32(values[TICKET_POOL_ID]);
	ticket->priority = DatumGetInt32(values[TICKET_PRIORITY]);
	ticket->state = state_from_text(values[TICKET_STATE]);
	ticket->holder = DatumGetTextPCopy(values[TICKET_HOLDER]);
	ticket->claim_ids =
		nulls[TICKET_CLAIM_IDS] ? NULL : DatumGetArrayTypePCopy(values[TICKET_CLAIM_IDS]);
}

/* Reads a ticket by its id; false if there is none. */
bool
rsv_ticket_read(const pg_uuid_t *ticket_id, Snapshot as_of, RsvTicket *ticket)
{
	RsvKey key = {BTEqualStrategyNumber, F_UUID_EQ, UUIDPGetDatum(ticket_id)};
	RsvScan scan;
	bool found;

	rsv_scan_begin(&scan, RSV_TICKET_PKEY, as_of, &key, 1);
	found = rsv_scan_next(&scan);
	if (found)
		rsv_ticket_from_scan(&scan, ticket);
	rsv_scan_end(&scan);
	return found;
}

/*
 * The ticket with which a holder stands in line, or was made an offer; not if
 * another transaction has not decided that yet: that is *in_flight.
 */
bool
rsv_ticket_of_holder(const RsvPool *pool, const text *holder, RsvTicket *ticket,
					 RsvInFlight *in_flight)
{
	RsvKey keys[] = {
		{BTEqualStrategyNumber, F_TEXTEQ, PointerGetDatum(holder)},
		{BTEqualStrategyNumber, F_INT4EQ, Int32GetDatum(pool->pool_id)},
	};
	RsvScan scan;
	bool found = rsv_scan_find(&scan, RSV_TICKET_HOLDER, keys, lengthof(keys));

	if (found && TransactionIdIsValid(scan.holder))
		rsv_in_flight_add(in_flight, scan.holder);
	else if (found)
		rsv_ticket_from_scan(&scan, ticket);
	rsv_scan_end(&scan);
	return found && !in_flight->any;
}

/* How much a holder waits for, which counts for per_holder. */
int64
rsv_ticket_wanted(const RsvPool *pool, const text *holder, Snapshot as_of)
{
	RsvKey keys[] = {
		{BTEqualStrategyNumber, F_TEXTEQ, PointerGetDatum(holder)},
		{BTEqualStrategyNumber, F_INT4EQ, Int32GetDatum(pool->pool_id)},
	};
	RsvTicket ticket = {.state = RSV_TICKET_ENDED};
	RsvScan scan;

	if (!pool->lined)
		return 0;
	rsv_scan_begin(&scan, RSV_TICKET_HOLDER, as_of, keys, lengthof(keys));
	if (rsv_scan_next(&scan))
		rsv_ticket_from_scan(&scan, &ticket);
	rsv_scan_end(&scan);
	return ticket.state == RSV_TICKET_WAITING ? ticket.quantity : 0;
}

/*
 * Does anybody wait? Looks from the end of the line, where those have joined last
 * whom nobody has served yet. leaving, unless NULL: if unfinished transactions serve all
 * who do, or let them leave, these transactions.
 */
bool
rsv_ticket_waits(int32 pool_id, RsvInFlight *leaving)
{
	RsvKey key = {BTEqualStrategyNumber, F_INT4EQ, Int32GetDatum(pool_id)};
	bool found;
	bool stays = leaving == NULL;

	do
	{
		Snapshot as_of = rsv_store_now();
		ItemPointerData tid;
		RsvScan scan;

		CHECK_FOR_INTERRUPTS();
		rsv_scan_begin(&scan, RSV_TICKET_LINE, as_of, &key, 1);
		scan.direction = BackwardScanDirection;
		found = rsv_scan_next(&scan);
		tid = scan.slot->tts_tid;
		rsv_scan_end(&scan);
		rsv_store_forget(as_of);
		if (found && !stays)
			stays = rsv_scan_stands(RSV_TICKET, &tid) || anybody_stays(&key, leaving);
	} while (found && !stays && !leaving->any);
	return found;
}

/* Does anybody wait whom nobody is serving? *leaving: else, who is. */
static bool
anybody_stays(const RsvKey *key, RsvInFlight *leaving)
{
	bool stays = false;
	RsvScan scan;

	rsv_scan_begin(&scan, RSV_TICKET_LINE, NULL, key, 1);
	scan.direction = BackwardScanDirection;
	while (!stays && rsv_scan_pass(&scan))
	{
		if (TransactionIdIsValid(scan.dirty.xmin))
			continue; /* is only joining */
		stays = !TransactionIdIsValid(scan.holder);
		if (!stays)
			rsv_in_flight_add(leaving, scan.holder);
	}
	rsv_scan_end(&scan);
	if (stays)
		*leaving = (RsvInFlight) {0};
	return stays;
}

/* Writes a new ticket. Afterwards, rsv_place_changed. */
void
rsv_ticket_insert(RsvTicket *ticket)
{
	Datum values[TICKET_COLUMNS];
	bool nulls[TICKET_COLUMNS];

	rsv_event_stamp(&ticket->stamp);
	to_row(ticket, values, nulls);
	rsv_store_insert(RSV_TICKET, values, nulls);
}

/*
 * Moves the ticket to a state, with whatever else the caller has changed in it.
 * Unless RSV_WRITTEN, nothing was.
 */
RsvWrite
rsv_ticket_change(RsvTicket *ticket, RsvTicketState state, TimestampTz now, bool wait)
{
	Datum values[TICKET_COLUMNS];
	bool nulls[TICKET_COLUMNS];
	TransactionId holder;
	RsvWrite result;

	Assert(state != RSV_TICKET_WAITING);
	if (ticket->state == RSV_TICKET_WAITING)
		ticket->settled_at = now;
	ticket->state = state;
	to_row(ticket, values, nulls);
	result = rsv_store_update(RSV_TICKET, &ticket->tid, values, nulls, wait, &holder);
	if (result == RSV_WRITTEN)
		rsv_chronicle_ticket(ticket, state_names[state], now);
	return result;
}

/* The claims of the ticket's offer, and how many. */
int
rsv_ticket_claims(const RsvTicket *ticket, pg_uuid_t **claim_ids)
{
	Datum *elements;
	int count;

	if (ticket->claim_ids == NULL)
		return 0;
	deconstruct_array(ticket->claim_ids, UUIDOID, UUID_LEN, false, TYPALIGN_CHAR, &elements, NULL,
					  &count);
	*claim_ids = palloc(sizeof(pg_uuid_t) * count);
	for (int i = 0; i < count; i++)
		(*claim_ids)[i] = *DatumGetUUIDP(elements[i]);
	return count;
}

static RsvTicketState
state_from_text(Datum value)
{
	text *name = DatumGetTextPP(value);

	for (int i = 0; i < (int) lengthof(state_names); i++)
	{
		if (VARSIZE_ANY_EXHDR(name) == strlen(state_names[i]) &&
			memcmp(VARDATA_ANY(name), state_names[i], VARSIZE_ANY_EXHDR(name)) == 0)
			return (RsvTicketState) i;
	}
	elog(ERROR, "unknown ticket state \"%s\"", text_to_cstring(name));
	return RSV_TICKET_WAITING; /* keep the compiler quiet */
}

static void
to_row(const RsvTicket *ticket, Datum *values, bool *nulls)
{
	memset(nulls, 0, sizeof(bool) * TICKET_COLUMNS);
	values[TICKET_TICKET_ID] = UUIDPGetDatum(&ticket->ticket_id);
	values[TICKET_JOINED_AT] = TimestampTzGetDatum(ticket->joined_at);
	values[TICKET_SETTLED_AT] = TimestampTzGetDatum(ticket->settled_at);
	nulls[TICKET_SETTLED_AT] = ticket->state == RSV_TICKET_WAITING;
	values[TICKET_NUMBER] = Int64GetDatum(ticket->number);
	values[TICKET_QUANTITY] = Int64GetDatum(ticket->quantity);
	values[TICKET_POSITION] = Int64GetDatum(ticket->stamp.position);
	values[TICKET_STEP] = Int32GetDatum(ticket->stamp.step);
	values[TICKET_ACTOR] = PointerGetDatum(ticket->stamp.actor);
	values[TICKET_POOL_ID] = Int32GetDatum(ticket->pool_id);
	values[TICKET_PRIORITY] = Int32GetDatum(ticket->priority);
	values[TICKET_STATE] = CStringGetTextDatum(state_names[ticket->state]);
	values[TICKET_HOLDER] = PointerGetDatum(ticket->holder);
	values[TICKET_CLAIM_IDS] = PointerGetDatum(ticket->claim_ids);
	nulls[TICKET_CLAIM_IDS] = ticket->claim_ids == NULL;
}
