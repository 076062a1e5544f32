/*
 * claim.c
 *	  Claiming numbered units: the next free ones, or a unit by its number.
 *
 * Order of the checks, for both: arguments; the first answer of this request
 * id; window and pause; rate limits; per_holder; the waiting line; supply. Whoever is refused gets
 * a row that says why, never an error, and nothing was taken.
 *
 * Locks: the request id and the (pool, holder) of a limited pool by hash
 * (lock.c), both before anything else; then the unit's row, which never waits.
 */
#include "postgres.h"

#include "utils/builtins.h"

#include "reservation.h"

/* What a caller asks for. */
typedef struct Order
{
	const char *function;
	text *pool_name;
	text *holder;
	bool named; /* one unit, by its number */
	int32 number;
	int32 count;
	Interval *ttl;    /* NULL: the pool's, or the setting */
	text *request_id; /* NULL: the call is not repeatable */
	Interval *wait;   /* NULL: the setting */
	TimestampTz now;  /* once the call has the locks under which it decides */

	Interval *retry_after; /* of a rate limit that refused, else NULL */
} Order;

/* Columns of the answer */
enum
{
	ANSWER_STATUS,
	ANSWER_CLAIM_ID,
	ANSWER_POOL,
	ANSWER_NUMBER,
	ANSWER_LABEL,
	ANSWER_HOLDER,
	ANSWER_EXPIRES_AT,
	ANSWER_AVAILABLE,
	ANSWER_REPLAYED,
	ANSWER_RETRY_AFTER,
	ANSWER_COLUMNS
};

static void claim(Order *order, RsvAnswer *answer);
static void take(Order *order, RsvPool *pool, TimestampTz deadline, RsvRequest *request,
				 RsvAnswer *answer);
static bool within_limit(const Order *order, const RsvPool *pool, RsvAnswer *answer);
static int compare_holds(const ListCell *a, const ListCell *b);
static void give(const Order *order, const RsvPool *pool, const int32 *numbers, RsvAnswer *answer);
static void refuse(const Order *order, const RsvPool *pool, const char *status, int64 available,
				   RsvAnswer *answer);
static void answer_claim(const char *status, const RsvPool *pool, const RsvClaim *claim,
						 Snapshot as_of, RsvAnswer *answer);

/*
 * claim_next(pool text, holder text, count integer, ttl interval, request_id text, wait interval)
 *		-> (status, claim_id, pool, number, label, holder, expires_at, available, replayed,
 *			retry_after)
 *
 * The lowest free units, all or none. ttl NULL: the pool's hold_ttl; wait NULL:
 * reservation.claim_wait.
 */
PG_FUNCTION_INFO_V1(rsv_claim_next);
Datum
rsv_claim_next(PG_FUNCTION_ARGS)
{
	Order order = {.function = "claim_next"};
	RsvAnswer answer;

	rsv_answer_begin(&answer, fcinfo);
	order.pool_name = rsv_argument_name(fcinfo, 0, "pool");
	order.holder = rsv_argument_name(fcinfo, 1, "holder");
	order.count = rsv_argument_int32(fcinfo, 2, "count", 1, RSV_CLAIM_UNITS_MAX);
	order.ttl = rsv_argument_ttl(fcinfo, 3, "ttl");
	order.request_id = rsv_argument_optional_name(fcinfo, 4, "request_id");
	order.wait = rsv_argument_wait(fcinfo, 5);
	claim(&order, &answer);
	return (Datum) 0;
}

/*
 * claim_unit(pool text, number integer, holder text, ttl interval, request_id text, wait interval)
 *		-> as claim_next
 *
 * One unit by its number, such as a seat. A number that the pool does not have
 * raises 22023.
 */
