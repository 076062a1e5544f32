/*
 * item.c
 *	  What a checkout asks for: its lines, checked, added up per pool, and put
 *	  into the one order in which every checkout takes them.
 *
 * Invariant: an item stands for all lines of its pool, so no two of them can
 * each see the full stock. Items are in the order of pool_id, the units that an
 * item names in the order of their numbers.
 */
#include "postgres.h"

#include "common/int.h"
#include "utils/builtins.h"
#include "utils/numeric.h"

#include "reservation.h"

/* One line, as the caller wrote it. */
typedef struct Line
{
	text *pool;
	int64 quantity;
	int32 number;
	bool named; /* a unit by its number */
} Line;

static void line_read(JsonbContainer *object, int place, bool from_cart, Line *line);
static void line_field(const char *key, JsonbValue *value, int place, bool from_cart, Line *line,
					   bool *has_quantity);
static int64 line_integer(const char *key, const JsonbValue *value, int place, int64 min,
						  int64 max);
pg_noreturn static void refuse_line(int place, const char *problem);
static int compare_lines(const void *a, const void *b);
static int compare_items(const void *a, const void *b);
static int item_read(const Line *lines, int nlines, RsvItem *item);
static void item_check(const RsvItem *item, int64 *units);

/*
 * Reads the lines of a checkout: [{"pool", "quantity"}, {"pool", "number"}, ...].
 * The lines of a cart also have "options", which do not matter here.
 */
RsvItem *
rsv_items_read(Jsonb *lines, bool from_cart, int *nitems)
{
	int nlines = JB_ROOT_IS_ARRAY(lines) && !JB_ROOT_IS_SCALAR(lines) ? JB_ROOT_COUNT(lines) : 0;
	Line *sorted;
	RsvItem *items;
	int64 units = 0;
	int next = 0;

	if (nlines < 1 || nlines > RSV_LINES_MAX)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("lines must be an array of 1 to %d objects", RSV_LINES_MAX),
				 errhint("Pass lines such as [{\"pool\": \"print\", \"quantity\": 2}].")));
	sorted = palloc(sizeof(Line) * nlines);
	for (int i = 0; i < nlines; i++)
	{
		JsonbValue *line = getIthJsonbValueFromContainer(&lines->root, i);

		if (line->type != jbvBinary || !JsonContainerIsObject(line->val.binary.data))
			refuse_line(i + 1, "is not an object");
		line_read(line->val.binary.data, i + 1, from_cart, &sorted[i]);
	}
	qsort(sorted, nlines, sizeof(Line), compare_lines);

	items = palloc0(sizeof(RsvItem) * nlines);
	*nitems = 0;
	while (next < nlines)
	{
		RsvItem *item = &items[(*nitems)++];

		next += item_read(&sorted[next], nlines - next, item);
		item_check(item, &units);
	}
	qsort(items, *nitems, sizeof(RsvItem), compare_items);
	return items;
}

static void
line_read(JsonbContainer *object, int place, bool from_cart, Line *line)
{
	JsonbIterator *iterator = JsonbIteratorInit(object);
	bool has_quantity = false;
	JsonbIteratorToken token;
	JsonbValue value;
	char *key = NULL;

	*line = (Line) {.quantity = 1};
	while ((token = JsonbIteratorNext(&iterator, &value, true)) != WJB_DONE)
	{
		if (token == WJB_KEY)
			key = pnstrdup(value.val.string.val, value.val.string.len);
		else if (token == WJB_VALUE)
			line_field(key, &value, place, from_cart, line, &has_quantity);
	}
	if (line->pool == NULL)
		refuse_line(place, "has no \"pool\"");
	if (line->named && has_quantity && line->quantity != 1)
		refuse_line(place, "names one unit by its number, and a quantity of several");
}

static void
line_field(const char *key, JsonbValue *value, int place, bool from_cart, Line *line,
		   bool *has_quantity)
{
	if (strcmp(key, "pool") == 0)
	{
		if (value->type != jbvString)
			refuse_line(place, "has a \"pool\" that is not a string");
		line->pool = cstring_to_text_with_len(value->val.string.val, value->val.string.len);
		rsv_check_name(line->pool, "pool");
	}
	else if (strcmp(key, "quantity") == 0)
	{
		line->quantity = line_integer(key, value, place, 1, PG_INT64_MAX);
		*has_quantity = true;
	}
	else if (strcmp(key, "number") == 0)
	{
		line->number = (int32) line_integer(key, value, place, PG_INT32_MIN, PG_INT32_MAX);
		line->named = true;
	}
	else if (!from_cart || strcmp(key, "options") != 0)
		refuse_line(place,
					psprintf("has an unknown key \"%s\"", rsv_text_display(cstring_to_text(key))));
}

