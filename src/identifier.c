/*
 * identifier.c
 *	  Ids: UUID version 7 (RFC 9562), and to which shard things belong.
 *
 *	   48 bits  unix_ts_ms   milliseconds since 1970: new ids sort last, so the
 *							 primary key grows at its right edge
 *		4 bits  version      7
 *	   12 bits  rand_a       the shard of the pool's name: an id alone says
 *							 where its pool is
 *		2 bits  variant      binary 10
 *	   62 bits  rand_b       from the server's strong random source: unguessable
 *
 * The shard of a name is the low 12 bits of its CRC-32C, which RFC 3720 fixes:
 * the same on every machine and in every version. A name may have a tag, which
 * is what stands between its first { and the next }. Then only the tag counts,
 * so that names with one tag have one shard.
 */
#include "postgres.h"

#include "port/pg_crc32c.h"

#include "reservation.h"

/* Asking the random source costs much, however few bytes one asks for. */
#define RANDOM_BATCH 32

static int shard_of_name(const text *name);
static void random_bytes(unsigned char *bytes);

/*
 * shard_of_name(name text) -> integer
 *
 * NULL: 0, so that a call without a name goes somewhere to be refused.
 */
PG_FUNCTION_INFO_V1(rsv_shard_of_name);
Datum
rsv_shard_of_name(PG_FUNCTION_ARGS)
{
	PG_RETURN_INT32(PG_ARGISNULL(0) ? 0 : shard_of_name(PG_GETARG_TEXT_PP(0)));
}

/*
 * shard_of_id(id uuid) -> integer
 *
 * NULL: 0.
 */
PG_FUNCTION_INFO_V1(rsv_shard_of_id);
Datum
rsv_shard_of_id(PG_FUNCTION_ARGS)
{
	pg_uuid_t *id;

	if (PG_ARGISNULL(0))
		PG_RETURN_INT32(0);
	id = PG_GETARG_UUID_P(0);
	PG_RETURN_INT32((id->data[6] & 0x0F) << 8 | id->data[7]);
}

void
rsv_identifier_make(pg_uuid_t *id, TimestampTz now, const text *pool_name)
{
	uint64 epoch_ms = (uint64) now / 1000 +
		(uint64) (POSTGRES_EPOCH_JDATE - UNIX_EPOCH_JDATE) * SECS_PER_DAY * 1000;
	int shard = shard_of_name(pool_name);

	random_bytes(&id->data[8]);
	for (int i = 0; i < 6; i++)
		id->data[i] = (unsigned char) (epoch_ms >> (40 - 8 * i));
	id->data[6] = (unsigned char) (0x70 | (shard >> 8));
	id->data[7] = (unsigned char) (shard & 0xFF);
	id->data[8] = (unsigned char) (0x80 | (id->data[8] & 0x3F));
}

/* 0 to 4095 */
static int
shard_of_name(const text *name)
{
	const char *start = VARDATA_ANY(name);
	const char *end = start + VARSIZE_ANY_EXHDR(name);
	const char *open = memchr(start, '{', end - start);
	const char *close = open == NULL ? NULL : memchr(open, '}', end - open);
	pg_crc32c hash;

	if (close != NULL && close > open + 1)
	{
		start = open + 1;
		end = close;
	}
	INIT_CRC32C(hash);
	COMP_CRC32C(hash, start, end - start);
	FIN_CRC32C(hash);
	return hash & 0x0FFF;
}

/* Eight bytes that nobody has seen, and nobody will see again. */
static void
random_bytes(unsigned char *bytes)
{
	static unsigned char batch[RANDOM_BATCH][8];
	static int left = 0;

	if (left == 0)
	{
		if (!pg_strong_random(batch, sizeof(batch)))
			ereport(ERROR,
					(errcode(ERRCODE_INTERNAL_ERROR),
					 errmsg("could not make a claim id: no random numbers"),
					 errhint("Check the server's entropy source, then call again.")));
		left = RANDOM_BATCH;
	}
	left--;
	memcpy(bytes, batch[left], sizeof(batch[left]));
	memset(batch[left], 0, sizeof(batch[left]));
}
