/*
 * hint.c
 *	  Shared memory: where to look first, and what need not be looked at.
 *
 * Per pool, five marks:
 *
 *	  next		where the next walk begins. Each walk moves it on by what it
 *				reads, so that two claims begin at different units.
 *	  ahead		units below next that a walk read in the index and left to those
 *				who come after it: they need no walk of their own.
 *	  returned	numbers given back lately: the next ones out, lowest first.
 *	  low		no unit below it is free, or could become free by the end of an
 *				unfinished transaction. RSV_NOTHING_FREE: no unit at all.
 *	  expiry	no hold lapses before it.
 *
 * next, ahead and returned are guesses, and cost time when wrong. low and expiry are
 * promises, and this is how they are kept. They are lowered by whoever makes a
 * unit free or a hold, after the row was written; as an unfinished transaction's
 * row stays visible to every walk until it ends, nothing has to be done at its
 * commit. They are raised only by a walk over all there is from the mark up, to
 * the first row that it met. Rows that came in behind it are in "low since" and
 * "expiry since", which start anew with each walk; so only the walk that began
 * last may raise, to no more than what came in since. What a walk cannot see
 * are the changes of its own transaction, so if that aborts or is prepared, its
 * pools are lowered again (touch.c).
 *
 * Nothing else is told to us: a superuser who inserts free units by hand is not
 * noticed. So "nothing free" is believed for a second, then somebody looks.
 *
 * The table is fixed in size, in sets of RSV_WAYS pools. A pool that finds its
 * set full takes the place of the one unused longest; that one starts from
 * nothing when it comes back. Without shared_preload_libraries there is no
 * table, every walk begins at the beginning, and every answer is the same.
 *
 * Locks: the spinlock of the set, for a few assignments; nothing that can fail
 * or wait happens under it.
 */
#include "postgres.h"

#include "common/hashfn.h"
#include "miscadmin.h"
#include "storage/ipc.h"
#include "storage/lwlock.h"
#include "storage/shmem.h"
#include "storage/spin.h"

#include "reservation.h"

#define RSV_WAYS         8
#define RSV_RETURNED_MAX 16
#define RSV_AHEAD_MAX    (2 * RSV_SPOTS_MAX)
#define RSV_TRUST_US     USECS_PER_SEC

/* A refusal's count of free units is exact up to here, and may be a second old above. */
#define RSV_COUNT_EXACT_MAX 10000

/* How many units beyond those wanted a near walk for several looks at. */
#define RSV_NEAR_UNITS 16

/* A walk from low is due when next is this far beyond the last one's. */
#define RSV_WALK_EVERY 1024

/* Marks of one pool. Protected by the lock of its set. */
typedef struct Marks
{
	int32 next;
	int32 walked; /* next, when a walk last began at low */
	int ahead_first;
	int ahead_end;
	RsvSpot ahead[RSV_AHEAD_MAX]; /* from first to end, lowest first */
	int nreturned;
	int32 returned[RSV_RETURNED_MAX];

	uint64 walk; /* the walk that began last */
	int64 low;
	int64 low_since;
	TimestampTz low_checked; /* when low was last known right from a walk */
	TimestampTz expiry;
	TimestampTz expiry_since;

	int64 count; /* of free units, if there were many */
	TimestampTz counted;
} Marks;

typedef struct Set
{
	slock_t lock;
	uint64 clock;
	RsvPoolKey keys[RSV_WAYS]; /* pool_id 0: nobody's */
	uint64 used[RSV_WAYS];     /* clock when last used */
	Marks ways[RSV_WAYS];
} Set;

typedef struct Table
{
	int nsets;
	Set sets[FLEXIBLE_ARRAY_MEMBER];
} Table;

static Table *table = NULL;
static shmem_request_hook_type previous_request_hook = NULL;
static shmem_startup_hook_type previous_startup_hook = NULL;

static void request_shmem(void);
static void start_shmem(void);
static Size table_size(void);
static Set *lock_marks(const RsvPoolKey *key, Marks **marks);
static bool walk_is_due(const Marks *marks, int64 low);
static int64 lowest_returned(const Marks *marks);
static int64 lowest_ahead(const Marks *marks);
static void add_ahead(Marks *marks, const RsvSpot *spot);
static void rewind_next(Marks *marks, int64 number);
static void begin_at_next(Marks *marks, int32 wanted, RsvReach reach, RsvHint *hint);
static void forget_marks(Marks *marks);
static void put_back(Marks *marks, int64 number, bool several);

