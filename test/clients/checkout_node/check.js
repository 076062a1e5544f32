// What checkout.js promises, as docs/checkout.md shows it. Prints TAP.
//
//   RSV_URL      a database made by ../setup.sql
//   RSV_PREPARE  1: with prepared statements
import { createHmac } from 'node:crypto'
import { once } from 'node:events'
import { createServer } from 'node:http'
import { inspect, isDeepStrictEqual } from 'node:util'
import { open } from './checkout.js'

const shop = open(process.env.RSV_URL, { prepare: process.env.RSV_PREPARE === '1' })
const secret = 'whsec_test_secret'
let tests = 0
function same (found, expected, name) {
  const passed = isDeepStrictEqual(found, expected)
  console.log(`${passed ? 'ok' : 'not ok'} ${++tests} - ${name}`)
  if (!passed) console.error('# found:', inspect(found), 'expected:', inspect(expected))
}
async function rows (text, values) {
  return (await shop.db.query({ text, values, rowMode: 'array' })).rows
}

// ---- the cart

await rows("SELECT reservation.cart_add('cart 7', 'poster', 2, '{\"gift\": true}')")
await rows("SELECT reservation.cart_add('cart 7', 'hall')")
const tabs = await Promise.all([1, 2, 3, 4].map(
  () => shop.checkOut('cart 7', 'cart 7, first try', 'ann', 5900)))
same(new Set(tabs.map(c => c.checkout_id)).size, 1, 'four tabs: one checkout')
same(tabs[0].claims.map(c => [c.pool, c.number, c.quantity]).sort(),
  [['hall', 1, 1], ['poster', null, 2]], 'which holds every line')
const id = tabs[0].checkout_id

await rows("SELECT reservation.cart_add('cart 8', 'hall', 20)")
const short = await shop.checkOut('cart 8', 'cart 8', 'bob', 1).catch(error => error)
same([short.message, short.shortages],
  ['short', [{ pool: 'hall', reason: 'sold_out', available: 19, requested: 20 }]],
  'too much for another: it falls short, by name')

// ---- the webhook

const server = createServer(shop.webhook).listen(0, '127.0.0.1')
await once(server, 'listening')

function body (amount, type = 'payment_intent.succeeded') {
  return JSON.stringify({
    type,
    data: { object: { id: 'pi_1', amount_received: amount, currency: 'eur', metadata: { checkout_id: id } } }
  }) + '\n'
}
function sign (payload) {
  const t = Math.floor(Date.now() / 1000)
  return `t=${t},v1=${createHmac('sha256', secret).update(`${t}.${payload}`).digest('hex')}`
}
async function deliver (payload, signature) {
  const answer = await fetch(`http://127.0.0.1:${server.address().port}/webhook`, {
    method: 'POST', body: payload, headers: signature ? { 'stripe-signature': signature } : {}
  })
  return [answer.status, JSON.parse(await answer.text() || 'null')?.status]
}

same(await deliver(body(5900)), [400, 'bad_signature'], 'no signature: 400')
same(await deliver(body(5900), sign(body(1))), [400, 'bad_signature'],
  'the signature of another body: 400')
same(await deliver(body(1), sign(body(1))), [200, 'amount_mismatch'], 'another amount')
same(await deliver('no JSON', sign('no JSON')), [500, undefined], 'what nobody can read: 500')
const created = body(5900, 'payment_intent.created')
same(await deliver(created, sign(created)), [200, undefined], 'another event: left alone')
same(await rows('SELECT count(*) FROM reservation.payments'), [['0']], 'nothing was recorded')

const genuine = body(5900)
const race = await Promise.all([
  deliver(genuine, sign(genuine)), deliver(genuine, sign(genuine)),
  ...[1, 2].map(async () => [200, (await shop.settle(
    id, 'stripe', 'pi_1', 5900, 'eur', genuine, sign(genuine))).status])
])
same(race, Array(4).fill([200, 'finalized']), 'browser and webhook, twice each: all are told')
same(await rows(`SELECT count(*), count(DISTINCT order_id), max(order_number)
  FROM reservation.checkouts WHERE state = 'finalized'`), [['1', '1', '1']],
'one order, whose number is a string, as every bigint')
same(await rows("SELECT * FROM reservation.cart_lines('cart 7')"), [], 'the cart is empty')
same(await rows('SELECT count(*), sum(amount) FROM reservation.payments'), [['1', '5900']],
  'one payment')
server.close()
await shop.close()
console.log(`1..${tests}`)
