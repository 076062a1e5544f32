/*
 * basket.c
 *	  What the rows of one statement want from counted pools, and what they give
 *	  back.
 *
 * A statement with many lines must not take from its pools in the order of its
 * lines: two that name the same pools in opposite order would wait for each
 * other. So row triggers only put into a basket what their rows want, and when
 * the statement ends all of it is settled at once: first what is given back,
 * then the pools in the order of their ids, each for the sum of its lines.
 *
 * Invariant: when a statement has ended, each row has exactly what it wants, in
 * finalized claims whose holder names the row; or the statement has failed.
 *
 * A basket belongs to the executor state of its statement, from whose start it is
 * there. What comes without one (COPY, deferred triggers, an apply worker) is
 * settled row by row.
 *
 * A trigger may change a row while the statement that wrote it is under way, and
 * the statement of the trigger ends first: it cannot give back what has not been
 * taken yet. That is owed to the statement that wrote the row, which takes so much
 * less. Which one that is, the command says that the row carries: of the statements
 * under way the innermost that began with it or before. A COPY in that statement looks
 * there for what is owed to its rows.
 *
 * What was put into a basket by a subtransaction that rolls back has not happened.
 * A statement that fails in it is over, though its context may live on: PL/pgSQL
 * keeps what hangs below its simple expressions.
 *
 * Lock order: the pools of a statement by their ids; in each pool its slots.
 *
 * Memory: a basket lives in the context of its statement, whose end takes it
 * away, also after an error. What is owed to no basket: TopTransactionContext.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "access/xact.h"
#include "common/int.h"
#include "executor/executor.h"
#include "utils/datum.h"
#include "utils/fmgroids.h"
#include "utils/memutils.h"

#include "reservation.h"
#include "trigger.h"

typedef struct Basket
{
	struct Basket *next;
	MemoryContext statement;
	MemoryContextCallback ended;
	SubTransactionId subtransaction; /* in which the statement began */
	int64 command;                   /* what it has written, it wrote as this one or later */
	List *wants;                     /* the latest last */
	List *debts;                     /* what is owed to the statement, the latest last */
} Basket;

static Basket *baskets = NULL; /* the innermost statement first */
static List *owed = NIL;       /* to what is under way and has no basket, the latest last */
static ExecutorStart_hook_type next_executor_start = NULL;
static ExecutorEnd_hook_type next_executor_end = NULL;

static void executor_start(QueryDesc *query, int eflags);
static void executor_end(QueryDesc *query);
static bool in_executor(const FmgrInfo *function);
static Basket *basket_of(MemoryContext statement);
static Basket *basket_make(MemoryContext statement, int64 command);
static void basket_gone(void *argument);
static void put(List **wants, MemoryContext context, const RsvWant *want);
static int64 written_by(HeapTuple row);
static int trigger_depth(void);
static void owe(const RsvWant *want, int64 before, bool missed);
static void subtract_owed(List **debts, RsvWant *want);
static void subtract(RsvWant *want, RsvWant *debt);
static void settle(List *wants, int64 before);
static List *net(List *wants, int64 before);
static int compare_wants(const ListCell *a, const ListCell *b);
static void forget(List **wants, SubTransactionId subtransaction);
static void transaction_ends(XactEvent event, void *argument);
static void subtransaction_ends(SubXactEvent event, SubTransactionId id, SubTransactionId parent,
								void *argument);

void
rsv_basket_init(void)
{
	next_executor_start = ExecutorStart_hook;
	ExecutorStart_hook = executor_start;
	next_executor_end = ExecutorEnd_hook;
	ExecutorEnd_hook = executor_end;
	RegisterXactCallback(transaction_ends, NULL);
	RegisterSubXactCallback(subtransaction_ends, NULL);
}

