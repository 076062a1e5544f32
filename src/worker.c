/*
 * worker.c
 *	  One visit to one database: ends lapsed holds, serves waiting lines, puts slots
 *	  together, forgets old answers. The launcher sends it (launcher.c).
 *
 * Invariant: whatever happens to it, what is committed is right, because it calls
 * what everybody calls. Each batch is bounded and a transaction of its own.
 *
 * It makes way: before each batch it takes, without waiting, the locks that the
 * batch needs, of the database, the extension and our tables. If anybody has one of
 * them for more than reading or writing, or waits for it, it leaves: DROP DATABASE
 * and CREATE DATABASE ... TEMPLATE, which wait for sessions to go; DROP and ALTER
 * EXTENSION; VACUUM FULL. They wait for one batch at the most. Shutdown,
 * pg_terminate_backend and DROP DATABASE ... (FORCE) end it in the middle of one.
 *
 * An error ends the process, which tells the launcher. Nothing is caught here.
 *
 * Lock order: as above, none of it waited for; then what the batches take.
 * Memory: each batch in the context of its transaction.
 */
#include "postgres.h"

#include "access/transam.h"
#include "access/xact.h"
#include "catalog/pg_database.h"
#include "catalog/pg_extension.h"
#include "commands/extension.h"
#include "miscadmin.h"
#include "pgstat.h"
#include "postmaster/bgworker.h"
#include "postmaster/interrupt.h"
#include "storage/ipc.h"
#include "storage/lmgr.h"
#include "tcop/tcopprot.h"
#include "utils/guc.h"
#include "utils/snapmgr.h"

#include "visit.h"

/* In one transaction: holds, and pools that have any; pools whose slots are put together */
#define RSV_HOLDS_MAX 1000
#define RSV_SLOTS_MAX 100

/* What a visit does, one after the other. */
typedef enum Chore
{
	CHORE_LAPSES,
	CHORE_LINES,
	CHORE_SLOTS,
	CHORE_RETENTION,
	CHORES
} Chore;

static const char *const chore_names[CHORES] = {
	[CHORE_LAPSES] = "ending holds whose time is over",
	[CHORE_LINES] = "offering what is free to waiting lines",
	[CHORE_SLOTS] = "putting slots together",
	[CHORE_RETENTION] = "forgetting answers older than reservation.request_retention",
};

/* How a batch went. */
typedef enum Batch
{
	BATCH_LAST, /* of its chore */
	BATCH_MORE,
	BATCH_IN_THE_WAY,
	BATCH_NO_EXTENSION
} Batch;

PGDLLEXPORT void rsv_worker_main(Datum argument);

static void prepare_session(void);
static RsvOutcome work(RsvVisit *visit);
static Batch do_batch(Chore chore, int32 *pool_id, RsvVisit *visit);
static Batch make_way(void);
static bool do_chore(Chore chore, int32 *pool_id, RsvVisit *visit);

/* The process of one visit; argument: its place among the visits under way. */
void
rsv_worker_main(Datum argument)
{
	int place = DatumGetInt32(argument);
	TransactionId began;
	RsvVisit visit;

	pqsignal(SIGTERM, die);
	pqsignal(SIGHUP, SignalHandlerForConfigReload);
	BackgroundWorkerUnblockSignals();
	rsv_visit_read(place, &visit);
	BackgroundWorkerInitializeConnectionByOid(visit.database, InvalidOid, 0);
	prepare_session();
	began = ReadNextTransactionId();
	visit.outcome = work(&visit);
	visit.began = began;
	rsv_visit_end(place, &visit);
}

