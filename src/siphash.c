/*
 * siphash.c
 *	  SipHash-2-4 with a result of 128 bits: a hash of short strings that nobody
 *	  can foresee who does not know its key (Aumasson and Bernstein, "SipHash: a
 *	  fast short-input PRF", 2012).
 *
 * The server has SHA-256, which needs no secret (digest.c) but costs eighteen
 * times as much for a short key: with it, a third of rate_limit was hashing.
 * test/t/037_siphash.pl compares this with OpenSSL's.
 */
#include "postgres.h"

#include "port/pg_bswap.h"

#include "rate.h"

#ifdef WORDS_BIGENDIAN
#define LITTLE_ENDIAN_64(word) pg_bswap64(word)
#else
#define LITTLE_ENDIAN_64(word) (word)
#endif

#define ROTATE_LEFT(word, bits) (((word) << (bits)) | ((word) >> (64 - (bits))))

typedef struct State
{
	uint64 a;
	uint64 b;
	uint64 c;
	uint64 d;
} State;

static uint64 load(const uint8 *bytes, Size length);
static void store(uint8 *bytes, const State *state);
static void take_in(State *state, uint64 word);
static void stir(State *state, int rounds);

/* The hash of these bytes, RSV_SIPHASH_BYTES of it, with a key of as many. */
void
rsv_siphash(const uint8 *key, const uint8 *bytes, Size length, uint8 *hash)
{
	uint64 k0 = load(key, sizeof(uint64));
	uint64 k1 = load(key + sizeof(uint64), sizeof(uint64));
	State state = {
		k0 ^ UINT64CONST(0x736f6d6570736575),
		k1 ^ UINT64CONST(0x646f72616e646f6d) ^ 0xee,
		k0 ^ UINT64CONST(0x6c7967656e657261),
		k1 ^ UINT64CONST(0x7465646279746573),
	};
	Size rest = length;

	for (; rest >= sizeof(uint64); rest -= sizeof(uint64), bytes += sizeof(uint64))
		take_in(&state, load(bytes, sizeof(uint64)));
	take_in(&state, load(bytes, rest) | (uint64) length << 56);

	state.c ^= 0xee;
	stir(&state, 4);
	store(hash, &state);
	state.b ^= 0xdd;
	stir(&state, 4);
	store(hash + sizeof(uint64), &state);
}

static uint64
load(const uint8 *bytes, Size length)
{
	uint64 word = 0;

	memcpy(&word, bytes, length);
	return LITTLE_ENDIAN_64(word);
}

static void
store(uint8 *bytes, const State *state)
{
	uint64 word = LITTLE_ENDIAN_64(state->a ^ state->b ^ state->c ^ state->d);

	memcpy(bytes, &word, sizeof(word));
}

static void
take_in(State *state, uint64 word)
{
	state->d ^= word;
	stir(state, 2);
	state->a ^= word;
}

static void
stir(State *state, int rounds)
{
	State s = *state;

	while (rounds-- > 0)
	{
		s.a += s.b;
		s.b = ROTATE_LEFT(s.b, 13) ^ s.a;
		s.a = ROTATE_LEFT(s.a, 32);
		s.c += s.d;
		s.d = ROTATE_LEFT(s.d, 16) ^ s.c;
		s.a += s.d;
		s.d = ROTATE_LEFT(s.d, 21) ^ s.a;
		s.c += s.b;
		s.b = ROTATE_LEFT(s.b, 17) ^ s.c;
		s.c = ROTATE_LEFT(s.c, 32);
	}
	*state = s;
}