PG_FUNCTION_INFO_V1(rsv_claim_unit);
Datum
rsv_claim_unit(PG_FUNCTION_ARGS)
{
	Order order = {.function = "claim_unit", .count = 1, .named = true};
	RsvAnswer answer;

	rsv_answer_begin(&answer, fcinfo);
	order.pool_name = rsv_argument_name(fcinfo, 0, "pool");
	order.number = rsv_argument_int32(fcinfo, 1, "number", PG_INT32_MIN, PG_INT32_MAX);
	order.holder = rsv_argument_name(fcinfo, 2, "holder");
	order.ttl = rsv_argument_ttl(fcinfo, 3, "ttl");
	order.request_id = rsv_argument_optional_name(fcinfo, 4, "request_id");
	order.wait = rsv_argument_wait(fcinfo, 5);
	claim(&order, &answer);
	return (Datum) 0;
}

static void
claim(Order *order, RsvAnswer *answer)
{
	RsvPool pool;
	RsvRequest request;
	TimestampTz deadline;
	const char *refusal;
	bool busy;

	rsv_require_writable(order->function);
	rsv_pool_find(order->pool_name, &pool);
	rsv_pool_require_numbered(&pool, order->function);

	rsv_request_begin(&request, pool.pool_id, order->function, order->request_id);
	if (order->named)
		rsv_request_add_integer(&request, "number", order->number);
	rsv_request_add_text(&request, "holder", order->holder);
	if (!order->named)
		rsv_request_add_integer(&request, "count", order->count);
	rsv_request_add_interval(&request, "ttl", order->ttl);
	order->now = GetCurrentTimestamp();
	deadline = rsv_wait_deadline(order->wait, order->now);
	if (rsv_request_replay_until(&request, deadline, answer, &busy))
		return;

	refusal = busy
		? "busy"
		: rsv_admission(&pool, order->holder, deadline, &order->now, &order->retry_after);
	if (refusal != NULL)
		refuse(order, &pool, refusal, -1, answer);
	else if (within_limit(order, &pool, answer))
		take(order, &pool, deadline, &request, answer);
}

/* Takes the units and gives them to the holder, or says why not. */
static void
take(Order *order, RsvPool *pool, TimestampTz deadline, RsvRequest *request, RsvAnswer *answer)
{
	int32 *numbers = palloc(sizeof(int32) * order->count);
	int64 available = -1;
	RsvSupply supply;

	numbers[0] = order->number;
	if (order->named)
		supply = rsv_pass_take_unit(pool, order->number, &order->now, deadline);
	else
		supply =
			rsv_pass_take(pool, order->count, &order->now, deadline, numbers, &available, false);

	if (supply != RSV_TAKEN)
		rsv_stats_add(pool->pool_id, supply == RSV_GONE ? RSV_COUNT_GONE : RSV_COUNT_BUSY, 1);
	if (supply == RSV_UNDECIDED)
		refuse(order, pool, rsv_pool_undecided(pool, order->now), available, answer);
	else if (supply == RSV_GONE)
		refuse(order, pool, order->named ? "taken" : "sold_out", available, answer);
	else
	{
		rsv_request_keep(request, answer);
		give(order, pool, numbers, answer);
		rsv_request_save(request, answer, order->now);
	}
}

/*
 * May the holder have this much more? If not, the answer is the live hold that
 * the call would repeat, or a refusal.
 */
static bool
within_limit(const Order *order, const RsvPool *pool, RsvAnswer *answer)
{
	List *holds;
	List *same = NIL;
	ListCell *cell;
	Snapshot as_of;

	if (pool->per_holder == 0)
		return true;
	if (rsv_limit_holdings(pool, order->holder, order->now, &holds) + order->count <=
		pool->per_holder)
		return true;

	foreach(cell, holds)
	{
		RsvClaim *hold = lfirst(cell);

		if (!order->named || hold->number == order->number)
			same = lappend(same, hold);
	}
	if (list_length(same) != order->count)
	{
		refuse(order, pool, "limit_reached", -1, answer);
		return false;
	}
	list_sort(same, compare_holds);
	as_of = rsv_store_now();
	foreach(cell, same)
		answer_claim("existing", pool, lfirst(cell), as_of, answer);
	rsv_store_forget(as_of);
	return false;
}

