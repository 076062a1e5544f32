/*
 * order.c
 *	  How a checkout ends: as an order, as a refund that is due, or cancelled.
 *
 * Stock, claims, order, order number, cart lines and what becomes of the money
 * change in one transaction or not at all, under the lock of the checkout's row.
 * So of any number of callers one makes the change, and the others see it made.
 *
 * Invariant: a paid checkout ends with its goods or with its money due back.
 *
 * Locks: the cart's, the checkout's row, those of the holder in pools with
 * per_holder, claims in canonical order; for a moment, the order numbers.
 */
#include "postgres.h"

#include "access/xact.h"
#include "utils/builtins.h"
#include "utils/fmgrprotos.h"
#include "utils/memutils.h"
#include "utils/uuid.h"

#include "reservation.h"

/* The claims of a checkout, in canonical order. */
typedef struct Goods
{
	pg_uuid_t *claim_ids;
	text **pools;
	int count;
} Goods;

static const char *finalize(const pg_uuid_t *checkout_id, TimestampTz *now, RsvOrder *order,
							bool *replayed);
static void read_goods(const RsvCheckout *checkout, Goods *goods);
static char *goods_string(const JsonbValue *claim, const char *key);
static bool find_next_pool(const Goods *goods, int place, RsvPool *pool);
static void lock_limits(const Goods *goods, const text *holder);
static void serve_lines(const Goods *goods);
static bool sell(void *argument);
static void give_up(RsvCheckout *checkout, const Goods *goods, RsvCheckoutState state,
					TimestampTz now);

/*
 * finalize_checkout(checkout_id uuid)
 *		-> (status, checkout_id, order_id, order_number, finalized_at, replayed)
 *
 * The commit is flushed to disk even if the session turned synchronous_commit off.
 */
PG_FUNCTION_INFO_V1(rsv_finalize_checkout);
Datum
rsv_finalize_checkout(PG_FUNCTION_ARGS)
{
	RsvAnswer answer;
	RsvOrder order;
	TimestampTz now;
	const char *status;
	bool replayed;
	bool none;

	rsv_answer_begin(&answer, fcinfo);
	rsv_argument_required(fcinfo, 0, "checkout_id");
	rsv_require_writable("finalize_checkout");
	status = finalize(PG_GETARG_UUID_P(0), &now, &order, &replayed);
	none = strcmp(status, "finalized") != 0;
	rsv_answer_row(&answer,
				   (Datum[]) {CStringGetTextDatum(status), PG_GETARG_DATUM(0),
							  UUIDPGetDatum(&order.order_id), Int64GetDatum(order.order_number),
							  TimestampTzGetDatum(order.finalized_at), BoolGetDatum(replayed)},
				   (bool[]) {false, false, none, none, none, false});
	return (Datum) 0;
}

/* cancel_checkout(checkout_id uuid) -> (status, checkout_id, replayed) */
PG_FUNCTION_INFO_V1(rsv_cancel_checkout);
Datum
rsv_cancel_checkout(PG_FUNCTION_ARGS)
{
	RsvAnswer answer;
	RsvCheckout checkout;
	Goods goods;
	const char *status = "cancelled";
	bool replayed = false;

	rsv_answer_begin(&answer, fcinfo);
	rsv_argument_required(fcinfo, 0, "checkout_id");
	rsv_require_writable("cancel_checkout");
	rsv_checkout_lock(PG_GETARG_UUID_P(0), &checkout);
	if (checkout.state == RSV_CHECKOUT_FINALIZED)
		status = "finalized";
	else if (checkout.state == RSV_CHECKOUT_CANCELLED)
		replayed = true;
	else
	{
		read_goods(&checkout, &goods);
		give_up(&checkout, &goods, RSV_CHECKOUT_CANCELLED, GetCurrentTimestamp());
	}
	rsv_answer_row(
		&answer,
		(Datum[]) {CStringGetTextDatum(status), PG_GETARG_DATUM(0), BoolGetDatum(replayed)},
		(bool[]) {false, false, false});
	return (Datum) 0;
}

/* Finalizes, and returns the status; *order is meaningful if that is "finalized". */
static const char *
finalize(const pg_uuid_t *checkout_id, TimestampTz *now, RsvOrder *order, bool *replayed)
{
	RsvCheckout checkout;
	Goods goods;

	memset(order, 0, sizeof(RsvOrder));
	rsv_checkout_lock(checkout_id, &checkout);
	*replayed =
		checkout.state == RSV_CHECKOUT_FINALIZED || checkout.state == RSV_CHECKOUT_REFUND_DUE;
	if (checkout.state == RSV_CHECKOUT_CANCELLED)
		return "cancelled";
	if (checkout.state == RSV_CHECKOUT_REFUND_DUE)
		return "refund_due";
	if (checkout.state == RSV_CHECKOUT_FINALIZED)
	{
		if (!rsv_order_find(checkout_id, order))
			elog(ERROR, "a finalized checkout has no order");
		return "finalized";
	}
	if (checkout.amount != 0 && !checkout.is_paid)
		return "not_paid";

	read_goods(&checkout, &goods);
	lock_limits(&goods, checkout.holder);
	if (!rsv_attempt(sell, &goods))
	{
		if (checkout.is_paid)
			give_up(&checkout, &goods, RSV_CHECKOUT_REFUND_DUE, GetCurrentTimestamp());
		serve_lines(&goods);
		return checkout.is_paid ? "refund_due" : "lapsed";
	}
	*now = GetCurrentTimestamp();
	if (checkout.cart != NULL)
		rsv_cart_sold(checkout.cart, rsv_checkout_jsonb(checkout.cart_lines));
	checkout.state = RSV_CHECKOUT_FINALIZED;
	checkout.ended_at = *now;
	rsv_checkout_update(&checkout);
	ForceSyncCommit();
	rsv_order_make(&checkout, *now, order);
	rsv_chronicle_checkout(&checkout, "finalized", *now);
	rsv_chronicle_order(&checkout, order);
	return "finalized";
}

