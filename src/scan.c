/*
 * scan.c
 *	  Looking at our rows, by an index or by their place.
 *
 * A scan "as of" a snapshot sees the rows of one instant (rsv_store_now). A scan
 * without one sees committed rows and those of unfinished transactions, and says
 * whose (SnapshotDirty); it may miss a row that is updated while it passes
 * (rsv_scan_find does not). Neither takes part in serializable conflict checks:
 * what we promise rests on row locks and unique indexes, so a false serialization
 * failure would buy nothing.
 *
 * A row version that was seen stays in its place until the statement ends, because
 * the snapshot of the statement keeps it: so a caller may look at a row, end the
 * scan, and change it later by its place.
 *
 * Locks: the table and the index, to the end of the transaction, table first
 * (layout.c); the row, if rsv_scan_lock asks for it.
 *
 * Memory: scans and slots live in the caller's context.
 */
#include "postgres.h"

#include "access/heapam.h"
#include "access/relscan.h"
#include "access/table.h"
#include "access/tableam.h"
#include "access/xact.h"
#include "executor/executor.h"
#include "miscadmin.h"
#include "storage/bufmgr.h"
#include "storage/smgr.h"
#include "utils/snapmgr.h"

#include "compat.h"
#include "layout.h"

/* Conditions that a scan can have */
#define RSV_KEYS_MAX 4

/* How many index entries rsv_scan_beyond passes before it descends anew */
#define RSV_PASS_MAX 12

static bool is_there(RsvIndex index, const RsvKey *keys, int nkeys);
static void again(RsvScan *scan, const RsvKey *keys, int nkeys);
static bool next_seen(RsvScan *scan);
static bool next_row(RsvScan *scan, bool *passed);
static void pin_page(RsvScan *scan, ItemPointer tid);
static void read_row(RsvScan *scan);
static void see_holder(RsvScan *scan);
static void index_keys(const RsvKey *keys, int nkeys, ScanKeyData *scan_keys);
static void look_at_block(RsvScan *scan, RsvSpot *spots, BlockNumber *blocks, bool *there,
						  int first, int count);
static bool is_in_file(Relation relation, BlockNumber block);

/*
 * Starts a scan in index order. The keys are conditions on the first columns
 * of the index in order; the last column may have two, for a range.
 */
void
rsv_scan_begin(RsvScan *scan, RsvIndex index, Snapshot as_of, const RsvKey *keys, int nkeys)
{
	RsvTableInfo *info = rsv_layout_table(rsv_layout_table_of(index));
	ScanKeyData scan_keys[RSV_KEYS_MAX];
	IndexScanDesc rows;

	index_keys(keys, nkeys, scan_keys);
	CommandCounterIncrement();
	scan->table = table_open(info->oid, NoLock);
	scan->index = index_open(rsv_layout_index(index), RowExclusiveLock);
	scan->slot = table_slot_create(scan->table, NULL);
	scan->as_of = as_of;
	scan->direction = ForwardScanDirection;
	scan->holder = InvalidTransactionId;
	InitDirtySnapshot(scan->dirty);

	/*
	 * An MVCC snapshot in an index scan takes part in serializable conflict
	 * checks; there, look at all versions and judge each by the snapshot.
	 */
	if (as_of == NULL)
		as_of = &scan->dirty;
	else if (IsolationIsSerializable())
		as_of = SnapshotAny;
	rows = index_beginscan(scan->table, scan->index, as_of, NULL, nkeys, 0);
	/* cppcheck-suppress nullPointer */
	rows->xs_want_itup = true; /* for rsv_scan_ahead and rsv_scan_beyond */
	index_rescan(rows, scan_keys, nkeys, NULL, 0);
	scan->scan = rows;
}

/*
 * Stands a scan on the row with a unique key, in flight or not; false if there is
 * none. The caller ends the scan. An update that commits between our look in the
 * index and that at the row hides the row's old version, and the new one was not
 * in the index yet: so if the index had anything, a snapshot must agree.
 */