static int
compare_holds(const ListCell *a, const ListCell *b)
{
	int32 left = ((const RsvClaim *) lfirst(a))->number;
	int32 right = ((const RsvClaim *) lfirst(b))->number;

	return (left > right) - (left < right);
}

/* Writes the claims of units that have been taken. */
static void
give(const Order *order, const RsvPool *pool, const int32 *numbers, RsvAnswer *answer)
{
	Snapshot as_of = pool->labelled ? rsv_store_now() : NULL;
	RsvClaim hold = {
		.claimed_at = order->now,
		.expires_at = rsv_pool_hold_end(pool, order->ttl, order->now),
		.quantity = 1,
		.pool_id = pool->pool_id,
		.numbered = true,
		.state = RSV_HELD,
		.holder = order->holder,
		.request_id = order->request_id,
	};

	for (int i = 0; i < order->count; i++)
	{
		rsv_identifier_make(&hold.claim_id, order->now, pool->name);
		hold.number = numbers[i];
		rsv_claim_insert(&hold, pool);
		answer_claim("claimed", pool, &hold, as_of, answer);
	}
	if (as_of != NULL)
		rsv_store_forget(as_of);
}

/* Answers with a refusal; available < 0: it has to be counted. */
static void
refuse(const Order *order, const RsvPool *pool, const char *status, int64 available,
	   RsvAnswer *answer)
{
	Datum values[ANSWER_COLUMNS] = {0};
	bool nulls[ANSWER_COLUMNS];

	memset(nulls, true, sizeof(nulls));
	values[ANSWER_STATUS] = CStringGetTextDatum(status);
	nulls[ANSWER_STATUS] = false;
	values[ANSWER_POOL] = PointerGetDatum(pool->name);
	nulls[ANSWER_POOL] = false;
	values[ANSWER_HOLDER] = PointerGetDatum(order->holder);
	nulls[ANSWER_HOLDER] = false;
	if (!pool->open)
	{
		values[ANSWER_AVAILABLE] =
			Int64GetDatum(available >= 0 ? available : rsv_pass_count(pool, order->now));
		nulls[ANSWER_AVAILABLE] = false;
	}
	values[ANSWER_REPLAYED] = BoolGetDatum(false);
	nulls[ANSWER_REPLAYED] = false;
	values[ANSWER_RETRY_AFTER] = IntervalPGetDatum(order->retry_after);
	nulls[ANSWER_RETRY_AFTER] = order->retry_after == NULL;
	rsv_answer_row(answer, values, nulls);
}

/* Answers with a claim. */
static void
answer_claim(const char *status, const RsvPool *pool, const RsvClaim *claim, Snapshot as_of,
			 RsvAnswer *answer)
{
	Datum values[ANSWER_COLUMNS];
	bool nulls[ANSWER_COLUMNS] = {false};
	text *label = pool->labelled ? rsv_unit_label(pool, claim->number, as_of) : NULL;

	values[ANSWER_STATUS] = CStringGetTextDatum(status);
	values[ANSWER_CLAIM_ID] = UUIDPGetDatum(&claim->claim_id);
	values[ANSWER_POOL] = PointerGetDatum(pool->name);
	values[ANSWER_NUMBER] = Int32GetDatum(claim->number);
	values[ANSWER_LABEL] = PointerGetDatum(label);
	nulls[ANSWER_LABEL] = label == NULL;
	values[ANSWER_HOLDER] = PointerGetDatum(claim->holder);
	values[ANSWER_EXPIRES_AT] = TimestampTzGetDatum(claim->expires_at);
	nulls[ANSWER_AVAILABLE] = true;
	values[ANSWER_REPLAYED] = BoolGetDatum(false);
	nulls[ANSWER_RETRY_AFTER] = true;
	rsv_answer_row(answer, values, nulls);
}
