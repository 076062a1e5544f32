// Claim and sell with Drizzle, here on node-postgres (drizzle-orm, pg).
import { sql } from 'drizzle-orm'
import { drizzle } from 'drizzle-orm/node-postgres'
import pg from 'pg'

// Drizzle wraps what the server says: SQLSTATE (code), message, detail and hint are in the cause.
export const cause = error => error.cause ?? error

// Worth the same call again: deadlock, could not decide in time, cancelled, server going away;
// and whatever the server did not say: the connection was lost.
const transient = /^(40001|40P01|55P03|57014|57P0\d|08...)$/
const lost = error => !(error instanceof pg.DatabaseError) || transient.test(error.code)

// db.execute() prepares nothing by name, so any pooler will do.
export function open(url) {
  const pool = new pg.Pool({ connectionString: url, max: 5 })
  pool.on('error', () => {})            // an idle connection was lost: the pool makes another
  const db = drizzle(pool)

  // One call, or one inside a transaction of yours (through: its tx).
  async function call(query, through) {
    for (let again = through ? 0 : 3; ; again--) {
      try {
        const { rows } = await (through ?? db).execute(query)
        return rows[0]
      } catch (error) {
        if (!lost(cause(error)) || again === 0) throw error
      }
    }
  }

  return {
    db,
    // A refusal is a row: look at its status, which is 'claimed' or says why not.
    claim: (pool, holder, requestId, through) => call(sql`
      SELECT * FROM reservation.claim_next(${pool}, ${holder}, request_id => ${requestId})`,
      through),
    sell: (claimId, through) => call(sql`
      SELECT * FROM reservation.finalize(${claimId})`, through),
    close: () => pool.end()
  }
}