/* What a row, in this version, wants of a pool, or gives back (less than zero). */
RsvWant *
rsv_basket_want(int32 pool_id, text *holder, int64 quantity, HeapTuple row)
{
	RsvWant *want = palloc0(sizeof(RsvWant));

	want->pool_id = pool_id;
	want->holder = holder;
	want->quantity = quantity;
	want->written = written_by(row);
	return want;
}

/*
 * What a row wants, and an earlier version of it gives back, when its statement ends: at
 * once, if it does not come from a statement that we see the end of.
 */
void
rsv_basket_add(FmgrInfo *function, List *wants)
{
	bool later = in_executor(function);
	ListCell *cell;

	foreach(cell, wants)
	{
		RsvWant *want = lfirst(cell);
		int64 quantity = want->quantity;

		if (quantity > 0)
			subtract_owed(&owed, want);
		if (later)
		{
			Basket *basket = basket_of(function->fn_mcxt);

			if (quantity > 0)
				basket->command = Min(basket->command, want->written);
			put(&basket->wants, basket->statement, want);
		}
		for (Basket *basket = baskets; !later && quantity > 0 && basket != NULL;
			 basket = basket->next)
			subtract_owed(&basket->debts, want);
	}
	if (!later && wants != NIL)
		settle(wants, PG_INT64_MAX);
}

/*
 * Gives back all that a row has of a pool, and all that the statement that has written
 * this version of it is still to take.
 */
void
rsv_basket_refund(FmgrInfo *function, int32 pool_id, text *holder, HeapTuple row)
{
	int64 before = in_executor(function) ? basket_of(function->fn_mcxt)->command : PG_INT64_MAX;
	RsvWant want = {
		.pool_id = pool_id, .quantity = PG_INT64_MAX, .written = written_by(row), .holder = holder};
	int64 given = rsv_want_give_back(&want);

	if (want.written != RSV_LONG_AGO)
		owe(&want, before, given == 0 && (trigger_depth() > 1 || !in_executor(function)));
}

/* Hook: what triggers do from now on, they may do to rows of this statement. */
static void
executor_start(QueryDesc *query, int eflags)
{
	if (next_executor_start != NULL)
		next_executor_start(query, eflags);
	else
		standard_ExecutorStart(query, eflags);
	/* the triggers of a foreign key's own statements are those of the statement around */
	if ((query->operation != CMD_SELECT || query->plannedstmt->hasModifyingCTE) &&
		(eflags & (EXEC_FLAG_SKIP_TRIGGERS | EXEC_FLAG_EXPLAIN_ONLY)) == 0)
		(void) basket_make(query->estate->es_query_cxt, query->estate->es_output_cid);
}

/* Hook: the triggers of the statement have all been fired. */
static void
executor_end(QueryDesc *query)
{
	MemoryContext statement = query->estate->es_query_cxt;

	for (Basket *basket = baskets; basket != NULL; basket = basket->next)
	{
		List *wants;

		if (basket->statement != statement)
			continue;
		wants = list_concat(basket->wants, basket->debts);
		basket->wants = basket->debts = NIL;
		if (wants != NIL)
			settle(wants, basket->command);
		break;
	}
	if (next_executor_end != NULL)
		next_executor_end(query);
	else
		standard_ExecutorEnd(query);
}

/* Is the statement that fires this trigger one whose end we see? */
static bool
in_executor(const FmgrInfo *function)
{
	return strcmp(function->fn_mcxt->name, "ExecutorState") == 0;
}

/* The library may have been loaded when the statement had begun. */
static Basket *
basket_of(MemoryContext statement)
{
	for (Basket *basket = baskets; basket != NULL; basket = basket->next)
	{
		if (basket->statement == statement)
			return basket;
	}
	return basket_make(statement, PG_INT64_MAX);
}

static Basket *
basket_make(MemoryContext statement, int64 command)
{
	Basket *basket = MemoryContextAllocZero(statement, sizeof(Basket));

	basket->statement = statement;
	basket->subtransaction = GetCurrentSubTransactionId();
	basket->command = command;
	basket->ended.func = basket_gone;
	basket->ended.arg = basket;
	MemoryContextRegisterResetCallback(statement, &basket->ended);
	basket->next = baskets;
	baskets = basket;
	return basket;
}

