/*
 * till.c
 *	  The till: rows of reservation.checkout, payment and order.
 *
 *		open ---> paid ---> finalized            a finalized checkout has one order
 *		  |  \      |  \
 *		  |   \     |   `--> refund_due          paid, and nothing left to give
 *		  |    `----|------> finalized           no payment needed
 *		  `---------`------> cancelled           from refund_due, too
 *
 * Invariant: whatever changes a checkout, or records a payment of it, has the
 * lock of its row. A checkout has at most one payment in state "paid", and has
 * it if and only if paid_at is set and it is not refund_due or cancelled: the
 * money is for the goods, or it is due back.
 *
 * Lock order: the cart's lock (lock.c), the row of the checkout, the key of a
 * payment, claims in canonical order; for a moment, the order numbers.
 */
#include "postgres.h"

#include "access/sysattr.h"
#include "access/xact.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/datum.h"
#include "utils/fmgroids.h"
#include "utils/fmgrprotos.h"

#include "reservation.h"

/* Columns of reservation.checkout */
enum
{
	CHECKOUT_CHECKOUT_ID,
	CHECKOUT_CREATED_AT,
	CHECKOUT_EXPIRES_AT,
	CHECKOUT_PAID_AT,
	CHECKOUT_ENDED_AT,
	CHECKOUT_AMOUNT,
	CHECKOUT_STATE,
	CHECKOUT_REQUEST_ID,
	CHECKOUT_HOLDER,
	CHECKOUT_CURRENCY,
	CHECKOUT_ARGUMENTS,
	CHECKOUT_CART,
	CHECKOUT_CART_LINES,
	CHECKOUT_CLAIMS,
	CHECKOUT_COLUMNS
};

/* Columns of reservation.payment */
enum
{
	PAYMENT_PROVIDER,
	PAYMENT_PAYMENT_ID,
	PAYMENT_CHECKOUT_ID,
	PAYMENT_AMOUNT,
	PAYMENT_CURRENCY,
	PAYMENT_STATE,
	PAYMENT_ANSWER,
	PAYMENT_RECEIVED_AT,
	PAYMENT_SETTLED_AT,
	PAYMENT_REFERENCE,
	PAYMENT_COLUMNS
};

/* Columns of reservation.order */
enum
{
	ORDER_ORDER_ID,
	ORDER_ORDER_NUMBER,
	ORDER_CHECKOUT_ID,
	ORDER_FINALIZED_AT,
	ORDER_SETTLED,
	ORDER_COLUMNS
};

/* An order number that somebody has. */
typedef struct TakenNumber
{
	int64 number;
	bool committed;
} TakenNumber;

static const char *const state_names[] = {
	[RSV_CHECKOUT_OPEN] = "open",
	[RSV_CHECKOUT_PAID] = "paid",
	[RSV_CHECKOUT_FINALIZED] = "finalized",
	[RSV_CHECKOUT_REFUND_DUE] = "refund_due",
	[RSV_CHECKOUT_CANCELLED] = "cancelled",
};

static void checkout_from_scan(RsvScan *scan, RsvCheckout *checkout);
static void checkout_to_row(const RsvCheckout *checkout, Datum *values, bool *nulls);
static text *text_column(RsvScan *scan, int column);
static struct varlena *value_column(RsvScan *scan, int column);
static void payment_from_scan(RsvScan *scan, RsvPayment *payment);
static void payment_to_row(const RsvPayment *payment, Datum *values, bool *nulls);
static int64 next_order_number(int64 *settled);
static bool read_taken_numbers(int64 from, List **taken, int64 *settled);
static bool is_committed(RsvScan *scan);

/* Finds the checkout of a request id; false if there is none. */
bool
rsv_checkout_find(const text *request_id, RsvCheckout *checkout)
{
	RsvKey key = {BTEqualStrategyNumber, F_TEXTEQ, PointerGetDatum(request_id)};
	Snapshot now = rsv_store_now();
	RsvScan scan;
	bool found;

	rsv_scan_begin(&scan, RSV_CHECKOUT_REQUEST, now, &key, 1);
	found = rsv_scan_next(&scan);
	if (found)
		checkout_from_scan(&scan, checkout);
	rsv_scan_end(&scan);
	rsv_store_forget(now);
	return found;
}

