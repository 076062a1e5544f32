/*
 * line.c
 *	  The waiting line of a pool: joining it, leaving it, one's place, serving it.
 *
 * It is a queue before a sale, a waiting list behind one that is sold out, and a
 * lottery: tickets (ticket.c) that are dealt out what is free (serve.c), while
 * whoever does not stand in line gets nothing (passer.c).
 *
 * Order: a ticket has a number from the sequence of its line. One that was
 * committed before another join began has the lower number; of two at the same
 * time, the one that drew first, whichever commits first. One that commits late
 * takes the place of its number; who was served meanwhile stays served.
 *
 * Invariant: a holder has one ticket that waits or is offered. Whoever joins looks
 * for it and inserts, under a lock on a hash that is given up at once; if another
 * transaction has not decided, it waits for that. The unique index stands behind.
 *
 * Joins do not wait for each other: only the first ticket of a pool ever changes
 * the pool's row.
 *
 * Locks: the request id and the (pool, holder) of a limited pool by hash; the row
 * of the pool, once; for a moment, the hash of the holder; then tickets and units,
 * without waiting, except leave_line, which waits for whoever has its ticket.
 */
#include "postgres.h"

#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/fmgrprotos.h"
#include "utils/snapmgr.h"
#include "utils/uuid.h"

#include "reservation.h"

/* What a caller asks for. */
typedef struct Joiner
{
	text *pool_name;
	text *holder;
	int64 quantity;
	int32 priority;
	text *request_id; /* NULL: the call is not repeatable */
	TimestampTz now;
	Oid sequence; /* that the ticket's number is from */
} Joiner;

/* What a ticket waits for. */
typedef struct Wish
{
	const RsvPool *pool;
	int64 quantity;
	TimestampTz now;
} Wish;

static const char *join(Joiner *joiner, RsvPool *pool, TimestampTz deadline, RsvTicket *ticket);
static const char *stand(Joiner *joiner, RsvPool *pool, TimestampTz deadline, RsvTicket *ticket);
static const char *insert(Joiner *joiner, const RsvPool *pool, int64 number, RsvTicket *ticket);
static bool is_open(const RsvTicket *ticket, TimestampTz now);
static int64 look(const RsvPool *pool, TimestampTz now, RsvTicket *ticket, int64 place);
static bool await_freeing(void *argument);
static void answer_join(const char *status, const RsvTicket *ticket, int64 place,
						RsvAnswer *answer);
static pg_uuid_t *argument_ticket_id(FunctionCallInfo fcinfo);
static void read_ticket(const pg_uuid_t *ticket_id, Snapshot as_of, RsvTicket *ticket);
static const char *offer_status(const RsvTicket *ticket, Snapshot as_of, TimestampTz now,
								RsvClaim *claim);
static const char *leave(const pg_uuid_t *ticket_id);
static void serve_rest(int32 pool_id);
static RsvLot *argument_lots(FunctionCallInfo fcinfo, const RsvPool *pool, int32 *nlots);

/*
 * join_line(pool text, holder text, quantity bigint, priority integer, request_id text)
 *		-> (status, ticket_id, position, claim_id, replayed)
 *
 * request_id NULL: the call is not repeatable. position: 1 for who is next; NULL
 * unless the ticket waits.
 */
PG_FUNCTION_INFO_V1(rsv_join_line);
Datum
rsv_join_line(PG_FUNCTION_ARGS)
{
	Joiner order = {0};
	RsvAnswer answer;
	RsvRequest request;
	RsvPool pool;
	int64 most;
	TimestampTz deadline;
	bool busy;

	rsv_answer_begin(&answer, fcinfo);
	order.pool_name = rsv_argument_name(fcinfo, 0, "pool");
	order.holder = rsv_argument_name(fcinfo, 1, "holder");
	order.priority = rsv_argument_int32(fcinfo, 3, "priority", PG_INT32_MIN, PG_INT32_MAX);
	order.request_id = rsv_argument_optional_name(fcinfo, 4, "request_id");
	rsv_require_writable("join_line");
	rsv_pool_find(order.pool_name, &pool);
	most = pool.counted ? PG_INT64_MAX : RSV_CLAIM_UNITS_MAX;
	order.quantity = rsv_argument_int64(fcinfo, 2, "quantity", 1, most);

	rsv_request_begin(&request, pool.pool_id, "join_line", order.request_id);
	rsv_request_add_text(&request, "holder", order.holder);
	rsv_request_add_integer(&request, "quantity", order.quantity);
	rsv_request_add_integer(&request, "priority", order.priority);
	deadline = rsv_wait_deadline(NULL, GetCurrentTimestamp());
	if (!rsv_request_replay_until(&request, deadline, &answer, &busy))
	{
		RsvTicket ticket = {0};
		int64 place = 0;
		const char *status = busy ? "busy" : join(&order, &pool, deadline, &ticket);

		if (ticket.pool_id != 0)
			place = look(&pool, order.now, &ticket,
						 status == NULL ? rsv_place_joined(&ticket, order.sequence) : 0);
		if (status == NULL)
		{
			rsv_request_keep(&request, &answer);
			status = ticket.state == RSV_TICKET_OFFERED ? "offered" : "waiting";
		}
		answer_join(status, &ticket, place, &answer);
		rsv_request_save(&request, &answer, order.now);
	}
	return (Datum) 0;
}

