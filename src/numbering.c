/*
 * numbering.c
 *	  assign_number: rows of the application's table get numbers from a pool.
 *
 * Invariant: a number of a limited edition stands in a row if and only if the
 * pool has a finalized claim for it whose holder names that row. The claim is
 * made in the transaction of the INSERT; what ends that, in whole or in part,
 * ends both. Which free unit a row gets is decided as for any claim (supply.c);
 * so two INSERTs never wait for each other while there are two.
 *
 * An open edition has no claims: its sequence numbers the rows, as fast as a
 * default would, with gaps. What is known of its numbers is in the tables.
 *
 * Lock order: the unit, then the claim; both without waiting, except for the last
 * units of a pool (supply.c).
 *
 * Memory: definitions live as trigger.c says, everything else as long as the
 * trigger's call.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "access/xact.h"
#include "catalog/pg_class.h"
#include "catalog/pg_trigger.h"
#include "miscadmin.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/datum.h"
#include "utils/lsyscache.h"

#include "compat.h"
#include "reservation.h"
#include "trigger.h"

#define COLUMN_MARK "column:"

/* One row for which the trigger fired. */
typedef struct Row
{
	const RsvNumbering *numbering;
	const TriggerData *data;
	TupleDesc columns;
	uint64 statement;
	HeapTuple tuple; /* as it shall be */
	bool numbered;
	int32 number;
	bool has_claim;
	RsvClaim claim; /* made by this call, or left over by an earlier row */
	RsvExpectation expectation;
} Row;

/* The transaction in which a row was last put there with the number that it had before */
static LocalTransactionId adopted_in = InvalidLocalTransactionId;

static void *learn(Relation relation, const Trigger *trigger);
static HeapTuple insert(Row *row);
static HeapTuple update(Row *row);
static void erase(Row *row);
static bool supplied(const Row *row, HeapTuple tuple, Datum *value);
static void assign(Row *row);
static void adopt(Row *row, Datum value);
static void adopt_sold(Row *row, const RsvPool *pool);
static void make_claim(Row *row, const RsvPool *pool, TimestampTz now);
static HeapTuple finish(Row *row);
static bool same_value(const Row *row, const RsvColumn *column);
static void require_owner(const Row *row, const RsvColumn *column);
static void guard_flag(const Row *row);
pg_noreturn static void refuse_value(const Row *row, const RsvColumn *column, const char *what,
									 const char *hint);
static void move_claim(Row *row, const text *old_holder, text *new_holder);
static bool sold_claim(const RsvPool *pool, int32 number, RsvClaim *claim);
static bool live_claim(const RsvPool *pool, int32 number, RsvClaim *claim);

const RsvTriggerRule rsv_numbering_rule = {
	.function = "assign_number",
	.usage = "BEFORE INSERT OR UPDATE ON ... FOR EACH ROW EXECUTE FUNCTION "
			 "reservation.assign_number('pool', 'number_column' [, 'flag_column']); "
			 "to give numbers back, one more with the same arguments AFTER DELETE",
	.types = {TRIGGER_TYPE_ROW | TRIGGER_TYPE_BEFORE | TRIGGER_TYPE_INSERT | TRIGGER_TYPE_UPDATE,
			  TRIGGER_TYPE_ROW | TRIGGER_TYPE_DELETE},
	.arguments_min = 2,
	.arguments_max = 3,
	.learn = learn,
};

/*
 * assign_number('pool', 'number_column' [, 'flag_column']) -> trigger
 *
 * BEFORE INSERT OR UPDATE FOR EACH ROW: an inserted row gets the lowest free
 * number, in the same transaction; when there is none, or the pool is not on
 * sale, NULL and a false flag. 'column:name' in place of the pool: its name is
 * in that column. A number or flag from a role that does not own the table:
 * RS004; the owner may supply numbers. AFTER DELETE FOR EACH ROW: the number
 * goes back to its pool.
 */
PG_FUNCTION_INFO_V1(rsv_assign_number);
Datum
rsv_assign_number(PG_FUNCTION_ARGS)
{
	Row row = {.numbering = rsv_trigger_begin(fcinfo, &rsv_numbering_rule)};

	row.data = (TriggerData *) fcinfo->context;
	row.columns = RelationGetDescr(row.data->tg_relation);
	if (TRIGGER_FIRED_BY_DELETE(row.data->tg_event))
	{
		erase(&row);
		return PointerGetDatum(NULL);
	}
	row.statement = rsv_arrival_statement(fcinfo->flinfo, row.data->tg_trigger);
	if (TRIGGER_FIRED_BY_UPDATE(row.data->tg_event))
	{
		row.tuple = row.data->tg_newtuple;
		return PointerGetDatum(update(&row));
	}
	row.tuple = row.data->tg_trigtuple;
	return PointerGetDatum(insert(&row));
}

