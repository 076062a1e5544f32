/*
 * book.c
 *	  Are the books right? Nothing is decided here, only read.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "executor/spi.h"
#include "miscadmin.h"
#include "utils/guc.h"

#include "reservation.h"

/* For plans that read everything: room to hash in, at least so much. */
#define WORK_MEM_KB_MIN (128 * 1024)

static int suit_large_plans(void);

/*
 * verify(pool text) -> (pool, problem, expected, found, hint)
 *
 * A row for each thing that is wrong, none when all is right. pool NULL: all.
 */
PG_FUNCTION_INFO_V1(rsv_verify);
Datum
rsv_verify(PG_FUNCTION_ARGS)
{
	text *name;
	RsvPool pool;
	RsvAnswer answer;
	RsvPlanSession session;
	Datum argument;
	int settings;

	rsv_answer_begin(&answer, fcinfo);
	name = rsv_argument_optional_name(fcinfo, 0, "pool");
	if (name != NULL)
		rsv_pool_find(name, &pool);
	argument = PointerGetDatum(name);
	rsv_plan_begin(&session);
	settings = suit_large_plans();
	rsv_plan_run(RSV_PLAN_CONTRADICTIONS, &argument, name == NULL ? "n" : NULL);
	AtEOXact_GUC(true, settings);
	for (uint64 i = 0; i < SPI_processed; i++)
	{
		Datum values[5];
		bool nulls[5];

		heap_deform_tuple(SPI_tuptable->vals[i], SPI_tuptable->tupdesc, values, nulls);
		rsv_answer_row(&answer, values, nulls);
	}
	rsv_plan_end(&session);
	rsv_numbered_verify(name, &answer);
	return (Datum) 0;
}

/*
 * balance_at(pool text, at timestamptz) -> (pool, at, balance, held, finalized)
 *
 * All that was put in until then, less what was held and sold then.
 */
PG_FUNCTION_INFO_V1(rsv_balance_at);
Datum
rsv_balance_at(PG_FUNCTION_ARGS)
{
	RsvAnswer answer;
	RsvPlanSession session;
	RsvPool pool;
	Datum values[5];
	bool nulls[5] = {false};
	int settings;

	rsv_answer_begin(&answer, fcinfo);
	rsv_pool_find(rsv_argument_name(fcinfo, 0, "pool"), &pool);
	rsv_argument_required(fcinfo, 1, "at");
	values[0] = PointerGetDatum(pool.name);
	values[1] = PG_GETARG_DATUM(1);
	rsv_plan_begin(&session);
	settings = suit_large_plans();
	rsv_plan_run(RSV_PLAN_BALANCE_AT, (Datum[]) {Int32GetDatum(pool.pool_id), values[1]}, NULL);
	AtEOXact_GUC(true, settings);
	for (int i = 0; i < 3; i++)
		values[2 + i] = rsv_plan_value(1 + i, &nulls[2 + i]);
	rsv_answer_row(&answer, values, nulls);
	rsv_plan_end(&session);
	return (Datum) 0;
}

/*
 * Compiling plans of hundreds of nodes takes longer than running them, and hashing
 * on disk as well. Until AtEOXact_GUC of what this returns.
 */
static int
suit_large_plans(void)
{
	int settings = NewGUCNestLevel();

	(void) set_config_option("jit", "off", PGC_USERSET, PGC_S_SESSION, GUC_ACTION_SAVE, true, 0,
							 false);
	if (work_mem < WORK_MEM_KB_MIN)
		(void) set_config_option("work_mem", psprintf("%dkB", WORK_MEM_KB_MIN), PGC_USERSET,
								 PGC_S_SESSION, GUC_ACTION_SAVE, true, 0, false);
	return settings;
}
