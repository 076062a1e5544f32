/*
 * arrival.c
 *	  Numbers whose row may never arrive.
 *
 * A BEFORE trigger numbers a row that ON CONFLICT may drop afterwards, or another
 * trigger. Nobody tells us; so every number that has been given is remembered
 * until its row has been seen in the table, and a number whose row did not come
 * goes back to its pool.
 *
 * Invariant: a claim that assign_number made in a committed transaction has had
 * its row in the table in that transaction, or was given back in it. "Has had":
 * a row that its own transaction deletes again did arrive.
 *
 * When is a row due? The executor handles one row after the other. So what a
 * statement's trigger did for the rows before this one is decided; and
 * everything that a statement did, once it has ended. What is due is looked at
 * when the next number is asked for, so that a statement of many rows that are
 * dropped does not run a pool dry; the rest before the commit, or the PREPARE.
 *
 * A number that is left over so goes to the next row of its pool, with its claim,
 * and nothing is written: giving it back and taking it again for thousands of
 * rows would leave as many dead versions of it, each to be looked at by the next.
 * The claim then has the name of another row, until its own has arrived.
 *
 * A subtransaction that rolls back takes its claims with it, and what it gave
 * back of others' is theirs again.
 *
 * Memory: what we remember lives in TopTransactionContext; that a statement is
 * running, in the context of the statement, whose end takes it away.
 */
#include "postgres.h"

#include "access/relation.h"
#include "access/table.h"
#include "access/xact.h"
#include "catalog/pg_trigger.h"
#include "catalog/pg_type.h"
#include "utils/datum.h"
#include "utils/memutils.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"

#include "reservation.h"
#include "trigger.h"

/* A statement that is running, as one table's trigger sees it. */
typedef struct Statement
{
	struct Statement *next;
	uint64 id;
	MemoryContextCallback ended;
} Statement;

/* A number that was given to a row. */
typedef struct Pending
{
	struct Pending *next;
	SubTransactionId given_in;
	SubTransactionId returned_in; /* InvalidSubTransactionId: not returned */
	uint64 statement;
	Oid relation_id;
	Oid file_id; /* pg_class.relfilenode: changes when the table is written anew */
	RsvTrail trail;
	RsvColumn column;
	RsvColumn pool; /* 0: the trigger names the pool */
	RsvHolder key;
	HeapTuple row; /* as the executor got it */
	int32 pool_id;
	int32 number;
	pg_uuid_t claim_id;
	text *holder; /* the claim shall name this row, when it has arrived; NULL: it does */
	bool spare;   /* the row did not arrive */
} Pending;

/* What is looked for in the table. */
typedef struct Sought
{
	const Pending *pending;
	TupleDesc columns;
	Datum number;
	text *pool_name; /* NULL: that of all rows */
} Sought;

static Statement *statements = NULL;
static Pending *pendings = NULL; /* the latest first */

static bool others_follow(Relation relation, const Trigger *trigger, int16 event);
static void statement_ended(void *argument);
static bool is_due(const Pending *pending, uint64 statement);
static void settle(uint64 statement, bool all);
static bool decide(Pending *pending, SubTransactionId current, bool all);
static bool has_arrived(const Pending *pending);
static bool still_of_type(TupleDesc columns, const RsvColumn *column);
static bool is_the_row(TupleTableSlot *slot, void *argument);
static bool has_key(TupleTableSlot *slot, const Sought *sought);
static bool is_of_pool(TupleTableSlot *slot, const Sought *sought);
static bool has_claim(const text *pool_name, int32 number);
static void forget(Pending **link);
static void transaction_ends(XactEvent event, void *argument);
static void subtransaction_ends(SubXactEvent event, SubTransactionId id, SubTransactionId parent,
								void *argument);

void
rsv_arrival_init(void)
{
	RegisterXactCallback(transaction_ends, NULL);
	RegisterSubXactCallback(subtransaction_ends, NULL);
}

/* Learns how this trigger's rows are found again. */
void
rsv_arrival_learn(Relation relation, const Trigger *trigger, RsvNumbering *numbering)
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

/* Tells the statement that fires a trigger from every other one. */
uint64
rsv_arrival_statement(FmgrInfo *function)
{
	static uint64 last_id = 0;
	Statement *statement = function->fn_extra;

	if (statement != NULL)
		return statement->id;
	statement = MemoryContextAllocZero(function->fn_mcxt, sizeof(Statement));
	statement->id = ++last_id;
	statement->ended.func = statement_ended;
	statement->ended.arg = statement;
	MemoryContextRegisterResetCallback(function->fn_mcxt, &statement->ended);
	statement->next = statements;
	statements = statement;
	function->fn_extra = statement;
	return statement->id;
}

