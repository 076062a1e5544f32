/*
 * reservation.h
 *	  The map of the extension: shared types, and what each room offers.
 *
 * A unit of a numbered pool is free if and only if it has a row in
 * reservation.available. Claiming moves it: that row is deleted and one is
 * inserted in reservation.claim, in one transaction. Deleting without waiting
 * is the lock. Everything else in here follows from that.
 */
#ifndef RESERVATION_H
#define RESERVATION_H

#include "access/genam.h"
#include "access/skey.h"
#include "executor/tuptable.h"
#include "fmgr.h"
#include "lib/stringinfo.h"
#include "nodes/execnodes.h"
#include "utils/array.h"
#include "utils/jsonb.h"
#include "utils/rel.h"
#include "utils/snapshot.h"
#include "utils/timestamp.h"
#include "utils/uuid.h"

#include "compat.h"
#include "errors.h"

#define RSV_SCHEMA "reservation"

/* Limits: a call above one of them is refused, with the limit in the message */
#define RSV_NAME_BYTES_MAX      1000
#define RSV_CLAIM_UNITS_MAX     100000
#define RSV_POOL_UNITS_MAX      10000000
#define RSV_LAPSED_BATCH_MAX    1000
#define RSV_SWEEP_BATCH_MAX     1000000
#define RSV_LINES_MAX           10000
#define RSV_OPTIONS_BYTES_MAX   640
#define RSV_SECRET_BYTES_MAX    4096
#define RSV_PAYLOAD_BYTES_MAX   (1024 * 1024)
#define RSV_SIGNATURE_BYTES_MAX 4096

/* How often: so many at once, and as many per period after that. */
typedef struct RsvRule
{
	int32 burst; /* 0: no limit */
	int64 period_us;
	Interval *period; /* as it was given, where that matters */
} RsvRule;

/* A pool, as of the moment it was read. */
typedef struct RsvPool
{
	ItemPointerData tid; /* of the row version read */
	int32 pool_id;
	text *name;
	bool counted;   /* stock rather than numbered units */
	bool open;      /* open edition: no capacity, numbers from a sequence */
	int64 capacity; /* as created; meaningless if open */
	int32 first_number;
	bool labelled;      /* some unit has a row in reservation.unit */
	Interval *hold_ttl; /* NULL: the setting */
	int32 per_holder;   /* 0: no limit */
	int64 floor;
	int64 ceiling;
	bool has_ceiling;
	TimestampTz opens_at;  /* DT_NOBEGIN if none */
	TimestampTz closes_at; /* DT_NOEND if none */
	bool paused;
	bool dropped;
	RsvRule holder_rate;    /* claims of one holder */
	RsvRule pool_rate;      /* claims of all */
	bool lined;             /* somebody has stood in line */
	bool first_in_line;     /* nobody had before this call */
	bool pass_over;         /* who wants too much does not block smaller ones behind */
	Interval *offer_ttl;    /* NULL: hold_ttl */
	Interval *notify_every; /* NULL: never */
	bool looked_again;      /* rsv_limit_look has been asked */
	bool changed;           /* and said that the row is no longer as it was read */
	bool counts;            /* its claims count for a limit, or for one that is being set */
} RsvPool;

typedef enum RsvState
{
	RSV_HELD,
	RSV_FINALIZED,
	RSV_RELEASED,
	RSV_LAPSED,
	RSV_REFUNDED
} RsvState;

/* Who made an event, and its place in the order of all. */
typedef struct RsvStamp
{
	int64 position; /* era and transaction */
	int32 step;     /* within the transaction */
	text *actor;
} RsvStamp;

/* One row of reservation.claim; tid says which version of it. */
typedef struct RsvClaim
{
	ItemPointerData tid;
	pg_uuid_t claim_id;
	RsvStamp stamp; /* of its making */
	TimestampTz claimed_at;
	TimestampTz expires_at;
	TimestampTz finalized_at; /* meaningful if finalized or refunded */
	int64 quantity;
	int64 taken;    /* what the claim began with, if more; else 0 */
	int64 refunded; /* of quantity */
	int32 pool_id;
	int32 number; /* meaningful if numbered */
	bool numbered;
	RsvState state;
	text *holder;
	text *request_id; /* NULL if none */
	bool by_holder;   /* its holder can find it: counts for a limit, or a trigger made it */
	bool archived;    /* tid is of the archive: bring it back before changing it */
} RsvClaim;

typedef enum RsvTicketState
{
	RSV_TICKET_WAITING,
	RSV_TICKET_OFFERED,
	RSV_TICKET_LEFT,
	RSV_TICKET_ENDED
} RsvTicketState;

/* One row of reservation.ticket; tid says which version of it. */
typedef struct RsvTicket
{
	ItemPointerData tid;
	pg_uuid_t ticket_id;
	RsvStamp stamp; /* of its making */
	TimestampTz joined_at;
	TimestampTz settled_at; /* meaningful unless it waits */
	int64 number;
	int64 quantity;
	int32 pool_id;
	int32 priority;
	RsvTicketState state;
	text *holder;
	ArrayType *claim_ids; /* NULL: nothing was offered */
} RsvTicket;

/* A call that is a whole query. */
typedef struct RsvCall RsvCall;
/* What a checkout asks of one pool, all its lines taken together. */
typedef struct RsvItem
{
	RsvPool pool;
	int64 quantity;     /* in all */
	int32 *numbers;     /* units asked for by number, ascending */
	int32 named;        /* how many of those */
	int32 had;          /* how many of those the last attempt got */
	const char *reason; /* why the checkout cannot have it, NULL if it can */
	bool undecided;     /* other transactions hold what is left */
	bool limit_busy;    /* nor could the holder's lock be had in time */
	int64 available;    /* with a reason: what there is, -1 if it has to be counted */
} RsvItem;