/* Asks for shared memory. */
void
rsv_hint_init(void)
{
	previous_request_hook = shmem_request_hook;
	shmem_request_hook = request_shmem;
	previous_startup_hook = shmem_startup_hook;
	shmem_startup_hook = start_shmem;
}

/* Whose marks these are; false if there are no marks at all. */
bool
rsv_hint_key(int32 pool_id, RsvPoolKey *key)
{
	if (table == NULL)
		return false;
	*key = (RsvPoolKey) {MyDatabaseId, rsv_store_identity(), pool_id};
	return true;
}

/*
 * Where the next unit should be, if a walk before has read that and nothing has
 * to be looked at first. It is the caller's alone: nobody else is told.
 */
bool
rsv_hint_next(int32 pool_id, TimestampTz now, RsvSpot *spot)
{
	RsvPoolKey key;
	Marks *marks;
	Set *set;
	bool found;

	if (!rsv_hint_key(pool_id, &key))
		return false;
	set = lock_marks(&key, &marks);
	found = lowest_ahead(marks) < lowest_returned(marks) && marks->expiry > now &&
		marks->low < RSV_NOTHING_FREE && !walk_is_due(marks, marks->low);
	if (found)
		*spot = marks->ahead[marks->ahead_first++];
	SpinLockRelease(&set->lock);
	return found;
}

/* Begins a walk for this many units, and says where and how. */
void
rsv_hint_begin(int32 pool_id, int32 wanted, TimestampTz now, RsvReach reach, RsvHint *hint)
{
	RsvPoolKey key;
	Marks *marks;
	Set *set;

	memset(hint, 0, offsetof(RsvHint, spots));
	hint->from = hint->low = PG_INT32_MIN;
	hint->to = PG_INT32_MAX;
	hint->check_lapsed = hint->complete = true;
	if (!rsv_hint_key(pool_id, &key))
		return;
	set = lock_marks(&key, &marks);
	hint->check_lapsed = marks->expiry <= now;
	if (marks->low < RSV_NOTHING_FREE)
		hint->low = (int32) marks->low;
	else if (now - marks->low_checked <= RSV_TRUST_US)
		hint->nothing_free = true;
	else
		marks->low_checked = now; /* this walk looks, the others go on believing */

	if (reach == RSV_FULL || (!hint->nothing_free && walk_is_due(marks, hint->low)))
	{
		hint->from = hint->low;
		marks->walked = marks->next;
	}
	else if (reach == RSV_NEAR && wanted == 1 && lowest_returned(marks) < marks->next)
	{
		hint->from = hint->to = marks->returned[--marks->nreturned];
		hint->returned = true;
	}
	else
		begin_at_next(marks, wanted, reach, hint);

	hint->complete = hint->from == hint->low && hint->to == PG_INT32_MAX && !hint->nothing_free;
	if (hint->complete || hint->check_lapsed)
	{
		hint->walk = ++marks->walk;
		marks->low_since = RSV_NOTHING_FREE;
		marks->expiry_since = DT_NOEND;
	}
	SpinLockRelease(&set->lock);
}

/* Ends a walk: what it found raises the marks, if nobody began another. */
void
rsv_hint_end(int32 pool_id, const RsvHint *hint, TimestampTz now)
{
	RsvPoolKey key;
	Marks *marks;
	Set *set;

	if (!rsv_hint_key(pool_id, &key))
		return;
	set = lock_marks(&key, &marks);
	if (hint->returned)
	{
		/* not looked at, because a lapsed hold was enough */
		if (hint->enough && hint->last_taken < 0)
			put_back(marks, hint->from, false);
	}
	else if (hint->next != 0 && hint->next == marks->next && hint->nspots == 0)
		marks->next =
			hint->last_taken >= 0 ? (int32) Min(hint->last_taken + 1, PG_INT32_MAX) : hint->from;
	else if (hint->last_taken >= marks->next)
		marks->next = (int32) Min(hint->last_taken + 1, PG_INT32_MAX);
	for (int i = 0; i < hint->nspots; i++)
		add_ahead(marks, &hint->spots[i]);
	if (marks->walk == hint->walk)
	{
		if (hint->complete)
		{
			marks->low = Min(hint->first_free, marks->low_since);
			marks->low_checked = now;
		}
		if (hint->first_held != DT_NOBEGIN)
			marks->expiry = Min(hint->first_held, marks->expiry_since);
	}
	SpinLockRelease(&set->lock);
}

