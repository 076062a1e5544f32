/*
 * layout.h
 *	  Our tables and indexes as one session knows them, for scan.c and store.c alone.
 */
#ifndef RESERVATION_LAYOUT_H
#define RESERVATION_LAYOUT_H

#include "reservation.h"

/* What one backend knows about one of our tables. */
typedef struct RsvTableInfo
{
	const char *name;
	int ncolumns;                 /* as this version of the library expects */
	Oid oid;                      /* InvalidOid: never looked up */
	Oid file;                     /* where its rows lie, another one after a rewrite */
	bool stale;                   /* changed since it was learned */
	LocalTransactionId locked_by; /* the transaction that last locked it */
	SubTransactionId locked_in;   /* and the subtransaction, until whose end it is locked */
	MemoryContext context;        /* all that follows */
	EState *estate;
	ResultRelInfo *target;
	Oid *index_oids;
	ExprState **predicates; /* of each index, NULL: it takes every row */
} RsvTableInfo;

extern RsvTableInfo *rsv_layout_table(RsvTable table);
extern RsvTable rsv_layout_table_of(RsvIndex index);
extern Oid rsv_layout_index(RsvIndex index);
extern void rsv_layout_index_row(RsvTableInfo *info, Relation relation, TupleTableSlot *row,
								 bool update, bool summarizing_only);

#endif /* RESERVATION_LAYOUT_H */
