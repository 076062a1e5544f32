// Claim and sell with postgres.js (postgres).
import postgres from 'postgres'

// Worth the same call again: deadlock, could not decide in time, cancelled, server going away;
// and whatever the server did not say: the connection was lost.
const transient = /^(40001|40P01|55P03|57014|57P0\d|08...)$/
const lost = error => !(error instanceof postgres.PostgresError) || transient.test(error.code)

// prepare: false through PgBouncer before 1.21
export function open(url, { prepare = true } = {}) {
  const sql = postgres(url, { max: 5, prepare })

  // One call; inside a transaction of yours, pass its sql, and a lost call ends that.
  async function repeatable(call, through) {
    for (let again = through ? 0 : 3; ; again--) {
      try {
        const rows = await call(through ?? sql)
        return rows.filter(row => row)[0]   // 3.4.9 may leave holes in front after a reconnect
      } catch (error) {
        if (!lost(error) || again === 0) throw error
      }
    }
  }

  return {
    sql,
    // A refusal is a row: look at its status, which is 'claimed' or says why not.
    claim: (pool, holder, requestId, through) => repeatable(sql => sql`
      SELECT * FROM reservation.claim_next(${pool}, ${holder}, request_id => ${requestId})`,
      through),
    sell: (claimId, through) => repeatable(sql =>
      sql`SELECT * FROM reservation.finalize(${claimId})`, through),
    close: () => sql.end({ timeout: 1 })  // without, 3.4.9 may wait forever after a reconnect
  }
}
