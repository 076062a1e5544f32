/*
 * operation.c
 *	  The application's own operations, each done once: run_once, save_response.
 *
 * Invariant: a row of reservation.operation exists if and only if the
 * transaction that was told "first" has committed, because it was inserted
 * there. So whoever finds an unfinished one waits for exactly that transaction,
 * and is the first if it rolls back: there is no time-out to wait for.
 *
 * Locks: a lock on a hash of the key, only while looking and inserting, so that
 * of two who find nothing only one inserts; then nothing but the row. An
 * operation that takes long stalls nobody but those who want its response.
 */
#include "postgres.h"

#include "common/hashfn.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/jsonb.h"

#include "reservation.h"

/* Columns of reservation.operation */
enum
{
	OPERATION_SCOPE,
	OPERATION_REQUEST_ID,
	OPERATION_ARGUMENTS,
	OPERATION_RESPONSE,
	OPERATION_CREATED_AT,
	OPERATION_COLUMNS
};

typedef struct Operation
{
	ItemPointerData tid;
	text *scope;
	text *request_id;
	Jsonb *arguments; /* NULL if none */
	Jsonb *response;  /* NULL: not saved yet */
	TimestampTz created_at;
} Operation;

static void read_key(FunctionCallInfo fcinfo, Operation *operation);
static bool begin(const Operation *operation, Operation *first);
static int32 scope_hash(const text *scope);
static bool find(const Operation *key, Snapshot as_of, Operation *found, RsvInFlight *in_flight);
static Jsonb *jsonb_column(RsvScan *scan, int column);
static void to_row(const Operation *operation, Datum *values, bool *nulls);
static bool same_jsonb(Jsonb *a, Jsonb *b);
static char *jsonb_display(Jsonb *value);
static void save(const Operation *operation);

/*
 * run_once(scope text, request_id text, arguments jsonb) -> (status, response)
 *
 * arguments NULL: none. Another caller with the same key waits until the
 * transaction of the first has ended.
 */
PG_FUNCTION_INFO_V1(rsv_run_once);
Datum
rsv_run_once(PG_FUNCTION_ARGS)
{
	Operation operation = {0};
	Operation first = {0};
	RsvAnswer answer;
	bool is_first;

	rsv_answer_begin(&answer, fcinfo);
	read_key(fcinfo, &operation);
	operation.arguments = PG_ARGISNULL(2) ? NULL : PG_GETARG_JSONB_P(2);
	rsv_require_writable("run_once");
	is_first = begin(&operation, &first);
	rsv_answer_row(&answer,
				   (Datum[]) {CStringGetTextDatum(is_first ? "first" : "replayed"),
							  JsonbPGetDatum(first.response)},
				   (bool[]) {false, first.response == NULL});
	return (Datum) 0;
}

/* save_response(scope text, request_id text, response jsonb) -> (status) */
PG_FUNCTION_INFO_V1(rsv_save_response);
Datum
rsv_save_response(PG_FUNCTION_ARGS)
{
	Operation operation = {0};
	RsvAnswer answer;

	rsv_answer_begin(&answer, fcinfo);
	read_key(fcinfo, &operation);
	rsv_argument_required(fcinfo, 2, "response");
	operation.response = PG_GETARG_JSONB_P(2);
	rsv_require_writable("save_response");
	save(&operation);
	rsv_answer_row(&answer, (Datum[]) {CStringGetTextDatum("saved")}, (bool[]) {false});
	return (Datum) 0;
}

static void
read_key(FunctionCallInfo fcinfo, Operation *operation)
{
	operation->scope = rsv_argument_name(fcinfo, 0, "scope");
	operation->request_id = rsv_argument_name(fcinfo, 1, "request_id");
}

/* True if the caller is the first; otherwise *first is what the first one did. */
static bool
begin(const Operation *operation, Operation *first)
{
	for (;;)
	{
		RsvInFlight in_flight = {0};
		int32 scope = scope_hash(operation->scope);
		bool found;

		rsv_lock(RSV_LOCK_OPERATION, scope, operation->request_id);
		found = find(operation, NULL, first, &in_flight);
		if (!found && !in_flight.any)
		{
			Datum values[OPERATION_COLUMNS];
			bool nulls[OPERATION_COLUMNS];
			Operation mine = *operation;

			mine.created_at = GetCurrentTimestamp();
			to_row(&mine, values, nulls);
			rsv_store_insert(RSV_OPERATION, values, nulls);
		}
		rsv_unlock(RSV_LOCK_OPERATION, scope, operation->request_id);
		if (in_flight.any)
		{
			(void) rsv_in_flight_wait(&in_flight, DT_NOEND);
			continue;
		}
		if (found && !same_jsonb(first->arguments, operation->arguments))
			ereport(
				ERROR,
				(errcode(ERRCODE_RSV_REQUEST_REUSED),
				 errmsg("request id \"%s\" was used for another operation of scope \"%s\"",
						rsv_text_display(operation->request_id),
						rsv_text_display(operation->scope)),
				 errdetail("The first call had the arguments %s, this one has %s.",
						   jsonb_display(first->arguments), jsonb_display(operation->arguments)),
				 errhint("Use a new request id for a new intent, and the same arguments for a "
						 "retry.")));
		return !found;
	}
}

