/*
 * argument.c
 *	  What callers hand in: checked here, with an error that says what is wrong
 *	  and a hint that says what to do.
 *
 * The functions are not strict, so that a NULL is an error instead of an empty
 * result that looks like "nothing happened".
 */
#include "postgres.h"

#include "access/xact.h"
#include "access/xlog.h"
#include "mb/pg_wchar.h"
#include "utils/builtins.h"
#include "utils/datetime.h"

#include "reservation.h"

pg_noreturn static void refuse_ttl(const char *what);
static TimestampTz time_after(TimestampTz now, const Interval *length);
static void check_range(const char *what, int64 value, int64 min, int64 max);

void
rsv_argument_required(FunctionCallInfo fcinfo, int argument, const char *what)
{
	if (PG_ARGISNULL(argument))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE), errmsg("%s must not be null", what),
				 errhint("Pass a value for %s.", what)));
}

/* A name: pool, holder, request id. 1 to 1,000 bytes. */
text *
rsv_argument_name(FunctionCallInfo fcinfo, int argument, const char *what)
{
	text *name;

	rsv_argument_required(fcinfo, argument, what);
	name = PG_GETARG_TEXT_PP(argument);
	rsv_check_name(name, what);
	return name;
}

void
rsv_check_name(const text *name, const char *what)
{
	if (VARSIZE_ANY_EXHDR(name) < 1 || VARSIZE_ANY_EXHDR(name) > RSV_NAME_BYTES_MAX)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("%s must be 1 to %d bytes long, not %d", what, RSV_NAME_BYTES_MAX,
						(int) VARSIZE_ANY_EXHDR(name)),
				 errhint("Use a short, stable key of your own, such as an id.")));
}

/* Checks every name of a text array; with nulls, a name may be missing. */
void
rsv_check_names(ArrayType *array, const char *what, bool nulls)
{
	ArrayIterator iterator = array_create_iterator(array, 0, NULL);
	Datum element;
	bool isnull;

	while (array_iterate(iterator, &element, &isnull))
	{
		if (!isnull)
			rsv_check_name(DatumGetTextPP(element), what);
		else if (!nulls)
			ereport(ERROR,
					(errcode(ERRCODE_INVALID_PARAMETER_VALUE), errmsg("%s must not be null", what),
					 errhint("Pass an array without null.")));
	}
	array_free_iterator(iterator);
}

/* The same; NULL if the caller gave none. */
text *
rsv_argument_optional_name(FunctionCallInfo fcinfo, int argument, const char *what)
{
	return PG_ARGISNULL(argument) ? NULL : rsv_argument_name(fcinfo, argument, what);
}

int32
rsv_argument_int32(FunctionCallInfo fcinfo, int argument, const char *what, int32 min, int32 max)
{
	rsv_argument_required(fcinfo, argument, what);
	check_range(what, PG_GETARG_INT32(argument), min, max);
	return PG_GETARG_INT32(argument);
}

int64
rsv_argument_int64(FunctionCallInfo fcinfo, int argument, const char *what, int64 min, int64 max)
{
	rsv_argument_required(fcinfo, argument, what);
	check_range(what, PG_GETARG_INT64(argument), min, max);
	return PG_GETARG_INT64(argument);
}

pg_uuid_t *
rsv_argument_claim_id(FunctionCallInfo fcinfo, int argument)
{
	rsv_argument_required(fcinfo, argument, "claim_id");
	return PG_GETARG_UUID_P(argument);
}

static void
refuse_ttl(const char *what)
{
	ereport(ERROR,
			(errcode(ERRCODE_INVALID_PARAMETER_VALUE), errmsg("%s must be longer than zero", what),
			 errhint("Pass an interval such as '10 minutes', or NULL for the default.")));
}

/* A length of time above zero, NULL if the caller gave none. */
Interval *
rsv_argument_ttl(FunctionCallInfo fcinfo, int argument, const char *what)
{
	TimestampTz now = GetCurrentTimestamp();
	Interval *ttl;
	Interval zero = {0};

	if (PG_ARGISNULL(argument))
		return NULL;
	ttl = PG_GETARG_INTERVAL_P(argument);
	/* months and days of opposite signs may be longer than zero, and yet end before they begin */
	if (DatumGetInt32(DirectFunctionCall2(interval_cmp, IntervalPGetDatum(ttl),
										  IntervalPGetDatum(&zero))) <= 0 ||
		time_after(now, ttl) <= now)
		refuse_ttl(what);
	return ttl;
}

