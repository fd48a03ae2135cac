import assert from 'node:assert/strict';
import { test } from 'node:test';
import { place } from '../../src/planner/place.ts';
import { GIB, guest, host } from './inventories.ts';

const hosts = [
  host('empty'),
  host('busy'),
  host('full'),
  host('off', { on: false, watts: [90, 120] }),
  host('dear', { on: false, watts: [90, 200] }),
];
const guests = [guest('one', 'busy'), guest('two', 'full', { cpu: 8, demand: [7, 7, 7, 7, 7, 7] })];
const wanted = { name: 'new', cpu: 4, memoryBytes: 8 * GIB };

test('a guest starts on the fullest host that has room', () => {
  const placement = place({ hosts, guests }, wanted);
  assert.ok('host' in placement);
  assert.deepEqual(
    [placement.host, placement.wake, placement.alternatives],
    ['busy', false, ['empty']],
  );
});

test('a host is woken only if no other has room, the cheapest one first', () => {
  const placement = place({ hosts: hosts.slice(2), guests }, wanted);
  assert.ok('host' in placement);
  assert.deepEqual([placement.host, placement.wake], ['off', true]);
});

test('a host is woken only if its cores are fast enough for the guest', () => {
  const asleep = [host('slow', { on: false }), host('fast', { on: false, coreCpu: 2 })];
  const small = { ...wanted, cpu: 1.5 };
  const placement = place({ hosts: asleep, guests: [] }, small);
  assert.ok('host' in placement);
  assert.deepEqual([placement.host, placement.alternatives], ['fast', []]);
  const nowhere = place({ hosts: asleep.slice(0, 1), guests: [] }, small);
  assert.ok('refused' in nowhere && nowhere.refused.constraint === 'cpu');
});

test('a guest without a possible host is refused by the constraint', () => {
  const placement = place({ hosts, guests }, { ...wanted, memoryBytes: 100 * GIB });
  assert.ok('refused' in placement && placement.refused.constraint === 'memory');
  const nowhere = place({ hosts: [], guests: [] }, wanted);
  assert.ok('refused' in nowhere && nowhere.refused.constraint === 'last-host');
});

test('a guest without a possible host is refused in words that fit a guest not placed yet', () => {
  const wordsAt = (all: typeof hosts): string => {
    const placement = place({ hosts: all, guests: [] }, { ...wanted, memoryBytes: 100 * GIB });
    return 'refused' in placement ? placement.refused.words : placement.host;
  };
  assert.equal(wordsAt([]), 'there is no host that it could start on');
  assert.equal(wordsAt(hosts.slice(0, 1)), `${hosts[0]?.name}: has too little memory`);
  assert.match(
    wordsAt(hosts),
    /^none of \d hosts takes it; of most of them: has too little memory$/,
  );
});

test('a placement respects the labels for apart, together and pinned', () => {
  const labelled = [guest('one', 'busy', { apart: ['db'], together: 'shop' }), ...guests.slice(1)];
  const where = (more: object): string | undefined => {
    const placement = place({ hosts, guests: labelled }, { ...wanted, ...more });
    return 'host' in placement ? placement.host : placement.refused.constraint;
  };
  assert.equal(where({ apart: ['db'] }), 'empty');
  assert.equal(where({ together: 'shop' }), 'busy');
  assert.equal(where({ pinnedTo: ['empty'] }), 'empty');
});
