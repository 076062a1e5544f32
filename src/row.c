/*
 * row.c
 *	  Rows of the application's tables: found again, or read all.
 *
 * Our triggers stand in the middle of somebody else's statement. What they must
 * know afterwards of a row (is it there?) they look up here, directly: without
 * rights, policies, or a plan that somebody's search_path could bend. Nothing is
 * ever written here.
 *
 * Locks: ACCESS SHARE on the table, which a trigger has anyway, and its index.
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/heapam.h"
#include "access/htup_details.h"
#include "access/relation.h"
#include "access/relscan.h"
#include "access/table.h"
#include "access/tableam.h"
#include "access/xact.h"
#include "catalog/pg_am.h"
#include "catalog/pg_index.h"
#include "miscadmin.h"
#include "storage/bufmgr.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"

#include "compat.h"
#include "reservation.h"
#include "trigger.h"

static int index_worth(Relation index, AttrNumber column, bool column_only);
static bool index_keys(Relation index, Relation relation, HeapTuple like, int nkeys,
					   ScanKeyData *keys);
static bool search_index(Relation relation, Relation index, int nkeys, ScanKeyData *keys,
						 Snapshot as_of, RsvRowTest test, void *argument);
static bool search_table(Relation relation, BlockNumber block, Snapshot as_of, RsvRowTest test,
						 void *argument);

/*
 * The index by which a row is found again that has just been handed to the
 * executor: one that knows the column, or the primary key, or another unique
 * one. column_only: other columns of the row may still change.
 */
Oid
rsv_row_index(Relation relation, AttrNumber column, bool column_only)
{
	List *indexes = RelationGetIndexList(relation);
	Oid best = InvalidOid;
	int best_worth = 0;
	ListCell *cell;

	foreach(cell, indexes)
	{
		Relation index = index_open(lfirst_oid(cell), AccessShareLock);
		int worth = index_worth(index, column, column_only);

		if (worth > 0 && lfirst_oid(cell) == relation->rd_pkindex)
			worth++;
		if (worth > best_worth)
		{
			best_worth = worth;
			best = lfirst_oid(cell);
		}
		index_close(index, NoLock);
	}
	list_free(indexes);
	return best;
}

/*
 * Is there a row, seen as of the snapshot, that passes the test? Only rows with
 * the values of "like" in the columns of the index are looked at; without an
 * index that serves, all of them, the last page that we have written to first.
 */
bool
rsv_row_search(Relation relation, Oid index_id, HeapTuple like, AttrNumber column, Snapshot as_of,
			   RsvRowTest test, void *argument)
{
	BlockNumber last = RelationGetTargetBlock(relation);
	ScanKeyData keys[INDEX_MAX_KEYS];

	CommandCounterIncrement();
	if (OidIsValid(index_id))
	{
		Relation index = index_open(index_id, AccessShareLock);
		bool leads = index->rd_index->indkey.values[0] == column;
		int nkeys = leads ? 1 : index->rd_index->indnkeyatts;
		bool serves = index_keys(index, relation, like, nkeys, keys);
		bool found = false;

		if (serves)
			found = search_index(relation, index, nkeys, keys, as_of, test, argument);
		index_close(index, NoLock);
		if (serves)
			return found;
	}

	if (relation->rd_tableam == GetHeapamTableAmRoutine() && BlockNumberIsValid(last) &&
		last < RelationGetNumberOfBlocks(relation) &&
		search_table(relation, last, as_of, test, argument))
		return true;
	return search_table(relation, InvalidBlockNumber, as_of, test, argument);
}

/* Shows every row to the test, until it says yes. */
bool
rsv_row_visit(Relation relation, Snapshot as_of, RsvRowTest test, void *argument)
{
	return search_table(relation, InvalidBlockNumber, as_of, test, argument);
}

/* Was this version of a row written by the current transaction? */
bool
rsv_row_is_ours(TupleTableSlot *slot)
{
	bool isnull;
	Datum xmin = slot_getsysattr(slot, MinTransactionIdAttributeNumber, &isnull);

	return !isnull && TransactionIdIsCurrentTransactionId(DatumGetTransactionId(xmin));
}

/*
 * Has a command of this transaction before that one deleted or replaced this version of
 * a row, which the transaction has written? Only the heap says.
 */
bool
rsv_row_was_deleted(TupleTableSlot *slot, CommandId before)
{
	HeapTupleHeader row;

	if (!TTS_IS_BUFFERTUPLE(slot))
		return false;
	row = ExecFetchSlotHeapTuple(slot, false, NULL)->t_data;
	return (row->t_infomask & HEAP_XMAX_INVALID) == 0 &&
		!HEAP_XMAX_IS_LOCKED_ONLY(row->t_infomask) &&
		TransactionIdIsCurrentTransactionId(HeapTupleHeaderGetUpdateXid(row)) &&
		HeapTupleHeaderGetCmax(row) < before;
}

