/*
 * access.c
 *	  Who may call what. Nothing is granted to PUBLIC.
 *
 * Three levels, each with all of the one before: read sees pools and whether
 * the books are right; claim makes and settles claims; admin makes pools and
 * grants access. The functions themselves need no more than the right to call
 * them (plan.c).
 *
 * Locks: the extension, so that two who grant do so one after the other, to the end
 * of the transaction. GRANT itself fails when another changes the same privileges.
 */
#include "postgres.h"

#include "catalog/pg_extension.h"
#include "commands/extension.h"
#include "miscadmin.h"
#include "storage/lmgr.h"
#include "utils/builtins.h"

#include "reservation.h"

/* What each level adds, as it stands between GRANT and TO. */
static const char *const read_grants[] = {
	"USAGE ON SCHEMA reservation",
	"SELECT ON reservation.pool_status, reservation.units, reservation.events,"
	" reservation.stats, reservation.holds, reservation.stuck",
	"EXECUTE ON FUNCTION reservation.version, reservation.availability, reservation.verify,"
	" reservation.balance_at, reservation.events_since, reservation.stats_by_id,"
	" reservation.holds_in_flight",
	"EXECUTE ON FUNCTION reservation.shard_of_name, reservation.shard_of_id", NULL};
static const char *const claim_grants[] = {
	"SELECT ON reservation.claims, reservation.entries, reservation.tickets,"
	" reservation.checkouts, reservation.payments, reservation.refunds_due",
	"EXECUTE ON FUNCTION reservation.claim_next, reservation.claim_unit, reservation.take,"
	" reservation.charge, reservation.account_entries, reservation.extend, reservation.release,"
	" reservation.finalize, reservation.refund, reservation.sweep, reservation.rate_limit",
	"EXECUTE ON FUNCTION reservation.join_line, reservation.leave_line,"
	" reservation.line_position",
	"EXECUTE ON FUNCTION reservation.assign_number, reservation.check_version,"
	" reservation.finalize_once, reservation.take_stock, reservation.charge_credit",
	"EXECUTE ON FUNCTION reservation.run_once, reservation.save_response, reservation.cart_add,"
	" reservation.cart_set, reservation.cart_merge, reservation.cart_lines, reservation.checkout,"
	" reservation.checkout_cart, reservation.record_payment, reservation.finalize_checkout,"
	" reservation.cancel_checkout, reservation.settle_refund",
	NULL};
static const char *const admin_grants[] = {
	"EXECUTE ON FUNCTION reservation.serve_line",
	"EXECUTE ON FUNCTION reservation.create_pool, reservation.alter_pool, reservation.add_units,"
	" reservation.adjust, reservation.drop_pool, reservation.set_payment_provider,"
	" reservation.repair, reservation.archive, reservation.index_events,"
	" reservation.grant_access, reservation.reset_stats",
	NULL};
static const char *const *const levels[] = {read_grants, claim_grants, admin_grants};
static const char *const level_names[] = {"read", "claim", "admin"};

/* grant_access(role regrole, level text) -> (status, role, level) */
PG_FUNCTION_INFO_V1(rsv_grant_access);
Datum
rsv_grant_access(PG_FUNCTION_ARGS)
{
	RsvAnswer answer;
	RsvPlanSession session;
	const char *role;
	char *level;
	int last;

	rsv_answer_begin(&answer, fcinfo);
	rsv_argument_required(fcinfo, 0, "role");
	rsv_argument_required(fcinfo, 1, "level");
	rsv_require_writable("grant_access");
	role = GetUserNameFromId(PG_GETARG_OID(0), true);
	if (role == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_OBJECT),
				 errmsg("role %u does not exist", PG_GETARG_OID(0)),
				 errhint("Pass the name of a role, such as 'shop'.")));
	role = quote_identifier(role);
	level = text_to_cstring(PG_GETARG_TEXT_PP(1));
	for (last = 0; last < (int) lengthof(levels) && strcmp(level, level_names[last]) != 0; last++)
		continue;
	if (last == lengthof(levels))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("level must be \"read\", \"claim\" or \"admin\""),
				 errhint("Each level has all of the one before.")));

	LockDatabaseObject(ExtensionRelationId, get_extension_oid("reservation", false), 0,
					   ShareUpdateExclusiveLock);
	rsv_plan_begin(&session);
	for (int i = 0; i <= last; i++)
		for (const char *const *grant = levels[i]; *grant != NULL; grant++)
			rsv_plan_command(psprintf("GRANT %s TO %s", *grant, role));
	rsv_plan_end(&session);
	rsv_answer_row(
		&answer,
		(Datum[]) {CStringGetTextDatum("granted"), PG_GETARG_DATUM(0), CStringGetTextDatum(level)},
		(bool[]) {false, false, false});
	return (Datum) 0;
}
