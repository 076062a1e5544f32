/*
 * call.c
 *	  A call that is a whole query: SELECT ... FROM reservation.claim_next(...).
 *
 * The executor runs a function in FROM with machinery made for any function and
 * any number of rows: at every start it builds the row type from the catalog,
 * compiles each argument, constants too, and collects the rows in a tuplestore.
 * For one short call that is half of what the call costs. So where a plain
 * SELECT has one of our functions as its only source, the planner is given this
 * scan instead (the custom scan interface). It evaluates the arguments, calls
 * the function once, and hands on the columns that the query wants. Any other
 * query, and every query planned before the library was loaded, goes the usual
 * way to the same function with the same answer.
 *
 * Invariant: one execution calls the function once. That is why there must be
 * no other source in the query: a recheck of a row that changed meanwhile
 * (EvalPlanQual) would run the scan anew, and so claim again.
 *
 * Memory: the arguments and what the function does live until the next row is
 * asked for; the answer lives as long as the query.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "catalog/namespace.h"
#include "catalog/objectaccess.h"
#include "catalog/pg_language.h"
#include "catalog/pg_proc.h"
#include "executor/executor.h"
#include "miscadmin.h"
#include "nodes/extensible.h"
#include "nodes/makefuncs.h"
#include "nodes/pathnodes.h"
#include "nodes/plannodes.h"
#include "optimizer/paths.h"
#include "pgstat.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/datum.h"
#include "utils/lsyscache.h"
#include "utils/syscache.h"
#include "utils/tuplestore.h"

#include "compat.h"
#include "reservation.h"

struct RsvCall
{
	CustomScanState scan;
	FmgrInfo function;
	FunctionCallInfo arguments;
	ExprState **expressions; /* NULL: a value that is there already */
	bool called;
	int64 nrows;           /* in the answer */
	Tuplestorestate *rows; /* of the answer, if more than one */
	TupleTableSlot *row;   /* of those, the one to give next */
	bool given;            /* the only row has been given */
	Datum *values;         /* the first row: columns that the query wants */
	bool *nulls;
};

static set_rel_pathlist_hook_type previous_hook = NULL;

static void offer_path(PlannerInfo *root, RelOptInfo *rel, Index rti, RangeTblEntry *rte);
static bool is_whole_query(PlannerInfo *root, RelOptInfo *rel);
static FuncExpr *only_function(const RangeTblEntry *rte);
static bool is_ours(Oid function);
static bool wants_columns_only(const RelOptInfo *rel);
static Plan *make_plan(PlannerInfo *root, RelOptInfo *rel, CustomPath *path, List *targets,
					   List *clauses, List *plans);
static Node *make_state(CustomScan *plan);
static void begin(CustomScanState *node, EState *estate, int flags);
static void begin_arguments(RsvCall *call, FuncExpr *expression);
static const ParamExternData *bound_parameter(const RsvCall *call, const Expr *argument);
static TupleTableSlot *next(CustomScanState *node);
static TupleTableSlot *access_row(ScanState *node);
static bool recheck_row(ScanState *node, TupleTableSlot *slot);
static void call_function(RsvCall *call);
static void keep_several(RsvCall *call, const Datum *values, const bool *nulls);
static void rewind_rows(CustomScanState *node);
static void end(CustomScanState *node);
static void explain(CustomScanState *node, List *ancestors, ExplainState *es);

static const CustomPathMethods path_methods = {
	.CustomName = "reservation call",
	.PlanCustomPath = make_plan,
};

static const CustomScanMethods plan_methods = {
	.CustomName = "reservation call",
	.CreateCustomScanState = make_state,
};

static const CustomExecMethods state_methods = {
	.CustomName = "reservation call",
	.BeginCustomScan = begin,
	.ExecCustomScan = next,
	.EndCustomScan = end,
	.ReScanCustomScan = rewind_rows,
	.ExplainCustomScan = explain,
};

void
rsv_call_init(void)
{
	RegisterCustomScanMethods(&plan_methods);
	previous_hook = set_rel_pathlist_hook;
	set_rel_pathlist_hook = offer_path;
}