/*
 * Reads a checkout; RS002 if there is none. The lock of its row is for
 * rsv_checkout_lock alone, which takes that of the cart first.
 */
void
rsv_checkout_read(const pg_uuid_t *checkout_id, bool lock, RsvCheckout *checkout)
{
	RsvKey key = {BTEqualStrategyNumber, F_UUID_EQ, UUIDPGetDatum(checkout_id)};
	bool found;
	bool locked = false;

	do
	{
		Snapshot now = rsv_store_now();
		RsvScan scan;

		CHECK_FOR_INTERRUPTS();
		rsv_scan_begin(&scan, RSV_CHECKOUT_PKEY, now, &key, 1);
		found = rsv_scan_next(&scan);
		locked = found && (!lock || rsv_scan_lock(&scan));
		if (locked)
			checkout_from_scan(&scan, checkout);
		rsv_scan_end(&scan);
		rsv_store_forget(now);
	} while (found && !locked);
	if (!found)
		ereport(ERROR,
				(errcode(ERRCODE_RSV_UNKNOWN_CLAIM),
				 errmsg("checkout %s does not exist",
						DatumGetCString(DirectFunctionCall1(uuid_out, UUIDPGetDatum(checkout_id)))),
				 errhint("Pass a checkout_id from a checkout whose transaction committed.")));
}

void
rsv_checkout_insert(const RsvCheckout *checkout)
{
	Datum values[CHECKOUT_COLUMNS];
	bool nulls[CHECKOUT_COLUMNS];

	checkout_to_row(checkout, values, nulls);
	rsv_store_insert(RSV_CHECKOUT, values, nulls);
}

/* Writes what the caller, who has the lock of the row, has changed. */
void
rsv_checkout_update(RsvCheckout *checkout)
{
	Datum values[CHECKOUT_COLUMNS];
	bool nulls[CHECKOUT_COLUMNS];
	TransactionId holder;

	checkout_to_row(checkout, values, nulls);
	if (rsv_store_update(RSV_CHECKOUT, &checkout->tid, values, nulls, true, &holder) != RSV_WRITTEN)
		elog(ERROR, "a locked checkout was changed");
}

/* The jsonb of a checkout's claims, or of its cart lines. */
Jsonb *
rsv_checkout_jsonb(struct varlena *value)
{
	return DatumGetJsonbP(PointerGetDatum(value));
}

static void
checkout_from_scan(RsvScan *scan, RsvCheckout *checkout)
{
	const Datum *values = scan->slot->tts_values;
	const bool *nulls = scan->slot->tts_isnull;
	char *state = TextDatumGetCString(values[CHECKOUT_STATE]);
	int known = 0;

	while (known < (int) lengthof(state_names) && strcmp(state, state_names[known]) != 0)
		known++;
	if (known == lengthof(state_names))
		elog(ERROR, "unknown checkout state \"%s\"", state);
	checkout->tid = scan->slot->tts_tid;
	checkout->checkout_id = *DatumGetUUIDP(values[CHECKOUT_CHECKOUT_ID]);
	checkout->created_at = DatumGetTimestampTz(values[CHECKOUT_CREATED_AT]);
	checkout->expires_at = DatumGetTimestampTz(values[CHECKOUT_EXPIRES_AT]);
	checkout->is_paid = !nulls[CHECKOUT_PAID_AT];
	checkout->paid_at = checkout->is_paid ? DatumGetTimestampTz(values[CHECKOUT_PAID_AT]) : 0;
	checkout->ended_at =
		nulls[CHECKOUT_ENDED_AT] ? 0 : DatumGetTimestampTz(values[CHECKOUT_ENDED_AT]);
	checkout->amount = nulls[CHECKOUT_AMOUNT] ? 0 : DatumGetInt64(values[CHECKOUT_AMOUNT]);
	checkout->state = (RsvCheckoutState) known;
	checkout->request_id = text_column(scan, CHECKOUT_REQUEST_ID);
	checkout->holder = text_column(scan, CHECKOUT_HOLDER);
	checkout->currency = text_column(scan, CHECKOUT_CURRENCY);
	checkout->arguments = value_column(scan, CHECKOUT_ARGUMENTS);
	checkout->cart = text_column(scan, CHECKOUT_CART);
	checkout->cart_lines = value_column(scan, CHECKOUT_CART_LINES);
	checkout->claims = value_column(scan, CHECKOUT_CLAIMS);
}

