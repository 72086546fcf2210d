import assert from 'node:assert/strict';
import { test } from 'node:test';

import { Router } from '../src/index.js';

const answering = (body) => () => ({ status: 200, body });
const showing = ({ params }) => ({ status: 200, body: JSON.stringify(params) });
const body = async (router, path) => (await router.handle('GET', path)).body;

test('a literal wins whatever the order', async () => {
  for (const patterns of [['/users/:id', '/users/me', '/users/*'], ['/users/*', '/users/me', '/users/:id']]) {
    const router = new Router();
    for (const pattern of patterns) router.on('GET', pattern, answering(pattern));
    assert.equal(await body(router, '/users/me'), '/users/me');
    assert.equal(await body(router, '/users/7'), '/users/:id');
    assert.equal(await body(router, '/users/7/posts'), '/users/*');
  }
});

test('segments are compared from the left', async () => {
  for (const patterns of [['/:kind/new', '/posts/:id'], ['/posts/:id', '/:kind/new']]) {
    const router = new Router();
    for (const pattern of patterns) router.on('GET', pattern, answering(pattern));
    assert.equal(await body(router, '/posts/new'), '/posts/:id');
    assert.equal(await body(router, '/pages/new'), '/:kind/new');
  }
});

test('a better beginning that leads nowhere is left again', async () => {
  const router = new Router().on('GET', '/posts/latest/feed', answering('feed')).on('GET', '/posts/:id/comments', showing);
  assert.equal(await body(router, '/posts/latest/comments'), '{"id":"latest"}');
});

test('a path that cannot be decoded is a bad request', async () => {
  const router = new Router().on('GET', '/files/:name', showing);
  for (const path of ['/files/100%', '/files/%E0%A4%A', '/%']) assert.equal((await router.handle('GET', path)).status, 400, path);
});

test('parameters are decoded once', async () => {
  const router = new Router().on('GET', '/files/:name', showing);
  assert.equal(await body(router, '/files/100%2525'), '{"name":"100%25"}');
  assert.equal(await body(router, '/files/a%2Fb'), '{"name":"a/b"}');
  assert.equal(await body(router, '/files/a%20b'), '{"name":"a b"}');
});

test('literals fit what is encoded', async () => {
  const router = new Router().on('GET', '/caf\u00e9/menu', answering('menu'));
  assert.equal(await body(router, '/caf%C3%A9/menu'), 'menu');
});

test('the rest is at least one segment, decoded, with its slashes', async () => {
  const router = new Router().on('GET', '/static/*', showing);
  assert.equal(await body(router, '/static/css/a%20b.css'), '{"*":"css/a b.css"}');
  assert.equal((await router.handle('GET', '/static')).status, 404);
  assert.throws(() => router.on('GET', '/static/*/more', showing));
});

test('another method is not allowed, and the answer says which are', async () => {
  const router = new Router().on('PUT', '/users/:id', showing).on('GET', '/users/me', showing).on('DELETE', '/users/:id', showing);
  const response = await router.handle('POST', '/users/me');
  assert.equal(response.status, 405);
  assert.equal(response.headers.allow, 'DELETE, GET, PUT');
  assert.equal((await router.handle('POST', '/nothing')).status, 404);
});

test('a less exact route of the right method is better than none', async () => {
  const router = new Router().on('GET', '/users/me', answering('me')).on('PUT', '/users/:id', showing);
  assert.deepEqual(await router.handle('PUT', '/users/me'), { status: 200, body: '{"id":"me"}' });
});
