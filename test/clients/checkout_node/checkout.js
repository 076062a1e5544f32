// From a cart to an order with node-postgres (pg), paid through Stripe.
import pg from 'pg'

export function open (url, { prepare = true } = {}) {
  const db = new pg.Pool({ connectionString: url, max: 5 })
  db.on('error', () => {})              // an idle connection was lost: the pool makes another

  // With a name, pg prepares a statement: not through PgBouncer before 1.21.
  async function one (name, text, values) {
    const query = { name: prepare ? name : undefined, text, values }
    return (await db.query(query)).rows[0]
  }

  // Holds what is in the cart, all or nothing; the same key again: the same checkout.
  async function checkOut (cart, key, holder, amount) {
    const c = await one('checkOut',
      `SELECT status, checkout_id, expires_at, claims, shortages
         FROM reservation.checkout_cart($1, $2, $3, '15 minutes', $4, 'EUR')`,
      [cart, key, holder, amount])
    if (c.status === 'short') throw Object.assign(new Error('short'), { shortages: c.shortages })
    return c
  }

  // From the webhook and from the browser's return page alike.
  async function settle (checkoutId, provider, paymentId, amount, currency, payload, signature) {
    const p = await one('recordPayment',
      'SELECT status FROM reservation.record_payment($1, $2, $3, $4, $5, $6, $7)',
      [checkoutId, provider, paymentId, amount, currency, payload, signature])
    if (p.status !== 'paid') return p
    return one('finalizeCheckout',
      'SELECT status, order_id, order_number FROM reservation.finalize_checkout($1)', [checkoutId])
  }

  // A request listener for node:http. In Express, express.raw({ type: '*/*' }) gives the body.
  async function webhook (request, response) {
    try {
      const chunks = []
      for await (const chunk of request) chunks.push(chunk)
      const body = Buffer.concat(chunks).toString('utf8')   // raw: not parsed and written again
      const { type, data: { object: intent } } = JSON.parse(body)
      if (type !== 'payment_intent.succeeded') return response.end()    // nothing to record
      const result = await settle(intent.metadata.checkout_id, 'stripe', intent.id,
        intent.amount_received, intent.currency, body, request.headers['stripe-signature'] ?? '')
      response.statusCode = result.status === 'bad_signature' ? 400 : 200
      response.end(JSON.stringify(result))
    } catch (error) {
      response.statusCode = 500         // the provider delivers it again
      response.end()
    }
  }

  return { db, checkOut, settle, webhook, close: () => db.end() }
}
