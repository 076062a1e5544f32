/*
 * book.c
 *	  Are the books right? Nothing is decided here, only read.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "executor/spi.h"

#include "reservation.h"

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

	rsv_answer_begin(&answer, fcinfo);
	name = rsv_argument_optional_name(fcinfo, 0, "pool");
	if (name != NULL)
		rsv_pool_find(name, &pool);
	argument = PointerGetDatum(name);
	rsv_plan_begin(&session);
	rsv_plan_run(RSV_PLAN_CONTRADICTIONS, &argument, name == NULL ? "n" : NULL);
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
