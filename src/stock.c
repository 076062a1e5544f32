/*
 * stock.c
 *	  Taking from counted pools: take, and charge, which also finalizes.
 *
 * Order of the checks, for both: arguments; the first answer of this request
 * id; window and pause; rate limits; per_holder; the waiting line; stock. Whoever is refused gets
 * a row that says why, never an error, and nothing was taken.
 *
 * Locks: the request id and the (pool, holder) of a limited pool by hash
 * (lock.c), both before anything else; then slots (slot.c).
 */
#include "postgres.h"

#include "access/xact.h"
#include "common/int.h"
#include "utils/builtins.h"

#include "reservation.h"

/* What a caller asks for. */
typedef struct Order
{
	const char *function;
	text *pool_name;
	text *holder;
	int64 quantity;
	bool charge;      /* for good: finalized at once */
	Interval *ttl;    /* NULL: the pool's, or the setting */
	text *request_id; /* NULL: the call is not repeatable */
	Interval *wait;   /* NULL: the setting */
	TimestampTz now;  /* once the call has the locks under which it decides */

	Interval *retry_after; /* of a rate limit that refused, else NULL */
} Order;

/* Columns of the answer of take */
enum
{
	ANSWER_STATUS,
	ANSWER_CLAIM_ID,
	ANSWER_POOL,
	ANSWER_QUANTITY,
	ANSWER_HOLDER,
	ANSWER_EXPIRES_AT,
	ANSWER_AVAILABLE,
	ANSWER_REPLAYED,
	ANSWER_RETRY_AFTER,
	ANSWER_COLUMNS
};

static void order(Order *order, RsvAnswer *answer);
static bool within_limit(const Order *order, const RsvPool *pool, RsvAnswer *answer);
static void take(Order *order, RsvPool *pool, TimestampTz deadline, RsvRequest *request,
				 RsvAnswer *answer);
static void refuse(const Order *order, const RsvPool *pool, const char *status, int64 available,
				   RsvAnswer *answer);
static void answer_claim(const Order *order, const char *status, const RsvPool *pool,
						 const RsvClaim *claim, RsvAnswer *answer);
static void answer_charge(const Order *order, const char *status, const RsvClaim *claim,
						  int64 balance, RsvAnswer *answer);

/*
 * take(pool text, holder text, quantity bigint, ttl interval, request_id text, wait interval)
 *		-> (status, claim_id, pool, quantity, holder, expires_at, available, replayed, retry_after)
 *
 * All of the quantity or nothing. ttl NULL: the pool's hold_ttl; wait NULL:
 * reservation.claim_wait.
 */
PG_FUNCTION_INFO_V1(rsv_take);
Datum
rsv_take(PG_FUNCTION_ARGS)
{
	Order take = {.function = "take"};
	RsvAnswer answer;

	rsv_answer_begin(&answer, fcinfo);
	take.pool_name = rsv_argument_name(fcinfo, 0, "pool");
	take.holder = rsv_argument_name(fcinfo, 1, "holder");
	take.quantity = rsv_argument_int64(fcinfo, 2, "quantity", 1, PG_INT64_MAX);
	take.ttl = rsv_argument_ttl(fcinfo, 3, "ttl");
	take.request_id = rsv_argument_optional_name(fcinfo, 4, "request_id");
	take.wait = rsv_argument_wait(fcinfo, 5);
	order(&take, &answer);
	return (Datum) 0;
}

/*
 * charge(account text, amount bigint, request_id text)
 *		-> (status, claim_id, balance, replayed, retry_after)
 *
 * Takes and finalizes in one claim, whose holder is the account itself.
 * request_id NULL: the call is not repeatable.
 */
PG_FUNCTION_INFO_V1(rsv_charge);
Datum
rsv_charge(PG_FUNCTION_ARGS)
{
	Order charge = {.function = "charge", .charge = true};
	RsvAnswer answer;

	rsv_answer_begin(&answer, fcinfo);
	charge.pool_name = charge.holder = rsv_argument_name(fcinfo, 0, "account");
	charge.quantity = rsv_argument_int64(fcinfo, 1, "amount", 1, PG_INT64_MAX);
	charge.request_id = rsv_argument_optional_name(fcinfo, 2, "request_id");
	order(&charge, &answer);
	return (Datum) 0;
}