/* Items to be held together, and the claims that came of it. */
typedef struct RsvHold
{
	RsvItem *items; /* by pool_id: the canonical order */
	int nitems;
	text *holder;
	text *request_id;
	Interval *ttl;          /* NULL: each pool's, or the setting */
	TimestampTz now;        /* by which the call judges */
	TimestampTz deadline;   /* until when it may wait */
	TimestampTz expires_at; /* the first of the holds to lapse */
	List *claims;           /* RsvClaim, in canonical order */
} RsvHold;

typedef enum RsvCheckoutState
{
	RSV_CHECKOUT_OPEN,
	RSV_CHECKOUT_PAID,
	RSV_CHECKOUT_FINALIZED,
	RSV_CHECKOUT_REFUND_DUE,
	RSV_CHECKOUT_CANCELLED
} RsvCheckoutState;

/* One row of reservation.checkout; tid says which version of it. */
typedef struct RsvCheckout
{
	ItemPointerData tid;
	pg_uuid_t checkout_id;
	TimestampTz created_at;
	TimestampTz expires_at;
	bool is_paid;
	TimestampTz paid_at;
	TimestampTz ended_at; /* meaningful if finalized, refund_due or cancelled */
	int64 amount;         /* 0: needs no payment */
	RsvCheckoutState state;
	text *request_id;
	text *holder;
	text *currency; /* NULL: any */
	struct varlena *arguments;
	text *cart;                 /* NULL: lines came from the caller */
	struct varlena *cart_lines; /* jsonb, NULL without a cart */
	struct varlena *claims;     /* jsonb, as it was answered */
} RsvCheckout;

/* One row of reservation.payment; tid says which version of it. */
typedef struct RsvPayment
{
	ItemPointerData tid;
	pg_uuid_t checkout_id;
	text *provider;
	text *payment_id;
	int64 amount;
	text *currency;
	const char *state;  /* paid, refund_due, refunded */
	const char *answer; /* to the call that recorded it */
	TimestampTz received_at;
	TimestampTz settled_at; /* meaningful with a reference */
	text *reference;        /* of the refund, NULL until it is settled */
} RsvPayment;

typedef struct RsvOrder
{
	pg_uuid_t order_id;
	int64 order_number;
	TimestampTz finalized_at;
} RsvOrder;

/* The rows that a function gives back, and their copy for a request id. */
typedef struct RsvAnswer
{
	FunctionCallInfo fcinfo;
	RsvCall *call;     /* who takes the rows, or NULL: a tuplestore does */
	TupleDesc columns; /* NULL: nobody has asked yet */
	StringInfo json;   /* NULL: nobody will ask again */
} RsvAnswer;

/* What other unfinished transactions hold that this call could have used. */
typedef struct RsvInFlight
{
	bool any;
	bool several;      /* more than one transaction, or one we cannot name */
	TransactionId xid; /* one of them, InvalidTransactionId if unknown */
} RsvInFlight;

/* access.c, reservation.c, guc.c: front door and settings */
extern int rsv_hold_ttl_s;
extern int rsv_claim_wait_ms;
extern int rsv_hint_pools;
extern int rsv_directory_pools;
extern int rsv_rate_keys;
extern int rsv_worker_naptime_ms;
extern int rsv_request_retention_s;
extern void rsv_guc_init(void);

/* agreement.c: whether the library and the extension's script are of one version */
extern void rsv_agreement_check(void);

/*
 * As fmgr.h has it, and asks that first: PostgreSQL calls this when a session
 * first uses a function, and when its definition has changed.
 */
#undef PG_FUNCTION_INFO_V1
#define PG_FUNCTION_INFO_V1(function)                                    \
	extern PGDLLEXPORT Datum function(PG_FUNCTION_ARGS);                 \
	extern PGDLLEXPORT const Pg_finfo_record *pg_finfo_##function(void); \
	const Pg_finfo_record *pg_finfo_##function(void)                     \
	{                                                                    \
		static const Pg_finfo_record record = {1};                       \
		rsv_agreement_check();                                           \
		return &record;                                                  \
	}                                                                    \
	extern int no_such_variable

/* trigger.c: the trigger protocol; trigger.h has what its rooms share */
extern void rsv_trigger_init(void);
extern void rsv_arrival_init(void);
extern void rsv_holder_init(void);
extern void rsv_basket_init(void);
extern int64 rsv_numbered_last(const RsvPool *pool);
extern void rsv_numbered_verify(const text *pool_name, RsvAnswer *answer);

/* argument.c: what callers hand in, checked */
extern void rsv_argument_required(FunctionCallInfo fcinfo, int argument, const char *what);
extern text *rsv_argument_name(FunctionCallInfo fcinfo, int argument, const char *what);
extern void rsv_check_name(const text *name, const char *what);
extern void rsv_check_names(ArrayType *array, const char *what, bool nulls);
extern text *rsv_argument_optional_name(FunctionCallInfo fcinfo, int argument, const char *what);
extern int32 rsv_argument_int32(FunctionCallInfo fcinfo, int argument, const char *what, int32 min,
								int32 max);
extern int64 rsv_argument_int64(FunctionCallInfo fcinfo, int argument, const char *what, int64 min,
								int64 max);
extern pg_uuid_t *rsv_argument_claim_id(FunctionCallInfo fcinfo, int argument);
extern Interval *rsv_argument_ttl(FunctionCallInfo fcinfo, int argument, const char *what);
extern Interval *rsv_argument_wait(FunctionCallInfo fcinfo, int argument);
extern TimestampTz rsv_wait_deadline(const Interval *wait, TimestampTz now);
extern TimestampTz rsv_hold_end(TimestampTz now, const Interval *ttl);
extern void rsv_require_writable(const char *function);
extern bool rsv_text_same(const text *a, const text *b);
extern char *rsv_text_display(const text *value);

