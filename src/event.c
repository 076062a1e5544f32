/*
 * event.c
 *	  Events: what every row of the books says about who, and when in which order;
 *	  and reading them one after the other.
 *
 * An event is a row of reservation.log, or, for the making of a claim or a ticket,
 * that row itself.
 * Each has a stamp: position, which is the transaction, and step, its place in it.
 *
 * Invariant: no two events have the same stamp, and within a database positions
 * grow as transaction ids do. A restored dump brings stamps of another server,
 * whose transaction ids say nothing here; so a position is the era in its upper 16
 * bits and the transaction id below, and eras are counted by rows: every CREATE
 * EXTENSION adds one, and a dump brings those before. What was restored is always
 * of an earlier era.
 *
 * A transaction with a lower id can commit after one with a higher. So a reader is
 * given only what is older than any transaction that was unfinished at its
 * snapshot: what it has not seen by then was rolled back.
 *
 * Locks: none.
 *
 * Memory: the name of the role that acts is static, and stays in its place.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "access/xact.h"
#include "catalog/namespace.h"
#include "catalog/pg_extension.h"
#include "commands/extension.h"
#include "commands/trigger.h"
#include "executor/spi.h"
#include "miscadmin.h"
#include "storage/lmgr.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/inval.h"
#include "utils/lsyscache.h"
#include "utils/syscache.h"

#include "reservation.h"

#define ERA_SHIFT 48
#define ERA_MAX   PG_INT16_MAX

#define EVENTS_MAX     1000000
#define EVENTS_COLUMNS 16

static bool find_page_end(Datum *values, int32 max);
static int64 current_era(void);
static text *actor_name(void);
static void actor_changed(Datum argument, int cache, uint32 hash);
static void cursor_read(const char *text, int64 *position, int32 *step);

/*
 * events_since(cursor text, max integer)
 *		-> (cursor, at, transaction_id, kind, event, pool, number, claim_id, checkout_id,
 *			quantity, change, actor, holder, request_id, reason, details)
 *
 * cursor: of the last row dealt with, NULL: from the beginning. Reads the view
 * events in the name of the caller.
 */
PG_FUNCTION_INFO_V1(rsv_events_since);
Datum
rsv_events_since(PG_FUNCTION_ARGS)
{
	RsvAnswer answer;
	int64 position = -1;
	int32 step = 0;
	int32 max;
	Datum values[4];

	rsv_answer_begin(&answer, fcinfo);
	if (!PG_ARGISNULL(0))
		cursor_read(text_to_cstring(PG_GETARG_TEXT_PP(0)), &position, &step);
	max = rsv_argument_int32(fcinfo, 1, "max", 1, EVENTS_MAX);
	values[0] = Int64GetDatum(position);
	values[1] = Int32GetDatum(step);
	if (!find_page_end(values, max))
		return (Datum) 0;
	SPI_connect();
	rsv_plan_run(RSV_PLAN_EVENTS, values, NULL);
	for (uint64 i = 0; i < SPI_processed; i++)
	{
		Datum row[EVENTS_COLUMNS];
		bool nulls[EVENTS_COLUMNS];

		heap_deform_tuple(SPI_tuptable->vals[i], SPI_tuptable->tupdesc, row, nulls);
		rsv_answer_row(&answer, row, nulls);
	}
	SPI_finish();
	return (Datum) 0;
}

/* From the first two values, the position and step that a page of so many events ends at. */
static bool
find_page_end(Datum *values, int32 max)
{
	Datum start[] = {values[0], values[1], Int32GetDatum(max),
					 Int64GetDatum(current_era() << ERA_SHIFT)};
	RsvPlanSession session;
	bool found;
	bool isnull;

	rsv_plan_begin(&session);
	found = rsv_plan_run(RSV_PLAN_EVENTS_PAGE, start, NULL) == 1;
	if (found)
	{
		/* by value, both of them */
		values[2] = rsv_plan_value(1, &isnull);
		values[3] = rsv_plan_value(2, &isnull);
	}
	rsv_plan_end(&session);
	return found;
}

/*
 * index_events(enabled boolean) -> (status)
 *
 * For those who follow by polling. Claims pay for it, so nobody has it unasked.
 */
PG_FUNCTION_INFO_V1(rsv_index_events);
Datum
rsv_index_events(PG_FUNCTION_ARGS)
{
	static const char *const names[] = {"log_position", "claim_position", "ticket_position"};
	static const char *const create[] = {
		"CREATE UNIQUE INDEX log_position ON reservation.log (position, step)",
		"CREATE INDEX claim_position ON reservation.claim (position, step)",
		"CREATE INDEX ticket_position ON reservation.ticket (position, step)",
	};
	static const char *const drop[] = {
		"DROP INDEX reservation.log_position",
		"DROP INDEX reservation.claim_position",
		"DROP INDEX reservation.ticket_position",
	};
	Oid schema = get_namespace_oid(RSV_SCHEMA, false);
	RsvAnswer answer;
	RsvPlanSession session;
	bool enabled;
	bool wanted[lengthof(names)];
	bool any = false;

	rsv_answer_begin(&answer, fcinfo);
	rsv_argument_required(fcinfo, 0, "enabled");
	rsv_require_writable("index_events");
	enabled = PG_GETARG_BOOL(0);
	/* one at a time; then the tables in the order in which every other call locks them */
	LockDatabaseObject(ExtensionRelationId, get_extension_oid("reservation", false), 0,
					   ShareUpdateExclusiveLock);
	for (int i = 0; i < (int) lengthof(names); i++)
	{
		wanted[i] = OidIsValid(get_relname_relid(names[i], schema)) != enabled;
		any = any || wanted[i];
	}
	rsv_plan_begin(&session);
	if (any)
		rsv_plan_command(
			psprintf("LOCK TABLE reservation.claim, reservation.ticket, reservation.log IN %s MODE",
					 enabled ? "SHARE" : "ACCESS EXCLUSIVE"));
	for (int i = 0; i < (int) lengthof(names); i++)
	{
		if (wanted[i])
			rsv_plan_command(enabled ? create[i] : drop[i]);
	}
	rsv_plan_end(&session);
	rsv_answer_row(&answer, (Datum[]) {CStringGetTextDatum(enabled ? "indexed" : "dropped")},
				   (bool[]) {false});
	return (Datum) 0;
}

