/*
 * definition.c
 *	  The definition of a pool: its supply and its rules, made and changed.
 *
 * Invariant: the rules of a pool fit together (check_rules). The constraints of
 * reservation.pool stand behind it.
 *
 * Locks: the name of the pool by its unique index, or the pool's row. No claim
 * waits for either: it goes by the row that was committed when it began.
 */
#include "postgres.h"

#include "common/int.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/fmgrprotos.h"

#include "reservation.h"

/* Arguments of create_pool that are not rules */
enum
{
	CREATE_POOL = 0,
	CREATE_CAPACITY = 1,
	CREATE_KIND = 2,
	CREATE_FIRST_NUMBER = 3,
	CREATE_FLOOR = 6
};

/* Where a function has its arguments for the rules of a pool. */
typedef struct RuleArguments
{
	int hold_ttl;
	int per_holder;
	int opens_at;
	int closes_at;
	int floor;
	int ceiling;
	int holder_rate; /* then its period */
	int pool_rate;   /* then its period */
	int pass_over;
	int offer_ttl;
	int notify_every;
} RuleArguments;

static const RuleArguments create_rules = {4, 5, 8, 9, 6, 7, 10, 12, 14, 15, 16};
static const RuleArguments alter_rules = {1, 2, 3, 4, 6, 7, 8, 10, 12, 13, 14};

static void read_definition(FunctionCallInfo fcinfo, RsvPool *pool);
static void read_rules(FunctionCallInfo fcinfo, const RuleArguments *at, RsvPool *pool);
static void read_rate(FunctionCallInfo fcinfo, int argument, const char *what, RsvRule *rule);
static void read_line_rules(FunctionCallInfo fcinfo, const RuleArguments *at, RsvPool *pool);
static void check_rules(const RsvPool *pool);
static bool insert_pool(RsvPool *pool);
static void require_same(const RsvPool *asked, const RsvPool *there);
static bool same_interval(const Interval *a, const Interval *b);
static bool same_rate(const RsvRule *a, const RsvRule *b);
static void rate_values(const RsvRule *rule, Datum *values, char *nulls);
static void line_values(const RsvPool *pool, Datum *values, char *nulls);

/*
 * create_pool(pool text, capacity bigint, kind text, first_number integer, hold_ttl interval,
 *			   per_holder integer, floor bigint, ceiling bigint, opens_at timestamptz,
 *			   closes_at timestamptz, holder_rate integer, holder_period interval,
 *			   pool_rate integer, pool_period interval, pass_over boolean, offer_ttl interval,
 *			   notify_every interval)
 *		-> (status, pool, kind, capacity)
 *
 * capacity NULL: an open edition. holder_rate: claims of one holder per
 * holder_period; pool_rate: claims of all per pool_period; the last three are for
 * the waiting line. The same call again: "existing".
 */
PG_FUNCTION_INFO_V1(rsv_create_pool);
Datum
rsv_create_pool(PG_FUNCTION_ARGS)
{
	RsvPool pool = {0};
	RsvPool there;
	RsvAnswer answer;
	bool created;

	rsv_answer_begin(&answer, fcinfo);
	read_definition(fcinfo, &pool);
	rsv_require_writable("create_pool");
	/* the one that was in the way may be dropped before we find it */
	while (!(created = insert_pool(&pool)) && !rsv_pool_lookup(pool.name, &there))
		CHECK_FOR_INTERRUPTS();
	if (!created)
		require_same(&pool, &there);
	rsv_answer_row(&answer,
				   (Datum[]) {CStringGetTextDatum(created ? "created" : "existing"),
							  PointerGetDatum(pool.name),
							  CStringGetTextDatum(pool.counted ? "counted" : "numbered"),
							  Int64GetDatum(pool.capacity)},
				   (bool[]) {false, false, false, pool.open});
	return (Datum) 0;
}

/*
 * alter_pool(pool text, hold_ttl interval, per_holder integer, opens_at timestamptz,
 *			  closes_at timestamptz, paused boolean, floor bigint, ceiling bigint,
 *			  holder_rate integer, holder_period interval, pool_rate integer,
 *			  pool_period interval, pass_over boolean, offer_ttl interval,
 *			  notify_every interval)
 *		-> (status, pool)
 *
 * NULL leaves a value as it is; a rate of zero ends that limit, a notify_every of
 * zero the notifications. A balance outside a new floor or ceiling: 22023.
 */