/* call.c: a call that is a whole query */
extern void rsv_call_init(void);
extern RsvCall *rsv_call_of(FunctionCallInfo fcinfo);
extern void rsv_call_row(RsvCall *call, const Datum *values, const bool *nulls);

/* answer.c: what callers get back */
extern void rsv_answer_begin(RsvAnswer *answer, FunctionCallInfo fcinfo);
extern void rsv_answer_row(RsvAnswer *answer, const Datum *values, const bool *nulls);
extern void rsv_answer_keep(RsvAnswer *answer);
extern Datum rsv_answer_kept(RsvAnswer *answer);
extern void rsv_answer_repeat(RsvAnswer *answer, Datum kept);
extern char *rsv_answer_string(const JsonbValue *row, const char *name);

/* scan.c: looking at our rows (what a session knows of them: layout.c) */
typedef enum RsvTable
{
	RSV_POOL,
	RSV_ERA,
	RSV_AVAILABLE,
	RSV_UNIT,
	RSV_STOCK,
	RSV_CLAIM,
	RSV_ARCHIVE,
	RSV_TICKET,
	RSV_LINE_BLOCK,
	RSV_REQUEST,
	RSV_RATE,
	RSV_OPERATION,
	RSV_PROVIDER,
	RSV_CHECKOUT,
	RSV_PAYMENT,
	RSV_ORDER,
	RSV_LOG
} RsvTable;

typedef enum RsvIndex
{
	RSV_POOL_PKEY,
	RSV_POOL_NAME,
	RSV_ERA_PKEY,
	RSV_AVAILABLE_PKEY,
	RSV_UNIT_PKEY,
	RSV_STOCK_PKEY,
	RSV_STOCK_SPLIT,
	RSV_CLAIM_PKEY,
	RSV_CLAIM_LIVE,
	RSV_CLAIM_EXPIRY,
	RSV_CLAIM_HOLDER,
	RSV_ARCHIVE_PKEY,
	RSV_ARCHIVE_LIVE,
	RSV_TICKET_PKEY,
	RSV_TICKET_LINE,
	RSV_TICKET_HOLDER,
	RSV_LINE_BLOCK_PLACE,
	RSV_REQUEST_PKEY,
	RSV_RATE_PKEY,
	RSV_OPERATION_PKEY,
	RSV_PROVIDER_PKEY,
	RSV_CHECKOUT_PKEY,
	RSV_CHECKOUT_REQUEST,
	RSV_PAYMENT_PKEY,
	RSV_PAYMENT_CHECKOUT,
	RSV_ORDER_CHECKOUT,
	RSV_ORDER_NUMBER
} RsvIndex;

/* One condition of a scan, on the index column of its place in the array. */
typedef struct RsvKey
{
	StrategyNumber strategy;
	RegProcedure procedure;
	Datum value;
} RsvKey;

typedef struct RsvScan
{
	Relation table;
	Relation index; /* NULL: one row version, by its place */
	IndexScanDesc scan;
	TupleTableSlot *slot;    /* the row found; its memory lives until the next call */
	Snapshot as_of;          /* NULL: committed rows and rows in flight */
	ScanDirection direction; /* backward if the caller says so before the first row */
	SnapshotData dirty;
	TransactionId holder; /* in flight: who inserted or is deleting the row */
} RsvScan;

/* A unit, and where its free row should be. */
typedef struct RsvSpot
{
	int32 number;
	ItemPointerData tid;
} RsvSpot;

extern Oid rsv_layout_owner(void);
extern Oid rsv_layout_installation(void);
extern Oid rsv_layout_identity(void);
extern void rsv_layout_lock(RsvTable table);
extern void rsv_layout_wait(RsvTable table);
extern bool rsv_layout_try_lock(void);
extern BlockNumber rsv_layout_blocks(RsvTable table);

extern void rsv_scan_begin(RsvScan *scan, RsvIndex index, Snapshot as_of, const RsvKey *keys,
						   int nkeys);
extern bool rsv_scan_find(RsvScan *scan, RsvIndex index, const RsvKey *keys, int nkeys);
extern bool rsv_scan_beyond(RsvScan *scan, const RsvKey *keys, int nkeys);
extern bool rsv_scan_next(RsvScan *scan);
extern bool rsv_scan_pass(RsvScan *scan);
extern TransactionId rsv_scan_writer(const RsvScan *scan);
extern bool rsv_scan_lock(RsvScan *scan);
extern bool rsv_scan_at(RsvScan *scan, RsvTable table, ItemPointer tid);
extern bool rsv_scan_stands(RsvTable table, ItemPointer tid);
extern int rsv_scan_sift(RsvScan *scan, RsvSpot *spots, int count);
extern bool rsv_scan_ahead(RsvScan *scan, int key_column, Datum *value, ItemPointer tid);
extern void rsv_scan_end(RsvScan *scan);

/* store.c: writing them */
typedef enum RsvWrite
{
	RSV_WRITTEN,
	RSV_BUSY,   /* another transaction is changing this row */
	RSV_CHANGED /* another transaction has changed it: read again */
} RsvWrite;

extern Snapshot rsv_store_now(void);
extern void rsv_store_forget(Snapshot snapshot);
extern void rsv_store_insert(RsvTable table, Datum *values, bool *nulls);
extern RsvWrite rsv_store_update(RsvTable table, ItemPointer tid, Datum *values, bool *nulls,
								 bool wait, TransactionId *holder);
extern RsvWrite rsv_store_delete(RsvScan *scan, TransactionId *holder);

