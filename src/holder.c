/*
 * holder.c
 *	  How a row of the application's table is named as the holder of a claim.
 *
 *		public.member 17			a table whose primary key is one number
 *		public.seat 'A',12			several columns, or other types: as literals
 *		public.member				a table without a primary key
 *
 * The table is the topmost of its partitions, so a row keeps its name when it
 * moves to another. A name does not depend on who writes it: dates and times are
 * written in ISO 8601, in UTC, and everything else as by the settings that a server
 * has by default. A session that wrote it otherwise would not find the row's claim,
 * and give nothing back.
 *
 * A row that an UPDATE moves to another partition is deleted here and inserted
 * there, number and all. The update trigger of the one leaves word for the
 * insert trigger of the other: same table, same number, same name. Every update
 * may be such a move, and only the version of the row that was there says whether
 * it is: the server has marked it.
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/htup_details.h"
#include "access/xact.h"
#include "catalog/partition.h"
#include "catalog/pg_type.h"
#include "common/hashfn.h"
#include "lib/stringinfo.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/bytea.h"
#include "utils/datetime.h"
#include "utils/float.h"
#include "utils/guc.h"
#include "utils/json.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"

#include "reservation.h"
#include "trigger.h"

/* Rows that are updated, and perhaps go from one partition to another. */
typedef struct Move
{
	Oid root_id; /* InvalidOid: none */
	Oid partition_id;
	ItemPointerData place; /* in that partition */
	int32 number;
	uint64 name_hash;
} Move;

/* As deep as triggers update rows for which triggers update rows */
#define MOVES 8

static Move moves[MOVES];
static int next_move = 0;

static text *write_name(const RsvHolder *holder, Relation relation, HeapTuple row);
static Oid root_of(Relation relation);
static bool is_by_settings(Oid type);
static void pin_settings(void);
static void pin(const char *setting, const char *value);
static void append_value(StringInfo name, Oid type, Datum value);
static uint64 name_hash(const text *name);
static void transaction_ends(XactEvent event, void *argument);

void
rsv_holder_init(void)
{
	RegisterXactCallback(transaction_ends, NULL);
}

/* Learns the columns of the primary key, in the order that all partitions have. */
void
rsv_holder_learn(Relation relation, RsvHolder *holder)
{
	Relation index;

	holder->root_id = root_of(relation);
	holder->nkeys = 0;
	holder->by_settings = false;
	list_free(RelationGetIndexList(relation)); /* finds the primary key */
	if (!OidIsValid(relation->rd_pkindex))
		return;
	index = index_open(relation->rd_pkindex, AccessShareLock);
	/* one that may be violated for a while names no row */
	for (int i = 0; index->rd_index->indimmediate && i < index->rd_index->indnkeyatts; i++)
	{
		AttrNumber column = index->rd_index->indkey.values[i];
		Form_pg_attribute attribute = TupleDescAttr(RelationGetDescr(relation), column - 1);

		/* a generated column has no value yet when a BEFORE trigger sees the row */
		if (attribute->attgenerated != '\0')
		{
			holder->nkeys = 0;
			break;
		}
		holder->keys[holder->nkeys++] = column;
		holder->by_settings = holder->by_settings || is_by_settings(attribute->atttypid);
	}
	index_close(index, NoLock);
}

/* The name of a row, by which a claim knows it. 22023 if it is too long for that. */
text *
rsv_holder_name(const RsvHolder *holder, Relation relation, HeapTuple row)
{
	text *name = write_name(holder, relation, row);

	rsv_check_name(name, "the key of the row, with the name of its table,");
	return name;
}

/* Is this the name of the row? */
bool
rsv_holder_is(const RsvHolder *holder, Relation relation, HeapTuple row, const text *name)
{
	return rsv_holder_same(write_name(holder, relation, row), name);
}

static text *
write_name(const RsvHolder *holder, Relation relation, HeapTuple row)
{
	TupleDesc columns = RelationGetDescr(relation);
	bool pinned = holder->by_settings || quote_all_identifiers;
	int level = pinned ? NewGUCNestLevel() : 0;
	StringInfoData name;

	if (pinned)
		pin_settings();
	initStringInfo(&name);
	appendStringInfoString(
		&name,
		quote_qualified_identifier(get_namespace_name(get_rel_namespace(holder->root_id)),
								   get_rel_name(holder->root_id)));
	for (int i = 0; i < holder->nkeys; i++)
	{
		bool isnull;
		Datum value = heap_getattr(row, holder->keys[i], columns, &isnull);

		appendStringInfoChar(&name, i == 0 ? ' ' : ',');
		if (isnull) /* the row will be refused for it */
			appendStringInfoString(&name, "NULL");
		else
			append_value(&name, TupleDescAttr(columns, holder->keys[i] - 1)->atttypid, value);
	}
	if (pinned)
		AtEOXact_GUC(true, level);
	return cstring_to_text_with_len(name.data, name.len);
}

/*
 * For triggers that must know a row again. Asked when one fires: a parallel restore
 * may make a table's triggers before its primary key.
 */
