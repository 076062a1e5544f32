/*
 * layout.c
 *	  Our tables and indexes as this session knows them.
 *
 * Invariant: what is known of a table is as of the time when its lock was
 * taken, so a row is never written past an index, a constraint or a column that
 * another session has just added.
 *
 * Lock order: table before its indexes, RowExclusiveLock, kept to the end of
 * the transaction as every INSERT does.
 *
 * Memory: what is known about a table (indexes, prepared predicates and
 * checks) lives in a context of its own until the table's definition changes.
 */
#include "postgres.h"

#include "access/table.h"
#include "access/xact.h"
#include "catalog/namespace.h"
#include "catalog/pg_am.h"
#include "catalog/pg_class.h"
#include "executor/executor.h"
#include "miscadmin.h"
#include "storage/bufmgr.h"
#include "storage/lmgr.h"
#include "utils/inval.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"

#include "compat.h"
#include "layout.h"

/* The indexes that scans use. */
typedef struct IndexName
{
	const char *name;
	RsvTable table;
	Oid oid; /* set when its table is learned */
} IndexName;

static RsvTableInfo tables[] = {
	[RSV_POOL] = {"pool", 24},
	[RSV_ERA] = {"era", 1},
	[RSV_AVAILABLE] = {"available", 2},
	[RSV_UNIT] = {"unit", 4},
	[RSV_STOCK] = {"stock", 4},
	[RSV_CLAIM] = {"claim", 16},
	[RSV_ARCHIVE] = {"claim_archive", 16},
	[RSV_TICKET] = {"ticket", 13},
	[RSV_LINE_BLOCK] = {"line_block", 5},
	[RSV_REQUEST] = {"request", 6},
	[RSV_RATE] = {"rate", 5},
	[RSV_OPERATION] = {"operation", 5},
	[RSV_PROVIDER] = {"payment_provider", 3},
	[RSV_CHECKOUT] = {"checkout", 14},
	[RSV_PAYMENT] = {"payment", 10},
	[RSV_ORDER] = {"order", 5},
	[RSV_LOG] = {"log", 14},
};

static IndexName indexes[] = {
	[RSV_POOL_PKEY] = {"pool_pkey", RSV_POOL},
	[RSV_POOL_NAME] = {"pool_name", RSV_POOL},
	[RSV_ERA_PKEY] = {"era_pkey", RSV_ERA},
	[RSV_AVAILABLE_PKEY] = {"available_pkey", RSV_AVAILABLE},
	[RSV_UNIT_PKEY] = {"unit_pkey", RSV_UNIT},
	[RSV_STOCK_PKEY] = {"stock_pkey", RSV_STOCK},
	[RSV_STOCK_SPLIT] = {"stock_split", RSV_STOCK},
	[RSV_CLAIM_PKEY] = {"claim_pkey", RSV_CLAIM},
	[RSV_CLAIM_LIVE] = {"claim_live", RSV_CLAIM},
	[RSV_CLAIM_EXPIRY] = {"claim_expiry", RSV_CLAIM},
	[RSV_CLAIM_HOLDER] = {"claim_holder", RSV_CLAIM},
	[RSV_ARCHIVE_PKEY] = {"claim_archive_pkey", RSV_ARCHIVE},
	[RSV_ARCHIVE_LIVE] = {"claim_archive_live", RSV_ARCHIVE},
	[RSV_TICKET_PKEY] = {"ticket_pkey", RSV_TICKET},
	[RSV_TICKET_LINE] = {"ticket_line", RSV_TICKET},
	[RSV_TICKET_HOLDER] = {"ticket_holder", RSV_TICKET},
	[RSV_LINE_BLOCK_PLACE] = {"line_block_place", RSV_LINE_BLOCK},
	[RSV_REQUEST_PKEY] = {"request_pkey", RSV_REQUEST},
	[RSV_RATE_PKEY] = {"rate_pkey", RSV_RATE},
	[RSV_OPERATION_PKEY] = {"operation_pkey", RSV_OPERATION},
	[RSV_PROVIDER_PKEY] = {"payment_provider_pkey", RSV_PROVIDER},
	[RSV_CHECKOUT_PKEY] = {"checkout_pkey", RSV_CHECKOUT},
	[RSV_CHECKOUT_REQUEST] = {"checkout_request", RSV_CHECKOUT},
	[RSV_PAYMENT_PKEY] = {"payment_pkey", RSV_PAYMENT},
	[RSV_PAYMENT_CHECKOUT] = {"payment_checkout", RSV_PAYMENT},
	[RSV_ORDER_CHECKOUT] = {"order_checkout", RSV_ORDER},
	[RSV_ORDER_NUMBER] = {"order_number", RSV_ORDER},
};