static void *
learn(Relation relation, const Trigger *trigger)
{
	RsvNumbering *numbering = palloc0(sizeof(RsvNumbering));

	numbering->pool_name = rsv_numbering_pool_named(trigger);
	if (numbering->pool_name == NULL)
		rsv_column_find(relation, trigger->tgargs[0] + strlen(COLUMN_MARK), RSV_COLUMN_ANY, false,
						&numbering->pool);
	else
		rsv_check_name(numbering->pool_name, "pool");
	rsv_numeral_find(relation, trigger->tgargs[1], &numbering->number);
	numbering->has_flag = trigger->tgnargs > 2;
	if (numbering->has_flag)
		rsv_column_find(relation, trigger->tgargs[2], RSV_COLUMN_FLAG, true, &numbering->flag);
	rsv_holder_learn(relation, &numbering->holder);
	rsv_awaited_learn(relation, trigger, numbering);
	return numbering;
}

static HeapTuple
insert(Row *row)
{
	Datum value;

	rsv_arrival_settle(row->statement);
	if (!supplied(row, row->tuple, &value))
		assign(row);
	else if (rsv_numeral_read(&row->numbering->number, value, &row->number) &&
			 rsv_holder_moves_in(
				 row->data->tg_relation, row->number,
				 rsv_holder_name(&row->numbering->holder, row->data->tg_relation, row->tuple)))
		row->numbered = true;
	else
	{
		require_owner(row, &row->numbering->number.column);
		adopt(row, value);
	}
	return finish(row);
}

/* An update gives no numbers: it guards those that there are. */
static HeapTuple
update(Row *row)
{
	const RsvNumbering *numbering = row->numbering;
	Relation relation = row->data->tg_relation;
	text *holder;
	text *old_holder;
	Datum value;

	rsv_arrival_settle(row->statement);
	row->numbered = supplied(row, row->tuple, &value);
	if (!same_value(row, &numbering->number.column))
	{
		require_owner(row, &numbering->number.column);
		if (row->numbered)
			adopt(row, value);
		return finish(row);
	}
	guard_flag(row);
	if (!row->numbered || !rsv_numeral_read(&numbering->number, value, &row->number))
		return row->tuple;
	if (numbering->pool_name == NULL && !same_value(row, &numbering->pool))
		refuse_value(row, &numbering->pool, "is the pool of the row's number",
					 "Delete the row and insert it anew for another number.");
	holder = rsv_holder_name(&numbering->holder, relation, row->tuple);
	old_holder = rsv_holder_name(&numbering->holder, relation, row->data->tg_trigtuple);
	rsv_holder_moves_out(relation, row->data->tg_trigtuple, row->number, holder);
	if (!rsv_holder_same(holder, old_holder))
		move_claim(row, old_holder, holder);
	return row->tuple;
}

/* The row is gone, unless it went to another partition, or is back with its number. */
static void
erase(Row *row)
{
	const RsvNumbering *numbering = row->numbering;
	HeapTuple tuple = row->data->tg_trigtuple;
	text *name = rsv_numbering_pool(row->numbering, row->columns, tuple);
	RsvClaim claim;
	RsvPool pool;
	Datum value;

	rsv_arrival_settle(0);
	if (HeapTupleHeaderIndicatesMovedPartitions(tuple->t_data) || !supplied(row, tuple, &value) ||
		!rsv_numeral_read(&numbering->number, value, &row->number) || name == NULL ||
		!rsv_pool_lookup(name, &pool) || pool.counted || pool.open ||
		!sold_claim(&pool, row->number, &claim))
		return;
	if (rsv_holder_is(&numbering->holder, row->data->tg_relation, tuple, claim.holder) &&
		!(adopted_in == rsv_local_transaction_id && rsv_awaited_is_back(row->data, numbering)))
		rsv_claim_give_back(&claim.claim_id, 0);
}

/* The pool that the trigger names, NULL if each row says in a column, or nothing does. */
text *
rsv_numbering_pool_named(const Trigger *trigger)
{
	if (trigger->tgnargs == 0 || strncmp(trigger->tgargs[0], COLUMN_MARK, strlen(COLUMN_MARK)) == 0)
		return NULL;
	return cstring_to_text(trigger->tgargs[0]);
}

/* The pool that numbers this row, NULL if its column is. */
text *
rsv_numbering_pool(const RsvNumbering *numbering, TupleDesc columns, HeapTuple tuple)
{
	if (numbering->pool_name != NULL)
		return numbering->pool_name;
	return rsv_column_text(&numbering->pool, columns, tuple);
}

static bool
supplied(const Row *row, HeapTuple tuple, Datum *value)
{
	bool isnull;

	*value = heap_getattr(tuple, row->numbering->number.column.number, row->columns, &isnull);
	return !isnull;
}