/* plan.c: cached SPI plans */
typedef enum RsvPlan
{
	RSV_PLAN_POOL_INSERT,
	RSV_PLAN_POOL_LOCK,
	RSV_PLAN_POOL_ALTER,
	RSV_PLAN_POOL_GROW,
	RSV_PLAN_POOL_DROP,
	RSV_PLAN_POOL_REST,
	RSV_PLAN_POOL_STATUS,
	RSV_PLAN_UNITS_INSERT,
	RSV_PLAN_UNITS_DESCRIBE,
	RSV_PLAN_UNITS_LAST,
	RSV_PLAN_UNITS_DELETE,
	RSV_PLAN_CLAIMS_SETTLE,
	RSV_PLAN_CLAIMS_LIVE,
	RSV_PLAN_CLAIMS_LIMIT,
	RSV_PLAN_TICKETS_LAST,
	RSV_PLAN_TICKETS_DROP,
	RSV_PLAN_STOCK_INSERT,
	RSV_PLAN_CART_ADD,
	RSV_PLAN_CART_SET,
	RSV_PLAN_CART_REMOVE,
	RSV_PLAN_CART_LINES,
	RSV_PLAN_CART_READ,
	RSV_PLAN_CART_SOLD,
	RSV_PLAN_CART_MERGE,
	RSV_PLAN_CART_MERGED,
	RSV_PLAN_CART_MERGED_BEFORE,
	RSV_PLAN_CHECKOUT_CART,
	RSV_PLAN_PROVIDER_SET,
	RSV_PLAN_REQUESTS_FORGET,
	RSV_PLAN_OPERATIONS_FORGET,
	RSV_PLAN_ACCOUNT_ENTRIES,
	RSV_PLAN_BOOKS, /* from here on in book_plan.c */
	RSV_PLAN_EVENTS_PAGE = RSV_PLAN_BOOKS,
	RSV_PLAN_EVENTS,
	RSV_PLAN_POOL_DETAILS,
	RSV_PLAN_BALANCE_AT,
	RSV_PLAN_ARCHIVE,
	RSV_PLAN_ARCHIVE_RECALL,
	RSV_PLAN_ARCHIVE_RECALL_POOL,
	RSV_PLAN_ARCHIVE_LOOK,
	RSV_PLAN_REPAIR_FREE,
	RSV_PLAN_REPAIR_KIND,
	RSV_PLAN_REPAIR_LABELS,
	RSV_PLAN_REPAIR_BALANCE,
	RSV_PLAN_REPAIR_SLOT,
	RSV_PLAN_REPAIR_REST,
	RSV_PLAN_CONTRADICTIONS,
	RSV_PLANS
} RsvPlan;

typedef struct RsvPlanSession
{
	Oid caller;
	int security_context;
} RsvPlanSession;

extern void rsv_plan_begin(RsvPlanSession *session);
extern uint64 rsv_plan_run(RsvPlan plan, Datum *values, const char *nulls);
extern void rsv_plan_command(const char *command);
extern Datum rsv_plan_value(int column, bool *isnull);
extern void rsv_plan_end(RsvPlanSession *session);

/* attempt.c: work that is kept or undone as one */
extern bool rsv_attempt(bool (*work)(void *), void *argument);
extern ErrorData *rsv_attempt_refused(bool (*work)(void *), void *argument);

/* lock.c: locks by hash, and waiting for transactions */
typedef enum RsvLockSpace
{
	RSV_LOCK_REQUEST,
	RSV_LOCK_HOLDER,
	RSV_LOCK_SEQUENCE,
	RSV_LOCK_RATE,
	RSV_LOCK_OPERATION,
	RSV_LOCK_CART,
	RSV_LOCK_PAYMENT,
	RSV_LOCK_ORDER,
	RSV_LOCK_WORKER,
	RSV_LOCK_TICKET,
	RSV_LOCK_BLOCK,
	RSV_LOCK_CLAIMS
} RsvLockSpace;

extern void rsv_lock(RsvLockSpace space, int32 pool_id, const text *name);
extern bool rsv_lock_until(RsvLockSpace space, int32 pool_id, const text *name,
						   TimestampTz deadline);
extern void rsv_unlock(RsvLockSpace space, int32 pool_id, const text *name);
extern bool rsv_lock_session(RsvLockSpace space);
extern uint32 rsv_lock_place(int32 pool_id, const text *name);
extern void rsv_in_flight_add(RsvInFlight *in_flight, TransactionId xid);
extern bool rsv_in_flight_wait(const RsvInFlight *in_flight, TimestampTz deadline);

/* identifier.c: claim ids */
extern void rsv_identifier_make(pg_uuid_t *id, TimestampTz now, const text *pool_name);

/* shared.c: pieces of shared memory */
typedef struct RsvSharedPiece
{
	const char *name;
	Size (*size)(void);
	void (*attach)(void *memory, bool is_new);
} RsvSharedPiece;

extern void rsv_shared_init(void);
extern void rsv_shared_add(RsvSharedPiece piece);

/* directory.c: where pools were last found */
typedef struct RsvPlace
{
	uint64 hash;
	ItemPointerData tid;
} RsvPlace;

extern void rsv_directory_init(void);
extern RsvPlace rsv_directory_find(const void *key, Size size);
extern void rsv_directory_enter(const RsvPlace *place);

/* pool.c: what can be claimed */
extern void rsv_pool_find(const text *name, RsvPool *pool);
extern bool rsv_pool_lookup(const text *name, RsvPool *pool);
extern void rsv_pool_read(int32 pool_id, RsvPool *pool);
extern bool rsv_pool_try_read(int32 pool_id, RsvPool *pool);
extern bool rsv_pool_is_whole(int32 pool_id, Snapshot as_of);
extern int64 rsv_pool_floor(int32 pool_id, Snapshot as_of);
extern bool rsv_pool_is_changing(const RsvPool *pool);
extern void rsv_pool_await_drop(RsvPool *pool);
pg_noreturn extern void rsv_pool_refuse_unknown(const text *name);
extern void rsv_pool_require_numbered(const RsvPool *pool, const char *function);
extern void rsv_pool_require_counted(const RsvPool *pool, const char *function);
extern void rsv_pool_lock(RsvPool *pool);
extern const char *rsv_pool_closed(const RsvPool *pool, TimestampTz now);
extern const char *rsv_pool_undecided(const RsvPool *pool, TimestampTz now);
extern TimestampTz rsv_pool_hold_end(const RsvPool *pool, const Interval *ttl, TimestampTz now);

