import assert from 'node:assert/strict';
import { test } from 'node:test';
import { guestsPath, isFiltered, usedText } from '../../web/src/fleet/guest-query.ts';

test('the guests page asks for the filters of its address, and for no empty filter', () => {
  const path = (query: string): string => guestsPath(new URLSearchParams(query));
  assert.equal(path(''), '/v1/guests?limit=100');
  assert.equal(
    path('find=%20web&state=running&movable=false&label=team%3Ddb&host=&other=1&cursor=c'),
    '/v1/guests?limit=100&find=web&state=running&movable=false&label=team%3Ddb&cursor=c',
  );
  assert.equal(path(`find=${'x'.repeat(80)}`).length, '/v1/guests?limit=100&find='.length + 63);
});

test('a list is filtered by a state, and not by the page that is shown', () => {
  assert.equal(isFiltered(new URLSearchParams('state=paused')), true);
  assert.equal(isFiltered(new URLSearchParams('cursor=c&find=')), false);
});

test('the processor use of a guest names its size if that is known', () => {
  assert.equal(usedText(1.54, 4), '1.5 of 4 vCPUs');
  assert.equal(usedText(12.4, undefined), '12 cores');
  assert.equal(usedText(undefined, 4), '–');
});
