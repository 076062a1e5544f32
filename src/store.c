/*
 * store.c
 *	  Direct row access: the only file that knows the table access API.
 *
 * Invariant: a write here either happened to exactly the row version that the
 * caller examined, with all its constraints and indexes, or not at all. Nobody
 * but this file touches a page, so nobody can forget an index.
 *
 * Decisions are taken on what is true now, at every isolation level. A scan
 * "as of" a snapshot sees the rows of one instant (rsv_store_now). A scan
 * without one sees committed rows and those of unfinished transactions, and
 * says whose (SnapshotDirty). Neither takes part in serializable conflict
 * checks: what we promise rests on row locks and unique indexes, so a false
 * serialization failure would buy nothing.
 *
 * Lock order: table before its indexes, RowExclusiveLock, kept to the end of
 * the transaction as every INSERT does.
 *
 * Memory: what is known about a table (indexes, prepared predicates and
 * checks) lives in a context of its own until the table's definition changes.
 * Scans and slots live in the caller's context.
 */
#include "postgres.h"

#include "access/relscan.h"
#include "access/table.h"
#include "access/tableam.h"
#include "access/xact.h"
#include "catalog/namespace.h"
#include "executor/executor.h"
#include "storage/lmgr.h"
#include "storage/procarray.h"
#include "utils/inval.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/snapmgr.h"

#include "compat.h"
#include "reservation.h"

/* What one backend knows about one of our tables. */
typedef struct TableInfo
{
	const char *name;
	Oid oid;               /* InvalidOid: not looked up, or changed since */
	MemoryContext context; /* all that follows */
	EState *estate;
	ResultRelInfo *target;
	Oid *index_oids;
} TableInfo;

typedef struct IndexName
{
	const char *name;
	RsvTable table;
	Oid oid;
} IndexName;

static TableInfo tables[] = {
	[RSV_POOL] = {"pool"},
	[RSV_AVAILABLE] = {"available"},
	[RSV_UNIT] = {"unit"},
	[RSV_CLAIM] = {"claim"},
	[RSV_REQUEST] = {"request"},
	[RSV_LOG] = {"log"},
};

static IndexName indexes[] = {
	[RSV_POOL_PKEY] = {"pool_pkey", RSV_POOL},
	[RSV_POOL_NAME] = {"pool_name", RSV_POOL},
	[RSV_AVAILABLE_PKEY] = {"available_pkey", RSV_AVAILABLE},
	[RSV_UNIT_PKEY] = {"unit_pkey", RSV_UNIT},
	[RSV_CLAIM_PKEY] = {"claim_pkey", RSV_CLAIM},
	[RSV_CLAIM_LIVE] = {"claim_live", RSV_CLAIM},
	[RSV_CLAIM_EXPIRY] = {"claim_expiry", RSV_CLAIM},
	[RSV_CLAIM_HOLDER] = {"claim_holder", RSV_CLAIM},
	[RSV_REQUEST_PKEY] = {"request_pkey", RSV_REQUEST},
};

static Oid named_relation(const char *name);
static TableInfo *table_info(RsvTable table);
static void table_learn(TableInfo *info);
static void forget_changed(Datum arg, Oid relid);
static Relation target_open(TableInfo *info);
static void target_close(TableInfo *info);
static RsvWrite write_result(TM_Result result, const TM_FailureData *failure,
							 TransactionId *holder);

/* The role that owns the tables, in whose name plans run. */
Oid
rsv_store_owner(void)
{
	Relation relation = table_open(table_info(RSV_POOL)->oid, NoLock);
	Oid owner = relation->rd_rel->relowner;

	table_close(relation, NoLock);
	return owner;
}

/* Tells this installation of the extension from one dropped and created again. */
Oid
rsv_store_identity(void)
{
	return table_info(RSV_AVAILABLE)->oid;
}

/* A snapshot of this instant. Give it back with rsv_store_forget. */
Snapshot
rsv_store_now(void)
{
	return RegisterSnapshot(GetLatestSnapshot());
}

void
rsv_store_forget(Snapshot snapshot)
{
	UnregisterSnapshot(snapshot);
}

/*
 * Starts a scan in index order. The keys are conditions on the first columns
 * of the index; a range may only stand last.
 */