static bool is_locked(const RsvTableInfo *info);
static Oid named_relation(const char *name);
static void table_learn(RsvTableInfo *info);
static void learn_target(RsvTableInfo *info, Relation relation);
static const RsvTableInfo *current_available(void);
static void forget_changed(Datum arg, Oid relid);
static bool knows(const RsvTableInfo *info, Oid relid);

/* The role that owns the tables, in whose name plans run. */
Oid
rsv_layout_owner(void)
{
	Relation relation = table_open(rsv_layout_table(RSV_POOL)->oid, NoLock);
	Oid owner = relation->rd_rel->relowner;

	table_close(relation, NoLock);
	return owner;
}

/* Tells this installation of the extension from one dropped and created again. */
Oid
rsv_layout_installation(void)
{
	return current_available()->oid;
}

/* The same, and what lies where in it from what lay there before VACUUM FULL or CLUSTER. */
Oid
rsv_layout_identity(void)
{
	return current_available()->file;
}

static const RsvTableInfo *
current_available(void)
{
	const RsvTableInfo *info = &tables[RSV_AVAILABLE];

	return OidIsValid(info->oid) && !info->stale ? info : rsv_layout_table(RSV_AVAILABLE);
}

/* Keeps a table from being rewritten until the end of the transaction. */
void
rsv_layout_lock(RsvTable table)
{
	(void) rsv_layout_table(table);
}

/* Waits for every transaction that has written to a table until now. */
void
rsv_layout_wait(RsvTable table)
{
	LOCKTAG tag;

	SET_LOCKTAG_RELATION(tag, MyDatabaseId, rsv_layout_table(table)->oid);
	WaitForLockers(tag, ShareLock, false);
}

/*
 * Locks every table for writing, without waiting; false: somebody has one of them for
 * something else, or waits for it.
 */
bool
rsv_layout_try_lock(void)
{
	for (int i = 0; i < (int) lengthof(tables); i++)
	{
		if (!ConditionalLockRelationOid(named_relation(tables[i].name), RowExclusiveLock))
			return false;
	}
	return true;
}

/* How many blocks a table has now. */
BlockNumber
rsv_layout_blocks(RsvTable table)
{
	Relation relation = table_open(rsv_layout_table(table)->oid, NoLock);
	BlockNumber blocks = RelationGetNumberOfBlocks(relation);

	table_close(relation, NoLock);
	return blocks;
}

/*
 * Locks a table and returns what is known about it. Taking the lock reads the
 * news of other sessions, so only afterwards is it certain that what we know
 * is still so: an index created meanwhile must not be missed. While the lock is
 * held, the definition stays, so the second call in a (sub)transaction need not
 * lock it again; news that arrive later are for the next call.
 */
RsvTableInfo *
rsv_layout_table(RsvTable table)
{
	static bool registered = false;
	RsvTableInfo *info = &tables[table];

	if (!registered)
	{
		CacheRegisterRelcacheCallback(forget_changed, (Datum) 0);
		registered = true;
	}
	if (OidIsValid(info->oid) && !is_locked(info))
		LockRelationOid(info->oid, RowExclusiveLock);
	if (!OidIsValid(info->oid) || info->stale)
		table_learn(info);
	info->locked_by = rsv_local_transaction_id;
	info->locked_in = GetCurrentSubTransactionId();
	return info;
}

