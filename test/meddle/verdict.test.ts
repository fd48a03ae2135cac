import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { Act, Orders } from '../../meddle/orders.ts';
import { judge, type PlayObservation, type SeenCopy } from '../../meddle/verdict.ts';

const ORDERS: Orders = {
  run: ['running'],
  disks: { 'disk0-dev': { isShared: true, files: ['1:1'], bytes: [100], limits: [0] } },
  medium: ['first.iso'],
  devices: new Set(['nic0', 'disk0-dev']),
  gone: new Set(['nic1']),
  link: ['up'],
  bridge: ['br0'],
  port: { isolated: [false], flood: [true], limited: [false] },
  hasPassword: false,
  processors: [1],
  jobs: new Set(),
  isRebooted: false,
};
const PORT = { bridge: 'br0', isolated: false, flood: true, limited: false };
const COPY: SeenCopy = {
  host: 'b',
  status: 'running',
  disks: [{ id: 'disk0-dev', file: '/d', key: '1:1', bytes: 100, limit: 0, hasMark: true }],
  medium: 'first.iso',
  devices: ['nic0', 'disk0-dev'],
  processors: 1,
  jobs: [],
  port: PORT,
};
const SEEN: PlayObservation = {
  from: 'a',
  to: 'b',
  outcome: 'done',
  reason: '',
  reportedAt: 'b',
  copies: [COPY],
  bothRan: undefined,
  memory: { ok: true, badChunks: 0, badDiskChunks: 0, diskErrors: 0, isSameBoot: true },
  isReachable: true,
  files: [],
  remains: [],
  warnings: [],
  leftovers: [],
  unresolved: [],
};
const PAUSE: Act = { kind: 'pause', moment: 'memory', atMs: 0, isBetween: false, host: 'a' };

function problems(
  seen: Partial<PlayObservation>,
  orders: Partial<Orders> = {},
  acts: readonly Act[] = [],
): string {
  return judge({ ...ORDERS, ...orders }, acts, { ...SEEN, ...seen }).join('; ');
}
const copy = (more: Partial<SeenCopy>): Partial<PlayObservation> => ({
  copies: [{ ...COPY, ...more }],
});