static int32
scope_hash(const text *scope)
{
	return (int32) hash_bytes((const unsigned char *) VARDATA_ANY(scope), VARSIZE_ANY_EXHDR(scope));
}

/*
 * Finds an operation: as of a snapshot, or, without one, as it is now, with
 * *in_flight if another transaction has not decided that yet.
 */
static bool
find(const Operation *key, Snapshot as_of, Operation *found, RsvInFlight *in_flight)
{
	RsvKey keys[] = {
		{BTEqualStrategyNumber, F_TEXTEQ, PointerGetDatum(key->scope)},
		{BTEqualStrategyNumber, F_TEXTEQ, PointerGetDatum(key->request_id)},
	};
	bool there;
	RsvScan scan;

	if (as_of == NULL)
		there = rsv_scan_find(&scan, RSV_OPERATION_PKEY, keys, lengthof(keys));
	else
	{
		rsv_scan_begin(&scan, RSV_OPERATION_PKEY, as_of, keys, lengthof(keys));
		there = rsv_scan_next(&scan);
	}
	if (there && as_of == NULL && TransactionIdIsValid(scan.holder))
	{
		rsv_in_flight_add(in_flight, scan.holder);
		there = false;
	}
	if (there)
	{
		*found = *key;
		found->tid = scan.slot->tts_tid;
		found->arguments = jsonb_column(&scan, OPERATION_ARGUMENTS);
		found->response = jsonb_column(&scan, OPERATION_RESPONSE);
		found->created_at = DatumGetTimestampTz(scan.slot->tts_values[OPERATION_CREATED_AT]);
	}
	rsv_scan_end(&scan);
	return there;
}

static Jsonb *
jsonb_column(RsvScan *scan, int column)
{
	return scan->slot->tts_isnull[column] ? NULL
										  : DatumGetJsonbPCopy(scan->slot->tts_values[column]);
}

static void
to_row(const Operation *operation, Datum *values, bool *nulls)
{
	memset(nulls, 0, sizeof(bool) * OPERATION_COLUMNS);
	values[OPERATION_SCOPE] = PointerGetDatum(operation->scope);
	values[OPERATION_REQUEST_ID] = PointerGetDatum(operation->request_id);
	values[OPERATION_ARGUMENTS] = JsonbPGetDatum(operation->arguments);
	nulls[OPERATION_ARGUMENTS] = operation->arguments == NULL;
	values[OPERATION_RESPONSE] = JsonbPGetDatum(operation->response);
	nulls[OPERATION_RESPONSE] = operation->response == NULL;
	values[OPERATION_CREATED_AT] = TimestampTzGetDatum(operation->created_at);
}

/* Equal by value, whatever order the keys were written in. */
static bool
same_jsonb(Jsonb *a, Jsonb *b)
{
	if (a == NULL || b == NULL)
		return a == b;
	return compareJsonbContainers(&a->root, &b->root) == 0;
}

static char *
jsonb_display(Jsonb *value)
{
	char *string;

	if (value == NULL)
		return "null";
	string = JsonbToCString(NULL, &value->root, VARSIZE(value));
	return rsv_text_display(cstring_to_text(string));
}

/* Saves the response; the same again changes nothing. */
static void
save(const Operation *operation)
{
	for (;;)
	{
		Snapshot as_of = rsv_store_now();
		Datum values[OPERATION_COLUMNS];
		bool nulls[OPERATION_COLUMNS];
		Operation there;
		TransactionId holder;
		bool found;

		found = find(operation, as_of, &there, NULL);
		rsv_store_forget(as_of);
		if (!found)
			ereport(ERROR,
					(errcode(ERRCODE_RSV_UNKNOWN_CLAIM),
					 errmsg("operation \"%s\" of scope \"%s\" was not begun",
							rsv_text_display(operation->request_id),
							rsv_text_display(operation->scope)),
					 errhint("Call run_once first, in the same transaction.")));
		if (there.response != NULL && same_jsonb(there.response, operation->response))
			return;
		if (there.response != NULL)
			ereport(ERROR,
					(errcode(ERRCODE_RSV_REQUEST_REUSED),
					 errmsg("operation \"%s\" of scope \"%s\" has another response already",
							rsv_text_display(operation->request_id),
							rsv_text_display(operation->scope)),
					 errhint("Call run_once to read it; a response is saved once.")));
		there.response = operation->response;
		to_row(&there, values, nulls);
		if (rsv_store_update(RSV_OPERATION, &there.tid, values, nulls, true, &holder) ==
			RSV_WRITTEN)
			return;
	}
}
