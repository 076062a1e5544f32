/*
 * payment.c
 *	  Payments: who signs them, recording them once, and settling what is due back.
 *
 * Invariant: a payment (provider, payment_id) is recorded once and belongs to one
 * checkout, by its primary key; a checkout keeps at most one, by the unique index
 * payment_kept. Whatever else comes in for it is due back, and stays in the view
 * refunds_due until it is settled. Nothing is recorded that the provider has not
 * signed.
 *
 * Locks: the cart's, the checkout's row; then a lock on a hash of the payment's
 * key, only while looking and inserting. Whoever finds a payment that an unfinished
 * transaction is recording waits for that transaction.
 */
#include "postgres.h"

#include "access/xact.h"
#include "common/hashfn.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"

#include "reservation.h"

/* Columns of reservation.payment_provider */
enum
{
	PROVIDER_PROVIDER,
	PROVIDER_SCHEME,
	PROVIDER_SECRET
};

static void check_secret(const text *secret);
static void read_payment(FunctionCallInfo fcinfo, RsvPayment *payment);
static bool provider_signed(const text *provider, const text *payload, const text *signature,
							const text *payment_id);
static const char *record(RsvPayment *payment, bool *replayed);
static const char *receive(RsvCheckout *checkout, RsvPayment *payment);
static bool same_money(int64 amount, const text *currency, const RsvPayment *payment);
static bool settle(const pg_uuid_t *checkout_id, text *reference, const text *provider,
				   const text *payment_id, bool *replayed);
static bool is_named(const RsvPayment *payment, const text *provider, const text *payment_id);

/* set_payment_provider(provider text, scheme text, secret text) -> (status, provider, scheme) */
PG_FUNCTION_INFO_V1(rsv_set_payment_provider);
Datum
rsv_set_payment_provider(PG_FUNCTION_ARGS)
{
	RsvAnswer answer;
	RsvPlanSession session;
	Datum values[3];

	rsv_answer_begin(&answer, fcinfo);
	values[0] = PointerGetDatum(rsv_argument_name(fcinfo, 0, "provider"));
	rsv_argument_required(fcinfo, 1, "scheme");
	rsv_argument_required(fcinfo, 2, "secret");
	values[1] = PG_GETARG_DATUM(1);
	values[2] = PG_GETARG_DATUM(2);
	rsv_require_writable("set_payment_provider");
	if (!rsv_scheme_known(TextDatumGetCString(values[1])))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("scheme must be \"razorpay\", \"stripe\" or \"hmac-sha256\""),
				 errhint("It says how the provider signs.")));
	check_secret(DatumGetTextPP(values[2]));
	rsv_plan_begin(&session);
	rsv_plan_run(RSV_PLAN_PROVIDER_SET, values, NULL);
	rsv_plan_end(&session);
	rsv_answer_row(&answer, (Datum[]) {CStringGetTextDatum("set"), values[0], values[1]},
				   (bool[]) {false, false, false});
	return (Datum) 0;
}

/*
 * record_payment(checkout_id uuid, provider text, payment_id text, amount bigint, currency text,
 *				  payload text, signature text)
 *		-> (status, checkout_id, payment_id, replayed)
 *
 * The commit is flushed to disk even if the session turned synchronous_commit off.
 */
PG_FUNCTION_INFO_V1(rsv_record_payment);
Datum
rsv_record_payment(PG_FUNCTION_ARGS)
{
	RsvAnswer answer;
	RsvPayment payment = {0};
	const char *status = "bad_signature";
	text *payload;
	bool replayed = false;

	rsv_answer_begin(&answer, fcinfo);
	read_payment(fcinfo, &payment);
	rsv_argument_required(fcinfo, 5, "payload");
	rsv_argument_required(fcinfo, 6, "signature");
	payload = PG_GETARG_TEXT_PP(5);
	if (VARSIZE_ANY_EXHDR(payload) > RSV_PAYLOAD_BYTES_MAX)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("payload must be at most %d bytes long, not %d", RSV_PAYLOAD_BYTES_MAX,
						(int) VARSIZE_ANY_EXHDR(payload)),
				 errhint("No provider sends more; do not record this payment.")));
	rsv_require_writable("record_payment");
	if (provider_signed(payment.provider, payload, PG_GETARG_TEXT_PP(6), payment.payment_id))
		status = record(&payment, &replayed);
	rsv_answer_row(&answer,
				   (Datum[]) {CStringGetTextDatum(status), PG_GETARG_DATUM(0), PG_GETARG_DATUM(2),
							  BoolGetDatum(replayed)},
				   (bool[]) {false, false, false, false});
	return (Datum) 0;
}

