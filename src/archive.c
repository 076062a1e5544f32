/*
 * archive.c
 *	  Claims that ended long ago, out of the way: reservation.claim_archive.
 *
 * Invariant: a claim is in one of the two tables, whatever becomes of it. Holds are
 * in claim, and so is every finalized claim that is found by its holder, because a
 * limit counts it, or because it belongs to a row of the application (by_holder).
 * Who looks for a claim by its id or by its number finds it in either; who changes
 * one brings it back first. An archived unit that is sold has no row in available,
 * and a unique index of its own.
 *
 * Lock order: claims before their pools, both without waiting; a claim brought
 * back, as any row. A pool that is being changed is passed over: it may be getting
 * a limit, which has to count what is archived (limit.c).
 */
#include "postgres.h"

#include "utils/builtins.h"
#include "utils/uuid.h"

#include "reservation.h"

static uint64 run(RsvPlan plan, Datum *values);

/*
 * archive(before timestamptz, max integer) -> (status, claims)
 *
 * Moves up to max claims that ended before, the oldest first.
 */
PG_FUNCTION_INFO_V1(rsv_archive);
Datum
rsv_archive(PG_FUNCTION_ARGS)
{
	RsvAnswer answer;
	int32 max;
	uint64 moved;

	rsv_answer_begin(&answer, fcinfo);
	rsv_argument_required(fcinfo, 0, "before");
	max = rsv_argument_int32(fcinfo, 1, "max", 1, RSV_SWEEP_BATCH_MAX);
	rsv_require_writable("archive");
	moved = run(RSV_PLAN_ARCHIVE, (Datum[]) {PG_GETARG_DATUM(0), Int32GetDatum(max)});
	rsv_answer_row(&answer,
				   (Datum[]) {CStringGetTextDatum("archived"), Int32GetDatum((int32) moved)},
				   (bool[]) {false, false});
	return (Datum) 0;
}

/*
 * Brings a claim back. False: it is not archived, and was never made. True: read
 * it again; perhaps another call has brought it back.
 */
bool
rsv_archive_recall(const pg_uuid_t *claim_id)
{
	Datum id = UUIDPGetDatum(claim_id);

	return run(RSV_PLAN_ARCHIVE_RECALL, &id) > 0 || run(RSV_PLAN_ARCHIVE_LOOK, &id) > 0;
}

/* Brings back what is sold of a pool, which gets a limit. */
void
rsv_archive_recall_pool(int32 pool_id)
{
	Datum id = Int32GetDatum(pool_id);

	(void) run(RSV_PLAN_ARCHIVE_RECALL_POOL, &id);
}

static uint64
run(RsvPlan plan, Datum *values)
{
	RsvPlanSession session;
	uint64 rows;

	rsv_plan_begin(&session);
	rows = rsv_plan_run(plan, values, NULL);
	rsv_plan_end(&session);
	return rows;
}
