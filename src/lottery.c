/*
 * lottery.c
 *	  The order of a lottery, which everybody can recompute.
 *
 * The lot of a ticket is the SHA-256 of the seed, a colon and the ticket's id as it
 * is written (8-4-4-4-12, lower case), all in UTF-8. Higher priorities come first;
 * among equals, the lower lot. In SQL:
 *
 *		ORDER BY priority DESC, sha256(convert_to(seed || ':' || ticket_id, 'UTF8'))
 *
 * Invariant: the order depends on nothing but the seed and the tickets, so a draw
 * in several batches gives what one would have given.
 *
 * Memory: the lots of a whole line, 56 bytes each, in the caller's context.
 */
#include "postgres.h"

#include "common/sha2.h"
#include "mb/pg_wchar.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/fmgrprotos.h"
#include "utils/memutils.h"
#include "utils/uuid.h"

#include "reservation.h"

typedef struct Drawn
{
	uint8 digest[PG_SHA256_DIGEST_LENGTH];
	int32 priority;
	RsvLot lot;
} Drawn;

static void draw(const char *prefix, const RsvTicket *ticket, Drawn *drawn);
static int compare(const void *a, const void *b);

/* Everybody who waits, in the order of the lots. */
RsvLot *
rsv_lottery_draw(const RsvPool *pool, const text *seed, int32 *nlots)
{
	RsvKey key = {BTEqualStrategyNumber, F_INT4EQ, Int32GetDatum(pool->pool_id)};
	char *colon = psprintf("%s:", text_to_cstring(seed));
	char *prefix = pg_server_to_any(colon, strlen(colon), PG_UTF8);
	MemoryContext row =
		AllocSetContextCreate(CurrentMemoryContext, "reservation lot", ALLOCSET_SMALL_SIZES);
	Snapshot as_of = rsv_store_now();
	int32 room = 1024;
	Drawn *drawn = palloc(sizeof(Drawn) * room);
	RsvLot *lots;
	RsvScan scan;

	*nlots = 0;
	rsv_scan_begin(&scan, RSV_TICKET_LINE, as_of, &key, 1);
	while (rsv_scan_next(&scan))
	{
		MemoryContext caller;
		RsvTicket ticket;

		CHECK_FOR_INTERRUPTS();
		if (*nlots == room)
		{
			room *= 2;
			drawn = repalloc_huge(drawn, sizeof(Drawn) * room);
		}
		caller = MemoryContextSwitchTo(row);
		rsv_ticket_from_scan(&scan, &ticket);
		draw(prefix, &ticket, &drawn[(*nlots)++]);
		MemoryContextSwitchTo(caller);
		MemoryContextReset(row);
	}
	rsv_scan_end(&scan);
	rsv_store_forget(as_of);
	MemoryContextDelete(row);

	qsort(drawn, *nlots, sizeof(Drawn), compare);
	lots = MemoryContextAllocHuge(CurrentMemoryContext, sizeof(RsvLot) * (*nlots + 1));
	for (int32 i = 0; i < *nlots; i++)
		lots[i] = drawn[i].lot;
	pfree(drawn);
	return lots;
}

static void
draw(const char *prefix, const RsvTicket *ticket, Drawn *drawn)
{
	char *id = DatumGetCString(DirectFunctionCall1(uuid_out, UUIDPGetDatum(&ticket->ticket_id)));
	RsvPiece pieces[] = {
		{prefix, strlen(prefix)},
		{id, strlen(id)},
	};

	rsv_digest(pieces, lengthof(pieces), drawn->digest);
	drawn->priority = ticket->priority;
	drawn->lot.ticket_id = ticket->ticket_id;
	drawn->lot.tid = ticket->tid;
}

static int
compare(const void *a, const void *b)
{
	const Drawn *left = a;
	const Drawn *right = b;

	if (left->priority != right->priority)
		return left->priority > right->priority ? -1 : 1;
	return memcmp(left->digest, right->digest, sizeof(left->digest));
}
