/*
 * unit.c
 *	  The units of numbered pools: adding them, and what people call them.
 *
 * Invariant: capacity + units_added = rows in available + live claims, for every
 * limited edition. reservation.verify() checks it.
 *
 * Locks: the pool's row, for growth.
 */
#include "postgres.h"

#include "executor/spi.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/timestamp.h"

#include "reservation.h"

static void add_stock(FunctionCallInfo fcinfo, RsvPool *pool, RsvAnswer *answer);
static void require_limited(const RsvPool *pool);
static int32 units_wanted(FunctionCallInfo fcinfo, bool *described);
static int element_count(FunctionCallInfo fcinfo, int argument, const char *what);

/*
 * add_units(pool text, count integer, labels text[], attributes jsonb[])
 *		-> (status, first_number, last_number)
 *
 * As many units as count says, or as labels or attributes has elements. A counted
 * pool has no numbers: there it is like adjust.
 */
PG_FUNCTION_INFO_V1(rsv_add_units);
Datum
rsv_add_units(PG_FUNCTION_ARGS)
{
	RsvPool pool;
	RsvAnswer answer;
	RsvPlanSession session;
	bool described;
	int32 count;
	int32 first;
	Datum range[3];
	char nulls[5] = "    ";

	rsv_answer_begin(&answer, fcinfo);
	rsv_pool_find(rsv_argument_name(fcinfo, 0, "pool"), &pool);
	rsv_require_writable("add_units");
	if (pool.counted)
	{
		add_stock(fcinfo, &pool, &answer);
		return (Datum) 0;
	}
	require_limited(&pool);
	count = units_wanted(fcinfo, &described);

	rsv_plan_begin(&session);
	if (rsv_plan_run(
			RSV_PLAN_POOL_GROW,
			(Datum[]) {Int32GetDatum(pool.pool_id), Int64GetDatum(count), BoolGetDatum(described)},
			NULL) != 1)
		rsv_pool_refuse_unknown(pool.name);
	rsv_plan_end(&session);
	rsv_pool_read(pool.pool_id, &pool); /* that may have waited for whoever changed it */
	first = rsv_sequence_take(&pool, count);
	range[0] = Int32GetDatum(pool.pool_id);
	range[1] = Int32GetDatum(first);
	range[2] = Int32GetDatum(first + count - 1);
	nulls[2] = PG_ARGISNULL(2) ? 'n' : ' ';
	nulls[3] = PG_ARGISNULL(3) ? 'n' : ' ';
	rsv_plan_begin(&session);
	rsv_plan_run(RSV_PLAN_UNITS_INSERT, range, NULL);
	if (described)
		rsv_plan_run(RSV_PLAN_UNITS_DESCRIBE,
					 (Datum[]) {range[0], range[1], PG_GETARG_DATUM(2), PG_GETARG_DATUM(3)}, nulls);
	rsv_plan_end(&session);
	rsv_touch_freed(pool.pool_id, first, true);
	rsv_chronicle_units(&pool, first, count);
	rsv_line_freed(&pool);
	rsv_answer_row(&answer, (Datum[]) {CStringGetTextDatum("added"), range[1], range[2]},
				   (bool[]) {false, false, false});
	return (Datum) 0;
}

/* What people call a unit, NULL if nothing. */
text *
rsv_unit_label(const RsvPool *pool, int32 number, Snapshot as_of)
{
	RsvKey keys[] = {
		{BTEqualStrategyNumber, F_INT4EQ, Int32GetDatum(pool->pool_id)},
		{BTEqualStrategyNumber, F_INT4EQ, Int32GetDatum(number)},
	};
	text *label = NULL;
	RsvScan scan;

	rsv_scan_begin(&scan, RSV_UNIT_PKEY, as_of, keys, lengthof(keys));
	if (rsv_scan_next(&scan) && !scan.slot->tts_isnull[2])
		label = DatumGetTextPCopy(scan.slot->tts_values[2]);
	rsv_scan_end(&scan);
	return label;
}

/* add_units of a counted pool, whose units have no numbers and no descriptions */
static void
add_stock(FunctionCallInfo fcinfo, RsvPool *pool, RsvAnswer *answer)
{
	const char *status;

	if (!PG_ARGISNULL(2) || !PG_ARGISNULL(3))
		rsv_pool_require_numbered(pool, "add_units with labels or attributes");
	status = rsv_account_grow(pool, rsv_argument_int32(fcinfo, 1, "count", 1, RSV_POOL_UNITS_MAX));
	rsv_answer_row(answer, (Datum[]) {CStringGetTextDatum(status), (Datum) 0, (Datum) 0},
				   (bool[]) {false, true, true});
}

static void
require_limited(const RsvPool *pool)
{
	if (pool->open)
		ereport(ERROR,
				(errcode(ERRCODE_WRONG_OBJECT_TYPE),
				 errmsg("pool \"%s\" is an open edition and never runs out",
						rsv_text_display(pool->name)),
				 errhint("Units can be added to a pool that was created with a capacity.")));
}

/* How many units add_units shall make, and whether they have labels or attributes. */
static int32
units_wanted(FunctionCallInfo fcinfo, bool *described)
{
	int labels = element_count(fcinfo, 2, "labels");
	int attributes = element_count(fcinfo, 3, "attributes");
	int elements = Max(labels, attributes);

	*described = elements >= 0;
	if (labels >= 0)
		rsv_check_names(PG_GETARG_ARRAYTYPE_P(2), "label", true);
	if (labels >= 0 && attributes >= 0 && labels != attributes)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("labels has %d elements and attributes has %d", labels, attributes),
				 errhint("Give one of each per unit; NULL elements are allowed.")));
	if (PG_ARGISNULL(1) && elements < 0)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("add_units needs count, labels or attributes"),
				 errhint("Say how many units to make, or describe each.")));
	if (PG_ARGISNULL(1))
		return elements;
	if (elements >= 0 && elements != PG_GETARG_INT32(1))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("count is %d, but %d units are described", PG_GETARG_INT32(1), elements),
				 errhint("Leave count out when labels or attributes are given.")));
	return rsv_argument_int32(fcinfo, 1, "count", 1, RSV_POOL_UNITS_MAX);
}

/* Elements of an array argument, -1 if it is NULL. */
static int
element_count(FunctionCallInfo fcinfo, int argument, const char *what)
{
	ArrayType *array;
	int count;

	if (PG_ARGISNULL(argument))
		return -1;
	array = PG_GETARG_ARRAYTYPE_P(argument);
	count = ArrayGetNItems(ARR_NDIM(array), ARR_DIMS(array));
	if (ARR_NDIM(array) != 1 || count < 1)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("%s must be an array of one dimension, and not empty", what),
				 errhint("Pass one element per unit, such as ARRAY['A 1', 'A 2'].")));
	return count;
}