void
rsv_scan_begin(RsvScan *scan, RsvIndex index, Snapshot as_of, const RsvKey *keys, int nkeys)
{
	TableInfo *info = table_info(indexes[index].table);
	ScanKeyData scan_keys[3];

	Assert(nkeys >= 1);
	Assert(nkeys <= (int) lengthof(scan_keys));

	for (int i = 0; i < nkeys; i++)
		ScanKeyInit(&scan_keys[i], i + 1, keys[i].strategy, keys[i].procedure, keys[i].value);

	if (!OidIsValid(indexes[index].oid))
		indexes[index].oid = named_relation(indexes[index].name);
	scan->table = table_open(info->oid, NoLock);
	scan->index = index_open(indexes[index].oid, RowExclusiveLock);
	scan->slot = table_slot_create(scan->table, NULL);
	scan->as_of = as_of;
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
	scan->scan = index_beginscan(scan->table, scan->index, as_of, NULL, nkeys, 0);
	index_rescan(scan->scan, scan_keys, nkeys, NULL, 0);
}

/* Moves to the next row, all its columns in slot->tts_values. */
bool
rsv_scan_next(RsvScan *scan)
{
	while (index_getnext_slot(scan->scan, ForwardScanDirection, scan->slot))
	{
		if (scan->as_of == NULL)
			scan->holder =
				TransactionIdIsValid(scan->dirty.xmin) ? scan->dirty.xmin : scan->dirty.xmax;
		else if (scan->scan->xs_snapshot == SnapshotAny &&
				 !table_tuple_satisfies_snapshot(scan->table, scan->slot, scan->as_of))
			continue;
		slot_getallattrs(scan->slot);
		return true;
	}
	return false;
}

/*
 * Is the row that an as-of scan stands on still the newest version? If an
 * unfinished transaction is changing it, *holder says which.
 */
bool
rsv_scan_still(RsvScan *scan, TransactionId *holder)
{
	bool visible = table_tuple_satisfies_snapshot(scan->table, scan->slot, &scan->dirty);

	*holder = visible ? scan->dirty.xmax : InvalidTransactionId;
	return visible;
}

void
rsv_scan_end(RsvScan *scan)
{
	index_endscan(scan->scan);
	ExecDropSingleTupleTableSlot(scan->slot);
	index_close(scan->index, NoLock);
	table_close(scan->table, NoLock);
}

/* Inserts a row: constraints, heap, every index. */
void
rsv_store_insert(RsvTable table, Datum *values, bool *nulls)
{
	TableInfo *info = table_info(table);
	Relation relation = target_open(info);
	TupleTableSlot *slot = MakeSingleTupleTableSlot(RelationGetDescr(relation), &TTSOpsVirtual);

	slot->tts_values = values;
	slot->tts_isnull = nulls;
	ExecStoreVirtualTuple(slot);
	if (relation->rd_att->constr)
		ExecConstraints(info->target, slot, info->estate);
	table_tuple_insert(relation, slot, GetCurrentCommandId(true), 0, NULL);
	ExecInsertIndexTuples(info->target, slot, info->estate, false, false, NULL, NIL, false);

	ResetPerTupleExprContext(info->estate);
	ExecDropSingleTupleTableSlot(slot);
	target_close(info);
}

/*
 * Replaces the row version at tid. RSV_CHANGED if it is no longer the newest;
 * RSV_BUSY, with *holder, if that is not settled yet and the caller does not
 * want to wait.
 */
RsvWrite
rsv_store_update(RsvTable table, ItemPointer tid, Datum *values, bool *nulls, bool wait,
				 TransactionId *holder)
{
	TableInfo *info = table_info(table);
	Relation relation = target_open(info);
	TupleTableSlot *slot = MakeSingleTupleTableSlot(RelationGetDescr(relation), &TTSOpsVirtual);
	TU_UpdateIndexes update_indexes = TU_None;
	LockTupleMode mode;
	TM_FailureData failure;
	TM_Result result;

	slot->tts_values = values;
	slot->tts_isnull = nulls;
	ExecStoreVirtualTuple(slot);
	if (relation->rd_att->constr)
		ExecConstraints(info->target, slot, info->estate);
	result = table_tuple_update(relation, tid, slot, GetCurrentCommandId(true), InvalidSnapshot,
								InvalidSnapshot, wait, &failure, &mode, &update_indexes);
	if (result == TM_Ok && update_indexes != TU_None)
		ExecInsertIndexTuples(info->target, slot, info->estate, true, false, NULL, NIL,
							  update_indexes == TU_Summarizing);

	ResetPerTupleExprContext(info->estate);
	ExecDropSingleTupleTableSlot(slot);
	target_close(info);
	return write_result(result, &failure, holder);
}

/* Deletes the row that the scan stands on, and never waits for anyone. */
RsvWrite
rsv_scan_delete(RsvScan *scan, TransactionId *holder)
{
	TM_FailureData failure;
	TM_Result result;

	result = table_tuple_delete(scan->table, &scan->slot->tts_tid, GetCurrentCommandId(true),
								InvalidSnapshot, InvalidSnapshot, false, &failure, false);
	return write_result(result, &failure, holder);
}