/* unit.c: the units of a numbered pool */
extern text *rsv_unit_label(const RsvPool *pool, int32 number, Snapshot as_of);

/* sequence.c: numbers that are never used twice */
extern void rsv_sequence_make(const RsvPool *pool);
extern void rsv_sequence_drop(const RsvPool *pool);
extern int64 rsv_sequence_next(const RsvPool *pool);
extern int32 rsv_sequence_take(const RsvPool *pool, int32 count);
extern int64 rsv_sequence_next_ticket(const RsvPool *pool, Oid *sequence);
extern bool rsv_sequence_reached(Oid sequence, int64 number);
extern bool rsv_sequence_pass(const RsvPool *pool, int32 number);

/* ledger.c: rows of reservation.claim and of the log */
typedef struct RsvEntry
{
	TimestampTz at;
	int32 pool_id;
	const pg_uuid_t *claim_id;    /* NULL: of no claim */
	const pg_uuid_t *checkout_id; /* NULL: of none */
	int64 quantity;
	int64 change; /* how much came back to the pool; below zero: was taken from it */
	bool counted;
	const char *kind; /* NULL: of the claim, or if there is none, of the pool */
	const char *event;
	const text *request_id; /* NULL if none */
	const text *reason;     /* NULL if none */
	Datum details;          /* jsonb, 0 if none */
} RsvEntry;

extern void rsv_claim_from_scan(RsvScan *scan, RsvClaim *claim);
extern TimestampTz rsv_claim_expires_at(const RsvScan *scan);
extern int64 rsv_claim_quantity(const RsvScan *scan);
extern bool rsv_claim_read(const pg_uuid_t *claim_id, Snapshot as_of, RsvClaim *claim);
extern bool rsv_claim_find(const pg_uuid_t *claim_id, Snapshot as_of, RsvClaim *claim);
extern void rsv_claim_lock(const pg_uuid_t *claim_id);
extern void rsv_claim_insert(RsvClaim *claim, const RsvPool *pool);
extern RsvWrite rsv_claim_change(RsvClaim *claim, RsvState state, bool wait, TransactionId *holder);
extern void rsv_log(const RsvEntry *entry);
extern RsvWrite rsv_claim_lapse(RsvClaim *claim, TimestampTz now, TransactionId *holder);
extern void rsv_claim_free(const RsvClaim *claim, int64 quantity);

/* settle.c: what becomes of a claim */
extern void rsv_settle_read(const pg_uuid_t *claim_id, RsvClaim *claim);
extern bool rsv_settle_change(RsvClaim *claim, RsvState state, const RsvEntry *entry);
extern void rsv_settle_release(const pg_uuid_t *claim_id, TimestampTz now, bool lapsed_too,
							   RsvClaim *claim,
							   bool *released);
extern const char *rsv_settle_finalize(const pg_uuid_t *claim_id, RsvClaim *claim);

/* sweep.c: putting in order what nobody has come for */
#define RSV_SWEPT PG_INT32_MAX
extern int32 rsv_sweep_holds(int32 *pool_id, int32 pools, int32 max);
extern void rsv_sweep_slots(int32 *pool_id, int32 pools, TransactionId quiet_since);

/* archive.c: claims that are out of the way */
extern bool rsv_archive_recall(const pg_uuid_t *claim_id);
extern void rsv_archive_recall_pool(int32 pool_id);

/* event.c: who, and when in which order */
extern void rsv_event_stamp(RsvStamp *stamp);
extern void rsv_event_pass(uint64 count);
extern bool rsv_event_is_own(const RsvStamp *stamp);

/* chronicle.c: events that only the log has */
extern void rsv_chronicle_pool(const RsvPool *pool, const char *event, int64 quantity,
							   TimestampTz at);
extern void rsv_chronicle_units(const RsvPool *pool, int32 first, int32 count);
extern void rsv_chronicle_rename(const RsvClaim *claim);
extern void rsv_chronicle_ticket(const RsvTicket *ticket, const char *event, TimestampTz at);
extern void rsv_chronicle_checkout(const RsvCheckout *checkout, const char *event, TimestampTz at);
extern void rsv_chronicle_payment(const RsvPayment *payment, TimestampTz at);
extern void rsv_chronicle_order(const RsvCheckout *checkout, const RsvOrder *order);

/* marks.c: shared memory, by pool */
typedef enum RsvCounter
{
	RSV_COUNT_CLAIMS,  /* rows of claims written */
	RSV_COUNT_AHEAD,   /* of these, without a walk */
	RSV_COUNT_WALKS,   /* over the free units */
	RSV_COUNT_GONE,    /* answers "sold_out", "taken", "insufficient" */
	RSV_COUNT_BUSY,    /* answers "busy" */
	RSV_COUNT_REPLAYS, /* answers given again */
	RSV_COUNT_LAPSES,  /* holds whose time was over and that were ended */
	RSV_COUNT_WAITS,   /* for unfinished transactions */
	RSV_COUNT_WAITED,  /* microseconds of these */
	RSV_COUNTERS
} RsvCounter;

typedef struct RsvPoolKey
{
	Oid database;
	Oid file; /* of reservation.available: another one after DROP EXTENSION or a rewrite */
	int32 pool_id;
} RsvPoolKey;

extern void rsv_marks_init(void);
extern bool rsv_marks_key(int32 pool_id, RsvPoolKey *key);

