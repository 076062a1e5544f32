/*
 * chronicle.c
 *	  Events of what is not a claim: pools, tickets, checkouts, payments, orders;
 *	  and of claims that go by another name. Nothing is decided here, only written down.
 *
 * Memory: all in the caller's context.
 */
#include "postgres.h"

#include "utils/builtins.h"
#include "utils/fmgrprotos.h"
#include "utils/json.h"

#include "reservation.h"

static Datum pool_details(int32 pool_id);
static Datum payment_details(const RsvPayment *payment);
static Datum details(const StringInfo json);
static char *identifier(const pg_uuid_t *id);

/* A pool was created, altered or dropped. Not to be called within a plan's session. */
void
rsv_chronicle_pool(const RsvPool *pool, const char *event, int64 quantity, TimestampTz at)
{
	rsv_log(&(RsvEntry) {
		.at = at,
		.pool_id = pool->pool_id,
		.quantity = quantity,
		.event = event,
		.details = pool_details(pool->pool_id),
	});
}

/* A numbered pool has got more units. */
void
rsv_chronicle_units(const RsvPool *pool, int32 first, int32 count)
{
	StringInfoData json;

	initStringInfo(&json);
	appendStringInfo(&json, "{\"first_number\":%d,\"last_number\":%d}", first, first + count - 1);
	rsv_log(&(RsvEntry) {
		.at = GetCurrentTimestamp(),
		.pool_id = pool->pool_id,
		.quantity = count,
		.event = "added",
		.details = details(&json),
	});
}

/* A claim has another holder. If it is as new as that, nobody has seen it with the old one. */
void
rsv_chronicle_rename(const RsvClaim *claim)
{
	StringInfoData json;

	if (rsv_event_is_own(&claim->stamp))
		return;
	initStringInfo(&json);
	appendStringInfoString(&json, "{\"holder\":");
	escape_json(&json, text_to_cstring(claim->holder));
	appendStringInfoChar(&json, '}');
	rsv_log(&(RsvEntry) {
		.at = GetCurrentTimestamp(),
		.pool_id = claim->pool_id,
		.claim_id = &claim->claim_id,
		.quantity = claim->quantity,
		.counted = !claim->numbered,
		.event = "renamed",
		.details = details(&json),
	});
}

/* A ticket has come into another state than waiting. */
void
rsv_chronicle_ticket(const RsvTicket *ticket, const char *event, TimestampTz at)
{
	StringInfoData json;
	pg_uuid_t *claim_ids;
	int count = rsv_ticket_claims(ticket, &claim_ids);

	initStringInfo(&json);
	appendStringInfo(&json, "{\"ticket_id\":\"%s\",\"holder\":", identifier(&ticket->ticket_id));
	escape_json(&json, text_to_cstring(ticket->holder));
	appendStringInfoString(&json, ",\"claim_ids\":[");
	for (int i = 0; i < count; i++)
		appendStringInfo(&json, i == 0 ? "\"%s\"" : ",\"%s\"", identifier(&claim_ids[i]));
	appendStringInfoString(&json, "]}");
	rsv_log(&(RsvEntry) {
		.at = at,
		.pool_id = ticket->pool_id,
		.quantity = ticket->quantity,
		.kind = "ticket",
		.event = event,
		.details = details(&json),
	});
}

void
rsv_chronicle_checkout(const RsvCheckout *checkout, const char *event, TimestampTz at)
{
	rsv_log(&(RsvEntry) {
		.at = at,
		.checkout_id = &checkout->checkout_id,
		.quantity = checkout->amount,
		.kind = "checkout",
		.event = event,
		.request_id = strcmp(event, "opened") == 0 ? checkout->request_id : NULL,
	});
}

/* A payment has come into its state. */
void
rsv_chronicle_payment(const RsvPayment *payment, TimestampTz at)
{
	rsv_log(&(RsvEntry) {
		.at = at,
		.checkout_id = &payment->checkout_id,
		.quantity = payment->amount,
		.kind = "payment",
		.event = payment->state,
		.reason = payment->reference,
		.details = payment_details(payment),
	});
}

void
rsv_chronicle_order(const RsvCheckout *checkout, const RsvOrder *order)
{
	StringInfoData json;

	initStringInfo(&json);
	appendStringInfo(&json, "{\"order_id\":\"%s\",\"order_number\":" INT64_FORMAT "}",
					 identifier(&order->order_id), order->order_number);
	rsv_log(&(RsvEntry) {
		.at = order->finalized_at,
		.checkout_id = &checkout->checkout_id,
		.kind = "order",
		.event = "made",
		.details = details(&json),
	});
}

/* The rules of a pool, as they are now. */
static Datum
pool_details(int32 pool_id)
{
	MemoryContext caller = CurrentMemoryContext;
	Datum value = Int32GetDatum(pool_id);
	RsvPlanSession session;
	bool isnull;

	rsv_plan_begin(&session);
	if (rsv_plan_run(RSV_PLAN_POOL_DETAILS, &value, NULL) != 1)
		elog(ERROR, "pool %d has no row", pool_id);
	value = rsv_plan_value(1, &isnull);
	MemoryContextSwitchTo(caller);
	value = PointerGetDatum(PG_DETOAST_DATUM_COPY(value));
	rsv_plan_end(&session);
	return value;
}

static Datum
payment_details(const RsvPayment *payment)
{
	StringInfoData json;

	initStringInfo(&json);
	appendStringInfoString(&json, "{\"provider\":");
	escape_json(&json, text_to_cstring(payment->provider));
	appendStringInfoString(&json, ",\"payment_id\":");
	escape_json(&json, text_to_cstring(payment->payment_id));
	appendStringInfoString(&json, ",\"currency\":");
	escape_json(&json, text_to_cstring(payment->currency));
	appendStringInfo(&json, ",\"amount\":" INT64_FORMAT "}", payment->amount);
	return details(&json);
}

static Datum
details(const StringInfo json)
{
	return DirectFunctionCall1(jsonb_in, CStringGetDatum(json->data));
}

static char *
identifier(const pg_uuid_t *id)
{
	return DatumGetCString(DirectFunctionCall1(uuid_out, UUIDPGetDatum(id)));
}
