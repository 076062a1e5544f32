/*
 * launcher.c
 *	  Sends a worker to each database in turn, as autovacuum does.
 *
 * The launcher is one process that belongs to no database. Every
 * reservation.worker_naptime it reads which databases there are, and sends a worker
 * to each that accepts connections and is no template. A worker does what there is
 * to do and leaves (worker.c). So nothing of ours is connected to an idle database:
 * DROP DATABASE, ALTER DATABASE and CREATE DATABASE ... TEMPLATE wait for up to five
 * seconds for sessions to go, and tell background workers nothing. Nor do idle
 * databases cost a process each.
 *
 * Invariant: nothing depends on it. It may be off, killed, or late by hours, and
 * every answer is the same.
 *
 * A database without the extension is visited less often, and one whose visit failed
 * less and less often; it delays no other. The launcher starts after recovery, so
 * not on a standby until that is promoted.
 *
 * Locks: the spinlock of the visits, for one copy. A database that somebody is about
 * to drop or to copy is left alone.
 * Memory: what is known of databases lives as long as the process.
 */
#include "postgres.h"

#include "access/heapam.h"
#include "access/table.h"
#include "access/tableam.h"
#include "access/xact.h"
#include "catalog/pg_database.h"
#include "miscadmin.h"
#include "nodes/pg_list.h"
#include "pgstat.h"
#include "postmaster/bgworker.h"
#include "postmaster/interrupt.h"
#include "storage/ipc.h"
#include "storage/latch.h"
#include "storage/lmgr.h"
#include "storage/lwlock.h"
#include "storage/proc.h"
#include "storage/shmem.h"
#include "storage/sinval.h"
#include "storage/spin.h"
#include "tcop/tcopprot.h"
#include "utils/guc.h"
#include "utils/memutils.h"
#include "utils/snapmgr.h"

#include "visit.h"

/* A launcher that was terminated comes back after so long. */
#define RSV_LAUNCHER_RESTART_S 5

/* A database without the extension is visited every so many naps... */
#define RSV_ABSENT_NAPS 6
/* ... and one whose visits fail after 2, 4, 8, up to so many naps. */
#define RSV_FAILED_NAPS_MAX 64

/* Shared memory: the visits under way. */
typedef struct Visits
{
	slock_t lock;
	uint64 last; /* number of the visit that began last */
	RsvVisit visits[RSV_VISITS_MAX];
} Visits;

/* A database as the launcher knows it. */
typedef struct Database
{
	Oid oid;
	bool exists;
	int place; /* of its visit under way, -1 if none */
	BackgroundWorkerHandle *worker;
	TimestampTz ended; /* when the last visit did, 0: never visited */
	RsvOutcome outcome;
	int failures; /* in a row */
	RsvRetention retention;
	TransactionId began; /* the next transaction id when the last visit did, invalid: none yet */
} Database;

static Visits *visits = NULL;

/* Of the launcher's process alone */
static List *databases = NIL;
static TimestampTz listed_at = 0;

PGDLLEXPORT void rsv_launcher_main(Datum argument);

static Size visits_size(void);
static void attach_visits(void *memory, bool is_new);
static void nap(void);
static long nap_ms(void);
static TimestampTz due_at(const Database *database);
static void list_databases(void);
static void note_database(Oid oid);
static void look_after_visits(void);
static void end_visit(Database *database);
static void begin_visits(void);
static bool is_in_use(Oid database);
static int free_place(void);
static void begin_visit(Database *database, int place);
static void report(void);

/* Asks for shared memory, and for the launcher's process. */
void
rsv_launcher_init(void)
{
	BackgroundWorker launcher = {0};

	rsv_shared_add((RsvSharedPiece) {"reservation visits", visits_size, attach_visits});
	launcher.bgw_flags = BGWORKER_SHMEM_ACCESS | BGWORKER_BACKEND_DATABASE_CONNECTION;
	launcher.bgw_start_time = BgWorkerStart_RecoveryFinished;
	launcher.bgw_restart_time = RSV_LAUNCHER_RESTART_S;
	strlcpy(launcher.bgw_library_name, "reservation", sizeof(launcher.bgw_library_name));
	strlcpy(launcher.bgw_function_name, "rsv_launcher_main", sizeof(launcher.bgw_function_name));
	strlcpy(launcher.bgw_name, "reservation launcher", BGW_MAXLEN);
	strlcpy(launcher.bgw_type, "reservation launcher", BGW_MAXLEN);
	/* pg_upgrade wants every database for itself */
	if (!IsBinaryUpgrade)
		RegisterBackgroundWorker(&launcher);
}

static Size
visits_size(void)
{
	return sizeof(Visits);
}

static void
attach_visits(void *memory, bool is_new)
{
	visits = memory;
	if (!is_new)
		return;
	memset(visits, 0, sizeof(Visits));
	SpinLockInit(&visits->lock);
}