/* The scan that made this call, NULL if the executor did it the usual way. */
RsvCall *
rsv_call_of(FunctionCallInfo fcinfo)
{
	RsvCall *call = (RsvCall *) fcinfo->context;

	if (call == NULL || !IsA(call, CustomScanState) || call->scan.methods != &state_methods)
		return NULL;
	return call;
}

/* Takes a row of the function's answer: a value for each of its columns. */
void
rsv_call_row(RsvCall *call, const Datum *values, const bool *nulls)
{
	EState *estate = call->scan.ss.ps.state;
	TupleDesc columns = call->scan.ss.ss_ScanTupleSlot->tts_tupleDescriptor;
	CustomScan *plan = castNode(CustomScan, call->scan.ss.ps.plan);
	MemoryContext caller = MemoryContextSwitchTo(estate->es_query_cxt);
	bool first = call->nrows++ == 0;
	Datum *row = first ? call->values : palloc(sizeof(Datum) * (columns->natts + 1));
	bool *absent = first ? call->nulls : palloc(sizeof(bool) * (columns->natts + 1));
	ListCell *cell;

	foreach(cell, plan->custom_private)
	{
		int i = foreach_current_index(cell);
		int from = lfirst_int(cell) - 1;
		Form_pg_attribute column = TupleDescAttr(columns, i);

		absent[i] = nulls[from];
		if (nulls[from])
			row[i] = (Datum) 0;
		else if (first)
			row[i] = datumCopy(values[from], column->attbyval, column->attlen);
		else
			row[i] = values[from];
	}
	if (!first)
	{
		keep_several(call, row, absent);
		pfree(row);
		pfree(absent);
	}
	MemoryContextSwitchTo(caller);
}

/* Planner hook: offers this scan where it fits. */
static void
offer_path(PlannerInfo *root, RelOptInfo *rel, Index rti, RangeTblEntry *rte)
{
	FuncExpr *function;
	List *columns;
	CustomPath *path;
	Path *usual;

	if (previous_hook)
		previous_hook(root, rel, rti, rte);
	if (rte->rtekind != RTE_FUNCTION || !is_whole_query(root, rel))
		return;
	function = only_function(rte);
	if (function == NULL || !is_ours(function->funcid) || !wants_columns_only(rel) ||
		list_length(rel->pathlist) != 1)
		return;

	columns = list_copy(rel->reltarget->exprs);
	usual = linitial(rel->pathlist);
	path = makeNode(CustomPath);
	path->path.pathtype = T_CustomScan;
	path->path.parent = rel;
	path->path.pathtarget = rel->reltarget;
	path->path.rows = usual->rows;
	path->path.startup_cost = usual->startup_cost;
	path->path.total_cost = usual->total_cost;
	path->flags = CUSTOMPATH_SUPPORT_PROJECTION;
	path->custom_private = lappend(list_make1(function), columns);
	path->methods = &path_methods;
	rel->pathlist = list_make1(path);
}

/* Is this the only source of a plain SELECT that is not part of another query? */
static bool
is_whole_query(PlannerInfo *root, RelOptInfo *rel)
{
	List *from = root->parse->jointree->fromlist;

	return root->parent_root == NULL && root->parse->commandType == CMD_SELECT &&
		root->parse->rowMarks == NIL && list_length(from) == 1 &&
		IsA(linitial(from), RangeTblRef) &&
		linitial_node(RangeTblRef, from)->rtindex == (int) rel->relid &&
		rel->reloptkind == RELOPT_BASEREL && rel->baserestrictinfo == NIL &&
		rel->lateral_relids == NULL;
}

static FuncExpr *
only_function(const RangeTblEntry *rte)
{
	RangeTblFunction *function = linitial_node(RangeTblFunction, rte->functions);

	if (list_length(rte->functions) != 1 || rte->funcordinality || function->funccolnames != NIL ||
		!IsA(function->funcexpr, FuncExpr))
		return NULL;
	return (FuncExpr *) function->funcexpr;
}

/* Is it one of the functions that answer through answer.c? */
static bool
is_ours(Oid function)
{
	HeapTuple tuple = SearchSysCache1(PROCOID, ObjectIdGetDatum(function));
	Form_pg_proc form;
	bool ours;

	if (!HeapTupleIsValid(tuple))
		return false;
	form = (Form_pg_proc) GETSTRUCT(tuple);
	ours = form->prolang == ClanguageId && form->proretset && !form->proisstrict &&
		form->prorettype == RECORDOID && form->pronamespace == get_namespace_oid(RSV_SCHEMA, true);
	ReleaseSysCache(tuple);
	return ours;
}