/* stats.c: what happened */
extern void rsv_stats_add(int32 pool_id, RsvCounter counter, int64 amount);

/* hint.c: where to look first */
#define RSV_NOTHING_FREE ((int64) PG_INT32_MAX + 1)

/* How far a walk goes before it gives up. */
typedef enum RsvReach
{
	RSV_NEAR, /* a few units: an index scan reads no more than it is asked for */
	RSV_FAR,  /* to the end of the pool */
	RSV_FULL  /* everything that could be free */
} RsvReach;

/* A walk for one unit reads so many more in the index, for those who come after it. */
#define RSV_SPOTS_MAX 32

typedef struct RsvHint
{
	/* told at the beginning */
	RsvPoolKey key;    /* whose marks it goes by; unset if there are none */
	uint64 walk;       /* number of the walk, 0 if it can raise no mark */
	int32 wanted;      /* units */
	int32 from;        /* begin here */
	int32 to;          /* end here */
	int32 next;        /* where others begin meanwhile, 0 if that was not moved */
	int32 low;         /* nothing below is free */
	bool ahead;        /* read ahead to the end */
	bool returned;     /* "from" is a number given back */
	bool complete;     /* from everything that could be free to the end */
	bool nothing_free; /* no unit is free: look only at lapsed holds */
	bool check_lapsed; /* a hold may have lapsed */

	/* found out on the way */
	bool enough;            /* all that was wanted */
	int64 first_free;       /* lowest free row met, RSV_NOTHING_FREE if none */
	int64 last_taken;       /* highest free row taken, -1 if none */
	TimestampTz first_held; /* earliest end of a hold met, DT_NOEND if none, DT_NOBEGIN if not
							 * looked at */
	int32 read_to;          /* where reading ahead ended, PG_INT32_MIN if nothing was read */
	int nspots;
	RsvSpot spots[RSV_SPOTS_MAX]; /* of what was read ahead, the rows that are there */
} RsvHint;

/* What one subtransaction has done to one pool. */
typedef struct RsvTouch
{
	struct RsvTouch *next;
	struct RsvTouch *same; /* next in the bucket of its pool */
	RsvPoolKey key;
	SubTransactionId subtransaction;
	int64 taken; /* lowest number taken, RSV_NOTHING_FREE if none */
	int64 freed; /* lowest number made free */
	bool several_taken;
	bool several_freed;
} RsvTouch;

extern bool rsv_hint_next(int32 pool_id, TimestampTz now, RsvSpot *spot);
extern bool rsv_hint_nothing_free(int32 pool_id, TimestampTz now);
extern void rsv_hint_begin(int32 pool_id, int32 wanted, TimestampTz now, RsvReach reach,
						   RsvHint *hint);
extern void rsv_hint_end(RsvHint *hint, TimestampTz now);
extern void rsv_hint_doubt(int32 pool_id);
extern bool rsv_hint_count(int32 pool_id, TimestampTz now, int64 *count);
extern void rsv_hint_counted(int32 pool_id, TimestampTz now, int64 count);
extern void rsv_hint_held(int32 pool_id, TimestampTz expires_at, bool is_new);
extern void rsv_hint_freed(const RsvPoolKey *key, int32 number, bool several);
extern void rsv_hint_ended(const RsvTouch *entry, bool committed);

/* touch.c: what the transaction has done, to be told to the hints */
extern void rsv_touch_init(void);
extern void rsv_touch_taken(int32 pool_id, int32 number);
extern void rsv_touch_freed(int32 pool_id, int32 number, bool several);
extern void rsv_touch_hold(int32 pool_id);
extern bool rsv_touched(int32 pool_id);

/* supply.c: finding and taking free units */
typedef enum RsvSupply
{
	RSV_TAKEN,
	RSV_GONE,     /* sold out, or the named unit is taken */
	RSV_UNDECIDED /* other transactions hold what is left */
} RsvSupply;

extern RsvSupply rsv_supply_take(const RsvPool *pool, int32 count, TimestampTz *now,
								 TimestampTz deadline, int32 *numbers, int64 *available,
								 bool tentative);
extern RsvSupply rsv_supply_take_unit(const RsvPool *pool, int32 number, TimestampTz *now,
									  TimestampTz deadline);
extern bool rsv_supply_live_claim(const RsvPool *pool, int32 number, Snapshot as_of,
								  RsvClaim *claim);
extern bool rsv_supply_wait(const RsvPool *pool, const RsvInFlight *in_flight, TimestampTz deadline,
							TimestampTz *now);

/* count.c: how many units are free */
extern int64 rsv_count_free(const RsvPool *pool, TimestampTz now);
extern int64 rsv_count_to(const RsvPool *pool, TimestampTz now, int64 enough);
extern int64 rsv_count_at(const RsvPool *pool, TimestampTz now, Snapshot as_of, int64 enough);

/* slot.c: what a counted pool has left, in slots */

/* Slots that a pool begins with, if it has as many units: see plan.c */
#define RSV_SLOTS_FIRST 2

/* A slot as it was met. */
typedef struct RsvSlot
{
	int32 slot;
	int64 quantity;
	int64 added;
	ItemPointerData tid;
	TransactionId holder; /* in flight: whose */
} RsvSlot;

/*
 * A way around the slots of a pool: downwards from one, then from the top down to
 * it. Downwards, because then the newest version of a slot comes first, and the
 * old ones, however many an old snapshot keeps, need not be looked at.
 */
typedef struct RsvRound
{
	int32 pool_id;
	int32 start;
	int32 at_most;
	Snapshot as_of; /* NULL: committed rows and rows in flight */
	bool wrapped;
	bool begun;
	RsvScan scan;
} RsvRound;

