/*
 * trigger.c
 *	  The trigger protocol, for all our triggers at once: is this the table, the
 *	  moment, the events and the arguments that the function is made for?
 *
 * Invariant: a trigger function of ours acts only on a definition that it has
 * checked. The check is made when the trigger is created, in every session that
 * has the library loaded, and again at the first use in each session: a table
 * can be altered, and a dump restored, without us.
 *
 * What a definition means for its table (which columns, of which types) is
 * learned once per session and trigger, and learned anew when the table has
 * changed. A table that a statement works on is locked, so what was learned for
 * that statement holds to its end.
 *
 * Locks: none of our own.
 *
 * Memory: each definition has a context of its own below CacheMemoryContext.
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/htup_details.h"
#include "access/relation.h"
#include "access/table.h"
#include "catalog/dependency.h"
#include "catalog/indexing.h"
#include "catalog/objectaccess.h"
#include "catalog/pg_proc.h"
#include "catalog/pg_trigger.h"
#include "catalog/pg_type.h"
#include "commands/extension.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/hsearch.h"
#include "utils/inval.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"

#include "reservation.h"
#include "trigger.h"

/* A definition that this session has checked. */
typedef struct Known
{
	Oid trigger_id; /* key */
	Oid relation_id;
	bool stale;
	MemoryContext context;
	void *definition; /* what the trigger's room made of it; NULL: it could not */
} Known;

static const RsvTriggerRule *const rules[] = {
	&rsv_numbering_rule,
	&rsv_version_rule,
	&rsv_flag_rule,
	&rsv_deduction_rule,
	&rsv_credit_rule,
};

static HTAB *known_triggers = NULL;
static object_access_hook_type next_object_access_hook = NULL;

static void object_accessed(ObjectAccessType access, Oid class_id, Oid object_id, int part,
							void *argument);
static const RsvTriggerRule *rule_of(Oid function_id);
static bool is_of_extension(Oid function_id);
static bool trigger_read(Oid trigger_id, Oid *relation_id, Trigger *trigger);
pg_noreturn static void refuse_protocol(const RsvTriggerRule *rule, const char *what);
static void make_known_triggers(void);
static void forget_relation(Datum argument, Oid relation_id);
static bool type_fits(Oid type, RsvColumnKind kind);

void
rsv_trigger_init(void)
{
	next_object_access_hook = object_access_hook;
	object_access_hook = object_accessed;
}

/*
 * Every trigger function begins here. Checks the call and the definition, and
 * returns what the room has learned of it.
 */
void *
rsv_trigger_begin(FunctionCallInfo fcinfo, const RsvTriggerRule *rule)
{
	TriggerData *data = (TriggerData *) fcinfo->context;
	MemoryContext caller = CurrentMemoryContext;
	Known *known;
	bool found;

	if (!CALLED_AS_TRIGGER(fcinfo))
		refuse_protocol(rule, "was not called as a trigger");
	if (known_triggers == NULL)
		make_known_triggers();

	known = hash_search(known_triggers, &data->tg_trigger->tgoid, HASH_ENTER, &found);
	if (!found)
	{
		known->context = NULL;
		known->definition = NULL;
		known->stale = true;
	}
	if (!known->stale && known->definition != NULL &&
		known->relation_id == RelationGetRelid(data->tg_relation))
		return known->definition;

	known->definition = NULL;   /* until it is learned: learning may fail */
	if (known->context != NULL) /* a call of the same trigger, under way, may go by it */
		MemoryContextSetParent(known->context, TopTransactionContext);
	known->context = NULL;
	known->stale = true;
	known->relation_id = RelationGetRelid(data->tg_relation);
	rsv_trigger_check(rule, data->tg_relation, data->tg_trigger);
	known->context =
		AllocSetContextCreate(CacheMemoryContext, "reservation trigger", ALLOCSET_SMALL_SIZES);
	MemoryContextSwitchTo(known->context);
	known->stale = false; /* news that arrive meanwhile make it stale again */
	known->definition = rule->learn(data->tg_relation, data->tg_trigger);
	MemoryContextSwitchTo(caller);
	return known->definition;
}

/*
 * Reads every trigger of a function of ours, wherever it stands, and calls the
 * visitor for it. Temporary tables of other sessions cannot be read.
 */