void
rsv_holder_require_key(Relation relation, const RsvHolder *holder, const char *function)
{
	if (holder->nkeys == 0)
		ereport(ERROR,
				(errcode(ERRCODE_WRONG_OBJECT_TYPE),
				 errmsg("%s needs a primary key on \"%s\"", function,
						RelationGetRelationName(relation)),
				 errhint("Add one of plain columns: a claim names the row by it."),
				 errtable(relation)));
}

bool
rsv_holder_same(const text *a, const text *b)
{
	return VARSIZE_ANY_EXHDR(a) == VARSIZE_ANY_EXHDR(b) &&
		memcmp(VARDATA_ANY(a), VARDATA_ANY(b), VARSIZE_ANY_EXHDR(a)) == 0;
}

/* An update may be about to move this row to another partition. */
void
rsv_holder_moves_out(Relation relation, HeapTuple row, int32 number, const text *name)
{
	if (!relation->rd_rel->relispartition)
		return;
	moves[next_move] = (Move) {
		.root_id = root_of(relation),
		.partition_id = RelationGetRelid(relation),
		.place = row->t_self,
		.number = number,
		.name_hash = name_hash(name),
	};
	next_move = (next_move + 1) % MOVES;
}

/* Is this the row that was, and is it there no more? Asked once, it is here. */
bool
rsv_holder_moves_in(Relation relation, int32 number, const text *name)
{
	for (int i = 0; relation->rd_rel->relispartition && i < MOVES; i++)
	{
		Move *move = &moves[i];

		if (OidIsValid(move->root_id) && move->root_id == root_of(relation) &&
			move->number == number && move->name_hash == name_hash(name) &&
			rsv_row_has_left(move->partition_id, &move->place))
		{
			move->root_id = InvalidOid;
			return true;
		}
	}
	return false;
}

/*
 * A partition that is being detached concurrently is one until that is done, which
 * may take until somebody finalizes it. Asked for its ancestors, it has none.
 */
static Oid
root_of(Relation relation)
{
	Oid root = RelationGetRelid(relation);

	for (bool below = relation->rd_rel->relispartition; below; below = get_rel_relispartition(root))
		root = get_partition_parent(root, true);
	return root;
}

/* May values of this type be written in more than one way? Of unknown types: yes. */
static bool
is_by_settings(Oid type)
{
	Oid base = getBaseType(type);

	switch (base)
	{
		case BOOLOID:
		case CHAROID:
		case NAMEOID:
		case INT2OID:
		case INT4OID:
		case INT8OID:
		case NUMERICOID:
		case OIDOID:
		case TEXTOID:
		case VARCHAROID:
		case BPCHAROID:
		case UUIDOID:
		case INETOID:
		case CIDROID:
		case MACADDROID:
		case TIMEOID:
		case TIMETZOID:
		case DATEOID: /* this and the next two: by append_value() */
		case TIMESTAMPOID:
		case TIMESTAMPTZOID:
			return false;
		default:
			return !type_is_enum(base);
	}
}

/*
 * Until the level ends: what a server has by default; where that depends on the
 * machine, the plainest. The role's own schema is not in the search path.
 */
static void
pin_settings(void)
{
	if (bytea_output != BYTEA_OUTPUT_HEX)
		pin("bytea_output", "hex");
	if (DateStyle != USE_ISO_DATES)
		pin("datestyle", "ISO");
	if (extra_float_digits < 1) /* from 1 on, as many digits as there are */
		pin("extra_float_digits", "1");
	if (IntervalStyle != INTSTYLE_POSTGRES)
		pin("intervalstyle", "postgres");
	if (quote_all_identifiers)
		pin("quote_all_identifiers", "off");
	if (strcmp(GetConfigOption("lc_monetary", false, false), "C") != 0)
		pin("lc_monetary", "C");
	pin("search_path", "public, pg_temp");
	if (strcmp(pg_get_timezone_name(session_timezone), "UTC") != 0)
		pin("timezone", "UTC");
}

static void
pin(const char *setting, const char *value)
{
	(void) set_config_option(setting, value, PGC_USERSET, PGC_S_SESSION, GUC_ACTION_SAVE, true, 0,
							 false);
}

static void
append_value(StringInfo name, Oid type, Datum value)
{
	Oid base = getBaseType(type);
	const int utc = 0;
	char category;
	bool preferred;
	Oid output;
	bool varlena;
	char *written;

	get_type_category_preferred(base, &category, &preferred);
	if (base == DATEOID || base == TIMESTAMPOID || base == TIMESTAMPTZOID)
		written = JsonEncodeDateTime(palloc(MAXDATELEN + 1), value, base, &utc);
	else
	{
		getTypeOutputInfo(type, &output, &varlena);
		written = OidOutputFunctionCall(output, value);
	}
	appendStringInfoString(name,
						   category == TYPCATEGORY_NUMERIC ? written : quote_literal_cstr(written));
}

static uint64
name_hash(const text *name)
{
	return hash_bytes_extended((const unsigned char *) VARDATA_ANY(name), VARSIZE_ANY_EXHDR(name),
							   0);
}

static void
transaction_ends(XactEvent event, void *argument)
{
	if (event == XACT_EVENT_COMMIT || event == XACT_EVENT_PREPARE || event == XACT_EVENT_ABORT)
		memset(moves, 0, sizeof(moves));
}
