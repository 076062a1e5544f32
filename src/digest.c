/*
 * digest.c
 *	  SHA-256, as the server computes it.
 *
 * Making the server's context for it and giving it back costs a third as much as
 * the digest of a short key. So a session makes one, at its first digest, and
 * keeps it. The server gives each to a resource owner, which frees it; ours
 * belongs to one that no end of a transaction releases.
 *
 * Memory: the context, once per session, in TopMemoryContext.
 */
#include "postgres.h"

#include "common/cryptohash.h"
#include "common/sha2.h"
#include "utils/resowner.h"

#include "reservation.h"

static pg_cryptohash_ctx *context(void);

/* The digest of all pieces, one after the other. */
void
rsv_digest(const RsvPiece *pieces, int count, uint8 *digest)
{
	pg_cryptohash_ctx *hash = context();
	bool good = pg_cryptohash_init(hash) >= 0;

	for (int i = 0; good && i < count; i++)
		good = pg_cryptohash_update(hash, pieces[i].bytes, pieces[i].length) >= 0;
	if (!good || pg_cryptohash_final(hash, digest, PG_SHA256_DIGEST_LENGTH) < 0)
		elog(ERROR, "could not compute SHA-256: %s", pg_cryptohash_error(hash));
}

static pg_cryptohash_ctx *
context(void)
{
	static pg_cryptohash_ctx *kept = NULL;
	static ResourceOwner session = NULL;

	if (kept == NULL)
	{
		ResourceOwner caller = CurrentResourceOwner;

		if (session == NULL)
			session = ResourceOwnerCreate(NULL, "reservation digest");
		CurrentResourceOwner = session; /* an error sets it back, too */
		kept = pg_cryptohash_create(PG_SHA256);
		CurrentResourceOwner = caller;
	}
	return kept;
}
