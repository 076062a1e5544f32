/*
 * awaited.c
 *	  A row that a BEFORE trigger has handed on: is it in its table?
 *
 * Other triggers may have changed it, or dropped it, or ON CONFLICT has. Nobody
 * tells us; so what the executor got is remembered, and looked for.
 *
 * Memory: what is remembered of a row lives where the caller says.
 */
#include "postgres.h"

#include "access/relation.h"
#include "access/table.h"
#include "access/xact.h"
#include "catalog/pg_trigger.h"
#include "utils/datum.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"

#include "reservation.h"
#include "trigger.h"

/* What is looked for in the table. */
typedef struct Sought
{
	const RsvAwaited *awaited;
	Relation relation;
	TupleDesc columns;
	Datum number;
	text *pool_name; /* NULL: that of all rows */
	text *name;      /* of the row that was found, if it has another key */
} Sought;

static bool others_follow(Relation relation, const Trigger *trigger, int16 event);
static bool is_like(TupleTableSlot *slot, void *argument);
static bool still_of_type(TupleDesc columns, const RsvColumn *column);
static bool is_the_row(TupleTableSlot *slot, void *argument);
static bool has_key(TupleTableSlot *slot, const Sought *sought);
static bool is_of_pool(TupleTableSlot *slot, const Sought *sought);
static bool has_claim(const text *pool_name, int32 number);

/* Learns how this trigger's rows are found again. */
void
rsv_awaited_learn(Relation relation, const Trigger *trigger, RsvNumbering *numbering)
{
	AttrNumber column = numbering->number.column.number;

	numbering->inserted.others_follow = others_follow(relation, trigger, TRIGGER_TYPE_INSERT);
	numbering->inserted.index_id =
		rsv_row_index(relation, column, numbering->inserted.others_follow);
	numbering->updated.others_follow = others_follow(relation, trigger, TRIGGER_TYPE_UPDATE);
	numbering->updated.index_id = rsv_row_index(relation, column, numbering->updated.others_follow);
}

/* Do other triggers see an inserted or updated row after us, and perhaps change it? */
static bool
others_follow(Relation relation, const Trigger *trigger, int16 event)
{
	bool after_us = false;

	for (int i = 0; relation->trigdesc != NULL && i < relation->trigdesc->numtriggers; i++)
	{
		const Trigger *other = &relation->trigdesc->triggers[i];

		if (other->tgoid == trigger->tgoid)
			after_us = true;
		else if (after_us &&
				 TRIGGER_TYPE_MATCHES(other->tgtype, TRIGGER_TYPE_ROW, TRIGGER_TYPE_BEFORE, event))
			return true;
	}
	return false;
}

/* Remembers a row that is handed on with this number. */
void
rsv_awaited_note(RsvAwaited *awaited, const TriggerData *data, const RsvNumbering *numbering,
				 HeapTuple row, int32 number)
{
	awaited->relation_id = RelationGetRelid(data->tg_relation);
	awaited->file_id = data->tg_relation->rd_rel->relfilenode;
	awaited->trail =
		TRIGGER_FIRED_BY_UPDATE(data->tg_event) ? numbering->updated : numbering->inserted;
	awaited->column = numbering->number.column;
	awaited->pool = numbering->pool;
	awaited->key = numbering->holder;
	awaited->tuple = heap_copytuple(row);
	awaited->number = number;
	awaited->command = GetCurrentCommandId(false);
}

/*
 * Has this transaction written the row, whatever became of it since? One that was gone
 * when the row was handed on is another, which had the number before. A table
 * that it has dropped has no rows. Of one that it has altered so that we cannot
 * tell, the number is kept: once written anew, its rows may have another form than
 * the one that we remember.
 *
 * name: that of the row, if a later trigger has given it another key, else NULL.
 */
bool
rsv_awaited_seen(const RsvAwaited *awaited, text **name)
{
	Relation relation = try_relation_open(awaited->relation_id, AccessShareLock);
	Sought sought = {.awaited = awaited};
	bool isnull;
	bool found = true;

	*name = NULL;
	if (relation == NULL)
		return false;
	sought.relation = relation;
	sought.columns = RelationGetDescr(relation);
	if (relation->rd_rel->relfilenode == awaited->file_id &&
		still_of_type(sought.columns, &awaited->column) &&
		(awaited->pool.number == 0 || still_of_type(sought.columns, &awaited->pool)))
	{
		List *indexes = RelationGetIndexList(relation);
		Oid index_id = list_member_oid(indexes, awaited->trail.index_id) ? awaited->trail.index_id
																		 : InvalidOid;

		if (awaited->pool.number != 0)
			sought.pool_name = rsv_column_text(&awaited->pool, sought.columns, awaited->tuple);
		sought.number =
			heap_getattr(awaited->tuple, awaited->column.number, sought.columns, &isnull);
		Assert(!isnull);
		found = rsv_row_search(relation, index_id, awaited->tuple, awaited->column.number,
							   SnapshotAny, is_the_row, &sought);
		*name = sought.name;
		list_free(indexes);
	}
	table_close(relation, NoLock);
	return found;
}

