/*
 * signature.c
 *	  Did the payment provider sign this?
 *
 *		razorpay      hex HMAC-SHA256 of "order_id|payment_id", which is the payload
 *		stripe        the header "t=seconds,v1=hex[,v1=hex...]"; the HMAC is that of
 *					  "seconds.payload"; seconds within 300 of now, either way
 *		hmac-sha256   hex HMAC-SHA256 of the payload
 *
 * Providers sign bytes in UTF-8, so that is what is hashed, whatever the
 * encoding of the database. Hexadecimal digits are lower case.
 *
 * Invariant: how long a comparison takes depends on the lengths of its operands
 * only, which are no secret. Whatever is not exactly of the form above is not
 * signed.
 */
#include "postgres.h"

#include "common/cryptohash.h"
#include "common/hmac.h"
#include "common/sha2.h"
#include "mb/pg_wchar.h"
#include "utils/builtins.h"

#include "reservation.h"

#define HEX_LENGTH         (2 * PG_SHA256_DIGEST_LENGTH)
#define TOLERANCE_S        300
#define SECONDS_DIGITS_MAX 12

typedef struct Message
{
	const char *secret;
	int secret_length;
	const char *payload;
	int payload_length;
	const char *signature; /* ends with a zero byte */
	const char *payment_id;
	TimestampTz now;
} Message;

static bool razorpay_good(const Message *message);
static bool stripe_good(const Message *message);
static bool hmac_good(const Message *message);
static bool stripe_field(const char **rest, const char **value, int *length, char *kind);
static bool stripe_time_good(const char *seconds, int length, TimestampTz now);
static void sign(const Message *message, const char *prefix, int prefix_length, char *hex);
static bool same_hex(const char *hex, const char *given, int length);

static const struct
{
	const char *name;
	bool (*good)(const Message *message);
} schemes[] = {
	{"razorpay", razorpay_good},
	{"stripe", stripe_good},
	{"hmac-sha256", hmac_good},
};

bool
rsv_scheme_known(const char *scheme)
{
	for (int i = 0; i < (int) lengthof(schemes); i++)
	{
		if (strcmp(scheme, schemes[i].name) == 0)
			return true;
	}
	return false;
}

/* Is this the signature of the payload, made with the secret, for this payment? */
bool
rsv_signature_good(const char *scheme, const text *secret, const text *payload,
				   const text *signature, const text *payment_id, TimestampTz now)
{
	int length = VARSIZE_ANY_EXHDR(payload);
	const char *raw = VARDATA_ANY(payload);
	Message message = {.now = now};

	if (VARSIZE_ANY_EXHDR(signature) > RSV_SIGNATURE_BYTES_MAX)
		return false;
	message.secret = VARDATA_ANY(secret);
	message.secret_length = VARSIZE_ANY_EXHDR(secret);
	message.payload = pg_server_to_any(raw, length, PG_UTF8);
	message.payload_length = message.payload == raw ? length : (int) strlen(message.payload);
	message.signature = text_to_cstring(signature);
	message.payment_id = text_to_cstring(payment_id);
	for (int i = 0; i < (int) lengthof(schemes); i++)
	{
		if (strcmp(scheme, schemes[i].name) == 0)
			return schemes[i].good(&message);
	}
	elog(ERROR, "unknown signature scheme \"%s\"", scheme);
	return false; /* keep the compiler quiet */
}

/* "order_id|payment_id": two ids, and the second is the payment's. */
static bool
razorpay_good(const Message *message)
{
	const char *bar = memchr(message->payload, '|', message->payload_length);
	int id_length = strlen(message->payment_id);

	if (bar == NULL || bar == message->payload ||
		message->payload + message->payload_length - (bar + 1) != id_length ||
		memcmp(bar + 1, message->payment_id, id_length) != 0)
		return false;
	return hmac_good(message);
}

static bool
hmac_good(const Message *message)
{
	char hex[HEX_LENGTH];

	sign(message, "", 0, hex);
	return same_hex(hex, message->signature, strlen(message->signature));
}

/*
 * One time, one or more v1; other schemes, which Stripe adds to test events, are
 * passed over. Every v1 is compared, whatever came of the ones before.
 */
