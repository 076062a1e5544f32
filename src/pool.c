/*
 * pool.c
 *	  Pools: find, read, lock. Their rules are in definition.c.
 *
 * Claims read the pool's row without locking it. So what changes a pool must be
 * safe against claims that still go by the old row: a changed window, pause or
 * limit holds for calls that start after it committed (a first limit: limit.c);
 * dropping takes the units themselves (drop.c).
 *
 * Locks: the pool's row, for whoever asks for it.
 */
#include "postgres.h"

#include "access/xact.h"
#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/fmgrprotos.h"

#include "reservation.h"

/* Columns of reservation.pool */
enum
{
	POOL_POOL_ID,
	POOL_POOL,
	POOL_KIND,
	POOL_CAPACITY,
	POOL_UNITS_ADDED,
	POOL_FIRST_NUMBER,
	POOL_LABELLED,
	POOL_HOLD_TTL,
	POOL_PER_HOLDER,
	POOL_FLOOR,
	POOL_CEILING,
	POOL_OPENS_AT,
	POOL_CLOSES_AT,
	POOL_PAUSED,
	POOL_CREATED_AT,
	POOL_DROPPED_AT,
	POOL_HOLDER_RATE,
	POOL_HOLDER_PERIOD,
	POOL_POOL_RATE,
	POOL_POOL_PERIOD,
	POOL_LINED,
	POOL_PASS_OVER,
	POOL_OFFER_TTL,
	POOL_NOTIFY_EVERY,
	POOL_COLUMNS
};

static bool pool_from_place(const RsvPlace *place, RsvPool *pool);
static bool pool_from_index(RsvIndex index, const RsvKey *key, RsvPool *pool, RsvPlace *place);
static void pool_from_row(const Datum *values, const bool *nulls, RsvPool *pool);
static Interval *interval_from_row(const Datum *values, const bool *nulls, int column);
static void rule_from_row(const Datum *values, const bool *nulls, int rate, int period,
						  RsvRule *rule);

/*
 * availability(pools text[])
 *		-> (pool, kind, capacity, available, held, finalized, state), in the order of the array
 *
 * Reads with the snapshot of its caller.
 */
PG_FUNCTION_INFO_V1(rsv_availability);
Datum
rsv_availability(PG_FUNCTION_ARGS)
{
	RsvAnswer answer;
	RsvPlanSession session;
	Datum names;

	rsv_answer_begin(&answer, fcinfo);
	rsv_argument_required(fcinfo, 0, "pools");
	names = PG_GETARG_DATUM(0);
	rsv_check_names(DatumGetArrayTypeP(names), "pool", false);
	rsv_plan_begin(&session);
	rsv_plan_run(RSV_PLAN_POOL_STATUS, &names, NULL);
	for (uint64 i = 0; i < SPI_processed; i++)
	{
		Datum values[8];
		bool nulls[8];

		heap_deform_tuple(SPI_tuptable->vals[i], SPI_tuptable->tupdesc, values, nulls);
		if (nulls[0])
			rsv_pool_refuse_unknown(DatumGetTextPP(values[7]));
		rsv_answer_row(&answer, values, nulls);
	}
	rsv_plan_end(&session);
	return (Datum) 0;
}

/* Finds a pool by name; 42704 if there is none. */
void
rsv_pool_find(const text *name, RsvPool *pool)
{
	if (!rsv_pool_lookup(name, pool))
		rsv_pool_refuse_unknown(name);
}

/* The same; false if there is none. */
bool
rsv_pool_lookup(const text *name, RsvPool *pool)
{
	RsvKey key = {BTEqualStrategyNumber, F_TEXTEQ, PointerGetDatum(name)};
	RsvPlace place = rsv_directory_find(VARDATA_ANY(name), VARSIZE_ANY_EXHDR(name));

	if (pool_from_place(&place, pool) && !pool->dropped && rsv_text_same(pool->name, name))
		return true;
	return pool_from_index(RSV_POOL_NAME, &key, pool, &place);
}

/* Reads the pool of a claim, dropped or not. */
void
rsv_pool_read(int32 pool_id, RsvPool *pool)
{
	if (!rsv_pool_try_read(pool_id, pool))
		ereport(ERROR,
				(errcode(ERRCODE_DATA_CORRUPTED),
				 errmsg("pool %d of a claim does not exist", pool_id),
				 errhint("Run SELECT * FROM reservation.verify() to see what else is wrong.")));
}

/* The same; false if it was never made. */
bool
rsv_pool_try_read(int32 pool_id, RsvPool *pool)
{
	RsvKey key = {BTEqualStrategyNumber, F_INT4EQ, Int32GetDatum(pool_id)};
	RsvPlace place = rsv_directory_find(&pool_id, sizeof(pool_id));

	return (pool_from_place(&place, pool) && pool->pool_id == pool_id) ||
		pool_from_index(RSV_POOL_PKEY, &key, pool, &place);
}

