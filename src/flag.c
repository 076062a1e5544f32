/*
 * flag.c
 *	  A flag that turns true once: paid, shipped, cancelled.
 *
 * Invariant: a row whose flag is true stays so, with the time at which it turned
 * true. The row's own lock decides: of any number of updates at once one turns
 * the flag; the others wait, PostgreSQL reads the row anew, and they find the
 * flag true, so they change nothing and report 0 rows.
 *
 * Locks: none but the row's.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "access/xact.h"
#include "catalog/pg_trigger.h"
#include "catalog/pg_type.h"
#include "utils/datum.h"
#include "utils/fmgrprotos.h"
#include "utils/timestamp.h"

#include "reservation.h"
#include "trigger.h"

typedef struct Definition
{
	RsvColumn flag;
	RsvColumn at;
	bool has_at;
} Definition;

static void *learn(Relation relation, const Trigger *trigger);
static bool is_true(HeapTuple row, TupleDesc columns, const RsvColumn *flag);
static bool time_changed(const TriggerData *data, const Definition *definition);
static Datum stamp(const TriggerData *data, const Definition *definition);
pg_noreturn static void refuse(const TriggerData *data, const RsvColumn *column, const char *what);

const RsvTriggerRule rsv_flag_rule = {
	.function = "finalize_once",
	.usage = "BEFORE UPDATE ON ... FOR EACH ROW EXECUTE FUNCTION "
			 "reservation.finalize_once('flag_column' [, 'at_column'])",
	.types = {TRIGGER_TYPE_ROW | TRIGGER_TYPE_BEFORE | TRIGGER_TYPE_UPDATE},
	.arguments_min = 1,
	.arguments_max = 2,
	.learn = learn,
};

/*
 * finalize_once('flag_column' [, 'at_column']) -> trigger, BEFORE UPDATE FOR EACH ROW
 *
 * The flag goes true once, and at_column is set to the time of it. An update
 * that sets a true flag to true again changes nothing and counts 0 rows; back to
 * false or NULL, or another time: RS004. Updates that leave both alone pass.
 */
PG_FUNCTION_INFO_V1(rsv_finalize_once);
Datum
rsv_finalize_once(PG_FUNCTION_ARGS)
{
	Definition *definition = rsv_trigger_begin(fcinfo, &rsv_flag_rule);
	TriggerData *data = (TriggerData *) fcinfo->context;
	TupleDesc columns = RelationGetDescr(data->tg_relation);
	bool was = is_true(data->tg_trigtuple, columns, &definition->flag);
	bool is = is_true(data->tg_newtuple, columns, &definition->flag);

	if (was && !is)
		refuse(data, &definition->flag, "is true for good");
	if (was && rsv_column_is_set(data, &definition->flag))
		return PointerGetDatum(NULL);
	if (!was && is)
		return stamp(data, definition);
	if (time_changed(data, definition))
		refuse(data, &definition->at, "is set when the flag turns true, and never else");
	return PointerGetDatum(data->tg_newtuple);
}

static void *
learn(Relation relation, const Trigger *trigger)
{
	Definition *definition = palloc0(sizeof(Definition));

	rsv_column_find(relation, trigger->tgargs[0], RSV_COLUMN_FLAG, true, &definition->flag);
	definition->has_at = trigger->tgnargs > 1;
	if (definition->has_at)
		rsv_column_find(relation, trigger->tgargs[1], RSV_COLUMN_TIME, true, &definition->at);
	return definition;
}

static bool
is_true(HeapTuple row, TupleDesc columns, const RsvColumn *flag)
{
	bool isnull;
	Datum value = heap_getattr(row, flag->number, columns, &isnull);

	return !isnull && DatumGetBool(value);
}

static bool
time_changed(const TriggerData *data, const Definition *definition)
{
	TupleDesc columns = RelationGetDescr(data->tg_relation);
	Datum old;
	Datum new;
	bool old_null;
	bool new_null;

	if (!definition->has_at)
		return false;
	old = heap_getattr(data->tg_trigtuple, definition->at.number, columns, &old_null);
	new = heap_getattr(data->tg_newtuple, definition->at.number, columns, &new_null);
	if (old_null || new_null)
		return old_null != new_null;
	return DatumGetInt64(old) != DatumGetInt64(new); /* both are timestamps */
}

/* The flag turns true now. A session cannot lose that by not waiting for the disk. */
static Datum
stamp(const TriggerData *data, const Definition *definition)
{
	TupleDesc columns = RelationGetDescr(data->tg_relation);
	Datum now = TimestampTzGetDatum(GetCurrentTimestamp());
	int column = definition->at.number;
	bool isnull = false;

	ForceSyncCommit();
	if (!definition->has_at)
		return PointerGetDatum(data->tg_newtuple);
	if (definition->at.base == TIMESTAMPOID)
		now = DirectFunctionCall1(timestamptz_timestamp, now);
	rsv_column_check_domain(&definition->at, now, false);
	return PointerGetDatum(
		heap_modify_tuple_by_cols(data->tg_newtuple, columns, 1, &column, &now, &isnull));
}

static void
refuse(const TriggerData *data, const RsvColumn *column, const char *what)
{
	const char *name =
		NameStr(TupleDescAttr(RelationGetDescr(data->tg_relation), column->number - 1)->attname);

	ereport(ERROR,
			(errcode(ERRCODE_RSV_PROTECTED_VALUE),
			 errmsg("column \"%s\" of relation \"%s\" %s", name,
					RelationGetRelationName(data->tg_relation), what),
			 errhint("Leave the column out of the update."),
			 errtablecol(data->tg_relation, column->number)));
}
