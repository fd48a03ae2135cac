import assert from 'node:assert/strict';
import { test } from 'node:test';
import { leftToManagersWords } from '../../../src/controller/policy/left-to-managers.ts';
import type { MaintenanceMode } from '../../../src/protocol/public/hosts/managed-host.ts';
import { host } from '../requests/worlds.ts';

const drs: MaintenanceMode = { moves: 'manager', words: 'DRS of C0', leaves: [] };
const dpm = { sets: 'manager', words: 'DPM of C0' } as const;

test('a look names the hosts that it leaves to their manager, with the reason, each manager once', () => {
  const hosts = [
    ...['b', 'a'].map((name) => host(name, { maintenanceMode: drs, powerMode: dpm })),
    host('c', { maintenanceMode: { ...drs, words: 'DRS of C1' } }),
    host('d'),
  ];
  assert.equal(
    leftToManagersWords(hosts, 'balance'),
    'DRS of C0 moves guests by itself, and the guests of a, b are left to it; DRS of C1 moves guests by itself, and the guests of c are left to it',
  );
  assert.equal(
    leftToManagersWords(hosts.slice(0, 2), 'consolidate'),
    'DPM of C0 puts hosts to sleep and wakes them by itself, and the guests of a, b are left to it',
  );
});

test('a manager that leaves balancing to the caller is not mentioned', () => {
  const asker = host('a', {
    maintenanceMode: { ...drs, moves: 'asker' },
    powerMode: { ...dpm, sets: 'asker' },
  });
  assert.equal(leftToManagersWords([asker, host('b')], 'consolidate'), undefined);
  assert.equal(leftToManagersWords([host('a', { powerMode: dpm })], 'balance'), undefined);
});

test('the first few of many hosts are named', () => {
  const many = Array.from({ length: 9 }, (_none, at) => host(`h${at}`, { powerMode: dpm }));
  assert.match(leftToManagersWords(many, 'consolidate') ?? '', /h0, h1, h2, h3 and 5 more/);
});
