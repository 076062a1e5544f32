/*
 * request.c
 *	  Idempotency keys: the same call again gets the first answer again.
 *
 * Invariant: a row of reservation.request exists if and only if the effect of
 * its call is committed, because both are written in one transaction. A refusal
 * has no effect and writes no row, so a retry after "sold out" can succeed.
 *
 * The second of two calls with one key waits for the first: look, take the
 * lock of the key (lock.c), look again, act. The primary key stands behind it.
 *
 * The arguments are kept as text, written the same way in every session.
 */
#include "postgres.h"

#include "common/hashfn.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/fmgrprotos.h"
#include "utils/uuid.h"

#include "reservation.h"

/* Columns of reservation.request */
enum
{
	REQUEST_POOL_ID,
	REQUEST_SCOPE,
	REQUEST_REQUEST_ID,
	REQUEST_ARGUMENTS,
	REQUEST_RESPONSE,
	REQUEST_CREATED_AT,
	REQUEST_COLUMNS
};

static bool lock_until(const RsvRequest *request, TimestampTz deadline);
static bool repeat_first(RsvRequest *request, RsvAnswer *answer);

void
rsv_request_begin(RsvRequest *request, int32 pool_id, const char *scope, text *request_id)
{
	request->pool_id = pool_id;
	request->scope = scope;
	request->request_id = request_id;
	if (request_id != NULL)
		initStringInfo(&request->arguments);
}

void
rsv_request_add_text(RsvRequest *request, const char *name, const text *value)
{
	if (request->request_id != NULL)
		appendStringInfo(&request->arguments, "%s%s => %s", request->arguments.len > 0 ? ", " : "",
						 name, quote_literal_cstr(text_to_cstring(value)));
}

void
rsv_request_add_integer(RsvRequest *request, const char *name, int64 value)
{
	if (request->request_id != NULL)
		appendStringInfo(&request->arguments, "%s%s => " INT64_FORMAT,
						 request->arguments.len > 0 ? ", " : "", name, value);
}

/* An interval by its three fields: its usual text depends on IntervalStyle. */
void
rsv_request_add_interval(RsvRequest *request, const char *name, const Interval *value)
{
	if (request->request_id == NULL || value == NULL)
		return;
	appendStringInfo(&request->arguments, "%s%s => '%d months %d days " INT64_FORMAT " us'",
					 request->arguments.len > 0 ? ", " : "", name, value->month, value->day,
					 value->time);
}

void
rsv_request_add_claim(RsvRequest *request, const char *name, const pg_uuid_t *value)
{
	if (request->request_id != NULL)
		appendStringInfo(&request->arguments, "%s%s => '%s'",
						 request->arguments.len > 0 ? ", " : "", name,
						 DatumGetCString(DirectFunctionCall1(uuid_out, UUIDPGetDatum(value))));
}

/*
 * Has this call been made before? Then the answer is the first one again.
 * Otherwise the caller now has the lock of the request id, and may act.
 */
bool
rsv_request_replay(RsvRequest *request, RsvAnswer *answer)
{
	bool busy;

	return rsv_request_replay_until(request, DT_NOEND, answer, &busy);
}

/*
 * The same, but waits no longer than this for an unfinished call, which may have another
 * id that shares the lock: then busy, and the caller may not act.
 */
bool
rsv_request_replay_until(RsvRequest *request, TimestampTz deadline, RsvAnswer *answer, bool *busy)
{
	*busy = false;
	if (request->request_id == NULL)
		return false;
	if (repeat_first(request, answer))
		return true;
	*busy = !lock_until(request, deadline);
	return !*busy && repeat_first(request, answer);
}

/* Waits for the call that has the lock of this request id, and takes it. */
void
rsv_request_lock(const RsvRequest *request)
{
	(void) lock_until(request, DT_NOEND);
}

static bool
lock_until(const RsvRequest *request, TimestampTz deadline)
{
	uint32 scope = hash_bytes((const unsigned char *) request->scope, strlen(request->scope));

	return rsv_lock_until(RSV_LOCK_REQUEST, request->pool_id ^ (int32) scope, request->request_id,
						  deadline);
}

/* From here on, the answer is kept for those who ask again. */
void
rsv_request_keep(RsvRequest *request, RsvAnswer *answer)
{
	if (request->request_id != NULL)
		rsv_answer_keep(answer);
}

/*
 * Gives the first answer again, if there was one. With other arguments than
 * the first call's: RS001.
 */
static bool
repeat_first(RsvRequest *request, RsvAnswer *answer)
{
	RsvKey keys[] = {
		{BTEqualStrategyNumber, F_INT4EQ, Int32GetDatum(request->pool_id)},
		{BTEqualStrategyNumber, F_TEXTEQ, CStringGetTextDatum(request->scope)},
		{BTEqualStrategyNumber, F_TEXTEQ, PointerGetDatum(request->request_id)},
	};
	Snapshot now = rsv_store_now();
	RsvScan scan;
	bool found;

	rsv_scan_begin(&scan, RSV_REQUEST_PKEY, now, keys, lengthof(keys));
	found = rsv_scan_next(&scan);
	if (found)
	{
		rsv_request_require_same(request, DatumGetTextPP(scan.slot->tts_values[REQUEST_ARGUMENTS]));
		rsv_answer_repeat(answer, scan.slot->tts_values[REQUEST_RESPONSE]);
	}
	rsv_scan_end(&scan);
	rsv_store_forget(now);
	if (found)
		rsv_stats_add(request->pool_id, RSV_COUNT_REPLAYS, 1);
	return found;
}

/* Stores the answer, if it is one to keep. */
void
rsv_request_save(RsvRequest *request, RsvAnswer *answer, TimestampTz now)
{
	Datum values[REQUEST_COLUMNS];
	bool nulls[REQUEST_COLUMNS] = {false};

	if (answer->json == NULL)
		return;
	values[REQUEST_POOL_ID] = Int32GetDatum(request->pool_id);
	values[REQUEST_SCOPE] = CStringGetTextDatum(request->scope);
	values[REQUEST_REQUEST_ID] = PointerGetDatum(request->request_id);
	values[REQUEST_ARGUMENTS] =
		PointerGetDatum(cstring_to_text_with_len(request->arguments.data, request->arguments.len));
	values[REQUEST_RESPONSE] = rsv_answer_kept(answer);
	values[REQUEST_CREATED_AT] = TimestampTzGetDatum(now);
	rsv_store_insert(RSV_REQUEST, values, nulls);
}

/* Another call with the arguments of the first, or RS001. */
void
rsv_request_require_same(const RsvRequest *request, text *first)
{
	if ((int) VARSIZE_ANY_EXHDR(first) == request->arguments.len &&
		memcmp(VARDATA_ANY(first), request->arguments.data, request->arguments.len) == 0)
		return;
	ereport(
		ERROR,
		(errcode(ERRCODE_RSV_REQUEST_REUSED),
		 errmsg("request id \"%s\" was used for another call of %s",
				rsv_text_display(request->request_id), request->scope),
		 errdetail("The first call was %s(%s), this one is %s(%s).", request->scope,
				   text_to_cstring(first), request->scope, request->arguments.data),
		 errhint("Use a new request id for a new intent, and the same arguments for a retry.")));
}
