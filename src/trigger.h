/*
 * trigger.h
 *	  What the rooms of the triggers share: reservation.h has the rest.
 */
#ifndef RESERVATION_TRIGGER_H
#define RESERVATION_TRIGGER_H

#include "commands/trigger.h"
#include "utils/reltrigger.h"

/* The one way to define a trigger of ours, or one of two. */
typedef struct RsvTriggerRule
{
	const char *function; /* in our schema */
	const char *usage;    /* as it stands after the trigger's name */
	int16 types[2];       /* pg_trigger.tgtype: level, time and events */
	int arguments_min;
	int arguments_max;
	/* makes of a definition what the function needs, in the current context, or raises */
	void *(*learn)(Relation relation, const Trigger *trigger);
} RsvTriggerRule;

typedef enum RsvColumnKind
{
	RSV_COLUMN_FLAG,
	RSV_COLUMN_TIME,
	RSV_COLUMN_INTEGER,
	RSV_COLUMN_NUMBER, /* integer or text */
	RSV_COLUMN_ANY
} RsvColumnKind;

typedef struct RsvColumn
{
	AttrNumber number;
	Oid type; /* perhaps a domain */
	int32 typmod;
	Oid base; /* never a domain */
} RsvColumn;

/* How a column writes numbers. */
typedef struct RsvNumeral
{
	RsvColumn column;
	bool is_text;
	char *prefix; /* of a text */
	int digits;   /* of a text, at least */
} RsvNumeral;

/* How a table's rows are named as holders. */
typedef struct RsvHolder
{
	Oid root_id; /* the table, or the topmost of its partitions */
	int nkeys;   /* columns of the primary key, 0: none that can be used */
	AttrNumber keys[INDEX_MAX_KEYS];
	bool by_settings; /* how they are written depends on the session's settings */
} RsvHolder;

/* How a row is found that a BEFORE trigger has handed on. */
typedef struct RsvTrail
{
	bool others_follow; /* other triggers, which may change or drop it */
	Oid index_id;       /* InvalidOid: no index serves */
} RsvTrail;

/* What a trigger assign_number does to its table. */
typedef struct RsvNumbering
{
	text *pool_name; /* NULL: each row says in a column */
	RsvColumn pool;
	RsvNumeral number;
	bool has_flag;
	RsvColumn flag;
	RsvHolder holder;
	RsvTrail inserted;
	RsvTrail updated;
} RsvNumbering;

/* A row that a BEFORE trigger has handed on with a number. */
typedef struct RsvAwaited
{
	Oid relation_id;
	Oid file_id; /* pg_class.relfilenode: changes when the table is written anew */
	RsvTrail trail;
	RsvColumn column;
	RsvColumn pool; /* 0: the trigger names the pool */
	RsvHolder key;
	HeapTuple tuple; /* as the executor got it */
	int32 number;
	CommandId command; /* of this transaction, when it was handed on */
} RsvAwaited;

/* What is expected of a row that is handed on with a claim. */
typedef enum RsvExpectation
{
	RSV_EXPECT_ROW,    /* that it arrives: else the number goes back */
	RSV_EXPECT_HEIR,   /* the same, and the claim names another row so far */
	RSV_EXPECT_NEW_KEY /* it is there, and perhaps gets another key */
} RsvExpectation;

/* Written before this transaction, or by no command of ours. */
#define RSV_LONG_AGO (-1)

/* What one row wants of one pool: more than zero; or gives back: less. */
typedef struct RsvWant
{
	int32 pool_id;
	bool owed; /* gives back only what the row wants in this very basket, so much */
	SubTransactionId subtransaction;
	int64 written; /* the command of this transaction that wrote the row, or RSV_LONG_AGO */
	text *holder;
	int64 quantity;
} RsvWant;

typedef void (*RsvTriggerVisitor)(Relation relation, const Trigger *trigger, void *argument);

extern const RsvTriggerRule rsv_numbering_rule;
extern const RsvTriggerRule rsv_version_rule;
extern const RsvTriggerRule rsv_flag_rule;
extern const RsvTriggerRule rsv_deduction_rule;
extern const RsvTriggerRule rsv_credit_rule;

extern void *rsv_trigger_begin(FunctionCallInfo fcinfo, const RsvTriggerRule *rule);
extern void rsv_trigger_check(const RsvTriggerRule *rule, Relation relation,
							  const Trigger *trigger);
extern void rsv_trigger_visit(const RsvTriggerRule *rule, RsvTriggerVisitor visitor,
							  void *argument);