/* leave_line(ticket_id uuid) -> (status, ticket_id) */
PG_FUNCTION_INFO_V1(rsv_leave_line);
Datum
rsv_leave_line(PG_FUNCTION_ARGS)
{
	RsvAnswer answer;
	pg_uuid_t *ticket_id;

	rsv_answer_begin(&answer, fcinfo);
	ticket_id = argument_ticket_id(fcinfo);
	rsv_require_writable("leave_line");
	rsv_answer_row(&answer,
				   (Datum[]) {CStringGetTextDatum(leave(ticket_id)), UUIDPGetDatum(ticket_id)},
				   (bool[]) {false, false});
	return (Datum) 0;
}

/*
 * line_position(ticket_id uuid) -> (status, position, claim_id, expires_at)
 *
 * Reads with the snapshot of its caller.
 */
PG_FUNCTION_INFO_V1(rsv_line_position);
Datum
rsv_line_position(PG_FUNCTION_ARGS)
{
	Snapshot as_of = RegisterSnapshot(GetActiveSnapshot());
	const char *status = "waiting";
	int64 place = 0;
	RsvClaim claim = {0};
	RsvAnswer answer;
	RsvTicket ticket;
	bool waits;

	rsv_answer_begin(&answer, fcinfo);
	read_ticket(argument_ticket_id(fcinfo), as_of, &ticket);
	waits = ticket.state == RSV_TICKET_WAITING;
	if (waits)
		place = rsv_place(&ticket, as_of);
	else
		status = offer_status(&ticket, as_of, GetCurrentTimestamp(), &claim);
	UnregisterSnapshot(as_of);
	rsv_answer_row(&answer,
				   (Datum[]) {CStringGetTextDatum(status), Int64GetDatum(place),
							  UUIDPGetDatum(&claim.claim_id),
							  TimestampTzGetDatum(claim.expires_at)},
				   (bool[]) {false, !waits, ticket.claim_ids == NULL, ticket.claim_ids == NULL});
	return (Datum) 0;
}

/*
 * serve_line(pool text, max integer, method text, seed text)
 *		-> (ticket_id, holder, claim_id, number, quantity, expires_at)
 *
 * seed: for method 'lottery' alone, where it must not be NULL. One row per hold.
 */
PG_FUNCTION_INFO_V1(rsv_serve_line);
Datum
rsv_serve_line(PG_FUNCTION_ARGS)
{
	RsvServing serving = {0};
	RsvAnswer answer;
	RsvPool pool;

	rsv_answer_begin(&answer, fcinfo);
	rsv_pool_find(rsv_argument_name(fcinfo, 0, "pool"), &pool);
	serving.max = rsv_argument_int32(fcinfo, 1, "max", 1, RSV_SWEEP_BATCH_MAX);
	rsv_require_writable("serve_line");
	serving.lots = argument_lots(fcinfo, &pool, &serving.nlots);
	serving.pool = &pool;
	serving.answer = &answer;
	serving.now = GetCurrentTimestamp();
	if (pool.lined)
		rsv_serve(&serving);
	return (Datum) 0;
}

/*
 * Takes a ticket, or finds the one that the holder has: then the status is
 * "existing". NULL: it is new. Any other status: there is no ticket.
 */
static const char *
join(Joiner *joiner, RsvPool *pool, TimestampTz deadline, RsvTicket *ticket)
{
	bool locked = rsv_limit_lock(pool, joiner->holder, deadline);
	const char *status;

	joiner->now = GetCurrentTimestamp();
	if (joiner->now >= pool->closes_at)
		return "closed";
	if (!locked)
		return "busy";
	if (!pool->lined)
		rsv_pass_mark(pool);
	status = stand(joiner, pool, deadline, ticket);
	/* it may have been dropped meanwhile */
	if (rsv_pool_is_changing(pool))
		rsv_pool_find(joiner->pool_name, pool);
	return status;
}

