import assert from 'node:assert/strict';
import { test } from 'node:test';

import { Document, words } from '../src/index.js';

test('text is inserted, removed and replaced', () => {
  const document = new Document('one three');
  document.insert(4, 'two ');
  document.remove(0, 4);
  document.replace(0, 3, 'TWO');
  assert.equal(document.text, 'TWO three');
  assert.equal(words(document.text), 2);
});

test('listeners hear what was changed until they leave', () => {
  const document = new Document('ab');
  const heard = [];
  const leave = document.onChange((edit) => heard.push(edit));
  document.replace(0, 1, 'x');
  leave();
  document.remove(0, 1);
  assert.deepEqual(heard, [{ at: 0, removed: 'a', inserted: 'x' }]);
});
