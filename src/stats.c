/*
 * stats.c
 *	  What happened to pools since the server started: counters in shared memory.
 *
 * They count what was done, also by transactions that rolled back; the books say
 * what is so. They live with the marks of a pool (marks.c) and start from zero
 * when those are made anew. Without shared_preload_libraries there are none.
 *
 * Locks: the spinlock of the set, for one addition or one copy.
 */
#include "postgres.h"

#include "miscadmin.h"
#include "utils/builtins.h"

#include "marks.h"

/* Columns of stats_by_id: pool_id, since, then a column for each counter */
#define STATS_COLUMNS (2 + RSV_COUNTERS)

static void answer_set(RsvMarksSet *set, RsvAnswer *answer);

/*
 * stats_by_id() -> (pool_id, since, claims, hint_hits, walks, gone, busy, replays, lapses, waits,
 *		waited_us)
 *
 * One row per pool of this database that has marks.
 */
PG_FUNCTION_INFO_V1(rsv_stats_by_id);
Datum
rsv_stats_by_id(PG_FUNCTION_ARGS)
{
	RsvAnswer answer;

	rsv_answer_begin(&answer, fcinfo);
	for (int i = 0; i < rsv_marks_sets(); i++)
	{
		CHECK_FOR_INTERRUPTS();
		answer_set(rsv_marks_set(i), &answer);
	}
	return (Datum) 0;
}

/* reset_stats() -> (status, pools): every counter of this database starts from zero */
PG_FUNCTION_INFO_V1(rsv_reset_stats);
Datum
rsv_reset_stats(PG_FUNCTION_ARGS)
{
	TimestampTz now = GetCurrentTimestamp();
	Oid identity = rsv_layout_identity();
	int32 pools = 0;
	RsvAnswer answer;

	rsv_answer_begin(&answer, fcinfo);
	for (int i = 0; i < rsv_marks_sets(); i++)
	{
		RsvMarksSet *set = rsv_marks_set(i);

		SpinLockAcquire(&set->lock);
		for (int way = 0; way < RSV_MARKS_WAYS; way++)
		{
			if (set->keys[way].database != MyDatabaseId || set->keys[way].file != identity)
				continue;
			pools++;
			set->ways[way].since = now;
			memset(set->ways[way].counters, 0, sizeof(set->ways[way].counters));
		}
		SpinLockRelease(&set->lock);
	}
	rsv_answer_row(&answer, (Datum[]) {CStringGetTextDatum("reset"), Int32GetDatum(pools)},
				   (bool[]) {false, false});
	return (Datum) 0;
}

void
rsv_stats_add(int32 pool_id, RsvCounter counter, int64 amount)
{
	RsvPoolKey key;
	RsvMarks *marks;
	RsvMarksSet *set;

	if (!rsv_marks_key(pool_id, &key))
		return;
	set = rsv_marks_lock(&key, &marks);
	marks->counters[counter] += amount;
	SpinLockRelease(&set->lock);
}

/* Copies what this database has in a set, then answers with it. */
static void
answer_set(RsvMarksSet *set, RsvAnswer *answer)
{
	RsvPoolKey keys[RSV_MARKS_WAYS];
	TimestampTz since[RSV_MARKS_WAYS];
	int64 counters[RSV_MARKS_WAYS][RSV_COUNTERS];
	Oid identity = rsv_layout_identity();

	SpinLockAcquire(&set->lock);
	memcpy(keys, set->keys, sizeof(keys));
	for (int way = 0; way < RSV_MARKS_WAYS; way++)
	{
		since[way] = set->ways[way].since;
		memcpy(counters[way], set->ways[way].counters, sizeof(counters[way]));
	}
	SpinLockRelease(&set->lock);

	for (int way = 0; way < RSV_MARKS_WAYS; way++)
	{
		Datum values[STATS_COLUMNS];
		bool nulls[STATS_COLUMNS] = {false};

		if (keys[way].database != MyDatabaseId || keys[way].file != identity)
			continue;
		values[0] = Int32GetDatum(keys[way].pool_id);
		values[1] = TimestampTzGetDatum(since[way]);
		for (int i = 0; i < RSV_COUNTERS; i++)
			values[2 + i] = Int64GetDatum(counters[way][i]);
		rsv_answer_row(answer, values, nulls);
	}
}