extern int rsv_stock_slots;
extern void rsv_slot_give(int32 pool_id, int64 quantity, int64 added);
extern void rsv_slot_spread(int32 pool_id, int64 quantity);
extern int32 rsv_slot_usual(int32 pool_id);
extern void rsv_slot_merge(int32 pool_id, TransactionId quiet_since);
extern void rsv_round_begin(RsvRound *round, int32 pool_id);
extern void rsv_round_all(RsvRound *round, int32 pool_id, Snapshot as_of);
extern bool rsv_round_next(RsvRound *round, RsvSlot *slot);
extern void rsv_round_end(RsvRound *round);
extern bool rsv_slot_last(int32 pool_id, RsvSlot *slot);
extern RsvWrite rsv_slot_change(int32 pool_id, RsvSlot *slot, int64 quantity, int64 added,
								TransactionId *holder);
extern bool rsv_slot_delete(int32 pool_id, int32 number, int64 most);
extern bool rsv_slot_may_split(int32 pool_id, TimestampTz now);
extern void rsv_slot_split(int32 pool_id, int64 quantity);

/* sum.c: how much that is, at one instant */
extern int64 rsv_sum_available(const RsvPool *pool, TimestampTz now);
extern int64 rsv_sum_balance(const RsvPool *pool, TimestampTz now);
extern int64 rsv_sum_added(const RsvPool *pool);
extern int64 rsv_sum_at(int32 pool_id, TimestampTz now, bool lapsed, Snapshot as_of);
extern int64 rsv_sum_survey(int32 pool_id, TimestampTz now, int64 wanted, RsvSlot *best);
extern void rsv_sum_add(int64 *sum, int64 quantity);

/* draw.c: taking from the slots */
typedef enum RsvDraw
{
	RSV_DRAW_CLAIM,
	RSV_DRAW_CHARGE,   /* for a claim; says what is left */
	RSV_DRAW_ADJUST,   /* what is taken leaves the pool for good */
	RSV_DRAW_TENTATIVE /* for a claim; the caller undoes everything unless all was taken */
} RsvDraw;

extern RsvSupply rsv_draw(const RsvPool *pool, int64 quantity, RsvDraw draw, TimestampTz *now,
						  TimestampTz deadline, int64 *available);

/* account.c: the balance of counted pools */
extern const char *rsv_account_grow(RsvPool *pool, int64 count);
extern void rsv_account_move_floor(const RsvPool *pool, int64 floor);
extern void rsv_account_check_ceiling(const RsvPool *pool);

/* limit.c: what one holder may have */
extern bool rsv_limit_lock(const RsvPool *pool, const text *holder, TimestampTz deadline);
extern const RsvPool *rsv_limit_lock_all(const RsvPool **pools, int npools, const text *holder,
										 TimestampTz deadline);
extern int64 rsv_limit_holdings(const RsvPool *pool, const text *holder, TimestampTz now,
								List **holds);
extern void rsv_limit_lock_claims(void);
extern void rsv_limit_begin(const RsvPool *pool);
extern bool rsv_limit_look(RsvPool *pool);

/* refund.c: finalized claims taken back */
extern void rsv_claim_rename(const pg_uuid_t *claim_id, text *holder);
extern int64 rsv_claim_give_back(const pg_uuid_t *claim_id, int64 quantity);

/* cell.c: meters of rate limits in shared memory */
extern void rsv_cell_init(void);

/* rate.c: how often */
extern void rsv_rate_set(RsvRule *rule, int32 burst, Interval *period, const char *what);
extern bool rsv_rate_announces(const RsvPool *pool);
extern const char *rsv_rate_refusal(const RsvPool *pool, const text *holder, TimestampTz deadline,
									Interval **retry_after);

/* admission.c: whether a holder may claim now */
extern const char *rsv_admission(const RsvPool *pool, const text *holder, TimestampTz deadline,
								 TimestampTz *now, Interval **retry_after);

/* ticket.c: rows of reservation.ticket */
extern void rsv_ticket_from_scan(RsvScan *scan, RsvTicket *ticket);
extern bool rsv_ticket_read(const pg_uuid_t *ticket_id, Snapshot as_of, RsvTicket *ticket);
extern bool rsv_ticket_of_holder(const RsvPool *pool, const text *holder, RsvTicket *ticket,
								 RsvInFlight *in_flight);
extern void rsv_ticket_insert(RsvTicket *ticket);
extern RsvWrite rsv_ticket_change(RsvTicket *ticket, RsvTicketState state, TimestampTz now,
								  bool wait);
extern int rsv_ticket_claims(const RsvTicket *ticket, pg_uuid_t **claim_ids);
extern int64 rsv_ticket_wanted(const RsvPool *pool, const text *holder, Snapshot as_of);
extern bool rsv_ticket_waits(int32 pool_id, RsvInFlight *leaving);

/* place.c: where a ticket stands */
#define RSV_BLOCK_TICKETS 1000
typedef struct RsvDeparture
{
	int64 block;
	int32 priority;
	int64 tickets; /* that wait no more; below zero: that wait now */
} RsvDeparture;

extern int64 rsv_place(const RsvTicket *ticket, Snapshot as_of);
extern int64 rsv_place_joined(const RsvTicket *ticket, Oid sequence);
extern void rsv_place_changed(int32 pool_id, const RsvDeparture *departure);

/* serve.c: dealing out what is free to those who wait */
typedef struct RsvLot
{
	pg_uuid_t ticket_id;
	ItemPointerData tid;
} RsvLot;

/* One dealing out: what to do, then what happened. */
typedef struct RsvServing
{
	const RsvPool *pool;
	TimestampTz now;
	int32 max;    /* tickets */
	RsvLot *lots; /* in this order; NULL: in the order of the line */
	int32 nlots;
	RsvAnswer *answer; /* NULL: nobody wants to know */

	int32 served;        /* tickets */
	bool over;           /* nothing is left, or the next must not be passed over */
	RsvInFlight joining; /* who is just joining */

	TimestampTz expires_at; /* of the offers */
	int32 *numbers;         /* units in hand, taken and not given yet */
	int32 nnumbers;
	int32 room;
	int32 batch;      /* how many to take at once, next time */
	int64 quantity;   /* of a counted pool, in hand */
	int32 passed;     /* tickets that wanted too much */
	List *departures; /* RsvDeparture */
	MemoryContext row;
	MemoryContext keep;
} RsvServing;

