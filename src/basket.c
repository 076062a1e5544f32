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
 * A basket belongs to the executor state of its statement. What comes without
 * one (COPY, deferred triggers, an apply worker) is settled row by row.
 *
 * Lock order: the pools of a statement by their ids; in each pool its slots.
 *
 * Memory: a basket lives in the context of its statement, whose end takes it
 * away, also after an error.
 */
#include "postgres.h"

#include "access/xact.h"
#include "common/int.h"
#include "executor/executor.h"
#include "miscadmin.h"
#include "utils/datum.h"
#include "utils/fmgroids.h"
#include "utils/memutils.h"

#include "reservation.h"
#include "trigger.h"

/* What one row wants of one pool: more than zero; or gives back: less. */
typedef struct Want
{
	int32 pool_id;
	text *holder;
	int64 quantity;
} Want;

typedef struct Basket
{
	struct Basket *next;
	MemoryContext statement;
	MemoryContextCallback ended;
	List *wants;
} Basket;

static Basket *baskets = NULL; /* the innermost statement first */
static ExecutorEnd_hook_type next_executor_end = NULL;

static void executor_end(QueryDesc *query);
static Basket *basket_of(MemoryContext statement);
static void basket_gone(void *argument);
static void settle(List *wants);
static List *net(List *wants);
static int compare_wants(const ListCell *a, const ListCell *b);
static void take(List *wants, int first, int last);
static void make_claims(const RsvPool *pool, List *wants, int first, int last, TimestampTz now);
pg_noreturn static void refuse(const RsvPool *pool, int64 wanted, int64 available,
							   const char *closed);
pg_noreturn static void refuse_busy(const RsvPool *pool);

void
rsv_basket_init(void)
{
	next_executor_end = ExecutorEnd_hook;
	ExecutorEnd_hook = executor_end;
}

/* A row wants so much, or gives so much back (less than zero), when its statement ends. */
void
rsv_basket_add(FmgrInfo *function, int32 pool_id, const text *holder, int64 quantity)
{
	MemoryContext statement = function->fn_mcxt;
	bool executor = strcmp(statement->name, "ExecutorState") == 0;
	MemoryContext caller = MemoryContextSwitchTo(executor ? statement : CurrentMemoryContext);
	Want *want = palloc(sizeof(Want));

	want->pool_id = pool_id;
	want->quantity = quantity;
	want->holder = (text *) DatumGetPointer(datumCopy(PointerGetDatum(holder), false, -1));
	if (executor)
	{
		Basket *basket = basket_of(statement);

		basket->wants = lappend(basket->wants, want);
	}
	MemoryContextSwitchTo(caller);
	if (!executor)
		settle(list_make1(want));
}

/* Settles what is in all baskets now: somebody is about to ask what rows have. */
void
rsv_basket_settle(void)
{
	for (Basket *basket = baskets; basket != NULL; basket = basket->next)
	{
		List *wants = basket->wants;

		basket->wants = NIL;
		settle(wants);
	}
}

/* Gives back up to so much of what a row has of a pool in finalized claims. */
void
rsv_basket_give_back(int32 pool_id, const text *holder, int64 quantity)
{
	RsvKey keys[] = {
		{BTEqualStrategyNumber, F_TEXTEQ, PointerGetDatum(holder)},
		{BTEqualStrategyNumber, F_INT4EQ, Int32GetDatum(pool_id)},
	};
	Snapshot as_of = rsv_store_now();
	List *claims = NIL;
	ListCell *cell;
	RsvScan scan;

	rsv_scan_begin(&scan, RSV_CLAIM_HOLDER, as_of, keys, lengthof(keys));
	while (rsv_scan_next(&scan))
	{
		RsvClaim *claim = palloc(sizeof(RsvClaim));

		rsv_claim_from_scan(&scan, claim);
		if (!claim->numbered && claim->state == RSV_FINALIZED)
			claims = lappend(claims, claim);
	}
	rsv_scan_end(&scan);
	rsv_store_forget(as_of);

	foreach(cell, claims)
	{
		const RsvClaim *claim = lfirst(cell);

		if (quantity > 0)
			quantity -= rsv_claim_give_back(&claim->claim_id, quantity);
	}
}

/* Hook: the triggers of the statement have all been fired. */
static void
executor_end(QueryDesc *query)
{
	MemoryContext statement = query->estate->es_query_cxt;

	for (Basket *basket = baskets; basket != NULL; basket = basket->next)
	{
		List *wants = basket->wants;

		if (basket->statement != statement)
			continue;
		basket->wants = NIL;
		settle(wants);
		break;
	}
	if (next_executor_end != NULL)
		next_executor_end(query);
	else
		standard_ExecutorEnd(query);
}

static Basket *
basket_of(MemoryContext statement)
{
	Basket *basket;

	for (basket = baskets; basket != NULL; basket = basket->next)
	{
		if (basket->statement == statement)
			return basket;
	}
	basket = MemoryContextAllocZero(statement, sizeof(Basket));
	basket->statement = statement;
	basket->ended.func = basket_gone;
	basket->ended.arg = basket;
	MemoryContextRegisterResetCallback(statement, &basket->ended);
	basket->next = baskets;
	baskets = basket;
	return basket;
}

