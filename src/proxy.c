/*
 * proxy.c
 *	  PL/Proxy, with the errors of the shards as the shards said them.
 *
 * PL/Proxy passes an error on with its SQLSTATE, but writes "REMOTE ERROR" and
 * the like into message, detail and hint, and calls a shard that cannot be
 * reached an internal error (XX000). Clients and people read those texts. So
 * the functions of a proxy are in a language of their own, which is PL/Proxy
 * but for what its errors look like. See proxy/reservation_proxy.sql.
 *
 * Invariant: an error that is not known as one of PL/Proxy's goes through as it
 * is, and what is taken out of a message goes to the context.
 *
 * Memory: the caller's.
 */
#include "postgres.h"

#include "reservation.h"

static void restate(ErrorData *error);
static void restate_remote(ErrorData *error);
static void lost(ErrorData *error);
static char *without(char *text, const char *prefix);

/*
 * The handler of the language, as CREATE LANGUAGE wants it. Nothing is caught here that would have
 * to be rolled back: whatever it was, it is thrown again.
 */
PG_FUNCTION_INFO_V1(rsv_proxy_call_handler);
Datum
rsv_proxy_call_handler(PG_FUNCTION_ARGS)
{
	static PGFunction handler = NULL;
	MemoryContext context = CurrentMemoryContext;
	Datum result = (Datum) 0;

	if (handler == NULL)
		handler = load_external_function("$libdir/plproxy", "plproxy_call_handler", true, NULL);
	PG_TRY();
	{
		result = handler(fcinfo);
	}
	PG_CATCH();
	{
		ErrorData *error;

		MemoryContextSwitchTo(context);
		error = CopyErrorData();
		FlushErrorState();
		restate(error);
		ReThrowError(error);
	}
	PG_END_TRY();
	return result;
}

static void
restate(ErrorData *error)
{
	if (error->funcname == NULL || error->message == NULL)
		return;
	if (strcmp(error->funcname, "plproxy_remote_error") == 0)
		restate_remote(error);
	else if (strcmp(error->funcname, "plproxy_error_with_state") == 0 &&
			 strstr(error->message, "): [") != NULL)
		lost(error);
}

/* function(arguments): [database] REMOTE severity: message; severity (null) if libpq says it */
static void
restate_remote(ErrorData *error)
{
	static const char mark[] = "] REMOTE ";
	char *end = strstr(error->message, mark);
	char *rest = end == NULL ? NULL : strstr(end, ": ");

	if (rest == NULL)
		return;
	if (strncmp(end + strlen(mark), "(null)", strlen("(null)")) == 0)
		lost(error);
	error->context =
		psprintf("PL/Proxy function %.*s]%s%s", (int) (end - error->message), error->message,
				 error->context ? "\n" : "", error->context ? error->context : "");
	error->message = rest + strlen(": ");
	if (error->detail != NULL)
		error->detail = without(error->detail, "Remote detail: ");
	if (error->hint != NULL)
		error->hint = without(error->hint, "Remote hint: ");
}

/* The shard could not be reached, or the connection broke before it answered. */
static void
lost(ErrorData *error)
{
	error->sqlerrcode = ERRCODE_CONNECTION_FAILURE;
	error->hint = "Repeat the call, with its request_id: nobody knows whether it took effect.";
}

static char *
without(char *text, const char *prefix)
{
	return strncmp(text, prefix, strlen(prefix)) == 0 ? text + strlen(prefix) : text;
}
