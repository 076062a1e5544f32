/*
 * cart.c
 *	  Carts: what somebody is going to buy, before anything is held.
 *
 * A line is a quantity of (cart, pool, options), options compared by value. Carts
 * take nothing from a pool.
 *
 * Invariant: whatever changes the lines of a cart has the cart's lock, so it sees
 * all that others have done to it, at every isolation level. The primary key
 * stands behind it.
 *
 * Locks: those of one cart, or of two in the order of their places, to the end
 * of the transaction; before the lock of a request and the row of any checkout.
 */
#include "postgres.h"

#include "executor/spi.h"
#include "utils/builtins.h"

#include "reservation.h"

static Jsonb *options_argument(FunctionCallInfo fcinfo, int argument);
static void require_pool(const text *pool);
static Datum answer_line(FunctionCallInfo fcinfo, RsvAnswer *answer, const char *status,
						 int64 quantity);
pg_noreturn static void refuse_overflow(const text *cart);
static int64 merge(const text *source, const text *target, const text *policy);
static bool merged_before(const text *source, const text *target, int64 *lines);
static void check_policy(const text *policy);

/*
 * cart_add(cart text, pool text, quantity bigint, options jsonb)
 *		-> (status, cart, pool, quantity)
 */
PG_FUNCTION_INFO_V1(rsv_cart_add);
Datum
rsv_cart_add(PG_FUNCTION_ARGS)
{
	RsvAnswer answer;
	RsvPlanSession session;
	Datum values[4];
	bool isnull;
	int64 quantity;

	rsv_answer_begin(&answer, fcinfo);
	values[0] = PointerGetDatum(rsv_argument_name(fcinfo, 0, "cart"));
	values[1] = PointerGetDatum(rsv_argument_name(fcinfo, 1, "pool"));
	values[2] = JsonbPGetDatum(options_argument(fcinfo, 3));
	values[3] = Int64GetDatum(rsv_argument_int64(fcinfo, 2, "quantity", 1, PG_INT64_MAX));
	rsv_require_writable("cart_add");
	require_pool(DatumGetTextPP(values[1]));
	rsv_cart_lock(DatumGetTextPP(values[0]));
	rsv_plan_begin(&session);
	if (rsv_plan_run(RSV_PLAN_CART_ADD, values, NULL) != 1)
		refuse_overflow(DatumGetTextPP(values[0]));
	quantity = DatumGetInt64(rsv_plan_value(1, &isnull));
	rsv_plan_end(&session);
	return answer_line(fcinfo, &answer, "added", quantity);
}

/*
 * cart_set(cart text, pool text, quantity bigint, options jsonb)
 *		-> (status, cart, pool, quantity)
 *
 * quantity 0 removes the line, also that of a pool which is gone.
 */
PG_FUNCTION_INFO_V1(rsv_cart_set);
Datum
rsv_cart_set(PG_FUNCTION_ARGS)
{
	RsvAnswer answer;
	RsvPlanSession session;
	Datum values[4];
	int64 quantity;

	rsv_answer_begin(&answer, fcinfo);
	values[0] = PointerGetDatum(rsv_argument_name(fcinfo, 0, "cart"));
	values[1] = PointerGetDatum(rsv_argument_name(fcinfo, 1, "pool"));
	values[2] = JsonbPGetDatum(options_argument(fcinfo, 3));
	quantity = rsv_argument_int64(fcinfo, 2, "quantity", 0, PG_INT64_MAX);
	values[3] = Int64GetDatum(quantity);
	rsv_require_writable("cart_set");
	if (quantity > 0)
		require_pool(DatumGetTextPP(values[1]));
	rsv_cart_lock(DatumGetTextPP(values[0]));
	rsv_plan_begin(&session);
	(void) rsv_plan_run(quantity > 0 ? RSV_PLAN_CART_SET : RSV_PLAN_CART_REMOVE, values, NULL);
	rsv_plan_end(&session);
	return answer_line(fcinfo, &answer, quantity > 0 ? "set" : "removed", quantity);
}