/* How long a claim may wait, NULL if the caller does not say. */
Interval *
rsv_argument_wait(FunctionCallInfo fcinfo, int argument)
{
	Interval *wait;
	Interval zero = {0};

	if (PG_ARGISNULL(argument))
		return NULL;
	wait = PG_GETARG_INTERVAL_P(argument);
	if (DatumGetInt32(DirectFunctionCall2(interval_cmp, IntervalPGetDatum(wait),
										  IntervalPGetDatum(&zero))) < 0)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE), errmsg("wait must not be negative"),
				 errhint("Pass '0' not to wait at all, or NULL for the setting.")));
	return wait;
}

/* Until when a call may wait; NULL: the setting reservation.claim_wait. */
TimestampTz
rsv_wait_deadline(const Interval *wait, TimestampTz now)
{
	if (wait == NULL)
		return TimestampTzPlusMilliseconds(now, rsv_claim_wait_ms);
	return time_after(now, wait);
}

/* When a hold made or extended now ends. */
TimestampTz
rsv_hold_end(TimestampTz now, const Interval *ttl)
{
	TimestampTz end = time_after(now, ttl);

	if (end <= now)
		refuse_ttl("ttl");
	return end;
}

/* now + length, or infinity if that is past the year 100,000. */
static TimestampTz
time_after(TimestampTz now, const Interval *length)
{
	TimestampTz forever =
		(TimestampTz) (date2j(100000, 1, 1) - POSTGRES_EPOCH_JDATE) * USECS_PER_DAY;
	double approximate = (double) now + (double) length->time +
		(double) length->day * USECS_PER_DAY +
		(double) length->month * (DAYS_PER_YEAR / MONTHS_PER_YEAR) * USECS_PER_DAY;
	TimestampTz exact;

	if (approximate >= (double) forever * 2)
		return DT_NOEND;
	exact = DatumGetTimestampTz(DirectFunctionCall2(
		timestamptz_pl_interval, TimestampTzGetDatum(now), IntervalPGetDatum((Interval *) length)));
	return exact < forever ? exact : DT_NOEND;
}

/*
 * Direct row access has no executor in front of it that would refuse to write
 * on a standby or in a read-only transaction.
 */
void
rsv_require_writable(const char *function)
{
	if (RecoveryInProgress())
		ereport(
			ERROR,
			(errcode(ERRCODE_READ_ONLY_SQL_TRANSACTION),
			 errmsg("cannot execute %s on a standby", function),
			 errhint("Call it on the primary. availability, pool_status and verify work here.")));
	if (XactReadOnly)
		ereport(ERROR,
				(errcode(ERRCODE_READ_ONLY_SQL_TRANSACTION),
				 errmsg("cannot execute %s in a read-only transaction", function),
				 errhint("Start the transaction with READ WRITE.")));
}

/* A name as it stands in a message: long ones cut at a character. */
char *
rsv_text_display(const text *value)
{
	int length = VARSIZE_ANY_EXHDR(value);
	int shown = pg_mbcliplen(VARDATA_ANY(value), length, 64);

	return psprintf("%.*s%s", shown, VARDATA_ANY(value), shown < length ? "..." : "");
}

/* Are these the same bytes, or both missing? */
bool
rsv_text_same(const text *a, const text *b)
{
	if (a == NULL || b == NULL)
		return a == b;
	return VARSIZE_ANY_EXHDR(a) == VARSIZE_ANY_EXHDR(b) &&
		memcmp(VARDATA_ANY(a), VARDATA_ANY(b), VARSIZE_ANY_EXHDR(a)) == 0;
}

static void
check_range(const char *what, int64 value, int64 min, int64 max)
{
	if (value < min || value > max)
		ereport(
			ERROR,
			(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
			 errmsg("%s must be between " INT64_FORMAT " and " INT64_FORMAT ", not " INT64_FORMAT,
					what, min, max, value),
			 errhint("Call with a %s in that range.", what)));
}