/* Goes to the end of the line, once it is certain that the holder is not in it. */
static const char *
stand(Joiner *joiner, RsvPool *pool, TimestampTz deadline, RsvTicket *ticket)
{
	for (;;)
	{
		int64 number = rsv_sequence_next_ticket(pool, &joiner->sequence);
		const char *status = NULL;
		RsvInFlight in_flight = {0};
		bool found;

		CHECK_FOR_INTERRUPTS();
		rsv_lock(RSV_LOCK_TICKET, pool->pool_id, joiner->holder);
		found = rsv_ticket_of_holder(pool, joiner->holder, ticket, &in_flight);
		if (!found && !in_flight.any)
			status = insert(joiner, pool, number, ticket);
		rsv_unlock(RSV_LOCK_TICKET, pool->pool_id, joiner->holder);
		joiner->now = GetCurrentTimestamp();
		if (found && is_open(ticket, joiner->now))
			return "existing";
		/* somebody may have the ticket since we looked */
		if (found &&
			rsv_ticket_change(ticket, RSV_TICKET_ENDED, joiner->now, false) == RSV_BUSY)
			rsv_in_flight_add(&in_flight, InvalidTransactionId);
		if (in_flight.any && !rsv_in_flight_wait(&in_flight, deadline))
			status = "busy";
		else if (in_flight.any || found)
		{
			joiner->now = GetCurrentTimestamp();
			if (joiner->now < pool->closes_at)
				continue;
			status = "closed";
		}
		if (status != NULL)
			memset(ticket, 0, sizeof(RsvTicket));
		return status;
	}
}

static const char *
insert(Joiner *joiner, const RsvPool *pool, int64 number, RsvTicket *ticket)
{
	List *holds;

	if (pool->per_holder > 0 &&
		(joiner->quantity > pool->per_holder ||
		 rsv_limit_holdings(pool, joiner->holder, joiner->now, &holds) >
			 pool->per_holder - joiner->quantity))
		return "limit_reached";
	*ticket = (RsvTicket) {
		.joined_at = joiner->now,
		.number = number,
		.quantity = joiner->quantity,
		.pool_id = pool->pool_id,
		.priority = joiner->priority,
		.state = RSV_TICKET_WAITING,
		.holder = joiner->holder,
	};
	rsv_identifier_make(&ticket->ticket_id, joiner->now, pool->name);
	rsv_ticket_insert(ticket);
	return NULL;
}

/* Does the ticket wait, or has it an offer of which something is still held? */
static bool
is_open(const RsvTicket *ticket, TimestampTz now)
{
	pg_uuid_t *claim_ids;
	int count = rsv_ticket_claims(ticket, &claim_ids);
	bool held = ticket->state == RSV_TICKET_WAITING;
	Snapshot as_of = rsv_store_now();

	for (int i = 0; !held && i < count; i++)
	{
		RsvClaim claim;

		held = rsv_claim_find(&claim_ids[i], as_of, &claim) && claim.state == RSV_HELD &&
			claim.expires_at > now;
	}
	rsv_store_forget(as_of);
	return held;
}

/*
 * Looks by the way whether those who wait can be served, and says what became of
 * our ticket: returns its place. place 0: not counted yet.
 */
static int64
look(const RsvPool *pool, TimestampTz now, RsvTicket *ticket, int64 place)
{
	pg_uuid_t ticket_id = ticket->ticket_id;
	int32 served = rsv_line_look(pool, now);
	Snapshot as_of;

	if (served == 0 && (place == 1 || (place > 1 && pool->pass_over)) && !pool->open &&
		rsv_pool_closed(pool, now) == NULL)
	{
		Wish wish = {.pool = pool, .quantity = ticket->quantity, .now = now};

		(void) rsv_attempt(await_freeing, &wish);
		served = rsv_line_look(pool, wish.now);
	}
	if (served == 0 && place > 0)
		return place;
	as_of = rsv_store_now();
	read_ticket(&ticket_id, as_of, ticket);
	place = ticket->state == RSV_TICKET_WAITING ? rsv_place(ticket, as_of) : 0;
	rsv_store_forget(as_of);
	return place;
}

/*
 * Whoever is just making a unit free may not have seen our ticket: waits a moment for them,
 * by asking for what we want. It is given back, and then dealt out in the order of the line.
 */
static bool
await_freeing(void *argument)
{
	Wish *wish = argument;
	TimestampTz deadline = GetCurrentTimestamp() + rsv_line_patience() / 2;
	int64 available;

	if (wish->pool->counted)
		(void) rsv_draw(wish->pool, wish->quantity, RSV_DRAW_CLAIM, &wish->now, deadline,
						&available);
	else
		(void) rsv_supply_take(wish->pool, (int32) wish->quantity, &wish->now, deadline,
							   palloc(sizeof(int32) * wish->quantity), &available, false);
	return false;
}

