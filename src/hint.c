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
 * are the rows that its own transaction has taken before it, and others must go
 * on seeing them as unfinished, so a transaction that has touched a pool raises
 * none of its marks. What it raised by its first walk is lowered again if it
 * aborts or is prepared (touch.c).
 *
 * Nothing else is told to us: a superuser who inserts free units by hand, or ends
 * holds, is not noticed. So "nothing free" is believed for a second, then somebody
 * looks, also for what has lapsed.
 *
 * Where the marks live, and when they are forgotten, is in marks.c. Without
 * shared_preload_libraries there are none, every walk begins at the beginning,
 * and every answer is the same.
 *
 * Locks: the spinlock of the set that the marks are in, for a few assignments;
 * nothing that can fail or wait happens under it.
 */
#include "postgres.h"

#include "marks.h"

#define RSV_TRUST_US USECS_PER_SEC

/* A refusal's count of free units is exact up to here, and may be a second old above. */
#define RSV_COUNT_EXACT_MAX 10000

/* How many units beyond those wanted a near walk for several looks at. */
#define RSV_NEAR_UNITS 16

static bool walk_is_due(const RsvMarks *marks, int64 low);
static int64 lowest_returned(const RsvMarks *marks);
static int64 lowest_ahead(const RsvMarks *marks);
static void add_ahead(RsvMarks *marks, const RsvSpot *spot);
static void rewind_next(RsvMarks *marks, int64 number);
static void begin_at_next(RsvMarks *marks, int32 wanted, RsvReach reach, RsvHint *hint);
static void put_back(RsvMarks *marks, int64 number, bool several);

/*
 * Where the next unit should be, if a walk before has read that and nothing has
 * to be looked at first. It is the caller's alone: nobody else is told.
 */
bool
rsv_hint_next(int32 pool_id, TimestampTz now, RsvSpot *spot)
{
	RsvPoolKey key;
	RsvMarks *marks;
	RsvMarksSet *set;
	bool found;

	if (!rsv_marks_key(pool_id, &key))
		return false;
	set = rsv_marks_lock(&key, &marks);
	found = lowest_ahead(marks) < lowest_returned(marks) && marks->expiry > now &&
		marks->low < RSV_NOTHING_FREE && !walk_is_due(marks, marks->low);
	if (found)
	{
		*spot = marks->ahead[marks->ahead_first++];
		marks->served++;
		marks->counters[RSV_COUNT_AHEAD]++;
	}
	SpinLockRelease(&set->lock);
	return found;
}

/* Is no unit free, and lapses no hold? False also if nobody has looked lately. */
bool
rsv_hint_nothing_free(int32 pool_id, TimestampTz now)
{
	RsvPoolKey key;
	RsvMarks *marks;
	RsvMarksSet *set;
	bool nothing;

	if (!rsv_marks_key(pool_id, &key))
		return false;
	set = rsv_marks_lock(&key, &marks);
	nothing = marks->low >= RSV_NOTHING_FREE && marks->expiry > now &&
		now - marks->low_checked <= RSV_TRUST_US;
	SpinLockRelease(&set->lock);
	return nothing;
}

/* Begins a walk for this many units, and says where and how. */
void
rsv_hint_begin(int32 pool_id, int32 wanted, TimestampTz now, RsvReach reach, RsvHint *hint)
{
	RsvMarks *marks;
	RsvMarksSet *set;
	bool may_raise;
	bool look = false;

	memset(hint, 0, offsetof(RsvHint, spots));
	hint->wanted = wanted;
	hint->from = hint->low = hint->read_to = PG_INT32_MIN;
	hint->to = PG_INT32_MAX;
	hint->check_lapsed = hint->complete = true;
	if (!rsv_marks_key(pool_id, &hint->key))
		return;
	may_raise = !rsv_touched(pool_id);
	set = rsv_marks_lock(&hint->key, &marks);
	marks->counters[RSV_COUNT_WALKS]++;
	hint->check_lapsed = marks->expiry <= now;
	if (marks->low < RSV_NOTHING_FREE)
		hint->low = (int32) marks->low;
	else if (now - marks->low_checked <= RSV_TRUST_US)
		hint->nothing_free = true;
	else
	{
		/* this walk, everywhere, and at lapsed holds; the others go on believing */
		look = hint->check_lapsed = true;
		marks->low_checked = now;
	}

	if (reach == RSV_FULL || look || (!hint->nothing_free && walk_is_due(marks, hint->low)))
	{
		hint->from = hint->low;
		marks->served = 0;
	}
	else if (reach == RSV_NEAR && wanted == 1 && lowest_returned(marks) < marks->next &&
			 lowest_returned(marks) <= lowest_ahead(marks))
	{
		hint->from = hint->to = marks->returned[--marks->nreturned];
		hint->returned = true;
	}
	else
		begin_at_next(marks, wanted, reach, hint);

	hint->complete = hint->from == hint->low && hint->to == PG_INT32_MAX && !hint->nothing_free;
	if (may_raise && (hint->complete || hint->check_lapsed))
	{
		/* unique in the set, also if the pool loses its place and gets another */
		hint->walk = marks->walk = set->clock;
		marks->low_since = RSV_NOTHING_FREE;
		marks->expiry_since = DT_NOEND;
	}
	SpinLockRelease(&set->lock);
}

/*
 * Ends a walk: what it found raises the marks, if nobody began another. That
 * nothing is free must still be so: a hold that lapsed may have been given back
 * by another session before we came to look at the lapsed ones.
 */
