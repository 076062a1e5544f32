/*
 * directory.c
 *	  Where the rows of pools were last found, by what they were looked for: a name, or
 *	  an id.
 *
 * A row may move and its place be used again, so whoever looks there must see that what
 * it finds is the row meant: a wrong entry costs time, and no answer. The entries are
 * for all sessions and databases, in shared memory; without shared_preload_libraries,
 * every session has some of its own.
 *
 * An entry is one word, read and written as a whole: part of the hash of what was looked
 * for, the block, and the row's number there. It is in the place that the rest of the
 * hash says, or another is.
 *
 * Locks: none.
 */
#include "postgres.h"

#include "common/hashfn.h"
#include "miscadmin.h"
#include "port/atomics.h"
#include "port/pg_bitutils.h"

#include "reservation.h"

#define TAG_SHIFT   48 /* above it, the part of the hash */
#define BLOCK_SHIFT 16

/* Entries of a session without shared memory; a power of two */
#define OWN_ENTRIES 1024

/* Entries for each pool that has room in shared memory: so two seldom have the same */
#define ENTRIES_PER_POOL 4

static pg_atomic_uint64 own_entries[OWN_ENTRIES];
static pg_atomic_uint64 *entries = own_entries;
static uint64 nentries = OWN_ENTRIES;

static void clear(void);
static uint64 count_shared(void);
static Size size_shared(void);
static void attach_shared(void *memory, bool is_new);

/* Knows nothing; asks for shared memory, if it can be had. */
void
rsv_directory_init(void)
{
	clear();
	if (process_shared_preload_libraries_in_progress)
		rsv_shared_add((RsvSharedPiece) {"reservation directory", size_shared, attach_shared});
}

static void
clear(void)
{
	for (uint64 i = 0; i < nentries; i++)
		pg_atomic_init_u64(&entries[i], 0);
}

/* Where the row was that is looked for by this; nowhere, if that is not known. */
RsvPlace
rsv_directory_find(const void *key, Size size)
{
	uint64 hash = hash_bytes_extended(key, size, MyDatabaseId);
	RsvPlace place = {.hash = hash};
	uint64 entry = pg_atomic_read_u64(&entries[hash & (nentries - 1)]);

	if (entry >> TAG_SHIFT == hash >> TAG_SHIFT)
		ItemPointerSet(&place.tid, (BlockNumber) (entry >> BLOCK_SHIFT), (OffsetNumber) entry);
	return place;
}

/* It was found elsewhere, and the place says now where. */
void
rsv_directory_enter(const RsvPlace *place)
{
	uint64 entry = (place->hash >> TAG_SHIFT << TAG_SHIFT) |
		(uint64) ItemPointerGetBlockNumber(&place->tid) << BLOCK_SHIFT |
		ItemPointerGetOffsetNumber(&place->tid);

	pg_atomic_write_u64(&entries[place->hash & (nentries - 1)], entry);
}

static uint64
count_shared(void)
{
	return pg_nextpower2_64((uint64) rsv_directory_pools * ENTRIES_PER_POOL);
}

static Size
size_shared(void)
{
	return mul_size(sizeof(pg_atomic_uint64), count_shared());
}

static void
attach_shared(void *memory, bool is_new)
{
	entries = memory;
	nentries = count_shared();
	if (is_new)
		clear();
}
