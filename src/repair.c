/*
 * repair.c
 *	  Mending what is wrong in the books of a pool, as far as the rest of them tells
 *	  what is right.
 *
 * Invariant: no claim is changed but in whether a limit counts it, and none is
 * made or lost. A unit that is missing stays missing: nobody can tell whether it
 * was free or somebody's. Stock is moved by the difference that one instant shows,
 * so what a running sale takes and gives meanwhile stays as it is.
 *
 * Locks: the pool's row; the rows that are mended.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "executor/spi.h"
#include "utils/builtins.h"

#include "reservation.h"

/* The columns of the answer */
#define REPAIR_COLUMNS 5

/* One repair under way. */
typedef struct Repair
{
	RsvPool pool;
	RsvAnswer answer;
} Repair;

static void mend_free(Repair *repair);
static void mend_kind(Repair *repair);
static void mend_limit(Repair *repair);
static void mend_labels(Repair *repair);
static void mend_sequence(Repair *repair);
static void mend_balance(Repair *repair);
static bool move_stock(int32 pool_id, int64 quantity, int64 added);
static uint64 change_rows(const Repair *repair, RsvPlan plan);
static void report(Repair *repair, const char *problem, const char *found, const char *action);
static void report_rest(Repair *repair);

/*
 * repair(pool text) -> (status, pool, problem, found, action)
 *
 * A row for each mend, and one for each thing that has to be mended by hand.
 */
PG_FUNCTION_INFO_V1(rsv_repair);
Datum
rsv_repair(PG_FUNCTION_ARGS)
{
	Repair repair;

	rsv_answer_begin(&repair.answer, fcinfo);
	rsv_pool_find(rsv_argument_name(fcinfo, 0, "pool"), &repair.pool);
	rsv_require_writable("repair");
	rsv_pool_lock(&repair.pool);
	mend_free(&repair);
	mend_kind(&repair);
	mend_limit(&repair);
	mend_labels(&repair);
	mend_sequence(&repair);
	mend_balance(&repair);
	report_rest(&repair);
	return (Datum) 0;
}

/* A unit that somebody has is not free. */
static void
mend_free(Repair *repair)
{
	uint64 deleted = change_rows(repair, RSV_PLAN_REPAIR_FREE);

	if (deleted > 0)
		report(repair, "numbers are free and claimed at once",
			   psprintf(UINT64_FORMAT " of them", deleted),
			   "Deleted them from reservation.available.");
}

/* Free units are of numbered pools, and stock of counted ones. */
static void
mend_kind(Repair *repair)
{
	uint64 deleted = change_rows(repair, RSV_PLAN_REPAIR_KIND);

	if (deleted > 0)
		report(repair, "rows are there of a kind that the pool does not have",
			   psprintf(UINT64_FORMAT " of them", deleted),
			   repair->pool.counted ? "Deleted them from reservation.available."
									: "Deleted them from reservation.stock.");
}

/* A limit counts every live claim. */
static void
mend_limit(Repair *repair)
{
	uint64 counted;

	if (repair->pool.per_holder == 0)
		return;
	counted = change_rows(repair, RSV_PLAN_CLAIMS_LIMIT);
	rsv_hint_held(repair->pool.pool_id, DT_NOBEGIN, false); /* new versions of holds */
	if (counted > 0)
		report(repair, "live claims were not counted for the limit of their holders",
			   psprintf(UINT64_FORMAT " of them", counted), "Set by_holder in reservation.claim.");
}

/* A pool whose units are described says so. */
static void
mend_labels(Repair *repair)
{
	if (change_rows(repair, RSV_PLAN_REPAIR_LABELS) > 0)
		report(repair, "units are described, and the pool says they are not", "not labelled",
			   "Set labelled in reservation.pool.");
}