/*
 * Is the pool there, and of a counted one the stock? While a dump is restored, table
 * by table, claims may be there before them.
 */
bool
rsv_pool_is_whole(int32 pool_id, Snapshot as_of)
{
	RsvKey key = {BTEqualStrategyNumber, F_INT4EQ, Int32GetDatum(pool_id)};
	RsvPlace place = rsv_directory_find(&pool_id, sizeof(pool_id));
	RsvPool pool;
	RsvScan scan;
	bool found = pool_from_index(RSV_POOL_PKEY, &key, &pool, &place);

	if (!found || !pool.counted)
		return found;
	rsv_scan_begin(&scan, RSV_STOCK_PKEY, as_of, &key, 1);
	found = rsv_scan_next(&scan);
	rsv_scan_end(&scan);
	return found;
}

void
rsv_pool_require_numbered(const RsvPool *pool, const char *function)
{
	if (pool->counted)
		ereport(ERROR,
				(errcode(ERRCODE_WRONG_OBJECT_TYPE),
				 errmsg("%s needs a numbered pool, and \"%s\" is counted", function,
						rsv_text_display(pool->name)),
				 errhint("A counted pool has no numbers; create one with kind => 'numbered'.")));
}

void
rsv_pool_require_counted(const RsvPool *pool, const char *function)
{
	if (!pool->counted)
		ereport(ERROR,
				(errcode(ERRCODE_WRONG_OBJECT_TYPE),
				 errmsg("%s needs a counted pool, and \"%s\" is numbered", function,
						rsv_text_display(pool->name)),
				 errhint("Claim numbered units with claim_next or claim_unit.")));
}

/* Locks the pool's row against whoever changes the pool, and reads it anew. */
void
rsv_pool_lock(RsvPool *pool)
{
	Datum pool_id = Int32GetDatum(pool->pool_id);
	text *name = pool->name;
	RsvPlanSession session;

	rsv_plan_begin(&session);
	rsv_plan_run(RSV_PLAN_POOL_LOCK, &pool_id, NULL);
	rsv_plan_end(&session);
	rsv_pool_read(pool->pool_id, pool);
	if (pool->dropped)
		rsv_pool_refuse_unknown(name);
}

/* Why nobody can claim from this pool now, NULL if everybody can. */
const char *
rsv_pool_closed(const RsvPool *pool, TimestampTz now)
{
	if (now < pool->opens_at)
		return "not_open";
	if (now >= pool->closes_at)
		return "closed";
	return pool->paused ? "paused" : NULL;
}

/* The answer if a claim was not decided when it had to be: perhaps the pool has closed. */
const char *
rsv_pool_undecided(const RsvPool *pool, TimestampTz now)
{
	const char *closed = rsv_pool_closed(pool, now);

	return closed != NULL ? closed : "busy";
}

/* When a hold made now ends. ttl NULL: the pool's, or the setting. */
TimestampTz
rsv_pool_hold_end(const RsvPool *pool, const Interval *ttl, TimestampTz now)
{
	Interval setting = {.time = rsv_hold_ttl_s * USECS_PER_SEC};

	if (ttl == NULL)
		ttl = pool->hold_ttl != NULL ? pool->hold_ttl : &setting;
	return rsv_hold_end(now, ttl);
}

/* The floor of a pool at an instant. */
int64
rsv_pool_floor(int32 pool_id, Snapshot as_of)
{
	RsvKey key = {BTEqualStrategyNumber, F_INT4EQ, Int32GetDatum(pool_id)};
	int64 floor = 0;
	RsvScan scan;

	rsv_scan_begin(&scan, RSV_POOL_PKEY, as_of, &key, 1);
	if (rsv_scan_next(&scan))
		floor = DatumGetInt64(scan.slot->tts_values[POOL_FLOOR]);
	rsv_scan_end(&scan);
	return floor;
}

/* Is somebody changing the pool, or has since it was read? */
bool
rsv_pool_is_changing(const RsvPool *pool)
{
	ItemPointerData tid = pool->tid;

	return !rsv_scan_stands(RSV_POOL, &tid);
}

/*
 * Waits for whoever is dropping the pool, and reads it anew. Whoever changes anything
 * else of it is not in the way.
 */
void
rsv_pool_await_drop(RsvPool *pool)
{
	RsvKey key = {BTEqualStrategyNumber, F_INT4EQ, Int32GetDatum(pool->pool_id)};
	RsvInFlight dropping;

	do
	{
		RsvScan scan;

		dropping = (RsvInFlight) {0};
		rsv_scan_begin(&scan, RSV_POOL_PKEY, NULL, &key, 1);
		while (rsv_scan_next(&scan))
		{
			if (TransactionIdIsValid(scan.dirty.xmin) && !scan.slot->tts_isnull[POOL_DROPPED_AT])
				rsv_in_flight_add(&dropping, scan.dirty.xmin);
		}
		rsv_scan_end(&scan);
	} while (dropping.any && rsv_in_flight_wait(&dropping, DT_NOEND));
	rsv_pool_read(pool->pool_id, pool);
}

