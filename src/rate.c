/*
 * rate.c
 *	  Rate limits: of keys that the application chooses (rate_limit), and of the
 *	  claims from a pool, by holder and in all (holder_rate, pool_rate).
 *
 * The arithmetic is in gcra.c. What is spent is kept in shared memory (cell.c)
 * where the library is preloaded, else in a table (meter.c). The answers are the
 * same; what a rollback and a restart do to them is not, see there.
 *
 * A limit is a key together with its burst and period: another rule for the same
 * key is another limit. What is kept of it is a hash of 128 bits, so that nobody
 * can choose keys that fall together: SipHash in shared memory, with a secret of
 * the server; SHA-256 in the table, where all servers have to agree.
 *
 * Locks: none in shared memory; in the table, the row of the limit. A claim is
 * checked before it takes the lock of its holder, or any unit.
 */
#include "postgres.h"

#include "access/xlog.h"
#include "common/int.h"
#include "common/sha2.h"
#include "datatype/timestamp.h"
#include "miscadmin.h"

#include "rate.h"

/* What a key is a key of, so that no two kinds can meet. */
typedef enum Kind
{
	OF_APPLICATION,
	OF_HOLDER,
	OF_POOL,
	OF_ANNOUNCEMENT
} Kind;

/* All that tells one limit from another. No padding before the key: it is hashed. */
typedef struct LimitKey
{
	uint64 server; /* in the table, where there is no secret */
	int64 period_us;
	int32 burst;
	int32 kind;
	int32 pool_id;
	Oid database;
	Oid relation;
	char key[RSV_NAME_BYTES_MAX];
} LimitKey;

static int64 argument_period(FunctionCallInfo fcinfo, int argument);
static bool period_in_us(const Interval *period, int64 *us);
static bool spend_on(RsvSpend *spend, Kind kind, const RsvPool *pool, const text *key,
					 TimestampTz deadline);
static void digest_for_table(LimitKey *limit, Size length, uint8 *digest);
static Interval *interval_of(int64 us);

/*
 * rate_limit(key text, burst integer, period interval, cost integer)
 *		-> (allowed, remaining, retry_after, reset_after)
 *
 * retry_after is zero if the call was allowed, NULL if it never can be (its cost
 * is above the burst).
 */
PG_FUNCTION_INFO_V1(rsv_rate_limit);
Datum
rsv_rate_limit(PG_FUNCTION_ARGS)
{
	RsvSpend spend = {.spending = RSV_SPEND};
	RsvVerdict verdict;
	RsvAnswer answer;
	text *key;

	rsv_answer_begin(&answer, fcinfo);
	key = rsv_argument_name(fcinfo, 0, "key");
	spend.rule.burst = rsv_argument_int32(fcinfo, 1, "burst", 1, PG_INT32_MAX);
	spend.rule.period_us = argument_period(fcinfo, 2);
	spend.cost = rsv_argument_int32(fcinfo, 3, "cost", 1, PG_INT32_MAX);
	rsv_require_writable("rate_limit");
	if (spend.cost > spend.rule.burst)
		spend.spending = RSV_LOOK;
	(void) spend_on(&spend, OF_APPLICATION, NULL, key, DT_NOEND);
	rsv_gcra_read(&spend, &verdict);
	rsv_answer_row(&answer,
				   (Datum[]) {BoolGetDatum(spend.admitted), Int32GetDatum(verdict.remaining),
							  IntervalPGetDatum(interval_of(Max(verdict.retry_after_us, 0))),
							  IntervalPGetDatum(interval_of(verdict.reset_after_us))},
				   (bool[]) {false, false, verdict.retry_after_us < 0, false});
	return (Datum) 0;
}

/* Makes a rule; 22023 if the period is not one that a limit can have. */
void
rsv_rate_set(RsvRule *rule, int32 burst, Interval *period, const char *what)
{
	Assert(burst > 0);
	rule->burst = burst;
	rule->period = period;
	if (!period_in_us(period, &rule->period_us))
		ereport(
			ERROR,
			(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
			 errmsg("%s must be longer than zero, and at most %d years", what, RSV_RATE_YEARS_MAX),
			 errhint("Pass an interval such as '1 minute'.")));
}

/*
 * Do the limits of a pool let this claim through? NULL if they do, else the
 * status of a refusal. If the limit of the pool refuses, the holder's has spent
 * nothing: we look there first, as what is spent and given back could refuse
 * another call of the same holder in between.
 */
