import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { agentConfig } from '../../../../../src/config.ts';
import { initialSource } from '../../../../../src/migration/direct/source/source-state.ts';
import type { GuestSnapshot } from '../../../../../src/migration/guest-changes/snapshot.ts';
import { planned } from '../../../../migration/direct/samples.ts';
import { turn } from '../answers.ts';
import { BEFORE, stage } from '../changed-guest.ts';

const signal = new AbortController().signal;
const SNAPPED: GuestSnapshot = {
  parts: [
    { kind: 'disk', name: 'disk0', value: 'qcow2:/srv/g1.over on raw:/srv/g1.img' },
    { kind: 'size', name: 'disk0', value: '1024' },
  ],
};
const RESIZED: GuestSnapshot = {
  parts: [
    { kind: 'disk', name: 'disk0', value: 'raw:/srv/g1.img' },
    { kind: 'size', name: 'disk0', value: '2048' },
  ],
};

describe('comparison before memory and the switch', () => {
  test('an unchanged guest passes the comparison, and another is refused by its change', async () => {
    const { changes, guest } = stage();
    await changes.assertReady(signal);
    guest.now = SNAPPED;
    await assert.rejects(changes.assertSame(signal), {
      code: 'GODWIT_GUEST_CHANGED',
      message:
        'web1 was changed while it moved: the image of disk0 changed from raw /srv/g1.img to qcow2 /srv/g1.over',
    });
  });

  test('a carried-over change passes the comparison, and is reported', async () => {
    const { changes, guest } = stage();
    guest.now = RESIZED;
    await changes.assertSame(signal);
    const [check] = changes.checks();
    assert.match(check?.evidence ?? '', /carried over: disk0 was resized from 1 KiB to 2 KiB$/);
  });

  test('a stopped guest is refused by the comparison before its memory moves', async () => {
    const { changes, guest } = stage();
    guest.status = { run: 'paused', stream: 'none', halt: { kind: 'io-error', what: 'disk0' } };
    await assert.rejects(changes.assertReady(signal), {
      code: 'GODWIT_GUEST_HALTED',
      message: 'web1 was stopped by an I/O error of disk0 while it moved',
    });
  });

  test('a guest without a snapshot, by the driver or an older build, is not compared', async () => {
    const { changes, guest } = stage({ known: {} });
    guest.now = SNAPPED;
    await changes.assertSame(signal);
    assert.equal(guest.reads, 0);
  });
});

describe('a changed medium', () => {
  const WITH_CD: GuestSnapshot = {
    parts: [...BEFORE.parts, { kind: 'medium', name: 'cd0', value: 'raw,read-only:/iso/1.iso' }],
  };
  /** The destination is asked for it and answers, or refuses. */
  function drive(more: object = {}) {
    const asked: { drives: string[]; bases: unknown[] }[] = [];
    const answer: { refusal?: Error } = {};
    const disk = { name: 'cd0', images: [] };
    const staged = stage(more, (changing) => ({
      config: agentConfig.parse({ name: 'a', address: '10.0.0.1:7443', stateDir: '/nowhere' }),
      request: { id: 'm', request: { guest: 'web1' } },
      peer: {
        resume: () => undefined,
        call: (_id: string, _signal: AbortSignal, question: (api: unknown) => Promise<unknown>) =>
          question({
            media: async ({ body }: { body: (typeof asked)[number] }) => {
              asked.push(body);
              if (answer.refusal !== undefined) throw answer.refusal;
            },
          }),
      },
      guest: {
        session: async () => ({
          snapshot: async () => changing.now,
          onChange: () => () => undefined,
          inspect: async () => ({
            checks: [],
            description: {
              name: 'web1',
              disks: changing.now === WITH_CD ? [disk] : [],
            },
          }),
        }),
      },
    }));
    return { ...staged, asked, answer };
  }
  const known = {
    snapshot: BEFORE,
    description: planned() as never,
    stream: undefined,
  };

  test('a changed medium is carried over once, and reported', async () => {
    const { changes, guest, asked } = drive({ known });
    guest.now = WITH_CD;
    await changes.assertSame(signal);
    await changes.assertSame(signal);
    assert.deepEqual(
      asked.map(({ drives }) => drives),
      [['cd0']],
    );
    assert.match(changes.checks()[0]?.evidence ?? '', /carried over: a medium was put into cd0/);
    guest.now = BEFORE;
    await changes.assertSame(signal);
    assert.equal(asked.length, 2);
  });

  test('a changed medium that the destination refuses causes a named rollback, after a retry', async () => {
    const { changes, guest, asked, answer } = drive({ known });
    guest.now = WITH_CD;
    answer.refusal = new Error('b cannot open cd0');
    const refused = {
      code: 'GODWIT_GUEST_CHANGED',
      message: /cd0: raw \/iso\/1\.iso, which .* cannot follow: /,
    };
    await assert.rejects(changes.assertSame(signal), refused);
    await assert.rejects(changes.assertSame(signal), refused);
    assert.equal(asked.length, 2);
  });

  test('a changed medium ends a cold move by name: its guest starts by its earlier description', async () => {
    const settings = { ...planned().settings, mode: 'cold' as const };
    const { changes, guest, asked } = drive({
      known,
      plan: { ...initialSource(planned()).state.plan, settings },
    });
    guest.now = WITH_CD;
    await assert.rejects(changes.assertSame(signal), { code: 'GODWIT_GUEST_CHANGED' });
    assert.equal(asked.length, 0);
  });

  test('a changed medium does not explain a broken stream', async () => {
    const { changes, guest, asked } = drive({ known });
    guest.now = WITH_CD;
    assert.equal(await changes.explain(signal), undefined);
    assert.equal(asked.length, 0);
  });
});

describe('a moving guest', () => {
  test('a moving guest is compared now and then, and the first difference is reported', async () => {
    const { changes, guest, later } = stage();
    const errors: string[] = [];
    const over = new AbortController();
    const watching = changes.watch((error) => errors.push(error.code), over.signal);
    await later();
    assert.deepEqual([errors, guest.reads], [[], 1]);
    guest.now = SNAPPED;
    await later();
    assert.deepEqual(errors, ['GODWIT_GUEST_CHANGED']);
    over.abort(new Error('over'));
    await watching;
  });

  test('a moving guest is compared soon after its hypervisor reports a change', async () => {
    const { changes, guest, later, slept } = stage();
    const over = new AbortController();
    const watching = changes.watch(() => undefined, over.signal);
    await later();
    guest.change();
    for (let turns = 0; turns < 10; turns++) await turn();
    assert.deepEqual(slept, [5000, 5000, 300]);
    over.abort(new Error('over'));
    await watching;
  });

  test('a moving guest is not compared once stopped, nor before its destination is being built', async () => {
    const { changes, guest, later, set } = stage({ stopped: true });
    const over = new AbortController();
    const watching = changes.watch(() => undefined, over.signal);
    await later();
    set({ stopped: false, doing: { kind: 'do', step: 'assess' } });
    await later();
    set({ doing: { kind: 'undo', step: 'memory' } });
    await later();
    assert.equal(guest.reads, 0);
    over.abort(new Error('over'));
    await watching;
  });
});

test('a broken stream is explained by the change, if there is one and the guest can be read', async () => {
  const { changes, guest } = stage();
  assert.equal(await changes.explain(signal), undefined);
  guest.now = SNAPPED;
  assert.equal((await changes.explain(signal))?.code, 'GODWIT_GUEST_CHANGED');
  const unread = stage({}, () => ({ guest: { session: () => Promise.reject(new Error('gone')) } }));
  assert.equal(await unread.changes.explain(signal), undefined);
});