/* Gives the row the next number, if there is one. */
static void
assign(Row *row)
{
	text *name = rsv_numbering_pool(row->numbering, row->columns, row->tuple);
	TimestampTz now = GetCurrentTimestamp();
	int64 available;
	int64 next;
	RsvPool pool;

	if (name == NULL)
		return;
	rsv_pool_find(name, &pool);
	rsv_pool_require_numbered(&pool, "assign_number");
	if (rsv_pool_closed(&pool, now) != NULL)
		return;
	if (pool.open)
	{
		next = rsv_sequence_next(&pool);
		row->numbered = next <= PG_INT32_MAX;
		row->number = (int32) next;
		return;
	}
	if (rsv_arrival_take_spare(pool.pool_id, &row->claim))
	{
		row->numbered = row->has_claim = true;
		row->expectation = RSV_EXPECT_HEIR;
		row->number = row->claim.number;
		row->claim.holder =
			rsv_holder_name(&row->numbering->holder, row->data->tg_relation, row->tuple);
		return;
	}
	row->numbered = rsv_pass_take(&pool, 1, &now, rsv_wait_deadline(NULL, now), &row->number,
								  &available, false) == RSV_TAKEN;
	if (row->numbered)
		make_claim(row, &pool, now);
}

/* Takes the number that the owner of the table supplied. */
static void
adopt(Row *row, Datum value)
{
	const RsvColumn *column = &row->numbering->number.column;
	text *name = rsv_numbering_pool(row->numbering, row->columns, row->tuple);
	TimestampTz now = GetCurrentTimestamp();
	RsvPool pool;

	if (name == NULL)
		refuse_value(row, column, "has a number without a pool", "Set the pool's column, too.");
	if (!rsv_numeral_read(&row->numbering->number, value, &row->number))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("the value for column \"%s\" is no number of the trigger's form",
						NameStr(TupleDescAttr(row->columns, column->number - 1)->attname)),
				 errhint("Write it as assign_number would, or leave it out."),
				 errtablecol(row->data->tg_relation, column->number)));
	row->numbered = true;
	rsv_pool_find(name, &pool);
	rsv_pool_require_numbered(&pool, "assign_number");
	if (pool.open)
	{
		rsv_sequence_pass(&pool, row->number);
		return;
	}
	switch (rsv_supply_take_unit(&pool, row->number, &now, rsv_wait_deadline(NULL, now)))
	{
		case RSV_TAKEN:
			(void) rsv_limit_look(&pool);
			make_claim(row, &pool, now);
			break;
		case RSV_GONE:
			adopt_sold(row, &pool);
			break;
		case RSV_UNDECIDED:
			ereport(ERROR,
					(errcode(ERRCODE_LOCK_NOT_AVAILABLE),
					 errmsg("could not decide whether number %d is free", row->number),
					 errdetail("An unfinished transaction holds it."),
					 errhint("Try again when that transaction has ended.")));
	}
}

/*
 * The number is taken: by this very row, before it was dumped, say? Or by one that did not
 * arrive, such as that which this update is done in place of (ON CONFLICT)?
 */
static void
adopt_sold(Row *row, const RsvPool *pool)
{
	const RsvNumbering *numbering = row->numbering;
	text *holder = rsv_holder_name(&numbering->holder, row->data->tg_relation, row->tuple);
	RsvClaim claim;
	bool sold = sold_claim(pool, row->number, &claim);
	bool same = sold && rsv_holder_same(claim.holder, holder);

	row->has_claim =
		sold && rsv_arrival_once_more(&claim, same && numbering->holder.nkeys > 0);
	if (row->has_claim || (same && numbering->holder.nkeys > 0))
	{
		adopted_in = rsv_local_transaction_id;
		row->claim = claim;
		row->claim.holder = holder;
		row->expectation = same ? RSV_EXPECT_ROW : RSV_EXPECT_HEIR;
		return;
	}
	ereport(ERROR,
			(errcode(ERRCODE_RSV_PROTECTED_VALUE),
			 errmsg("number %d of pool \"%s\" is taken", row->number, rsv_text_display(pool->name)),
			 errdetail("It does not belong to the row \"%s\".", rsv_text_display(holder)),
			 errhint(numbering->holder.nkeys > 0
						 ? "The view reservation.claims says to whom; leave the number out."
						 : "Without a primary key no row can be told from another: restore this "
						   "table with its triggers disabled."),
			 errtablecol(row->data->tg_relation, numbering->number.column.number)));
}

