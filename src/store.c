/*
 * store.c
 *	  Writing our rows: the only file that changes them by the table access API.
 *
 * Invariant: a write here either happened to exactly the row version that the
 * caller examined (scan.c), with all its constraints and indexes, or not at all.
 * Nobody but this file changes a page, so nobody can forget an index.
 *
 * Decisions are taken on what is true now, at every isolation level; so no write
 * looks at the transaction's snapshot.
 *
 * Lock order: table before its indexes (layout.c).
 *
 * Memory: slots live in the caller's context.
 */
#include "postgres.h"

#include "access/table.h"
#include "access/tableam.h"
#include "access/xact.h"
#include "executor/executor.h"
#include "utils/snapmgr.h"

#include "compat.h"
#include "layout.h"

static RsvWrite write_result(TM_Result result);
static RsvWrite lock_row(Relation relation, ItemPointer tid, LockTupleMode mode,
						 TransactionId *holder);

/*
 * A snapshot of this instant, in which also this command's own writes show.
 * Give it back with rsv_store_forget.
 */
Snapshot
rsv_store_now(void)
{
	CommandCounterIncrement();
	return RegisterSnapshot(GetLatestSnapshot());
}

void
rsv_store_forget(Snapshot snapshot)
{
	UnregisterSnapshot(snapshot);
}

/* Inserts a row: constraints, heap, every index. */
void
rsv_store_insert(RsvTable table, Datum *values, bool *nulls)
{
	RsvTableInfo *info = rsv_layout_table(table);
	Relation relation = table_open(info->oid, NoLock);
	TupleTableSlot *slot = MakeSingleTupleTableSlot(RelationGetDescr(relation), &TTSOpsVirtual);

	info->target->ri_RelationDesc = relation;
	slot->tts_values = values;
	slot->tts_isnull = nulls;
	ExecStoreVirtualTuple(slot);
	if (relation->rd_att->constr)
		ExecConstraints(info->target, slot, info->estate);
	table_tuple_insert(relation, slot, GetCurrentCommandId(true), 0, NULL);
	rsv_layout_index_row(info, relation, slot, false, false);

	ResetPerTupleExprContext(info->estate);
	ExecDropSingleTupleTableSlot(slot);
	table_close(relation, NoLock);
}

/*
 * Replaces the row version at tid, which then says where the new one is.
 * RSV_CHANGED if it is no longer the newest;
 * RSV_BUSY, with *holder if known, if that is not settled yet and the caller
 * does not want to wait.
 */
RsvWrite
rsv_store_update(RsvTable table, ItemPointer tid, Datum *values, bool *nulls, bool wait,
				 TransactionId *holder)
{
	RsvTableInfo *info = rsv_layout_table(table);
	Relation relation = table_open(info->oid, NoLock);
	TupleTableSlot *slot = MakeSingleTupleTableSlot(RelationGetDescr(relation), &TTSOpsVirtual);
	TU_UpdateIndexes update_indexes = TU_None;
	LockTupleMode mode;
	TM_FailureData failure;
	RsvWrite result = RSV_WRITTEN;

	info->target->ri_RelationDesc = relation;
	slot->tts_values = values;
	slot->tts_isnull = nulls;
	ExecStoreVirtualTuple(slot);
	if (relation->rd_att->constr)
		ExecConstraints(info->target, slot, info->estate);

	/* heap tables cannot update without waiting, but they can lock so */
	*holder = InvalidTransactionId;
	if (!wait)
		result = lock_row(relation, tid, LockTupleNoKeyExclusive, holder);
	if (result == RSV_WRITTEN)
		result = write_result(table_tuple_update(relation, tid, slot, GetCurrentCommandId(true),
												 InvalidSnapshot, InvalidSnapshot, true, &failure,
												 &mode, &update_indexes));
	if (result == RSV_WRITTEN)
		*tid = slot->tts_tid;
	if (result == RSV_WRITTEN && update_indexes != TU_None)
		rsv_layout_index_row(info, relation, slot, true, update_indexes == TU_Summarizing);

	ResetPerTupleExprContext(info->estate);
	ExecDropSingleTupleTableSlot(slot);
	table_close(relation, NoLock);
	return result;
}

/*
 * Deletes the row that the scan stands on, and never waits for anyone. Somebody
 * may be deleting it, or only have it locked, perhaps we ourselves: then taking
 * the lock tells.
 */
RsvWrite
rsv_store_delete(RsvScan *scan, TransactionId *holder)
{
	ItemPointerData tid = scan->slot->tts_tid;
	TM_FailureData failure;
	TM_Result result;
	RsvWrite locked;

	result = table_tuple_delete(scan->table, &tid, GetCurrentCommandId(true), InvalidSnapshot,
								InvalidSnapshot, false, &failure, false);
	if (result == TM_BeingModified)
	{
		locked = lock_row(scan->table, &tid, LockTupleExclusive, holder);
		if (locked != RSV_WRITTEN)
			return locked;
		result = table_tuple_delete(scan->table, &tid, GetCurrentCommandId(true), InvalidSnapshot,
									InvalidSnapshot, true, &failure, false);
	}
	return write_result(result);
}

static RsvWrite
write_result(TM_Result result)
{
	switch (result)
	{
		case TM_Ok:
			return RSV_WRITTEN;
		case TM_Updated:
		case TM_Deleted:
		case TM_SelfModified:
			return RSV_CHANGED;
		default:
			elog(ERROR, "unexpected result %d of a row change", result);
	}
	return RSV_CHANGED; /* keep the compiler quiet */
}

/*
 * Locks a row version without waiting. If it is busy, *holder says who is
 * changing it; nobody, if it is only locked.
 */
static RsvWrite
lock_row(Relation relation, ItemPointer tid, LockTupleMode mode, TransactionId *holder)
{
	TupleTableSlot *slot = table_slot_create(relation, NULL);
	SnapshotData dirty;
	TM_FailureData failure;
	TM_Result result;

	result = table_tuple_lock(relation, tid, SnapshotAny, slot, GetCurrentCommandId(true), mode,
							  LockWaitSkip, 0, &failure);
	*holder = InvalidTransactionId;
	if (result == TM_WouldBlock)
	{
		InitDirtySnapshot(dirty);
		if (table_tuple_fetch_row_version(relation, tid, &dirty, slot))
			*holder = dirty.xmax;
	}
	ExecDropSingleTupleTableSlot(slot);
	return result == TM_WouldBlock ? RSV_BUSY : write_result(result);
}