/* Does the query use whole columns, and not the row as such? */
static bool
wants_columns_only(const RelOptInfo *rel)
{
	ListCell *cell;

	foreach(cell, rel->reltarget->exprs)
	{
		if (!IsA(lfirst(cell), Var) || lfirst_node(Var, cell)->varattno <= 0)
			return false;
	}
	return true;
}

/*
 * Path to plan: the call, and which of its columns make the scan's row. The target of the relation
 * is no longer what it was: the planner has put there what the query makes of the columns.
 */
static Plan *
make_plan(PlannerInfo *root, RelOptInfo *rel, CustomPath *path, List *targets, List *clauses,
		  List *plans)
{
	CustomScan *plan = makeNode(CustomScan);
	ListCell *cell;

	Assert(clauses == NIL);
	Assert(plans == NIL);
	plan->scan.plan.targetlist = targets;
	plan->flags = path->flags;
	plan->methods = &plan_methods;
	plan->custom_exprs = list_make1(linitial(path->custom_private));
	foreach(cell, (List *) lsecond(path->custom_private))
	{
		Var *column = lfirst_node(Var, cell);
		AttrNumber place = foreach_current_index(cell) + 1;

		plan->custom_private = lappend_int(plan->custom_private, column->varattno);
		plan->custom_scan_tlist =
			lappend(plan->custom_scan_tlist, makeTargetEntry((Expr *) column, place, NULL, false));
	}
	return &plan->scan.plan;
}

static Node *
make_state(CustomScan *plan)
{
	RsvCall *call = palloc0(sizeof(RsvCall));

	NodeSetTag(call, T_CustomScanState);
	call->scan.methods = &state_methods;
	return (Node *) call;
}

static void
begin(CustomScanState *node, EState *estate, int flags)
{
	RsvCall *call = (RsvCall *) node;
	CustomScan *plan = castNode(CustomScan, node->ss.ps.plan);
	FuncExpr *expression = linitial_node(FuncExpr, plan->custom_exprs);
	int ncolumns = list_length(plan->custom_private);

	if (rsv_function_aclcheck(expression->funcid, GetUserId()) != ACLCHECK_OK)
		aclcheck_error(ACLCHECK_NO_PRIV, OBJECT_FUNCTION, get_func_name(expression->funcid));
	InvokeFunctionExecuteHook(expression->funcid);

	call->values = palloc(sizeof(Datum) * (ncolumns + 1));
	call->nulls = palloc(sizeof(bool) * (ncolumns + 1));
	fmgr_info(expression->funcid, &call->function);
	fmgr_info_set_expr((Node *) expression, &call->function);
	begin_arguments(call, expression);
}

/* What is known goes to its place for good, other arguments are made ready. */
static void
begin_arguments(RsvCall *call, FuncExpr *expression)
{
	int count = list_length(expression->args);
	ListCell *cell;

	call->arguments = palloc0(SizeForFunctionCallInfo(count));
	call->expressions = palloc0(sizeof(ExprState *) * (count + 1));
	InitFunctionCallInfoData(*call->arguments, &call->function, count, expression->inputcollid,
							 (Node *) call, NULL);
	foreach(cell, expression->args)
	{
		int i = foreach_current_index(cell);
		const ParamExternData *parameter = bound_parameter(call, lfirst(cell));

		if (IsA(lfirst(cell), Const))
		{
			call->arguments->args[i].value = lfirst_node(Const, cell)->constvalue;
			call->arguments->args[i].isnull = lfirst_node(Const, cell)->constisnull;
		}
		else if (parameter != NULL)
		{
			call->arguments->args[i].value = parameter->value;
			call->arguments->args[i].isnull = parameter->isnull;
		}
		else
			call->expressions[i] = ExecInitExpr(lfirst(cell), &call->scan.ss.ps);
	}
}

