/*
 * arrival.c
 *	  Numbers whose row may never arrive.
 *
 * A BEFORE trigger numbers a row that ON CONFLICT may drop afterwards, or another
 * trigger. Nobody tells us; so every number that has been given is remembered
 * until its row has been seen in the table, and a number whose row did not come
 * goes back to its pool.
 *
 * Invariant: a claim that assign_number made in a committed transaction has had
 * its row in the table in that transaction, or was given back in it. "Has had":
 * a row that its own transaction deletes again did arrive.
 *
 * When is a row due? The executor handles one row after the other. So what a
 * statement's trigger did for the rows before this one is decided; and
 * everything that a statement did, once it has ended. What is due is looked at
 * when the next number is asked for, so that a statement of many rows that are
 * dropped does not run a pool dry; the rest before the commit, or the PREPARE.
 *
 * A number that is left over so goes to the next row of its pool, with its claim,
 * and nothing is written: giving it back and taking it again for thousands of
 * rows would leave as many dead versions of it, each to be looked at by the next.
 * The claim then has the name of another row, until its own has arrived.
 *
 * A subtransaction that rolls back takes its claims with it. What it handed on of an
 * enclosing one's is left over again, and a claim that it renamed waits again for its
 * row; if it commits, both are the enclosing one's.
 *
 * Memory: what we remember lives in TopTransactionContext; that a statement is
 * running, in the context of the statement, whose end takes it away.
 */
#include "postgres.h"

#include "access/xact.h"
#include "commands/extension.h"
#include "utils/builtins.h"
#include "utils/memutils.h"
#include "utils/snapmgr.h"

#include "reservation.h"
#include "trigger.h"

/* A statement that is running, as one trigger sees it, in whichever partition. */
typedef struct Statement
{
	struct Statement *next;
	uint64 id;
	MemoryContext context; /* which all its partitions share */
	NameData trigger;      /* which a trigger and its clones share */
	MemoryContextCallback ended;
} Statement;

/* A number that was given to a row. */
typedef struct Pending
{
	struct Pending *next;
	SubTransactionId given_in;
	SubTransactionId settled_in; /* InvalidSubTransactionId: not yet */
	uint64 statement;
	RsvAwaited row;
	int32 pool_id;
	pg_uuid_t claim_id;
	text *holder;  /* the claim shall name this row, when it has arrived; NULL: it does */
	bool only_key; /* nothing is given back */
} Pending;

/* A power of two */
#define BUCKETS 256

static Statement *statements = NULL;
static Pending *pendings = NULL; /* the latest first; what is left over is not among them */
static Pending *spares[BUCKETS]; /* what is left over, by pool */
static bool numbered = false;    /* there was something in this transaction */
static bool ending = false;      /* and what is left over is being given back */

static bool is_sold(const pg_uuid_t *claim_id, RsvClaim *claim);
static Pending **spares_of(int32 pool_id);
static void set_aside(Pending **link);
static void hand_on(Pending **link);
static bool is_undecided(const Pending *pending, const pg_uuid_t *claim_id);
static void statement_ended(void *argument);
static bool is_due(const Pending *pending, uint64 statement);
static void decide(Pending **link, SubTransactionId current);
static bool is_over(Pending *pending, SubTransactionId current);
static bool arrived(Pending *pending, text *name, SubTransactionId current);
static void settle(uint64 statement, bool all);
static void give_back_spares(void);
static void forget(Pending **link);
static void transaction_ends(XactEvent event, void *argument);
static void subtransaction_ends(SubXactEvent event, SubTransactionId id, SubTransactionId parent,
								void *argument);
static void list_ends(Pending **link, SubTransactionId id, SubTransactionId parent);

void
rsv_arrival_init(void)
{
	RegisterXactCallback(transaction_ends, NULL);
	RegisterSubXactCallback(subtransaction_ends, NULL);
}

/* Tells the statement that fires a trigger from every other one. */
uint64
rsv_arrival_statement(const FmgrInfo *function, const Trigger *trigger)
{
	static uint64 last_id = 0;
	Statement *statement;

	for (statement = statements; statement != NULL; statement = statement->next)
	{
		if (statement->context == function->fn_mcxt &&
			strcmp(NameStr(statement->trigger), trigger->tgname) == 0)
			return statement->id;
	}
	statement = MemoryContextAllocZero(function->fn_mcxt, sizeof(Statement));
	statement->id = ++last_id;
	statement->context = function->fn_mcxt;
	namestrcpy(&statement->trigger, trigger->tgname);
	statement->ended.func = statement_ended;
	statement->ended.arg = statement;
	MemoryContextRegisterResetCallback(function->fn_mcxt, &statement->ended);
	statement->next = statements;
	statements = statement;
	return statement->id;
}

/*
 * A number of this pool that a row of this transaction left over, with its claim. The
 * caller has settled what is due.
 */