bool
rsv_scan_find(RsvScan *scan, RsvIndex index, const RsvKey *keys, int nkeys)
{
	for (;;)
	{
		bool passed = false;

		CHECK_FOR_INTERRUPTS();
		rsv_scan_begin(scan, index, NULL, keys, nkeys);
		scan->direction = BackwardScanDirection; /* the newest version first */
		if (next_row(scan, &passed))
		{
			read_row(scan);
			return true;
		}
		if (!passed || !is_there(index, keys, nkeys))
			return false;
		rsv_scan_end(scan);
	}
}

/* Is there a row with this key, for a snapshot of this instant? */
static bool
is_there(RsvIndex index, const RsvKey *keys, int nkeys)
{
	Snapshot now = rsv_store_now();
	RsvScan scan;
	bool there;

	rsv_scan_begin(&scan, index, now, keys, nkeys);
	scan.direction = BackwardScanDirection;
	there = rsv_scan_next(&scan);
	rsv_scan_end(&scan);
	rsv_store_forget(now);
	return there;
}

/*
 * Moves to the next row within narrower keys of the same shape, the last of them
 * int4_column <= value, in a backward scan. As of a snapshot, the index entries that
 * the new keys leave out are passed if they are few: a descent costs as much as a
 * dozen of them.
 */
bool
rsv_scan_beyond(RsvScan *scan, const RsvKey *keys, int nkeys)
{
	bool pass = scan->scan->xs_snapshot == scan->as_of;
	int32 at_most = DatumGetInt32(keys[nkeys - 1].value);
	Datum value;
	ItemPointerData tid;

	Assert(scan->direction == BackwardScanDirection);
	for (int i = 0; pass && i < RSV_PASS_MAX; i++)
	{
		if (!rsv_scan_ahead(scan, nkeys, &value, &tid))
			return false;
		if (DatumGetInt32(value) > at_most)
			continue;
		pin_page(scan, &tid);
		if (index_fetch_heap(scan->scan, scan->slot))
		{
			read_row(scan);
			return true;
		}
	}
	again(scan, keys, nkeys);
	return rsv_scan_next(scan);
}

/* Starts the same scan anew, with other keys of the same shape. */
static void
again(RsvScan *scan, const RsvKey *keys, int nkeys)
{
	ScanKeyData scan_keys[RSV_KEYS_MAX];

	index_keys(keys, nkeys, scan_keys);
	index_rescan(scan->scan, scan_keys, nkeys, NULL, 0);
}

static void
index_keys(const RsvKey *keys, int nkeys, ScanKeyData *scan_keys)
{
	int column = 0;

	Assert(nkeys >= 1);
	Assert(nkeys <= RSV_KEYS_MAX);
	for (int i = 0; i < nkeys; i++)
	{
		if (keys[i].strategy != BTLessEqualStrategyNumber || i == 0 ||
			keys[i - 1].strategy == BTEqualStrategyNumber)
			column++;
		ScanKeyInit(&scan_keys[i], column, keys[i].strategy, keys[i].procedure, keys[i].value);
	}
}

/*
 * Looks at one row version, which may be gone, or another row by now: true if
 * a committed row is there that at most an unfinished transaction is deleting.
 * Whoever asks must check that it is the row meant, and end the scan.
 */
bool
rsv_scan_at(RsvScan *scan, RsvTable table, ItemPointer tid)
{
	CommandCounterIncrement(); /* what this command wrote can be changed again */
	scan->table = table_open(rsv_layout_table(table)->oid, NoLock);
	scan->index = NULL;
	scan->scan = NULL;
	scan->slot = table_slot_create(scan->table, NULL);
	scan->as_of = NULL;
	InitDirtySnapshot(scan->dirty);
	if (!is_in_file(scan->table, ItemPointerGetBlockNumber(tid)) ||
		!table_tuple_fetch_row_version(scan->table, tid, &scan->dirty, scan->slot) ||
		TransactionIdIsValid(scan->dirty.xmin))
		return false;
	scan->holder = scan->dirty.xmax;
	slot_getallattrs(scan->slot);
	return true;
}