extern void rsv_column_find(Relation relation, const char *name, RsvColumnKind kind, bool settable,
							RsvColumn *column);
extern int64 rsv_column_int64(const RsvColumn *column, Datum value);
extern Datum rsv_column_from_int64(Relation relation, const RsvColumn *column, int64 number);
extern void rsv_column_check_domain(const RsvColumn *column, Datum value, bool isnull);
extern text *rsv_column_text(const RsvColumn *column, TupleDesc columns, HeapTuple row);
pg_noreturn extern void rsv_column_refuse_negative(Relation relation, const RsvColumn *column,
												   int64 value);
extern bool rsv_column_is_set(const TriggerData *data, const RsvColumn *column);

extern bool rsv_column_same(const RsvColumn *column, Datum a, Datum b);

/* numeral.c: numbers in a column */
extern void rsv_numeral_find(Relation relation, const char *argument, RsvNumeral *numeral);
extern Datum rsv_numeral_write(Relation relation, const RsvNumeral *numeral, int32 number);
extern bool rsv_numeral_read(const RsvNumeral *numeral, Datum value, int32 *number);

/* holder.c: rows as holders of claims */
extern void rsv_holder_learn(Relation relation, RsvHolder *holder);
extern text *rsv_holder_name(const RsvHolder *holder, Relation relation, HeapTuple row);
extern bool rsv_holder_is(const RsvHolder *holder, Relation relation, HeapTuple row,
						  const text *name);
extern void rsv_holder_require_key(Relation relation, const RsvHolder *holder,
								   const char *function);
extern bool rsv_holder_same(const text *a, const text *b);
extern void rsv_holder_moves_out(Relation relation, HeapTuple row, int32 number, const text *name);
extern bool rsv_holder_moves_in(Relation relation, int32 number, const text *name);

/* row.c: rows of the application's tables */
typedef bool (*RsvRowTest)(TupleTableSlot *slot, void *argument);

extern Oid rsv_row_index(Relation relation, AttrNumber column, bool column_only);
extern bool rsv_row_search(Relation relation, Oid index_id, HeapTuple like, AttrNumber column,
						   Snapshot as_of, RsvRowTest test, void *argument);
extern bool rsv_row_visit(Relation relation, Snapshot as_of, RsvRowTest test, void *argument);
extern bool rsv_row_is_ours(TupleTableSlot *slot);
extern bool rsv_row_was_deleted(TupleTableSlot *slot, CommandId before);
extern bool rsv_row_has_left(Oid partition_id, ItemPointer place);

/* numbering.c: rows that get numbers */
extern text *rsv_numbering_pool_named(const Trigger *trigger);
extern text *rsv_numbering_pool(const RsvNumbering *numbering, TupleDesc columns, HeapTuple tuple);

/* basket.c: what the rows of a statement want from counted pools */
extern RsvWant *rsv_basket_want(int32 pool_id, text *holder, int64 quantity, HeapTuple row);
extern void rsv_basket_add(FmgrInfo *function, List *wants);
extern void rsv_basket_refund(FmgrInfo *function, int32 pool_id, text *holder, HeapTuple row);

/* want.c: taking it, and giving it back */
extern int64 rsv_want_give_back(const RsvWant *want);
extern void rsv_want_take(List *wants);

/* awaited.c: a row that was handed on, is it there? */
extern void rsv_awaited_learn(Relation relation, const Trigger *trigger, RsvNumbering *numbering);
extern void rsv_awaited_note(RsvAwaited *awaited, const TriggerData *data,
							 const RsvNumbering *numbering, HeapTuple row, int32 number);
extern bool rsv_awaited_is_back(const TriggerData *data, const RsvNumbering *numbering);
extern bool rsv_awaited_seen(const RsvAwaited *awaited, text **name);

/* arrival.c: numbers whose row may never arrive */
extern uint64 rsv_arrival_statement(const FmgrInfo *function, const Trigger *trigger);
extern void rsv_arrival_settle(uint64 statement);
extern bool rsv_arrival_confirm(const pg_uuid_t *claim_id);
extern void rsv_arrival_expect(uint64 statement, const TriggerData *data,
							   const RsvNumbering *numbering, HeapTuple row, const RsvClaim *claim,
							   RsvExpectation expectation);
extern bool rsv_arrival_take_spare(int32 pool_id, RsvClaim *claim);
extern bool rsv_arrival_once_more(const RsvClaim *claim, bool same_row);

#endif /* RESERVATION_TRIGGER_H */
