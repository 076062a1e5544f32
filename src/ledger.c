/*
 * ledger.c
 *	  The books: rows of reservation.claim, of available, and of the log.
 *
 *		held ----> finalized ----> refunded
 *		  |  \
 *		  |   `--> lapsed --(late finalize, if nobody took the unit)--> finalized
 *		  `------> released
 *
 * Invariant: a unit is free (a row in available) or live (a claim held or
 * finalized), never both, never neither. Whoever takes a claim out of these two
 * states inserts the free row in the same transaction, or claims the unit anew.
 *
 * A change of a claim is a compare-and-set on the row version that was read: no
 * lock is taken beforehand, and RSV_CHANGED means read again.
 */
#include "postgres.h"

#include "utils/builtins.h"
#include "utils/fmgroids.h"

#include "reservation.h"

/* Columns of reservation.claim */
enum
{
	CLAIM_CLAIM_ID,
	CLAIM_CLAIMED_AT,
	CLAIM_EXPIRES_AT,
	CLAIM_FINALIZED_AT,
	CLAIM_QUANTITY,
	CLAIM_POSITION,
	CLAIM_POOL_ID,
	CLAIM_NUMBER,
	CLAIM_STEP,
	CLAIM_STATE,
	CLAIM_ACTOR,
	CLAIM_HOLDER,
	CLAIM_REQUEST_ID,
	CLAIM_BY_HOLDER,
	CLAIM_TAKEN,
	CLAIM_REFUNDED,
	CLAIM_COLUMNS
};

/* Columns of reservation.log */
enum
{
	LOG_AT,
	LOG_POSITION,
	LOG_STEP,
	LOG_POOL_ID,
	LOG_CLAIM_ID,
	LOG_CHECKOUT_ID,
	LOG_QUANTITY,
	LOG_KIND,
	LOG_EVENT,
	LOG_ACTOR,
	LOG_REQUEST_ID,
	LOG_REASON,
	LOG_CHANGE,
	LOG_DETAILS,
	LOG_COLUMNS
};

static const char *const state_names[] = {
	[RSV_HELD] = "held",
	[RSV_FINALIZED] = "finalized",
	[RSV_RELEASED] = "released",
	[RSV_LAPSED] = "lapsed",
	[RSV_REFUNDED] = "refunded",
};

static bool read_claim(RsvIndex index, const pg_uuid_t *claim_id, Snapshot as_of, RsvClaim *claim);
static RsvState state_from_text(Datum value);
static void claim_to_row(const RsvClaim *claim, Datum *values, bool *nulls);

/* Reads the claim that a scan stands on. The texts are copied. */
void
rsv_claim_from_scan(RsvScan *scan, RsvClaim *claim)
{
	const Datum *values = scan->slot->tts_values;
	const bool *nulls = scan->slot->tts_isnull;

	claim->tid = scan->slot->tts_tid;
	claim->archived = false;
	claim->claim_id = *DatumGetUUIDP(values[CLAIM_CLAIM_ID]);
	claim->claimed_at = DatumGetTimestampTz(values[CLAIM_CLAIMED_AT]);
	claim->expires_at = DatumGetTimestampTz(values[CLAIM_EXPIRES_AT]);
	claim->finalized_at =
		nulls[CLAIM_FINALIZED_AT] ? 0 : DatumGetTimestampTz(values[CLAIM_FINALIZED_AT]);
	claim->quantity = DatumGetInt64(values[CLAIM_QUANTITY]);
	claim->stamp.position = DatumGetInt64(values[CLAIM_POSITION]);
	claim->stamp.step = DatumGetInt32(values[CLAIM_STEP]);
	claim->stamp.actor = DatumGetTextPCopy(values[CLAIM_ACTOR]);
	claim->pool_id = DatumGetInt32(values[CLAIM_POOL_ID]);
	claim->numbered = !nulls[CLAIM_NUMBER];
	claim->number = claim->numbered ? DatumGetInt32(values[CLAIM_NUMBER]) : 0;
	claim->state = state_from_text(values[CLAIM_STATE]);
	claim->holder = DatumGetTextPCopy(values[CLAIM_HOLDER]);
	claim->request_id =
		nulls[CLAIM_REQUEST_ID] ? NULL : DatumGetTextPCopy(values[CLAIM_REQUEST_ID]);
	claim->by_holder = DatumGetBool(values[CLAIM_BY_HOLDER]);
	claim->taken = nulls[CLAIM_TAKEN] ? 0 : DatumGetInt64(values[CLAIM_TAKEN]);
	claim->refunded = nulls[CLAIM_REFUNDED] ? 0 : DatumGetInt64(values[CLAIM_REFUNDED]);
}

/* Of the claim that a scan stands on, this alone: nothing is copied. */
TimestampTz
rsv_claim_expires_at(const RsvScan *scan)
{
	return DatumGetTimestampTz(scan->slot->tts_values[CLAIM_EXPIRES_AT]);
}

