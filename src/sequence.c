/*
 * sequence.c
 *	  Numbers of new units: a PostgreSQL sequence per pool, so that no number is
 *	  used twice and nobody waits for one.
 *
 * Only an open edition needs its sequence from the start; a limited edition
 * gets one when add_units is first called, and a second one, for tickets, with
 * the first in its waiting line. Units and tickets are rows, so a sequence is
 * derived: if it is missing (after a restore, because pg_dump
 * leaves it out as a member of the extension) it is made again above the
 * highest number there is.
 *
 * Locks: making a sequence takes the hash lock of the pool's sequence, so that
 * two sessions do not make it twice. Dropping one waits for every transaction
 * that has drawn from it.
 */
#include "postgres.h"

#include "access/relation.h"
#include "access/xact.h"
#include "access/xlog.h"
#include "catalog/dependency.h"
#include "catalog/namespace.h"
#include "catalog/pg_class.h"
#include "catalog/pg_extension.h"
#include "commands/extension.h"
#include "commands/sequence.h"
#include "storage/lmgr.h"
#include "utils/builtins.h"
#include "utils/fmgrprotos.h"
#include "utils/inval.h"
#include "utils/lsyscache.h"

#include "reservation.h"

/* What a pool numbers */
typedef enum Use
{
	UNITS,
	TICKETS
} Use;

/* The sequence of a pool, as this session last found it; invalid once it has changed. */
typedef struct Known
{
	int32 pool_id;
	Oid sequence;
} Known;

#define KNOWN 128 /* a power of two */

static Known known_sequences[TICKETS + 1][KNOWN];

static void make(const RsvPool *pool, Use use, int64 first, const char *comment);
static void drop(const RsvPool *pool, Use use);
static void lock_making(const RsvPool *pool);
static char *name_of(const RsvPool *pool, Use use);
static Oid find(const RsvPool *pool, Use use);
static Oid need(const RsvPool *pool, Use use);
static Known *known_of(const RsvPool *pool, Use use);
static void forget(Datum argument, Oid relation_id);
static void make_tickets(const RsvPool *pool);
static int64 draw(Oid sequence);
static int64 last_value(Oid sequence);
static Datum read_last(Oid sequence, bool *none);
static int64 last_number(const RsvPool *pool);

/*
 * last_drawn(sequence oid) -> bigint
 *
 * The last number that was drawn. NULL: none was, or the sequence is being dropped, or
 * has been: whoever asks beside a drop neither waits nor fails.
 */
PG_FUNCTION_INFO_V1(rsv_last_drawn);
Datum
rsv_last_drawn(PG_FUNCTION_ARGS)
{
	Oid sequence = PG_ARGISNULL(0) ? InvalidOid : PG_GETARG_OID(0);
	Datum last;
	bool none;

	if (!ConditionalLockRelationOid(sequence, AccessShareLock) ||
		get_rel_relkind(sequence) != RELKIND_SEQUENCE)
		PG_RETURN_NULL();
	last = read_last(sequence, &none);
	if (none)
		PG_RETURN_NULL();
	PG_RETURN_DATUM(last);
}

/* Makes the sequence of a pool, unless there is one. */
void
rsv_sequence_make(const RsvPool *pool)
{
	RsvPlanSession session;
	RsvPool now;
	int64 first;

	lock_making(pool);
	rsv_pool_read(pool->pool_id, &now);
	if (now.dropped)
		rsv_pool_refuse_unknown(pool->name);
	if (OidIsValid(find(pool, UNITS)))
		return;

	rsv_plan_begin(&session);
	first = last_number(pool) + 1;
	rsv_plan_end(&session);
	first = Max(first, pool->first_number);
	/* tables of the application are read in the name of the caller, not of ours */
	if (pool->open)
		first = Max(first, rsv_numbered_last(pool) + 1);
	make(pool, UNITS, first, "numbers of new units of a pool");
}

static void
make(const RsvPool *pool, Use use, int64 first, const char *comment)
{
	char *name = name_of(pool, use);
	RsvPlanSession session;
	ObjectAddress sequence;
	ObjectAddress extension;

	rsv_plan_begin(&session);
	rsv_plan_command(
		psprintf("CREATE SEQUENCE %s.%s MINVALUE 0 START " INT64_FORMAT, RSV_SCHEMA, name, first));
	rsv_plan_command(psprintf("COMMENT ON SEQUENCE %s.%s IS '%s'", RSV_SCHEMA, name, comment));
	rsv_plan_end(&session);
	CommandCounterIncrement();

	ObjectAddressSet(sequence, RelationRelationId, find(pool, use));
	ObjectAddressSet(extension, ExtensionRelationId, get_extension_oid("reservation", false));
	recordDependencyOn(&sequence, &extension, DEPENDENCY_EXTENSION);
}

