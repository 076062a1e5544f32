/*
 * compat.h
 *	  One spelling for calls whose signature differs between PostgreSQL 15 and
 *	  18. The newest signature wins: older servers are mapped to it.
 */
#ifndef RESERVATION_COMPAT_H
#define RESERVATION_COMPAT_H

#include "access/genam.h"
#include "access/tableam.h"
#include "commands/explain.h"
#include "executor/executor.h"
#include "storage/proc.h"

/* PostgreSQL 18 moved what EXPLAIN prints with to a header of its own */
#if PG_VERSION_NUM >= 180000
#include "commands/explain_format.h"
#endif

/* PostgreSQL 18 put this before the declaration instead of after it */
#if PG_VERSION_NUM < 180000
#define pg_noreturn pg_attribute_noreturn()
#endif

/* PostgreSQL 16 told updates of summarizing indexes apart */
#if PG_VERSION_NUM < 160000
typedef bool TU_UpdateIndexes;
#define TU_None        false
#define TU_Summarizing false
#define ExecInsertIndexTuples(rri, slot, estate, update, noDupErr, conflict, arbiters, summarize) \
	(ExecInsertIndexTuples)(rri, slot, estate, update, noDupErr, conflict, arbiters)
#endif

/* PostgreSQL 16 gave the privilege checks of all kinds of objects one function */
#if PG_VERSION_NUM < 160000
#define rsv_function_aclcheck(function, role) pg_proc_aclcheck(function, role, ACL_EXECUTE)

#define object_ownercheck(class_id, object_id, role_id) pg_class_ownercheck(object_id, role_id)
#else
#define rsv_function_aclcheck(function, role) \
	object_aclcheck(ProcedureRelationId, function, role, ACL_EXECUTE)
#endif

/* PostgreSQL 18 added instrumentation to index scans */
#if PG_VERSION_NUM < 180000
#define index_beginscan(table, index, snapshot, instrument, nkeys, norderbys) \
	(index_beginscan)(table, index, snapshot, nkeys, norderbys)
#endif

/* PostgreSQL 17 lets an access method give up what it kept from row to row */
#if PG_VERSION_NUM < 170000
#define index_insert_cleanup(index, info) ((void) 0)
#endif

/* PostgreSQL 17 names what a process is, and is in, anew */
#if PG_VERSION_NUM < 170000
#define MyProcNumber             (MyProc->pgprocno)
#define rsv_local_transaction_id (MyProc->lxid)
#else
#define rsv_local_transaction_id (MyProc->vxid.lxid)
#endif

#endif /* RESERVATION_COMPAT_H */