/* What the worker at this place is told. */
void
rsv_visit_read(int place, RsvVisit *visit)
{
	Assert(place >= 0);
	Assert(place < RSV_VISITS_MAX);
	SpinLockAcquire(&visits->lock);
	*visit = visits->visits[place];
	SpinLockRelease(&visits->lock);
}

/* What it has to say, unless the launcher has given its place to another. */
void
rsv_visit_end(int place, const RsvVisit *visit)
{
	SpinLockAcquire(&visits->lock);
	if (visits->visits[place].number == visit->number)
		visits->visits[place] = *visit;
	SpinLockRelease(&visits->lock);
}

/* The launcher's process. */
void
rsv_launcher_main(Datum argument)
{
	pqsignal(SIGTERM, die);
	pqsignal(SIGHUP, SignalHandlerForConfigReload);
	BackgroundWorkerUnblockSignals();
	BackgroundWorkerInitializeConnection(NULL, NULL, 0);

	for (;;)
	{
		if (rsv_worker_naptime_ms > 0)
		{
			look_after_visits();
			list_databases();
			begin_visits();
		}
		report();
		nap();
	}
}

/* Sleeps until there is something to do, and takes note of what came meanwhile. */
static void
nap(void)
{
	long timeout_ms = nap_ms();

	if (timeout_ms != 0)
		(void) WaitLatch(MyLatch,
						 WL_LATCH_SET | WL_EXIT_ON_PM_DEATH | (timeout_ms < 0 ? 0 : WL_TIMEOUT),
						 timeout_ms, PG_WAIT_EXTENSION);
	ResetLatch(MyLatch);
	/* an orderly end, in place of FATAL; any other exit code than 1 would be the last */
	if (ProcDiePending)
		proc_exit(1);
	CHECK_FOR_INTERRUPTS();
	if (ConfigReloadPending)
	{
		ConfigReloadPending = false;
		ProcessConfigFile(PGC_SIGHUP);
	}
	if (catchupInterruptPending)
		ProcessCatchupInterrupt();
}

/* How long until the next visit is due; a visit that ends wakes us. -1: for ever. */
static long
nap_ms(void)
{
	TimestampTz next = TimestampTzPlusMilliseconds(listed_at, rsv_worker_naptime_ms);
	ListCell *cell;

	if (rsv_worker_naptime_ms == 0)
		return -1;
	foreach(cell, databases)
	{
		Database *database = lfirst(cell);

		if (database->place < 0 && free_place() >= 0)
			next = Min(next, due_at(database));
	}
	return TimestampDifferenceMilliseconds(GetCurrentTimestamp(), next);
}

static TimestampTz
due_at(const Database *database)
{
	int64 naps = 1;

	if (database->ended == 0)
		return 0;
	if (database->outcome == RSV_VISIT_NO_EXTENSION)
		naps = RSV_ABSENT_NAPS;
	else if (database->failures > 0)
		naps = Min(INT64CONST(1) << Min(database->failures, 30), RSV_FAILED_NAPS_MAX);
	return TimestampTzPlusMilliseconds(database->ended, naps * rsv_worker_naptime_ms);
}

/* Reads which databases there are, once a nap. */
static void
list_databases(void)
{
	TimestampTz now = GetCurrentTimestamp();
	ListCell *cell;
	Relation catalog;
	TableScanDesc scan;
	HeapTuple row;

	if (now < TimestampTzPlusMilliseconds(listed_at, rsv_worker_naptime_ms))
		return;
	listed_at = now;
	foreach(cell, databases)
		((Database *) lfirst(cell))->exists = false;

	SetCurrentStatementStartTimestamp();
	StartTransactionCommand();
	(void) GetTransactionSnapshot();
	catalog = table_open(DatabaseRelationId, AccessShareLock);
	scan = table_beginscan_catalog(catalog, 0, NULL);
	while ((row = heap_getnext(scan, ForwardScanDirection)) != NULL)
	{
		Form_pg_database form = (Form_pg_database) GETSTRUCT(row);

		/* a limit below -1 marks what DROP DATABASE could not finish */
		if (form->datallowconn && !form->datistemplate && form->datconnlimit >= -1)
			note_database(form->oid);
	}
	table_endscan(scan);
	table_close(catalog, AccessShareLock);
	CommitTransactionCommand();

	foreach(cell, databases)
	{
		Database *database = lfirst(cell);

		if (!database->exists && database->place < 0)
		{
			databases = foreach_delete_current(databases, cell);
			pfree(database);
		}
	}
}

static void
note_database(Oid oid)
{
	MemoryContext caller;
	Database *database;
	ListCell *cell;

	foreach(cell, databases)
	{
		database = lfirst(cell);
		if (database->oid == oid)
		{
			database->exists = true;
			return;
		}
	}
	caller = MemoryContextSwitchTo(TopMemoryContext);
	database = palloc(sizeof(Database));
	*database = (Database) {.oid = oid, .exists = true, .place = -1};
	databases = lappend(databases, database);
	MemoryContextSwitchTo(caller);
}