static text *
text_column(RsvScan *scan, int column)
{
	return scan->slot->tts_isnull[column] ? NULL
										  : DatumGetTextPCopy(scan->slot->tts_values[column]);
}

/* A value as it is stored: a long one stays where it is when the row is written anew. */
static struct varlena *
value_column(RsvScan *scan, int column)
{
	if (scan->slot->tts_isnull[column])
		return NULL;
	return (struct varlena *) DatumGetPointer(datumCopy(scan->slot->tts_values[column], false, -1));
}

static void
checkout_to_row(const RsvCheckout *checkout, Datum *values, bool *nulls)
{
	bool ended = checkout->state != RSV_CHECKOUT_OPEN && checkout->state != RSV_CHECKOUT_PAID;

	memset(nulls, 0, sizeof(bool) * CHECKOUT_COLUMNS);
	values[CHECKOUT_CHECKOUT_ID] = UUIDPGetDatum(&checkout->checkout_id);
	values[CHECKOUT_CREATED_AT] = TimestampTzGetDatum(checkout->created_at);
	values[CHECKOUT_EXPIRES_AT] = TimestampTzGetDatum(checkout->expires_at);
	values[CHECKOUT_PAID_AT] = TimestampTzGetDatum(checkout->paid_at);
	nulls[CHECKOUT_PAID_AT] = !checkout->is_paid;
	values[CHECKOUT_ENDED_AT] = TimestampTzGetDatum(checkout->ended_at);
	nulls[CHECKOUT_ENDED_AT] = !ended;
	values[CHECKOUT_AMOUNT] = Int64GetDatum(checkout->amount);
	nulls[CHECKOUT_AMOUNT] = checkout->amount == 0;
	values[CHECKOUT_STATE] = CStringGetTextDatum(state_names[checkout->state]);
	values[CHECKOUT_REQUEST_ID] = PointerGetDatum(checkout->request_id);
	values[CHECKOUT_HOLDER] = PointerGetDatum(checkout->holder);
	values[CHECKOUT_CURRENCY] = PointerGetDatum(checkout->currency);
	nulls[CHECKOUT_CURRENCY] = checkout->currency == NULL;
	values[CHECKOUT_ARGUMENTS] = PointerGetDatum(checkout->arguments);
	values[CHECKOUT_CART] = PointerGetDatum(checkout->cart);
	nulls[CHECKOUT_CART] = checkout->cart == NULL;
	values[CHECKOUT_CART_LINES] = PointerGetDatum(checkout->cart_lines);
	nulls[CHECKOUT_CART_LINES] = checkout->cart_lines == NULL;
	values[CHECKOUT_CLAIMS] = PointerGetDatum(checkout->claims);
}

/*
 * Finds a payment by its key. False if it is not recorded: then, with *in_flight,
 * another transaction may be recording it.
 */
bool
rsv_payment_find(const text *provider, const text *payment_id, RsvPayment *payment,
				 RsvInFlight *in_flight)
{
	RsvKey keys[] = {
		{BTEqualStrategyNumber, F_TEXTEQ, PointerGetDatum(provider)},
		{BTEqualStrategyNumber, F_TEXTEQ, PointerGetDatum(payment_id)},
	};
	RsvScan scan;
	bool found = rsv_scan_find(&scan, RSV_PAYMENT_PKEY, keys, lengthof(keys));

	if (found && TransactionIdIsValid(scan.holder))
		rsv_in_flight_add(in_flight, scan.holder);
	else if (found)
		payment_from_scan(&scan, payment);
	rsv_scan_end(&scan);
	return found && !in_flight->any;
}

/* The payments of a checkout, in the order of their keys. */
List *
rsv_payment_list(const pg_uuid_t *checkout_id)
{
	RsvKey key = {BTEqualStrategyNumber, F_UUID_EQ, UUIDPGetDatum(checkout_id)};
	Snapshot now = rsv_store_now();
	List *payments = NIL;
	RsvScan scan;

	rsv_scan_begin(&scan, RSV_PAYMENT_CHECKOUT, now, &key, 1);
	while (rsv_scan_next(&scan))
	{
		RsvPayment *payment = palloc(sizeof(RsvPayment));

		payment_from_scan(&scan, payment);
		payments = lappend(payments, payment);
	}
	rsv_scan_end(&scan);
	rsv_store_forget(now);
	return payments;
}

