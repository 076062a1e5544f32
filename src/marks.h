/*
 * marks.h
 *	  The shared memory that hint.c and stats.c read and write.
 */
#ifndef RESERVATION_MARKS_H
#define RESERVATION_MARKS_H

#include "storage/spin.h"

#include "reservation.h"

#define RSV_MARKS_WAYS   8
#define RSV_RETURNED_MAX 16
#define RSV_AHEAD_MAX    (2 * RSV_SPOTS_MAX)
#define RSV_WALK_EVERY   1024 /* units, after which a walk from low is due */

/* Marks of one pool. Protected by the lock of their set. */
typedef struct RsvMarks
{
	int32 next;
	int64 served; /* units given out since a walk last began at low */
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

	TimestampTz since; /* when these marks were made, or the counters reset */
	int64 counters[RSV_COUNTERS];
} RsvMarks;

typedef struct RsvMarksSet
{
	slock_t lock;
	uint64 clock;
	RsvPoolKey keys[RSV_MARKS_WAYS]; /* pool_id 0: nobody's */
	uint64 used[RSV_MARKS_WAYS];     /* clock when last used */
	RsvMarks ways[RSV_MARKS_WAYS];
} RsvMarksSet;

extern int rsv_marks_sets(void);
extern RsvMarksSet *rsv_marks_set(int number);
extern RsvMarksSet *rsv_marks_lock(const RsvPoolKey *key, RsvMarks **marks);

#endif /* RESERVATION_MARKS_H */