/*
 * Memory context callback: touches nothing but our list, and cannot fail. The basket of a
 * statement that has failed is no more in it.
 */
static void
basket_gone(void *argument)
{
	Basket **link = &baskets;

	while (*link != NULL && *link != argument)
		link = &(*link)->next;
	if (*link != NULL)
		*link = (*link)->next;
}

/* Appends a copy. */
static void
put(List **wants, MemoryContext context, const RsvWant *want)
{
	MemoryContext caller = MemoryContextSwitchTo(context);
	RsvWant *copy = palloc(sizeof(RsvWant));

	*copy = *want;
	copy->holder =
		(text *) DatumGetPointer(datumCopy(PointerGetDatum(want->holder), false, -1));
	copy->subtransaction = GetCurrentSubTransactionId();
	*wants = lappend(*wants, copy);
	MemoryContextSwitchTo(caller);
}

/*
 * The command of this transaction that wrote a row, or RSV_LONG_AGO. A row of COPY FREEZE
 * looks old, and whoever replaces it writes his command where its own was: then it was
 * written by the one before, at the latest.
 */
static int64
written_by(HeapTuple row)
{
	HeapTupleHeader header = row->t_data;
	bool replaced = (header->t_infomask & HEAP_XMAX_INVALID) == 0 &&
		!HEAP_XMAX_IS_LOCKED_ONLY(header->t_infomask);

	if (!TransactionIdIsCurrentTransactionId(HeapTupleHeaderGetRawXmin(header)))
		return RSV_LONG_AGO;
	if (HeapTupleHeaderXminFrozen(header))
		return (int64) HeapTupleHeaderGetRawCommandId(header) - (replaced ? 1 : 0);
	return HeapTupleHeaderGetCmin(header);
}

/* Of the triggers that are under way. */
static int
trigger_depth(void)
{
	return DatumGetInt32(OidFunctionCall0(F_PG_TRIGGER_DEPTH));
}

/*
 * A row has not got what it should give back: perhaps the statement that has written
 * it is still to take it, one that began before this command. In a trigger of what is
 * no statement (COPY), or whose start we have missed, it is the row that takes less.
 */
static void
owe(const RsvWant *want, int64 before, bool missed)
{
	RsvWant debt = *want;
	Basket *basket = baskets;

	debt.owed = true;
	if (want->quantity == 0 || want->written == RSV_LONG_AGO || want->written >= before)
		return;
	for (; basket != NULL && basket->command > want->written; basket = basket->next)
		missed = missed && basket->command >= before;
	if (basket != NULL)
		put(&basket->debts, basket->statement, &debt);
	else if (missed)
		put(&owed, TopTransactionContext, &debt);
}

/*
 * A row is written, by what has no basket (so far), that has been changed already. What is
 * owed to it may be with the statement that COPY is in, which began before. It comes
 * but once, so what was owed to it is done with.
 */
static void
subtract_owed(List **debts, RsvWant *want)
{
	ListCell *cell;

	foreach(cell, *debts)
	{
		RsvWant *debt = lfirst(cell);

		if (debt->pool_id != want->pool_id || debt->written < want->written ||
			!rsv_holder_same(debt->holder, want->holder))
			continue;
		subtract(want, debt);
		*debts = foreach_delete_current(*debts, cell);
	}
}

/* The row takes so much less as is owed, and so much less is owed. */
static void
subtract(RsvWant *want, RsvWant *debt)
{
	int64 part = Min(debt->quantity, Max(want->quantity, 0));

	debt->quantity -= part;
	want->quantity -= part;
}

/*
 * What a row gives back is never more than it has: what was not taken does not
 * become stock. before: the command of the statement that ends.
 */
