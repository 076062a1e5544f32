// What the shop.js of each JavaScript client promises, and what the client makes of every type.
// Prints TAP.
//
//   RSV_CLIENT   node_postgres, postgres_js or drizzle
//   RSV_URL      a database made by setup.sql
//   RSV_ROUTE    direct or pooled
//   RSV_PREPARE  1: with prepared statements
//   RSV_MISUSE   the file misuse.tsv
import { readFileSync } from 'node:fs'
import { isDeepStrictEqual, inspect } from 'node:util'
import { sql as drizzleSql } from 'drizzle-orm'

const { RSV_CLIENT: client, RSV_URL: url, RSV_ROUTE: route } = process.env
const prepare = process.env.RSV_PREPARE === '1'
const { open, cause = error => error } = await import(`./${client}/shop.js`)
const shop = open(url, { prepare })

// What differs from client to client: how to run plain text and a transaction, and which types
// come out.
const uuid = value => /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/.test(value)
const date = value => value instanceof Date
const perClient = {
  node_postgres: {
    run: async (text, through) => (await (through ?? shop.db).query(text)).rows,
    transaction: async work => {
      const through = await shop.db.connect()
      try {
        await through.query('BEGIN')
        await work(through)
        await through.query('COMMIT')
      } catch (error) {
        await through.query('ROLLBACK')
        throw error
      } finally {
        through.release()
      }
    },
    time: date,
    interval: value => value.hours === 1 && value.minutes > 25
  },
  postgres_js: {
    run: async (text, through) => [...await (through ?? shop.sql).unsafe(text)],
    transaction: work => shop.sql.begin(work),
    time: date,
    interval: value => /^01:[2-5]/.test(value)
  },
  drizzle: {
    run: async (text, through) => (await (through ?? shop.db).execute(drizzleSql.raw(text))).rows,
    transaction: work => shop.db.transaction(work),
    time: value => /^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d{1,6}\+00$/.test(value),
    interval: value => /^01:[2-5]/.test(value)
  }
}
const { run, transaction, time, interval } = perClient[client]

let tests = 0
function ok (passed, name, ...found) {
  console.log(`${passed ? 'ok' : 'not ok'} ${++tests} - ${name}`)
  if (!passed) console.error('# found:', ...found.map(value => inspect(value)))
}
const same = (found, expected, name) =>
  ok(isDeepStrictEqual(found, expected), name, found, expected)
const plain = row => ({ ...row })

// ---- claim, replay, sell, refuse

const first = plain(await shop.claim('print', 'ann', 'cart-1'))
same([first.status, first.number, first.replayed], ['claimed', 1, false], 'claimed')
ok(uuid(first.claim_id), 'claim_id is the text of a UUID', first.claim_id)
ok(time(first.expires_at), 'expires_at is what this client makes of a time', first.expires_at)
const left = (new Date(first.expires_at) - Date.now()) / 1000
ok(left > 590 && left < 601, 'ten minutes from now', left)
same(plain(await shop.claim('print', 'ann', 'cart-1')), { ...first, replayed: true },
  'replayed, the same row')
const sale = plain(await shop.sell(first.claim_id))
same([sale.status, sale.number, sale.quantity, sale.replayed], ['finalized', 1, '1', false],
  'finalized; a bigint is text')
same(plain(await shop.sell(first.claim_id)), { ...sale, replayed: true },
  'finalized again: the same row')

let second
await transaction(async through => {
  const gone = await shop.claim('last', 'bob', 'cart-2', through)
  same([gone.status, gone.claim_id, gone.available], ['sold_out', null, '0'], 'a refusal is a row')
  second = await shop.claim('print', 'bob', 'cart-2', through)
})
same(second.number, 2, 'and leaves the transaction as it was')
same((await shop.claim('print', 'bob', 'cart-2')).replayed, true, 'which has committed')

// ---- misuse

const misuse = readFileSync(process.env.RSV_MISUSE, 'utf8').replace(/\n$/, '').split('\n')
for (const line of misuse) {
  const [sqlstate, text, message, detail, hint] = line.split('\t')
  let found
  try {
    found = await run(text)
  } catch (error) {
    const e = cause(error)
    found = [e.code, e.message, e.detail ?? '', e.hint ?? '']
  }
  same(found, [sqlstate, message, detail, hint], `${sqlstate} whole: ${message}`)
}
let thrown
await shop.claim('prnit', 'ann', 'cart-3').catch(error => { thrown = cause(error) })
same([thrown?.code, thrown?.message], ['42704', 'pool "prnit" does not exist'],
  'the same from a call with arguments')

