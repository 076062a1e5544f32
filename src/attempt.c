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

/* Does the work. If it returns false, or fails, nothing of it has happened. */
bool
rsv_attempt(bool (*work)(void *), void *argument)
{
	MemoryContext context = CurrentMemoryContext;
	ResourceOwner owner = CurrentResourceOwner;
	bool keep = false;
	ErrorData *error;

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
		error = CopyErrorData();
		FlushErrorState();
		RollbackAndReleaseCurrentSubTransaction();
		MemoryContextSwitchTo(context);
		CurrentResourceOwner = owner;
		ReThrowError(error);
	}
	PG_END_TRY();
	MemoryContextSwitchTo(context);
	CurrentResourceOwner = owner;
	return keep;
}