int64
rsv_claim_quantity(const RsvScan *scan)
{
	return DatumGetInt64(scan->slot->tts_values[CLAIM_QUANTITY]);
}

/* Reads a claim by its id; false if it is archived, or was never made. */
bool
rsv_claim_read(const pg_uuid_t *claim_id, Snapshot as_of, RsvClaim *claim)
{
	return read_claim(RSV_CLAIM_PKEY, claim_id, as_of, claim);
}

/* The same, wherever it lies: for those who change nothing. */
bool
rsv_claim_find(const pg_uuid_t *claim_id, Snapshot as_of, RsvClaim *claim)
{
	return rsv_claim_read(claim_id, as_of, claim) ||
		read_claim(RSV_ARCHIVE_PKEY, claim_id, as_of, claim);
}

/* Waits for whoever is changing a claim, and locks its row. */
void
rsv_claim_lock(const pg_uuid_t *claim_id)
{
	RsvKey key = {BTEqualStrategyNumber, F_UUID_EQ, UUIDPGetDatum(claim_id)};
	Snapshot now = rsv_store_now();
	RsvScan scan;

	rsv_scan_begin(&scan, RSV_CLAIM_PKEY, now, &key, 1);
	if (rsv_scan_next(&scan))
		(void) rsv_scan_lock(&scan);
	rsv_scan_end(&scan);
	rsv_store_forget(now);
}

static bool
read_claim(RsvIndex index, const pg_uuid_t *claim_id, Snapshot as_of, RsvClaim *claim)
{
	RsvKey key = {BTEqualStrategyNumber, F_UUID_EQ, UUIDPGetDatum(claim_id)};
	RsvScan scan;
	bool found;

	rsv_scan_begin(&scan, index, as_of, &key, 1);
	found = rsv_scan_next(&scan);
	if (found)
		rsv_claim_from_scan(&scan, claim);
	rsv_scan_end(&scan);
	return found;
}

/* Writes a new claim. Before it, rsv_limit_look. */
void
rsv_claim_insert(RsvClaim *claim, const RsvPool *pool)
{
	Datum values[CLAIM_COLUMNS];
	bool nulls[CLAIM_COLUMNS];

	Assert(claim->pool_id == pool->pool_id);
	Assert(pool->looked_again);
	claim->by_holder = claim->by_holder || pool->counts;
	rsv_event_stamp(&claim->stamp);
	claim_to_row(claim, values, nulls);
	rsv_store_insert(RSV_CLAIM, values, nulls);
	if (claim->state == RSV_HELD)
		rsv_hint_held(claim->pool_id, claim->expires_at, true);
}

/*
 * Moves the claim to a state, with whatever else the caller has changed in it.
 * On RSV_BUSY and RSV_CHANGED nothing was written.
 */
RsvWrite
rsv_claim_change(RsvClaim *claim, RsvState state, bool wait, TransactionId *holder)
{
	Datum values[CLAIM_COLUMNS];
	bool nulls[CLAIM_COLUMNS];
	RsvWrite result;

	if (claim->archived)
		elog(ERROR, "an archived claim cannot be changed where it is");
	claim->state = state;
	claim_to_row(claim, values, nulls);
	rsv_touch_hold(claim->pool_id);
	result = rsv_store_update(RSV_CLAIM, &claim->tid, values, nulls, wait, holder);
	if (result == RSV_WRITTEN && state == RSV_HELD)
		rsv_hint_held(claim->pool_id, claim->expires_at, false);
	return result;
}

/* Appends to the log. */
void
rsv_log(const RsvEntry *entry)
{
	Datum values[LOG_COLUMNS];
	bool nulls[LOG_COLUMNS] = {false};
	const char *kind = entry->claim_id != NULL ? "claim" : "pool";
	RsvStamp stamp;

	rsv_event_stamp(&stamp);
	values[LOG_AT] = TimestampTzGetDatum(entry->at);
	values[LOG_POSITION] = Int64GetDatum(stamp.position);
	values[LOG_STEP] = Int32GetDatum(stamp.step);
	values[LOG_POOL_ID] = Int32GetDatum(entry->pool_id);
	nulls[LOG_POOL_ID] = entry->pool_id == 0;
	values[LOG_CLAIM_ID] = UUIDPGetDatum(entry->claim_id);
	nulls[LOG_CLAIM_ID] = entry->claim_id == NULL;
	values[LOG_CHECKOUT_ID] = UUIDPGetDatum(entry->checkout_id);
	nulls[LOG_CHECKOUT_ID] = entry->checkout_id == NULL;
	values[LOG_QUANTITY] = Int64GetDatum(entry->quantity);
	values[LOG_KIND] = CStringGetTextDatum(entry->kind != NULL ? entry->kind : kind);
	values[LOG_EVENT] = CStringGetTextDatum(entry->event);
	values[LOG_ACTOR] = PointerGetDatum(stamp.actor);
	values[LOG_REQUEST_ID] = PointerGetDatum(entry->request_id);
	nulls[LOG_REQUEST_ID] = entry->request_id == NULL;
	values[LOG_REASON] = PointerGetDatum(entry->reason);
	nulls[LOG_REASON] = entry->reason == NULL;
	values[LOG_CHANGE] = Int64GetDatum(entry->change);
	nulls[LOG_CHANGE] = !entry->counted;
	values[LOG_DETAILS] = entry->details;
	nulls[LOG_DETAILS] = entry->details == (Datum) 0;
	rsv_store_insert(RSV_LOG, values, nulls);
}

