import assert from 'node:assert/strict';
import { test } from 'node:test';
import { overview } from '../../../src/protocol/controller/overview.ts';

const host = ['a', 'up', 8, 1024, 512, 0.5, null, 0, 1];
const guest = ['web1', 0, 512, 'running'];
const of = (hosts: unknown[], guests: unknown[]) => ({ at: '2026-11-23T10:00:00Z', hosts, guests });

test('an overview has each host and each guest as a tuple, with null for unreported facts', () => {
  assert.ok(overview.safeParse(of([host], [guest])).success);
  assert.ok(
    overview.safeParse(of([['b', 'silent', null, null, null, null, null, 1, 0]], [])).success,
  );
});

test('an overview refuses a tuple that is too short, has an unknown state or a share above 1', () => {
  const wrong = [host.slice(0, 8), host.with(1, 'dozing'), host.with(5, 1.5), host.with(7, 2)];
  for (const each of wrong) assert.equal(overview.safeParse(of([each], [])).success, false);
  assert.equal(overview.safeParse(of([host], [guest.with(1, -1)])).success, false);
});