PG_FUNCTION_INFO_V1(rsv_alter_pool);
Datum
rsv_alter_pool(PG_FUNCTION_ARGS)
{
	RsvPool pool;
	RsvAnswer answer;
	RsvPlanSession session;
	Datum values[15];
	char nulls[] = "               ";
	RsvPool before;

	rsv_answer_begin(&answer, fcinfo);
	rsv_pool_find(rsv_argument_name(fcinfo, 0, "pool"), &pool);
	rsv_require_writable("alter_pool");
	rsv_pool_lock(&pool);
	before = pool;
	read_rules(fcinfo, &alter_rules, &pool);
	check_rules(&pool);
	if (pool.floor != before.floor)
		rsv_account_move_floor(&before, pool.floor);
	if (!PG_ARGISNULL(alter_rules.ceiling))
		rsv_account_check_ceiling(&pool);
	for (int i = 0; i < 8; i++)
	{
		values[i] = PG_GETARG_DATUM(i);
		nulls[i] = PG_ARGISNULL(i) ? 'n' : ' ';
	}
	values[0] = Int32GetDatum(pool.pool_id);
	rate_values(&pool.holder_rate, &values[8], &nulls[8]);
	rate_values(&pool.pool_rate, &values[10], &nulls[10]);
	line_values(&pool, &values[12], &nulls[12]);
	rsv_plan_begin(&session);
	rsv_plan_run(RSV_PLAN_POOL_ALTER, values, nulls);
	rsv_plan_end(&session);
	if (before.per_holder == 0 && pool.per_holder > 0)
		rsv_limit_begin(&pool);
	rsv_chronicle_pool(&pool, "altered", 0, GetCurrentTimestamp());
	rsv_pool_read(pool.pool_id, &pool);
	rsv_line_freed(&pool);
	rsv_answer_row(&answer, (Datum[]) {CStringGetTextDatum("altered"), PointerGetDatum(pool.name)},
				   (bool[]) {false, false});
	return (Datum) 0;
}

/* Reads what create_pool was given. */
static void
read_definition(FunctionCallInfo fcinfo, RsvPool *pool)
{
	int64 available;
	char *kind;

	pool->name = rsv_argument_name(fcinfo, CREATE_POOL, "pool");
	rsv_argument_required(fcinfo, CREATE_KIND, "kind");
	kind = text_to_cstring(PG_GETARG_TEXT_PP(CREATE_KIND));
	pool->counted = strcmp(kind, "counted") == 0;
	if (!pool->counted && strcmp(kind, "numbered") != 0)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("kind must be \"numbered\" or \"counted\""),
				 errhint("Numbered units each have a number; a counted pool is a quantity.")));
	pool->open = !pool->counted && PG_ARGISNULL(CREATE_CAPACITY);
	if (!pool->open)
		pool->capacity = rsv_argument_int64(fcinfo, CREATE_CAPACITY, "capacity", 0,
											pool->counted ? PG_INT64_MAX : RSV_POOL_UNITS_MAX);
	pool->first_number =
		rsv_argument_int32(fcinfo, CREATE_FIRST_NUMBER, "first_number", 0, PG_INT32_MAX);
	pool->opens_at = DT_NOBEGIN;
	pool->closes_at = DT_NOEND;
	rsv_argument_required(fcinfo, CREATE_FLOOR, "floor");
	read_rules(fcinfo, &create_rules, pool);
	check_rules(pool);
	if (pool->counted &&
		(pool->capacity < pool->floor || (pool->has_ceiling && pool->capacity > pool->ceiling) ||
		 pg_sub_s64_overflow(pool->capacity, pool->floor, &available)))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("capacity must lie between floor and ceiling"),
				 errhint("The balance of the pool starts at capacity and stays between the two.")));
	if (pool->first_number + pool->capacity - 1 > PG_INT32_MAX && !pool->counted)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("numbers from %d to " INT64_FORMAT " do not fit an integer",
						pool->first_number, pool->first_number + pool->capacity - 1),
				 errhint("Choose a lower first_number or a smaller capacity.")));
}

/* Reads the rules that create_pool and alter_pool can set. A NULL leaves what is there. */
static void
read_rules(FunctionCallInfo fcinfo, const RuleArguments *at, RsvPool *pool)
{
	if (!PG_ARGISNULL(at->hold_ttl))
		pool->hold_ttl = rsv_argument_ttl(fcinfo, at->hold_ttl, "hold_ttl");
	if (!PG_ARGISNULL(at->per_holder))
		pool->per_holder =
			rsv_argument_int32(fcinfo, at->per_holder, "per_holder", 1, PG_INT32_MAX);
	if (!PG_ARGISNULL(at->opens_at))
		pool->opens_at = PG_GETARG_TIMESTAMPTZ(at->opens_at);
	if (!PG_ARGISNULL(at->closes_at))
		pool->closes_at = PG_GETARG_TIMESTAMPTZ(at->closes_at);
	if (!PG_ARGISNULL(at->floor))
		pool->floor = PG_GETARG_INT64(at->floor);
	if (!PG_ARGISNULL(at->ceiling))
	{
		pool->ceiling = PG_GETARG_INT64(at->ceiling);
		pool->has_ceiling = true;
	}
	read_rate(fcinfo, at->holder_rate, "holder", &pool->holder_rate);
	read_rate(fcinfo, at->pool_rate, "pool", &pool->pool_rate);
	read_line_rules(fcinfo, at, pool);
}

