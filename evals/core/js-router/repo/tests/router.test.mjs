import assert from 'node:assert/strict';
import { test } from 'node:test';

import { Router } from '../src/index.js';

const text = (body) => ({ status: 200, body });

test('a parameter is given to the handler', async () => {
  const router = new Router().on('GET', '/users/:id', ({ params }) => text(params.id));
  assert.deepEqual(await router.handle('GET', '/users/7?full=1'), text('7'));
});

test('what no pattern fits is not found', async () => {
  const router = new Router().on('GET', '/users', () => text('all'));
  assert.equal((await router.handle('GET', '/users/7')).status, 404);
});

test('a handler that throws answers 500', async () => {
  const router = new Router().on('GET', '/', () => {
    throw new Error('no');
  });
  assert.equal((await router.handle('GET', '/')).status, 500);
});
