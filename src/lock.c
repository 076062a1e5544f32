/*
 * lock.c
 *	  Locks by hash, and waiting for other transactions.
 *
 * Calls that must see each other before they decide (the same request id, the
 * same holder of a limited pool) take a lock on a hash of what they share, held
 * to the end of the transaction. The lock spaces are our own, apart from the
 * application's advisory locks, and bounded: a transaction that makes a million
 * calls takes RSV_LOCKS of each. Two names that fall on one lock wait for
 * each other, as long as one name would.
 *
 * Lock order: a call takes the lock of a cart, then that of its request, that of a
 * bucket of rate limits, the row of a checkout, and the lock of the holder, all
 * before any row of a unit or a claim, and that of a pool's sequence last. Several
 * locks of one space are taken in the order of their places. A lock that is given
 * up at once is the last of all.
 */
#include "postgres.h"

#include <signal.h>

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
#include "tcop/tcopprot.h"
#include "utils/memutils.h"
#include "utils/timeout.h"
#include "utils/wait_event.h"

#include "reservation.h"

/* Tells our locks from pg_advisory_lock's, which use 1 and 2. */
#define RSV_LOCK_CLASS 0x5253

/*
 * Locks of each space. The same in every session and after every restart,
 * because a prepared transaction keeps its locks.
 */
#define RSV_LOCKS 512

/*
 * When several transactions hold what we want, nobody wakes us for "any of
 * them": wait for one of them this long, then look at all of them again.
 */
#define RSV_WAIT_SLICE_MS 20

/* What ended a sleep */
static volatile sig_atomic_t time_is_up;
static volatile sig_atomic_t cancelled;

static void lock_tag(RsvLockSpace space, int32 pool_id, const text *name, LOCKTAG *tag);
static bool within(int timeout_ms, bool (*sleep)(void *), void *argument);
static void wake_up(void);
static void note_cancel(SIGNAL_ARGS);
static void stop_watching(TimeoutId timeout, bool cancel_due);
static bool sleep_on_lock(void *argument);
static bool sleep_on_transaction(void *argument);
static int left_ms(TimestampTz deadline);
static void nap(int timeout_ms);

/* Takes the lock of what calls have in common, and waits for whoever has it. */
void
rsv_lock(RsvLockSpace space, int32 pool_id, const text *name)
{
	LOCKTAG tag;

	lock_tag(space, pool_id, name, &tag);
	(void) LockAcquire(&tag, ExclusiveLock, false, false);
}

/* Gives up a lock before the end of the transaction. */
void
rsv_unlock(RsvLockSpace space, int32 pool_id, const text *name)
{
	LOCKTAG tag;

	lock_tag(space, pool_id, name, &tag);
	(void) LockRelease(&tag, ExclusiveLock, false);
}

/* Takes a lock without a name until the session ends; false: somebody has it. */
bool
rsv_lock_session(RsvLockSpace space)
{
	LOCKTAG tag;

	SET_LOCKTAG_ADVISORY(tag, MyDatabaseId, (uint32) space, 0, RSV_LOCK_CLASS);
	return LockAcquire(&tag, ExclusiveLock, true, true) != LOCKACQUIRE_NOT_AVAIL;
}

/* Which of the RSV_LOCKS a name falls on: several locks are taken in this order. */
uint32
rsv_lock_place(int32 pool_id, const text *name)
{
	uint64 hash = hash_bytes_extended((const unsigned char *) VARDATA_ANY(name),
									  VARSIZE_ANY_EXHDR(name), (uint64) (uint32) pool_id);

	return (uint32) (hash % RSV_LOCKS);
}

/* The same, but waits no longer than this: false if it did not get the lock. */
bool
rsv_lock_until(RsvLockSpace space, int32 pool_id, const text *name, TimestampTz deadline)
{
	LOCKTAG tag;
	int timeout_ms = left_ms(deadline);

	lock_tag(space, pool_id, name, &tag);
	if (LockAcquire(&tag, ExclusiveLock, false, true) != LOCKACQUIRE_NOT_AVAIL)
		return true;
	return timeout_ms > 0 && within(timeout_ms, sleep_on_lock, &tag);
}