const char *
rsv_rate_refusal(const RsvPool *pool, const text *holder, TimestampTz deadline,
				 Interval **retry_after)
{
	RsvSpend of_holder = {.spending = RSV_SPEND, .cost = 1, .rule = pool->holder_rate};
	RsvSpend of_pool = {.spending = RSV_LOOK, .cost = 1, .rule = pool->pool_rate};
	RsvSpend *refused = NULL;
	bool decided = true;
	RsvVerdict verdict;

	if (of_holder.rule.burst > 0 && of_pool.rule.burst > 0)
	{
		decided = spend_on(&of_pool, OF_POOL, pool, pool->name, deadline);
		refused = of_pool.admitted ? NULL : &of_pool;
	}
	of_pool.spending = RSV_SPEND;
	if (decided && refused == NULL && of_holder.rule.burst > 0)
	{
		decided = spend_on(&of_holder, OF_HOLDER, pool, holder, deadline);
		refused = of_holder.admitted ? NULL : &of_holder;
	}
	if (decided && refused == NULL && of_pool.rule.burst > 0)
	{
		decided = spend_on(&of_pool, OF_POOL, pool, pool->name, deadline);
		refused = of_pool.admitted ? NULL : &of_pool;
		if ((refused != NULL || !decided) && of_holder.rule.burst > 0)
		{
			of_holder.spending = RSV_GIVE_BACK;
			(void) spend_on(&of_holder, OF_HOLDER, pool, holder, deadline);
		}
	}
	if (!decided)
		return "busy";
	if (refused == NULL)
		return NULL;
	rsv_gcra_read(refused, &verdict);
	*retry_after = interval_of(verdict.retry_after_us);
	return "rate_limited";
}

/* May offers of this pool be announced now? Nobody waits to find out. */
bool
rsv_rate_announces(const RsvPool *pool)
{
	RsvSpend spend = {.spending = RSV_SPEND, .cost = 1};

	rsv_rate_set(&spend.rule, 1, pool->notify_every, "notify_every");
	return spend_on(&spend, OF_ANNOUNCEMENT, pool, pool->name, GetCurrentTimestamp()) &&
		spend.admitted;
}

static int64
argument_period(FunctionCallInfo fcinfo, int argument)
{
	RsvRule rule;

	rsv_argument_required(fcinfo, argument, "period");
	rsv_rate_set(&rule, 1, PG_GETARG_INTERVAL_P(argument), "period");
	return rule.period_us;
}

/* An interval's fixed length, as EXTRACT (epoch) has it: a year has 365.25 days, a month 30. */
static bool
period_in_us(const Interval *period, int64 *us)
{
	const int64 year_us = SECS_PER_YEAR * USECS_PER_SEC;
	int64 days = (int64) (period->month % MONTHS_PER_YEAR) * DAYS_PER_MONTH + period->day;
	int64 years_us;

	return !pg_mul_s64_overflow(period->month / MONTHS_PER_YEAR, year_us, &years_us) &&
		!pg_mul_s64_overflow(days, USECS_PER_DAY, us) && !pg_add_s64_overflow(*us, years_us, us) &&
		!pg_add_s64_overflow(*us, period->time, us) && *us > 0 &&
		*us <= RSV_RATE_YEARS_MAX * year_us;
}

/* Spends where meters are kept; false if that was not decided by the deadline. */
static bool
spend_on(RsvSpend *spend, Kind kind, const RsvPool *pool, const text *key, TimestampTz deadline)
{
	Size length = offsetof(LimitKey, key) + VARSIZE_ANY_EXHDR(key);
	LimitKey limit;

	rsv_check_name(key, "key");
	limit.server = 0;
	limit.period_us = spend->rule.period_us;
	limit.burst = spend->rule.burst;
	limit.kind = kind;
	limit.pool_id = pool == NULL ? 0 : pool->pool_id;
	limit.database = MyDatabaseId;
	limit.relation = rsv_layout_installation();
	memcpy(limit.key, VARDATA_ANY(key), VARSIZE_ANY_EXHDR(key));

	if (rsv_cell_digest(&limit, length, spend->digest))
	{
		rsv_cell_spend(spend);
		return true;
	}
	digest_for_table(&limit, length, spend->digest);
	return rsv_meter_spend(spend, pool, deadline);
}

/* The table is of one installation already, and its oid may differ where it is copied. */
static void
digest_for_table(LimitKey *limit, Size length, uint8 *digest)
{
	uint8 sha256[PG_SHA256_DIGEST_LENGTH];
	RsvPiece piece = {limit, length};

	limit->server = GetSystemIdentifier();
	limit->database = InvalidOid;
	limit->relation = InvalidOid;
	rsv_digest(&piece, 1, sha256);
	memcpy(digest, sha256, RSV_RATE_DIGEST_BYTES);
}

static Interval *
interval_of(int64 us)
{
	Interval *interval = palloc0(sizeof(Interval));

	interval->time = us;
	return interval;
}
