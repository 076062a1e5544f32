/*
 * announce.c
 *	  Telling those who listen that offers were made: NOTIFY reservation_line, with
 *	  the name of the pool, for pools with notify_every.
 *
 * A hint, no more: who is offered something finds out by line_position. A commit
 * with a notification waits for every other such commit of the database, so there
 * is at most one per pool and notify_every, by the limits of rate.c, and none by
 * default.
 *
 * It is made at the end of the transaction, of which one that is prepared can have
 * none.
 *
 * Memory: the pools are remembered in TopTransactionContext.
 */
#include "postgres.h"

#include "access/xact.h"
#include "commands/async.h"
#include "commands/extension.h"
#include "nodes/pg_list.h"
#include "utils/builtins.h"
#include "utils/memutils.h"
#include "utils/snapmgr.h"

#include "reservation.h"

#define CHANNEL "reservation_line"

static List *pool_ids = NIL;

static void transaction_ends(XactEvent event, void *argument);
static void announce_all(void);

void
rsv_announce_init(void)
{
	RegisterXactCallback(transaction_ends, NULL);
}

/* Offers were made: to be told when the transaction commits. */
void
rsv_announce(const RsvPool *pool)
{
	MemoryContext caller;

	if (pool->notify_every == NULL)
		return;
	caller = MemoryContextSwitchTo(TopTransactionContext);
	pool_ids = list_append_unique_int(pool_ids, pool->pool_id);
	MemoryContextSwitchTo(caller);
}

static void
transaction_ends(XactEvent event, void *argument)
{
	if (pool_ids == NIL)
		return;
	if (event == XACT_EVENT_PRE_COMMIT)
		announce_all();
	else if (event == XACT_EVENT_COMMIT || event == XACT_EVENT_ABORT || event == XACT_EVENT_PREPARE)
		pool_ids = NIL;
}

/*
 * Offers of a savepoint that was rolled back are told, too: a hint may be one too many.
 * But the pool may have been rolled back as well, or the extension dropped.
 */
static void
announce_all(void)
{
	ListCell *cell;

	if (!OidIsValid(get_extension_oid("reservation", true)))
		return;
	PushActiveSnapshot(GetTransactionSnapshot());
	foreach(cell, pool_ids)
	{
		RsvPool pool;

		if (rsv_pool_try_read(lfirst_int(cell), &pool) && pool.notify_every != NULL &&
			rsv_rate_announces(&pool))
			Async_Notify(CHANNEL, text_to_cstring(pool.name));
	}
	PopActiveSnapshot();
}