void
rsv_pool_refuse_unknown(const text *name)
{
	ereport(ERROR,
			(errcode(ERRCODE_UNDEFINED_OBJECT),
			 errmsg("pool \"%s\" does not exist", rsv_text_display(name)),
			 errhint("Look for the name in reservation.pool_status, or create the pool.")));
}

/* Reads the pool at a place, if there is still one. */
static bool
pool_from_place(const RsvPlace *place, RsvPool *pool)
{
	ItemPointerData tid = place->tid;
	RsvScan scan;
	bool found;

	if (!ItemPointerIsValid(&tid))
		return false;
	found = rsv_scan_at(&scan, RSV_POOL, &tid);
	if (found)
		pool_from_row(scan.slot->tts_values, scan.slot->tts_isnull, pool);
	pool->tid = tid;
	rsv_scan_end(&scan);
	return found;
}

/* Reads the pool that the index has, and enters its place. */
static bool
pool_from_index(RsvIndex index, const RsvKey *key, RsvPool *pool, RsvPlace *place)
{
	Snapshot as_of = rsv_store_now();
	RsvScan scan;
	bool found;

	rsv_scan_begin(&scan, index, as_of, key, 1);
	found = rsv_scan_next(&scan);
	if (found)
	{
		pool_from_row(scan.slot->tts_values, scan.slot->tts_isnull, pool);
		pool->tid = place->tid = scan.slot->tts_tid;
		rsv_directory_enter(place);
	}
	rsv_scan_end(&scan);
	rsv_store_forget(as_of);
	return found;
}

static void
pool_from_row(const Datum *values, const bool *nulls, RsvPool *pool)
{
	text *kind = DatumGetTextPP(values[POOL_KIND]);

	memset(pool, 0, sizeof(RsvPool));
	pool->pool_id = DatumGetInt32(values[POOL_POOL_ID]);
	pool->name = DatumGetTextPCopy(values[POOL_POOL]);
	pool->counted = *VARDATA_ANY(kind) == 'c';
	pool->open = nulls[POOL_CAPACITY];
	pool->capacity = nulls[POOL_CAPACITY] ? 0 : DatumGetInt64(values[POOL_CAPACITY]);
	pool->first_number = DatumGetInt32(values[POOL_FIRST_NUMBER]);
	pool->labelled = DatumGetBool(values[POOL_LABELLED]);
	pool->hold_ttl = interval_from_row(values, nulls, POOL_HOLD_TTL);
	pool->per_holder = nulls[POOL_PER_HOLDER] ? 0 : DatumGetInt32(values[POOL_PER_HOLDER]);
	pool->counts = pool->per_holder > 0;
	pool->floor = DatumGetInt64(values[POOL_FLOOR]);
	pool->has_ceiling = !nulls[POOL_CEILING];
	pool->ceiling = pool->has_ceiling ? DatumGetInt64(values[POOL_CEILING]) : 0;
	pool->opens_at = nulls[POOL_OPENS_AT] ? DT_NOBEGIN : DatumGetTimestampTz(values[POOL_OPENS_AT]);
	pool->closes_at =
		nulls[POOL_CLOSES_AT] ? DT_NOEND : DatumGetTimestampTz(values[POOL_CLOSES_AT]);
	pool->paused = DatumGetBool(values[POOL_PAUSED]);
	pool->dropped = !nulls[POOL_DROPPED_AT];
	rule_from_row(values, nulls, POOL_HOLDER_RATE, POOL_HOLDER_PERIOD, &pool->holder_rate);
	rule_from_row(values, nulls, POOL_POOL_RATE, POOL_POOL_PERIOD, &pool->pool_rate);
	pool->lined = DatumGetBool(values[POOL_LINED]);
	pool->pass_over = DatumGetBool(values[POOL_PASS_OVER]);
	pool->offer_ttl = interval_from_row(values, nulls, POOL_OFFER_TTL);
	pool->notify_every = interval_from_row(values, nulls, POOL_NOTIFY_EVERY);
}

static Interval *
interval_from_row(const Datum *values, const bool *nulls, int column)
{
	Interval *interval;

	if (nulls[column])
		return NULL;
	interval = palloc(sizeof(Interval));
	*interval = *DatumGetIntervalP(values[column]);
	return interval;
}

static void
rule_from_row(const Datum *values, const bool *nulls, int rate, int period, RsvRule *rule)
{
	if (nulls[rate] || nulls[period])
		return;
	rule->period = interval_from_row(values, nulls, period);
	rsv_rate_set(rule, DatumGetInt32(values[rate]), rule->period, "the period of a rate");
}