bool
rsv_arrival_take_spare(int32 pool_id, RsvClaim *claim)
{
	Pending **link = spares_of(pool_id);
	bool sold = false;

	while (*link != NULL && !sold)
	{
		const Pending *pending = *link;

		if (pending->pool_id != pool_id || pending->settled_in != InvalidSubTransactionId)
			link = &(*link)->next;
		else
		{
			sold = is_sold(&pending->claim_id, claim);
			hand_on(link);
		}
	}
	return sold;
}

static Pending **
spares_of(int32 pool_id)
{
	return &spares[pool_id & (BUCKETS - 1)];
}

/* Its row did not arrive: another may have its number. */
static void
set_aside(Pending **link)
{
	Pending *pending = *link;
	Pending **bucket = spares_of(pending->pool_id);

	*link = pending->next;
	pending->next = *bucket;
	*bucket = pending;
}

/* The application may have refunded it meanwhile. */
static bool
is_sold(const pg_uuid_t *claim_id, RsvClaim *claim)
{
	Snapshot as_of = rsv_store_now();
	bool sold = rsv_claim_read(claim_id, as_of, claim) && claim->state == RSV_FINALIZED;

	rsv_store_forget(as_of);
	return sold;
}

/*
 * This claim, which this transaction has made, is handed on once more: it was left
 * over, or this same row has not arrived, but goes to another partition, say. False: it
 * is its row's, or of no concern to us. The caller has settled what is due.
 */
bool
rsv_arrival_once_more(const RsvClaim *claim, bool same_row)
{
	Pending **link = spares_of(claim->pool_id);
	text *name;

	while (*link != NULL && !is_undecided(*link, &claim->claim_id))
		link = &(*link)->next;
	if (*link == NULL)
	{
		link = &pendings;
		while (*link != NULL && ((*link)->only_key || !is_undecided(*link, &claim->claim_id)))
			link = &(*link)->next;
		if (*link == NULL || !same_row || rsv_awaited_seen(&(*link)->row, &name))
			return false;
	}
	hand_on(link);
	return true;
}

/*
 * Another row is to have this number. If it was not the running subtransaction that took
 * it, it is only lent to that, which may roll back alone.
 */
static void
hand_on(Pending **link)
{
	SubTransactionId current = GetCurrentSubTransactionId();

	if ((*link)->given_in == current)
		forget(link);
	else
		(*link)->settled_in = current;
}

static bool
is_undecided(const Pending *pending, const pg_uuid_t *claim_id)
{
	return pending->settled_in == InvalidSubTransactionId &&
		memcmp(&pending->claim_id, claim_id, sizeof(pg_uuid_t)) == 0;
}

/*
 * A row gets a number, or another key: what becomes of the claim depends on whether it
 * arrives. The claim's holder is the row, though perhaps not yet in the books.
 */
void
rsv_arrival_expect(uint64 statement, const TriggerData *data, const RsvNumbering *numbering,
				   HeapTuple row, const RsvClaim *claim, RsvExpectation expectation)
{
	MemoryContext caller = MemoryContextSwitchTo(TopTransactionContext);
	Pending *pending = palloc0(sizeof(Pending));

	pending->given_in = GetCurrentSubTransactionId();
	pending->settled_in = InvalidSubTransactionId;
	pending->statement = statement;
	rsv_awaited_note(&pending->row, data, numbering, row, claim->number);
	pending->pool_id = claim->pool_id;
	pending->claim_id = claim->claim_id;
	if (expectation != RSV_EXPECT_ROW)
		pending->holder = (text *) PG_DETOAST_DATUM_COPY(PointerGetDatum(claim->holder));
	pending->only_key = expectation == RSV_EXPECT_NEW_KEY;
	if (pending->only_key)
		pending->row.command = InvalidCommandId; /* the version that is there, no earlier one */
	pending->next = pendings;
	pendings = pending;
	numbered = true;
	MemoryContextSwitchTo(caller);
}

/* Settles what is due when this statement's trigger fires for another row. */
void
rsv_arrival_settle(uint64 statement)
{
	if (pendings != NULL)
		settle(statement, false);
}

/*
 * A row that may have this claim is changed or deleted, perhaps before it is due: by a
 * trigger while its statement is under way. If it is there, the claim names it from now
 * on. True: it did not.
 */
bool
rsv_arrival_confirm(const pg_uuid_t *claim_id)
{
	Pending **link = &pendings;
	text *name;
	bool renamed;

	while (*link != NULL && !is_undecided(*link, claim_id))
		link = &(*link)->next;
	if (*link == NULL || !rsv_awaited_seen(&(*link)->row, &name))
		return false;
	renamed = name != NULL || (*link)->holder != NULL;
	if (arrived(*link, name, GetCurrentSubTransactionId()))
		forget(link);
	return renamed;
}