static void
answer_join(const char *status, const RsvTicket *ticket, int64 place, RsvAnswer *answer)
{
	pg_uuid_t *claim_ids = NULL;
	bool none = rsv_ticket_claims(ticket, &claim_ids) == 0;

	rsv_answer_row(answer,
				   (Datum[]) {CStringGetTextDatum(status), UUIDPGetDatum(&ticket->ticket_id),
							  Int64GetDatum(place), UUIDPGetDatum(claim_ids), BoolGetDatum(false)},
				   (bool[]) {false, ticket->pool_id == 0, place == 0, none, false});
}

static pg_uuid_t *
argument_ticket_id(FunctionCallInfo fcinfo)
{
	rsv_argument_required(fcinfo, 0, "ticket_id");
	return PG_GETARG_UUID_P(0);
}

/* Reads a ticket; RS002 if there is none. */
static void
read_ticket(const pg_uuid_t *ticket_id, Snapshot as_of, RsvTicket *ticket)
{
	CHECK_FOR_INTERRUPTS();
	if (!rsv_ticket_read(ticket_id, as_of, ticket))
		ereport(ERROR,
				(errcode(ERRCODE_RSV_UNKNOWN_CLAIM),
				 errmsg("ticket %s does not exist",
						DatumGetCString(DirectFunctionCall1(uuid_out, UUIDPGetDatum(ticket_id)))),
				 errhint("Pass a ticket_id from a join_line whose transaction committed.")));
}

/* What became of a ticket that waits no more, by its first claim. */
static const char *
offer_status(const RsvTicket *ticket, Snapshot as_of, TimestampTz now, RsvClaim *claim)
{
	static const char *const statuses[] = {"offered", "finalized", "released", "lapsed",
										   "refunded"};
	pg_uuid_t *claim_ids;

	if (rsv_ticket_claims(ticket, &claim_ids) > 0 && !rsv_claim_find(&claim_ids[0], as_of, claim))
		elog(ERROR, "a ticket's offer has no claim");
	if (ticket->state == RSV_TICKET_LEFT)
		return "left";
	return statuses[claim->state == RSV_HELD && claim->expires_at <= now ? RSV_LAPSED
																		 : claim->state];
}

/* Gives the ticket back, or what is held of its offer; returns the status. */
static const char *
leave(const pg_uuid_t *ticket_id)
{
	bool any = false;

	for (;;)
	{
		TimestampTz now = GetCurrentTimestamp();
		Snapshot as_of = rsv_store_now();
		const char *status = NULL;
		pg_uuid_t *claim_ids;
		RsvTicket ticket;
		RsvClaim claim;
		int count;

		read_ticket(ticket_id, as_of, &ticket);
		count = rsv_ticket_claims(&ticket, &claim_ids);
		rsv_store_forget(as_of);
		if (ticket.state == RSV_TICKET_LEFT)
			return "left";
		if (ticket.state == RSV_TICKET_WAITING)
		{
			RsvDeparture departure = {.block = ticket.number / RSV_BLOCK_TICKETS,
									  .priority = ticket.priority,
									  .tickets = 1};

			if (rsv_ticket_change(&ticket, RSV_TICKET_LEFT, now, true) != RSV_WRITTEN)
				continue;
			rsv_place_changed(ticket.pool_id, &departure);
			serve_rest(ticket.pool_id);
			return "left";
		}
		for (int i = 0; i < count; i++)
		{
			bool released;

			rsv_settle_release(&claim_ids[i], now, false, &claim, &released);
			any = any || released;
		}
		if (!any)
		{
			as_of = rsv_store_now();
			status = offer_status(&ticket, as_of, now, &claim);
			rsv_store_forget(as_of);
			return status;
		}
		if (rsv_ticket_change(&ticket, RSV_TICKET_LEFT, now, true) == RSV_WRITTEN)
			return "left";
	}
}

/* A ticket has left that may have held up those behind it. */
static void
serve_rest(int32 pool_id)
{
	RsvPool pool;

	rsv_pool_read(pool_id, &pool);
	if (!pool.dropped)
		rsv_line_freed(&pool);
}

/* The order that method and seed ask for; NULL: that of the line. */
static RsvLot *
argument_lots(FunctionCallInfo fcinfo, const RsvPool *pool, int32 *nlots)
{
	text *seed = rsv_argument_optional_name(fcinfo, 3, "seed");
	char *method;

	rsv_argument_required(fcinfo, 2, "method");
	method = text_to_cstring(PG_GETARG_TEXT_PP(2));
	if (strcmp(method, "fifo") != 0 && strcmp(method, "lottery") != 0)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("method must be \"fifo\" or \"lottery\""),
				 errhint("Pass 'fifo' for the order of joining, 'lottery' for that of a seed.")));
	if ((strcmp(method, "lottery") == 0) != (seed != NULL))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("a lottery needs a seed, and nothing else does"),
				 errhint("Publish the seed, and pass it with method => 'lottery'.")));
	return seed == NULL ? NULL : rsv_lottery_draw(pool, seed, nlots);
}
