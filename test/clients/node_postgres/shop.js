// Claim and sell with node-postgres (pg).
import pg from 'pg'

// Worth the same call again: deadlock, could not decide in time, cancelled, server going away;
// and whatever the server did not say: the connection was lost.
const transient = /^(40001|40P01|55P03|57014|57P0\d|08...)$/
const lost = error => !(error instanceof pg.DatabaseError) || transient.test(error.code)

export function open(url, { prepare = true } = {}) {
  const db = new pg.Pool({ connectionString: url, max: 5 })
  db.on('error', () => {})              // an idle connection was lost: the pool makes another

  // One call, from the pool or inside a transaction of yours (through: its client). With a name,
  // pg prepares a statement: not through PgBouncer before 1.21.
  async function call(name, text, values, through) {
    for (let again = through ? 0 : 3; ; again--) {
      try {
        const query = { name: prepare ? name : undefined, text, values }
        return (await (through ?? db).query(query)).rows[0]
      } catch (error) {
        if (!lost(error) || again === 0) throw error
      }
    }
  }

  return {
    db,
    // A refusal is a row: look at its status, which is 'claimed' or says why not.
    claim: (pool, holder, requestId, through) => call('claim',
      'SELECT * FROM reservation.claim_next($1, $2, request_id => $3)',
      [pool, holder, requestId], through),
    sell: (claimId, through) => call('sell',
      'SELECT * FROM reservation.finalize($1)', [claimId], through),
    close: () => db.end()
  }
}
