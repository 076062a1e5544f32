/*
 * credit.c
 *	  charge_credit: rows of the application's table, such as jobs, are charged to
 *	  accounts, and refunded if they fail.
 *
 * Invariant: a row is charged once, when it is inserted, by a finalized claim on
 * its account whose holder names the row; and refunded at most once, because a
 * claim is. Which of the failed states is set, how often, by whom, or whether the
 * row succeeded in between, makes no difference.
 *
 * A row that an UPDATE moves to another partition fires as a deleted row and an
 * inserted one. That would charge it again, so such a move is refused by its first
 * half, which the server marks: on partitions the trigger must see it.
 *
 * Deleting the row is no refund: the work may have been done. The claim stays,
 * and refund() takes it back, also when the row is gone. A job that is tried
 * again with a new row is a new job.
 *
 * Locks: see basket.c; for a refund, the claim.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "catalog/pg_class.h"
#include "catalog/pg_trigger.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"

#include "reservation.h"
#include "trigger.h"

typedef struct Definition
{
	RsvColumn account;
	RsvColumn amount;
	int64 constant; /* the amount, if it is no column; else 0 */
	RsvColumn status;
	int nfailed;
	char **failed;
	RsvHolder holder;
} Definition;

static void *learn(Relation relation, const Trigger *trigger);
static int64 constant_amount(Relation relation, const char *argument);
static void charge_row(FunctionCallInfo fcinfo, const Definition *definition, HeapTuple row);
static void refund_row(FunctionCallInfo fcinfo, const Definition *definition);
static bool has_failed(const Definition *definition, TupleDesc columns, HeapTuple row);
static void guard_account(const TriggerData *data, const Definition *definition);
pg_noreturn static void refuse_change(const TriggerData *data);
static void require_moves(Relation relation, const Trigger *trigger);

const RsvTriggerRule rsv_credit_rule = {
	.function = "charge_credit",
	.usage = "AFTER INSERT OR UPDATE [OR DELETE] ON ... FOR EACH ROW EXECUTE FUNCTION "
			 "reservation.charge_credit('account_column', 'amount', 'status_column', "
			 "'failed status' [, ...])",
	.types = {TRIGGER_TYPE_ROW | TRIGGER_TYPE_INSERT | TRIGGER_TYPE_UPDATE,
			  TRIGGER_TYPE_ROW | TRIGGER_TYPE_INSERT | TRIGGER_TYPE_UPDATE | TRIGGER_TYPE_DELETE},
	.arguments_min = 4,
	.arguments_max = FUNC_MAX_ARGS,
	.learn = learn,
};

/*
 * charge_credit('account_column', 'amount', 'status_column', 'failed status' [, ...])
 *		-> trigger, AFTER INSERT OR UPDATE [OR DELETE] FOR EACH ROW
 *
 * amount: a column of an integer type, or a number. An inserted row is charged
 * when its statement ends, unless it has failed already; an update to a failed
 * status refunds it. NULL account, NULL or 0: nothing. Too little credit: RS006;
 * a negative amount: 22023; another account, key or partition later: RS004. A deleted
 * row: nothing.
 */
PG_FUNCTION_INFO_V1(rsv_charge_credit);
Datum
rsv_charge_credit(PG_FUNCTION_ARGS)
{
	const Definition *definition = rsv_trigger_begin(fcinfo, &rsv_credit_rule);
	const TriggerData *data = (TriggerData *) fcinfo->context;
	TupleDesc columns = RelationGetDescr(data->tg_relation);

	rsv_holder_require_key(data->tg_relation, &definition->holder, "charge_credit");
	if (TRIGGER_FIRED_BY_DELETE(data->tg_event))
	{
		if (HeapTupleHeaderIndicatesMovedPartitions(data->tg_trigtuple->t_data))
			refuse_change(data);
	}
	else if (TRIGGER_FIRED_BY_UPDATE(data->tg_event))
	{
		guard_account(data, definition);
		if (has_failed(definition, columns, data->tg_newtuple))
			refund_row(fcinfo, definition);
	}
	else if (!has_failed(definition, columns, data->tg_trigtuple))
		charge_row(fcinfo, definition, data->tg_trigtuple);
	return PointerGetDatum(NULL);
}

static void *
learn(Relation relation, const Trigger *trigger)
{
	Definition *definition = palloc0(sizeof(Definition));

	require_moves(relation, trigger);
	rsv_column_find(relation, trigger->tgargs[0], RSV_COLUMN_ANY, false, &definition->account);
	definition->constant = constant_amount(relation, trigger->tgargs[1]);
	if (definition->constant == 0)
		rsv_column_find(relation, trigger->tgargs[1], RSV_COLUMN_INTEGER, false,
						&definition->amount);
	rsv_column_find(relation, trigger->tgargs[2], RSV_COLUMN_ANY, false, &definition->status);
	definition->nfailed = trigger->tgnargs - 3;
	definition->failed = palloc(sizeof(char *) * definition->nfailed);
	for (int i = 0; i < definition->nfailed; i++)
		definition->failed[i] = pstrdup(trigger->tgargs[i + 3]);
	rsv_holder_learn(relation, &definition->holder);
	return definition;
}

