/*
 * agreement.c
 *	  Whether the library and the extension's script are of one version.
 *
 * A package brings a new library and a new script at once, but a server goes on
 * with the library that it has loaded, and a database with the objects that its
 * script made, until somebody restarts the one and updates the other. What they
 * mean by an argument, a row or a column may differ in between, so neither is
 * used with the other.
 *
 * Invariant: no function of ours runs for SQL of another version. PostgreSQL
 * asks for a function's calling convention when a session first uses it, and
 * again when its definition has changed (PG_FUNCTION_INFO_V1, which
 * reservation.h makes ask here): a call that was looked up before costs nothing.
 * layout.c asks when it learns a table, first or anew, so that an update made
 * while a session goes on is noticed too.
 *
 * Memory: the caller's, a few bytes.
 */
#include "postgres.h"

#include <ctype.h>

#include "access/genam.h"
#include "access/htup_details.h"
#include "access/table.h"
#include "catalog/pg_extension.h"
#include "commands/extension.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/rel.h"

#include "reservation.h"

static char *script_version(void);
static int compare(const char *one, const char *other);

/*
 * Raises an error if they differ. While CREATE or ALTER EXTENSION runs a script,
 * that may be one of several steps on the way to the library's version; and
 * pg_upgrade copies the old objects for a library that is newer.
 */
void
rsv_agreement_check(void)
{
	char *script;
	int order;

	if (IsBinaryUpgrade)
		return;
	script = script_version();
	order = script == NULL ? 0 : compare(script, RESERVATION_VERSION);
	if (order == 0 || (order < 0 && creating_extension))
		return;
	ereport(ERROR,
			(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
			 errmsg("extension \"%s\" is of version %s here, its library of version %s", RSV_SCHEMA,
					script, RESERVATION_VERSION),
			 order < 0 ? errhint("Run ALTER EXTENSION reservation UPDATE in this database.")
					   : errhint("Connect again, or restart the server if the library is in "
								 "shared_preload_libraries; if that does not help, install the "
								 "library that came with the newer version.")));
}

/* The version in the catalog of this database, NULL if the extension is not there. */
static char *
script_version(void)
{
	Relation catalog = table_open(ExtensionRelationId, AccessShareLock);
	ScanKeyData key;
	SysScanDesc scan;
	HeapTuple row;
	char *version = NULL;

	ScanKeyInit(&key, Anum_pg_extension_extname, BTEqualStrategyNumber, F_NAMEEQ,
				CStringGetDatum(RSV_SCHEMA));
	scan = systable_beginscan(catalog, ExtensionNameIndexId, true, NULL, 1, &key);
	row = systable_getnext(scan);
	if (HeapTupleIsValid(row))
	{
		bool isnull;
		Datum value =
			heap_getattr(row, Anum_pg_extension_extversion, RelationGetDescr(catalog), &isnull);

		version = TextDatumGetCString(value);
	}
	systable_endscan(scan);
	table_close(catalog, AccessShareLock);
	return version;
}

/*
 * Which of two versions, numbers with dots between, is the later: below zero, zero, or above.
 * What does not look like one is compared as text.
 */
static int
compare(const char *one, const char *other)
{
	while (isdigit((unsigned char) *one) && isdigit((unsigned char) *other))
	{
		char *one_end;
		char *other_end;
		unsigned long a = strtoul(one, &one_end, 10);
		unsigned long b = strtoul(other, &other_end, 10);

		if (a != b)
			return a < b ? -1 : 1;
		one = *one_end == '.' ? one_end + 1 : one_end;
		other = *other_end == '.' ? other_end + 1 : other_end;
	}
	return strcmp(one, other);
}