/*
 * A number of this pool that a row of this subtransaction left over, with its claim.
 * The caller has settled what is due.
 */
bool
rsv_arrival_take_spare(int32 pool_id, RsvClaim *claim)
{
	SubTransactionId current = GetCurrentSubTransactionId();

	for (Pending **link = &pendings; *link != NULL; link = &(*link)->next)
	{
		const Pending *pending = *link;

		if (!pending->spare || pending->pool_id != pool_id || pending->given_in != current ||
			pending->returned_in != InvalidSubTransactionId)
			continue;
		claim->claim_id = pending->claim_id;
		claim->number = pending->number;
		forget(link);
		return true;
	}
	return false;
}

/*
 * A row that this subtransaction gave this claim is handed on once more, because it
 * has not arrived: it was dropped, or goes to another partition. False: it has, or it
 * is of no concern to us.
 */
bool
rsv_arrival_once_more(const pg_uuid_t *claim_id)
{
	SubTransactionId current = GetCurrentSubTransactionId();

	for (Pending **link = &pendings; *link != NULL; link = &(*link)->next)
	{
		const Pending *pending = *link;
		bool arrived;

		if (pending->given_in != current || pending->returned_in != InvalidSubTransactionId ||
			memcmp(&pending->claim_id, claim_id, sizeof(pg_uuid_t)) != 0)
			continue;
		arrived = !pending->spare && has_arrived(pending);
		if (!arrived)
			forget(link);
		return !arrived;
	}
	return false;
}

/*
 * A row gets a number: the claim is to be given back unless the row arrives.
 * rename: the claim names another row so far.
 */
void
rsv_arrival_expect(uint64 statement, const TriggerData *data, const RsvNumbering *numbering,
				   HeapTuple row, const RsvClaim *claim, bool rename)
{
	MemoryContext caller = MemoryContextSwitchTo(TopTransactionContext);
	Pending *pending = palloc0(sizeof(Pending));

	pending->given_in = GetCurrentSubTransactionId();
	pending->returned_in = InvalidSubTransactionId;
	pending->statement = statement;
	pending->relation_id = RelationGetRelid(data->tg_relation);
	pending->file_id = data->tg_relation->rd_rel->relfilenode;
	pending->trail =
		TRIGGER_FIRED_BY_UPDATE(data->tg_event) ? numbering->updated : numbering->inserted;
	pending->column = numbering->number.column;
	pending->pool = numbering->pool;
	pending->key = numbering->holder;
	pending->row = heap_copytuple(row);
	pending->pool_id = claim->pool_id;
	pending->number = claim->number;
	pending->claim_id = claim->claim_id;
	pending->holder =
		rename ? (text *) PG_DETOAST_DATUM_COPY(PointerGetDatum(claim->holder)) : NULL;
	pending->next = pendings;
	pendings = pending;
	MemoryContextSwitchTo(caller);
}

/* Settles what is due when this statement's trigger fires for another row. */
void
rsv_arrival_settle(uint64 statement)
{
	if (pendings != NULL)
		settle(statement, false);
}

/* Memory context callback: touches nothing but our list, and cannot fail. */
static void
statement_ended(void *argument)
{
	Statement **link = &statements;

	while (*link != NULL && *link != argument)
		link = &(*link)->next;
	if (*link != NULL)
		*link = (*link)->next;
}

static bool
is_due(const Pending *pending, uint64 statement)
{
	if (pending->statement == statement)
		return true;
	for (Statement *running = statements; running != NULL; running = running->next)
	{
		if (running->id == pending->statement)
			return false;
	}
	return true;
}

/* Decides about a number that is due; true: there is nothing left to remember. */
static bool
decide(Pending *pending, SubTransactionId current, bool all)
{
	bool own = pending->given_in == current;

	if (!pending->spare && has_arrived(pending))
	{
		if (pending->holder == NULL)
			return true;
		if (own)
			rsv_claim_rename(&pending->claim_id, pending->holder);
		return own;
	}
	pending->spare = true;
	if (own && !all)
		return false;
	rsv_claim_give_back(&pending->claim_id, 0);
	pending->returned_in = current;
	return own;
}

/*
 * A number is given back by the subtransaction that is running. If that is not
 * the one that took it, we remember both, because the inner may roll back alone.
 */
static void
settle(uint64 statement, bool all)
{
	SubTransactionId current = GetCurrentSubTransactionId();
	Pending **link = &pendings;

	while (*link != NULL)
	{
		Pending *pending = *link;

		if (pending->returned_in != InvalidSubTransactionId ||
			!(all || is_due(pending, statement)) || !decide(pending, current, all))
			link = &pending->next;
		else
			forget(link);
	}
}