/* The number is the row's for good, as soon as the transaction commits. */
static void
make_claim(Row *row, const RsvPool *pool, TimestampTz now)
{
	RsvClaim claim = {
		.claimed_at = now,
		.expires_at = DT_NOEND,
		.finalized_at = now,
		.quantity = 1,
		.pool_id = pool->pool_id,
		.number = row->number,
		.numbered = true,
		.state = RSV_FINALIZED,
	};

	claim.holder = rsv_holder_name(&row->numbering->holder, row->data->tg_relation, row->tuple);
	rsv_identifier_make(&claim.claim_id, now, pool->name);
	rsv_claim_insert(&claim, pool);
	ForceSyncCommit();
	row->claim = claim;
	row->has_claim = true;
}

/* Puts number and flag into the row, and waits for it to arrive. */
static HeapTuple
finish(Row *row)
{
	const RsvNumbering *numbering = row->numbering;
	int columns[2] = {numbering->number.column.number, numbering->flag.number};
	Datum values[2] = {0, BoolGetDatum(row->numbered)};
	bool nulls[2] = {!row->numbered, false};

	if (row->numbered)
		values[0] = rsv_numeral_write(row->data->tg_relation, &numbering->number, row->number);
	else
		rsv_column_check_domain(&numbering->number.column, values[0], true);
	if (numbering->has_flag)
		rsv_column_check_domain(&numbering->flag, values[1], false);
	row->tuple = heap_modify_tuple_by_cols(row->tuple, row->columns, numbering->has_flag ? 2 : 1,
										   columns, values, nulls);
	if (row->has_claim)
		rsv_arrival_expect(row->statement, row->data, numbering, row->tuple, &row->claim,
						   row->expectation);
	return row->tuple;
}

/* Does the update leave this column as it was? */
static bool
same_value(const Row *row, const RsvColumn *column)
{
	bool nulls[2];
	Datum old = heap_getattr(row->data->tg_trigtuple, column->number, row->columns, &nulls[0]);
	Datum new = heap_getattr(row->data->tg_newtuple, column->number, row->columns, &nulls[1]);
	Form_pg_attribute attribute = TupleDescAttr(row->columns, column->number - 1);

	if (nulls[0] || nulls[1])
		return nulls[0] == nulls[1];
	return datum_image_eq(old, new, attribute->attbyval, attribute->attlen);
}

static void
guard_flag(const Row *row)
{
	if (row->numbering->has_flag && !same_value(row, &row->numbering->flag))
		refuse_value(row, &row->numbering->flag, "says whether the row has a number",
					 "Leave the column out of the update.");
}

static void
require_owner(const Row *row, const RsvColumn *column)
{
	if (!object_ownercheck(RelationRelationId, RelationGetRelid(row->data->tg_relation),
						   GetUserId()))
		refuse_value(row, column, "gets its numbers from assign_number",
					 "Leave the column out; only the owner of the table can supply a number.");
}

static void
refuse_value(const Row *row, const RsvColumn *column, const char *what, const char *hint)
{
	ereport(ERROR,
			(errcode(ERRCODE_RSV_PROTECTED_VALUE),
			 errmsg("column \"%s\" of relation \"%s\" %s",
					NameStr(TupleDescAttr(row->columns, column->number - 1)->attname),
					RelationGetRelationName(row->data->tg_relation), what),
			 errhint("%s", hint), errtablecol(row->data->tg_relation, column->number)));
}

/*
 * The row has another key now: so has the holder of its number. Others may change that, or
 * leave the row as it was; then it has when the new version is there. In a partition it is
 * looked for in vain, because it may be in another.
 */
static void
move_claim(Row *row, const text *old_holder, text *new_holder)
{
	text *name = rsv_numbering_pool(row->numbering, row->columns, row->tuple);
	RsvClaim claim;
	RsvPool pool;

	if (name == NULL || !rsv_pool_lookup(name, &pool) || pool.open ||
		!sold_claim(&pool, row->number, &claim) || !rsv_holder_same(claim.holder, old_holder))
		return;
	claim.holder = new_holder;
	if (row->numbering->updated.others_follow && !row->data->tg_relation->rd_rel->relispartition)
		rsv_arrival_expect(row->statement, row->data, row->numbering, row->tuple, &claim,
						   RSV_EXPECT_NEW_KEY);
	else
		rsv_claim_rename(&claim.claim_id, new_holder);
}

/* The claim behind a row's number, with the name of that row if it is to have it. */
static bool
sold_claim(const RsvPool *pool, int32 number, RsvClaim *claim)
{
	if (!live_claim(pool, number, claim) || claim->state != RSV_FINALIZED)
		return false;
	return !rsv_arrival_confirm(&claim->claim_id) || live_claim(pool, number, claim);
}

static bool
live_claim(const RsvPool *pool, int32 number, RsvClaim *claim)
{
	Snapshot as_of = rsv_store_now();
	bool found = rsv_supply_live_claim(pool, number, as_of, claim);

	rsv_store_forget(as_of);
	return found;
}
