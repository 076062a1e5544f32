/*
 * want.c
 *	  What rows want of counted pools, and give back: taking it, and giving it.
 *
 * Invariant: what was taken for a row is in finalized claims whose holder names
 * it, and no more comes back than there is in them, whoever refunds them meanwhile.
 *
 * Locks: see basket.c; for what is given back, the claim.
 */
#include "postgres.h"

#include "access/xact.h"
#include "common/int.h"
#include "miscadmin.h"
#include "utils/fmgroids.h"

#include "reservation.h"
#include "trigger.h"

static void take(List *wants, int first, int last);
static void make_claims(const RsvPool *pool, List *wants, int first, int last, TimestampTz now);
pg_noreturn static void refuse(const RsvPool *pool, int64 wanted, int64 available,
							   const char *closed);
pg_noreturn static void refuse_busy(const RsvPool *pool);

/* Gives back up to so much of what a row has in finalized claims; returns how much. */
int64
rsv_want_give_back(const RsvWant *want)
{
	RsvKey keys[] = {
		{BTEqualStrategyNumber, F_TEXTEQ, PointerGetDatum(want->holder)},
		{BTEqualStrategyNumber, F_INT4EQ, Int32GetDatum(want->pool_id)},
	};
	Snapshot as_of = rsv_store_now();
	int64 given = 0;
	List *claims = NIL;
	ListCell *cell;
	RsvScan scan;

	rsv_scan_begin(&scan, RSV_CLAIM_HOLDER, as_of, keys, lengthof(keys));
	while (rsv_scan_next(&scan))
	{
		RsvClaim *claim = palloc(sizeof(RsvClaim));

		rsv_claim_from_scan(&scan, claim);
		if (!claim->numbered && claim->state == RSV_FINALIZED)
			claims = lappend(claims, claim);
	}
	rsv_scan_end(&scan);
	rsv_store_forget(as_of);

	foreach(cell, claims)
	{
		const RsvClaim *claim = lfirst(cell);

		if (given < want->quantity)
			given += rsv_claim_give_back(&claim->claim_id, want->quantity - given);
	}
	return given;
}

/* Takes what rows want, those of one pool, which stand together, at once. */
void
rsv_want_take(List *wants)
{
	int last;

	for (int first = 0; first < list_length(wants); first = last)
	{
		int32 pool_id = ((RsvWant *) list_nth(wants, first))->pool_id;

		for (last = first; last < list_length(wants); last++)
		{
			if (((RsvWant *) list_nth(wants, last))->pool_id != pool_id)
				break;
		}
		take(wants, first, last);
	}
}

/* Takes the sum of what these rows want of one pool. */
static void
take(List *wants, int first, int last)
{
	TimestampTz now = GetCurrentTimestamp();
	int64 sum = 0;
	int64 available = 0;
	const char *closed;
	RsvSupply supply;
	RsvPool pool;

	for (int i = first; i < last; i++)
	{
		int64 quantity = Max(((RsvWant *) list_nth(wants, i))->quantity, 0);

		if (pg_add_s64_overflow(sum, quantity, &sum))
			sum = PG_INT64_MAX;
	}
	if (sum == 0)
		return;
	rsv_pool_read(((RsvWant *) list_nth(wants, first))->pool_id, &pool);
	closed = rsv_pool_closed(&pool, now);
	if (closed != NULL)
		refuse(&pool, sum, rsv_sum_available(&pool, now), closed);
	CommandCounterIncrement(); /* what this statement gave back can be taken */
	supply =
		rsv_pass_draw(&pool, sum, RSV_DRAW_CLAIM, &now, rsv_wait_deadline(NULL, now), &available);
	if (supply == RSV_GONE)
		refuse(&pool, sum, available, NULL);
	if (supply == RSV_UNDECIDED)
		refuse_busy(&pool);
	make_claims(&pool, wants, first, last, now);
}

static void
make_claims(const RsvPool *pool, List *wants, int first, int last, TimestampTz now)
{
	RsvClaim claim = {
		.claimed_at = now,
		.finalized_at = now,
		.expires_at = DT_NOEND,
		.pool_id = pool->pool_id,
		.state = RSV_FINALIZED,
		.by_holder = true,
	};

	for (int i = first; i < last; i++)
	{
		const RsvWant *want = list_nth(wants, i);

		if (want->quantity <= 0)
			continue;
		claim.quantity = want->quantity;
		claim.holder = want->holder;
		rsv_identifier_make(&claim.claim_id, now, pool->name);
		rsv_claim_insert(&claim, pool);
	}
	ForceSyncCommit();
}

static void
refuse(const RsvPool *pool, int64 wanted, int64 available, const char *closed)
{
	ereport(ERROR,
			(errcode(ERRCODE_RSV_INSUFFICIENT),
			 closed == NULL
				 ? errmsg("not enough in pool \"%s\"", rsv_text_display(pool->name))
				 : errmsg("pool \"%s\" is not on sale: %s", rsv_text_display(pool->name), closed),
			 errdetail("Available are " INT64_FORMAT ", the statement wants " INT64_FORMAT ".",
					   available, wanted),
			 errhint(closed == NULL ? "Ask for less, or wait until something is given back."
									: "See alter_pool for when and whether it is on sale.")));
}

static void
refuse_busy(const RsvPool *pool)
{
	ereport(ERROR,
			(errcode(ERRCODE_LOCK_NOT_AVAILABLE),
			 errmsg("could not decide whether there is enough in pool \"%s\"",
					rsv_text_display(pool->name)),
			 errdetail("Unfinished transactions hold what is left."),
			 errhint("Try again when they have ended.")));
}