/* Locked by this very subtransaction; the lock of an inner one may be gone. */
static bool
is_locked(const RsvTableInfo *info)
{
	return info->locked_by == rsv_local_transaction_id &&
		info->locked_in == GetCurrentSubTransactionId();
}

/*
 * Puts a row that was just written into the indexes of its table. Those that it
 * does not belong to are not even opened: a claim is in three of its five. What the
 * access method of an index keeps from row to row is about the index as it was open
 * then, so it begins anew.
 */
void
rsv_layout_index_row(RsvTableInfo *info, Relation relation, TupleTableSlot *row, bool update,
					 bool summarizing_only)
{
	ResultRelInfo *target = info->target;
	Relation *indexes = target->ri_IndexRelationDescs;
	ExprContext *context = GetPerTupleExprContext(info->estate);

	target->ri_RelationDesc = relation;
	context->ecxt_scantuple = row;
	for (int i = 0; i < target->ri_NumIndices; i++)
	{
		target->ri_IndexRelationInfo[i]->ii_AmCache = NULL;
		target->ri_IndexRelationInfo[i]->ii_Context = GetPerTupleMemoryContext(info->estate);
		indexes[i] = ExecQual(info->predicates[i], context)
			? index_open(info->index_oids[i], RowExclusiveLock)
			: NULL;
	}
	ExecInsertIndexTuples(target, row, info->estate, update, false, NULL, NIL, summarizing_only);
	for (int i = 0; i < target->ri_NumIndices; i++)
	{
		if (indexes[i] == NULL)
			continue;
		index_insert_cleanup(indexes[i], target->ri_IndexRelationInfo[i]);
		index_close(indexes[i], NoLock);
	}
}

RsvTable
rsv_layout_table_of(RsvIndex index)
{
	return indexes[index].table;
}

/* An index of a table that has been looked at in this transaction. */
Oid
rsv_layout_index(RsvIndex index)
{
	return indexes[index].oid;
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

/* Learns a table anew: news that arrive during it make it stale again. */
static void
table_learn(RsvTableInfo *info)
{
	Relation relation;
	int table = info - tables;

	info->stale = false;
	if (info->context != NULL)
		MemoryContextDelete(info->context);
	info->context =
		AllocSetContextCreate(CacheMemoryContext, "reservation table", ALLOCSET_SMALL_SIZES);
	MemoryContextSetIdentifier(info->context, info->name);
	info->target = NULL;
	info->oid = InvalidOid;

	rsv_agreement_check();
	relation = table_open(named_relation(info->name), RowExclusiveLock);
	if (relation->rd_rel->relkind != RELKIND_RELATION ||
		relation->rd_rel->relam != HEAP_TABLE_AM_OID ||
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
	info->file = relation->rd_rel->relfilenode;
	table_close(relation, NoLock);
}

/*
 * Makes room for the prepared predicates and checks of a table, which the
 * executor will keep there.
 */
static void
learn_target(RsvTableInfo *info, Relation relation)
{
	MemoryContext caller = MemoryContextSwitchTo(info->context);
	ResultRelInfo *target = makeNode(ResultRelInfo);

	info->estate = CreateExecutorState();
	InitResultRelInfo(target, relation, 0, NULL, 0);
	ExecOpenIndices(target, false);
	info->index_oids = palloc0(sizeof(Oid) * (target->ri_NumIndices + 1));
	info->predicates = palloc0(sizeof(ExprState *) * (target->ri_NumIndices + 1));
	for (int i = 0; i < target->ri_NumIndices; i++)
	{
		IndexInfo *index = target->ri_IndexRelationInfo[i];

		info->index_oids[i] = RelationGetRelid(target->ri_IndexRelationDescs[i]);
		info->predicates[i] = ExecPrepareQual(index->ii_Predicate, info->estate);
		index->ii_Predicate = NIL; /* asked before the index is opened */
	}
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
knows(const RsvTableInfo *info, Oid relid)
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
