/*
 * retention.c
 *	  How long the first answers to request ids are kept.
 *
 * Invariant: an answer younger than reservation.request_retention is never
 * forgotten, so a retry within it always gets the first answer. The time runs from
 * the call. A retry after it is a new call.
 *
 * No index tells old answers from new ones, because every claim with a request id
 * would pay for it. So a round walks over the tables, a bounded number of blocks per
 * batch and of batches per visit, and the next visit goes on where this one ended.
 * Rounds begin a tenth of the retention apart, or an hour if that is less: nothing is
 * kept for much longer than it should be, and a server on which nothing happens reads
 * its answers once an hour at the most.
 *
 * Locks: the rows it deletes, which nobody changes.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "storage/itemptr.h"
#include "utils/timestamp.h"

#include "reservation.h"

/* Blocks in one transaction, and transactions in one visit: 8 MB are read at the most */
#define RSV_RETENTION_BLOCKS  64
#define RSV_RETENTION_BATCHES 16

#define RSV_ROUND_MAX_US USECS_PER_HOUR

int rsv_request_retention_s = 30 * SECS_PER_DAY;

/* Where answers are kept. */
static const struct
{
	RsvTable table;
	RsvPlan forget;
} answers[] = {
	{RSV_REQUEST, RSV_PLAN_REQUESTS_FORGET},
	{RSV_OPERATION, RSV_PLAN_OPERATIONS_FORGET},
};

static void forget(RsvPlan plan, BlockNumber from, BlockNumber to, TimestampTz before);

/* Goes on with a round, or begins one if it is time; false: enough for this visit. */
bool
rsv_retention_batch(RsvRetention *round)
{
	TimestampTz now = GetCurrentTimestamp();
	int64 retention_us = rsv_request_retention_s * USECS_PER_SEC;
	BlockNumber end;

	if (rsv_request_retention_s == 0 ||
		(!round->begun && now < round->since + Min(retention_us / 10, RSV_ROUND_MAX_US)))
		return false;
	if (!round->begun)
		*round = (RsvRetention) {.begun = true, .since = now};

	end = rsv_layout_blocks(answers[round->table].table);
	if (round->block < end)
	{
		BlockNumber to = Min(end, round->block + RSV_RETENTION_BLOCKS);

		forget(answers[round->table].forget, round->block, to, now - retention_us);
		round->block = to;
	}
	if (round->block >= end)
	{
		round->block = 0;
		round->table++;
	}
	round->begun = round->table < (int) lengthof(answers);
	round->batches = (round->batches + 1) % RSV_RETENTION_BATCHES;
	return round->begun && round->batches > 0;
}

/* Deletes what is older than this in a range of blocks. */
static void
forget(RsvPlan plan, BlockNumber from, BlockNumber to, TimestampTz before)
{
	RsvPlanSession session;
	ItemPointerData first;
	ItemPointerData last;
	Datum values[3];

	ItemPointerSet(&first, from, 0);
	ItemPointerSet(&last, to, 0);
	values[0] = PointerGetDatum(&first);
	values[1] = PointerGetDatum(&last);
	values[2] = TimestampTzGetDatum(before);
	rsv_plan_begin(&session);
	(void) rsv_plan_run(plan, values, NULL);
	rsv_plan_end(&session);
}
