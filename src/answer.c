/*
 * answer.c
 *	  What callers get back: rows, and a copy of them for a request id.
 *
 * Every function that changes something returns its rows through here, so each
 * can be repeated by its request id without knowing how. The copy is a jsonb
 * array of objects keyed by column; NULLs are left out. Times are written in
 * ISO 8601, everything else by its type's output function, so that no session's
 * DateStyle changes what a later session reads. The convention that makes it
 * work: a boolean column "replayed" is false the first time and true after.
 *
 * Memory: the rows live with whoever made the call (call.c), else in the
 * tuplestore that the executor owns; the copy in the caller's context.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "funcapi.h"
#include "utils/builtins.h"
#include "utils/datetime.h"
#include "utils/fmgrprotos.h"
#include "utils/json.h"
#include "utils/jsonb.h"
#include "utils/lsyscache.h"

#include "reservation.h"

static TupleDesc columns_of(RsvAnswer *answer);
static void put(RsvAnswer *answer, const Datum *values, const bool *nulls);
static char *column_text(Oid type, Datum value);
static bool column_read(Form_pg_attribute column, const JsonbValue *row, Datum *value);

/* Starts the answer of a door. */
void
rsv_answer_begin(RsvAnswer *answer, FunctionCallInfo fcinfo)
{
	*answer = (RsvAnswer) {.fcinfo = fcinfo, .call = rsv_call_of(fcinfo)};
	if (answer->call == NULL)
		InitMaterializedSRF(fcinfo, MAT_SRF_USE_EXPECTED_DESC);
}

/* From here on, rows are also kept for those who ask again. */
void
rsv_answer_keep(RsvAnswer *answer)
{
	answer->json = makeStringInfo();
}

void
rsv_answer_row(RsvAnswer *answer, const Datum *values, const bool *nulls)
{
	TupleDesc columns;
	bool first = true;

	put(answer, values, nulls);
	if (answer->json == NULL)
		return;

	columns = columns_of(answer);
	appendStringInfoChar(answer->json, answer->json->len == 0 ? '[' : ',');
	for (int i = 0; i < columns->natts; i++)
	{
		Form_pg_attribute column = TupleDescAttr(columns, i);

		if (nulls[i])
			continue;
		appendStringInfoChar(answer->json, first ? '{' : ',');
		escape_json(answer->json, NameStr(column->attname));
		appendStringInfoChar(answer->json, ':');
		escape_json(answer->json, column_text(column->atttypid, values[i]));
		first = false;
	}
	appendStringInfoChar(answer->json, '}');
}

/* The kept rows as jsonb. */
Datum
rsv_answer_kept(RsvAnswer *answer)
{
	Assert(answer->json != NULL);
	Assert(answer->json->len > 0);
	appendStringInfoChar(answer->json, ']');
	return DirectFunctionCall1(jsonb_in, CStringGetDatum(answer->json->data));
}

/* Gives the rows of a first answer again, with "replayed" set. */
void
rsv_answer_repeat(RsvAnswer *answer, Datum kept)
{
	TupleDesc columns = columns_of(answer);
	Jsonb *rows = DatumGetJsonbP(kept);
	int nrows = JB_ROOT_COUNT(rows);
	Datum *values = palloc(sizeof(Datum) * columns->natts);
	bool *nulls = palloc(sizeof(bool) * columns->natts);

	for (int row = 0; row < nrows; row++)
	{
		JsonbValue *object = getIthJsonbValueFromContainer(&rows->root, row);

		for (int i = 0; i < columns->natts; i++)
		{
			Form_pg_attribute column = TupleDescAttr(columns, i);

			if (strcmp(NameStr(column->attname), "replayed") == 0)
			{
				values[i] = BoolGetDatum(true);
				nulls[i] = false;
			}
			else
				nulls[i] = !column_read(column, object, &values[i]);
		}
		put(answer, values, nulls);
	}
}

/* The columns of the function, which a call that is a whole query has to look up. */
static TupleDesc
columns_of(RsvAnswer *answer)
{
	if (answer->columns == NULL && answer->call == NULL)
		answer->columns = ((ReturnSetInfo *) answer->fcinfo->resultinfo)->setDesc;
	else if (answer->columns == NULL)
		(void) get_call_result_type(answer->fcinfo, NULL, &answer->columns);
	return answer->columns;
}

static void
put(RsvAnswer *answer, const Datum *values, const bool *nulls)
{
	ReturnSetInfo *result = (ReturnSetInfo *) answer->fcinfo->resultinfo;

	if (answer->call != NULL)
		rsv_call_row(answer->call, values, nulls);
	else
		tuplestore_putvalues(result->setResult, result->setDesc, unconstify(Datum *, values),
							 unconstify(bool *, nulls));
}

static char *
column_text(Oid type, Datum value)
{
	Oid output;
	bool varlena;

	if (type == TIMESTAMPTZOID)
		return JsonEncodeDateTime(palloc(MAXDATELEN + 1), value, type, NULL);
	getTypeOutputInfo(type, &output, &varlena);
	return OidOutputFunctionCall(output, value);
}

/* Reads one column of a kept row; false if it was NULL. */
static bool
column_read(Form_pg_attribute column, const JsonbValue *row, Datum *value)
{
	char *string = rsv_answer_string(row, NameStr(column->attname));
	Oid input;
	Oid parameter;

	if (string == NULL)
		return false;
	getTypeInputInfo(column->atttypid, &input, &parameter);
	*value = OidInputFunctionCall(input, string, parameter, column->atttypmod);
	return true;
}

/*
 * One column of a row that was kept, as it was written; NULL if it was NULL. Whoever may
 * write our tables may have put something else there.
 */
char *
rsv_answer_string(const JsonbValue *row, const char *name)
{
	JsonbValue found = {.type = jbvString};
	bool good = row->type == jbvBinary && JsonContainerIsObject(row->val.binary.data);

	if (good &&
		getKeyJsonValueFromContainer(row->val.binary.data, name, strlen(name), &found) == NULL)
		return NULL;
	if (!good || found.type != jbvString)
		ereport(ERROR,
				(errcode(ERRCODE_DATA_CORRUPTED),
				 errmsg("an answer that was kept has no row with \"%s\"", name),
				 errhint("Compare reservation.request and reservation.checkout with a backup.")));
	return pnstrdup(found.val.string.val, found.val.string.len);
}