/*
 * How many units were free a moment ago, if they were so many that counting
 * them for every refusal would cost too much.
 */
bool
rsv_hint_count(int32 pool_id, TimestampTz now, int64 *count)
{
	RsvPoolKey key;
	Marks *marks;
	Set *set;
	bool fresh;

	if (!rsv_hint_key(pool_id, &key))
		return false;
	set = lock_marks(&key, &marks);
	fresh = now - marks->counted < RSV_TRUST_US;
	*count = marks->count;
	SpinLockRelease(&set->lock);
	return fresh;
}

void
rsv_hint_counted(int32 pool_id, TimestampTz now, int64 count)
{
	RsvPoolKey key;
	Marks *marks;
	Set *set;

	if (count <= RSV_COUNT_EXACT_MAX || !rsv_hint_key(pool_id, &key))
		return;
	set = lock_marks(&key, &marks);
	marks->count = count;
	marks->counted = now;
	SpinLockRelease(&set->lock);
}

/* A unit has been made free, from the end of this transaction on. */
void
rsv_hint_freed(const RsvPoolKey *key, int32 number, bool several)
{
	Marks *marks;
	Set *set = lock_marks(key, &marks);

	marks->low = Min(marks->low, number);
	marks->low_since = Min(marks->low_since, number);
	put_back(marks, number, several); /* for this transaction itself; for others at its end */
	SpinLockRelease(&set->lock);
}

/* A hold has been written. */
void
rsv_hint_held(int32 pool_id, TimestampTz expires_at)
{
	RsvPoolKey key;
	Marks *marks;
	Set *set;

	if (!rsv_hint_key(pool_id, &key))
		return;
	set = lock_marks(&key, &marks);
	marks->expiry = Min(marks->expiry, expires_at);
	marks->expiry_since = Min(marks->expiry_since, expires_at);
	SpinLockRelease(&set->lock);
}

/* Tells the marks how the changes to a pool ended. */
void
rsv_hint_ended(const RsvTouch *entry, bool committed)
{
	Marks *marks;
	Set *set = lock_marks(&entry->key, &marks);

	if (committed && entry->freed != RSV_NOTHING_FREE)
		put_back(marks, entry->freed, entry->several_freed);
	if (!committed)
	{
		marks->low = Min(marks->low, entry->taken);
		marks->low_since = Min(marks->low_since, entry->taken);
		marks->expiry = marks->expiry_since = DT_NOBEGIN;
		if (entry->taken != RSV_NOTHING_FREE)
			put_back(marks, entry->taken, entry->several_taken);
	}
	SpinLockRelease(&set->lock);
}

static void
request_shmem(void)
{
	if (previous_request_hook)
		previous_request_hook();
	RequestAddinShmemSpace(table_size());
}

static void
start_shmem(void)
{
	bool found;

	if (previous_startup_hook)
		previous_startup_hook();
	LWLockAcquire(AddinShmemInitLock, LW_EXCLUSIVE);
	table = ShmemInitStruct("reservation hints", table_size(), &found);
	if (!found)
	{
		table->nsets = Max(1, rsv_hint_pools / RSV_WAYS);
		memset(table->sets, 0, sizeof(Set) * table->nsets);
		for (int i = 0; i < table->nsets; i++)
			SpinLockInit(&table->sets[i].lock);
	}
	LWLockRelease(AddinShmemInitLock);
}

static Size
table_size(void)
{
	return add_size(offsetof(Table, sets),
					mul_size(sizeof(Set), Max(1, rsv_hint_pools / RSV_WAYS)));
}

/*
 * Is it time to walk from low again? The longer the way from there, the more
 * rarely, so that it costs each claim the same.
 */
static bool
walk_is_due(const Marks *marks, int64 low)
{
	return (int64) marks->next - marks->walked >=
		Max(RSV_WALK_EVERY, (int64) marks->next - low);
}

static int64
lowest_returned(const Marks *marks)
{
	return marks->nreturned > 0 ? marks->returned[marks->nreturned - 1] : RSV_NOTHING_FREE;
}

static int64
lowest_ahead(const Marks *marks)
{
	return marks->ahead_first < marks->ahead_end ? marks->ahead[marks->ahead_first].number
												 : RSV_NOTHING_FREE;
}

