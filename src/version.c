/*
 * version.c
 *	  Optimistic locking: an update that goes by an old version of the row fails.
 *
 * Invariant: every committed update of a row raises its version by one, and was
 * made by somebody who had read the version before it. The row's own lock
 * decides: a second update waits for the first, PostgreSQL reads the row anew,
 * and then the version that it carries is not the row's any more.
 *
 * Locks: none but the row's.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "catalog/pg_trigger.h"
#include "common/int.h"
#include "utils/lsyscache.h"

#include "reservation.h"
#include "trigger.h"

typedef struct Definition
{
	RsvColumn version;
} Definition;

static void *learn(Relation relation, const Trigger *trigger);
pg_noreturn static void refuse_null(const TriggerData *data, const Definition *definition);
pg_noreturn static void refuse_conflict(const TriggerData *data, int64 current,
										const char *carried);

const RsvTriggerRule rsv_version_rule = {
	.function = "check_version",
	.usage = "BEFORE UPDATE ON ... FOR EACH ROW EXECUTE FUNCTION "
			 "reservation.check_version('version_column')",
	.types = {TRIGGER_TYPE_ROW | TRIGGER_TYPE_BEFORE | TRIGGER_TYPE_UPDATE},
	.arguments_min = 1,
	.arguments_max = 1,
	.learn = learn,
};

/*
 * check_version('version_column') -> trigger, BEFORE UPDATE FOR EACH ROW
 *
 * RS005 unless the new row carries the version of the old one; then adds 1. An
 * update that does not name the column carries what it finds. NULL: 22004.
 */
PG_FUNCTION_INFO_V1(rsv_check_version);
Datum
rsv_check_version(PG_FUNCTION_ARGS)
{
	Definition *definition = rsv_trigger_begin(fcinfo, &rsv_version_rule);
	TriggerData *data = (TriggerData *) fcinfo->context;
	TupleDesc columns = RelationGetDescr(data->tg_relation);
	int column = definition->version.number;
	bool nulls[2];
	Datum old = heap_getattr(data->tg_trigtuple, column, columns, &nulls[0]);
	Datum new = heap_getattr(data->tg_newtuple, column, columns, &nulls[1]);
	int64 current;
	int64 carried;

	if (nulls[0])
		refuse_null(data, definition);
	current = rsv_column_int64(&definition->version, old);
	if (nulls[1])
		refuse_conflict(data, current, "no version");
	carried = rsv_column_int64(&definition->version, new);
	if (carried != current)
		refuse_conflict(data, current, psprintf("version " INT64_FORMAT, carried));

	if (pg_add_s64_overflow(current, 1, &carried))
		ereport(ERROR,
				(errcode(ERRCODE_NUMERIC_VALUE_OUT_OF_RANGE),
				 errmsg("version " INT64_FORMAT " is the last that there is", current),
				 errhint("Set the column back to 0 with the trigger disabled.")));
	new = rsv_column_from_int64(data->tg_relation, &definition->version, carried);
	nulls[1] = false;
	return PointerGetDatum(
		heap_modify_tuple_by_cols(data->tg_newtuple, columns, 1, &column, &new, &nulls[1]));
}

static void *
learn(Relation relation, const Trigger *trigger)
{
	Definition *definition = palloc0(sizeof(Definition));

	rsv_column_find(relation, trigger->tgargs[0], RSV_COLUMN_INTEGER, true, &definition->version);
	return definition;
}

static void
refuse_null(const TriggerData *data, const Definition *definition)
{
	ereport(ERROR,
			(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
			 errmsg("a row of \"%s\" has no version", RelationGetRelationName(data->tg_relation)),
			 errhint("Make the version column NOT NULL with a default: for the rows there are, "
					 "set it with the trigger disabled."),
			 errtablecol(data->tg_relation, definition->version.number)));
}

static void
refuse_conflict(const TriggerData *data, int64 current, const char *carried)
{
	ereport(ERROR,
			(errcode(ERRCODE_RSV_VERSION_CONFLICT),
			 errmsg("a row of \"%s\" has been changed since it was read",
					RelationGetRelationName(data->tg_relation)),
			 errdetail("The current version is " INT64_FORMAT ", the update carries %s.", current,
					   carried),
			 errhint("Read the row again, decide again, and update with its current version."),
			 errtable(data->tg_relation)));
}