void
rsv_hint_end(RsvHint *hint, TimestampTz now)
{
	RsvMarks *marks;
	RsvMarksSet *set;

	if (!OidIsValid(hint->key.database))
		return;
	set = rsv_marks_lock(&hint->key, &marks);
	hint->nothing_free = hint->nothing_free && marks->low >= RSV_NOTHING_FREE;
	if (hint->enough)
		marks->served += hint->wanted;
	if (hint->returned)
	{
		/* not looked at, because a lapsed hold was enough */
		if (hint->enough && hint->last_taken < 0)
			put_back(marks, hint->from, false);
	}
	else if (hint->next != 0 && hint->next == marks->next && hint->read_to == PG_INT32_MIN)
		marks->next =
			hint->last_taken >= 0 ? (int32) Min(hint->last_taken + 1, PG_INT32_MAX) : hint->from;
	else if (hint->last_taken >= marks->next)
		marks->next = (int32) Min(hint->last_taken + 1, PG_INT32_MAX);
	for (int i = 0; i < hint->nspots; i++)
		add_ahead(marks, &hint->spots[i]);
	/* entries of rows long gone may have been too many to come to the end that others were told */
	if (hint->read_to != PG_INT32_MIN && hint->read_to < hint->to)
		rewind_next(marks, hint->read_to);
	if (hint->walk != 0 && marks->walk == hint->walk)
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
 * A snapshot shows what the marks deny: somebody has changed rows behind our back.
 * Nothing is promised any more.
 */
void
rsv_hint_doubt(int32 pool_id)
{
	RsvPoolKey key;
	RsvMarks *marks;
	RsvMarksSet *set;

	if (!rsv_marks_key(pool_id, &key))
		return;
	set = rsv_marks_lock(&key, &marks);
	marks->walk = 0;
	marks->low = marks->low_since = PG_INT32_MIN;
	marks->expiry = marks->expiry_since = DT_NOBEGIN;
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
	RsvMarks *marks;
	RsvMarksSet *set;
	bool fresh;

	if (!rsv_marks_key(pool_id, &key))
		return false;
	set = rsv_marks_lock(&key, &marks);
	fresh = now - marks->counted < RSV_TRUST_US;
	*count = marks->count;
	SpinLockRelease(&set->lock);
	return fresh;
}

void
rsv_hint_counted(int32 pool_id, TimestampTz now, int64 count)
{
	RsvPoolKey key;
	RsvMarks *marks;
	RsvMarksSet *set;

	if (count <= RSV_COUNT_EXACT_MAX || !rsv_marks_key(pool_id, &key))
		return;
	set = rsv_marks_lock(&key, &marks);
	marks->count = count;
	marks->counted = now;
	SpinLockRelease(&set->lock);
}

/* A unit has been made free, from the end of this transaction on. */
void
rsv_hint_freed(const RsvPoolKey *key, int32 number, bool several)
{
	RsvMarks *marks;
	RsvMarksSet *set = rsv_marks_lock(key, &marks);

	marks->low = Min(marks->low, number);
	marks->low_since = Min(marks->low_since, number);
	put_back(marks, number, several); /* for this transaction itself; for others at its end */
	SpinLockRelease(&set->lock);
}

/*
 * A hold has been written, or a new version of one: a walk that was at its place
 * just then may have seen neither.
 */
void
rsv_hint_held(int32 pool_id, TimestampTz expires_at, bool is_new)
{
	RsvPoolKey key;
	RsvMarks *marks;
	RsvMarksSet *set;

	if (!rsv_marks_key(pool_id, &key))
		return;
	set = rsv_marks_lock(&key, &marks);
	marks->expiry = Min(marks->expiry, expires_at);
	marks->expiry_since = Min(marks->expiry_since, expires_at);
	if (is_new)
		marks->counters[RSV_COUNT_CLAIMS]++;
	SpinLockRelease(&set->lock);
}

/* Tells the marks how the changes to a pool ended. */
void
rsv_hint_ended(const RsvTouch *entry, bool committed)
{
	RsvMarks *marks;
	RsvMarksSet *set = rsv_marks_lock(&entry->key, &marks);

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

/*
 * Is it time to walk from low again? Once as many units have been given out as
 * the way from there is long, so that it costs each claim the same.
 */
static bool
walk_is_due(const RsvMarks *marks, int64 low)
{
	int64 way = low > PG_INT32_MIN ? marks->next - low : 0;

	return marks->served >= Max(RSV_WALK_EVERY, way);
}

static int64
lowest_returned(const RsvMarks *marks)
{
	return marks->nreturned > 0 ? marks->returned[marks->nreturned - 1] : RSV_NOTHING_FREE;
}

static int64
lowest_ahead(const RsvMarks *marks)
{
	return marks->ahead_first < marks->ahead_end ? marks->ahead[marks->ahead_first].number
												 : RSV_NOTHING_FREE;
}

/* Keeps what a walk has read, in order; what finds no room is left for a walk. */
static void
add_ahead(RsvMarks *marks, const RsvSpot *spot)
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
rewind_next(RsvMarks *marks, int64 number)
{
	if (number > marks->next)
		return;
	marks->next = (int32) number;
	while (marks->ahead_first < marks->ahead_end &&
		   marks->ahead[marks->ahead_end - 1].number >= number)
		marks->ahead_end--;
}

/* Begins at next, and moves it on for the others. */
static void
begin_at_next(RsvMarks *marks, int32 wanted, RsvReach reach, RsvHint *hint)
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

/* A number is free again: it goes out next. Kept in descending order. */
static void
put_back(RsvMarks *marks, int64 number, bool several)
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
