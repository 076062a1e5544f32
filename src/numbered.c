/*
 * numbered.c
 *	  The tables that assign_number numbers, seen from the pools.
 *
 * Two questions: which is the highest number of an open edition, whose numbers
 * are nowhere but in the tables; and, for verify(), does every number that
 * stands in a table come from its pool, and stand there once? What wrote it there
 * without our trigger (session_replication_role, DISABLE TRIGGER, an apply
 * worker) is found so.
 *
 * A claim whose holder is not the row where its number stands proves nothing: the
 * table may have been renamed. It makes the number worth counting: a second look
 * at all tables says in how many rows it stands.
 *
 * A row is seen as its table's trigger sees it, of the tables there are now. A
 * trigger that does not fit its table any more raises what its next use would;
 * verify() reports that and goes on.
 *
 * Locks: ACCESS SHARE on the tables, until the end of the transaction.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "catalog/pg_trigger.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/hsearch.h"
#include "utils/memutils.h"
#include "utils/rel.h"

#include "reservation.h"
#include "trigger.h"

/* A number that may stand in several rows. */
typedef struct Doubt
{
	struct
	{
		int32 pool_id;
		int32 number;
	} key;
	int64 rows;
} Doubt;

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
	HTAB *doubts; /* NULL: none so far */
} Search;

/* A trigger to be understood. */
typedef struct Lesson
{
	Relation relation;
	const Trigger *trigger;
	RsvNumbering *numbering;
} Lesson;

static void search_tables(Search *search, RsvTriggerVisitor visitor);
static ErrorData *search_rows(Relation relation, const Trigger *trigger, Search *search,
							  RsvRowTest test);
static bool learn(void *argument);
static void last_of_table(Relation relation, const Trigger *trigger, void *argument);
static bool last_of_row(TupleTableSlot *slot, void *argument);
static void verify_table(Relation relation, const Trigger *trigger, void *argument);
static void report_misfit(const Search *search, Relation relation, const Trigger *trigger,
						  const ErrorData *error);
static bool verify_row(TupleTableSlot *slot, void *argument);
static bool verify_number(Search *search, HeapTuple tuple, RsvPool *pool, int32 *number);
static void doubt(Search *search, const RsvPool *pool, int32 number);
static void count_table(Relation relation, const Trigger *trigger, void *argument);
static bool count_row(TupleTableSlot *slot, void *argument);
static void report_doubts(Search *search);
static bool pool_of_row(const Search *search, HeapTuple tuple, RsvPool *pool, int32 *number);
static bool number_of_row(const Search *search, HeapTuple tuple, text **pool_name, int32 *number);
static void report(const Search *search, const text *pool_name, const char *problem,
				   const char *expected, const char *found, const char *hint);

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
	if (search.doubts != NULL)
	{
		search_tables(&search, count_table);
		report_doubts(&search);
	}
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

/*
 * Shows every row to the test, or returns why the trigger does not fit its table. One
 * table may have two of our triggers: the one that numbers counts.
 */
static ErrorData *
search_rows(Relation relation, const Trigger *trigger, Search *search, RsvRowTest test)
{
	Lesson lesson = {.relation = relation, .trigger = trigger};
	ErrorData *error;

	if (!TRIGGER_FOR_BEFORE(trigger->tgtype))
		return NULL;
	error = rsv_attempt_refused(learn, &lesson);
	if (error != NULL)
		return error;
	search->relation = relation;
	search->numbering = lesson.numbering;
	(void) rsv_row_visit(relation, search->as_of, test, search);
	return NULL;
}

static bool
learn(void *argument)
{
	Lesson *lesson = argument;

	rsv_trigger_check(&rsv_numbering_rule, lesson->relation, lesson->trigger);
	lesson->numbering = rsv_numbering_rule.learn(lesson->relation, lesson->trigger);
	return true;
}

static void
last_of_table(Relation relation, const Trigger *trigger, void *argument)
{
	const Search *search = argument;
	ErrorData *error = search_rows(relation, trigger, argument, last_of_row);
	const text *pool_name = rsv_numbering_pool_named(trigger);

	if (error != NULL && (pool_name == NULL || rsv_holder_same(pool_name, search->pool->name)))
		ReThrowError(error);
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
	ErrorData *error = search_rows(relation, trigger, argument, verify_row);

	if (error != NULL)
		report_misfit(argument, relation, trigger, error);
}

static void
report_misfit(const Search *search, Relation relation, const Trigger *trigger,
			  const ErrorData *error)
{
	const text *pool_name = rsv_numbering_pool_named(trigger);

	if (search->pool_name != NULL && pool_name != NULL &&
		!rsv_holder_same(pool_name, search->pool_name))
		return;
	report(search, pool_name,
		   psprintf("trigger \"%s\" of \"%s\" does not fit its table", trigger->tgname,
					RelationGetRelationName(relation)),
		   "a trigger that can be used", error->message,
		   error->hint != NULL ? error->hint : "Create the trigger again.");
}