/* Reads the rules of the waiting line. */
static void
read_line_rules(FunctionCallInfo fcinfo, const RuleArguments *at, RsvPool *pool)
{
	Interval zero = {0};

	if (!PG_ARGISNULL(at->pass_over))
		pool->pass_over = PG_GETARG_BOOL(at->pass_over);
	if (!PG_ARGISNULL(at->offer_ttl))
		pool->offer_ttl = rsv_argument_ttl(fcinfo, at->offer_ttl, "offer_ttl");
	if (PG_ARGISNULL(at->notify_every))
		return;
	pool->notify_every = PG_GETARG_INTERVAL_P(at->notify_every);
	if (same_interval(pool->notify_every, &zero))
		pool->notify_every = NULL;
	else
	{
		RsvRule rule;

		rsv_rate_set(&rule, 1, pool->notify_every, "notify_every");
	}
}

/* Reads a rate and the period after it; a rate of zero is none. */
static void
read_rate(FunctionCallInfo fcinfo, int argument, const char *what, RsvRule *rule)
{
	int32 burst = rule->burst;
	Interval *period = rule->period;

	if (!PG_ARGISNULL(argument))
		burst = rsv_argument_int32(fcinfo, argument, psprintf("%s_rate", what), 0, PG_INT32_MAX);
	if (!PG_ARGISNULL(argument + 1))
		period = PG_GETARG_INTERVAL_P(argument + 1);
	if (burst == 0 && PG_ARGISNULL(argument + 1))
		*rule = (RsvRule) {0};
	else if (burst == 0 || period == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("%s_rate and %s_period need each other", what, what),
				 errhint("Pass both, such as 5 and '1 minute', or a %s_rate of 0 alone for none.",
						 what)));
	else
		rsv_rate_set(rule, burst, period, psprintf("%s_period", what));
}

/* Do the rules of a pool fit together? */
static void
check_rules(const RsvPool *pool)
{
	if (pool->closes_at <= pool->opens_at && !TIMESTAMP_IS_NOEND(pool->closes_at))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("closes_at must be later than opens_at"),
				 errhint("Pass 'infinity' as closes_at for a window without end, "
						 "'-infinity' as opens_at for one that is open already.")));
	if (!pool->counted && (pool->floor != 0 || pool->has_ceiling))
		ereport(ERROR,
				(errcode(ERRCODE_WRONG_OBJECT_TYPE),
				 errmsg("floor and ceiling need a counted pool"),
				 errhint("Leave them out, or create the pool with kind => 'counted'.")));
	if (pool->has_ceiling && pool->ceiling < pool->floor)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("ceiling must not be below floor"),
				 errhint("The balance of the pool lies between the two.")));
}