static void
lock_tag(RsvLockSpace space, int32 pool_id, const text *name, LOCKTAG *tag)
{
	SET_LOCKTAG_ADVISORY(*tag, MyDatabaseId, (uint32) space, rsv_lock_place(pool_id, name),
						 RSV_LOCK_CLASS);
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
	TransactionId xid = in_flight->xid;
	int timeout_ms = left_ms(deadline);

	Assert(in_flight->any);
	if (timeout_ms <= 0)
		return false;
	if (in_flight->several)
		timeout_ms = Min(timeout_ms, RSV_WAIT_SLICE_MS);
	if (TransactionIdIsValid(xid))
		(void) within(timeout_ms, sleep_on_transaction, &xid);
	else
		nap(timeout_ms);
	return true;
}

/*
 * Sleeps, and returns false if that took too long. The lock manager is woken early
 * only by an error, hence the attempt, which writes nothing, and a timeout that
 * cancels it. A cancel from outside, or a timeout of the session's own, may come at
 * the same moment and stays an error: these arrive as a signal, ours does not.
 */
static bool
within(int timeout_ms, bool (*sleep)(void *), void *argument)
{
	static TimeoutId timeout = MAX_TIMEOUTS;
	MemoryContext context = CurrentMemoryContext;
	volatile bool slept = false;

	if (timeout == MAX_TIMEOUTS)
		timeout = RegisterTimeout(USER_TIMEOUT, wake_up);
	time_is_up = cancelled = false;
	pqsignal(SIGINT, note_cancel);
	PG_TRY();
	{
		enable_timeout_after(timeout, timeout_ms);
		slept = rsv_attempt(sleep, argument);
		stop_watching(timeout, cancelled);
	}
	PG_CATCH();
	{
		/* what is being thrown as an error is not to come once more */
		stop_watching(timeout,
					  cancelled && geterrcode() != ERRCODE_QUERY_CANCELED &&
						  geterrcode() != ERRCODE_LOCK_NOT_AVAILABLE);
		if (!time_is_up || cancelled || geterrcode() != ERRCODE_QUERY_CANCELED)
			PG_RE_THROW();
		MemoryContextSwitchTo(context);
		FlushErrorState();
	}
	PG_END_TRY();
	return slept;
}

/* Timeout handler */
static void
wake_up(void)
{
	time_is_up = true;
	InterruptPending = QueryCancelPending = true;
	SetLatch(MyLatch);
}

/* Signal handler, for as long as we sleep */
static void
note_cancel(SIGNAL_ARGS)
{
	cancelled = true;
	StatementCancelHandler(postgres_signal_arg);
}

/*
 * Our timeout may have come too late to wake anybody: then nothing is cancelled, unless
 * a cancel from outside is due.
 */
static void
stop_watching(TimeoutId timeout, bool cancel_due)
{
	disable_timeout(timeout, false);
	if (time_is_up)
		QueryCancelPending = false;
	if (cancel_due)
		InterruptPending = QueryCancelPending = true;
	pqsignal(SIGINT, StatementCancelHandler);
}

/* The lock that an attempt takes is kept to the end of the transaction. */
static bool
sleep_on_lock(void *argument)
{
	(void) LockAcquire((LOCKTAG *) argument, ExclusiveLock, false, false);
	return true;
}

/*
 * As XactLockTableWait, except that when a subtransaction was released into the
 * one around it, we wait for that one, not for the topmost: a rollback to a
 * savepoint shall wake us.
 */
static bool
sleep_on_transaction(void *argument)
{
	TransactionId xid = *(TransactionId *) argument;

	while (TransactionIdIsValid(xid) && TransactionIdIsInProgress(xid))
	{
		LOCKTAG tag;

		SET_LOCKTAG_TRANSACTION(tag, xid);
		(void) LockAcquire(&tag, ShareLock, false, false);
		LockRelease(&tag, ShareLock, false);
		if (TransactionIdIsInProgress(xid))
			xid = SubTransGetParent(xid);
	}
	return true;
}

static int
left_ms(TimestampTz deadline)
{
	if (TIMESTAMP_IS_NOEND(deadline))
		return INT_MAX;
	return (int) Min(TimestampDifferenceMilliseconds(GetCurrentTimestamp(), deadline), INT_MAX);
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
