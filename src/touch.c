/*
 * touch.c
 *	  What the current transaction has done to pools, to be told to the hints
 *	  when it ends.
 *
 * Invariant: there is one entry per pool and subtransaction; a subtransaction
 * that commits hands its own over to the one around it, one that rolls back
 * tells at once.
 *
 * Memory: the entries live in TopTransactionContext. Without hints there are
 * none.
 */
#include "postgres.h"

#include "access/xact.h"
#include "utils/memutils.h"

#include "reservation.h"

/* A power of two */
#define BUCKETS 1024

/* Those of the innermost subtransaction come first, then those of the one around it. */
static RsvTouch *touches = NULL;
static RsvTouch *buckets[BUCKETS]; /* the same, by pool */

static RsvTouch **bucket_of(int32 pool_id);
static RsvTouch *touch(int32 pool_id);
static RsvTouch *find(const RsvPoolKey *key, SubTransactionId subtransaction);
static void forget(RsvTouch *entry);
static void merge(RsvTouch *outer, const RsvTouch *inner);
static void transaction_ends(XactEvent event, void *arg);
static void subtransaction_ends(SubXactEvent event, SubTransactionId id, SubTransactionId parent,
								void *arg);

void
rsv_touch_init(void)
{
	RegisterXactCallback(transaction_ends, NULL);
	RegisterSubXactCallback(subtransaction_ends, NULL);
}

/* A unit has been taken: if this transaction rolls back, it is free again. */
void
rsv_touch_taken(int32 pool_id, int32 number)
{
	RsvTouch *entry = touch(pool_id);

	if (entry == NULL)
		return;
	entry->several_taken = entry->several_taken || entry->taken != RSV_NOTHING_FREE;
	entry->taken = Min(entry->taken, number);
}

/* A unit has been made free, or several from this number on. */
void
rsv_touch_freed(int32 pool_id, int32 number, bool several)
{
	RsvTouch *entry = touch(pool_id);

	if (entry == NULL)
		return;
	entry->several_freed = several || entry->several_freed || entry->freed != RSV_NOTHING_FREE;
	entry->freed = Min(entry->freed, number);
	rsv_hint_freed(&entry->key, number, several);
}

/* A hold or a slot has been changed: if this transaction rolls back, it is as it was. */
void
rsv_touch_hold(int32 pool_id)
{
	(void) touch(pool_id);
}

/* Has this transaction done anything to a pool? Its subtransactions count, unless rolled back. */
bool
rsv_touched(int32 pool_id)
{
	for (RsvTouch *entry = *bucket_of(pool_id); entry != NULL; entry = entry->same)
	{
		if (entry->key.pool_id == pool_id)
			return true;
	}
	return false;
}

static RsvTouch **
bucket_of(int32 pool_id)
{
	return &buckets[pool_id & (BUCKETS - 1)];
}

/* What this subtransaction has done to a pool so far, NULL if there are no hints. */
static RsvTouch *
touch(int32 pool_id)
{
	SubTransactionId subtransaction = GetCurrentSubTransactionId();
	RsvTouch *entry;
	RsvPoolKey key;

	if (!rsv_marks_key(pool_id, &key))
		return NULL;
	entry = find(&key, subtransaction);
	if (entry == NULL)
	{
		entry = MemoryContextAlloc(TopTransactionContext, sizeof(RsvTouch));
		*entry = (RsvTouch) {.key = key, .subtransaction = subtransaction};
		entry->taken = entry->freed = RSV_NOTHING_FREE;
		entry->next = touches;
		touches = entry;
		entry->same = *bucket_of(pool_id);
		*bucket_of(pool_id) = entry;
	}
	return entry;
}

static RsvTouch *
find(const RsvPoolKey *key, SubTransactionId subtransaction)
{
	for (RsvTouch *entry = *bucket_of(key->pool_id); entry != NULL; entry = entry->same)
	{
		if (entry->subtransaction == subtransaction &&
			memcmp(&entry->key, key, sizeof(RsvPoolKey)) == 0)
			return entry;
	}
	return NULL;
}

/*
 * A prepared transaction ends elsewhere, and nobody will tell us: what its
 * rows look like now, unfinished, is what every walk will meet until then.
 */
static void
transaction_ends(XactEvent event, void *arg)
{
	if (event != XACT_EVENT_COMMIT && event != XACT_EVENT_ABORT && event != XACT_EVENT_PREPARE)
		return;
	for (RsvTouch *entry = touches; entry != NULL; entry = entry->next)
	{
		rsv_hint_ended(entry, event == XACT_EVENT_COMMIT);
		*bucket_of(entry->key.pool_id) = NULL;
	}
	touches = NULL;
}

static void
subtransaction_ends(SubXactEvent event, SubTransactionId id, SubTransactionId parent, void *arg)
{
	RsvTouch **link = &touches;

	if (event != SUBXACT_EVENT_COMMIT_SUB && event != SUBXACT_EVENT_ABORT_SUB)
		return;
	while (*link != NULL && (*link)->subtransaction == id)
	{
		RsvTouch *entry = *link;
		RsvTouch *outer = find(&entry->key, parent);

		if (event == SUBXACT_EVENT_ABORT_SUB)
			rsv_hint_ended(entry, false);
		else if (outer == NULL)
		{
			entry->subtransaction = parent;
			link = &entry->next;
			continue;
		}
		else
			merge(outer, entry);
		*link = entry->next;
		forget(entry);
	}
}

static void
forget(RsvTouch *entry)
{
	RsvTouch **link = bucket_of(entry->key.pool_id);

	while (*link != entry)
		link = &(*link)->same;
	*link = entry->same;
	pfree(entry);
}

/* What a subtransaction has done becomes the doing of the one around it. */
static void
merge(RsvTouch *outer, const RsvTouch *inner)
{
	outer->several_taken = outer->several_taken || inner->several_taken ||
		(outer->taken != RSV_NOTHING_FREE && inner->taken != RSV_NOTHING_FREE);
	outer->several_freed = outer->several_freed || inner->several_freed ||
		(outer->freed != RSV_NOTHING_FREE && inner->freed != RSV_NOTHING_FREE);
	outer->taken = Min(outer->taken, inner->taken);
	outer->freed = Min(outer->freed, inner->freed);
}
