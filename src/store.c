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
#include "catalog/pg_class.h"
#include "executor/executor.h"
#include "storage/bufmgr.h"
#include "storage/lmgr.h"
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
	int ncolumns;          /* as this version of the library expects */
	Oid oid;               /* InvalidOid: never looked up */
	bool stale;            /* changed since it was learned */
	MemoryContext context; /* all that follows */
	EState *estate;
	ResultRelInfo *target;
	Oid *index_oids;
} TableInfo;

/* Conditions that a scan can have */
#define RSV_KEYS_MAX 3

/* The indexes that scans use. */
typedef struct IndexName
{
	const char *name;
	RsvTable table;
	Oid oid; /* set when its table is learned */
} IndexName;

static TableInfo tables[] = {
	[RSV_POOL] = {"pool", 16},
	[RSV_AVAILABLE] = {"available", 2},
	[RSV_UNIT] = {"unit", 4},
	[RSV_STOCK] = {"stock", 4},
	[RSV_CLAIM] = {"claim", 12},
	[RSV_REQUEST] = {"request", 6},
	[RSV_OPERATION] = {"operation", 5},
	[RSV_PROVIDER] = {"payment_provider", 3},
	[RSV_CHECKOUT] = {"checkout", 14},
	[RSV_PAYMENT] = {"payment", 10},
	[RSV_ORDER] = {"order", 5},
	[RSV_LOG] = {"log", 10},
};

static IndexName indexes[] = {
	[RSV_POOL_PKEY] = {"pool_pkey", RSV_POOL},
	[RSV_POOL_NAME] = {"pool_name", RSV_POOL},
	[RSV_AVAILABLE_PKEY] = {"available_pkey", RSV_AVAILABLE},
	[RSV_UNIT_PKEY] = {"unit_pkey", RSV_UNIT},
	[RSV_STOCK_PKEY] = {"stock_pkey", RSV_STOCK},
	[RSV_STOCK_SPLIT] = {"stock_split", RSV_STOCK},
	[RSV_CLAIM_PKEY] = {"claim_pkey", RSV_CLAIM},
	[RSV_CLAIM_LIVE] = {"claim_live", RSV_CLAIM},
	[RSV_CLAIM_EXPIRY] = {"claim_expiry", RSV_CLAIM},
	[RSV_CLAIM_HOLDER] = {"claim_holder", RSV_CLAIM},
	[RSV_REQUEST_PKEY] = {"request_pkey", RSV_REQUEST},
	[RSV_OPERATION_PKEY] = {"operation_pkey", RSV_OPERATION},
	[RSV_PROVIDER_PKEY] = {"payment_provider_pkey", RSV_PROVIDER},
	[RSV_CHECKOUT_PKEY] = {"checkout_pkey", RSV_CHECKOUT},
	[RSV_CHECKOUT_REQUEST] = {"checkout_request", RSV_CHECKOUT},
	[RSV_PAYMENT_PKEY] = {"payment_pkey", RSV_PAYMENT},
	[RSV_PAYMENT_CHECKOUT] = {"payment_checkout", RSV_PAYMENT},
	[RSV_ORDER_CHECKOUT] = {"order_checkout", RSV_ORDER},
	[RSV_ORDER_NUMBER] = {"order_number", RSV_ORDER},
};

static void index_keys(const RsvKey *keys, int nkeys, ScanKeyData *scan_keys);
static Oid named_relation(const char *name);
static TableInfo *table_info(RsvTable table);
static void table_learn(TableInfo *info);
static void learn_target(TableInfo *info, Relation relation);
static void forget_changed(Datum arg, Oid relid);
static bool knows(const TableInfo *info, Oid relid);
static Relation target_open(TableInfo *info);
static void target_close(TableInfo *info);
static RsvWrite write_result(TM_Result result);
static RsvWrite lock_row(Relation relation, ItemPointer tid, LockTupleMode mode,
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
	TableInfo *info = &tables[RSV_AVAILABLE];

	if (!OidIsValid(info->oid) || info->stale)
		info = table_info(RSV_AVAILABLE);
	return info->oid;
}

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

/*
 * Starts a scan in index order. The keys are conditions on the first columns
 * of the index in order; the last column may have two, for a range.
 */
void
rsv_scan_begin(RsvScan *scan, RsvIndex index, Snapshot as_of, const RsvKey *keys, int nkeys)
{
	TableInfo *info = table_info(indexes[index].table);
	ScanKeyData scan_keys[RSV_KEYS_MAX];

	index_keys(keys, nkeys, scan_keys);
	CommandCounterIncrement();
	scan->table = table_open(info->oid, NoLock);
	scan->index = index_open(indexes[index].oid, RowExclusiveLock);
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
	scan->scan = index_beginscan(scan->table, scan->index, as_of, NULL, nkeys, 0);
	scan->scan->xs_want_itup = scan->as_of == NULL; /* for rsv_scan_ahead */
	index_rescan(scan->scan, scan_keys, nkeys, NULL, 0);
}

/* Starts the same scan anew, with other keys of the same shape. */
void
rsv_scan_again(RsvScan *scan, const RsvKey *keys, int nkeys)
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
	scan->table = table_open(table_info(table)->oid, NoLock);
	scan->index = NULL;
	scan->scan = NULL;
	scan->slot = table_slot_create(scan->table, NULL);
	scan->as_of = NULL;
	InitDirtySnapshot(scan->dirty);
	if (ItemPointerGetBlockNumber(tid) >= RelationGetNumberOfBlocks(scan->table) ||
		!table_tuple_fetch_row_version(scan->table, tid, &scan->dirty, scan->slot) ||
		TransactionIdIsValid(scan->dirty.xmin))
		return false;
	scan->holder = scan->dirty.xmax;
	slot_getallattrs(scan->slot);
	return true;
}