/*
 * cart_merge(source text, target text, policy text) -> (status, target, lines, replayed)
 *
 * Moves the lines of a cart into another. policy, for lines that both have: sum,
 * max, source or target. lines: how many were moved.
 */
PG_FUNCTION_INFO_V1(rsv_cart_merge);
Datum
rsv_cart_merge(PG_FUNCTION_ARGS)
{
	RsvAnswer answer;
	text *source;
	text *target;
	text *policy;
	int64 lines;
	bool replayed = false;

	rsv_answer_begin(&answer, fcinfo);
	source = rsv_argument_name(fcinfo, 0, "source");
	target = rsv_argument_name(fcinfo, 1, "target");
	rsv_argument_required(fcinfo, 2, "policy");
	policy = PG_GETARG_TEXT_PP(2);
	check_policy(policy);
	rsv_require_writable("cart_merge");
	if (rsv_text_same(source, target))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("source and target are the same cart"),
				 errhint("Pass two different carts.")));
	if (rsv_lock_place(0, source) > rsv_lock_place(0, target))
		rsv_cart_lock(target);
	rsv_cart_lock(source);
	rsv_cart_lock(target);
	lines = merge(source, target, policy);
	if (lines == 0)
		replayed = merged_before(source, target, &lines);
	rsv_answer_row(&answer,
				   (Datum[]) {CStringGetTextDatum("merged"), PointerGetDatum(target),
							  Int64GetDatum(lines), BoolGetDatum(replayed)},
				   (bool[]) {false, false, false, false});
	return (Datum) 0;
}

/*
 * cart_lines(cart text) -> (pool, options, quantity)
 *
 * Reads with the snapshot of its caller.
 */
PG_FUNCTION_INFO_V1(rsv_cart_lines);
Datum
rsv_cart_lines(PG_FUNCTION_ARGS)
{
	RsvAnswer answer;
	RsvPlanSession session;
	Datum cart;

	rsv_answer_begin(&answer, fcinfo);
	cart = PointerGetDatum(rsv_argument_name(fcinfo, 0, "cart"));
	rsv_plan_begin(&session);
	rsv_plan_run(RSV_PLAN_CART_LINES, &cart, NULL);
	for (uint64 i = 0; i < SPI_processed; i++)
	{
		Datum values[3];
		bool nulls[3];

		heap_deform_tuple(SPI_tuptable->vals[i], SPI_tuptable->tupdesc, values, nulls);
		rsv_answer_row(&answer, values, nulls);
	}
	rsv_plan_end(&session);
	return (Datum) 0;
}

/* The lines of a cart, as of now, as a checkout reads lines; NULL if there are none. */
Jsonb *
rsv_cart_read(const text *cart)
{
	MemoryContext caller = CurrentMemoryContext;
	RsvPlanSession session;
	Datum argument = PointerGetDatum(cart);
	Jsonb *lines = NULL;
	Datum value;
	bool isnull;

	rsv_plan_begin(&session);
	rsv_plan_run(RSV_PLAN_CART_READ, &argument, NULL);
	value = rsv_plan_value(1, &isnull);
	if (!isnull)
	{
		MemoryContext plan = MemoryContextSwitchTo(caller);

		lines = DatumGetJsonbPCopy(value);
		MemoryContextSwitchTo(plan);
	}
	rsv_plan_end(&session);
	return lines;
}

void
rsv_cart_lock(const text *cart)
{
	rsv_lock(RSV_LOCK_CART, 0, cart);
}

/* For whoever has done nothing to the cart. */
void
rsv_cart_unlock(const text *cart)
{
	rsv_unlock(RSV_LOCK_CART, 0, cart);
}

/*
 * Takes from a cart, whose lock the caller has, the lines that were sold. What
 * was added to them meanwhile stays.
 */
void
rsv_cart_sold(const text *cart, Jsonb *lines)
{
	RsvPlanSession session;

	rsv_plan_begin(&session);
	rsv_plan_run(RSV_PLAN_CART_SOLD, (Datum[]) {PointerGetDatum(cart), JsonbPGetDatum(lines)},
				 NULL);
	rsv_plan_end(&session);
}

