import assert from 'node:assert/strict';
import { test } from 'node:test';

import { Document } from '../src/index.js';

const type = (document, text, at = document.text.length) => [...text].forEach((char, index) => document.insert(at + index, char));

test('steps are taken back and repeated', () => {
  const document = new Document('abc');
  document.remove(1, 1);
  document.replace(0, 1, 'xyz');
  assert.deepEqual([document.undo(), document.text], [true, 'ac']);
  assert.deepEqual([document.undo(), document.text], [true, 'abc']);
  assert.deepEqual([document.undo(), document.canUndo, document.canRedo], [false, false, true]);
  assert.deepEqual([document.redo(), document.redo(), document.redo(), document.text], [true, true, false, 'xyzc']);
});

test('a new edit forgets what could be repeated', () => {
  const document = new Document('abc');
  document.remove(0, 1);
  document.undo();
  document.insert(3, 'dd');
  assert.deepEqual([document.canRedo, document.redo(), document.text], [false, false, 'abcdd']);
});

test('an edit that changes nothing is no step and forgets nothing', () => {
  const document = new Document('abc');
  document.remove(0, 1);
  document.undo();
  document.insert(1, '');
  document.replace(0, 1, 'a');
  document.remove(0, 0);
  assert.deepEqual([document.canUndo, document.canRedo, document.redo(), document.text], [false, true, true, 'bc']);
});

test('typing is taken back by words', () => {
  const document = new Document();
  type(document, 'hello big world');
  document.undo();
  assert.equal(document.text, 'hello big ');
  document.undo();
  assert.equal(document.text, 'hello ');
  document.redo();
  assert.equal(document.text, 'hello big ');
});

test('typing elsewhere, pasting and undoing end a word', () => {
  const document = new Document('()');
  type(document, 'ab', 1);
  type(document, 'cd', 0);
  document.undo();
  assert.equal(document.text, '(ab)');
  document.insert(3, 'paste');
  type(document, 'x', 8);
  document.undo();
  assert.equal(document.text, '(abpaste)');
  document.undo();
  document.redo();
  type(document, 'y', 8);
  document.undo();
  assert.equal(document.text, '(abpaste)');
});

test('a word that was taken back and repeated is finished', () => {
  const document = new Document();
  type(document, 'ab');
  document.undo();
  document.redo();
  type(document, 'c');
  document.undo();
  assert.equal(document.text, 'ab');
});

test('a removal in the middle of a word ends it', () => {
  const document = new Document();
  type(document, 'ab');
  document.remove(1, 1);
  type(document, 'c');
  document.undo();
  assert.equal(document.text, 'a');
  document.undo();
  assert.equal(document.text, 'ab');
});

test('a group is one step, nested groups are part of it, an empty one is none', () => {
  const document = new Document('one two');
  document.group(() => {
    document.replace(0, 3, 'ONE');
    document.group(() => document.replace(4, 3, 'TWO'));
  });
  document.group(() => {});
  document.undo();
  assert.deepEqual([document.text, document.canUndo], ['one two', false]);
  document.redo();
  assert.equal(document.text, 'ONE TWO');
});

test('a group that throws leaves nothing', () => {
  const document = new Document('abc');
  document.insert(3, 'dd');
  document.undo();
  const work = () => {
    document.remove(0, 2);
    document.insert(0, 'zz');
    throw new Error('no');
  };
  assert.throws(() => document.group(work), /no/);
  assert.deepEqual([document.text, document.canUndo, document.canRedo], ['abc', false, true]);
});

test('the oldest steps go beyond the limit', () => {
  const document = new Document('', { limit: 2 });
  for (const text of ['aa', 'bb', 'cc']) document.insert(document.text.length, text);
  assert.deepEqual([document.undo(), document.undo(), document.undo(), document.text], [true, true, false, 'aa']);
});

test('a listener that applies what it hears has the text at any time', () => {
  const document = new Document('start ');
  let copy = document.text;
  document.onChange(({ at, removed, inserted }) => {
    assert.equal(copy.slice(at, at + removed.length), removed);
    copy = copy.slice(0, at) + inserted + copy.slice(at + removed.length);
    assert.equal(copy, document.text);
  });
  type(document, 'some words here');
  document.group(() => {
    document.remove(0, 6);
    document.insert(0, '> ');
  });
  try {
    document.group(() => {
      document.remove(0, 2);
      throw new Error('no');
    });
  } catch {
    // It went back.
  }
  for (let count = 0; count < 3; count++) document.undo();
  for (let count = 0; count < 2; count++) document.redo();
  assert.equal(copy, document.text);
  assert.equal(copy, 'start some words here');
});