void
rsv_payment_insert(const RsvPayment *payment)
{
	Datum values[PAYMENT_COLUMNS];
	bool nulls[PAYMENT_COLUMNS];

	payment_to_row(payment, values, nulls);
	rsv_store_insert(RSV_PAYMENT, values, nulls);
}

/* Writes what the caller, who has the lock of the checkout, has changed. */
void
rsv_payment_update(RsvPayment *payment)
{
	Datum values[PAYMENT_COLUMNS];
	bool nulls[PAYMENT_COLUMNS];
	TransactionId holder;

	payment_to_row(payment, values, nulls);
	if (rsv_store_update(RSV_PAYMENT, &payment->tid, values, nulls, true, &holder) != RSV_WRITTEN)
		elog(ERROR, "a payment of a locked checkout was changed");
}

static void
payment_from_scan(RsvScan *scan, RsvPayment *payment)
{
	const Datum *values = scan->slot->tts_values;
	const bool *nulls = scan->slot->tts_isnull;

	payment->tid = scan->slot->tts_tid;
	payment->provider = text_column(scan, PAYMENT_PROVIDER);
	payment->payment_id = text_column(scan, PAYMENT_PAYMENT_ID);
	payment->checkout_id = *DatumGetUUIDP(values[PAYMENT_CHECKOUT_ID]);
	payment->amount = DatumGetInt64(values[PAYMENT_AMOUNT]);
	payment->currency = text_column(scan, PAYMENT_CURRENCY);
	payment->state = TextDatumGetCString(values[PAYMENT_STATE]);
	payment->answer = TextDatumGetCString(values[PAYMENT_ANSWER]);
	payment->received_at = DatumGetTimestampTz(values[PAYMENT_RECEIVED_AT]);
	payment->settled_at =
		nulls[PAYMENT_SETTLED_AT] ? 0 : DatumGetTimestampTz(values[PAYMENT_SETTLED_AT]);
	payment->reference = text_column(scan, PAYMENT_REFERENCE);
}

static void
payment_to_row(const RsvPayment *payment, Datum *values, bool *nulls)
{
	memset(nulls, 0, sizeof(bool) * PAYMENT_COLUMNS);
	values[PAYMENT_PROVIDER] = PointerGetDatum(payment->provider);
	values[PAYMENT_PAYMENT_ID] = PointerGetDatum(payment->payment_id);
	values[PAYMENT_CHECKOUT_ID] = UUIDPGetDatum(&payment->checkout_id);
	values[PAYMENT_AMOUNT] = Int64GetDatum(payment->amount);
	values[PAYMENT_CURRENCY] = PointerGetDatum(payment->currency);
	values[PAYMENT_STATE] = CStringGetTextDatum(payment->state);
	values[PAYMENT_ANSWER] = CStringGetTextDatum(payment->answer);
	values[PAYMENT_RECEIVED_AT] = TimestampTzGetDatum(payment->received_at);
	values[PAYMENT_SETTLED_AT] = TimestampTzGetDatum(payment->settled_at);
	nulls[PAYMENT_SETTLED_AT] = payment->reference == NULL;
	values[PAYMENT_REFERENCE] = PointerGetDatum(payment->reference);
	nulls[PAYMENT_REFERENCE] = payment->reference == NULL;
}

/* Finds the order of a checkout; false if there is none. */
bool
rsv_order_find(const pg_uuid_t *checkout_id, RsvOrder *order)
{
	RsvKey key = {BTEqualStrategyNumber, F_UUID_EQ, UUIDPGetDatum(checkout_id)};
	Snapshot now = rsv_store_now();
	RsvScan scan;
	bool found;

	rsv_scan_begin(&scan, RSV_ORDER_CHECKOUT, now, &key, 1);
	found = rsv_scan_next(&scan);
	if (found)
	{
		order->order_id = *DatumGetUUIDP(scan.slot->tts_values[ORDER_ORDER_ID]);
		order->order_number = DatumGetInt64(scan.slot->tts_values[ORDER_ORDER_NUMBER]);
		order->finalized_at = DatumGetTimestampTz(scan.slot->tts_values[ORDER_FINALIZED_AT]);
	}
	rsv_scan_end(&scan);
	rsv_store_forget(now);
	return found;
}