/* Drops what the pool has, once every transaction that has drawn from it has ended. */
void
rsv_sequence_drop(const RsvPool *pool)
{
	lock_making(pool);
	drop(pool, UNITS);
	drop(pool, TICKETS);
}

static void
drop(const RsvPool *pool, Use use)
{
	ObjectAddress sequence;

	ObjectAddressSet(sequence, RelationRelationId, find(pool, use));
	if (!OidIsValid(sequence.objectId))
		return;
	deleteDependencyRecordsForClass(RelationRelationId, sequence.objectId, ExtensionRelationId,
									DEPENDENCY_EXTENSION);
	CommandCounterIncrement();
	performDeletion(&sequence, DROP_RESTRICT, PERFORM_DELETION_INTERNAL);
}

/* The next number of an open edition. Never given to anyone else. */
int64
rsv_sequence_next(const RsvPool *pool)
{
	return draw(need(pool, UNITS));
}

/*
 * No later number of an open edition is this one or a lower one. Whoever sets the
 * sequence must not set it back behind somebody who draws from it meanwhile: so
 * the lock waits for those who have drawn, and is let go at once. False: it was
 * beyond already.
 */
bool
rsv_sequence_pass(const RsvPool *pool, int32 number)
{
	Oid sequence = find(pool, UNITS);
	RsvPlanSession session;
	bool behind;

	if (OidIsValid(sequence) && last_value(sequence) >= number)
		return false;
	lock_making(pool);
	sequence = need(pool, UNITS);
	LockRelationOid(sequence, ShareRowExclusiveLock);
	behind = last_value(sequence) < number;
	if (behind)
	{
		rsv_plan_begin(&session);
		(void) DirectFunctionCall2(setval_oid, ObjectIdGetDatum(sequence), Int64GetDatum(number));
		rsv_plan_end(&session);
	}
	UnlockRelationOid(sequence, ShareRowExclusiveLock);
	return behind;
}

/*
 * The next number of a ticket in the pool's waiting line, and the sequence it is from.
 * Never given to anyone else.
 */
int64
rsv_sequence_next_ticket(const RsvPool *pool, Oid *sequence)
{
	*sequence = need(pool, TICKETS);
	return draw(*sequence);
}

/* Has anybody drawn this number, or a later one, from a sequence that we drew from? */
bool
rsv_sequence_reached(Oid sequence, int64 number)
{
	return last_value(sequence) >= number;
}

/*
 * Makes the sequence of a pool's tickets, above those that there are, unless it is there.
 * Usually there are none, and whoever is the first in line need not look: that would make
 * a serializable transaction depend on the lines of all pools.
 */
static void
make_tickets(const RsvPool *pool)
{
	Datum pool_id = Int32GetDatum(pool->pool_id);
	RsvPlanSession session;
	RsvPool now;
	Datum last = 0;
	bool isnull = true;

	lock_making(pool);
	rsv_pool_read(pool->pool_id, &now);
	if (now.dropped)
		rsv_pool_refuse_unknown(pool->name);
	if (OidIsValid(find(pool, TICKETS)))
		return;
	if (!pool->first_in_line)
	{
		rsv_plan_begin(&session);
		rsv_plan_run(RSV_PLAN_TICKETS_LAST, &pool_id, NULL);
		last = rsv_plan_value(1, &isnull);
		rsv_plan_end(&session);
	}
	make(pool, TICKETS, isnull ? 1 : DatumGetInt64(last) + 1, "numbers of tickets");
}

/* Takes count numbers in a row and returns the first. The caller has the pool's row locked. */
int32
rsv_sequence_take(const RsvPool *pool, int32 count)
{
	Oid sequence = need(pool, UNITS);
	RsvPlanSession session;
	int64 first;
	int64 above;

	rsv_plan_begin(&session);
	first = nextval_internal(sequence, false);
	above = last_number(pool) + 1;
	first = Max(first, above);
	if (first + count - 1 > PG_INT32_MAX)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("pool \"%s\" has no room for %d more", rsv_text_display(pool->name), count),
				 errdetail("The next number is " INT64_FORMAT ", the highest possible is %d.",
						   first, PG_INT32_MAX),
				 errhint("Create another pool for the rest.")));
	(void) DirectFunctionCall2(setval_oid, ObjectIdGetDatum(sequence),
							   Int64GetDatum(first + count - 1));
	rsv_plan_end(&session);
	return (int32) first;
}