// ---- one statement many times, with arguments

const numbers = []
for (let i = 0; i < 10; i++) numbers.push((await shop.claim('print', 'eve', `eve-${i}`)).number)
same(numbers, [3, 4, 5, 6, 7, 8, 9, 10, 11, 12], 'ten times the same statement: ten numbers')
if (prepare && route === 'direct' && client !== 'drizzle') {
  await transaction(async through => {
    for (let i = 0; i < 10; i++) await shop.claim('print', 'eve', `eve-${i}`, through)
    const [plans] = await run('SELECT sum(generic_plans)::integer AS n' +
      " FROM pg_prepared_statements WHERE statement LIKE '%claim_next%'", through)
    ok(plans.n > 0, 'by a prepared statement and its generic plan', plans)
  })
}
const crowd = await Promise.all(
  [...Array(10).keys()].map(i => shop.claim('print', 'flo', `flo-${i}`)))
same(crowd.map(claim => claim.number).sort((a, b) => a - b),
  [13, 14, 15, 16, 17, 18, 19, 20, 21, 22], 'ten calls at the same time: ten numbers')

// ---- types

await run(`SELECT * FROM reservation.claim_next('slow', 'gus')`)
const [wait] = await run(`SELECT * FROM reservation.claim_next('slow', 'gus')`)
same(wait.status, 'rate_limited', 'a refusal with an interval')
ok(interval(wait.retry_after), 'of 90 minutes', wait.retry_after)
const [grains] = await run(`SELECT * FROM reservation.availability('{grains}')`)
same(grains.capacity, '9007199254740993', 'a bigint that a double cannot hold')
const [checkout] = await run(`SELECT * FROM reservation.checkout('checkout-1', 'ann',
  '[{"pool": "grains", "quantity": 2}, {"pool": "print"}]')`)
same(checkout.claims.map(({ pool, quantity }) => [pool, quantity]).sort(),
  [['grains', 2], ['print', 1]], 'jsonb')
same((await run(`SELECT * FROM reservation.cancel_checkout('${checkout.checkout_id}')`))[0].status,
  'cancelled', 'a UUID goes back as it came')
same((await run(`SELECT number FROM reservation.claim_next('print', 'hal', count => 3)`))
  .map(row => row.number), [23, 24, 25], 'several rows')

// ---- what is not committed has not happened

await transaction(async through => {
  same((await shop.claim('print', 'ian', 'cart-9', through)).number, 26, 'claimed, and rolled back')
  throw new Error('changed my mind')
}).catch(error => ok(error.message === 'changed my mind', 'by an error of ours', error))
same((await shop.claim('print', 'joe', 'cart-10')).number, 26, 'so the next one gets that number')

// ---- the answer got lost

const before = plain(await shop.claim('print', 'kim', 'cart-11'))
let cut = 0
await Promise.all([...Array(5)].map(() =>
  run('SELECT pg_terminate_backend(pg_backend_pid())').catch(() => cut++)))
ok(cut > 0, 'the connections are cut', cut)
same(plain(await shop.claim('print', 'kim', 'cart-11')), { ...before, replayed: true },
  'the same call again gets the first answer')

// ---- the pooler does what it is there for

if (route === 'pooled') {
  const shops = [...Array(6)].map(() => open(url, { prepare }))
  const six = await Promise.all(
    shops.map((shop, i) => shop.claim('print', `crowd ${i}`, `crowd-${i}`)))
  same(six.map(claim => claim.number).sort(), [28, 29, 30, 31, 32, 33], 'six clients at once')
  const [{ n }] = await run("SELECT count(*)::integer AS n FROM pg_stat_activity" +
    " WHERE usename = 'shop' AND datname = current_database()")
  ok(n <= 2, 'are served by two sessions at the most', n)
  await Promise.all(shops.map(shop => shop.close()))
}

same(await run('SELECT * FROM reservation.verify()'), [], 'verify() finds nothing wrong')
await shop.close()
console.log(`1..${tests}`)
