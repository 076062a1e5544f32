/*
 * marks.c
 *	  The table of marks in shared memory: one entry per pool, while it is used.
 *
 * Invariant: an entry that is made, or made again, knows nothing, so losing one
 * costs time and no answer.
 *
 * The table is fixed in size, in sets of RSV_MARKS_WAYS pools. A pool that finds
 * its set full takes the place of the one unused longest; that one starts from
 * nothing when it comes back. Without shared_preload_libraries there is no table.
 *
 * Locks: one spinlock per set.
 */
#include "postgres.h"

#include "common/hashfn.h"
#include "miscadmin.h"
#include "utils/inval.h"
#include "utils/timestamp.h"

#include "marks.h"

typedef struct Table
{
	int nsets;
	RsvMarksSet sets[FLEXIBLE_ARRAY_MEMBER];
} Table;

static Table *table = NULL;

static Size table_size(void);
static void attach_table(void *memory, bool is_new);
static void forget_marks(RsvMarks *marks);

/* Asks for shared memory. */
void
rsv_marks_init(void)
{
	rsv_shared_add((RsvSharedPiece) {"reservation hints", table_size, attach_table});
}

/*
 * Whose marks these are; false if there are no marks at all. Whoever lowers a promise has
 * written the row that it is about. If our file has been rewritten and others have
 * promised something about the new one since, we must know: a transaction that has all
 * its locks would not be told.
 */
bool
rsv_marks_key(int32 pool_id, RsvPoolKey *key)
{
	if (table == NULL)
		return false;
	AcceptInvalidationMessages();
	*key = (RsvPoolKey) {MyDatabaseId, rsv_layout_identity(), pool_id};
	return true;
}

/* How many sets there are, 0 without shared memory. */
int
rsv_marks_sets(void)
{
	return table == NULL ? 0 : table->nsets;
}

RsvMarksSet *
rsv_marks_set(int number)
{
	Assert(number >= 0);
	Assert(number < table->nsets);
	return &table->sets[number];
}

/*
 * Finds the marks of a pool, or makes new ones in the place of those unused
 * longest. The caller releases the lock of the set.
 */
RsvMarksSet *
rsv_marks_lock(const RsvPoolKey *key, RsvMarks **marks)
{
	uint32 hash = hash_bytes((const unsigned char *) key, sizeof(RsvPoolKey));
	RsvMarksSet *set = &table->sets[hash % table->nsets];
	int way = 0;

	SpinLockAcquire(&set->lock);
	set->clock++;
	while (way < RSV_MARKS_WAYS && memcmp(&set->keys[way], key, sizeof(RsvPoolKey)) != 0)
		way++;
	if (way == RSV_MARKS_WAYS)
	{
		way = 0;
		for (int i = 1; i < RSV_MARKS_WAYS; i++)
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

static Size
table_size(void)
{
	return add_size(offsetof(Table, sets),
					mul_size(sizeof(RsvMarksSet), Max(1, rsv_hint_pools / RSV_MARKS_WAYS)));
}

static void
attach_table(void *memory, bool is_new)
{
	table = memory;
	if (!is_new)
		return;
	table->nsets = Max(1, rsv_hint_pools / RSV_MARKS_WAYS);
	memset(table->sets, 0, sizeof(RsvMarksSet) * table->nsets);
	for (int i = 0; i < table->nsets; i++)
		SpinLockInit(&table->sets[i].lock);
}

/* Knows nothing, and of no walk: one that began before cannot raise anything. */
static void
forget_marks(RsvMarks *marks)
{
	marks->next = PG_INT32_MIN;
	marks->served = RSV_WALK_EVERY - 1; /* the second claim learns low */
	marks->nreturned = 0;
	marks->ahead_first = marks->ahead_end = 0;
	marks->walk = 0;
	marks->low = marks->low_since = PG_INT32_MIN;
	marks->low_checked = 0;
	marks->expiry = marks->expiry_since = DT_NOBEGIN;
	marks->counted = 0;
	marks->since = GetCurrentTimestamp();
	memset(marks->counters, 0, sizeof(marks->counters));
}