/* An integer in a range; a fraction is refused rather than rounded. */
static int64
line_integer(const char *key, const JsonbValue *value, int place, int64 min, int64 max)
{
	char *digits;
	char *end;
	long long number;

	if (value->type != jbvNumeric)
		refuse_line(place, psprintf("has a \"%s\" that is not a number", key));
	digits = DatumGetCString(DirectFunctionCall1(numeric_out, NumericGetDatum(value->val.numeric)));
	errno = 0;
	number = strtoll(digits, &end, 10);
	if (errno != 0 || *end != '\0' || number < min || number > max)
		refuse_line(place,
					psprintf("has a \"%s\" that is not an integer between " INT64_FORMAT
							 " and " INT64_FORMAT,
							 key, min, max));
	return number;
}

static void
refuse_line(int place, const char *problem)
{
	ereport(ERROR,
			(errcode(ERRCODE_INVALID_PARAMETER_VALUE), errmsg("line %d %s", place, problem),
			 errhint("A line is {\"pool\": name, \"quantity\": integer} or "
					 "{\"pool\": name, \"number\": integer}.")));
}

/* By pool; the units that are named first, by number. */
static int
compare_lines(const void *a, const void *b)
{
	const Line *left = a;
	const Line *right = b;
	int left_length = VARSIZE_ANY_EXHDR(left->pool);
	int right_length = VARSIZE_ANY_EXHDR(right->pool);
	int order =
		memcmp(VARDATA_ANY(left->pool), VARDATA_ANY(right->pool), Min(left_length, right_length));

	if (order != 0 || left_length != right_length)
		return order != 0 ? order : left_length - right_length;
	if (left->named != right->named)
		return left->named ? -1 : 1;
	return (left->number > right->number) - (left->number < right->number);
}

static int
compare_items(const void *a, const void *b)
{
	int32 left = ((const RsvItem *) a)->pool.pool_id;
	int32 right = ((const RsvItem *) b)->pool.pool_id;

	return (left > right) - (left < right);
}

/* Makes an item of all lines of the first one's pool; returns how many those are. */
static int
item_read(const Line *lines, int nlines, RsvItem *item)
{
	int read = 0;

	rsv_pool_find(lines[0].pool, &item->pool);
	item->numbers = palloc(sizeof(int32) * nlines);
	item->available = -1;
	while (read < nlines && VARSIZE_ANY(lines[read].pool) == VARSIZE_ANY(lines[0].pool) &&
		   memcmp(lines[read].pool, lines[0].pool, VARSIZE_ANY(lines[0].pool)) == 0)
	{
		const Line *line = &lines[read++];

		if (pg_add_s64_overflow(item->quantity, line->quantity, &item->quantity))
			ereport(ERROR,
					(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
					 errmsg("lines of pool \"%s\" add up to more than " INT64_FORMAT,
							rsv_text_display(line->pool), PG_INT64_MAX),
					 errhint("Ask for less.")));
		if (!line->named)
			continue;
		if (item->named > 0 && item->numbers[item->named - 1] == line->number)
			ereport(ERROR,
					(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
					 errmsg("lines name number %d of pool \"%s\" twice", line->number,
							rsv_text_display(line->pool)),
					 errhint("Name each unit once.")));
		item->numbers[item->named++] = line->number;
	}
	return read;
}

/* Does the pool have what the item asks for? *units adds up the numbered units of all items. */
static void
item_check(const RsvItem *item, int64 *units)
{
	if (item->pool.counted)
	{
		if (item->named > 0)
			rsv_pool_require_numbered(&item->pool, "a line with a number");
		return;
	}
	if (pg_add_s64_overflow(*units, item->quantity, units) || *units > RSV_CLAIM_UNITS_MAX)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("lines ask for more than %d numbered units", RSV_CLAIM_UNITS_MAX),
				 errhint("Make several checkouts of at most that many.")));
}