/*
 * Has this transaction written the row, whatever became of it since? A table
 * that it has dropped has no rows. Of one that it has altered so that we cannot
 * tell, the number is kept: once written anew, its rows may have another form than
 * the one that we remember.
 */
static bool
has_arrived(const Pending *pending)
{
	Relation relation = try_relation_open(pending->relation_id, AccessShareLock);
	Sought sought = {.pending = pending};
	bool isnull;
	bool found = true;

	if (relation == NULL)
		return false;
	sought.columns = RelationGetDescr(relation);
	if (relation->rd_rel->relfilenode == pending->file_id &&
		still_of_type(sought.columns, &pending->column) &&
		(pending->pool.number == 0 || still_of_type(sought.columns, &pending->pool)))
	{
		List *indexes = RelationGetIndexList(relation);
		Oid index_id = list_member_oid(indexes, pending->trail.index_id) ? pending->trail.index_id
																		 : InvalidOid;

		if (pending->pool.number != 0)
			sought.pool_name = rsv_column_text(&pending->pool, sought.columns, pending->row);
		sought.number = heap_getattr(pending->row, pending->column.number, sought.columns, &isnull);
		Assert(!isnull);
		found = rsv_row_search(relation, index_id, pending->row, pending->column.number,
							   SnapshotAny, is_the_row, &sought);
		list_free(indexes);
	}
	table_close(relation, NoLock);
	return found;
}

static bool
still_of_type(TupleDesc columns, const RsvColumn *column)
{
	return TupleDescAttr(columns, column->number - 1)->atttypid == column->type;
}

static bool
is_the_row(TupleTableSlot *slot, void *argument)
{
	const Sought *sought = argument;
	bool isnull;
	Datum number;

	if (!rsv_row_is_ours(slot))
		return false;
	number = slot_getattr(slot, sought->pending->column.number, &isnull);
	return !isnull && rsv_column_same(&sought->pending->column, number, sought->number) &&
		(sought->pending->trail.others_follow || has_key(slot, sought)) &&
		(sought->pool_name == NULL || is_of_pool(slot, sought));
}

/*
 * Is this the key that the row had when it was handed on? Another row may have had
 * the number before, and have been deleted and given it back.
 */
static bool
has_key(TupleTableSlot *slot, const Sought *sought)
{
	const Pending *pending = sought->pending;

	for (int i = 0; i < pending->key.nkeys; i++)
	{
		AttrNumber column = pending->key.keys[i];
		Form_pg_attribute attribute = TupleDescAttr(sought->columns, column - 1);
		bool nulls[2];
		Datum ours = heap_getattr(pending->row, column, sought->columns, &nulls[0]);
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
	const Pending *pending = sought->pending;
	HeapTuple row = ExecCopySlotHeapTuple(slot);
	text *pool_name = rsv_column_text(&pending->pool, sought->columns, row);

	if (pool_name != NULL && rsv_holder_same(pool_name, sought->pool_name))
		return true;
	return pending->trail.others_follow &&
		(pool_name == NULL || !has_claim(pool_name, pending->number));
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

static void
forget(Pending **link)
{
	Pending *pending = *link;

	*link = pending->next;
	heap_freetuple(pending->row);
	if (pending->holder != NULL)
		pfree(pending->holder);
	pfree(pending);
}

/* The last moment at which something can be written. */
static void
transaction_ends(XactEvent event, void *argument)
{
	if (pendings == NULL)
		return;
	switch (event)
	{
		case XACT_EVENT_PRE_COMMIT:
		case XACT_EVENT_PRE_PREPARE:
			PushActiveSnapshot(GetTransactionSnapshot());
			settle(0, true);
			PopActiveSnapshot();
			break;
		case XACT_EVENT_COMMIT:
		case XACT_EVENT_PREPARE:
		case XACT_EVENT_ABORT:
			pendings = NULL;
			break;
		default:
			break;
	}
}

static void
subtransaction_ends(SubXactEvent event, SubTransactionId id, SubTransactionId parent,
					void *argument)
{
	bool committed = event == SUBXACT_EVENT_COMMIT_SUB;
	Pending **link = &pendings;

	if (!committed && event != SUBXACT_EVENT_ABORT_SUB)
		return;
	while (*link != NULL)
	{
		Pending *pending = *link;

		if (pending->returned_in == id)
			pending->returned_in = committed ? parent : InvalidSubTransactionId;
		if (pending->given_in == id && committed)
			pending->given_in = parent;
		if (pending->given_in == id || pending->returned_in == pending->given_in)
			forget(link);
		else
			link = &pending->next;
	}
}