/*
 * A row was deleted: is one there again, with its key and its number of the same pool?
 * The primary key finds it.
 */
bool
rsv_awaited_is_back(const TriggerData *data, const RsvNumbering *numbering)
{
	Relation relation = data->tg_relation;
	AttrNumber column = numbering->number.column.number;
	RsvAwaited awaited = {
		.column = numbering->number.column,
		.key = numbering->holder,
		.tuple = data->tg_trigtuple,
	};
	Sought sought = {
		.awaited = &awaited,
		.relation = relation,
		.columns = RelationGetDescr(relation),
	};
	Snapshot now = rsv_store_now();
	bool isnull;
	bool back;

	if (numbering->pool.number != 0)
	{
		awaited.pool = numbering->pool;
		sought.pool_name = rsv_column_text(&awaited.pool, sought.columns, awaited.tuple);
	}
	sought.number = heap_getattr(awaited.tuple, column, sought.columns, &isnull);
	list_free(RelationGetIndexList(relation)); /* finds the primary key */
	back = rsv_row_search(relation, relation->rd_pkindex, awaited.tuple, column, now, is_like,
						  &sought);
	rsv_store_forget(now);
	return back;
}

static bool
is_like(TupleTableSlot *slot, void *argument)
{
	const Sought *sought = argument;
	bool isnull;
	Datum number = slot_getattr(slot, sought->awaited->column.number, &isnull);
	text *pool_name;

	if (isnull || !rsv_column_same(&sought->awaited->column, number, sought->number) ||
		!has_key(slot, sought))
		return false;
	if (sought->pool_name == NULL)
		return true;
	pool_name = rsv_column_text(&sought->awaited->pool, sought->columns,
								ExecCopySlotHeapTuple(slot));
	return pool_name != NULL && rsv_holder_same(pool_name, sought->pool_name);
}

static bool
still_of_type(TupleDesc columns, const RsvColumn *column)
{
	return TupleDescAttr(columns, column->number - 1)->atttypid == column->type;
}

static bool
is_the_row(TupleTableSlot *slot, void *argument)
{
	Sought *sought = argument;
	const RsvAwaited *awaited = sought->awaited;
	bool deleted = rsv_row_was_deleted(slot, awaited->command);
	bool isnull;
	Datum number;

	/* a row that got another key may have been deleted since, under that key */
	if (!rsv_row_is_ours(slot) || (deleted && awaited->command != InvalidCommandId))
		return false;
	number = slot_getattr(slot, awaited->column.number, &isnull);
	if (isnull || !rsv_column_same(&awaited->column, number, sought->number) ||
		(sought->pool_name != NULL && !is_of_pool(slot, sought)))
		return false;
	if (has_key(slot, sought))
		return true;
	if (deleted || !awaited->trail.others_follow)
		return false;
	sought->name = rsv_holder_name(&awaited->key, sought->relation, ExecCopySlotHeapTuple(slot));
	return true;
}

/*
 * Is this the key that the row had when it was handed on? Another row may have had
 * the number before, and have been deleted and given it back.
 */
static bool
has_key(TupleTableSlot *slot, const Sought *sought)
{
	const RsvAwaited *awaited = sought->awaited;

	for (int i = 0; i < awaited->key.nkeys; i++)
	{
		AttrNumber column = awaited->key.keys[i];
		Form_pg_attribute attribute = TupleDescAttr(sought->columns, column - 1);
		bool nulls[2];
		Datum ours = heap_getattr(awaited->tuple, column, sought->columns, &nulls[0]);
		Datum theirs = slot_getattr(slot, column, &nulls[1]);

		if (nulls[0] || nulls[1] ||
			!datum_image_eq(ours, theirs, attribute->attbyval, attribute->attlen))
			return false;
	}
	return true;
}

/*
 * Is the number in this row of our pool? A later trigger may have written another
 * pool into the row; then it is no row of that pool, and has no claim there.
 */
static bool
is_of_pool(TupleTableSlot *slot, const Sought *sought)
{
	const RsvAwaited *awaited = sought->awaited;
	HeapTuple row = ExecCopySlotHeapTuple(slot);
	text *pool_name = rsv_column_text(&awaited->pool, sought->columns, row);

	if (pool_name != NULL && rsv_holder_same(pool_name, sought->pool_name))
		return true;
	return awaited->trail.others_follow &&
		(pool_name == NULL || !has_claim(pool_name, awaited->number));
}

/* Could a row of that pool have this number by its own right? */
static bool
has_claim(const text *pool_name, int32 number)
{
	RsvPool pool;
	RsvClaim claim;
	Snapshot as_of;
	bool found;

	if (!rsv_pool_lookup(pool_name, &pool) || pool.counted)
		return false;
	if (pool.open)
		return true;
	as_of = rsv_store_now();
	found = rsv_supply_live_claim(&pool, number, as_of, &claim);
	rsv_store_forget(as_of);
	return found;
}