/*
 * settle_refund(checkout_id uuid, reference text, provider text, payment_id text)
 *		-> (status, checkout_id, replayed)
 *
 * provider and payment_id NULL: the one payment of the checkout that is due back.
 */
PG_FUNCTION_INFO_V1(rsv_settle_refund);
Datum
rsv_settle_refund(PG_FUNCTION_ARGS)
{
	RsvAnswer answer;
	bool settled;
	bool replayed;

	rsv_answer_begin(&answer, fcinfo);
	rsv_argument_required(fcinfo, 0, "checkout_id");
	rsv_require_writable("settle_refund");
	settled = settle(PG_GETARG_UUID_P(0), rsv_argument_name(fcinfo, 1, "reference"),
					 rsv_argument_optional_name(fcinfo, 2, "provider"),
					 rsv_argument_optional_name(fcinfo, 3, "payment_id"), &replayed);
	rsv_answer_row(&answer,
				   (Datum[]) {CStringGetTextDatum(settled ? "settled" : "nothing_due"),
							  PG_GETARG_DATUM(0), BoolGetDatum(replayed)},
				   (bool[]) {false, false, false});
	return (Datum) 0;
}

static void
check_secret(const text *secret)
{
	if (VARSIZE_ANY_EXHDR(secret) < 1 || VARSIZE_ANY_EXHDR(secret) > RSV_SECRET_BYTES_MAX)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("secret must be 1 to %d bytes long", RSV_SECRET_BYTES_MAX),
				 errhint("Pass the secret that the provider gave you for signatures.")));
}

static void
read_payment(FunctionCallInfo fcinfo, RsvPayment *payment)
{
	rsv_argument_required(fcinfo, 0, "checkout_id");
	payment->checkout_id = *PG_GETARG_UUID_P(0);
	payment->provider = rsv_argument_name(fcinfo, 1, "provider");
	payment->payment_id = rsv_argument_name(fcinfo, 2, "payment_id");
	payment->amount = rsv_argument_int64(fcinfo, 3, "amount", 1, PG_INT64_MAX);
	payment->currency = rsv_argument_name(fcinfo, 4, "currency");
}

/* Is this the provider's signature? A provider that nobody set up: 42704. */
static bool
provider_signed(const text *provider, const text *payload, const text *signature,
				const text *payment_id)
{
	RsvKey key = {BTEqualStrategyNumber, F_TEXTEQ, PointerGetDatum(provider)};
	Snapshot now = rsv_store_now();
	char *scheme = NULL;
	text *secret = NULL;
	RsvScan scan;

	rsv_scan_begin(&scan, RSV_PROVIDER_PKEY, now, &key, 1);
	if (rsv_scan_next(&scan))
	{
		scheme = TextDatumGetCString(scan.slot->tts_values[PROVIDER_SCHEME]);
		secret = DatumGetTextPCopy(scan.slot->tts_values[PROVIDER_SECRET]);
	}
	rsv_scan_end(&scan);
	rsv_store_forget(now);
	if (secret == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_OBJECT),
				 errmsg("payment provider \"%s\" does not exist", rsv_text_display(provider)),
				 errhint("Set its secret with set_payment_provider; a restored database has "
						 "none.")));
	return rsv_signature_good(scheme, secret, payload, signature, payment_id,
							  GetCurrentTimestamp());
}

/* Records a signed payment, unless it is recorded; returns the status. */
static const char *
record(RsvPayment *payment, bool *replayed)
{
	int32 provider = (int32) hash_bytes((const unsigned char *) VARDATA_ANY(payment->provider),
										VARSIZE_ANY_EXHDR(payment->provider));
	RsvCheckout checkout;

