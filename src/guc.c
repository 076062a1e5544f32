/*
 * guc.c
 *	  Settings. None of them changes what is right, only how long a hold lives or
 *	  a caller waits when the call does not say, and how fast it goes.
 */
#include "postgres.h"

#include <limits.h>

#include "miscadmin.h"
#include "utils/guc.h"

#include "reservation.h"

int rsv_hold_ttl_s = 600;
int rsv_claim_wait_ms = 2000;
int rsv_hint_pools = 1024;
int rsv_directory_pools = 131072;
int rsv_rate_keys = 65536;
int rsv_worker_naptime_ms = 10000;

void
rsv_guc_init(void)
{
	DefineCustomIntVariable(
		"reservation.hold_ttl", "How long a hold lives when neither the call nor the pool says.",
		NULL, &rsv_hold_ttl_s, 600, 1, INT_MAX, PGC_USERSET, GUC_UNIT_S, NULL, NULL, NULL);
	DefineCustomIntVariable(
		"reservation.claim_wait",
		"How long a claim waits for unfinished transactions that hold the last units.",
		"Zero: it does not wait, and answers \"busy\".", &rsv_claim_wait_ms, 2000, 0, INT_MAX,
		PGC_USERSET, GUC_UNIT_MS, NULL, NULL, NULL);
	DefineCustomIntVariable("reservation.stock_slots",
							"How many slots the stock of a counted pool is split into at the most.",
							"As many calls can take from one pool without waiting for each other.",
							&rsv_stock_slots, 64, 2, 1024, PGC_USERSET, 0, NULL, NULL, NULL);
	if (process_shared_preload_libraries_in_progress)
	{
		DefineCustomIntVariable("reservation.hint_pools",
								"How many pools have their hints in shared memory.",
								"The others are as right, and slower.", &rsv_hint_pools, 1024, 8,
								1024 * 1024, PGC_POSTMASTER, 0, NULL, NULL, NULL);
		DefineCustomIntVariable(
			"reservation.directory_pools", "How many pools are found at once, by shared memory.",
			"The others are looked up in an index.", &rsv_directory_pools, 131072, 16,
			16 * 1024 * 1024, PGC_POSTMASTER, 0, NULL, NULL, NULL);
		DefineCustomIntVariable(
			"reservation.rate_keys", "How many rate limits are kept in shared memory.",
			"With more in use at once, those that are idle first are forgotten.", &rsv_rate_keys,
			65536, 16, 64 * 1024 * 1024, PGC_POSTMASTER, 0, NULL, NULL, NULL);
		DefineCustomIntVariable(
			"reservation.worker_naptime", "How often the background worker visits a database.",
			"Zero: never. Nothing depends on it.", &rsv_worker_naptime_ms, 10000, 0, INT_MAX / 1000,
			PGC_SIGHUP, GUC_UNIT_MS, NULL, NULL, NULL);
		DefineCustomIntVariable(
			"reservation.request_retention",
			"How long the background worker leaves the first answers to request ids.",
			"Zero: for ever. A repeated call gets the first answer until then.",
			&rsv_request_retention_s, 30 * SECS_PER_DAY, 0, INT_MAX, PGC_SUSET, GUC_UNIT_S, NULL,
			NULL, NULL);
	}
	MarkGUCPrefixReserved("reservation");
}
