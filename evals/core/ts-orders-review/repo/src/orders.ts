import type { FastifyInstance } from 'fastify';
import { signedIn } from './auth.js';
import { pool } from './db.js';

export function orders(app: FastifyInstance): void {
  app.get<{ Params: { id: string } }>('/orders/:id', async (request, reply) => {
    const user = signedIn(request);
    const found = await pool.query('select id, total_cents, state from orders where id = $1 and shop_id = $2', [
      request.params.id,
      user.shopId,
    ]);
    if (found.rowCount === 0) return reply.code(404).send({ error: 'no such order' });
    return found.rows[0];
  });
}
