/*
 * gcra.c
 *	  The arithmetic of the rate limit: the generic cell rate algorithm, in its
 *	  form as virtual scheduling (ITU-T Recommendation I.371, annex on the
 *	  conformance definition; ATM Forum Traffic Management Specification).
 *
 * A limit lets "burst" through at once and as many per "period" after that,
 * evenly: one takes period / burst to come back. All there is to keep is when
 * the limit will be idle, nothing spent any more. A call that costs c moves
 * that on by c * period / burst from now, or from where it is if that is later,
 * and is admitted if it then is no further away than one period.
 *
 * Invariant: exact. In whatever length of time t, what is admitted costs at most
 * burst + t * burst / period in all, and a call that fits is never refused: the
 * quotient is kept with its remainder, which is why a microsecond has as many
 * parts as the burst has units. No sum or product can overflow: a cost is at
 * most the burst, and a period at most RSV_RATE_YEARS_MAX years.
 *
 * A clock set back would make a limit wait for the old time to come again. What
 * is further away than it can be is taken for a limit spent just now; by less
 * than a minute it is only a caller that read the clock a moment before others.
 *
 * Nothing here fails, waits or allocates: it is done under a spinlock.
 */
#include "postgres.h"

#include "common/int.h"
#include "port/pg_bitutils.h"

#include "rate.h"

#define CLOCK_SET_BACK_US USECS_PER_MINUTE

/* A length of time: microseconds, and parts of one, fewer than the burst. */
typedef struct Span
{
	int64 us;
	int64 parts;
} Span;

static Span price_of(const RsvRule *rule, int32 cost);
static Span debt_of(const RsvSpend *spend);
static bool clock_set_back(const RsvSpend *spend);
static Span sum_of(Span a, Span b, int32 burst);
static bool is_longer(Span span, int64 us);
static int64 rounded_up(Span span);
static void move_to(RsvMeter *meter, TimestampTz now, Span debt);

/* Decides, and says whether the meter has moved and must be kept. */
bool
rsv_gcra_spend(RsvSpend *spend)
{
	Span debt = debt_of(spend);
	Span price = price_of(&spend->rule, Min(spend->cost, spend->rule.burst));
	Span after;

	spend->admitted = false;
	if (spend->spending == RSV_GIVE_BACK)
	{
		/* less than nothing is owed if the meter was forgotten meanwhile */
		price = (Span) {-price.us - (price.parts > 0 ? 1 : 0),
						price.parts > 0 ? spend->rule.burst - price.parts : 0};
		debt = sum_of(debt, price, spend->rule.burst);
		move_to(&spend->meter, spend->now, debt.us >= 0 ? debt : (Span) {0, 0});
		return true;
	}
	after = sum_of(debt, price, spend->rule.burst);
	spend->admitted =
		spend->cost <= spend->rule.burst && !is_longer(after, spend->rule.period_us);
	if (spend->spending == RSV_LOOK)
		return false;
	if (spend->admitted)
		move_to(&spend->meter, spend->now, after);
	else if (clock_set_back(spend))
		move_to(&spend->meter, spend->now, debt);
	else
		return false;
	return true;
}

/* What is left of the limit, and when there is more. */
void
rsv_gcra_read(const RsvSpend *spend, RsvVerdict *verdict)
{
	int64 period = spend->rule.period_us;
	Span debt = debt_of(spend);
	int64 left = Max(period - debt.us, 0);
	int64 whole = 0;
	int64 rest = 0;

	/* left * burst / period with its remainder, bit by bit: the product may have 90 of them */
	for (int bit = pg_leftmost_one_pos32(spend->rule.burst); bit >= 0; bit--)
	{
		whole *= 2;
		rest = 2 * rest + ((spend->rule.burst >> bit) & 1) * left;
		for (; rest >= period; rest -= period)
			whole++;
	}
	if (debt.parts > rest)
		whole -= (debt.parts - rest + period - 1) / period;
	verdict->remaining = (int32) Max(whole, 0);
	verdict->reset_after_us = rounded_up(debt);

	if (spend->cost > spend->rule.burst)
		verdict->retry_after_us = -1;
	else if (spend->admitted)
		verdict->retry_after_us = 0;
	else
	{
		Span after = sum_of(debt, price_of(&spend->rule, spend->cost), spend->rule.burst);

		verdict->retry_after_us = Max(rounded_up(after) - period, 0);
	}
}

/* How far a cost moves the meter: cost * period / burst. */
static Span
price_of(const RsvRule *rule, int32 cost)
{
	int64 rest = rule->period_us % rule->burst * cost;

	return (Span) {rule->period_us / rule->burst * cost + rest / rule->burst, rest % rule->burst};
}

/* How long until the limit is idle. */
static Span
debt_of(const RsvSpend *spend)
{
	if (spend->meter.idle_at < spend->now)
		return (Span) {0, 0};
	if (clock_set_back(spend))
		return (Span) {spend->rule.period_us, 0};
	return (Span) {spend->meter.idle_at - spend->now, spend->meter.fraction};
}

static bool
clock_set_back(const RsvSpend *spend)
{
	return spend->meter.idle_at > spend->now &&
		spend->meter.idle_at - spend->now > spend->rule.period_us + CLOCK_SET_BACK_US;
}

static Span
sum_of(Span a, Span b, int32 burst)
{
	Span sum = {a.us + b.us, a.parts + b.parts};

	if (sum.parts >= burst)
	{
		sum.us++;
		sum.parts -= burst;
	}
	return sum;
}

static bool
is_longer(Span span, int64 us)
{
	return span.us > us || (span.us == us && span.parts > 0);
}

static int64
rounded_up(Span span)
{
	return span.us + (span.parts > 0 ? 1 : 0);
}

static void
move_to(RsvMeter *meter, TimestampTz now, Span debt)
{
	if (pg_add_s64_overflow(now, debt.us, &meter->idle_at))
		meter->idle_at = DT_NOEND;
	meter->fraction = (int32) debt.parts;
}