/* Memory context callback: touches nothing but our list, and cannot fail. */
static void
basket_gone(void *argument)
{
	Basket **link = &baskets;

	while (*link != NULL && *link != argument)
		link = &(*link)->next;
	if (*link != NULL)
		*link = (*link)->next;
}

/*
 * What a row gives back is never more than it has: what was not taken does not
 * become stock.
 */
static void
settle(List *wants)
{
	ListCell *cell;
	int last;

	wants = net(wants);
	foreach(cell, wants)
	{
		const Want *want = lfirst(cell);

		if (want->quantity < 0)
			rsv_basket_give_back(want->pool_id, want->holder, -want->quantity);
	}
	for (int first = 0; first < list_length(wants); first = last)
	{
		int32 pool_id = ((Want *) list_nth(wants, first))->pool_id;

		for (last = first; last < list_length(wants); last++)
		{
			if (((Want *) list_nth(wants, last))->pool_id != pool_id)
				break;
		}
		take(wants, first, last);
	}
}

/* In canonical order, each row and pool once. */
static List *
net(List *wants)
{
	List *sums = NIL;
	Want *sum = NULL;
	ListCell *cell;

	list_sort(wants, compare_wants);
	foreach(cell, wants)
	{
		Want *want = lfirst(cell);

		if (sum == NULL || sum->pool_id != want->pool_id ||
			!rsv_holder_same(sum->holder, want->holder))
		{
			sum = want;
			sums = lappend(sums, sum);
		}
		else if (pg_add_s64_overflow(sum->quantity, want->quantity, &sum->quantity))
			ereport(ERROR,
					(errcode(ERRCODE_NUMERIC_VALUE_OUT_OF_RANGE),
					 errmsg("the quantities of a row add up to more than a bigint holds"),
					 errhint("Look for a quantity that is far too large.")));
	}
	return sums;
}

static int
compare_wants(const ListCell *a, const ListCell *b)
{
	const Want *left = lfirst(a);
	const Want *right = lfirst(b);
	int left_length = VARSIZE_ANY_EXHDR(left->holder);
	int right_length = VARSIZE_ANY_EXHDR(right->holder);
	int order;

	if (left->pool_id != right->pool_id)
		return left->pool_id < right->pool_id ? -1 : 1;
	order = memcmp(VARDATA_ANY(left->holder), VARDATA_ANY(right->holder),
				   Min(left_length, right_length));
	return order != 0 ? order : left_length - right_length;
}

/* Takes the sum of what these rows want of one pool. */
static void
take(List *wants, int first, int last)
{
	TimestampTz now = GetCurrentTimestamp();
	int64 sum = 0;
	int64 available = 0;
	const char *closed;
	RsvSupply supply;
	RsvPool pool;

	for (int i = first; i < last; i++)
	{
		int64 quantity = Max(((Want *) list_nth(wants, i))->quantity, 0);

		if (pg_add_s64_overflow(sum, quantity, &sum))
			sum = PG_INT64_MAX;
	}
	if (sum == 0)
		return;
	rsv_pool_read(((Want *) list_nth(wants, first))->pool_id, &pool);
	closed = rsv_pool_closed(&pool, now);
	if (closed != NULL)
		refuse(&pool, sum, rsv_sum_available(&pool, now), closed);
	CommandCounterIncrement(); /* what this statement gave back can be taken */
	supply =
		rsv_pass_draw(&pool, sum, RSV_DRAW_CLAIM, &now, rsv_wait_deadline(NULL, now), &available);
	if (supply == RSV_GONE)
		refuse(&pool, sum, available, NULL);
	if (supply == RSV_UNDECIDED)
		refuse_busy(&pool);
	make_claims(&pool, wants, first, last, now);
}

static void
make_claims(const RsvPool *pool, List *wants, int first, int last, TimestampTz now)
{
	RsvClaim claim = {
		.claimed_at = now,
		.finalized_at = now,
		.expires_at = DT_NOEND,
		.pool_id = pool->pool_id,
		.state = RSV_FINALIZED,
		.by_holder = true,
	};

	for (int i = first; i < last; i++)
	{
		const Want *want = list_nth(wants, i);

		if (want->quantity <= 0)
			continue;
		claim.quantity = want->quantity;
		claim.holder = want->holder;
		rsv_identifier_make(&claim.claim_id, now, pool->name);
		rsv_claim_insert(&claim, pool);
	}
	ForceSyncCommit();
}

static void
refuse(const RsvPool *pool, int64 wanted, int64 available, const char *closed)
{
	ereport(ERROR,
			(errcode(ERRCODE_RSV_INSUFFICIENT),
			 closed == NULL
				 ? errmsg("not enough in pool \"%s\"", rsv_text_display(pool->name))
				 : errmsg("pool \"%s\" is not on sale: %s", rsv_text_display(pool->name), closed),
			 errdetail("Available are " INT64_FORMAT ", the statement wants " INT64_FORMAT ".",
					   available, wanted),
			 errhint(closed == NULL ? "Ask for less, or wait until something is given back."
									: "See alter_pool for when and whether it is on sale.")));
}

static void
refuse_busy(const RsvPool *pool)
{
	ereport(ERROR,
			(errcode(ERRCODE_LOCK_NOT_AVAILABLE),
			 errmsg("could not decide whether there is enough in pool \"%s\"",
					rsv_text_display(pool->name)),
			 errdetail("Unfinished transactions hold what is left."),
			 errhint("Try again when they have ended.")));
}
