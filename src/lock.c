/*
 * lock.c
 *	  Locks by hash, and waiting for other transactions.
 *
 * Calls that must see each other before they decide (the same request id, the
 * same holder of a limited pool) take a lock on a hash of what they share, held
 * to the end of the transaction. The lock space is our own, apart from the
 * application's advisory locks, and bounded: a transaction that makes a million
 * calls takes no more than a quarter of the server's lock table. Two keys that
 * fall on one lock cost a wait, never an answer.
 *
 * Lock order: one call takes all its locks at once, lowest first.
 */
#include "postgres.h"

#include "access/twophase.h"
#include "access/xact.h"
#include "common/hashfn.h"
#include "miscadmin.h"
#include "pgstat.h"
#include "storage/latch.h"
#include "storage/lmgr.h"
#include "storage/lock.h"
#include "storage/proc.h"
#include "utils/memutils.h"
#include "utils/resowner.h"
#include "utils/wait_event.h"

#include "reservation.h"

/* Tells our locks from pg_advisory_lock's, which use 1 and 2. */
#define RSV_LOCK_SPACE 0x5253

/*
 * When several transactions hold what we want, nobody wakes us for "any of
 * them": wait for one of them this long, then look at all of them again.
 */
#define RSV_WAIT_SLICE_MS 20

static uint64 lock_count(void);
static bool wait_for_transaction(TransactionId xid, int timeout_ms);
static void nap(int timeout_ms);

/* Hashes what two calls would have in common. */
uint64
rsv_lock_key(const char *space, int32 pool_id, const text *name)
{
	uint64 hash = hash_bytes_extended((const unsigned char *) VARDATA_ANY(name),
									  VARSIZE_ANY_EXHDR(name), (uint64) (uint32) pool_id);

	return hash_combine64(hash,
						  hash_bytes_extended((const unsigned char *) space, strlen(space), 0));
}

/* Takes the locks of these keys, and waits for whoever has them. */
void
rsv_lock_keys(uint64 *keys, int nkeys)
{
	uint64 count = lock_count();

	Assert(nkeys <= 2);
	for (int i = 0; i < nkeys; i++)
		keys[i] %= count;
	if (nkeys == 2 && keys[0] > keys[1])
	{
		uint64 first = keys[1];

		keys[1] = keys[0];
		keys[0] = first;
	}
	for (int i = 0; i < nkeys; i++)
	{
		LOCKTAG tag;

		SET_LOCKTAG_ADVISORY(tag, MyDatabaseId, 0, (uint32) keys[i], RSV_LOCK_SPACE);
		(void) LockAcquire(&tag, ExclusiveLock, false, false);
	}
}

/* A quarter of the server's lock table: the same number in every session. */
static uint64
lock_count(void)
{
	return Max(64, (uint64) max_locks_per_xact * (MaxBackends + max_prepared_xacts) / 4);
}

/* Notes that xid holds something, InvalidTransactionId if nobody knows who. */
void
rsv_in_flight_add(RsvInFlight *in_flight, TransactionId xid)
{
	if (in_flight->any && in_flight->xid != xid)
		in_flight->several = true;
	if (!TransactionIdIsValid(xid))
		in_flight->several = true;
	else
		in_flight->xid = xid;
	in_flight->any = true;
}

/*
 * Waits until something may have changed: false if the deadline came first.
 * With one transaction in the way we sleep until it ends, so the deadlock
 * detector sees us.
 */
bool
rsv_in_flight_wait(const RsvInFlight *in_flight, TimestampTz deadline)
{
	long left_ms;
	int timeout_ms;

	Assert(in_flight->any);
	if (TIMESTAMP_IS_NOEND(deadline))
		left_ms = INT_MAX;
	else
		left_ms = TimestampDifferenceMilliseconds(GetCurrentTimestamp(), deadline);
	if (left_ms <= 0)
		return false;

	timeout_ms = (int) Min(left_ms, in_flight->several ? RSV_WAIT_SLICE_MS : INT_MAX);
	if (TransactionIdIsValid(in_flight->xid))
		return wait_for_transaction(in_flight->xid, timeout_ms) || in_flight->several;
	nap(Min(timeout_ms, RSV_WAIT_SLICE_MS));
	return true;
}

/*
 * Sleeps until xid has ended; false if that took longer than the timeout. The
 * lock manager knows a timeout only as an error, hence the subtransaction,
 * which writes nothing and so takes no transaction id. A shorter lock_timeout
 * of the session's own stays an error.
 */
static bool
wait_for_transaction(TransactionId xid, int timeout_ms)
{
	MemoryContext context = CurrentMemoryContext;
	ResourceOwner owner = CurrentResourceOwner;
	int session_timeout_ms = LockTimeout;
	bool ours = session_timeout_ms == 0 || session_timeout_ms > timeout_ms;
	volatile bool ended = true;

	BeginInternalSubTransaction(NULL);
	MemoryContextSwitchTo(context);
	PG_TRY();
	{
		if (ours)
			LockTimeout = timeout_ms;
		XactLockTableWait(xid, NULL, NULL, XLTW_None);
		LockTimeout = session_timeout_ms;
		ReleaseCurrentSubTransaction();
		MemoryContextSwitchTo(context);
		CurrentResourceOwner = owner;
	}
	PG_CATCH();
	{
		ErrorData *error;

		LockTimeout = session_timeout_ms;
		MemoryContextSwitchTo(context);
		error = CopyErrorData();
		FlushErrorState();
		RollbackAndReleaseCurrentSubTransaction();
		MemoryContextSwitchTo(context);
		CurrentResourceOwner = owner;
		if (!ours || error->sqlerrcode != ERRCODE_LOCK_NOT_AVAILABLE)
			ReThrowError(error);
		FreeErrorData(error);
		ended = false;
	}
	PG_END_TRY();
	return ended;
}

/* For the rare holder that has no transaction id to wait for. */
static void
nap(int timeout_ms)
{
	(void) WaitLatch(MyLatch, WL_LATCH_SET | WL_TIMEOUT | WL_EXIT_ON_PM_DEATH, timeout_ms,
					 PG_WAIT_EXTENSION);
	ResetLatch(MyLatch);
	CHECK_FOR_INTERRUPTS();
}