/*
 * Is the block in the table's file? The length that was last seen will do, as
 * whoever makes a file shorter says so to all sessions before they can lock the
 * table again; asking the operating system each time costs a system call.
 */
static bool
is_in_file(Relation relation, BlockNumber block)
{
	BlockNumber seen = RelationGetSmgr(relation)->smgr_cached_nblocks[MAIN_FORKNUM];

	return (seen != InvalidBlockNumber && block < seen) ||
		block < RelationGetNumberOfBlocks(relation);
}

/*
 * Reads on in the index alone: where a row should be, and a column of its key.
 * Nothing is said about the row, and the scan does not stand on it.
 */
bool
rsv_scan_ahead(RsvScan *scan, int key_column, Datum *value, ItemPointer tid)
{
	ItemPointer found = index_getnext_tid(scan->scan, scan->direction);
	bool isnull;

	if (found == NULL)
		return false;
	*tid = *found;
	*value = index_getattr(scan->scan->xs_itup, key_column, RelationGetDescr(scan->index), &isnull);
	return true;
}

/*
 * Leaves out the places where no row is left, and returns how many remain. A
 * block is looked at once, however many of the places are in it: under an old
 * snapshot the index goes on naming rows that are long gone.
 */
int
rsv_scan_sift(RsvScan *scan, RsvSpot *spots, int count)
{
	bool *there = palloc0(sizeof(bool) * count);
	BlockNumber *blocks = palloc(sizeof(BlockNumber) * count);
	int kept = 0;

	for (int i = 0; i < count; i++)
		blocks[i] = ItemPointerGetBlockNumber(&spots[i].tid);
	for (int i = 0; i < count; i++)
	{
		if (blocks[i] != InvalidBlockNumber)
			look_at_block(scan, spots, blocks, there, i, count);
		if (there[i])
			spots[kept++] = spots[i];
	}
	pfree(there);
	pfree(blocks);
	return kept;
}

/* Looks at the places in the block of the first one, and crosses them off. */
static void
look_at_block(RsvScan *scan, RsvSpot *spots, BlockNumber *blocks, bool *there, int first, int count)
{
	BlockNumber block = blocks[first];
	Buffer buffer = ReadBuffer(scan->table, block);
	HeapTupleData row;

	LockBuffer(buffer, BUFFER_LOCK_SHARE);
	for (int i = first; i < count; i++)
	{
		ItemPointerData tid = spots[i].tid;

		if (blocks[i] != block)
			continue;
		blocks[i] = InvalidBlockNumber;
		there[i] =
			heap_hot_search_buffer(&tid, scan->table, buffer, &scan->dirty, &row, NULL, true);
	}
	UnlockReleaseBuffer(buffer);
}

/* Is the row version that was at tid still the newest, and nobody changing it? */
bool
rsv_scan_stands(RsvTable table, ItemPointer tid)
{
	Relation relation = table_open(rsv_layout_table(table)->oid, NoLock);
	HeapTupleData row = {.t_self = *tid};
	SnapshotData dirty;
	Buffer buffer;
	bool stands;

	InitDirtySnapshot(dirty);
	stands = is_in_file(relation, ItemPointerGetBlockNumber(tid)) &&
		heap_fetch(relation, &dirty, &row, &buffer, false);
	if (stands)
		ReleaseBuffer(buffer);
	table_close(relation, NoLock);
	return stands && !TransactionIdIsValid(dirty.xmin) && !TransactionIdIsValid(dirty.xmax);
}

/* Moves to the next row in the scan's direction, all its columns in slot->tts_values. */
bool
rsv_scan_next(RsvScan *scan)
{
	if (!rsv_scan_pass(scan))
		return false;
	slot_getallattrs(scan->slot);
	return true;
}

