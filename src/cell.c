/*
 * cell.c
 *	  Meters of rate limits in shared memory: one cell per limit, while it is
 *	  live.
 *
 * The table is fixed in size (reservation.rate_keys), in buckets of
 * RSV_RATE_WAYS cells. A limit that finds no cell of its own takes that which
 * is idle, or becomes so first. So a live limit is never forgotten before an
 * idle one, and an idle one loses nothing. If every cell of a bucket is live,
 * the one that has least to lose starts anew: nobody is refused because there
 * is no room. Which limits share a bucket depends on a secret of this server,
 * made at its start, so that nobody can choose keys to fill a certain bucket;
 * and a limit that refuses is the last to go.
 *
 * Nothing here is undone by a rollback, and all of it is gone after a restart.
 *
 * Locks: one spinlock per bucket, for a look at the clock, a search through its
 * cells and a few divisions; nothing that can fail or wait happens under it.
 */
#include "postgres.h"

#include "miscadmin.h"
#include "storage/spin.h"
#include "utils/timestamp.h"

#include "rate.h"

/* Protected by its lock. A cell never used is idle since ever. */
typedef struct Bucket
{
	slock_t lock;
	uint8 digests[RSV_RATE_WAYS][RSV_RATE_DIGEST_BYTES];
	RsvMeter meters[RSV_RATE_WAYS];
} Bucket;

typedef struct Cells
{
	uint8 secret[RSV_SIPHASH_BYTES]; /* never changes */
	int nbuckets;
	Bucket buckets[FLEXIBLE_ARRAY_MEMBER];
} Cells;

static Cells *cells = NULL;

static int bucket_count(void);
static Size cells_size(void);
static void attach_cells(void *memory, bool is_new);
static int find_cell(const Bucket *bucket, const uint8 *digest);
static int idle_cell(const Bucket *bucket);

/* Asks for shared memory. */
void
rsv_cell_init(void)
{
	rsv_shared_add((RsvSharedPiece) {"reservation rate limits", cells_size, attach_cells});
}

/* What tells this limit from all others; false if there are no cells. */
bool
rsv_cell_digest(const void *limit, Size length, uint8 *digest)
{
	if (cells == NULL)
		return false;
	rsv_siphash(cells->secret, limit, length, digest);
	return true;
}

void
rsv_cell_spend(RsvSpend *spend)
{
	uint64 hash;
	Bucket *bucket;
	int cell;
	bool known;

	memcpy(&hash, spend->digest, sizeof(hash));
	bucket = &cells->buckets[hash % cells->nbuckets];
	SpinLockAcquire(&bucket->lock);
	spend->now = GetCurrentTimestamp(); /* no earlier than that of whoever was here before */
	cell = find_cell(bucket, spend->digest);
	known = cell < RSV_RATE_WAYS;
	spend->meter = known ? bucket->meters[cell] : RSV_METER_IDLE;
	if (rsv_gcra_spend(spend) && (known || spend->spending == RSV_SPEND))
	{
		if (!known)
			cell = idle_cell(bucket);
		memcpy(bucket->digests[cell], spend->digest, RSV_RATE_DIGEST_BYTES);
		bucket->meters[cell] = spend->meter;
	}
	SpinLockRelease(&bucket->lock);
}

/* RSV_RATE_WAYS if there is none */
static int
find_cell(const Bucket *bucket, const uint8 *digest)
{
	int cell = 0;

	while (cell < RSV_RATE_WAYS &&
		   memcmp(bucket->digests[cell], digest, RSV_RATE_DIGEST_BYTES) != 0)
		cell++;
	return cell;
}

/* The cell to forget: idle for longest, or soonest. */
static int
idle_cell(const Bucket *bucket)
{
	int idlest = 0;

	for (int cell = 1; cell < RSV_RATE_WAYS; cell++)
	{
		if (bucket->meters[cell].idle_at < bucket->meters[idlest].idle_at)
			idlest = cell;
	}
	return idlest;
}

static int
bucket_count(void)
{
	return Max(1, rsv_rate_keys / RSV_RATE_WAYS);
}

static Size
cells_size(void)
{
	return add_size(offsetof(Cells, buckets), mul_size(sizeof(Bucket), bucket_count()));
}

static void
attach_cells(void *memory, bool is_new)
{
	cells = memory;
	if (!is_new)
		return;
	if (!pg_strong_random(cells->secret, sizeof(cells->secret)))
		ereport(FATAL,
				(errcode(ERRCODE_INTERNAL_ERROR),
				 errmsg("could not generate a random secret for rate limits"),
				 errhint("The operating system has to offer strong random numbers.")));
	cells->nbuckets = bucket_count();
	memset(cells->buckets, 0, sizeof(Bucket) * cells->nbuckets);
	for (int i = 0; i < cells->nbuckets; i++)
	{
		SpinLockInit(&cells->buckets[i].lock);
		for (int cell = 0; cell < RSV_RATE_WAYS; cell++)
			cells->buckets[i].meters[cell] = RSV_METER_IDLE;
	}
}
