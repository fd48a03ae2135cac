import assert from 'node:assert/strict';
import { test } from 'node:test';
import { LOOK_MS } from '../../../src/controller/inventory/guest-looks.ts';
import { whyNoChoice } from '../../../src/controller/policy/few-hosts.ts';
import { Loads } from '../../../src/controller/policy/loads.ts';
import { changeOf } from '../../../src/controller/policy/turn.ts';
import type { HostMark } from '../../../src/controller/requests/facts.ts';
import { guest, host, NOW, world } from '../requests/worlds.ts';
import { policyOf } from './samples.ts';

const fleet = { scope: 'fleet' };
const silent = { silentSinceMs: NOW };
const why = (
  hosts: readonly ReturnType<typeof host>[],
  policy: { scope: string; hosts?: string[] } = fleet,
  marks: ReadonlyMap<string, HostMark> = new Map(),
) => whyNoChoice(policy, world({ hosts, guests: [], marks }), () => true);

test('an empty fleet, one host, and hosts with a single known one yield a reason and no choice', () => {
  assert.match(why([]) ?? '', /^no host is known here/);
  const group = { scope: 'front', hosts: ['x', 'y'] };
  assert.equal(why([], group), 'none of its hosts is known: x, y');
  assert.equal(why([host('a')]), 'a is the only host here: nothing can move');
  assert.match(why([host('a'), host('b', silent)]) ?? '', /^of its 2 hosts only a is heard of/);
  assert.equal(why([host('a', silent), host('b', silent)]), 'none of its 2 hosts is heard of');
  assert.equal(why([host('a'), host('b')]), undefined);
});

test('a sleeping host counts as a choice: it can be woken', () => {
  const marks = new Map([['b', { host: 'b', power: 'asleep' as const }]]);
  assert.equal(why([host('a'), host('b', silent)], fleet, marks), undefined);
});

test('a look at such a fleet plans nothing for any caller, and gives the reason', () => {
  const view = {
    nowMs: NOW,
    proposals: [],
    requests: new Map(),
    made: [],
    past: [],
    own: [],
    asked: new Map(),
    groups: [],
  };
  const fleets = [
    { hosts: [], guests: [], words: /^no host is known/ },
    { hosts: [host('a')], guests: [guest('g1', 'a')], words: /^a is the only host here/ },
  ];
  for (const kind of ['balance', 'consolidate'] as const)
    for (const { words, ...of } of fleets) {
      const seen = { world: world(of), loads: new Loads(LOOK_MS), usual: new Map() };
      const policy = policyOf({ kind, mode: 'automatic' });
      const change = changeOf({ ...view, policy }, { ...seen, setsPower: true }, () => 'x');
      assert.match(change.look.words, words);
      assert.deepEqual([change.proposals, change.wake, change.look.refusals], [[], [], []]);
    }
});
