import Fastify from 'fastify';
import { orders } from './orders.js';
import { refunds } from './refunds.js';

const app = Fastify({ logger: true });
app.register(async (scope) => orders(scope));
app.register(async (scope) => refunds(scope));
await app.listen({ port: 3000 });
