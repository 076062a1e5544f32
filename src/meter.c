/*
 * meter.c
 *	  Meters of rate limits in the table reservation.rate, for servers without
 *	  shared_preload_libraries.
 *
 * The table has the shape of the shared memory (cell.c), and the same rule of
 * what is forgotten: METER_BUCKETS buckets of at most RSV_RATE_WAYS rows each.
 * A limit without a row takes over that which is idle, or becomes so first. So
 * no choice of keys makes the table larger than that, and no job has to clean
 * it. Only a row's content changes, never its key, so updates are HOT. Unlogged:
 * a crash empties it, and a standby has nothing in it.
 *
 * A row belongs to the transaction that changed it until that ends: calls on one
 * limit wait for each other, and a rollback gives back what was spent.
 *
 * Invariant: a limit has one row. Who finds none takes the lock of the bucket,
 * looks again, and only then takes a row; who finds one replaces the version
 * that it read, or reads again. A refusal needs no lock: what is committed is
 * spent, and an unfinished transaction can only have spent more.
 *
 * Locks: the lock of the bucket by hash (lock.c), for a limit that has no row
 * yet, to the end of the transaction; then its row.
 */
#include "postgres.h"

#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"

#include "rate.h"

/* The same in every session and after every restart, because rows stay where they are. */
#define METER_BUCKETS 65536

/* Columns of reservation.rate */
enum
{
	RATE_BUCKET,
	RATE_WAY,
	RATE_DIGEST,
	RATE_IDLE_AT,
	RATE_FRACTION,
	RATE_COLUMNS
};

/* The row of a limit, or the one that it can have. */
typedef struct Row
{
	int32 bucket;
	int32 way;
	bool exists;
	bool known; /* it is this limit's */
	RsvMeter meter;
	ItemPointerData tid;
} Row;

static bool wait_for(const RsvPool *pool, TransactionId holder, TimestampTz deadline);
static bool lock_bucket(int32 bucket, const RsvPool *pool, TimestampTz deadline);
static void find_row(const RsvSpend *spend, Row *row);
static RsvWrite write_row(const RsvSpend *spend, Row *row, bool wait, TransactionId *holder);

/*
 * Decides, and writes the meter down. With a pool it waits until the deadline at
 * the latest: false if that was too short.
 */
bool
rsv_meter_spend(RsvSpend *spend, const RsvPool *pool, TimestampTz deadline)
{
	bool locked = false;
	Row row;

	for (;;)
	{
		TransactionId holder;
		RsvWrite written;

		CHECK_FOR_INTERRUPTS();
		find_row(spend, &row);
		spend->now = GetCurrentTimestamp();
		spend->meter = row.known ? row.meter : RSV_METER_IDLE;
		if (!rsv_gcra_spend(spend) || (!row.known && spend->spending != RSV_SPEND))
			return true;
		if (!row.known && !locked)
		{
			if (!lock_bucket(row.bucket, pool, deadline))
				return false;
			locked = true;
			continue;
		}
		written = write_row(spend, &row, pool == NULL, &holder);
		if (written == RSV_WRITTEN)
			return true;
		if (written == RSV_BUSY && !wait_for(pool, holder, deadline))
			return false;
	}
}

/* Waits for whoever has the row, with the patience of a claim. */
static bool
wait_for(const RsvPool *pool, TransactionId holder, TimestampTz deadline)
{
	RsvInFlight in_flight = {0};
	TimestampTz now = GetCurrentTimestamp();

	rsv_in_flight_add(&in_flight, holder);
	return rsv_supply_wait(pool, &in_flight, deadline, &now);
}

static bool
lock_bucket(int32 bucket, const RsvPool *pool, TimestampTz deadline)
{
	const text *name = cstring_to_text("rate");

	if (pool != NULL)
		return rsv_lock_until(RSV_LOCK_RATE, bucket, name, deadline);
	rsv_lock(RSV_LOCK_RATE, bucket, name);
	return true;
}

/* Finds the row of a limit; if it has none, a free place, or the row that is idle first. */
static void
find_row(const RsvSpend *spend, Row *row)
{
	uint64 hash;
	RsvKey key = {BTEqualStrategyNumber, F_INT4EQ, (Datum) 0};
	Snapshot as_of = rsv_store_now();
	bool taken[RSV_RATE_WAYS] = {false};
	int rows = 0;
	RsvScan scan;

	memcpy(&hash, spend->digest, sizeof(hash));
	*row = (Row) {.bucket = (int32) (hash % METER_BUCKETS)};
	key.value = Int32GetDatum(row->bucket);
	rsv_scan_begin(&scan, RSV_RATE_PKEY, as_of, &key, 1);
	while (!row->known && rsv_scan_next(&scan))
	{
		Datum *values = scan.slot->tts_values;
		TimestampTz idle_at = DatumGetTimestampTz(values[RATE_IDLE_AT]);

		row->known = memcmp(DatumGetUUIDP(values[RATE_DIGEST])->data, spend->digest,
							RSV_RATE_DIGEST_BYTES) == 0;
		if (row->known || rows++ == 0 || idle_at < row->meter.idle_at)
		{
			row->way = DatumGetInt32(values[RATE_WAY]);
			row->meter = (RsvMeter) {idle_at, DatumGetInt32(values[RATE_FRACTION])};
			row->tid = scan.slot->tts_tid;
		}
		if (DatumGetUInt32(values[RATE_WAY]) < RSV_RATE_WAYS)
			taken[DatumGetUInt32(values[RATE_WAY])] = true;
	}
	rsv_scan_end(&scan);
	rsv_store_forget(as_of);

	row->exists = row->known || rows >= RSV_RATE_WAYS ||
		(rows > 0 && row->meter.idle_at < GetCurrentTimestamp());
	if (row->exists)
		return;
	for (row->way = 0; taken[row->way]; row->way++)
		continue;
}

static RsvWrite
write_row(const RsvSpend *spend, Row *row, bool wait, TransactionId *holder)
{
	Datum values[RATE_COLUMNS] = {
		Int32GetDatum(row->bucket),
		Int32GetDatum(row->way),
		PointerGetDatum(spend->digest),
		TimestampTzGetDatum(spend->meter.idle_at),
		Int32GetDatum(spend->meter.fraction),
	};
	bool nulls[RATE_COLUMNS] = {false};

	if (row->exists)
		return rsv_store_update(RSV_RATE, &row->tid, values, nulls, wait, holder);
	rsv_store_insert(RSV_RATE, values, nulls);
	return RSV_WRITTEN;
}
