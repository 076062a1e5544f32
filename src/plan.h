/*
 * plan.h
 *	  Cached SPI plans, for plan.c and the rooms that have the texts of some.
 */
#ifndef RESERVATION_PLAN_H
#define RESERVATION_PLAN_H

#include "executor/spi.h"

#include "reservation.h"

#define RSV_PLAN_ARGUMENTS_MAX 17

typedef struct RsvPlanInfo
{
	const char *text;
	Oid types[RSV_PLAN_ARGUMENTS_MAX + 1]; /* ends with InvalidOid */
	bool read_only;
	bool as_caller;  /* with the caller's snapshot */
	SPIPlanPtr plan; /* NULL: not prepared yet */
} RsvPlanInfo;

extern RsvPlanInfo rsv_book_plans[RSV_PLANS - RSV_PLAN_BOOKS];

#endif /* RESERVATION_PLAN_H */
