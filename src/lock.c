/*
 * lock.c
 *	  Locks by hash, and waiting for other transactions.
 *
 * Calls that must see each other before they decide (the same request id, the
 * same holder of a limited pool) take a lock on a hash of what they share, held
 * to the end of the transaction. The lock space is our own, apart from the
 * application's advisory locks, and bounded: a transaction that makes a million
 * calls takes RSV_LOCKS of them. Two keys that fall on one lock cost a wait,
 * never an answer.
 *
 * Lock order: what a call decides under (request, holder) it takes at once,
 * lowest first, before anything else. Later it may take one more, of a pool's
 * sequence.
 */
#include "postgres.h"

#include "access/subtrans.h"
#include "access/transam.h"
#include "common/hashfn.h"
#include "miscadmin.h"
#include "pgstat.h"
#include "storage/latch.h"
#include "storage/lmgr.h"
#include "storage/lock.h"
#include "storage/proc.h"
#include "storage/procarray.h"
#include "utils/memutils.h"
#include "utils/wait_event.h"

#include "reservation.h"

/* Tells our locks from pg_advisory_lock's, which use 1 and 2. */
#define RSV_LOCK_SPACE 0x5253

/*
 * The same in every session and after every restart, because a prepared
 * transaction keeps its locks.
 */
#define RSV_LOCKS 1024

/*
 * When several transactions hold what we want, nobody wakes us for "any of
 * them": wait for one of them this long, then look at all of them again.
 */
#define RSV_WAIT_SLICE_MS 20

typedef struct Wait
{
	TransactionId xid;
	int timeout_ms;
} Wait;

static void wait_for_transaction(Wait *wait);
static bool sleep_on_transaction(void *argument);
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
	Assert(nkeys <= 2);
	for (int i = 0; i < nkeys; i++)
		keys[i] %= RSV_LOCKS;
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

/*
 * Notes that xid holds something, InvalidTransactionId if nobody knows who. Of
 * several subtransactions of one transaction the latest is kept: whatever rolls
 * an earlier one back rolls it back too.
 */
void
rsv_in_flight_add(RsvInFlight *in_flight, TransactionId xid)
{
	in_flight->any = true;
	if (!TransactionIdIsValid(xid))
		in_flight->several = true;
	else if (!TransactionIdIsValid(in_flight->xid))
		in_flight->xid = xid;
	else if (xid != in_flight->xid)
	{
		in_flight->several = in_flight->several ||
			SubTransGetTopmostTransaction(xid) != SubTransGetTopmostTransaction(in_flight->xid);
		if (TransactionIdFollows(xid, in_flight->xid))
			in_flight->xid = xid;
	}
}

/*
 * Waits until something may have changed, at the latest until the deadline, so
 * that the caller looks once more; false if the deadline has passed already.
 * With one transaction in the way we sleep until it ends, so the deadlock
 * detector sees us.
 */
bool
rsv_in_flight_wait(const RsvInFlight *in_flight, TimestampTz deadline)
{
	Wait wait = {.xid = in_flight->xid};
	long left_ms = INT_MAX;

	Assert(in_flight->any);
	if (!TIMESTAMP_IS_NOEND(deadline))
		left_ms = TimestampDifferenceMilliseconds(GetCurrentTimestamp(), deadline);
	if (left_ms <= 0)
		return false;

	wait.timeout_ms = (int) Min(left_ms, in_flight->several ? RSV_WAIT_SLICE_MS : INT_MAX);
	if (TransactionIdIsValid(wait.xid))
		wait_for_transaction(&wait);
	else
		nap(Min(wait.timeout_ms, RSV_WAIT_SLICE_MS));
	return true;
}

/*
 * Sleeps until the transaction has ended or the time is over. The lock manager
 * knows a timeout only as an error, hence the attempt, which writes nothing. A
 * shorter lock_timeout of the session's own stays an error.
 */
static void
wait_for_transaction(Wait *wait)
{
	MemoryContext context = CurrentMemoryContext;
	int session_timeout_ms = LockTimeout;
	bool ours = session_timeout_ms == 0 || session_timeout_ms > wait->timeout_ms;

	PG_TRY();
	{
		if (ours)
			LockTimeout = wait->timeout_ms;
		(void) rsv_attempt(sleep_on_transaction, wait);
		LockTimeout = session_timeout_ms;
	}
	PG_CATCH();
	{
		LockTimeout = session_timeout_ms;
		if (!ours || geterrcode() != ERRCODE_LOCK_NOT_AVAILABLE)
			PG_RE_THROW();
		MemoryContextSwitchTo(context);
		FlushErrorState();
	}
	PG_END_TRY();
}

/*
 * As XactLockTableWait, except that when a subtransaction was released into the
 * one around it, we wait for that one, not for the topmost: a rollback to a
 * savepoint shall wake us.
 */
static bool
sleep_on_transaction(void *argument)
{
	TransactionId xid = ((Wait *) argument)->xid;

	while (TransactionIdIsValid(xid) && TransactionIdIsInProgress(xid))
	{
		LOCKTAG tag;

		SET_LOCKTAG_TRANSACTION(tag, xid);
		(void) LockAcquire(&tag, ShareLock, false, false);
		LockRelease(&tag, ShareLock, false);
		/* a timeout that fired too late must not be taken for the session's own */
		CHECK_FOR_INTERRUPTS();
		if (TransactionIdIsInProgress(xid))
			xid = SubTransGetParent(xid);
	}
	return true;
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
