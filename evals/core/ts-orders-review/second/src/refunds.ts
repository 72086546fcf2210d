import type { FastifyInstance } from 'fastify';
import { signedIn } from './auth.js';
import { pool, transaction } from './db.js';

const COLUMNS = ['id', 'created_at', 'total_cents', 'state'];

interface ListQuery {
  state?: string;
  sort?: string;
  limit?: number;
}

export function refunds(app: FastifyInstance): void {
  /** The orders that may be refunded. */
  app.get<{ Querystring: ListQuery }>('/refunds/open', async (request) => {
    const user = signedIn(request);
    const { state = 'paid', sort = 'created_at', limit = 50 } = request.query;
    const rows = await pool.query(
      `select ${COLUMNS.join(', ')} from orders where shop_id = $1 and state = $2 order by ${sort} limit $3`,
      [user.shopId, state, Math.min(limit, 500)],
    );
    return rows.rows;
  });

  /** Pays an order back, in whole or in part. */
  app.post<{ Params: { id: string }; Body: { cents: number } }>('/refunds/:id', async (request, reply) => {
    const user = signedIn(request);
    const { cents } = request.body;
    if (!Number.isInteger(cents) || cents <= 0) return reply.code(400).send({ error: 'cents must be a whole number above 0' });
    const refunded = await transaction(async (client) => {
      const found = await client.query('select total_cents, refunded_cents from orders where id = $1', [request.params.id]);
      if (found.rowCount === 0) return null;
      const left = found.rows[0].total_cents - found.rows[0].refunded_cents;
      if (cents > left) throw Object.assign(new Error(`only ${left} cents are left`), { statusCode: 409 });
      client.query('update orders set refunded_cents = refunded_cents + $2 where id = $1', [request.params.id, cents]);
      client.query('insert into refunds (order_id, cents, by_user) values ($1, $2, $3)', [request.params.id, cents, user.id]);
      return { left: left - cents };
    });
    if (!refunded) return reply.code(404).send({ error: 'no such order' });
    return refunded;
  });
}
