/*
 * visit.h
 *	  What the launcher and a worker tell each other, for launcher.c and worker.c
 *	  alone.
 */
#ifndef RESERVATION_VISIT_H
#define RESERVATION_VISIT_H

#include "reservation.h"

/* So many workers at once; further databases wait for one of them to end. */
#define RSV_VISITS_MAX 4

/* How a visit to a database ended. */
typedef enum RsvOutcome
{
	RSV_VISIT_FAILED, /* what it is until the worker says otherwise */
	RSV_VISIT_DONE,
	RSV_VISIT_IN_THE_WAY, /* it left at once */
	RSV_VISIT_NO_EXTENSION
} RsvOutcome;

/* What a worker is told, and leaves behind for the next one. */
typedef struct RsvVisit
{
	Oid database;
	uint64 number; /* of the visit: a worker that came late must not answer for another */
	RsvOutcome outcome;
	RsvRetention retention;
	TransactionId began; /* the next transaction id when the last visit began */
} RsvVisit;

extern void rsv_visit_read(int place, RsvVisit *visit);
extern void rsv_visit_end(int place, const RsvVisit *visit);

#endif /* RESERVATION_VISIT_H */