/* The next number of an open edition is above those that it gave out. */
static void
mend_sequence(Repair *repair)
{
	Datum pool_id = Int32GetDatum(repair->pool.pool_id);
	RsvPlanSession session;
	int64 last = -1;
	bool isnull;

	if (!repair->pool.open)
		return;
	rsv_plan_begin(&session);
	rsv_plan_run(RSV_PLAN_UNITS_LAST, &pool_id, NULL);
	pool_id = rsv_plan_value(1, &isnull);
	if (!isnull)
		last = DatumGetInt32(pool_id);
	rsv_plan_end(&session);
	if (last >= 0 && rsv_sequence_pass(&repair->pool, (int32) last))
		report(repair, "the sequence of an open edition is behind its numbers",
			   psprintf("below " INT64_FORMAT, last), "Set the sequence to the highest number.");
}

/* The stock is what its entries add up to, if the claims agree. */
static void
mend_balance(Repair *repair)
{
	Datum pool_id = Int32GetDatum(repair->pool.pool_id);
	RsvPlanSession session;
	int64 quantity = 0;
	int64 added = 0;
	bool isnull;

	rsv_plan_begin(&session);
	if (rsv_plan_run(RSV_PLAN_REPAIR_BALANCE, &pool_id, NULL) > 0)
	{
		quantity = DatumGetInt64(rsv_plan_value(1, &isnull));
		added = DatumGetInt64(rsv_plan_value(2, &isnull));
	}
	rsv_plan_end(&session);
	if ((quantity != 0 || added != 0) && move_stock(repair->pool.pool_id, quantity, added))
		report(repair, "the entries do not add up to the balance",
			   psprintf(INT64_FORMAT " off", -quantity),
			   psprintf("Added " INT64_FORMAT " to reservation.stock.", quantity));
}

/* Adds to the stock, or takes from the largest slot; false if that has not as much. */
static bool
move_stock(int32 pool_id, int64 quantity, int64 added)
{
	Datum values[] = {Int32GetDatum(pool_id), Int64GetDatum(quantity), Int64GetDatum(added)};
	RsvPlanSession session;
	bool moved;

	if (quantity >= 0)
	{
		rsv_slot_give(pool_id, quantity, added);
		return true;
	}
	rsv_plan_begin(&session);
	moved = rsv_plan_run(RSV_PLAN_REPAIR_SLOT, values, NULL) == 1;
	rsv_plan_end(&session);
	return moved;
}

/* Runs a plan that mends something of the pool; how many rows that concerned. */
static uint64
change_rows(const Repair *repair, RsvPlan plan)
{
	Datum pool_id = Int32GetDatum(repair->pool.pool_id);
	RsvPlanSession session;
	uint64 changed;

	rsv_plan_begin(&session);
	changed = rsv_plan_run(plan, &pool_id, NULL);
	rsv_plan_end(&session);
	return changed;
}

/* Says what was mended, to the caller and in the log. */
static void
report(Repair *repair, const char *problem, const char *found, const char *action)
{
	rsv_log(&(RsvEntry) {
		.at = GetCurrentTimestamp(),
		.pool_id = repair->pool.pool_id,
		.event = "repaired",
		.reason = cstring_to_text(psprintf("%s: %s. %s", problem, found, action)),
	});
	rsv_answer_row(&repair->answer,
				   (Datum[]) {CStringGetTextDatum("mended"), PointerGetDatum(repair->pool.name),
							  CStringGetTextDatum(problem), CStringGetTextDatum(found),
							  CStringGetTextDatum(action)},
				   (bool[]) {false, false, false, false, false});
}

/* What is still wrong cannot be told from the books. */
static void
report_rest(Repair *repair)
{
	Datum name = PointerGetDatum(repair->pool.name);
	RsvPlanSession session;

	rsv_plan_begin(&session);
	rsv_plan_run(RSV_PLAN_REPAIR_REST, &name, NULL);
	for (uint64 i = 0; i < SPI_processed; i++)
	{
		Datum values[REPAIR_COLUMNS];
		bool nulls[REPAIR_COLUMNS];

		heap_deform_tuple(SPI_tuptable->vals[i], SPI_tuptable->tupdesc, values, nulls);
		rsv_answer_row(&repair->answer, values, nulls);
	}
	rsv_plan_end(&session);
}