void
rsv_trigger_visit(const RsvTriggerRule *rule, RsvTriggerVisitor visitor, void *argument)
{
	Relation catalog = table_open(TriggerRelationId, AccessShareLock);
	SysScanDesc scan = systable_beginscan(catalog, InvalidOid, false, NULL, 0, NULL);
	List *found = NIL;
	ListCell *cell;
	HeapTuple tuple;

	while (HeapTupleIsValid(tuple = systable_getnext(scan)))
	{
		Form_pg_trigger row = (Form_pg_trigger) GETSTRUCT(tuple);

		if (rule_of(row->tgfoid) == rule)
			found = lappend_oid(found, row->oid);
	}
	systable_endscan(scan);
	table_close(catalog, AccessShareLock);

	foreach(cell, found)
	{
		Oid relation_id;
		Trigger trigger;
		Relation relation;

		if (!trigger_read(lfirst_oid(cell), &relation_id, &trigger))
			continue;
		relation = try_relation_open(relation_id, AccessShareLock);
		if (relation == NULL)
			continue;
		if (relation->rd_rel->relkind == RELKIND_RELATION && !RELATION_IS_OTHER_TEMP(relation))
			visitor(relation, &trigger, argument);
		table_close(relation, AccessShareLock);
	}
	list_free(found);
}

/*
 * Finds a column that a trigger's argument names, 42703 if there is none.
 * "settable": the trigger gives it its value.
 */
void
rsv_column_find(Relation relation, const char *name, RsvColumnKind kind, bool settable,
				RsvColumn *column)
{
	AttrNumber number = get_attnum(RelationGetRelid(relation), name);
	Form_pg_attribute attribute;

	if (number <= 0)
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_COLUMN),
				 errmsg("column \"%s\" of relation \"%s\" does not exist", name,
						RelationGetRelationName(relation)),
				 errhint("Create the trigger again with the name that the column has now, "
						 "without quotes inside the quotes."),
				 errtable(relation)));
	attribute = TupleDescAttr(RelationGetDescr(relation), number - 1);
	column->number = number;
	column->type = attribute->atttypid;
	column->typmod = attribute->atttypmod;
	column->base = getBaseType(attribute->atttypid);
	if (!type_fits(column->base, kind))
		ereport(ERROR,
				(errcode(ERRCODE_WRONG_OBJECT_TYPE),
				 errmsg("column \"%s\" of relation \"%s\" cannot be of type %s", name,
						RelationGetRelationName(relation), format_type_be(column->type)),
				 errhint(kind == RSV_COLUMN_FLAG       ? "Use a column of type boolean."
							 : kind == RSV_COLUMN_TIME ? "Use a column of type timestamptz."
							 : kind == RSV_COLUMN_INTEGER
							 ? "Use a column of type integer, bigint or smallint."
							 : "Use a column of type integer, bigint, smallint or text."),
				 errtablecol(relation, number)));
	if (attribute->attgenerated != '\0' || (settable && attribute->attidentity != '\0'))
		ereport(ERROR,
				(errcode(ERRCODE_WRONG_OBJECT_TYPE),
				 errmsg("column \"%s\" of relation \"%s\" is generated", name,
						RelationGetRelationName(relation)),
				 errhint("Use a plain column: a generated one has no value yet, or its own."),
				 errtablecol(relation, number)));
}

/* The value of an integer column as bigint. */
int64
rsv_column_int64(const RsvColumn *column, Datum value)
{
	switch (column->base)
	{
		case INT2OID:
			return DatumGetInt16(value);
		case INT4OID:
			return DatumGetInt32(value);
		default:
			Assert(column->base == INT8OID);
			return DatumGetInt64(value);
	}
}

/* A number as a value of an integer column; 22003 if it does not fit. */
Datum
rsv_column_from_int64(Relation relation, const RsvColumn *column, int64 number)
{
	Datum value;

	if ((column->base == INT2OID && (number < PG_INT16_MIN || number > PG_INT16_MAX)) ||
		(column->base == INT4OID && (number < PG_INT32_MIN || number > PG_INT32_MAX)))
		ereport(ERROR,
				(errcode(ERRCODE_NUMERIC_VALUE_OUT_OF_RANGE),
				 errmsg("number " INT64_FORMAT " is out of range for type %s", number,
						format_type_be(column->type)),
				 errhint("Alter the column to a larger integer type."),
				 errtablecol(relation, column->number)));
	if (column->base == INT2OID)
		value = Int16GetDatum((int16) number);
	else if (column->base == INT4OID)
		value = Int32GetDatum((int32) number);
	else
		value = Int64GetDatum(number);
	rsv_column_check_domain(column, value, false);
	return value;
}

