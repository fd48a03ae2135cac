import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { AgentApi } from '../../../src/cli/connection/agent-set.ts';
import { JSON_SHAPES } from '../../../tools/docs/json-shapes.ts';
import { godwitError } from '../../../src/errors.ts';
import type {
  DiskMoveProgress,
  DiskMoveResolution,
} from '../../../src/protocol/public/disk-move.ts';
import { endpoint, FakeContext, godwit } from '../fake.ts';

const ID = 'd-0123456789ab';
const LINE = 'move-disk db1 disk0 --to /srv/fast/';
const GIB = 1024 ** 3;

function now(
  state: DiskMoveProgress['state'],
  more: Partial<DiskMoveProgress> = {},
): DiskMoveProgress {
  return {
    id: ID,
    guest: 'db1',
    host: 'a',
    disk: 'disk0',
    from: '/srv/slow/disk0.raw',
    to: '/srv/fast/disk0.raw',
    state,
    copiedBytes: GIB,
    totalBytes: 2 * GIB,
    rate: GIB / 4,
    etaMs: 4000,
    elapsedMs: 4000,
    startedAt: '2026-11-20T20:00:00.000Z',
    ...more,
  };
}

function agent(lines: readonly DiskMoveProgress[], more: Partial<AgentApi> = {}): FakeContext {
  return new FakeContext(
    endpoint('a', {
      moveDisk: async () => ({ id: ID }),
      diskMoves: async () => ({ moves: [now('copying')] }),
      async *diskMoveEvents() {
        yield* lines;
      },
      cancelDiskMove: async () => ({ accepted: true, what: 'db1 goes on with its old image' }),
      ...more,
    }),
  );
}

describe('godwit move-disk', () => {
  test("godwit move-disk shows the move until its end, and then the disk's place", async () => {
    const context = agent([
      now('planned'),
      now('copying'),
      now('done', { copiedBytes: 2 * GIB, waitedMs: 6 }),
    ]);
    assert.equal(await godwit(context, LINE), 0);
    assert.match(context.out.text, /disk0 of db1: copying 50 % of 2 GiB, 256 MiB\/s, ETA 4\.0 s/);
    assert.match(
      context.out.text,
      /disk0 of db1 is \/srv\/fast\/disk0\.raw now.*waited for 6 ms at most.*is removed\n$/,
    );
    assert.equal(context.closed, 1);
  });

  test('the place of the kept image and the note are printed', async () => {
    const context = agent([now('done', { kept: '/srv/slow/x.moved', note: 'a note' })]);
    assert.equal(await godwit(context, `${LINE} --keep-source`), 0);
    assert.match(context.out.text, /kept as \/srv\/slow\/x\.moved\na note\n$/);
  });

  test("a failed move reports its error and ends with that error's code", async () => {
    const facts = { guest: 'db1', device: 'disk0', reason: 'there is no room for it' };
    const error = godwitError('GODWIT_DISK_FAILED', facts).toJSON();
    const context = agent([now('failed', { error })]);
    assert.equal(await godwit(context, LINE), 5);
    assert.match(context.out.text, /it is \/srv\/slow\/disk0\.raw as before/);
    assert.match(context.err.text, /error: .*no room/);
  });

  test('--json prints one object, as docs/json.md describes it', async () => {
    const context = agent([now('copying'), now('done')]);
    assert.equal(await godwit(context, `${LINE} --json`), 0);
    assert.deepEqual(JSON_SHAPES['diskMove']?.parse(JSON.parse(context.out.text)), now('done'));
  });

  test('a Ctrl-C that is answered with c cancels the move', async () => {
    const facts = { guest: 'db1', device: 'disk0', file: '/srv/slow/disk0.raw' };
    const error = godwitError('GODWIT_DISK_MOVE_CANCELLED', facts).toJSON();
    let asked = false;
    const context: FakeContext = agent([], {
      async *diskMoveEvents() {
        yield now('copying');
        context.interrupt();
        await new Promise(setImmediate);
        yield now('cancelled', { error });
      },
      cancelDiskMove: async () => {
        asked = true;
        return { accepted: true, what: 'db1 goes on with its old image' };
      },
    });
    context.answers = ['c'];
    assert.equal(await godwit(context, LINE), 6);
    assert.equal(asked, true);
  });

  test('godwit move-disk waits for an agent that is restarted meanwhile', async () => {
    let times = 0;
    const context = agent([], {
      async *diskMoveEvents() {
        times += 1;
        yield times === 1 ? now('copying') : now('done');
      },
    });
    assert.equal(await godwit(context, LINE), 0);
    assert.equal(times, 2);
  });

  test('godwit move-disk requires a place and reports a missing one', async () => {
    const context = agent([]);
    assert.equal(await godwit(context, 'move-disk db1 disk0'), 2);
    assert.match(context.err.text, /needs --to/);
    assert.equal(await godwit(context, 'move-disk ../x disk0 --to /srv/fast/'), 2);
  });

  test('--detach prints the id alone', async () => {
    const context = agent([]);
    assert.equal(await godwit(context, `${LINE} --detach`), 0);
    assert.equal(context.out.text, `${ID}\n`);
  });

  test('a disk move is followed by watch and stopped by cancel', async () => {
    const context = agent([now('copying'), now('done')]);
    assert.equal(await godwit(context, `watch ${ID}`), 0);
    assert.match(context.out.text, /copying/);
    assert.equal(await godwit(context, `cancel ${ID}`), 0);
    assert.match(context.out.text, /goes on with its old image/);
    assert.equal(await godwit(context, 'cancel d-99999999'), 3);
    assert.match(context.err.text, /no disk move d-99999999/);
  });
});

describe('godwit resolve of a held disk move', () => {
  const known: DiskMoveResolution = {
    id: ID,
    host: 'a',
    guest: 'db1',
    disk: 'disk0',
    from: '/srv/slow/disk0.raw',
    to: '/srv/fast/disk0.raw',
    error: godwitError('GODWIT_JOURNAL_DAMAGED', { file: 'j', line: 1, saw: 'x' }).toJSON(),
    confirm: 'db1',
    answers: [
      { runAt: 'source', verdict: 'wrong', why: 'its hypervisor uses the new image' },
      { runAt: 'destination', verdict: 'safe', why: 'its hypervisor uses the new image' },
    ],
  };

  test("resolve shows the hypervisor's report, and orders nothing without --run-at", async () => {
    const context = agent([], { diskMoveResolution: async () => known });
    assert.equal(await godwit(context, `resolve ${ID}`), 0);
    assert.match(context.out.text, /a move of disk0 of db1 on a is held\n.*damaged at line 1/);
    assert.match(context.out.text, /new image \(destination\): \/srv\/fast\/disk0\.raw/);
    assert.match(context.out.text, /--run-at destination: safe; its hypervisor uses the new image/);
  });

  test("resolve sends the operator's answer with the confirmed name", async () => {
    const asked: unknown[] = [];
    const context = agent([], {
      diskMoveResolution: async () => known,
      resolveDiskMove: async ({ body }) => {
        asked.push(body);
        return { what: 'the record was set aside' };
      },
    });
    assert.equal(await godwit(context, `resolve ${ID} --run-at destination --confirm db1`), 0);
    assert.deepEqual(asked, [{ runAt: 'destination', confirm: 'db1', iKnow: false }]);
    assert.match(context.out.text, /the record was set aside\n$/);
    assert.equal(await godwit(context, `resolve ${ID} --run-at elsewhere --confirm db1`), 2);
    assert.equal(asked.length, 1);
  });
});