	rsv_checkout_lock(&payment->checkout_id, &checkout);
	for (;;)
	{
		RsvInFlight in_flight = {0};
		RsvPayment there;
		const char *status = NULL;

		rsv_lock(RSV_LOCK_PAYMENT, provider, payment->payment_id);
		if (rsv_payment_find(payment->provider, payment->payment_id, &there, &in_flight))
		{
			if (memcmp(&there.checkout_id, &payment->checkout_id, UUID_LEN) != 0)
				status = "payment_used";
			else if (!same_money(there.amount, there.currency, payment))
				status = "amount_mismatch";
			else
			{
				*replayed = true;
				status = there.answer;
			}
		}
		else if (!in_flight.any)
			status = receive(&checkout, payment);
		rsv_unlock(RSV_LOCK_PAYMENT, provider, payment->payment_id);
		if (status != NULL)
			return status;
		(void) rsv_in_flight_wait(&in_flight, DT_NOEND);
	}
}

/* Takes the money of a new payment: for the goods, or to be given back. */
static const char *
receive(RsvCheckout *checkout, RsvPayment *payment)
{
	TimestampTz now = GetCurrentTimestamp();
	bool ended =
		checkout->state == RSV_CHECKOUT_REFUND_DUE || checkout->state == RSV_CHECKOUT_CANCELLED;

	if (!same_money(checkout->amount, checkout->currency, payment))
		return "amount_mismatch";
	if (ended || checkout->is_paid)
	{
		payment->state = "refund_due";
		payment->answer = checkout->state == RSV_CHECKOUT_CANCELLED ? "cancelled" : "refund_due";
	}
	else
	{
		payment->state = payment->answer = "paid";
		checkout->is_paid = true;
		checkout->paid_at = now;
		if (checkout->state == RSV_CHECKOUT_OPEN)
			checkout->state = RSV_CHECKOUT_PAID;
		rsv_checkout_update(checkout);
		rsv_chronicle_checkout(checkout, "paid", now);
	}
	payment->received_at = now;
	rsv_payment_insert(payment);
	rsv_chronicle_payment(payment, now);
	ForceSyncCommit();
	return payment->answer;
}

/* amount 0 and currency NULL: any. Providers write currencies in either case. */
static bool
same_money(int64 amount, const text *currency, const RsvPayment *payment)
{
	if (amount != 0 && amount != payment->amount)
		return false;
	return currency == NULL ||
		pg_strcasecmp(text_to_cstring(currency), text_to_cstring(payment->currency)) == 0;
}

/*
 * Notes that a payment was given back. True if it is so, by this call or, with
 * the same reference, by an earlier one (replayed).
 */
static bool
settle(const pg_uuid_t *checkout_id, text *reference, const text *provider, const text *payment_id,
	   bool *replayed)
{
	RsvCheckout checkout;
	RsvPayment *due = NULL;
	ListCell *cell;
	int ndue = 0;

	*replayed = false;
	rsv_checkout_lock(checkout_id, &checkout);
	foreach(cell, rsv_payment_list(checkout_id))
	{
		RsvPayment *payment = lfirst(cell);

		if (!is_named(payment, provider, payment_id))
			continue;
		if (payment->reference != NULL && rsv_text_same(payment->reference, reference))
		{
			*replayed = true;
			return true;
		}
		if (strcmp(payment->state, "refund_due") != 0)
			continue;
		due = payment;
		ndue++;
	}
	if (ndue > 1)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("%d payments of this checkout are due back", ndue),
				 errhint("Name the one that was given back, by provider and payment_id.")));
	if (due == NULL)
		return false;
	due->state = "refunded";
	due->reference = reference;
	due->settled_at = GetCurrentTimestamp();
	rsv_payment_update(due);
	rsv_chronicle_payment(due, due->settled_at);
	ForceSyncCommit();
	return true;
}

static bool
is_named(const RsvPayment *payment, const text *provider, const text *payment_id)
{
	return (provider == NULL || rsv_text_same(provider, payment->provider)) &&
		(payment_id == NULL || rsv_text_same(payment_id, payment->payment_id));
}