describe('the verdict', () => {
  test('a guest that moved as its owner left it has no problem', () => {
    assert.equal(problems({}), '');
  });

  test("a move that was rolled back is correct only if the reason names the owner's action", () => {
    const back = {
      outcome: 'failed',
      reportedAt: 'a',
      ...copy({ host: 'a', status: 'paused' }),
    } as const;
    const named = { ...back, reason: 'GODWIT_GUEST_HALTED: g was paused' };
    assert.equal(problems(named, { run: ['paused'] }, [PAUSE]), '');
    assert.match(
      problems({ ...back, reason: 'GODWIT_DEADLINE: x' }, { run: ['paused'] }, [PAUSE]),
      /does not name/,
    );
    const refused = [{ ...PAUSE, refused: 'no' }];
    assert.match(problems(named, { run: ['paused'] }, refused), /does not name/);
  });

  test("each difference of the guest from its owner's last state is a problem", () => {
    const cases: readonly (readonly [Partial<PlayObservation>, RegExp])[] = [
      [copy({ status: 'paused' }), /is paused at b, and its owner ordered: running/],
      [copy({ devices: ['nic0'] }), /disk0-dev is missing/],
      [copy({ devices: ['nic0', 'nic1', 'disk0-dev'] }), /nic1 is back/],
      [copy({ medium: '' }), /the medium/],
      [copy({ processors: 2 }), /processors/],
      [copy({ disks: [{ ...COPY.disks[0]!, key: '1:2' }] }), /the image of disk0-dev/],
      [copy({ disks: [{ ...COPY.disks[0]!, bytes: 99 }] }), /the size/],
      [copy({ disks: [{ ...COPY.disks[0]!, limit: 9 }] }), /the limit/],
      [copy({ host: 'a' }), /the guest is at a.*the report has the guest at b/s],
      [{ copies: [] }, /has no process/],
      [{ copies: [COPY, { ...COPY, host: 'a' }] }, /TWO COPIES RUN/],
      [{ bothRan: 'a and b' }, /TWO COPIES RAN/],
      [
        { memory: { ok: false, badChunks: 0, badDiskChunks: 3, diskErrors: 0, isSameBoot: true } },
        /LOST BYTES: 3 chunks/,
      ],
      [
        { memory: { ok: false, badChunks: 2, badDiskChunks: 0, diskErrors: 0, isSameBoot: true } },
        /LOST BYTES: its memory/,
      ],
      [
        { memory: { ok: true, badChunks: 0, badDiskChunks: 0, diskErrors: 0, isSameBoot: false } },
        /started again/,
      ],
      [{ memory: 'silent' }, /does not answer/],
      [{ isReachable: false }, /does not answer over its link/],
      [{ remains: ['b: qemu'] }, /left behind/],
      [{ files: ['x is gone'] }, /owner's file/],
      [{ outcome: 'running' }, /did not end/],
      [{ outcome: 'held', unresolved: ['source: no'] }, /nobody can release it/],
    ];
    for (const [seen, words] of cases) assert.match(problems(seen), words);
  });

  test('a file that stays is correct only if the report names it', () => {
    const remains = ['a: storage/g-disk0.raw'];
    const leftovers = ['its images at a stay: /pool/g-disk0.raw, /pool/g-disk1.raw'];
    assert.equal(problems({ remains, leftovers }), '');
    assert.match(problems({ remains }), /left behind/);
    const other = ['its images at a stay: /pool/other-g-disk0.raw'];
    assert.match(problems({ remains, leftovers: other }), /left behind.*the report: its images/);
    assert.match(problems({ remains: ['a: qemu'], leftovers }), /left behind/);
  });

  test('a job of the owner continues', () => {
    assert.match(
      problems({}, { jobs: new Set(['owner1']) }),
      /the job owner1 of the owner is gone/,
    );
    assert.equal(problems(copy({ jobs: ['owner1'] }), { jobs: new Set(['owner1']) }), '');
  });

  test('a setting of the port is carried over, or the report warns of it', () => {
    const port = { isolated: [true], flood: [true], limited: [false] };
    assert.match(problems({}, { port }), /the setting isolated of the port/);
    assert.equal(problems({ warnings: ['the port is isolated, and b cannot'] }, { port }), '');
    const carried = copy({ port: { ...PORT, isolated: true } });
    assert.equal(problems(carried, { port }), '');
    const limited = { ...ORDERS.port, limited: [true] };
    assert.match(problems({}, { port: limited }), /the setting limited of the port/);
    const unflooded = copy({ port: { ...PORT, flood: false } });
    assert.match(problems(unflooded), /the setting flood of the port/);
    assert.match(problems({}, { bridge: ['br1'] }), /the bridge at b/);
  });

  test('the password of a display that is left behind needs a warning', () => {
    assert.match(problems({}, { hasPassword: true }), /the password of the display is gone/);
    assert.equal(problems({ warnings: ['-vnc stays behind'] }, { hasPassword: true }), '');
  });

  test('a guest that had an I/O error keeps it, and its move names it', () => {
    const back = { outcome: 'failed', reportedAt: 'a' } as const;
    const halted = copy({ host: 'a', status: 'io-error' });
    const starved: Act = { ...PAUSE, kind: 'starve-disk', id: 'disk0-dev' };
    const named = { ...back, ...halted, reason: 'GODWIT_GUEST_HALTED: stopped by an I/O error' };
    assert.equal(problems(named, { run: ['io-error'] }, [starved]), '');
    const resumed = { ...named, ...copy({ host: 'a', status: 'running' }) };
    assert.match(problems(resumed, { run: ['io-error'] }, [starved]), /ordered: io-error/);
  });

  test("a reason that names another state than the owner's last one is wrong", () => {
    const cases: readonly (readonly [Act['kind'], Orders['run'][number], string, string])[] = [
      ['starve-disk', 'io-error', 'io-error', 'stopped by an I/O error of disk0-dev'],
      ['shutdown', 'shut-down', 'shutdown', 'shut down'],
      ['pause', 'paused', 'paused', 'paused'],
    ];
    for (const [kind, ordered, status, right] of cases) {
      const act: Act = { ...PAUSE, kind };
      const back = { outcome: 'refused', reportedAt: 'a', ...copy({ host: 'a', status }) } as const;
      for (const [, , , words] of cases) {
        const reason = `GODWIT_GUEST_STATE: g is ${words}; only a running guest can be moved`;
        const found = problems({ ...back, reason }, { run: [ordered] }, [act]);
        if (words === right) assert.equal(found, '', kind);
        else assert.match(found, /does not name/, `${kind}: ${reason}`);
      }
    }
  });

  test('a disk that its owner ordered to be unplugged may be gone already', () => {
    const without = copy({ disks: [], devices: ['nic0'] });
    assert.match(problems(without), /disk0-dev is missing/);
    assert.equal(problems(without, { devices: new Set(['nic0']) }), '');
  });

  test('bytes that were on a disk before the move are on it afterwards', () => {
    const lost = copy({ disks: [{ ...COPY.disks[0]!, hasMark: false }] });
    assert.match(problems(lost), /LOST BYTES: what was on disk0-dev/);
  });

  test('a move that the witness canceled is judged by its remains', () => {
    const cancelled = {
      outcome: 'cancelled',
      reportedAt: 'a',
      reason: 'GODWIT_CANCELLED',
    } as const;
    const back = { ...cancelled, ...copy({ host: 'a' }) };
    assert.match(problems(back), /does not name/);
    assert.equal(problems({ ...back, wasCancelled: true }), '');
    const lost = { ...cancelled, ...copy({ host: 'a', status: 'paused' }), wasCancelled: true };
    assert.match(problems(lost), /is paused at a/);
  });

  test('disks that guests share by agreement may be refused by name', () => {
    const refused = { ...SEEN, ...copy({ host: 'a' }), outcome: 'refused' } as const;
    const seen = {
      ...refused,
      reportedAt: 'a',
      reason: 'GODWIT_DISK_LOCAL: (`share-rw=on`)',
    } as const;
    assert.match(judge(ORDERS, [], seen).join(), /does not name/);
    assert.deepEqual(judge(ORDERS, [], seen, { isShareRw: true }), []);
    const disks = { 'disk0-dev': { isShared: false, files: ['1:1'], bytes: [100], limits: [0] } };
    const copied = judge({ ...ORDERS, disks }, [], SEEN, { isShareRw: true });
    assert.match(copied.join(), /disk0-dev was copied although other guests may write to it/);
  });

  test('an image that another program writes to is not copied', () => {
    const disks = { 'disk0-dev': { isShared: false, files: ['1:1'], bytes: [100], limits: [0] } };
    const used: Act = { ...PAUSE, kind: 'second-user', moment: 'before', id: 'disk0-dev' };
    assert.match(problems({}, { disks }, [used]), /was copied although/);
    assert.equal(problems({}, {}, [used]), '');
  });

  test('a copied disk is another file at the destination, and the same one at the source', () => {
    const disks = { 'disk0-dev': { isShared: false, files: ['1:1'], bytes: [100], limits: [0] } };
    const other = copy({ disks: [{ ...COPY.disks[0]!, key: '9:9' }] });
    assert.equal(problems(other, { disks }), '');
    const back = {
      outcome: 'failed',
      reason: 'GODWIT_GUEST_HALTED: g was paused',
      reportedAt: 'a',
    } as const;
    const at = { copies: [{ ...COPY, host: 'a', disks: [{ ...COPY.disks[0]!, key: '9:9' }] }] };
    assert.match(problems({ ...back, ...at }, { disks }, [PAUSE]), /the image of disk0-dev/);
  });

  test('a guest that its owner ended has no process', () => {
    const ended = {
      copies: [],
      memory: undefined,
      outcome: 'failed',
      reason: 'GODWIT_GUEST_ENDED',
    } as const;
    const quit: Act = { ...PAUSE, kind: 'quit' };
    assert.equal(problems(ended, { run: ['ended'] }, [quit]), '');
    assert.match(
      problems({ ...ended, ...copy({}) }, { run: ['ended'] }, [quit]),
      /its owner ordered: ended/,
    );
  });
});
