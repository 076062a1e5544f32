/*
 * reservation.c
 *	  Front door: what happens when the library is loaded, and its version.
 */
#include "postgres.h"

#include "miscadmin.h"
#include "utils/builtins.h"

#include "reservation.h"

PG_MODULE_MAGIC;

void _PG_init(void);

void
_PG_init(void)
{
	rsv_guc_init();
	rsv_call_init();
	rsv_directory_init();
	rsv_announce_init(); /* at a commit, the last registered comes first, and may make offers */
	rsv_trigger_init();
	rsv_arrival_init();
	rsv_holder_init();
	rsv_basket_init();
	if (process_shared_preload_libraries_in_progress)
	{
		rsv_shared_init();
		rsv_marks_init();
		rsv_cell_init();
		rsv_touch_init();
		rsv_launcher_init();
	}
}

/* version() -> text: the version of the library, as in the control file */
PG_FUNCTION_INFO_V1(rsv_version);
Datum
rsv_version(PG_FUNCTION_ARGS)
{
	PG_RETURN_TEXT_P(cstring_to_text(RESERVATION_VERSION));
}
