import Fastify from 'fastify';
import { orders } from './orders.js';

const app = Fastify({ logger: true });
app.register(async (scope) => orders(scope));
await app.listen({ port: 3000 });