/* Keeps what a walk has read, in order; what finds no room is left for a walk. */
static void
add_ahead(Marks *marks, const RsvSpot *spot)
{
	int at = marks->ahead_end;

	if (at == RSV_AHEAD_MAX && marks->ahead_first > 0)
	{
		memmove(marks->ahead, &marks->ahead[marks->ahead_first],
				sizeof(RsvSpot) * (at - marks->ahead_first));
		at = marks->ahead_end -= marks->ahead_first;
		marks->ahead_first = 0;
	}
	if (at == RSV_AHEAD_MAX)
	{
		marks->next = Min(marks->next, spot->number);
		return;
	}
	while (at > marks->ahead_first && marks->ahead[at - 1].number > spot->number)
		at--;
	memmove(&marks->ahead[at + 1], &marks->ahead[at], sizeof(RsvSpot) * (marks->ahead_end - at));
	marks->ahead[at] = *spot;
	marks->ahead_end++;
}

/* Lets the next walk begin here, so what was read ahead from here on is not needed. */
static void
rewind_next(Marks *marks, int64 number)
{
	if (number > marks->next)
		return;
	marks->next = marks->walked = (int32) number;
	while (marks->ahead_first < marks->ahead_end &&
		   marks->ahead[marks->ahead_end - 1].number >= number)
		marks->ahead_end--;
}

/* Begins at next, and moves it on for the others. */
static void
begin_at_next(Marks *marks, int32 wanted, RsvReach reach, RsvHint *hint)
{
	/* several units: take what was given back or read ahead along the way */
	rewind_next(marks, Min(lowest_returned(marks), lowest_ahead(marks)));
	while (marks->nreturned > 0 && lowest_returned(marks) >= marks->next)
		marks->nreturned--;

	hint->from = Max(marks->next, hint->low);
	if (hint->nothing_free || hint->from > PG_INT32_MAX - wanted - RSV_SPOTS_MAX)
		return;
	hint->ahead = reach == RSV_NEAR && wanted == 1;
	if (hint->ahead)
		hint->to = hint->from + RSV_SPOTS_MAX;
	else if (reach == RSV_NEAR)
		hint->to = hint->from + wanted + RSV_NEAR_UNITS;
	marks->next = hint->next = hint->ahead ? hint->to + 1 : hint->from + wanted;
}

/*
 * Finds the marks of a pool, or makes new ones in the place of those unused
 * longest. The caller releases the lock of the set.
 */
static Set *
lock_marks(const RsvPoolKey *key, Marks **marks)
{
	uint32 hash = hash_bytes((const unsigned char *) key, sizeof(RsvPoolKey));
	Set *set = &table->sets[hash % table->nsets];
	int way = 0;

	SpinLockAcquire(&set->lock);
	set->clock++;
	while (way < RSV_WAYS && memcmp(&set->keys[way], key, sizeof(RsvPoolKey)) != 0)
		way++;
	if (way == RSV_WAYS)
	{
		way = 0;
		for (int i = 1; i < RSV_WAYS; i++)
		{
			if (set->used[i] < set->used[way])
				way = i;
		}
		forget_marks(&set->ways[way]);
		set->keys[way] = *key;
	}
	set->used[way] = set->clock;
	*marks = &set->ways[way];
	return set;
}

/*
 * Knows nothing. The number of the walk goes on, so that a walk of the pool
 * that was here before cannot raise anything.
 */
static void
forget_marks(Marks *marks)
{
	marks->next = marks->walked = PG_INT32_MIN;
	marks->nreturned = 0;
	marks->ahead_first = marks->ahead_end = 0;
	marks->walk++;
	marks->low = marks->low_since = PG_INT32_MIN;
	marks->low_checked = 0;
	marks->expiry = marks->expiry_since = DT_NOBEGIN;
	marks->counted = 0;
}

/* A number is free again: it goes out next. Kept in descending order. */
static void
put_back(Marks *marks, int64 number, bool several)
{
	int at = marks->nreturned;

	while (at > 0 && marks->returned[at - 1] < number)
		at--;
	if (!several && at > 0 && marks->returned[at - 1] == number)
		return;
	if (several || marks->nreturned == RSV_RETURNED_MAX)
	{
		rewind_next(marks, number);
		return;
	}
	memmove(&marks->returned[at + 1], &marks->returned[at],
			sizeof(int32) * (marks->nreturned - at));
	marks->returned[at] = (int32) number;
	marks->nreturned++;
}