static RsvWrite
write_result(TM_Result result, const TM_FailureData *failure, TransactionId *holder)
{
	*holder = InvalidTransactionId;
	switch (result)
	{
		case TM_Ok:
			return RSV_WRITTEN;
		case TM_BeingModified:

			/*
			 * Somebody may only have locked the row, alone or with others; then
			 * this is no transaction to wait for, and the caller looks again.
			 */
			if (TransactionIdIsNormal(failure->xmax) && TransactionIdIsInProgress(failure->xmax))
				*holder = failure->xmax;
			return RSV_BUSY;
		case TM_Updated:
		case TM_Deleted:
		case TM_SelfModified:
			return RSV_CHANGED;
		default:
			elog(ERROR, "unexpected result %d of a row change", result);
	}
	return RSV_CHANGED; /* keep the compiler quiet */
}

static Oid
named_relation(const char *name)
{
	Oid schema = get_namespace_oid(RSV_SCHEMA, false);
	Oid oid = get_relname_relid(name, schema);

	if (!OidIsValid(oid))
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_TABLE),
				 errmsg("relation \"%s.%s\" does not exist", RSV_SCHEMA, name),
				 errhint("The extension is damaged: restore it, or drop and create it again.")));
	return oid;
}

/*
 * Locks a table and returns what is known about it. Taking the lock reads the
 * news of other sessions, so only afterwards is it certain that what we know
 * is still so: an index created meanwhile must not be missed.
 */
static TableInfo *
table_info(RsvTable table)
{
	TableInfo *info = &tables[table];
	Oid oid;

	for (;;)
	{
		if (!OidIsValid(info->oid))
			table_learn(info);
		oid = info->oid;
		LockRelationOid(oid, RowExclusiveLock);
		if (oid == info->oid)
			return info;
		UnlockRelationOid(oid, RowExclusiveLock);
	}
}

/*
 * Finds a table and its indexes, and makes room for the prepared predicates and
 * checks that the executor will keep there.
 */
static void
table_learn(TableInfo *info)
{
	static bool registered = false;
	MemoryContext caller;
	Relation relation;

	if (!registered)
	{
		CacheRegisterRelcacheCallback(forget_changed, (Datum) 0);
		registered = true;
	}

	if (info->context != NULL)
		MemoryContextDelete(info->context);
	info->context =
		AllocSetContextCreate(CacheMemoryContext, "reservation table", ALLOCSET_SMALL_SIZES);
	MemoryContextSetIdentifier(info->context, info->name);

	relation = table_open(named_relation(info->name), RowExclusiveLock);
	caller = MemoryContextSwitchTo(info->context);
	info->estate = CreateExecutorState();
	info->target = makeNode(ResultRelInfo);
	InitResultRelInfo(info->target, relation, 0, NULL, 0);
	ExecOpenIndices(info->target, false);
	info->index_oids = palloc0(sizeof(Oid) * (info->target->ri_NumIndices + 1));
	for (int i = 0; i < info->target->ri_NumIndices; i++)
		info->index_oids[i] = RelationGetRelid(info->target->ri_IndexRelationDescs[i]);
	ExecCloseIndices(info->target);
	MemoryContextSwitchTo(caller);

	info->oid = RelationGetRelid(relation);
	table_close(relation, NoLock);
}

/*
 * Relcache callback. Only marks: the memory may be in use by the call during
 * which the message arrives, and is freed when the table is learned again.
 */
static void
forget_changed(Datum arg, Oid relid)
{
	for (int i = 0; i < (int) lengthof(tables); i++)
	{
		if (relid == InvalidOid || relid == tables[i].oid)
			tables[i].oid = InvalidOid;
	}
	for (int i = 0; i < (int) lengthof(indexes); i++)
	{
		if (relid == InvalidOid || relid == indexes[i].oid)
			indexes[i].oid = InvalidOid;
	}
}

/* Opens a locked table for writing, with its indexes. */
static Relation
target_open(TableInfo *info)
{
	ResultRelInfo *target = info->target;
	Relation relation = table_open(info->oid, NoLock);

	target->ri_RelationDesc = relation;
	for (int i = 0; i < target->ri_NumIndices; i++)
		target->ri_IndexRelationDescs[i] = index_open(info->index_oids[i], RowExclusiveLock);
	return relation;
}

static void
target_close(TableInfo *info)
{
	ResultRelInfo *target = info->target;

	for (int i = 0; i < target->ri_NumIndices; i++)
		index_close(target->ri_IndexRelationDescs[i], NoLock);
	table_close(target->ri_RelationDesc, NoLock);
}