/*
 * Makes the order of a checkout, with the lowest number that no order has, be it
 * committed or in flight. Two calls do not take the same one, because finding it
 * and inserting the row is done under a lock, which is given up at once: nobody
 * waits for anybody's commit. A number whose transaction rolls back is the next
 * one out.
 */
void
rsv_order_make(const RsvCheckout *checkout, TimestampTz now, RsvOrder *order)
{
	text *pool_name = cstring_to_text("");
	Datum values[ORDER_COLUMNS];
	bool nulls[ORDER_COLUMNS] = {false};
	int64 settled;

	/* the order lives on the shard of its checkout: the same hash */
	rsv_identifier_make(&order->order_id, now, pool_name);
	memcpy(&order->order_id.data[6], &checkout->checkout_id.data[6], 2);
	order->finalized_at = now;
	rsv_lock(RSV_LOCK_ORDER, 0, pool_name);
	order->order_number = next_order_number(&settled);
	values[ORDER_ORDER_ID] = UUIDPGetDatum(&order->order_id);
	values[ORDER_ORDER_NUMBER] = Int64GetDatum(order->order_number);
	values[ORDER_CHECKOUT_ID] = UUIDPGetDatum(&checkout->checkout_id);
	values[ORDER_FINALIZED_AT] = TimestampTzGetDatum(now);
	values[ORDER_SETTLED] = Int64GetDatum(settled);
	rsv_store_insert(RSV_ORDER, values, nulls);
	rsv_unlock(RSV_LOCK_ORDER, 0, pool_name);
}

/*
 * The lowest number that is not taken. Every order says up to which number all
 * were committed when it was made (settled), which stays true; so we look from
 * the highest number down to the highest of these, and no further.
 */
static int64
next_order_number(int64 *settled)
{
	static int64 settled_before = 0; /* a guess of where to stop: the index is read by the page */
	List *taken;
	int64 next;
	bool all_committed = true;

	if (!read_taken_numbers(settled_before, &taken, settled))
		(void) read_taken_numbers(0, &taken, settled);
	settled_before = *settled;

	next = *settled + 1;
	for (int i = list_length(taken) - 1; i >= 0; i--)
	{
		const TakenNumber *number = list_nth(taken, i);

		if (number->number > next)
			break;
		all_committed = all_committed && number->committed;
		if (all_committed)
			*settled = number->number;
		next = number->number + 1;
	}
	return next;
}

/*
 * Lists the numbers above the highest settled one, descending, but none below "from":
 * false if there was nothing settled from there on.
 */
static bool
read_taken_numbers(int64 from, List **taken, int64 *settled)
{
	RsvKey key = {BTGreaterEqualStrategyNumber, F_INT8GE, Int64GetDatum(from)};
	bool complete = false;
	RsvScan scan;

	*taken = NIL;
	*settled = 0;
	rsv_scan_begin(&scan, RSV_ORDER_NUMBER, NULL, &key, 1);
	while (!complete && rsv_scan_next(&scan))
	{
		TakenNumber *number = palloc(sizeof(TakenNumber));

		number->number = DatumGetInt64(scan.slot->tts_values[ORDER_ORDER_NUMBER]);
		number->committed = is_committed(&scan);
		*settled = Max(*settled, DatumGetInt64(scan.slot->tts_values[ORDER_SETTLED]));
		complete = number->number <= *settled;
		if (!complete)
			*taken = lappend(*taken, number);
	}
	rsv_scan_end(&scan);
	return complete;
}

/* Has the row that the scan stands on been committed? One of our own has not, yet. */
static bool
is_committed(RsvScan *scan)
{
	bool isnull;
	Datum xmin = slot_getsysattr(scan->slot, MinTransactionIdAttributeNumber, &isnull);

	return !TransactionIdIsValid(scan->holder) &&
		!TransactionIdIsCurrentTransactionId(DatumGetTransactionId(xmin));
}