static void
order(Order *order, RsvAnswer *answer)
{
	RsvPool pool;
	RsvRequest request;
	TimestampTz deadline;
	const char *refusal;
	bool busy;

	rsv_require_writable(order->function);
	rsv_pool_find(order->pool_name, &pool);
	rsv_pool_require_counted(&pool, order->function);

	rsv_request_begin(&request, pool.pool_id, order->function, order->request_id);
	if (!order->charge)
		rsv_request_add_text(&request, "holder", order->holder);
	rsv_request_add_integer(&request, order->charge ? "amount" : "quantity", order->quantity);
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

/*
 * May the holder have this much more? If not, the answer is the live holds that
 * the call would repeat, or a refusal.
 */
static bool
within_limit(const Order *order, const RsvPool *pool, RsvAnswer *answer)
{
	List *holds;
	ListCell *cell;
	int64 sum;
	int64 held = 0;

	if (pool->per_holder == 0)
		return true;
	if (!pg_add_s64_overflow(rsv_limit_holdings(pool, order->holder, order->now, &holds),
							 order->quantity, &sum) &&
		sum <= pool->per_holder)
		return true;

	foreach(cell, holds)
		held += ((RsvClaim *) lfirst(cell))->quantity;
	if (order->charge || held != order->quantity)
	{
		refuse(order, pool, "limit_reached", -1, answer);
		return false;
	}
	foreach(cell, holds)
		answer_claim(order, "existing", pool, lfirst(cell), answer);
	return false;
}

/* Takes the quantity for the holder, or says why not. */
static void
take(Order *order, RsvPool *pool, TimestampTz deadline, RsvRequest *request, RsvAnswer *answer)
{
	int64 available = 0;
	RsvDraw draw = order->charge ? RSV_DRAW_CHARGE : RSV_DRAW_CLAIM;
	RsvSupply supply =
		rsv_pass_draw(pool, order->quantity, draw, &order->now, deadline, &available);
	RsvClaim claim = {
		.claimed_at = order->now,
		.finalized_at = order->now,
		.quantity = order->quantity,
		.pool_id = pool->pool_id,
		.state = order->charge ? RSV_FINALIZED : RSV_HELD,
		.holder = order->holder,
		.request_id = order->request_id,
	};

	if (supply != RSV_TAKEN)
	{
		rsv_stats_add(pool->pool_id, supply == RSV_GONE ? RSV_COUNT_GONE : RSV_COUNT_BUSY, 1);
		refuse(order, pool,
			   supply == RSV_GONE ? "insufficient" : rsv_pool_undecided(pool, order->now),
			   available, answer);
		return;
	}
	claim.expires_at = order->charge ? DT_NOEND : rsv_pool_hold_end(pool, order->ttl, order->now);
	rsv_identifier_make(&claim.claim_id, order->now, pool->name);
	rsv_claim_insert(&claim, pool);
	if (order->charge)
		ForceSyncCommit();
	rsv_request_keep(request, answer);
	if (order->charge)
		answer_charge(order, "charged", &claim,
					  pool->changed ? rsv_sum_balance(pool, order->now) : available + pool->floor,
					  answer);
	else
		answer_claim(order, "claimed", pool, &claim, answer);
	rsv_request_save(request, answer, order->now);
}

/* Answers with a refusal; available < 0: it has to be looked up. */
static void
refuse(const Order *order, const RsvPool *pool, const char *status, int64 available,
	   RsvAnswer *answer)
{
	Datum values[ANSWER_COLUMNS] = {0};
	bool nulls[ANSWER_COLUMNS];

	if (order->charge)
	{
		answer_charge(order, status, NULL, rsv_sum_balance(pool, order->now), answer);
		return;
	}
	if (available < 0)
		available = rsv_pass_count(pool, order->now);
	memset(nulls, true, sizeof(nulls));
	values[ANSWER_STATUS] = CStringGetTextDatum(status);
	nulls[ANSWER_STATUS] = false;
	values[ANSWER_POOL] = PointerGetDatum(pool->name);
	nulls[ANSWER_POOL] = false;
	values[ANSWER_QUANTITY] = Int64GetDatum(order->quantity);
	nulls[ANSWER_QUANTITY] = false;
	values[ANSWER_HOLDER] = PointerGetDatum(order->holder);
	nulls[ANSWER_HOLDER] = false;
	values[ANSWER_AVAILABLE] = Int64GetDatum(available);
	nulls[ANSWER_AVAILABLE] = false;
	values[ANSWER_REPLAYED] = BoolGetDatum(false);
	nulls[ANSWER_REPLAYED] = false;
	values[ANSWER_RETRY_AFTER] = IntervalPGetDatum(order->retry_after);
	nulls[ANSWER_RETRY_AFTER] = order->retry_after == NULL;
	rsv_answer_row(answer, values, nulls);
}

/* Answers with a claim. */
static void
answer_claim(const Order *order, const char *status, const RsvPool *pool, const RsvClaim *claim,
			 RsvAnswer *answer)
{
	Datum values[ANSWER_COLUMNS];
	bool nulls[ANSWER_COLUMNS] = {false};

	values[ANSWER_STATUS] = CStringGetTextDatum(status);
	values[ANSWER_CLAIM_ID] = UUIDPGetDatum(&claim->claim_id);
	values[ANSWER_POOL] = PointerGetDatum(pool->name);
	values[ANSWER_QUANTITY] = Int64GetDatum(claim->quantity);
	values[ANSWER_HOLDER] = PointerGetDatum(claim->holder);
	values[ANSWER_EXPIRES_AT] = TimestampTzGetDatum(claim->expires_at);
	nulls[ANSWER_AVAILABLE] = true;
	values[ANSWER_REPLAYED] = BoolGetDatum(false);
	nulls[ANSWER_RETRY_AFTER] = true;
	rsv_answer_row(answer, values, nulls);
}

static void
answer_charge(const Order *order, const char *status, const RsvClaim *claim, int64 balance,
			  RsvAnswer *answer)
{
	rsv_answer_row(answer,
				   (Datum[]) {CStringGetTextDatum(status),
							  claim == NULL ? (Datum) 0 : UUIDPGetDatum(&claim->claim_id),
							  Int64GetDatum(balance), BoolGetDatum(false),
							  IntervalPGetDatum(order->retry_after)},
				   (bool[]) {false, claim == NULL, false, false, order->retry_after == NULL});
}
