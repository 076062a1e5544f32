/*
 * refund.c
 *	  Refunds: of a finalized claim, all at once or in parts.
 *
 * Invariant: what was refunded of a claim is part of its row, so the parts never
 * add up to more than was finalized, whoever asks, however often, at once. A
 * claim stays finalized until all of it is refunded.
 *
 * Locks: the hash of the request id, if there is one; then the claim's row.
 */
#include "postgres.h"

#include "access/xact.h"
#include "utils/builtins.h"

#include "reservation.h"

static const char *refund(const pg_uuid_t *claim_id, int64 *quantity, TimestampTz now,
						  const text *request_id, RsvClaim *claim, bool *replayed);
static bool give_back(RsvClaim *claim, RsvEntry *entry);

/*
 * refund(claim_id uuid, quantity bigint, request_id text)
 *		-> (status, claim_id, refunded, remaining, replayed)
 *
 * quantity NULL: the rest. What is refunded goes back to its pool.
 */
PG_FUNCTION_INFO_V1(rsv_refund);
Datum
rsv_refund(PG_FUNCTION_ARGS)
{
	TimestampTz now = GetCurrentTimestamp();
	pg_uuid_t *claim_id;
	int64 quantity;
	RsvAnswer answer;
	RsvClaim claim;
	RsvRequest request;
	const char *status;
	bool replayed;
	bool refunded;

	rsv_answer_begin(&answer, fcinfo);
	claim_id = rsv_argument_claim_id(fcinfo, 0);
	quantity = PG_ARGISNULL(1) ? 0 : rsv_argument_int64(fcinfo, 1, "quantity", 1, PG_INT64_MAX);
	rsv_require_writable("refund");
	rsv_settle_read(claim_id, &claim);
	rsv_request_begin(&request, claim.pool_id, "refund",
					  rsv_argument_optional_name(fcinfo, 2, "request_id"));
	rsv_request_add_claim(&request, "claim_id", claim_id);
	rsv_request_add_integer(&request, "quantity", quantity);
	if (rsv_request_replay(&request, &answer))
		return (Datum) 0;

	status = refund(claim_id, &quantity, now, request.request_id, &claim, &replayed);
	refunded = strcmp(status, "refunded") == 0;
	if (refunded)
		rsv_request_keep(&request, &answer);
	rsv_answer_row(
		&answer,
		(Datum[]) {
			CStringGetTextDatum(status), UUIDPGetDatum(claim_id),
			Int64GetDatum(refunded ? quantity : 0),
			Int64GetDatum(claim.state == RSV_FINALIZED ? claim.quantity - claim.refunded : 0),
			BoolGetDatum(replayed)},
		(bool[]) {false, false, false, false, false});
	rsv_request_save(&request, &answer, now);
	return (Datum) 0;
}

/* For a trigger: a finalized claim names another row from now on. */
void
rsv_claim_rename(const pg_uuid_t *claim_id, text *holder)
{
	TransactionId unused;
	RsvClaim claim;

	do
	{
		rsv_settle_read(claim_id, &claim);
		if (claim.state != RSV_FINALIZED)
			return;
		claim.holder = holder;
	} while (rsv_claim_change(&claim, RSV_FINALIZED, true, &unused) != RSV_WRITTEN);
	rsv_chronicle_rename(&claim);
}

/*
 * For a trigger: refunds up to so much of what is left of a finalized claim, 0: all
 * of it. Returns how much that was.
 */
int64
rsv_claim_give_back(const pg_uuid_t *claim_id, int64 quantity)
{
	RsvEntry entry = {.at = GetCurrentTimestamp(), .event = "refunded"};
	RsvClaim claim;

	do
	{
		rsv_settle_read(claim_id, &claim);
		if (claim.state != RSV_FINALIZED)
			return 0;
		entry.quantity = claim.quantity - claim.refunded;
		if (quantity > 0)
			entry.quantity = Min(entry.quantity, quantity);
	} while (!give_back(&claim, &entry));
	return entry.quantity;
}

/*
 * Refunds, and returns the status. *quantity 0: the rest; afterwards it says how
 * much that was, or of a claim already refunded, how much that was in all.
 */
static const char *
refund(const pg_uuid_t *claim_id, int64 *quantity, TimestampTz now, const text *request_id,
	   RsvClaim *claim, bool *replayed)
{
	RsvEntry entry = {.at = now, .event = "refunded", .request_id = request_id};

	do
	{
		rsv_settle_read(claim_id, claim);
		*replayed = claim->state == RSV_REFUNDED && *quantity == 0;
		if (*replayed)
		{
			*quantity = claim->quantity;
			return "refunded";
		}
		if (claim->state == RSV_REFUNDED ||
			(claim->state == RSV_FINALIZED && *quantity > claim->quantity - claim->refunded))
			return "exceeds";
		if (claim->state != RSV_FINALIZED)
			return "not_finalized";
		entry.quantity = *quantity == 0 ? claim->quantity - claim->refunded : *quantity;
	} while (!give_back(claim, &entry));
	*quantity = entry.quantity;
	return "refunded";
}

/* Gives back as much of a finalized claim as the entry says; false: read again. */
static bool
give_back(RsvClaim *claim, RsvEntry *entry)
{
	entry->change = entry->quantity;
	claim->refunded += entry->quantity;
	if (!rsv_settle_change(
			claim, claim->refunded == claim->quantity ? RSV_REFUNDED : RSV_FINALIZED, entry))
		return false;
	ForceSyncCommit();
	return true;
}