/* Which of the visits under way have ended? */
static void
look_after_visits(void)
{
	ListCell *cell;
	pid_t pid;

	foreach(cell, databases)
	{
		Database *database = lfirst(cell);

		if (database->place >= 0 && GetBackgroundWorkerPid(database->worker, &pid) == BGWH_STOPPED)
			end_visit(database);
	}
}

static void
end_visit(Database *database)
{
	RsvVisit visit;

	rsv_visit_read(database->place, &visit);
	pfree(database->worker);
	database->worker = NULL;
	database->place = -1;
	database->ended = GetCurrentTimestamp();
	database->outcome = visit.outcome;
	database->failures = visit.outcome == RSV_VISIT_FAILED ? database->failures + 1 : 0;
	database->retention = visit.retention;
	database->began = visit.began;
}

/* Begins the visits that are due, as many as there is room for. */
static void
begin_visits(void)
{
	TimestampTz now = GetCurrentTimestamp();
	ListCell *cell;
	int place;

	foreach(cell, databases)
	{
		Database *database = lfirst(cell);

		if (!database->exists || database->place >= 0 || due_at(database) > now)
			continue;
		place = free_place();
		if (place < 0)
			return;
		if (is_in_use(database->oid))
		{
			database->ended = now;
			database->outcome = RSV_VISIT_IN_THE_WAY;
		}
		else
			begin_visit(database, place);
	}
}

/*
 * Is somebody dropping, moving or copying this database? Then a worker would only
 * wait there for the lock that every session takes at its start.
 */
static bool
is_in_use(Oid database)
{
	LOCKTAG tag;
	bool locked;

	SET_LOCKTAG_OBJECT(tag, InvalidOid, DatabaseRelationId, database, 0);
	StartTransactionCommand();
	locked = LockAcquire(&tag, RowExclusiveLock, false, true) != LOCKACQUIRE_NOT_AVAIL;
	CommitTransactionCommand();
	return !locked;
}

static int
free_place(void)
{
	bool used[RSV_VISITS_MAX] = {false};
	ListCell *cell;

	foreach(cell, databases)
	{
		Database *database = lfirst(cell);

		if (database->place >= 0)
			used[database->place] = true;
	}
	for (int place = 0; place < RSV_VISITS_MAX; place++)
	{
		if (!used[place])
			return place;
	}
	return -1;
}

/* Sends a worker. If there is no room for one, that counts as a visit that failed. */
static void
begin_visit(Database *database, int place)
{
	MemoryContext caller = MemoryContextSwitchTo(TopMemoryContext);
	BackgroundWorker worker = {0};

	SpinLockAcquire(&visits->lock);
	visits->visits[place] = (RsvVisit) {
		.database = database->oid,
		.number = ++visits->last,
		.outcome = RSV_VISIT_FAILED,
		.retention = database->retention,
		.began = database->began,
	};
	SpinLockRelease(&visits->lock);

	worker.bgw_flags = BGWORKER_SHMEM_ACCESS | BGWORKER_BACKEND_DATABASE_CONNECTION;
	worker.bgw_start_time = BgWorkerStart_RecoveryFinished;
	worker.bgw_restart_time = BGW_NEVER_RESTART;
	worker.bgw_notify_pid = MyProcPid;
	worker.bgw_main_arg = Int32GetDatum(place);
	strlcpy(worker.bgw_library_name, "reservation", sizeof(worker.bgw_library_name));
	strlcpy(worker.bgw_function_name, "rsv_worker_main", sizeof(worker.bgw_function_name));
	snprintf(worker.bgw_name, BGW_MAXLEN, "reservation worker for database %u", database->oid);
	strlcpy(worker.bgw_type, "reservation worker", BGW_MAXLEN);
	if (RegisterDynamicBackgroundWorker(&worker, &database->worker))
		database->place = place;
	else
	{
		database->ended = GetCurrentTimestamp();
		database->outcome = RSV_VISIT_FAILED;
		database->failures++;
		ereport(LOG,
				(errmsg("could not start a worker for database %u", database->oid),
				 errhint("Raise max_worker_processes.")));
	}
	MemoryContextSwitchTo(caller);
}

/* Says in pg_stat_activity what the launcher knows. */
static void
report(void)
{
	char said[128];
	int with_extension = 0;
	ListCell *cell;

	foreach(cell, databases)
	{
		Database *database = lfirst(cell);

		if (database->ended != 0 && database->outcome == RSV_VISIT_DONE)
			with_extension++;
	}
	if (rsv_worker_naptime_ms == 0)
		snprintf(said, sizeof(said), "off: reservation.worker_naptime is 0");
	else
		snprintf(said, sizeof(said), "databases: %d, done in: %d", list_length(databases),
				 with_extension);
	pgstat_report_activity(STATE_IDLE, said);
}