/* The text of a value, whatever its type; NULL if it is. */
text *
rsv_column_text(const RsvColumn *column, TupleDesc columns, HeapTuple row)
{
	bool isnull;
	Datum value = heap_getattr(row, column->number, columns, &isnull);
	Oid output;
	bool varlena;

	if (isnull)
		return NULL;
	if (column->base == TEXTOID || column->base == VARCHAROID)
		return DatumGetTextPP(value);
	getTypeOutputInfo(column->type, &output, &varlena);
	return cstring_to_text(OidOutputFunctionCall(output, value));
}

void
rsv_column_refuse_negative(Relation relation, const RsvColumn *column, int64 value)
{
	ereport(ERROR,
			(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
			 errmsg("column \"%s\" of relation \"%s\" must not be negative, as " INT64_FORMAT " is",
					NameStr(TupleDescAttr(RelationGetDescr(relation), column->number - 1)->attname),
					RelationGetRelationName(relation), value),
			 errhint("Delete the row, or update it to less, to give something back."),
			 errtablecol(relation, column->number)));
}

/* A value that we put into a column of a domain obeys the domain. */
void
rsv_column_check_domain(const RsvColumn *column, Datum value, bool isnull)
{
	if (column->type != column->base)
		domain_check(value, isnull, column->type, NULL, NULL);
}

/* Are these two values of the column one and the same? */
bool
rsv_column_same(const RsvColumn *column, Datum a, Datum b)
{
	text *left;
	text *right;

	if (column->base != TEXTOID && column->base != VARCHAROID)
		return rsv_column_int64(column, a) == rsv_column_int64(column, b);
	left = DatumGetTextPP(a);
	right = DatumGetTextPP(b);
	return VARSIZE_ANY_EXHDR(left) == VARSIZE_ANY_EXHDR(right) &&
		memcmp(VARDATA_ANY(left), VARDATA_ANY(right), VARSIZE_ANY_EXHDR(left)) == 0;
}

/* Does the UPDATE that fired the trigger name this column in its SET list? */
bool
rsv_column_is_set(const TriggerData *data, const RsvColumn *column)
{
	return bms_is_member(column->number - FirstLowInvalidHeapAttributeNumber, data->tg_updatedcols);
}

/*
 * Object access hook: a definition that cannot work is refused when it is made.
 * Pools are not looked for: a restored schema has its triggers before its pools.
 */
static void
object_accessed(ObjectAccessType access, Oid class_id, Oid object_id, int part, void *argument)
{
	const RsvTriggerRule *rule;
	Oid relation_id;
	Trigger trigger;
	Relation relation;

	if (next_object_access_hook != NULL)
		next_object_access_hook(access, class_id, object_id, part, argument);
	if (access != OAT_POST_CREATE || class_id != TriggerRelationId ||
		!trigger_read(object_id, &relation_id, &trigger))
		return;
	rule = rule_of(trigger.tgfoid);
	if (rule == NULL)
		return;
	relation = table_open(relation_id, NoLock);
	rsv_trigger_check(rule, relation, &trigger);
	(void) rule->learn(relation, &trigger);
	table_close(relation, NoLock);
}

/*
 * The rule of a function, NULL if it is none of our trigger functions. A database without
 * the extension may have functions of that name, in a schema of that name.
 */
static const RsvTriggerRule *
rule_of(Oid function_id)
{
	Oid schema = get_func_namespace(function_id);
	char *schema_name = OidIsValid(schema) ? get_namespace_name(schema) : NULL;
	char *name;

	if (schema_name == NULL || strcmp(schema_name, RSV_SCHEMA) != 0)
		return NULL;
	name = get_func_name(function_id);
	for (int i = 0; name != NULL && i < (int) lengthof(rules); i++)
	{
		if (strcmp(name, rules[i]->function) == 0)
			return is_of_extension(function_id) ? rules[i] : NULL;
	}
	return NULL;
}

static bool
is_of_extension(Oid function_id)
{
	Oid extension = get_extension_oid("reservation", true);

	return OidIsValid(extension) &&
		getExtensionOfObject(ProcedureRelationId, function_id) == extension;
}

