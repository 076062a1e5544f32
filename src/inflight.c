/*
 * inflight.c
 *	  Holds in unfinished transactions: what no query can see yet.
 *
 * A query sees what is committed. Whoever wonders why the last units are "busy"
 * wants the rest: holds that a transaction has made and not committed, and holds
 * that it is changing. The index of holds has both, and a scan that looks at rows in
 * flight says which transaction they belong to. The view holds puts sessions to the
 * transactions.
 *
 * It is a glance: nothing is locked, and what ends meanwhile may be missing or
 * there twice. Names of holders and ids of claims, which are as good as a key to
 * them, are told only to those who may read the view claims.
 *
 * Locks: none. Memory: the caller's, for the rows in flight alone.
 */
#include "postgres.h"

#include "access/subtrans.h"
#include "catalog/namespace.h"
#include "miscadmin.h"
#include "utils/acl.h"
#include "utils/fmgroids.h"
#include "utils/lsyscache.h"

#include "reservation.h"

/* Columns of holds_in_flight */
enum
{
	FLIGHT_PLACE,
	FLIGHT_CLAIM_ID,
	FLIGHT_POOL_ID,
	FLIGHT_NUMBER,
	FLIGHT_QUANTITY,
	FLIGHT_HOLDER,
	FLIGHT_CLAIMED_AT,
	FLIGHT_EXPIRES_AT,
	FLIGHT_TRANSACTION_ID,
	FLIGHT_IS_NEW,
	FLIGHT_COLUMNS
};

static bool may_read_holders(void);
static bool is_committed(const RsvClaim *claim);
static void answer_hold(const RsvClaim *claim, TransactionId transaction_id, bool is_new,
						bool with_holder, RsvAnswer *answer);

/*
 * holds_in_flight() -> (place, claim_id, pool_id, number, quantity, holder, claimed_at,
 *		expires_at, transaction_id, is_new)
 *
 * A row for each hold that an unfinished transaction has made (is_new), or is
 * changing: then place is the ctid of the committed row.
 */
PG_FUNCTION_INFO_V1(rsv_holds_in_flight);
Datum
rsv_holds_in_flight(PG_FUNCTION_ARGS)
{
	RsvKey key = {BTGreaterStrategyNumber, F_INT4GT, Int32GetDatum(0)};
	bool with_holder = may_read_holders();
	RsvAnswer answer;
	RsvScan scan;

	rsv_answer_begin(&answer, fcinfo);
	rsv_scan_begin(&scan, RSV_CLAIM_EXPIRY, NULL, &key, 1);
	while (rsv_scan_next(&scan))
	{
		bool is_new = TransactionIdIsValid(scan.dirty.xmin);
		TransactionId holder = scan.holder;
		RsvClaim claim;

		CHECK_FOR_INTERRUPTS();
		if (!TransactionIdIsValid(holder))
			continue;
		rsv_claim_from_scan(&scan, &claim);
		/* the new version of a hold that is there already: its old one is reported */
		if (is_new && is_committed(&claim))
			continue;
		answer_hold(&claim, SubTransGetTopmostTransaction(holder), is_new, with_holder, &answer);
	}
	rsv_scan_end(&scan);
	return (Datum) 0;
}

static bool
may_read_holders(void)
{
	Oid claims = get_relname_relid("claims", get_namespace_oid(RSV_SCHEMA, false));

	return OidIsValid(claims) && pg_class_aclcheck(claims, GetUserId(), ACL_SELECT) == ACLCHECK_OK;
}

static bool
is_committed(const RsvClaim *claim)
{
	Snapshot now = rsv_store_now();
	RsvClaim committed;
	bool found = rsv_claim_read(&claim->claim_id, now, &committed);

	rsv_store_forget(now);
	return found;
}

static void
answer_hold(const RsvClaim *claim, TransactionId transaction_id, bool is_new, bool with_holder,
			RsvAnswer *answer)
{
	Datum values[FLIGHT_COLUMNS];
	bool nulls[FLIGHT_COLUMNS] = {false};

	values[FLIGHT_PLACE] = PointerGetDatum(&claim->tid);
	nulls[FLIGHT_PLACE] = is_new;
	values[FLIGHT_CLAIM_ID] = UUIDPGetDatum(&claim->claim_id);
	nulls[FLIGHT_CLAIM_ID] = !with_holder;
	values[FLIGHT_POOL_ID] = Int32GetDatum(claim->pool_id);
	values[FLIGHT_NUMBER] = Int32GetDatum(claim->number);
	nulls[FLIGHT_NUMBER] = !claim->numbered;
	values[FLIGHT_QUANTITY] = Int64GetDatum(claim->quantity);
	values[FLIGHT_HOLDER] = PointerGetDatum(claim->holder);
	nulls[FLIGHT_HOLDER] = !with_holder;
	values[FLIGHT_CLAIMED_AT] = TimestampTzGetDatum(claim->claimed_at);
	values[FLIGHT_EXPIRES_AT] = TimestampTzGetDatum(claim->expires_at);
	values[FLIGHT_TRANSACTION_ID] = TransactionIdGetDatum(transaction_id);
	values[FLIGHT_IS_NEW] = BoolGetDatum(is_new);
	rsv_answer_row(answer, values, nulls);
}