/* Options are an object, short enough to be part of a key. */
static Jsonb *
options_argument(FunctionCallInfo fcinfo, int argument)
{
	Jsonb *options;

	rsv_argument_required(fcinfo, argument, "options");
	options = PG_GETARG_JSONB_P(argument);
	if (!JB_ROOT_IS_OBJECT(options))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE), errmsg("options must be an object"),
				 errhint("Pass options such as {\"size\": \"M\"}, or leave them out.")));
	if (VARSIZE(options) > RSV_OPTIONS_BYTES_MAX)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("options must be at most %d bytes of jsonb, not %d", RSV_OPTIONS_BYTES_MAX,
						(int) VARSIZE(options)),
				 errhint("Keep what is long in a table of your own, and pass its key.")));
	return options;
}

static void
require_pool(const text *name)
{
	RsvPool pool;

	rsv_pool_find(name, &pool);
}

/* Answers with a line; cart and pool are the first two arguments. */
static Datum
answer_line(FunctionCallInfo fcinfo, RsvAnswer *answer, const char *status, int64 quantity)
{
	rsv_answer_row(answer,
				   (Datum[]) {CStringGetTextDatum(status), PG_GETARG_DATUM(0), PG_GETARG_DATUM(1),
							  Int64GetDatum(quantity)},
				   (bool[]) {false, false, false, false});
	return (Datum) 0;
}

static void
refuse_overflow(const text *cart)
{
	ereport(ERROR,
			(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
			 errmsg("a line of cart \"%s\" would hold more than " INT64_FORMAT,
					rsv_text_display(cart), PG_INT64_MAX),
			 errhint("Add less, or set the quantity with cart_set.")));
}

/* Moves the lines, whose carts are locked; returns how many there were. */
static int64
merge(const text *source, const text *target, const text *policy)
{
	Datum values[] = {PointerGetDatum(source), PointerGetDatum(target), PointerGetDatum(policy)};
	RsvPlanSession session;
	int64 moved;
	int64 merged;
	bool isnull;

	rsv_plan_begin(&session);
	rsv_plan_run(RSV_PLAN_CART_MERGE, values, NULL);
	moved = DatumGetInt64(rsv_plan_value(1, &isnull));
	merged = DatumGetInt64(rsv_plan_value(2, &isnull));
	if (merged != moved)
		refuse_overflow(target);
	/* a checkout of the source goes on with the target, even if the source is empty by now */
	rsv_plan_run(RSV_PLAN_CHECKOUT_CART, values, NULL);
	if (moved > 0)
	{
		values[2] = Int64GetDatum(moved);
		rsv_plan_run(RSV_PLAN_CART_MERGED, values, NULL);
	}
	rsv_plan_end(&session);
	return moved;
}

/* Was this source merged into this target before? Then *lines is what was moved. */
static bool
merged_before(const text *source, const text *target, int64 *lines)
{
	Datum values[] = {PointerGetDatum(source), PointerGetDatum(target)};
	RsvPlanSession session;
	bool found;
	bool isnull;

	rsv_plan_begin(&session);
	found = rsv_plan_run(RSV_PLAN_CART_MERGED_BEFORE, values, NULL) == 1;
	if (found)
		*lines = DatumGetInt64(rsv_plan_value(1, &isnull));
	rsv_plan_end(&session);
	return found;
}

static void
check_policy(const text *policy)
{
	static const char *const policies[] = {"sum", "max", "source", "target"};
	char *name = text_to_cstring(policy);

	for (int i = 0; i < (int) lengthof(policies); i++)
	{
		if (strcmp(name, policies[i]) == 0)
			return;
	}
	ereport(ERROR,
			(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
			 errmsg("policy must be \"sum\", \"max\", \"source\" or \"target\""),
			 errhint("It says what becomes of a line that both carts have.")));
}