static void
settle(List *wants, int64 before)
{
	MemoryContext row =
		AllocSetContextCreate(CurrentMemoryContext, "reservation given back", ALLOCSET_SMALL_SIZES);
	ListCell *cell;

	wants = net(wants, before);
	foreach(cell, wants)
	{
		RsvWant want = *(const RsvWant *) lfirst(cell);
		MemoryContext caller;

		if (want.quantity >= 0)
			continue;
		want.quantity = -want.quantity;
		caller = MemoryContextSwitchTo(row);
		want.quantity -= rsv_want_give_back(&want);
		MemoryContextSwitchTo(caller);
		MemoryContextReset(row);
		if (want.quantity > 0 && want.written != RSV_LONG_AGO)
			owe(&want, before, trigger_depth() > 0);
	}
	MemoryContextDelete(row);
	rsv_want_take(wants);
}

/*
 * In canonical order, each row and pool once. What a row gives back, it gives back of
 * the oldest of its versions: what is between has been written and replaced here.
 */
static List *
net(List *wants, int64 before)
{
	List *sums = NIL;
	RsvWant *sum = NULL;
	ListCell *cell;

	list_sort(wants, compare_wants);
	foreach(cell, wants)
	{
		RsvWant *want = lfirst(cell);
		bool same = sum != NULL && sum->pool_id == want->pool_id &&
			rsv_holder_same(sum->holder, want->holder);

		if (want->owed)
		{
			if (same)
				subtract(sum, want);
			want->written = same ? sum->written : before - 1;
			owe(want, before, false);
		}
		else if (!same)
		{
			sum = want;
			sums = lappend(sums, sum);
		}
		else
		{
			sum->written = Min(sum->written, want->written);
			if (pg_add_s64_overflow(sum->quantity, want->quantity, &sum->quantity))
				ereport(ERROR,
						(errcode(ERRCODE_NUMERIC_VALUE_OUT_OF_RANGE),
						 errmsg("the quantities of a row add up to more than a bigint holds"),
						 errhint("Look for a quantity that is far too large.")));
		}
	}
	return sums;
}

/* Those of one row and pool stand together, what is owed after the others. */
static int
compare_wants(const ListCell *a, const ListCell *b)
{
	const RsvWant *left = lfirst(a);
	const RsvWant *right = lfirst(b);
	int left_length = VARSIZE_ANY_EXHDR(left->holder);
	int right_length = VARSIZE_ANY_EXHDR(right->holder);
	int order;

	if (left->pool_id != right->pool_id)
		return left->pool_id < right->pool_id ? -1 : 1;
	order = memcmp(VARDATA_ANY(left->holder), VARDATA_ANY(right->holder),
				   Min(left_length, right_length));
	if (order == 0)
		order = left_length - right_length;
	return order != 0 ? order : left->owed - right->owed;
}

/* Takes out what was put in by a subtransaction, or one within it: these came last. */
static void
forget(List **wants, SubTransactionId subtransaction)
{
	int kept = list_length(*wants);

	while (kept > 0 &&
		   ((const RsvWant *) list_nth(*wants, kept - 1))->subtransaction >= subtransaction)
		kept--;
	*wants = list_truncate(*wants, kept);
}

static void
transaction_ends(XactEvent event, void *argument)
{
	if (event == XACT_EVENT_COMMIT || event == XACT_EVENT_PREPARE || event == XACT_EVENT_ABORT)
		owed = NIL;
}

static void
subtransaction_ends(SubXactEvent event, SubTransactionId id, SubTransactionId parent,
					void *argument)
{
	if (event != SUBXACT_EVENT_ABORT_SUB)
		return;
	while (baskets != NULL && baskets->subtransaction >= id)
		baskets = baskets->next;
	forget(&owed, id);
	for (Basket *basket = baskets; basket != NULL; basket = basket->next)
	{
		forget(&basket->wants, id);
		forget(&basket->debts, id);
	}
}
