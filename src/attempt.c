/*
 * attempt.c
 *	  Work that is kept or undone as one, inside the caller's transaction.
 *
 * Invariant: whatever happens in the work, the subtransaction that we opened is
 * closed when we return or throw. An error that left it open would make the
 * caller's exception handler roll back ours in place of its own.
 *
 * A subtransaction that wrote nothing takes no transaction id. One that wrote
 * takes one, so no loop makes attempts that succeed.
 */
#include "postgres.h"

#include "access/xact.h"
#include "utils/memutils.h"
#include "utils/resowner.h"

#include "reservation.h"

static bool attempt(bool (*work)(void *), void *argument, ErrorData **error);

/* Does the work. If it returns false, or fails, nothing of it has happened. */
bool
rsv_attempt(bool (*work)(void *), void *argument)
{
	ErrorData *error;
	bool kept = attempt(work, argument, &error);

	if (error != NULL)
		ReThrowError(error);
	return kept;
}

/*
 * Does work that may be refused, and returns the error, NULL if there was none. Only
 * classes 22, 39 and 42 are caught; a cancel, say, is thrown.
 */
ErrorData *
rsv_attempt_refused(bool (*work)(void *), void *argument)
{
	ErrorData *error;

	(void) attempt(work, argument, &error);
	if (error != NULL && ERRCODE_TO_CATEGORY(error->sqlerrcode) != ERRCODE_DATA_EXCEPTION &&
		ERRCODE_TO_CATEGORY(error->sqlerrcode) != ERRCODE_EXTERNAL_ROUTINE_INVOCATION_EXCEPTION &&
		ERRCODE_TO_CATEGORY(error->sqlerrcode) != ERRCODE_SYNTAX_ERROR_OR_ACCESS_RULE_VIOLATION)
		ReThrowError(error);
	return error;
}

static bool
attempt(bool (*work)(void *), void *argument, ErrorData **error)
{
	MemoryContext context = CurrentMemoryContext;
	ResourceOwner owner = CurrentResourceOwner;
	bool keep = false;

	*error = NULL;
	BeginInternalSubTransaction(NULL);
	MemoryContextSwitchTo(context);
	PG_TRY();
	{
		keep = work(argument);
		if (keep)
			ReleaseCurrentSubTransaction();
		else
			RollbackAndReleaseCurrentSubTransaction();
	}
	PG_CATCH();
	{
		MemoryContextSwitchTo(context);
		*error = CopyErrorData();
		FlushErrorState();
		RollbackAndReleaseCurrentSubTransaction();
		keep = false;
	}
	PG_END_TRY();
	MemoryContextSwitchTo(context);
	CurrentResourceOwner = owner;
	return keep;
}