/*
 * Reads on in the index alone: where a row should be, and a column of its key.
 * Nothing is said about the row; afterwards the scan can only be ended.
 */
bool
rsv_scan_ahead(RsvScan *scan, int key_column, Datum *value, ItemPointer tid)
{
	ItemPointer found = index_getnext_tid(scan->scan, ForwardScanDirection);
	bool isnull;

	if (found == NULL)
		return false;
	*tid = *found;
	*value =
		index_getattr(scan->scan->xs_itup, key_column, RelationGetDescr(scan->index), &isnull);
	return true;
}

/* Moves to the next row in the scan's direction, all its columns in slot->tts_values. */
bool
rsv_scan_next(RsvScan *scan)
{
	while (index_getnext_slot(scan->scan, scan->direction, scan->slot))
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
 * Replaces the row version at tid, which then says where the new one is.
 * RSV_CHANGED if it is no longer the newest;
 * RSV_BUSY, with *holder if known, if that is not settled yet and the caller
 * does not want to wait.
 */
RsvWrite
rsv_store_update(RsvTable table, ItemPointer tid, Datum *values, bool *nulls, bool wait,
				 TransactionId *holder)
{
	TableInfo *info = table_info(table);
	Relation relation = table_open(info->oid, NoLock);
	TupleTableSlot *slot =
		MakeSingleTupleTableSlot(RelationGetDescr(relation), &TTSOpsVirtual);
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
	{
		(void) target_open(info);
		ExecInsertIndexTuples(info->target, slot, info->estate, true, false, NULL, NIL,
							  update_indexes == TU_Summarizing);
		target_close(info);
	}

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
rsv_scan_delete(RsvScan *scan, TransactionId *holder)
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
 * is still so: an index created meanwhile must not be missed. While the lock is
 * held, the definition stays; news that arrive later are for the next call.
 */
static TableInfo *
table_info(RsvTable table)
{
	static bool registered = false;
	TableInfo *info = &tables[table];

	if (!registered)
	{
		CacheRegisterRelcacheCallback(forget_changed, (Datum) 0);
		registered = true;
	}
	if (OidIsValid(info->oid))
		LockRelationOid(info->oid, RowExclusiveLock);
	if (!OidIsValid(info->oid) || info->stale)
		table_learn(info);
	return info;
}

/* Learns a table anew: news that arrive during it make it stale again. */
static void
table_learn(TableInfo *info)
{
	Relation relation;
	int table = info - tables;

	info->stale = false;
	if (info->context != NULL)
		MemoryContextDelete(info->context);
	info->context = AllocSetContextCreate(CacheMemoryContext, "reservation table",
										  ALLOCSET_SMALL_SIZES);
	MemoryContextSetIdentifier(info->context, info->name);
	info->target = NULL;
	info->oid = InvalidOid;

	relation = table_open(named_relation(info->name), RowExclusiveLock);
	if (relation->rd_rel->relkind != RELKIND_RELATION ||
		RelationGetNumberOfAttributes(relation) != info->ncolumns)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("table \"%s.%s\" is not as this version of the library knows it",
						RSV_SCHEMA, info->name),
				 errhint("Run ALTER EXTENSION reservation UPDATE, and undo other changes.")));
	for (int i = 0; i < (int) lengthof(indexes); i++)
	{
		if (indexes[i].table == (RsvTable) table)
			indexes[i].oid = named_relation(indexes[i].name);
	}
	learn_target(info, relation);
	info->oid = RelationGetRelid(relation);
	table_close(relation, NoLock);
}

/*
 * Makes room for the prepared predicates and checks of a table, which the
 * executor will keep there.
 */
static void
learn_target(TableInfo *info, Relation relation)
{
	MemoryContext caller = MemoryContextSwitchTo(info->context);
	ResultRelInfo *target = makeNode(ResultRelInfo);

	info->estate = CreateExecutorState();
	InitResultRelInfo(target, relation, 0, NULL, 0);
	ExecOpenIndices(target, false);
	info->index_oids = palloc0(sizeof(Oid) * (target->ri_NumIndices + 1));
	for (int i = 0; i < target->ri_NumIndices; i++)
		info->index_oids[i] = RelationGetRelid(target->ri_IndexRelationDescs[i]);
	ExecCloseIndices(target);
	info->target = target;
	MemoryContextSwitchTo(caller);
}

/*
 * Relcache callback. Only marks: what is known may be in use by the call during
 * which the message arrives.
 */
static void
forget_changed(Datum arg, Oid relid)
{
	for (int i = 0; i < (int) lengthof(tables); i++)
	{
		if (relid == InvalidOid || knows(&tables[i], relid))
			tables[i].stale = true;
	}
}

/* Is this the table, or one of its indexes? While it is being learned, it may be. */
static bool
knows(const TableInfo *info, Oid relid)
{
	if (relid == info->oid || info->target == NULL)
		return true;
	for (int i = 0; i < info->target->ri_NumIndices; i++)
	{
		if (relid == info->index_oids[i])
			return true;
	}
	return false;
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