/*
 * Has this transaction moved the version of a row at this place to another partition?
 * The partition may have been emptied or dropped since.
 */
bool
rsv_row_has_left(Oid partition_id, ItemPointer place)
{
	Relation partition = try_relation_open(partition_id, AccessShareLock);
	TupleTableSlot *slot;
	bool left = false;

	if (partition == NULL)
		return false;
	slot = table_slot_create(partition, NULL);
	if (ItemPointerGetBlockNumber(place) < RelationGetNumberOfBlocks(partition) &&
		table_tuple_fetch_row_version(partition, place, SnapshotAny, slot))
	{
		HeapTuple row = ExecFetchSlotHeapTuple(slot, false, NULL);

		left = HeapTupleHeaderIndicatesMovedPartitions(row->t_data) &&
			TransactionIdIsCurrentTransactionId(HeapTupleHeaderGetUpdateXid(row->t_data));
	}
	ExecDropSingleTupleTableSlot(slot);
	table_close(partition, NoLock);
	return left;
}

/*
 * How well an index serves, 0: not at all. What a predicate or expression says is of no
 * concern; asking the relcache for it would evaluate the constant parts, in the name of
 * whoever we are just now.
 */
static int
index_worth(Relation index, AttrNumber column, bool column_only)
{
	Form_pg_index form = index->rd_index;
	bool has_column = false;

	if (!form->indisvalid || index->rd_rel->relam != BTREE_AM_OID ||
		!heap_attisnull(index->rd_indextuple, Anum_pg_index_indpred, NULL) ||
		!heap_attisnull(index->rd_indextuple, Anum_pg_index_indexprs, NULL))
		return 0;
	for (int i = 0; i < form->indnkeyatts; i++)
		has_column = has_column || form->indkey.values[i] == column;

	if (form->indisunique && has_column && form->indnkeyatts == 1)
		return 8;
	if (form->indisunique && has_column && !column_only)
		return 6;
	if (form->indkey.values[0] == column && column_only)
		return 4;
	if (form->indisunique && !column_only)
		return 4;
	return form->indkey.values[0] == column ? 2 : 0;
}

/* Conditions on the first columns of an index; false if the row has a NULL there. */
static bool
index_keys(Relation index, Relation relation, HeapTuple like, int nkeys, ScanKeyData *keys)
{
	for (int i = 0; i < nkeys; i++)
	{
		AttrNumber column = index->rd_index->indkey.values[i];
		Form_pg_attribute attribute = TupleDescAttr(RelationGetDescr(relation), column - 1);
		Oid type = index->rd_opcintype[i];
		Oid equal = get_opfamily_member(index->rd_opfamily[i], type, type, BTEqualStrategyNumber);
		bool isnull;
		Datum value = heap_getattr(like, column, RelationGetDescr(relation), &isnull);

		/* a generated column has no value yet when a BEFORE trigger sees the row */
		if (isnull || attribute->attgenerated != '\0' || !OidIsValid(equal))
			return false;
		ScanKeyEntryInitialize(&keys[i], 0, i + 1, BTEqualStrategyNumber, type,
							   index->rd_indcollation[i], get_opcode(equal), value);
	}
	return true;
}

static bool
search_index(Relation relation, Relation index, int nkeys, ScanKeyData *keys, Snapshot as_of,
			 RsvRowTest test, void *argument)
{
	TupleTableSlot *slot = table_slot_create(relation, NULL);
	IndexScanDesc scan = index_beginscan(relation, index, as_of, NULL, nkeys, 0);
	bool found = false;

	index_rescan(scan, keys, nkeys, NULL, 0);
	while (!found && index_getnext_slot(scan, ForwardScanDirection, slot))
		found = test(slot, argument);
	index_endscan(scan);
	ExecDropSingleTupleTableSlot(slot);
	return found;
}

/*
 * A scan by an MVCC snapshot takes part in serializable conflict checks; there,
 * look at all versions and judge each by the snapshot.
 */
static bool
search_table(Relation relation, BlockNumber block, Snapshot as_of, RsvRowTest test, void *argument)
{
	bool judge = IsMVCCSnapshot(as_of) && IsolationIsSerializable();
	TableScanDesc scan =
		table_beginscan_strat(relation, judge ? SnapshotAny : as_of, 0, NULL, true, false);
	TupleTableSlot *slot = table_slot_create(relation, NULL);
	bool found = false;

	if (BlockNumberIsValid(block))
		heap_setscanlimits(scan, block, 1);
	while (!found && table_scan_getnextslot(scan, ForwardScanDirection, slot))
	{
		CHECK_FOR_INTERRUPTS();
		if (!judge || table_tuple_satisfies_snapshot(relation, slot, as_of))
			found = test(slot, argument);
	}
	table_endscan(scan);
	ExecDropSingleTupleTableSlot(slot);
	return found;
}