/* keep_log(): trigger BEFORE UPDATE, DELETE, TRUNCATE of reservation.log */
PG_FUNCTION_INFO_V1(rsv_keep_log);
Datum
rsv_keep_log(PG_FUNCTION_ARGS)
{
	if (!CALLED_AS_TRIGGER(fcinfo))
		ereport(ERROR,
				(errcode(ERRCODE_E_R_I_E_TRIGGER_PROTOCOL_VIOLATED),
				 errmsg("keep_log can only be called as a trigger"),
				 errhint("It keeps reservation.log, and is of no use elsewhere.")));
	ereport(ERROR,
			(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE), errmsg("the log is append-only"),
			 errhint("What has happened stays; call a function that does the opposite.")));
}

/* Makes the stamp of an event that is about to be written. */
void
rsv_event_stamp(RsvStamp *stamp)
{
	static FullTransactionId transaction;
	static int32 steps;
	FullTransactionId current = GetTopFullTransactionId();

	if (!FullTransactionIdEquals(transaction, current))
	{
		transaction = current;
		steps = 0;
	}
	stamp->position = (current_era() << ERA_SHIFT) + (int64) U64FromFullTransactionId(current);
	stamp->step = steps++;
	stamp->actor = actor_name();
}

/* A plan has numbered so many events itself, from the step of the stamp made last. */
void
rsv_event_pass(uint64 count)
{
	RsvStamp unused;

	for (uint64 i = 1; i < count; i++)
		rsv_event_stamp(&unused);
}

/* Is this an event of the transaction we are in? */
bool
rsv_event_is_own(const RsvStamp *stamp)
{
	FullTransactionId current = GetTopFullTransactionIdIfAny();

	return FullTransactionIdIsValid(current) &&
		stamp->position == (current_era() << ERA_SHIFT) + (int64) U64FromFullTransactionId(current);
}

/*
 * How many CREATE EXTENSIONs are behind these books. Rows come with a restore, which
 * runs before anybody works with what it brings.
 */
static int64
current_era(void)
{
	static Oid counted = InvalidOid; /* the installation that the count is of */
	static int64 era;
	RsvKey key = {BTGreaterEqualStrategyNumber, F_TIMESTAMPTZ_GE, TimestampTzGetDatum(DT_NOBEGIN)};
	Snapshot now;
	RsvScan scan;

	if (OidIsValid(counted) && counted == rsv_layout_installation())
		return era;
	now = rsv_store_now();
	rsv_scan_begin(&scan, RSV_ERA_PKEY, now, &key, 1);
	for (era = 0; rsv_scan_next(&scan);)
		era++;
	rsv_scan_end(&scan);
	rsv_store_forget(now);
	if (era > ERA_MAX)
		elog(ERROR, "there are more than %d rows in reservation.era", ERA_MAX);
	counted = rsv_layout_installation();
	return era;
}

/* The role that acts, looked up again when roles have changed. */
static text *
actor_name(void)
{
	static bool registered = false;
	static Oid role = InvalidOid;
	static union
	{
		text name;
		char room[VARHDRSZ + NAMEDATALEN];
	} actor;
	char *name;

	if (!registered)
	{
		CacheRegisterSyscacheCallback(AUTHOID, actor_changed, PointerGetDatum(&role));
		registered = true;
	}
	if (role == GetUserId())
		return &actor.name;
	name = GetUserNameFromId(GetUserId(), false);
	SET_VARSIZE(&actor.name, VARHDRSZ + strlen(name));
	memcpy(VARDATA(&actor.name), name, strlen(name));
	role = GetUserId();
	return &actor.name;
}

static void
actor_changed(Datum argument, int cache, uint32 hash)
{
	*(Oid *) DatumGetPointer(argument) = InvalidOid;
}

/* Reads a cursor as events_since gave it: position, full stop, step. */
static void
cursor_read(const char *text, int64 *position, int32 *step)
{
	char *after;
	long long first;
	long second = 0;

	errno = 0;
	first = strtoll(text, &after, 10);
	if (after != text && *after == '.')
	{
		text = after + 1;
		second = strtol(text, &after, 10);
	}
	else
		errno = EINVAL;
	if (errno != 0 || after == text || *after != '\0' || first < 0 || second < 0 ||
		second > PG_INT32_MAX)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("cursor must be one that events_since returned"),
				 errhint("Pass the cursor of the last row, or NULL for the beginning.")));
	*position = first;
	*step = (int32) second;
}
