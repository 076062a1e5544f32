/*
 * checkout.c
 *	  Checking out: several lines held together, to be paid and finalized as one.
 *
 * Invariant: a row of reservation.checkout and the holds that it names are
 * written in one transaction, all of them or none. Its request id is unique, and
 * the row is the stored answer: nothing in it that was answered ever changes.
 *
 * Locks: that of the cart, that of the request id, those of the holder in pools
 * with per_holder, then rows (hold.c). The cart's comes first because whoever
 * adds to a cart, merges it, or gives up its checkout, may check it out in the
 * same transaction.
 */
#include "postgres.h"

#include "utils/builtins.h"
#include "utils/json.h"
#include "utils/jsonb.h"
#include "utils/fmgrprotos.h"

#include "reservation.h"

/* All checkouts share one scope of request ids. */
#define REQUEST_SCOPE "checkout"

/* What a caller asks for. */
typedef struct Purchase
{
	text *holder;
	text *cart;   /* NULL: the lines are given */
	Jsonb *lines; /* NULL: those of the cart */
	Interval *ttl;
	int64 amount;   /* 0: none */
	text *currency; /* NULL: none */
	RsvRequest request;
} Purchase;

static void read_arguments(FunctionCallInfo fcinfo, int holder, Purchase *purchase);
static void check_out(Purchase *purchase, RsvAnswer *answer);
static bool repeat_first(Purchase *purchase, RsvAnswer *answer);
static void hold_lines(Purchase *purchase, RsvAnswer *answer);
static Jsonb *claims_jsonb(const RsvHold *hold);
static Jsonb *shortages_jsonb(const RsvHold *hold);
static Jsonb *jsonb_from(const StringInfo json);
static void answer_open(const RsvCheckout *checkout, bool replayed, RsvAnswer *answer);

/*
 * checkout(request_id text, holder text, lines jsonb, ttl interval, amount bigint, currency text)
 *		-> (status, checkout_id, expires_at, claims, shortages, replayed)
 *
 * Holds all lines or none. ttl NULL: each pool's; amount NULL: needs no payment,
 * otherwise in the smallest unit of the currency.
 */
PG_FUNCTION_INFO_V1(rsv_checkout);
Datum
rsv_checkout(PG_FUNCTION_ARGS)
{
	Purchase purchase = {0};
	RsvAnswer answer;

	rsv_answer_begin(&answer, fcinfo);
	rsv_request_begin(&purchase.request, 0, REQUEST_SCOPE,
					  rsv_argument_name(fcinfo, 0, "request_id"));
	rsv_argument_required(fcinfo, 2, "lines");
	purchase.lines = PG_GETARG_JSONB_P(2);
	read_arguments(fcinfo, 1, &purchase);
	rsv_require_writable("checkout");
	rsv_request_add_text(
		&purchase.request, "lines",
		cstring_to_text(JsonbToCString(NULL, &purchase.lines->root, VARSIZE(purchase.lines))));
	check_out(&purchase, &answer);
	return (Datum) 0;
}

/*
 * checkout_cart(cart text, request_id text, holder text, ttl interval, amount bigint,
 *				 currency text)
 *		-> as checkout
 *
 * The lines of a cart. They stay in it until the checkout is finalized.
 */
PG_FUNCTION_INFO_V1(rsv_checkout_cart);
Datum
rsv_checkout_cart(PG_FUNCTION_ARGS)
{
	Purchase purchase = {0};
	RsvAnswer answer;

	rsv_answer_begin(&answer, fcinfo);
	purchase.cart = rsv_argument_name(fcinfo, 0, "cart");
	rsv_request_begin(&purchase.request, 0, REQUEST_SCOPE,
					  rsv_argument_name(fcinfo, 1, "request_id"));
	read_arguments(fcinfo, 2, &purchase);
	rsv_require_writable("checkout_cart");
	rsv_request_add_text(&purchase.request, "cart", purchase.cart);
	check_out(&purchase, &answer);
	return (Datum) 0;
}

/* The arguments that both doors have: from the holder on, with or without lines after it. */
static void
read_arguments(FunctionCallInfo fcinfo, int holder, Purchase *purchase)
{
	int ttl = purchase->cart == NULL ? holder + 2 : holder + 1;

	purchase->holder = rsv_argument_name(fcinfo, holder, "holder");
	purchase->ttl = rsv_argument_ttl(fcinfo, ttl, "ttl");
	if (!PG_ARGISNULL(ttl + 1))
		purchase->amount = rsv_argument_int64(fcinfo, ttl + 1, "amount", 1, PG_INT64_MAX);
	purchase->currency = rsv_argument_optional_name(fcinfo, ttl + 2, "currency");

	rsv_request_add_text(&purchase->request, "holder", purchase->holder);
	rsv_request_add_interval(&purchase->request, "ttl", purchase->ttl);
	if (purchase->amount != 0)
		rsv_request_add_integer(&purchase->request, "amount", purchase->amount);
	if (purchase->currency != NULL)
		rsv_request_add_text(&purchase->request, "currency", purchase->currency);
}

static void
check_out(Purchase *purchase, RsvAnswer *answer)
{
	if (repeat_first(purchase, answer))
		return;
	/* who merges the cart must see its checkout, or we the merge */
	if (purchase->cart != NULL)
		rsv_cart_lock(purchase->cart);
	rsv_request_lock(&purchase->request);
	if (!repeat_first(purchase, answer))
		hold_lines(purchase, answer);
}