extern void rsv_serve(RsvServing *serving);
extern int32 rsv_line_look(const RsvPool *pool, TimestampTz now);
extern int64 rsv_line_patience(void);
extern void rsv_line_freed(const RsvPool *pool);
extern void rsv_line_sweep(int32 *pool_id, int32 pools);

/* digest.c: SHA-256 of what lies in pieces */
typedef struct RsvPiece
{
	const void *bytes;
	Size length;
} RsvPiece;

extern void rsv_digest(const RsvPiece *pieces, int count, uint8 *digest);

/* lottery.c: an order that everybody can recompute */
extern RsvLot *rsv_lottery_draw(const RsvPool *pool, const text *seed, int32 *nlots);

/* passer.c: claiming past the waiting line */
extern RsvSupply rsv_pass_take(RsvPool *pool, int32 count, TimestampTz *now, TimestampTz deadline,
							   int32 *numbers, int64 *available, bool tentative);
extern RsvSupply rsv_pass_take_unit(RsvPool *pool, int32 number, TimestampTz *now,
									TimestampTz deadline);
extern RsvSupply rsv_pass_draw(RsvPool *pool, int64 quantity, RsvDraw draw, TimestampTz *now,
							   TimestampTz deadline, int64 *available);
extern bool rsv_pass_overtaken(RsvPool *pool, RsvPool *current);
extern RsvSupply rsv_pass_line(const RsvPool *pool, TimestampTz *now, TimestampTz deadline);
extern void rsv_pass_mark(RsvPool *pool);
extern int64 rsv_pass_count(const RsvPool *pool, TimestampTz now);

/* announce.c: telling those who listen that offers were made */
extern void rsv_announce_init(void);
extern void rsv_announce(const RsvPool *pool);

/* request.c: idempotency keys */
typedef struct RsvRequest
{
	int32 pool_id;
	const char *scope;
	text *request_id; /* NULL: no key, nothing to do */
	StringInfoData arguments;
} RsvRequest;

extern void rsv_request_begin(RsvRequest *request, int32 pool_id, const char *scope,
							  text *request_id);
extern void rsv_request_add_text(RsvRequest *request, const char *name, const text *value);
extern void rsv_request_add_integer(RsvRequest *request, const char *name, int64 value);
extern void rsv_request_add_interval(RsvRequest *request, const char *name, const Interval *value);
extern void rsv_request_add_claim(RsvRequest *request, const char *name, const pg_uuid_t *value);
extern void rsv_request_lock(const RsvRequest *request);
extern void rsv_request_require_same(const RsvRequest *request, text *first);
extern bool rsv_request_replay(RsvRequest *request, RsvAnswer *answer);
extern bool rsv_request_replay_until(RsvRequest *request, TimestampTz deadline, RsvAnswer *answer,
									 bool *busy);
extern void rsv_request_keep(RsvRequest *request, RsvAnswer *answer);
extern void rsv_request_save(RsvRequest *request, RsvAnswer *answer, TimestampTz now);

/* retention.c: how long first answers are kept */
typedef struct RsvRetention
{
	bool begun;        /* a round that is not over yet */
	int table;         /* where it is */
	BlockNumber block; /* and where in there */
	int batches;       /* of this visit */
	TimestampTz since; /* when it began */
} RsvRetention;

extern bool rsv_retention_batch(RsvRetention *round);

/* launcher.c, worker.c: work in the background; visit.h has what they share */
extern void rsv_launcher_init(void);

/* item.c: what a checkout asks for */
extern RsvItem *rsv_items_read(Jsonb *lines, bool from_cart, int *nitems);

/* hold.c: several pools, all or none */
extern bool rsv_hold_items(RsvHold *hold);

/* till.c: rows of checkout, payment and order */
extern bool rsv_checkout_find(const text *request_id, RsvCheckout *checkout);
extern void rsv_checkout_read(const pg_uuid_t *checkout_id, bool lock, RsvCheckout *checkout);
extern void rsv_checkout_insert(const RsvCheckout *checkout);
extern void rsv_checkout_update(RsvCheckout *checkout);
extern Jsonb *rsv_checkout_jsonb(struct varlena *value);
extern bool rsv_payment_find(const text *provider, const text *payment_id, RsvPayment *payment,
							 RsvInFlight *in_flight);
extern List *rsv_payment_list(const pg_uuid_t *checkout_id);
extern void rsv_payment_insert(const RsvPayment *payment);
extern void rsv_payment_update(RsvPayment *payment);
extern bool rsv_order_find(const pg_uuid_t *checkout_id, RsvOrder *order);
extern void rsv_order_make(const RsvCheckout *checkout, TimestampTz now, RsvOrder *order);

/* order.c: how a checkout ends */
extern void rsv_checkout_lock(const pg_uuid_t *checkout_id, RsvCheckout *checkout);

/* cart.c: what somebody is going to buy */
extern Jsonb *rsv_cart_read(const text *cart);
extern void rsv_cart_lock(const text *cart);
extern void rsv_cart_unlock(const text *cart);
extern void rsv_cart_sold(const text *cart, Jsonb *lines);

/* signature.c: did the provider sign this? */
extern bool rsv_scheme_known(const char *scheme);
extern bool rsv_signature_good(const char *scheme, const text *secret, const text *payload,
							   const text *signature, const text *payment_id, TimestampTz now);

#endif /* RESERVATION_H */
