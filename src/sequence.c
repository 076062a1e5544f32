/*
 * sequence.c
 *	  Numbers of new units: a PostgreSQL sequence per pool, so that no number is
 *	  used twice and nobody waits for one.
 *
 * Only an open edition needs its sequence from the start; a limited edition
 * gets one when add_units is first called. The units themselves are rows, so
 * the sequence is derived: if it is missing (after a restore, because pg_dump
 * leaves it out as a member of the extension) it is made again above the
 * highest number there is.
 *
 * Locks: making a sequence takes the hash lock of the pool's sequence, so that
 * two sessions do not make it twice. Dropping one waits for every transaction
 * that has drawn from it.
 */
#include "postgres.h"

#include "catalog/dependency.h"
#include "catalog/namespace.h"
#include "catalog/pg_class.h"
#include "catalog/pg_extension.h"
#include "commands/extension.h"
#include "commands/sequence.h"
#include "access/xact.h"
#include "storage/lmgr.h"
#include "utils/builtins.h"
#include "utils/fmgrprotos.h"
#include "utils/inval.h"
#include "utils/lsyscache.h"

#include "reservation.h"

static void lock_making(const RsvPool *pool);
static char *sequence_name(const RsvPool *pool);
static Oid sequence_find(const RsvPool *pool);
static Oid sequence_need(const RsvPool *pool);
static int64 last_value(Oid sequence);
static int64 last_number(const RsvPool *pool);

/* Makes the sequence of a pool, unless there is one. */
void
rsv_sequence_make(const RsvPool *pool)
{
	RsvPlanSession session;
	ObjectAddress sequence;
	ObjectAddress extension;
	RsvPool now;
	int64 first;

	lock_making(pool);
	rsv_pool_read(pool->pool_id, &now);
	if (now.dropped)
		rsv_pool_refuse_unknown(pool->name);
	if (OidIsValid(sequence_find(pool)))
		return;

	rsv_plan_begin(&session);
	first = last_number(pool) + 1;
	first = Max(first, pool->first_number);
	if (pool->open)
		first = Max(first, rsv_numbered_last(pool) + 1);
	rsv_plan_command(psprintf("CREATE SEQUENCE %s.%s MINVALUE 0 START " INT64_FORMAT, RSV_SCHEMA,
							  sequence_name(pool), first));
	rsv_plan_command(psprintf("COMMENT ON SEQUENCE %s.%s IS 'numbers of new units of a pool'",
							  RSV_SCHEMA, sequence_name(pool)));
	rsv_plan_end(&session);
	CommandCounterIncrement();

	ObjectAddressSet(sequence, RelationRelationId, sequence_find(pool));
	ObjectAddressSet(extension, ExtensionRelationId, get_extension_oid("reservation", false));
	recordDependencyOn(&sequence, &extension, DEPENDENCY_EXTENSION);
}

/* Drops it, once every transaction that has drawn from it has ended. */
void
rsv_sequence_drop(const RsvPool *pool)
{
	ObjectAddress sequence;

	lock_making(pool);
	ObjectAddressSet(sequence, RelationRelationId, sequence_find(pool));
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
	return nextval_internal(sequence_need(pool), false);
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
	Oid sequence = sequence_find(pool);
	RsvPlanSession session;
	bool behind;

	if (OidIsValid(sequence) && last_value(sequence) >= number)
		return false;
	lock_making(pool);
	sequence = sequence_need(pool);
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

/* Takes count numbers in a row and returns the first. The caller has the pool's row locked. */
int32
rsv_sequence_take(const RsvPool *pool, int32 count)
{
	Oid sequence = sequence_need(pool);
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
sequence_name(const RsvPool *pool)
{
	return psprintf("pool_%d_number", pool->pool_id);
}

/* While it is made or dropped, nobody else makes it. */
static void
lock_making(const RsvPool *pool)
{
	rsv_lock(RSV_LOCK_SEQUENCE, pool->pool_id, pool->name);
	AcceptInvalidationMessages();
}

static Oid
sequence_find(const RsvPool *pool)
{
	return get_relname_relid(sequence_name(pool), get_namespace_oid(RSV_SCHEMA, false));
}

/* Finds the sequence, or makes it; it is not dropped before we have ended. */
static Oid
sequence_need(const RsvPool *pool)
{
	for (;;)
	{
		Oid sequence = sequence_find(pool);

		if (!OidIsValid(sequence))
		{
			rsv_sequence_make(pool);
			continue;
		}
		LockRelationOid(sequence, RowExclusiveLock);
		if (sequence_find(pool) == sequence)
			return sequence;
		UnlockRelationOid(sequence, RowExclusiveLock);
	}
}

/* The last number that was drawn, -1 if none was. */
static int64
last_value(Oid sequence)
{
	LOCAL_FCINFO(call, 1);
	RsvPlanSession session;
	Datum last;

	rsv_plan_begin(&session);
	InitFunctionCallInfoData(*call, NULL, 1, InvalidOid, NULL, NULL);
	call->args[0].value = ObjectIdGetDatum(sequence);
	call->args[0].isnull = false;
	last = pg_sequence_last_value(call);
	rsv_plan_end(&session);
	return call->isnull ? -1 : DatumGetInt64(last);
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