/*
 * Reads the checkout under the locks of its cart and of its row, in this order.
 * The cart may be merged into another before we have its lock: then that lock is
 * given up, so that we wait for the other cart with nothing in hand.
 */
void
rsv_checkout_lock(const pg_uuid_t *checkout_id, RsvCheckout *checkout)
{
	text *cart = NULL;

	rsv_checkout_read(checkout_id, false, checkout);
	while (!rsv_text_same(cart, checkout->cart))
	{
		if (cart != NULL)
			rsv_cart_unlock(cart);
		cart = checkout->cart;
		rsv_cart_lock(cart);
		rsv_checkout_read(checkout_id, false, checkout);
	}
	rsv_checkout_read(checkout_id, true, checkout);
}

/* Which claims, of which pools? */
static void
read_goods(const RsvCheckout *checkout, Goods *goods)
{
	Jsonb *claims = rsv_checkout_jsonb(checkout->claims);

	goods->count = JB_ROOT_COUNT(claims);
	goods->claim_ids = palloc(sizeof(pg_uuid_t) * goods->count);
	goods->pools = palloc(sizeof(text *) * goods->count);
	for (int i = 0; i < goods->count; i++)
	{
		JsonbValue *claim = getIthJsonbValueFromContainer(&claims->root, i);
		char *claim_id = goods_string(claim, "claim_id");

		goods->claim_ids[i] =
			*DatumGetUUIDP(DirectFunctionCall1(uuid_in, CStringGetDatum(claim_id)));
		goods->pools[i] = cstring_to_text(goods_string(claim, "pool"));
	}
}

static char *
goods_string(const JsonbValue *claim, const char *key)
{
	char *string = rsv_answer_string(claim, key);

	if (string == NULL)
		elog(ERROR, "a claim of a checkout has no \"%s\"", key);
	return string;
}

/* Finds the pool of a claim; false if it is that of the claim before, or gone. */
static bool
find_next_pool(const Goods *goods, int place, RsvPool *pool)
{
	return (place == 0 || !rsv_text_same(goods->pools[place], goods->pools[place - 1])) &&
		rsv_pool_lookup(goods->pools[place], pool);
}

/*
 * Takes the holder's locks in all pools that have a limit, in the order of their
 * places, as a checkout does; finalizing one claim after the other would take
 * them in the order of the pools. A pool that is gone has no limit.
 */
static void
lock_limits(const Goods *goods, const text *holder)
{
	RsvPool *pools = palloc(sizeof(RsvPool) * goods->count);
	const RsvPool **limited = palloc(sizeof(RsvPool *) * goods->count);
	int npools = 0;

	for (int i = 0; i < goods->count; i++)
	{
		if (!find_next_pool(goods, i, &pools[npools]))
			continue;
		limited[npools] = &pools[npools];
		npools++;
	}
	(void) rsv_limit_lock_all(limited, npools, holder, DT_NOEND);
}

/* What lapsed is owed to those who wait: what the attempt dealt out was undone with it. */
static void
serve_lines(const Goods *goods)
{
	RsvPool pool;

	for (int i = 0; i < goods->count; i++)
	{
		if (find_next_pool(goods, i, &pool))
			(void) rsv_line_look(&pool, GetCurrentTimestamp());
	}
}

/* Finalizes every claim, also late; false if one of them cannot be had any more. */
static bool
sell(void *argument)
{
	const Goods *goods = argument;
	MemoryContext row =
		AllocSetContextCreate(CurrentMemoryContext, "reservation sold claim", ALLOCSET_SMALL_SIZES);
	bool sold = true;

	for (int i = 0; sold && i < goods->count; i++)
	{
		MemoryContext caller = MemoryContextSwitchTo(row);
		RsvClaim claim;

		(void) rsv_settle_finalize(&goods->claim_ids[i], &claim);
		sold = claim.state == RSV_FINALIZED;
		MemoryContextSwitchTo(caller);
		MemoryContextReset(row); /* one that is late has all that its holder has */
	}
	MemoryContextDelete(row);
	return sold;
}

/*
 * Ends a checkout without its goods: what it still has is given back, also what was
 * finalized one by one, and what was paid for it is due back.
 */
static void
give_up(RsvCheckout *checkout, const Goods *goods, RsvCheckoutState state, TimestampTz now)
{
	ListCell *cell;

	for (int i = 0; i < goods->count; i++)
	{
		RsvClaim claim;
		bool released;

		rsv_settle_release(&goods->claim_ids[i], now, true, &claim, &released);
		if (claim.state == RSV_FINALIZED)
			(void) rsv_claim_give_back(&goods->claim_ids[i], 0);
	}
	foreach(cell, checkout->is_paid ? rsv_payment_list(&checkout->checkout_id) : NIL)
	{
		RsvPayment *payment = lfirst(cell);

		if (strcmp(payment->state, "paid") != 0)
			continue;
		payment->state = "refund_due";
		rsv_payment_update(payment);
		rsv_chronicle_payment(payment, now);
		ForceSyncCommit();
	}
	checkout->state = state;
	checkout->ended_at = now;
	rsv_checkout_update(checkout);
	rsv_chronicle_checkout(checkout, state == RSV_CHECKOUT_CANCELLED ? "cancelled" : "refund_due",
						   now);
}