/* The parameter, if the argument is one that the client has bound; else NULL. */
static const ParamExternData *
bound_parameter(const RsvCall *call, const Expr *argument)
{
	ParamListInfo bound = call->scan.ss.ps.state->es_param_list_info;
	const Param *param = (const Param *) argument;

	if (!IsA(argument, Param) || param->paramkind != PARAM_EXTERN || bound == NULL ||
		bound->paramFetch != NULL || param->paramid < 1 || param->paramid > bound->numParams ||
		bound->params[param->paramid - 1].ptype != param->paramtype)
		return NULL;
	return &bound->params[param->paramid - 1];
}

static TupleTableSlot *
next(CustomScanState *node)
{
	return ExecScan(&node->ss, access_row, recheck_row);
}

static TupleTableSlot *
access_row(ScanState *node)
{
	RsvCall *call = (RsvCall *) node;
	TupleTableSlot *slot = node->ss_ScanTupleSlot;
	int ncolumns = slot->tts_tupleDescriptor->natts;

	if (!call->called)
		call_function(call);
	ExecClearTuple(slot);
	if (call->rows == NULL && (call->nrows == 0 || call->given))
		return slot;
	if (call->rows == NULL)
	{
		memcpy(slot->tts_values, call->values, sizeof(Datum) * ncolumns);
		memcpy(slot->tts_isnull, call->nulls, sizeof(bool) * ncolumns);
		call->given = true;
		return ExecStoreVirtualTuple(slot);
	}
	if (!tuplestore_gettupleslot(call->rows, true, false, call->row))
		return slot;
	slot_getallattrs(call->row);
	memcpy(slot->tts_values, call->row->tts_values, sizeof(Datum) * ncolumns);
	memcpy(slot->tts_isnull, call->row->tts_isnull, sizeof(bool) * ncolumns);
	return ExecStoreVirtualTuple(slot);
}

/* Never asked: there is no other source whose row could have changed. */
static bool
recheck_row(ScanState *node, TupleTableSlot *slot)
{
	elog(ERROR, "a call cannot be repeated to recheck a row");
	return false;
}

static void
call_function(RsvCall *call)
{
	ExprContext *econtext = call->scan.ss.ps.ps_ExprContext;
	MemoryContext caller = MemoryContextSwitchTo(econtext->ecxt_per_tuple_memory);
	FunctionCallInfo arguments = call->arguments;
	PgStat_FunctionCallUsage usage;

	call->called = true;
	for (int i = 0; i < arguments->nargs; i++)
	{
		if (call->expressions[i] != NULL)
			arguments->args[i].value =
				ExecEvalExpr(call->expressions[i], econtext, &arguments->args[i].isnull);
	}
	pgstat_init_function_usage(arguments, &usage);
	arguments->isnull = false;
	(void) FunctionCallInvoke(arguments);
	pgstat_end_function_usage(&usage, true);
	MemoryContextSwitchTo(caller);
}

/* Keeps a row that is not the first; the first moves over with the second. */
static void
keep_several(RsvCall *call, const Datum *values, const bool *nulls)
{
	TupleDesc columns = call->scan.ss.ss_ScanTupleSlot->tts_tupleDescriptor;

	if (call->rows == NULL)
	{
		call->rows = tuplestore_begin_heap(true, false, work_mem);
		call->row = MakeSingleTupleTableSlot(columns, &TTSOpsMinimalTuple);
		tuplestore_putvalues(call->rows, columns, call->values, call->nulls);
	}
	tuplestore_putvalues(call->rows, columns, unconstify(Datum *, values),
						 unconstify(bool *, nulls));
}

/* Gives the same rows again. */
static void
rewind_rows(CustomScanState *node)
{
	RsvCall *call = (RsvCall *) node;

	call->given = false;
	if (call->rows != NULL)
		tuplestore_rescan(call->rows);
	ExecScanReScan(&node->ss);
}

static void
end(CustomScanState *node)
{
	RsvCall *call = (RsvCall *) node;

	if (call->rows != NULL)
	{
		ExecDropSingleTupleTableSlot(call->row);
		tuplestore_end(call->rows);
	}
}

static void
explain(CustomScanState *node, List *ancestors, ExplainState *es)
{
	CustomScan *plan = castNode(CustomScan, node->ss.ps.plan);
	FuncExpr *expression = linitial_node(FuncExpr, plan->custom_exprs);

	ExplainPropertyText("Function", get_func_name(expression->funcid), es);
}
