/*
 * identifier.c
 *	  Claim ids: UUID version 7 (RFC 9562).
 *
 *	   48 bits  unix_ts_ms   milliseconds since 1970: new ids sort last, so the
 *							 primary key grows at its right edge
 *		4 bits  version      7
 *	   12 bits  rand_a       low bits of the CRC-32C of the pool's name: an id
 *							 alone says to which shard its pool belongs
 *		2 bits  variant      binary 10
 *	   62 bits  rand_b       from the server's strong random source: unguessable
 *
 * CRC-32C is fixed by RFC 3720, the same on every machine and in every version.
 */
#include "postgres.h"

#include "port/pg_crc32c.h"

#include "reservation.h"

/* Asking the random source costs much, however few bytes one asks for. */
#define RANDOM_BATCH 32

static void random_bytes(unsigned char *bytes);

void
rsv_identifier_make(pg_uuid_t *id, TimestampTz now, const text *pool_name)
{
	uint64 epoch_ms = (uint64) now / 1000 +
		(uint64) (POSTGRES_EPOCH_JDATE - UNIX_EPOCH_JDATE) * SECS_PER_DAY * 1000;
	pg_crc32c hash;

	INIT_CRC32C(hash);
	COMP_CRC32C(hash, VARDATA_ANY(pool_name), VARSIZE_ANY_EXHDR(pool_name));
	FIN_CRC32C(hash);

	random_bytes(&id->data[8]);
	for (int i = 0; i < 6; i++)
		id->data[i] = (unsigned char) (epoch_ms >> (40 - 8 * i));
	id->data[6] = (unsigned char) (0x70 | ((hash >> 8) & 0x0F));
	id->data[7] = (unsigned char) (hash & 0xFF);
	id->data[8] = (unsigned char) (0x80 | (id->data[8] & 0x3F));
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