static bool
verify_row(TupleTableSlot *slot, void *argument)
{
	Search *search = argument;
	MemoryContext caller = MemoryContextSwitchTo(search->row_context);
	RsvPool pool;
	int32 number;

	if (!verify_number(search, ExecCopySlotHeapTuple(slot), &pool, &number))
	{
		MemoryContextSwitchTo(caller);
		doubt(search, &pool, number);
	}
	MemoryContextSwitchTo(caller);
	MemoryContextReset(search->row_context);
	return false;
}

/* Is the number of this row the row's, beyond doubt? If it is nobody's, that is reported. */
static bool
verify_number(Search *search, HeapTuple tuple, RsvPool *pool, int32 *number)
{
	const RsvHolder *holder = &search->numbering->holder;
	RsvClaim claim;

	if (!pool_of_row(search, tuple, pool, number))
		return true;
	if (!rsv_supply_live_claim(pool, *number, search->as_of, &claim) ||
		claim.state != RSV_FINALIZED)
	{
		report(search, pool->name,
			   psprintf("number %d stands in a row of \"%s\" and was not given", *number,
						RelationGetRelationName(search->relation)),
			   "a finalized claim", "none",
			   "Set it to NULL with the trigger disabled, then supply it as the table's owner.");
		return true;
	}
	return holder->nkeys > 0 &&
		rsv_holder_is(holder, search->relation, tuple, claim.holder);
}

/* The number may stand in another row, too. */
static void
doubt(Search *search, const RsvPool *pool, int32 number)
{
	HASHCTL control = {.entrysize = sizeof(Doubt), .hcxt = CurrentMemoryContext};
	Doubt wanted = {.key = {pool->pool_id, number}};
	Doubt *found;

	control.keysize = sizeof(wanted.key);
	if (search->doubts == NULL)
		search->doubts = hash_create("reservation numbers", 256, &control,
									 HASH_ELEM | HASH_BLOBS | HASH_CONTEXT);
	found = hash_search(search->doubts, &wanted.key, HASH_ENTER, NULL);
	found->rows = 0;
}

static void
count_table(Relation relation, const Trigger *trigger, void *argument)
{
	(void) search_rows(relation, trigger, argument, count_row);
}

static bool
count_row(TupleTableSlot *slot, void *argument)
{
	Search *search = argument;
	MemoryContext caller = MemoryContextSwitchTo(search->row_context);
	RsvPool pool;
	int32 number;

	if (pool_of_row(search, ExecCopySlotHeapTuple(slot), &pool, &number))
	{
		Doubt wanted = {.key = {pool.pool_id, number}};
		Doubt *found = hash_search(search->doubts, &wanted.key, HASH_FIND, NULL);

		if (found != NULL)
			found->rows++;
	}
	MemoryContextSwitchTo(caller);
	MemoryContextReset(search->row_context);
	return false;
}

static void
report_doubts(Search *search)
{
	HASH_SEQ_STATUS status;
	Doubt *found;

	hash_seq_init(&status, search->doubts);
	while ((found = hash_seq_search(&status)) != NULL)
	{
		RsvPool pool;

		if (found->rows <= 1)
			continue;
		rsv_pool_read(found->key.pool_id, &pool);
		report(search, pool.name, psprintf("number %d stands in several rows", found->key.number),
			   "1", psprintf(INT64_FORMAT, found->rows),
			   "Keep it in the row that reservation.claims names as the holder; add a unique "
			   "constraint.");
	}
	hash_destroy(search->doubts);
}

/* The limited edition that this row's number is from; false if it has none. */
static bool
pool_of_row(const Search *search, HeapTuple tuple, RsvPool *pool, int32 *number)
{
	text *pool_name;

	return number_of_row(search, tuple, &pool_name, number) && pool_name != NULL &&
		(search->pool_name == NULL || rsv_holder_same(pool_name, search->pool_name)) &&
		rsv_pool_lookup(pool_name, pool) && !pool->counted && !pool->open;
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
report(const Search *search, const text *pool_name, const char *problem, const char *expected,
	   const char *found, const char *hint)
{
	rsv_answer_row(search->answer,
				   (Datum[]) {PointerGetDatum(pool_name), CStringGetTextDatum(problem),
							  CStringGetTextDatum(expected), CStringGetTextDatum(found),
							  CStringGetTextDatum(hint)},
				   (bool[]) {pool_name == NULL, false, false, false, false});
}
