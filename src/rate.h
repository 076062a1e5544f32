/*
 * rate.h
 *	  What the rooms of the rate limit share: gcra.c, siphash.c, cell.c, meter.c,
 *	  rate.c.
 */
#ifndef RESERVATION_RATE_H
#define RESERVATION_RATE_H

#include "reservation.h"

/* Limits that fall on one bucket, in shared memory and in the table, before one is forgotten. */
#define RSV_RATE_WAYS 16

/* Years of the longest period; the arithmetic has room for many times that */
#define RSV_RATE_YEARS_MAX 1000

#define RSV_SIPHASH_BYTES     16
#define RSV_RATE_DIGEST_BYTES RSV_SIPHASH_BYTES

/*
 * What is kept of a limit: when it is idle again, in microseconds and parts of
 * one, of which there are as many as the burst. ("Theoretical arrival time" in
 * the standard.)
 */
typedef struct RsvMeter
{
	TimestampTz idle_at; /* DT_NOBEGIN: nothing was ever spent */
	int32 fraction;
} RsvMeter;

#define RSV_METER_IDLE ((RsvMeter) {DT_NOBEGIN, 0})

typedef enum RsvSpending
{
	RSV_SPEND,
	RSV_LOOK,     /* changes nothing */
	RSV_GIVE_BACK /* what a call before has spent */
} RsvSpending;

/* One call on a limit. */
typedef struct RsvSpend
{
	RsvSpending spending;
	RsvRule rule;
	int32 cost;
	uint8 digest[RSV_RATE_DIGEST_BYTES]; /* whose limit: a hash of the key and the rule */
	TimestampTz now;
	RsvMeter meter; /* as found; then as left behind */
	bool admitted;
} RsvSpend;

/* What a caller is told. */
typedef struct RsvVerdict
{
	int32 remaining;
	int64 retry_after_us; /* 0: at once; < 0: never */
	int64 reset_after_us;
} RsvVerdict;

/* gcra.c: the arithmetic */
extern bool rsv_gcra_spend(RsvSpend *spend);
extern void rsv_gcra_read(const RsvSpend *spend, RsvVerdict *verdict);

/* siphash.c: a hash with a secret */
extern void rsv_siphash(const uint8 *key, const uint8 *bytes, Size length, uint8 *hash);

/* cell.c: meters in shared memory */
extern bool rsv_cell_digest(const void *limit, Size length, uint8 *digest);
extern void rsv_cell_spend(RsvSpend *spend);

/* meter.c: meters in a table */
extern bool rsv_meter_spend(RsvSpend *spend, const RsvPool *pool, TimestampTz deadline);

#endif /* RESERVATION_RATE_H */
