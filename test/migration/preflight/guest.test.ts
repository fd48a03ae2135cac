import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { judgeBusy, judgeGuest, judgeOutgoing } from '../../../src/migration/preflight/guest.ts';
import { guestRunState } from '../../../src/protocol/public/hosts/host.ts';

test('Godwit accepts a guest exactly if it is unmanaged, runs, and can be reached', () => {
  const facts = fc.record({
    guest: fc.constant('web1'),
    state: fc.constantFrom(...guestRunState.options),
    manager: fc.constantFrom(undefined, 'libvirt'),
    reachable: fc.boolean(),
    unmovable: fc.constantFrom([], ['it has no QMP socket']),
  });
  fc.assert(
    fc.property(facts, (given) => {
      const [only, ...more] = judgeGuest(given);
      const stands = ['paused', 'stopped', 'incoming'].includes(given.state);
      const code =
        given.manager === undefined
          ? stands
            ? 'GODWIT_GUEST_STATE'
            : given.reachable
              ? undefined
              : 'GODWIT_CAPABILITY'
          : 'GODWIT_GUEST_MANAGED';
      assert.equal(only?.error?.code, code);
      assert.equal(only?.verdict, code === undefined ? 'pass' : 'refuse');
      assert.deepEqual(more, []);
    }),
  );
});

test('a guest that is stopped is refused with the reason and a remedy', () => {
  const stopped = { guest: 'web1', state: 'paused', reachable: true, unmovable: [] } as const;
  const halted = { kind: 'io-error', what: 'disk0-dev (no space left)' } as const;
  const [found] = judgeGuest({ ...stopped, halted });
  assert.match(found?.evidence ?? '', /stopped by an I\/O error of disk0-dev \(no space left\)/);
  assert.match(found?.error?.hint ?? '', /Repair the disk’s storage/);
  assert.match(judgeGuest(stopped)[0]?.evidence ?? '', /web1 is paused/);
});

test("a guest that Godwit cannot control is refused with its driver's finding, and its hint", () => {
  const held = { guest: 'web1', state: 'unknown', reachable: false } as const;
  const [found] = judgeGuest({ ...held, unmovable: ['it has no monitor'], hint: 'Make one.' });
  assert.match(found?.evidence ?? '', /it has no monitor/);
  assert.equal(found?.error?.hint, 'Make one.');
  const [unsaid] = judgeGuest({ ...held, unmovable: [] });
  assert.match(unsaid?.error?.hint ?? '', /godwit guest web1/);
});

test("a guest of another manager is refused with its driver's hint, if there is one", () => {
  const managed = { guest: 'web1', state: 'running', manager: 'libvirt', unmovable: [] } as const;
  const hintOf = (hint?: string) =>
    judgeGuest({ ...managed, reachable: false, hint })[0]?.error?.hint;
  assert.equal(hintOf('Give it a second socket.'), 'Give it a second socket.');
  assert.match(hintOf() ?? '', /with its manager/);
});

test('a guest that moves, or whose disk moves, is busy, and the error names the move', () => {
  const migration = { id: 'm-1', to: 'c', phase: 'memory' } as const;
  const diskMove = { id: 'd-1', device: 'disk0' };
  assert.equal(judgeBusy({ guest: 'web1' })[0]?.verdict, 'pass');
  assert.equal(judgeBusy({ guest: 'web1', migration })[0]?.error?.code, 'GODWIT_GUEST_BUSY');
  const both = judgeBusy({ guest: 'web1', migration, diskMove })[0]?.error;
  assert.deepEqual([both?.code, both?.facts['id']], ['GODWIT_DISK_MOVING', 'd-1']);
});

test('guests leave up to the limit and not beyond', () => {
  fc.assert(
    fc.property(fc.nat(300), fc.integer({ min: 1, max: 256 }), (running, limit) => {
      const [found] = judgeOutgoing({ host: 'a', running, limit });
      assert.equal(found?.verdict, running < limit ? 'pass' : 'refuse');
      if (running >= limit) assert.equal(found?.error?.code, 'GODWIT_OVERLOADED');
    }),
  );
});