/* Rows of partitions can be moved: then the trigger must see it. */
static void
require_moves(Relation relation, const Trigger *trigger)
{
	if ((relation->rd_rel->relkind == RELKIND_PARTITIONED_TABLE ||
		 relation->rd_rel->relispartition) &&
		!TRIGGER_FOR_DELETE(trigger->tgtype))
		ereport(ERROR,
				(errcode(ERRCODE_E_R_I_E_TRIGGER_PROTOCOL_VIOLATED),
				 errmsg("trigger function charge_credit does not see rows of \"%s\" move to "
						"another partition",
						RelationGetRelationName(relation)),
				 errhint("Write CREATE TRIGGER ... AFTER INSERT OR UPDATE OR DELETE ON ...: a "
						 "deleted row stays charged, but a moved one is told from it."),
				 errtable(relation)));
}

/* The amount, if the argument is a number and no column's name; else 0. */
static int64
constant_amount(Relation relation, const char *argument)
{
	if (argument[0] == '\0' || strspn(argument, "0123456789") != strlen(argument) ||
		get_attnum(RelationGetRelid(relation), argument) != InvalidAttrNumber)
		return 0;
	return pg_strtoint64(argument);
}

static void
charge_row(FunctionCallInfo fcinfo, const Definition *definition, HeapTuple row)
{
	const TriggerData *data = (TriggerData *) fcinfo->context;
	TupleDesc columns = RelationGetDescr(data->tg_relation);
	text *account = rsv_column_text(&definition->account, columns, row);
	int64 amount = definition->constant;
	RsvPool pool;

	if (amount == 0)
	{
		bool isnull;
		Datum value = heap_getattr(row, definition->amount.number, columns, &isnull);

		amount = isnull ? 0 : rsv_column_int64(&definition->amount, value);
		if (amount < 0)
			rsv_column_refuse_negative(data->tg_relation, &definition->amount, amount);
	}
	if (account == NULL || amount == 0)
		return;
	rsv_pool_find(account, &pool);
	rsv_pool_require_counted(&pool, "charge_credit");
	rsv_basket_add(
		fcinfo->flinfo,
		list_make1(rsv_basket_want(pool.pool_id,
								   rsv_holder_name(&definition->holder, data->tg_relation, row),
								   amount, row)));
}

/*
 * Gives back what the row was charged, if it still has any of it. Perhaps another
 * trigger has done this update, and the charge is still to come: then it does not.
 */
static void
refund_row(FunctionCallInfo fcinfo, const Definition *definition)
{
	const TriggerData *data = (TriggerData *) fcinfo->context;
	TupleDesc columns = RelationGetDescr(data->tg_relation);
	text *account = rsv_column_text(&definition->account, columns, data->tg_newtuple);
	RsvPool pool;

	if (account != NULL && rsv_pool_lookup(account, &pool))
		rsv_basket_refund(
			fcinfo->flinfo, pool.pool_id,
			rsv_holder_name(&definition->holder, data->tg_relation, data->tg_newtuple),
			data->tg_trigtuple);
}

static bool
has_failed(const Definition *definition, TupleDesc columns, HeapTuple row)
{
	text *status = rsv_column_text(&definition->status, columns, row);
	char *name = status == NULL ? NULL : text_to_cstring(status);

	if (name != NULL && definition->status.base == BPCHAROID)
		name[bpchartruelen(name, strlen(name))] = '\0';
	for (int i = 0; name != NULL && i < definition->nfailed; i++)
	{
		if (strcmp(name, definition->failed[i]) == 0)
			return true;
	}
	return false;
}

/* Whom the row was charged to, and how the claim names it, stays. */
static void
guard_account(const TriggerData *data, const Definition *definition)
{
	TupleDesc columns = RelationGetDescr(data->tg_relation);
	text *old_account = rsv_column_text(&definition->account, columns, data->tg_trigtuple);
	text *account = rsv_column_text(&definition->account, columns, data->tg_newtuple);
	text *old_name = rsv_holder_name(&definition->holder, data->tg_relation, data->tg_trigtuple);
	text *name = rsv_holder_name(&definition->holder, data->tg_relation, data->tg_newtuple);

	if (rsv_holder_same(old_name, name) &&
		(old_account == NULL || (account != NULL && rsv_holder_same(old_account, account))))
		return;
	refuse_change(data);
}

static void
refuse_change(const TriggerData *data)
{
	const char *table = RelationGetRelationName(data->tg_relation);
	bool moves = TRIGGER_FIRED_BY_DELETE(data->tg_event);

	ereport(ERROR,
			(errcode(ERRCODE_RSV_PROTECTED_VALUE),
			 moves
				 ? errmsg("a row of \"%s\" that was charged stays in its partition", table)
				 : errmsg("a row of \"%s\" that was charged keeps its account and its primary key",
						  table),
			 moves ? errhint("Partition the table by a column that keeps its value.")
				   : errhint("Set a failed status, which refunds, and insert a new row."),
			 errtable(data->tg_relation)));
}