static bool
stripe_good(const Message *message)
{
	const char *rest = message->signature;
	const char *seconds = NULL;
	int seconds_length = 0;
	const char *value;
	int length;
	char kind;
	char hex[HEX_LENGTH];
	bool good = false;

	while (*rest != '\0')
	{
		if (!stripe_field(&rest, &value, &length, &kind) || (kind == 't' && seconds != NULL))
			return false;
		if (kind == 't')
		{
			seconds = value;
			seconds_length = length;
		}
	}
	if (seconds == NULL || !stripe_time_good(seconds, seconds_length, message->now))
		return false;

	/* the prefix is "seconds." */
	sign(message, psprintf("%.*s.", seconds_length, seconds), seconds_length + 1, hex);
	rest = message->signature;
	while (*rest != '\0')
	{
		(void) stripe_field(&rest, &value, &length, &kind);
		if (kind == '1')
			good |= same_hex(hex, value, length);
	}
	return good;
}

/*
 * Reads "name=value" up to a comma, which must not be the last character. *kind:
 * 't' a time, '1' a signature, '?' something else. False if it is malformed.
 */
static bool
stripe_field(const char **rest, const char **value, int *length, char *kind)
{
	int field_length = strcspn(*rest, ",");
	const char *equals = memchr(*rest, '=', field_length);
	const char *end = *rest + field_length;
	int name_length;

	if (equals == NULL || equals == *rest || equals + 1 == end || (*end == ',' && end[1] == '\0'))
		return false;
	name_length = equals - *rest;
	if (name_length == 1 && (*rest)[0] == 't')
		*kind = 't';
	else
		*kind = name_length == 2 && strncmp(*rest, "v1", 2) == 0 ? '1' : '?';
	*value = equals + 1;
	*length = end - *value;
	*rest = *end == ',' ? end + 1 : end;
	return true;
}

static bool
stripe_time_good(const char *seconds, int length, TimestampTz now)
{
	int64 now_s =
		now / USECS_PER_SEC + (int64) (POSTGRES_EPOCH_JDATE - UNIX_EPOCH_JDATE) * SECS_PER_DAY;
	int64 signed_s = 0;

	if (length > SECONDS_DIGITS_MAX)
		return false;
	for (int i = 0; i < length; i++)
	{
		if (seconds[i] < '0' || seconds[i] > '9')
			return false;
		signed_s = signed_s * 10 + (seconds[i] - '0');
	}
	return signed_s >= now_s - TOLERANCE_S && signed_s <= now_s + TOLERANCE_S;
}

/* HMAC-SHA256 of the prefix and the payload, in hexadecimal digits. */
static void
sign(const Message *message, const char *prefix, int prefix_length, char *hex)
{
	static const char digits[] = "0123456789abcdef";
	uint8 digest[PG_SHA256_DIGEST_LENGTH];
	pg_hmac_ctx *hmac = pg_hmac_create(PG_SHA256);
	char *problem;

	if (hmac == NULL ||
		pg_hmac_init(hmac, (const uint8 *) message->secret, message->secret_length) < 0 ||
		pg_hmac_update(hmac, (const uint8 *) prefix, prefix_length) < 0 ||
		pg_hmac_update(hmac, (const uint8 *) message->payload, message->payload_length) < 0 ||
		pg_hmac_final(hmac, digest, sizeof(digest)) < 0)
	{
		problem = pstrdup(pg_hmac_error(hmac));
		pg_hmac_free(hmac);
		ereport(ERROR,
				(errcode(ERRCODE_INTERNAL_ERROR),
				 errmsg("could not compute a signature: %s", problem),
				 errhint("Check the server's cryptographic library, then call again.")));
	}
	pg_hmac_free(hmac);
	for (int i = 0; i < (int) sizeof(digest); i++)
	{
		hex[2 * i] = digits[digest[i] >> 4];
		hex[2 * i + 1] = digits[digest[i] & 0x0F];
	}
}

static bool
same_hex(const char *hex, const char *given, int length)
{
	return length == HEX_LENGTH && timingsafe_bcmp(hex, given, HEX_LENGTH) == 0;
}
