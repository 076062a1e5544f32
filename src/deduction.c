/*
 * deduction.c
 *	  take_stock: rows of the application's table, such as the lines of orders,
 *	  take stock from counted pools.
 *
 * Invariant: a committed row has its quantity of its pool in finalized claims
 * whose holder names the row. Deleting the row gives that back, changing it takes
 * or gives back the difference.
 *
 * Locks: see basket.c.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "catalog/pg_trigger.h"

#include "reservation.h"
#include "trigger.h"

typedef struct Definition
{
	RsvColumn pool;
	RsvColumn quantity;
	RsvHolder holder;
} Definition;

static void *learn(Relation relation, const Trigger *trigger);
static void add(const TriggerData *data, const Definition *definition, HeapTuple row, int sign,
				List **wants);

const RsvTriggerRule rsv_deduction_rule = {
	.function = "take_stock",
	.usage = "AFTER INSERT OR UPDATE OR DELETE ON ... FOR EACH ROW EXECUTE FUNCTION "
			 "reservation.take_stock('pool_column', 'quantity_column')",
	.types = {TRIGGER_TYPE_ROW | TRIGGER_TYPE_INSERT | TRIGGER_TYPE_UPDATE | TRIGGER_TYPE_DELETE},
	.arguments_min = 2,
	.arguments_max = 2,
	.learn = learn,
};

/*
 * take_stock('pool_column', 'quantity_column') -> trigger, AFTER FOR EACH ROW
 *
 * An inserted row takes its quantity, a deleted one gives it back, an updated one
 * the difference, when the statement ends. NULL or 0, and a NULL pool: nothing.
 * Too little: RS006. A negative quantity: 22023.
 */
PG_FUNCTION_INFO_V1(rsv_take_stock);
Datum
rsv_take_stock(PG_FUNCTION_ARGS)
{
	const Definition *definition = rsv_trigger_begin(fcinfo, &rsv_deduction_rule);
	const TriggerData *data = (TriggerData *) fcinfo->context;
	List *wants = NIL;

	rsv_holder_require_key(data->tg_relation, &definition->holder, "take_stock");
	add(data, definition, data->tg_trigtuple, TRIGGER_FIRED_BY_INSERT(data->tg_event) ? 1 : -1,
		&wants);
	if (TRIGGER_FIRED_BY_UPDATE(data->tg_event))
		add(data, definition, data->tg_newtuple, 1, &wants);
	rsv_basket_add(fcinfo->flinfo, wants);
	return PointerGetDatum(NULL);
}

static void *
learn(Relation relation, const Trigger *trigger)
{
	Definition *definition = palloc0(sizeof(Definition));

	rsv_column_find(relation, trigger->tgargs[0], RSV_COLUMN_ANY, false, &definition->pool);
	rsv_column_find(relation, trigger->tgargs[1], RSV_COLUMN_INTEGER, false, &definition->quantity);
	rsv_holder_learn(relation, &definition->holder);
	return definition;
}

/* Adds what a version of the row has, or no longer has. */
static void
add(const TriggerData *data, const Definition *definition, HeapTuple row, int sign, List **wants)
{
	TupleDesc columns = RelationGetDescr(data->tg_relation);
	text *name = rsv_column_text(&definition->pool, columns, row);
	bool isnull;
	Datum value = heap_getattr(row, definition->quantity.number, columns, &isnull);
	int64 quantity = isnull ? 0 : rsv_column_int64(&definition->quantity, value);
	text *holder;
	RsvPool pool;

	if (name == NULL || quantity == 0)
		return;
	if (quantity < 0 && sign > 0)
		rsv_column_refuse_negative(data->tg_relation, &definition->quantity, quantity);
	if (quantity < 0 || (sign < 0 && !rsv_pool_lookup(name, &pool)))
		return; /* nothing was taken, or the pool is gone */
	if (sign > 0)
		rsv_pool_find(name, &pool);
	rsv_pool_require_counted(&pool, "take_stock");
	holder = rsv_holder_name(&definition->holder, data->tg_relation, row);
	*wants = lappend(*wants, rsv_basket_want(pool.pool_id, holder, sign * quantity, row));
}