static bool
next_seen(RsvScan *scan)
{
	bool passed;

	while (next_row(scan, &passed))
	{
		if (scan->scan->xs_snapshot != SnapshotAny ||
			table_tuple_satisfies_snapshot(scan->table, scan->slot, scan->as_of))
			return true;
	}
	return false;
}

/* Moves to the next row without reading its columns. */
bool
rsv_scan_pass(RsvScan *scan)
{
	if (!next_seen(scan))
		return false;
	see_holder(scan);
	return true;
}

/* Moves to the next row of the index scan. passed: set if the index had anything. */
static bool
next_row(RsvScan *scan, bool *passed)
{
	for (;;)
	{
		if (!scan->scan->xs_heap_continue)
		{
			ItemPointer tid = index_getnext_tid(scan->scan, scan->direction);

			if (tid == NULL)
				return false;
			*passed = true;
			pin_page(scan, tid);
		}
		if (index_fetch_heap(scan->scan, scan->slot))
			return true;
	}
}

/*
 * Pins the page of a row before it is fetched, and prunes it if it has become full.
 * The fetch itself prunes each page that it pins if that has less room than its
 * fillfactor leaves: after a few updates that is every time, for one dead row, and
 * costs more than all the rest of the fetch. So we wait until there are many.
 */
static void
pin_page(RsvScan *scan, ItemPointer tid)
{
	IndexFetchHeapData *fetch = (IndexFetchHeapData *) scan->scan->xs_heapfetch;
	BlockNumber block = ItemPointerGetBlockNumber(tid);
	Page page;

	if (BufferIsValid(fetch->xs_cbuf) && BufferGetBlockNumber(fetch->xs_cbuf) == block)
		return;
	fetch->xs_cbuf = ReleaseAndReadBuffer(fetch->xs_cbuf, scan->table, block);
	page = BufferGetPage(fetch->xs_cbuf);
	if (PageIsFull(page) || PageGetHeapFreeSpace(page) < BLCKSZ / 10)
		heap_page_prune_opt(scan->table, fetch->xs_cbuf);
}

/* The columns of the row that the scan stands on, and who has not decided about it yet. */
static void
read_row(RsvScan *scan)
{
	see_holder(scan);
	slot_getallattrs(scan->slot);
}

static void
see_holder(RsvScan *scan)
{
	if (scan->as_of == NULL)
		scan->holder = TransactionIdIsValid(scan->dirty.xmin) ? scan->dirty.xmin : scan->dirty.xmax;
}

/* The transaction that wrote the row version that the scan stands on. */
TransactionId
rsv_scan_writer(const RsvScan *scan)
{
	bool isnull;

	return DatumGetTransactionId(
		slot_getsysattr(scan->slot, MinTransactionIdAttributeNumber, &isnull));
}

/*
 * Locks the newest version of the row that the scan stands on, and moves there;
 * waits for whoever is changing it. False if it is gone: look again.
 */
bool
rsv_scan_lock(RsvScan *scan)
{
	ItemPointerData tid = scan->slot->tts_tid;
	TM_FailureData failure;
	TM_Result result;

	result = table_tuple_lock(scan->table, &tid, scan->as_of, scan->slot, GetCurrentCommandId(true),
							  LockTupleNoKeyExclusive, LockWaitBlock,
							  TUPLE_LOCK_FLAG_FIND_LAST_VERSION, &failure);
	if (result == TM_Ok)
		slot_getallattrs(scan->slot);
	return result == TM_Ok;
}

void
rsv_scan_end(RsvScan *scan)
{
	if (scan->index != NULL)
	{
		index_endscan(scan->scan);
		index_close(scan->index, NoLock);
	}
	ExecDropSingleTupleTableSlot(scan->slot);
	table_close(scan->table, NoLock);
}