/* Inserts the pool and its units; false if the name is taken. */
static bool
insert_pool(RsvPool *pool)
{
	RsvPlanSession session;
	Datum values[] = {
		PointerGetDatum(pool->name),
		CStringGetTextDatum(pool->counted ? "counted" : "numbered"),
		Int64GetDatum(pool->capacity),
		Int32GetDatum(pool->first_number),
		IntervalPGetDatum(pool->hold_ttl),
		Int32GetDatum(pool->per_holder),
		Int64GetDatum(pool->floor),
		Int64GetDatum(pool->ceiling),
		TimestampTzGetDatum(pool->opens_at),
		TimestampTzGetDatum(pool->closes_at),
		(Datum) 0, /* holder_rate, */
		(Datum) 0, /* its period, */
		(Datum) 0, /* pool_rate, */
		(Datum) 0, /* its period: rate_values */
		(Datum) 0, /* pass_over, */
		(Datum) 0, /* offer_ttl, */
		(Datum) 0, /* notify_every: line_values */
	};
	char nulls[] = "                 ";
	bool inserted;
	bool isnull;

	nulls[2] = pool->open ? 'n' : ' ';
	nulls[4] = pool->hold_ttl == NULL ? 'n' : ' ';
	nulls[5] = pool->per_holder == 0 ? 'n' : ' ';
	nulls[7] = pool->has_ceiling ? ' ' : 'n';
	nulls[8] = TIMESTAMP_IS_NOBEGIN(pool->opens_at) ? 'n' : ' ';
	nulls[9] = TIMESTAMP_IS_NOEND(pool->closes_at) ? 'n' : ' ';
	rate_values(&pool->holder_rate, &values[10], &nulls[10]);
	rate_values(&pool->pool_rate, &values[12], &nulls[12]);
	line_values(pool, &values[14], &nulls[14]);

	rsv_plan_begin(&session);
	inserted = rsv_plan_run(RSV_PLAN_POOL_INSERT, values, nulls) == 1;
	if (inserted)
	{
		pool->pool_id = DatumGetInt32(rsv_plan_value(1, &isnull));
		if (pool->counted)
			rsv_plan_run(RSV_PLAN_STOCK_INSERT,
						 (Datum[]) {Int32GetDatum(pool->pool_id),
									Int64GetDatum(pool->capacity - pool->floor)},
						 NULL);
		else if (!pool->open)
			rsv_plan_run(
				RSV_PLAN_UNITS_INSERT,
				(Datum[]) {Int32GetDatum(pool->pool_id), Int32GetDatum(pool->first_number),
						   Int32GetDatum((int32) (pool->first_number + pool->capacity - 1))},
				NULL);
	}
	rsv_plan_end(&session);
	if (inserted && pool->open)
		rsv_sequence_make(pool);
	if (inserted)
		rsv_chronicle_pool(pool, "created", pool->open ? 0 : pool->capacity, GetCurrentTimestamp());
	return inserted;
}

/* A pool of that name is there already: is it the one that was asked for? */
static void
require_same(const RsvPool *asked, const RsvPool *there)
{
	const char *differs = NULL;

	if (asked->counted != there->counted)
		differs = "kind";
	else if (asked->open != there->open || asked->capacity != there->capacity)
		differs = "capacity";
	else if (asked->first_number != there->first_number)
		differs = "first_number";
	else if (!same_interval(asked->hold_ttl, there->hold_ttl))
		differs = "hold_ttl";
	else if (asked->per_holder != there->per_holder)
		differs = "per_holder";
	else if (asked->floor != there->floor)
		differs = "floor";
	else if (asked->has_ceiling != there->has_ceiling || asked->ceiling != there->ceiling)
		differs = "ceiling";
	else if (asked->opens_at != there->opens_at)
		differs = "opens_at";
	else if (asked->closes_at != there->closes_at)
		differs = "closes_at";
	else if (!same_rate(&asked->holder_rate, &there->holder_rate))
		differs = "holder_rate";
	else if (!same_rate(&asked->pool_rate, &there->pool_rate))
		differs = "pool_rate";
	else if (asked->pass_over != there->pass_over)
		differs = "pass_over";
	else if (!same_interval(asked->offer_ttl, there->offer_ttl))
		differs = "offer_ttl";
	else if (!same_interval(asked->notify_every, there->notify_every))
		differs = "notify_every";
	if (differs != NULL)
		ereport(
			ERROR,
			(errcode(ERRCODE_DUPLICATE_OBJECT),
			 errmsg("pool \"%s\" exists with another definition", rsv_text_display(asked->name)),
			 errdetail("Its %s differs.", differs),
			 errhint("Change it with alter_pool or add_units, or drop it first with drop_pool.")));
}

static bool
same_interval(const Interval *a, const Interval *b)
{
	if (a == NULL || b == NULL)
		return a == b;
	return DatumGetBool(DirectFunctionCall2(interval_eq, IntervalPGetDatum((Interval *) a),
											IntervalPGetDatum((Interval *) b)));
}

static bool
same_rate(const RsvRule *a, const RsvRule *b)
{
	return a->burst == b->burst && a->period_us == b->period_us;
}

/* The columns of a rate: both or none. */
static void
rate_values(const RsvRule *rule, Datum *values, char *nulls)
{
	values[0] = Int32GetDatum(rule->burst);
	values[1] = IntervalPGetDatum(rule->period);
	nulls[0] = nulls[1] = rule->burst == 0 ? 'n' : ' ';
}

/* The columns of the rules of the waiting line. */
static void
line_values(const RsvPool *pool, Datum *values, char *nulls)
{
	values[0] = BoolGetDatum(pool->pass_over);
	values[1] = IntervalPGetDatum(pool->offer_ttl);
	values[2] = IntervalPGetDatum(pool->notify_every);
	nulls[1] = pool->offer_ttl == NULL ? 'n' : ' ';
	nulls[2] = pool->notify_every == NULL ? 'n' : ' ';
}
