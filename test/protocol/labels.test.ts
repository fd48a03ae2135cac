import assert from 'node:assert/strict';
import { test } from 'node:test';
import { labelFilter, labels, MAX_LABELS } from '../../src/protocol/labels.ts';

test('labels are short names, with a prefix or without, and values of one line', () => {
  const good = {
    'godwit/never-move': 'true',
    team: 'web',
    'example.org/tier': 'gold é',
    empty: '',
  };
  assert.deepEqual(labels.parse(good), good);
  for (const name of ['', '/x', 'a/b/c', '-x', 'a b', 'x=y', 'Godwit/x', 'é'])
    assert.equal(labels.safeParse(Object.fromEntries([[name, 'v']])).success, false, name);
  for (const value of ['two\nlines', '\u001b[31m', 'x'.repeat(257)])
    assert.equal(labels.safeParse({ team: value }).success, false, value);
});

test('a guest has no more labels than the bound', () => {
  const many = (count: number) =>
    Object.fromEntries(Array.from({ length: count }, (_none, at) => [`l${at}`, '']));
  assert.ok(labels.safeParse(many(MAX_LABELS)).success);
  assert.equal(labels.safeParse(many(MAX_LABELS + 1)).success, false);
});

test('a filter names a label, or a label and its value', () => {
  for (const good of ['team', 'team=', 'team=a=b', 'godwit/window=sat 22:00-04:00'])
    assert.ok(labelFilter.safeParse(good).success, good);
  for (const wrong of ['', '=x', 'a b', 'team=two\nlines'])
    assert.equal(labelFilter.safeParse(wrong).success, false, wrong);
});