/* Gives the first answer again, if there was one. */
static bool
repeat_first(Purchase *purchase, RsvAnswer *answer)
{
	RsvCheckout first;

	if (!rsv_checkout_find(purchase->request.request_id, &first))
		return false;
	rsv_request_require_same(&purchase->request, DatumGetTextPP(PointerGetDatum(first.arguments)));
	answer_open(&first, true, answer);
	return true;
}

/* Holds the lines and writes the checkout, or says what falls short. */
static void
hold_lines(Purchase *purchase, RsvAnswer *answer)
{
	bool from_cart = purchase->cart != NULL;
	Jsonb *lines = purchase->lines;
	RsvHold hold = {
		.holder = purchase->holder,
		.request_id = purchase->request.request_id,
		.ttl = purchase->ttl,
		.deadline = rsv_wait_deadline(NULL, GetCurrentTimestamp()),
	};
	RsvCheckout checkout = {.state = RSV_CHECKOUT_OPEN};

	if (from_cart)
		lines = rsv_cart_read(purchase->cart);
	if (lines == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("cart \"%s\" is empty", rsv_text_display(purchase->cart)),
				 errhint("Add lines with cart_add first.")));
	hold.items = rsv_items_read(lines, from_cart, &hold.nitems);
	if (!rsv_hold_items(&hold))
	{
		rsv_answer_row(answer,
					   (Datum[]) {CStringGetTextDatum("short"), 0, 0, 0,
								  JsonbPGetDatum(shortages_jsonb(&hold)), BoolGetDatum(false)},
					   (bool[]) {false, true, true, true, false, false});
		return;
	}
	rsv_identifier_make(&checkout.checkout_id, hold.now, hold.items[0].pool.name);
	checkout.created_at = hold.now;
	checkout.expires_at = hold.expires_at;
	checkout.amount = purchase->amount;
	checkout.request_id = hold.request_id;
	checkout.holder = hold.holder;
	checkout.currency = purchase->currency;
	checkout.arguments = (struct varlena *) cstring_to_text_with_len(
		purchase->request.arguments.data, purchase->request.arguments.len);
	checkout.cart = purchase->cart;
	checkout.cart_lines = from_cart ? (struct varlena *) lines : NULL;
	checkout.claims = (struct varlena *) claims_jsonb(&hold);
	rsv_checkout_insert(&checkout);
	rsv_chronicle_checkout(&checkout, "opened", hold.now);
	answer_open(&checkout, false, answer);
}

/* [{"claim_id", "pool", "number", "quantity"}], in canonical order. */
static Jsonb *
claims_jsonb(const RsvHold *hold)
{
	const RsvItem *item = hold->items;
	StringInfoData json;
	ListCell *cell;

	initStringInfo(&json);
	foreach(cell, hold->claims)
	{
		const RsvClaim *claim = lfirst(cell);

		while (item->pool.pool_id != claim->pool_id)
			item++;
		appendStringInfo(
			&json, "%c{\"claim_id\":\"%s\",\"pool\":", json.len == 0 ? '[' : ',',
			DatumGetCString(DirectFunctionCall1(uuid_out, UUIDPGetDatum(&claim->claim_id))));
		escape_json(&json, text_to_cstring(item->pool.name));
		if (claim->numbered)
			appendStringInfo(&json, ",\"number\":%d", claim->number);
		else
			appendStringInfoString(&json, ",\"number\":null");
		appendStringInfo(&json, ",\"quantity\":" INT64_FORMAT "}", claim->quantity);
	}
	return jsonb_from(&json);
}

/* [{"pool", "requested", "available", "reason"}], for every item that falls short. */
static Jsonb *
shortages_jsonb(const RsvHold *hold)
{
	StringInfoData json;

	initStringInfo(&json);
	for (int i = 0; i < hold->nitems; i++)
	{
		const RsvItem *item = &hold->items[i];

		if (item->reason == NULL)
			continue;
		appendStringInfo(&json, "%c{\"pool\":", json.len == 0 ? '[' : ',');
		escape_json(&json, text_to_cstring(item->pool.name));
		appendStringInfo(&json, ",\"requested\":" INT64_FORMAT ",\"available\":", item->quantity);
		if (item->pool.open)
			appendStringInfoString(&json, "null");
		else
			appendStringInfo(&json, INT64_FORMAT, item->available);
		appendStringInfo(&json, ",\"reason\":\"%s\"}", item->reason);
	}
	return jsonb_from(&json);
}

static Jsonb *
jsonb_from(const StringInfo json)
{
	appendStringInfoChar(json, ']');
	return DatumGetJsonbP(DirectFunctionCall1(jsonb_in, CStringGetDatum(json->data)));
}

static void
answer_open(const RsvCheckout *checkout, bool replayed, RsvAnswer *answer)
{
	rsv_answer_row(answer,
				   (Datum[]) {CStringGetTextDatum("open"), UUIDPGetDatum(&checkout->checkout_id),
							  TimestampTzGetDatum(checkout->expires_at),
							  PointerGetDatum(checkout->claims), 0, BoolGetDatum(replayed)},
				   (bool[]) {false, false, false, false, true, false});
}