static char *
name_of(const RsvPool *pool, Use use)
{
	return psprintf("pool_%d_%s", pool->pool_id, use == UNITS ? "number" : "ticket");
}

/* While it is made or dropped, nobody else makes it. */
static void
lock_making(const RsvPool *pool)
{
	rsv_lock(RSV_LOCK_SEQUENCE, pool->pool_id, pool->name);
	AcceptInvalidationMessages();
}

static Oid
find(const RsvPool *pool, Use use)
{
	return get_relname_relid(name_of(pool, use), get_namespace_oid(RSV_SCHEMA, false));
}

/*
 * Finds a sequence, or makes it; it is not dropped before we have ended. Taking the
 * lock reads the news of other sessions: so what is known afterwards is so.
 */
static Oid
need(const RsvPool *pool, Use use)
{
	for (;;)
	{
		Known *known = known_of(pool, use); /* making a sequence may call us for other pools */
		Oid sequence = known->sequence;

		if (!OidIsValid(sequence))
			sequence = find(pool, use);
		if (!OidIsValid(sequence))
		{
			if (use == UNITS)
				rsv_sequence_make(pool);
			else
				make_tickets(pool);
			continue;
		}
		LockRelationOid(sequence, RowExclusiveLock);
		if (known->sequence == sequence)
			return sequence;
		if (find(pool, use) == sequence)
		{
			known->sequence = sequence;
			return sequence;
		}
		UnlockRelationOid(sequence, RowExclusiveLock);
	}
}

static Known *
known_of(const RsvPool *pool, Use use)
{
	static bool registered = false;
	Known *known = &known_sequences[use][pool->pool_id & (KNOWN - 1)];

	if (!registered)
	{
		CacheRegisterRelcacheCallback(forget, (Datum) 0);
		registered = true;
	}
	if (known->pool_id != pool->pool_id)
		*known = (Known) {.pool_id = pool->pool_id};
	return known;
}

/* Relcache callback. */
static void
forget(Datum argument, Oid relation_id)
{
	for (int use = UNITS; use <= TICKETS; use++)
	{
		for (int i = 0; i < KNOWN; i++)
		{
			Known *known = &known_sequences[use][i];

			if (relation_id == InvalidOid || known->sequence == relation_id)
				known->sequence = InvalidOid;
		}
	}
}

/*
 * Draws a number. With wal_level = minimal a relation writes no WAL in the
 * transaction that made it, but a sequence counts 32 numbers as logged all the
 * same, and would repeat them after a crash. Setting it makes it forget that.
 */
static int64
draw(Oid sequence)
{
	int64 number = nextval_internal(sequence, false);
	RsvPlanSession session;
	Relation relation;
	bool logged;

	if (XLogIsNeeded())
		return number;
	relation = relation_open(sequence, NoLock);
	logged = RelationNeedsWAL(relation);
	relation_close(relation, NoLock);
	if (!logged)
	{
		rsv_plan_begin(&session);
		(void) DirectFunctionCall2(setval_oid, ObjectIdGetDatum(sequence), Int64GetDatum(number));
		rsv_plan_end(&session);
	}
	return number;
}

/* The last number that was drawn, -1 if none was. */
static int64
last_value(Oid sequence)
{
	RsvPlanSession session;
	Datum last;
	bool none;

	rsv_plan_begin(&session);
	last = read_last(sequence, &none);
	rsv_plan_end(&session);
	return none ? -1 : DatumGetInt64(last);
}

static Datum
read_last(Oid sequence, bool *none)
{
	LOCAL_FCINFO(call, 1);
	Datum last;

	InitFunctionCallInfoData(*call, NULL, 1, InvalidOid, NULL, NULL);
	call->args[0].value = ObjectIdGetDatum(sequence);
	call->args[0].isnull = false;
	last = pg_sequence_last_value(call);
	*none = call->isnull;
	return last;
}

/* The highest number of the pool's units, one below its first if it has none. */
static int64
last_number(const RsvPool *pool)
{
	Datum values[] = {Int32GetDatum(pool->pool_id)};
	Datum last;
	bool isnull;

	rsv_plan_run(RSV_PLAN_UNITS_LAST, values, NULL);
	last = rsv_plan_value(1, &isnull);
	return isnull ? (int64) pool->first_number - 1 : DatumGetInt32(last);
}