/* What a database or a configuration says for its sessions is not meant for us. */
static void
prepare_session(void)
{
	static const char *const settings[][2] = {
		{"search_path", "pg_catalog, pg_temp"},
		{"default_transaction_isolation", "read committed"},
		{"statement_timeout", "0"},
		{"idle_in_transaction_session_timeout", "0"},
		/* nothing here should wait for a lock; if it does after all, others come first */
		{"lock_timeout", "2s"},
#if PG_VERSION_NUM >= 170000
		{"transaction_timeout", "0"},
#endif
		/* what a failover takes back is done again; waiting for a standby would keep locks */
		{"synchronous_commit", "local"},
	};

	for (int i = 0; i < (int) lengthof(settings); i++)
		SetConfigOption(settings[i][0], settings[i][1], PGC_SUSET, PGC_S_OVERRIDE);
}

/* Does every chore, batch by batch. */
static RsvOutcome
work(RsvVisit *visit)
{
	/* one worker per database, also after the launcher died and forgot this one */
	if (!rsv_lock_session(RSV_LOCK_WORKER))
		return RSV_VISIT_IN_THE_WAY;
	for (Chore chore = 0; chore < CHORES; chore++)
	{
		int32 pool_id = 0;
		Batch batch;

		do
			batch = do_batch(chore, &pool_id, visit);
		while (batch == BATCH_MORE);
		if (batch == BATCH_NO_EXTENSION)
			return RSV_VISIT_NO_EXTENSION;
		if (batch == BATCH_IN_THE_WAY)
			return RSV_VISIT_IN_THE_WAY;
	}
	return RSV_VISIT_DONE;
}

/* One batch of a chore, in a transaction of its own. */
static Batch
do_batch(Chore chore, int32 *pool_id, RsvVisit *visit)
{
	Batch batch;

	CHECK_FOR_INTERRUPTS();
	if (ConfigReloadPending)
	{
		ConfigReloadPending = false;
		ProcessConfigFile(PGC_SIGHUP);
	}
	if (rsv_worker_naptime_ms == 0)
		return BATCH_IN_THE_WAY;

	pgstat_report_activity(STATE_RUNNING, chore_names[chore]);
	SetCurrentStatementStartTimestamp();
	StartTransactionCommand();
	PushActiveSnapshot(GetTransactionSnapshot());
	batch = make_way();
	if (batch == BATCH_LAST && do_chore(chore, pool_id, visit))
		batch = BATCH_MORE;
	PopActiveSnapshot();
	CommitTransactionCommand();
	pgstat_report_stat(false);
	pgstat_report_activity(STATE_IDLE, NULL);
	return batch;
}

/* Takes what a batch needs until the end of the transaction; BATCH_LAST if it may go on. */
static Batch
make_way(void)
{
	Oid extension = get_extension_oid("reservation", true);
	LOCKTAG database;

	if (!OidIsValid(extension))
		return BATCH_NO_EXTENSION;
	rsv_agreement_check();
	SET_LOCKTAG_OBJECT(database, InvalidOid, DatabaseRelationId, MyDatabaseId, 0);
	if (LockAcquire(&database, RowExclusiveLock, false, true) == LOCKACQUIRE_NOT_AVAIL ||
		!ConditionalLockDatabaseObject(ExtensionRelationId, extension, 0, AccessShareLock) ||
		!rsv_layout_try_lock() || XactReadOnly)
		return BATCH_IN_THE_WAY;
	return BATCH_LAST;
}

/* Does a batch of a chore, and says whether there is more of it. */
static bool
do_chore(Chore chore, int32 *pool_id, RsvVisit *visit)
{
	switch (chore)
	{
		case CHORE_LAPSES:
			(void) rsv_sweep_holds(pool_id, RSV_HOLDS_MAX, RSV_HOLDS_MAX);
			return *pool_id < RSV_SWEPT;
		case CHORE_LINES:
			rsv_line_sweep(pool_id, 1);
			return *pool_id < RSV_SWEPT;
		case CHORE_SLOTS:
			rsv_sweep_slots(pool_id, RSV_SLOTS_MAX, visit->began);
			return *pool_id < RSV_SWEPT;
		case CHORE_RETENTION:
			return rsv_retention_batch(&visit->retention);
		case CHORES:
			break;
	}
	return false;
}