/*
 * Ends a hold whose time is over. The unit is now the caller's to claim or to
 * give back. Never waits.
 */
RsvWrite
rsv_claim_lapse(RsvClaim *claim, TimestampTz now, TransactionId *holder)
{
	RsvWrite result;

	Assert(claim->state == RSV_HELD);
	Assert(claim->expires_at <= now);
	result = rsv_claim_change(claim, RSV_LAPSED, false, holder);
	if (result == RSV_WRITTEN)
	{
		rsv_log(&(RsvEntry) {
			.at = now,
			.pool_id = claim->pool_id,
			.claim_id = &claim->claim_id,
			.quantity = claim->quantity,
			.change = claim->quantity,
			.counted = !claim->numbered,
			.event = "lapsed",
		});
		rsv_stats_add(claim->pool_id, RSV_COUNT_LAPSES, 1);
	}
	return result;
}

/*
 * Makes the unit of a claim that has just ended free again, or so many units of a
 * counted pool.
 */
void
rsv_claim_free(const RsvClaim *claim, int64 quantity)
{
	Datum values[] = {Int32GetDatum(claim->pool_id), Int32GetDatum(claim->number)};
	bool nulls[] = {false, false};

	if (!claim->numbered)
	{
		rsv_slot_give(claim->pool_id, quantity, 0);
		return;
	}
	Assert(claim->state != RSV_HELD);
	Assert(claim->state != RSV_FINALIZED);
	Assert(quantity == 1);
	rsv_store_insert(RSV_AVAILABLE, values, nulls);
	rsv_touch_freed(claim->pool_id, claim->number, false);
}

static RsvState
state_from_text(Datum value)
{
	text *name = DatumGetTextPP(value);

	for (int i = 0; i < (int) lengthof(state_names); i++)
	{
		if (VARSIZE_ANY_EXHDR(name) == strlen(state_names[i]) &&
			memcmp(VARDATA_ANY(name), state_names[i], VARSIZE_ANY_EXHDR(name)) == 0)
			return (RsvState) i;
	}
	elog(ERROR, "unknown claim state \"%s\"", text_to_cstring(name));
	return RSV_HELD; /* keep the compiler quiet */
}

static void
claim_to_row(const RsvClaim *claim, Datum *values, bool *nulls)
{
	bool finalized = claim->state == RSV_FINALIZED || claim->state == RSV_REFUNDED;

	memset(nulls, 0, sizeof(bool) * CLAIM_COLUMNS);
	values[CLAIM_CLAIM_ID] = UUIDPGetDatum(&claim->claim_id);
	values[CLAIM_CLAIMED_AT] = TimestampTzGetDatum(claim->claimed_at);
	values[CLAIM_EXPIRES_AT] = TimestampTzGetDatum(claim->expires_at);
	values[CLAIM_FINALIZED_AT] = TimestampTzGetDatum(claim->finalized_at);
	nulls[CLAIM_FINALIZED_AT] = !finalized;
	values[CLAIM_QUANTITY] = Int64GetDatum(claim->quantity);
	values[CLAIM_POSITION] = Int64GetDatum(claim->stamp.position);
	values[CLAIM_POOL_ID] = Int32GetDatum(claim->pool_id);
	values[CLAIM_NUMBER] = Int32GetDatum(claim->number);
	nulls[CLAIM_NUMBER] = !claim->numbered;
	values[CLAIM_STEP] = Int32GetDatum(claim->stamp.step);
	values[CLAIM_STATE] = CStringGetTextDatum(state_names[claim->state]);
	values[CLAIM_ACTOR] = PointerGetDatum(claim->stamp.actor);
	values[CLAIM_HOLDER] = PointerGetDatum(claim->holder);
	values[CLAIM_REQUEST_ID] = PointerGetDatum(claim->request_id);
	nulls[CLAIM_REQUEST_ID] = claim->request_id == NULL;
	values[CLAIM_BY_HOLDER] = BoolGetDatum(claim->by_holder);
	values[CLAIM_TAKEN] = Int64GetDatum(claim->taken);
	nulls[CLAIM_TAKEN] = claim->taken == 0;
	values[CLAIM_REFUNDED] = Int64GetDatum(claim->refunded);
	nulls[CLAIM_REFUNDED] = claim->refunded == 0;
}
