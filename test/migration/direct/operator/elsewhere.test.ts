import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { findThirdHost } from '../../../../src/migration/direct/operator/elsewhere.ts';
import type { GuestSightings } from '../../../../src/migration/direct/operator/guest-sightings.ts';
import { judge, safeAnswer } from '../../../../src/migration/direct/operator/resolution.ts';
import type { Sighting } from '../../../../src/protocol/peer/sighting.ts';
import type { SideView } from '../../../../src/protocol/public/resolve.ts';

const UUID = 'u-1';
const base = {
  id: 'm-00000001',
  guest: 'web1',
  epoch: 17,
  phase: 'held',
  postcopy: false,
  unsure: false,
  moverAlive: false,
  complete: true,
} as const;
const source: SideView = {
  ...base,
  host: 'a',
  side: 'source',
  right: 'committing',
  hypervisor: 'handed-over',
};
const destination: SideView = {
  ...base,
  host: 'b',
  side: 'destination',
  right: 'armed',
  hypervisor: 'paused',
};
const nothing: Sighting = { host: 'c', copies: [], moves: [] };
const dark = (...hosts: string[]) => hosts.map((host) => ({ host, why: 'no answer' }));

function fleetOf(third: Partial<Sighting>, unasked: GuestSightings['unasked'] = []) {
  const sightings = [{ ...nothing, ...third }];
  return { id: base.id, since: '2026-01-01', uuid: UUID, sightings, unasked };
}

/** The verdict on each answer that is offered. */
function verdicts(
  fleet: GuestSightings,
  here: Partial<SideView> = {},
  there?: Partial<SideView>,
): Record<string, string> {
  const answers = judge({
    guest: 'web1',
    from: 'a',
    to: 'b',
    source: { ...source, ...here },
    destination: there && { ...destination, ...there },
    fleet,
  });
  return Object.fromEntries(answers.map(({ runAt, verdict }) => [runAt, verdict]));
}

const runs = { copies: [{ uuid: UUID, state: 'running' }] } as const;
const RUNS = { ...nothing, copies: [...runs.copies] };

describe('a held copy and third hosts', () => {
  test('a held copy is given up once the third host shows that it runs the guest, and by no other answer', () => {
    const fleet = fleetOf(RUNS, dark('b'));
    const wrong = { source: 'wrong', destination: 'wrong' };
    assert.deepEqual(verdicts(fleet, { hypervisor: 'gone' }), { ...wrong, elsewhere: 'safe' });
    // The guest's memory would be lost with the copy: a person looks at that host first.
    assert.deepEqual(verdicts(fleet), { ...wrong, elsewhere: 'unknown' });
    assert.deepEqual(findThirdHost({ guest: 'web1', from: 'a', to: 'b', fleet }), {
      host: 'c',
      why: 'c has web1 (running, by its UUID)',
    });
  });

  test('a held copy is not started at the destination either, although it has everything needed to run', () => {
    const answers = verdicts(fleetOf(RUNS), {}, {});
    assert.deepEqual(answers, { source: 'wrong', destination: 'wrong', elsewhere: 'unknown' });
  });

  test('a held copy is not started at the destination while the source host runs the guest again', () => {
    const answers = verdicts(fleetOf({ ...RUNS, host: 'a' }), { hypervisor: 'gone' }, {});
    assert.deepEqual(answers, { source: 'wrong', destination: 'wrong', elsewhere: 'risky' });
  });

  test('only an operator can start the copy at the destination while another host has a halted copy', () => {
    for (const host of ['a', 'c']) {
      const halted = fleetOf({ host, copies: [{ uuid: UUID, state: 'paused' }] });
      assert.equal(verdicts(halted, { hypervisor: 'gone' }, {})['destination'], 'unknown', host);
    }
  });

  test('a destination that has run the guest keeps running it, whatever other hosts show', () => {
    const there = { right: 'running', hypervisor: 'running', hasRun: true } as const;
    assert.equal(verdicts(fleetOf({ ...RUNS, host: 'a' }), {}, there)['destination'], 'safe');
  });

  test('a destination that has the right to run, but never ran the guest, does not start it', () => {
    const there = { right: 'running', hypervisor: 'paused', hasRun: false } as const;
    const answers = verdicts(fleetOf(RUNS), { hypervisor: 'gone' }, there);
    assert.deepEqual(answers, { source: 'wrong', destination: 'wrong', elsewhere: 'safe' });
    assert.equal(verdicts(fleetOf({}), { hypervisor: 'gone' }, there)['destination'], 'safe');
  });

  test('a held copy can be given up safely once the third host shows that the guest was sent on', () => {
    const move = { id: 'm-00000002', side: 'destination', from: 'b', to: 'c' } as const;
    const moves = [{ ...move, createdAt: '2026-02-01', lineage: [base.id] }];
    const gone = { hypervisor: 'gone' } as const;
    assert.equal(verdicts(fleetOf({ moves }, dark('b')), gone)['elsewhere'], 'safe');
  });

  test('only an operator can give up the copy if the third host has a stopped copy or is dark', () => {
    for (const state of ['paused', 'stopped'] as const) {
      const fleet = fleetOf({ copies: [{ uuid: UUID, state }] }, dark('b'));
      assert.equal(findThirdHost({ guest: 'web1', from: 'a', to: 'b', fleet }), undefined);
      assert.deepEqual(verdicts(fleet), {
        source: 'wrong',
        destination: 'waits',
        elsewhere: 'risky',
      });
    }
    assert.equal(verdicts(fleetOf({}, dark('b', 'd')))['elsewhere'], 'risky');
  });

  test('a held copy is not given up if another answer is safe, or if it runs or cannot be asked', () => {
    const refused = { right: 'refused', hypervisor: 'none', phase: 'failed' } as const;
    assert.equal(verdicts(fleetOf({}), {}, refused)['elsewhere'], undefined);
    for (const hypervisor of ['running', 'unknown'] as const) {
      assert.equal(verdicts(fleetOf(RUNS), { hypervisor })['elsewhere'], undefined);
    }
    const there = { right: 'running', hypervisor: 'running', hasRun: true } as const;
    const both = verdicts(fleetOf(RUNS), {}, there);
    assert.deepEqual([both['destination'], both['elsewhere']], ['safe', undefined]);
  });

  test('the destination copy is not run if any host runs the guest, including both hosts in another process', () => {
    const armed = { right: 'armed', hypervisor: 'paused', complete: true } as const;
    const at = (host: string): GuestSightings => ({ ...fleetOf({}), sightings: [seenAt(host)] });
    const seenAt = (host: string) => ({
      host,
      copies: [{ uuid: UUID, state: 'running' as const }],
      moves: [],
    });
    for (const host of ['a', 'b', 'c']) {
      assert.equal(verdicts(at(host), {}, armed)['destination'], 'wrong', host);
    }
    const paused = fleetOf({ copies: [{ uuid: UUID, state: 'paused' }] });
    assert.equal(verdicts(paused, {}, armed)['destination'], 'unknown');
    assert.equal(verdicts(fleetOf({}), {}, armed)['destination'], 'safe');
  });

  test('a held migration with that proof has exactly one safe answer', () => {
    const answers = judge({
      guest: 'web1',
      from: 'a',
      to: 'b',
      source: { ...source, hypervisor: 'gone' },
      destination: undefined,
      fleet: fleetOf(RUNS, dark('b')),
    });
    assert.equal(safeAnswer(answers), 'elsewhere');
  });
});
