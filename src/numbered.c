/*
 * numbered.c
 *	  The tables that assign_number numbers, seen from the pools.
 *
 * Two questions: which is the highest number of an open edition, whose numbers
 * are nowhere but in the tables; and, for verify(), does every number that
 * stands in a table come from its pool? What wrote it there without our trigger
 * (session_replication_role, DISABLE TRIGGER, an apply worker) is found so.
 *
 * A row is seen as its table's trigger sees it, of the tables there are now. A
 * trigger that does not fit its table any more raises what its next use would.
 *
 * Locks: ACCESS SHARE on the tables, until the end of the transaction.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "catalog/pg_trigger.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/memutils.h"
#include "utils/rel.h"

#include "reservation.h"
#include "trigger.h"

typedef struct Search
{
	const RsvPool *pool;   /* whose numbers; NULL: of all pools */
	const text *pool_name; /* the same for verify() */
	Snapshot as_of;
	Relation relation;
	const RsvNumbering *numbering;
	MemoryContext row_context;
	int64 last;
	RsvAnswer *answer;
} Search;

static void search_tables(Search *search, RsvTriggerVisitor visitor);
static void search_rows(Relation relation, const Trigger *trigger, Search *search, RsvRowTest test);
static void last_of_table(Relation relation, const Trigger *trigger, void *argument);
static bool last_of_row(TupleTableSlot *slot, void *argument);
static void verify_table(Relation relation, const Trigger *trigger, void *argument);
static bool verify_row(TupleTableSlot *slot, void *argument);
static bool number_of_row(const Search *search, HeapTuple tuple, text **pool_name, int32 *number);
static void report(const Search *search, const RsvPool *pool, int32 number, const char *found);

/* The highest number of an open edition in any table, -1 if there is none. */
int64
rsv_numbered_last(const RsvPool *pool)
{
	Search search = {.pool = pool, .last = -1};

	search_tables(&search, last_of_table);
	return search.last;
}

/* Adds to what verify() finds. pool_name NULL: all pools. */
void
rsv_numbered_verify(const text *pool_name, RsvAnswer *answer)
{
	Search search = {.pool_name = pool_name, .answer = answer};

	search_tables(&search, verify_table);
}

static void
search_tables(Search *search, RsvTriggerVisitor visitor)
{
	search->as_of = rsv_store_now();
	search->row_context =
		AllocSetContextCreate(CurrentMemoryContext, "reservation row", ALLOCSET_DEFAULT_SIZES);
	rsv_trigger_visit(&rsv_numbering_rule, visitor, search);
	MemoryContextDelete(search->row_context);
	rsv_store_forget(search->as_of);
}

/* One table may have two of our triggers: the one that numbers counts. */
static void
search_rows(Relation relation, const Trigger *trigger, Search *search, RsvRowTest test)
{
	if (!TRIGGER_FOR_BEFORE(trigger->tgtype))
		return;
	search->relation = relation;
	search->numbering = rsv_numbering_rule.learn(relation, trigger);
	(void) rsv_row_visit(relation, search->as_of, test, search);
}

static void
last_of_table(Relation relation, const Trigger *trigger, void *argument)
{
	search_rows(relation, trigger, argument, last_of_row);
}

static bool
last_of_row(TupleTableSlot *slot, void *argument)
{
	Search *search = argument;
	MemoryContext caller = MemoryContextSwitchTo(search->row_context);
	HeapTuple tuple = ExecCopySlotHeapTuple(slot);
	text *pool_name;
	int32 number;

	if (number_of_row(search, tuple, &pool_name, &number) && pool_name != NULL &&
		rsv_holder_same(pool_name, search->pool->name))
		search->last = Max(search->last, number);
	MemoryContextSwitchTo(caller);
	MemoryContextReset(search->row_context);
	return false;
}

static void
verify_table(Relation relation, const Trigger *trigger, void *argument)
{
	search_rows(relation, trigger, argument, verify_row);
}

static bool
verify_row(TupleTableSlot *slot, void *argument)
{
	Search *search = argument;
	MemoryContext caller = MemoryContextSwitchTo(search->row_context);
	HeapTuple tuple = ExecCopySlotHeapTuple(slot);
	text *pool_name;
	int32 number;
	RsvPool pool;
	RsvClaim claim;

	if (number_of_row(search, tuple, &pool_name, &number) && pool_name != NULL &&
		(search->pool_name == NULL || rsv_holder_same(pool_name, search->pool_name)) &&
		rsv_pool_lookup(pool_name, &pool) && !pool.counted && !pool.open)
	{
		if (!rsv_supply_live_claim(&pool, number, search->as_of, &claim))
			report(search, &pool, number, "no live claim");
		else if (claim.state != RSV_FINALIZED ||
				 !rsv_holder_same(
					 claim.holder,
					 rsv_holder_name(&search->numbering->holder, search->relation, tuple)))
			report(search, &pool, number, "a claim of somebody else");
	}
	MemoryContextSwitchTo(caller);
	MemoryContextReset(search->row_context);
	return false;
}

static bool
number_of_row(const Search *search, HeapTuple tuple, text **pool_name, int32 *number)
{
	TupleDesc columns = RelationGetDescr(search->relation);
	bool isnull;
	Datum value = heap_getattr(tuple, search->numbering->number.column.number, columns, &isnull);

	CHECK_FOR_INTERRUPTS();
	if (isnull || !rsv_numeral_read(&search->numbering->number, value, number))
		return false;
	*pool_name = rsv_numbering_pool(search->numbering, columns, tuple);
	return true;
}

static void
report(const Search *search, const RsvPool *pool, int32 number, const char *found)
{
	rsv_answer_row(
		search->answer,
		(Datum[]) {PointerGetDatum(pool->name),
				   CStringGetTextDatum(psprintf("number %d stands in a row of \"%s\" that the pool "
												"did not give it to",
												number, RelationGetRelationName(search->relation))),
				   CStringGetTextDatum("a finalized claim of that row"), CStringGetTextDatum(found),
				   CStringGetTextDatum("Set the number to NULL with the trigger disabled, then "
									   "supply it again as the owner of the table.")},
		(bool[]) {false, false, false, false, false});
}
