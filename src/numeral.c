/*
 * numeral.c
 *	  A number as it stands in a column: an integer, or a text such as M-0042.
 *
 * The form of a text is given behind the column's name, as in 'member_no:M-0000':
 * what comes before the zeros at the end is the prefix, and there are so many
 * digits at least. Without a form, a text has the plain digits.
 *
 * Invariant: every number has one numeral in a column, and what is no numeral of
 * the column is no number: 7 written as M-7 is not M-0007.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "mb/pg_wchar.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"

#include "reservation.h"
#include "trigger.h"

#define DIGITS_MAX 10 /* of a number */

/* Reads 'column' or 'column:form', in the current memory context. */
void
rsv_numeral_find(Relation relation, const char *argument, RsvNumeral *numeral)
{
	const char *colon = strchr(argument, ':');
	char *name = pstrdup(argument);
	int prefix = 0;

	/* a column may have a colon in its name */
	if (colon != NULL && get_attnum(RelationGetRelid(relation), argument) == InvalidAttrNumber)
		name[colon - argument] = '\0';
	else
		colon = NULL;
	rsv_column_find(relation, name, RSV_COLUMN_NUMBER, true, &numeral->column);
	numeral->is_text = numeral->column.base == TEXTOID || numeral->column.base == VARCHAROID;
	numeral->prefix = "";
	numeral->digits = 1;
	if (colon == NULL)
		return;

	for (prefix = strlen(colon + 1); prefix > 0 && colon[prefix] == '0'; prefix--)
		continue;
	numeral->prefix = pnstrdup(colon + 1, prefix);
	numeral->digits = Max(1, (int) strlen(colon + 1) - prefix);
	if (!numeral->is_text || numeral->digits > DIGITS_MAX ||
		(prefix > 0 && isdigit((unsigned char) colon[prefix])))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("column \"%s\" cannot have numbers of the form \"%s\"", name, colon + 1),
				 errhint("A text column can have a prefix that ends in no digit, then 1 to %d "
						 "zeros, as in 'member_no:M-0000'.",
						 DIGITS_MAX)));
}

/* The number as a value of its column. */
Datum
rsv_numeral_write(Relation relation, const RsvNumeral *numeral, int32 number)
{
	char *written;
	Oid input;
	Oid parameter;

	if (!numeral->is_text)
		return rsv_column_from_int64(relation, &numeral->column, number);
	written = psprintf("%s%0*d", numeral->prefix, numeral->digits, number);
	getTypeInputInfo(numeral->column.type, &input, &parameter);
	return OidInputFunctionCall(input, written, parameter, numeral->column.typmod);
}

/* Reads a value of the column; false if it is no numeral of a number. */
bool
rsv_numeral_read(const RsvNumeral *numeral, Datum value, int32 *number)
{
	char *written;
	char *digits;
	int64 read = 0;

	if (!numeral->is_text)
	{
		read = rsv_column_int64(&numeral->column, value);
		*number = (int32) read;
		return read >= 0 && read <= PG_INT32_MAX;
	}
	written = TextDatumGetCString(value);
	if (strncmp(written, numeral->prefix, strlen(numeral->prefix)) != 0)
		return false;
	digits = written + strlen(numeral->prefix);
	if (strspn(digits, "0123456789") != strlen(digits) || strlen(digits) > DIGITS_MAX)
		return false;
	for (const char *digit = digits; *digit != '\0'; digit++)
		read = read * 10 + (*digit - '0');
	*number = (int32) read;
	return read <= PG_INT32_MAX && strcmp(digits, psprintf("%0*d", numeral->digits, *number)) == 0;
}