/* Reads a trigger's definition from the catalog, also one that was made just now. */
static bool
trigger_read(Oid trigger_id, Oid *relation_id, Trigger *trigger)
{
	Relation catalog = table_open(TriggerRelationId, AccessShareLock);
	ScanKeyData key;
	SysScanDesc scan;
	HeapTuple tuple;
	bool found;

	ScanKeyInit(&key, Anum_pg_trigger_oid, BTEqualStrategyNumber, F_OIDEQ,
				ObjectIdGetDatum(trigger_id));
	scan = systable_beginscan(catalog, TriggerOidIndexId, true, SnapshotSelf, 1, &key);
	tuple = systable_getnext(scan);
	found = HeapTupleIsValid(tuple);
	if (found)
	{
		Form_pg_trigger row = (Form_pg_trigger) GETSTRUCT(tuple);
		bool isnull;
		bytea *arguments = DatumGetByteaPCopy(
			heap_getattr(tuple, Anum_pg_trigger_tgargs, RelationGetDescr(catalog), &isnull));
		char *next = VARDATA(arguments);

		Assert(!isnull);
		memset(trigger, 0, sizeof(Trigger));
		*relation_id = row->tgrelid;
		trigger->tgoid = row->oid;
		trigger->tgname = pstrdup(NameStr(row->tgname));
		trigger->tgfoid = row->tgfoid;
		trigger->tgtype = row->tgtype;
		trigger->tgenabled = row->tgenabled;
		trigger->tgnattr = row->tgattr.dim1;
		trigger->tgnargs = row->tgnargs;
		trigger->tgargs = palloc0(sizeof(char *) * (row->tgnargs + 1));
		for (int i = 0; i < row->tgnargs; i++)
		{
			trigger->tgargs[i] = next;
			next += strlen(next) + 1;
		}
	}
	systable_endscan(scan);
	table_close(catalog, AccessShareLock);
	return found;
}

/*
 * What can be said of a definition without its room: refused if it cannot be right.
 * Learn none that was not checked: a session without the library may have made it.
 */
void
rsv_trigger_check(const RsvTriggerRule *rule, Relation relation, const Trigger *trigger)
{
	bool fits = false;

	for (int i = 0; i < (int) lengthof(rule->types); i++)
		fits = fits || (rule->types[i] != 0 && trigger->tgtype == rule->types[i]);
	if (!fits)
		refuse_protocol(rule, "has a trigger that fires at another time, level or event");
	if (trigger->tgnattr > 0)
		refuse_protocol(rule, "has a trigger that leaves out the updates of some columns");
	if (trigger->tgnargs < rule->arguments_min || trigger->tgnargs > rule->arguments_max)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("trigger function %s cannot have %d arguments", rule->function,
						trigger->tgnargs),
				 errhint("Write CREATE TRIGGER ... %s.", rule->usage)));
	if (relation->rd_rel->relkind != RELKIND_RELATION &&
		relation->rd_rel->relkind != RELKIND_PARTITIONED_TABLE)
		ereport(ERROR,
				(errcode(ERRCODE_WRONG_OBJECT_TYPE),
				 errmsg("\"%s\" is not a table", RelationGetRelationName(relation)),
				 errhint("Create the trigger on the table where the rows are."),
				 errtable(relation)));
}

static void
refuse_protocol(const RsvTriggerRule *rule, const char *what)
{
	ereport(ERROR,
			(errcode(ERRCODE_E_R_I_E_TRIGGER_PROTOCOL_VIOLATED),
			 errmsg("trigger function %s %s", rule->function, what),
			 errhint("Write CREATE TRIGGER ... %s.", rule->usage)));
}

static void
make_known_triggers(void)
{
	HASHCTL control = {.keysize = sizeof(Oid), .entrysize = sizeof(Known)};

	known_triggers = hash_create("reservation triggers", 16, &control, HASH_ELEM | HASH_BLOBS);
	CacheRegisterRelcacheCallback(forget_relation, (Datum) 0);
}

/* Relcache callback. Only marks: what is known may be in use. */
static void
forget_relation(Datum argument, Oid relation_id)
{
	HASH_SEQ_STATUS status;
	Known *known;

	hash_seq_init(&status, known_triggers);
	while ((known = hash_seq_search(&status)) != NULL)
	{
		if (relation_id == InvalidOid || known->relation_id == relation_id)
			known->stale = true;
	}
}

static bool
type_fits(Oid type, RsvColumnKind kind)
{
	switch (kind)
	{
		case RSV_COLUMN_FLAG:
			return type == BOOLOID;
		case RSV_COLUMN_TIME:
			return type == TIMESTAMPTZOID || type == TIMESTAMPOID;
		case RSV_COLUMN_INTEGER:
			return type == INT2OID || type == INT4OID || type == INT8OID;
		case RSV_COLUMN_NUMBER:
			return type == INT2OID || type == INT4OID || type == INT8OID || type == TEXTOID ||
				type == VARCHAROID;
		case RSV_COLUMN_ANY:
			return true;
	}
	return false;
}