/* Memory context callback: touches nothing but our list, and cannot fail. */
static void
statement_ended(void *argument)
{
	Statement **link = &statements;

	while (*link != NULL && *link != argument)
		link = &(*link)->next;
	if (*link != NULL)
		*link = (*link)->next;
}

static bool
is_due(const Pending *pending, uint64 statement)
{
	if (pending->statement == statement)
		return true;
	for (Statement *running = statements; running != NULL; running = running->next)
	{
		if (running->id == pending->statement)
			return false;
	}
	return true;
}

/* Decides about a number that is due. */
static void
decide(Pending **link, SubTransactionId current)
{
	Pending *pending = *link;
	text *name = NULL;

	if (!rsv_awaited_seen(&pending->row, &name))
	{
		if (!pending->only_key)
			set_aside(link);
		else if (is_over(pending, current))
			forget(link);
	}
	else if (arrived(pending, name, current))
		forget(link);
}

/*
 * It has been decided; true: there is nothing left to remember. What a subtransaction
 * decides about a number that an enclosing one gave may be undone alone.
 */
static bool
is_over(Pending *pending, SubTransactionId current)
{
	pending->settled_in = current;
	return pending->given_in == current;
}

/*
 * Its row is there: the claim names it, by this name or else the one that it was handed on
 * with; true: there is nothing left to remember.
 */
static bool
arrived(Pending *pending, text *name, SubTransactionId current)
{
	if (name == NULL)
		name = pending->holder;
	if (name == NULL)
		return true;
	rsv_claim_rename(&pending->claim_id, name);
	return is_over(pending, current);
}

/* Decides what is due, or all that there is. */
static void
settle(uint64 statement, bool all)
{
	SubTransactionId current = GetCurrentSubTransactionId();
	Pending **link = &pendings;

	while (*link != NULL)
	{
		Pending *pending = *link;

		if (pending->settled_in == InvalidSubTransactionId && (all || is_due(pending, statement)))
			decide(link, current);
		if (*link == pending)
			link = &pending->next;
	}
}

/*
 * At the end, what is left over is given back. That may try something in a
 * subtransaction of its own, whose end is of no concern to us.
 */
static void
give_back_spares(void)
{
	ending = true;
	for (int i = 0; i < BUCKETS; i++)
	{
		while (spares[i] != NULL)
		{
			Pending *pending = spares[i];

			spares[i] = pending->next;
			if (pending->settled_in == InvalidSubTransactionId)
				rsv_claim_give_back(&pending->claim_id, 0);
		}
	}
}

static void
forget(Pending **link)
{
	Pending *pending = *link;

	*link = pending->next;
	heap_freetuple(pending->row.tuple);
	if (pending->holder != NULL)
		pfree(pending->holder);
	pfree(pending);
}

/* The last moment at which something can be written. */
static void
transaction_ends(XactEvent event, void *argument)
{
	switch (event)
	{
		case XACT_EVENT_PRE_COMMIT:
		case XACT_EVENT_PRE_PREPARE:
			/* dropped by this transaction, with its claims? */
			if (!numbered || !OidIsValid(get_extension_oid("reservation", true)))
				break;
			PushActiveSnapshot(GetTransactionSnapshot());
			settle(0, true);
			give_back_spares();
			PopActiveSnapshot();
			break;
		case XACT_EVENT_COMMIT:
		case XACT_EVENT_PREPARE:
		case XACT_EVENT_ABORT:
			if (numbered)
				memset(spares, 0, sizeof(spares));
			pendings = NULL;
			numbered = ending = false;
			break;
		default:
			break;
	}
}

/*
 * What was not there for a subtransaction that rolls back may be there now: what is left
 * over is looked for again.
 */
static void
subtransaction_ends(SubXactEvent event, SubTransactionId id, SubTransactionId parent,
					void *argument)
{
	bool committed = event == SUBXACT_EVENT_COMMIT_SUB;

	if (!numbered || ending || (!committed && event != SUBXACT_EVENT_ABORT_SUB))
		return;
	list_ends(&pendings, id, committed ? parent : InvalidSubTransactionId);
	for (int i = 0; i < BUCKETS; i++)
	{
		list_ends(&spares[i], id, committed ? parent : InvalidSubTransactionId);
		while (!committed && spares[i] != NULL)
		{
			Pending *pending = spares[i];

			spares[i] = pending->next;
			pending->next = pendings;
			pendings = pending;
		}
	}
}

/* What the subtransaction gave and settled is now its parent's; none: it is undone. */
static void
list_ends(Pending **link, SubTransactionId id, SubTransactionId parent)
{
	while (*link != NULL)
	{
		Pending *pending = *link;

		if (pending->settled_in == id)
			pending->settled_in = parent;
		if (pending->given_in == id && parent != InvalidSubTransactionId)
			pending->given_in = parent;
		if (pending->given_in == id || pending->settled_in == pending->given_in)
			forget(link);
		else
			link = &pending->next;
	}
}
