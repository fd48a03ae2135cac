import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import {
  WHOLE_MARK,
  blockJobs,
  copyName,
  goesOn,
  isCopyName,
  judge,
  moveFor,
  type BlockJob,
} from '../../../../src/drivers/qemu/mirror/jobs.ts';
import { nodeName } from '../../../../src/protocol/disk.ts';

const JOB: BlockJob = {
  device: copyName('vda'),
  status: 'running',
  offset: 10,
  len: 100,
  ready: false,
  'io-status': 'ok',
};
const job = (change: Partial<BlockJob>): BlockJob => ({ ...JOB, ...change });
const stateOf = (change: Partial<BlockJob>) => judge('vda', job(change), false).state;

const anyJob = fc.record(
  {
    device: fc.constant(copyName('vda')),
    status: fc.oneof(
      fc.constantFrom(
        ...'undefined created running paused ready standby waiting pending aborting concluded null'.split(
          ' ',
        ),
      ),
      fc.string(),
    ),
    offset: fc.nat(),
    len: fc.nat(),
    ready: fc.boolean(),
    'io-status': fc.constantFrom('ok', 'failed', 'nospace', 'other'),
    error: fc.string(),
  },
  { requiredKeys: ['device', 'status', 'offset', 'len', 'ready', 'io-status'] },
);

describe("a disk copy by QEMU's job", () => {
  test('a job is copying, then ready, then whole', () => {
    assert.equal(stateOf({}), 'copying');
    assert.equal(stateOf({ status: 'created' }), 'copying');
    assert.equal(stateOf({ status: 'ready', ready: true }), 'ready');
    // Between the last byte and its end.
    assert.equal(stateOf({ status: 'waiting', ready: true }), 'ready');
    assert.equal(stateOf({ status: 'concluded', ready: true }), 'whole');
  });

  test("a job keeps its progress while QEMU's own drains pause it", () => {
    assert.equal(stateOf({ status: 'paused' }), 'copying');
    assert.equal(stateOf({ status: 'standby', ready: true }), 'ready');
  });

  test('a job is stalled if the other side cannot accept data, with the reason if its disk is full', () => {
    const full = judge('vda', job({ status: 'paused', 'io-status': 'nospace' }), false);
    assert.deepEqual([full.state, full.failure?.kind], ['broken', 'full']);
    const away = judge(
      'vda',
      job({ status: 'standby', ready: true, 'io-status': 'failed' }),
      false,
    );
    assert.deepEqual([away.state, away.failure?.kind], ['broken', 'target']);
  });

  test('a job has failed if it ended with an error, or if it is missing', () => {
    const unread = judge('vda', job({ status: 'concluded', error: 'Input/output error' }), false);
    assert.deepEqual(unread.failure, { kind: 'source', reason: 'Input/output error' });
    assert.equal(stateOf({ status: 'aborting' }), 'failed');
    assert.equal(judge('vda', undefined, false).state, 'failed');
  });

  test('a job was whole when it was released, as long as its mark exists', () => {
    assert.equal(judge('vda', undefined, true).state, 'whole');
    assert.equal(judge('vda', JOB, true).state, 'copying', 'a job that is there is asked first');
  });

  test('a job is whole only if it ended without an error, whatever QEMU reports', () => {
    fc.assert(
      fc.property(anyJob, fc.boolean(), (each, whole) => {
        const sample = judge('vda', each, whole);
        assert.equal(
          sample.state === 'whole',
          each.status === 'concluded' && each.error === undefined,
        );
        assert.ok(sample.copiedBytes <= sample.totalBytes);
        assert.ok((sample.state === 'broken' || sample.state === 'failed') === 'failure' in sample);
      }),
    );
  });
});

describe("the start of a disk's copy", () => {
  test('a disk without a copy is to begin, after half-begun jobs are removed', () => {
    assert.equal(moveFor(undefined, false), 'begin');
    assert.equal(moveFor(undefined, true), 'begin-over');
  });

  test('a start does nothing while the copy continues by itself', () => {
    assert.equal(moveFor(JOB, true), 'leave');
    assert.equal(moveFor(job({ status: 'ready', ready: true }), true), 'leave');
  });

  test('a start resumes a copy that stands still, and never begins an ended one again', () => {
    assert.equal(moveFor(job({ status: 'paused', 'io-status': 'failed' }), true), 'resume');
    fc.assert(
      fc.property(anyJob, fc.boolean(), (each, connected) => {
        const move = moveFor(each, connected);
        const { state } = judge('vda', each, false);
        assert.equal(move === 'refuse', state === 'whole' || state === 'failed');
        assert.ok(!move.startsWith('begin'), 'there is a job');
      }),
    );
  });

  test('a start has worked once bytes have gone, nothing is left, or another attempt is useless', () => {
    const at = 10;
    assert.ok(!goesOn(job({ 'io-status': 'failed', offset: 50 }), at));
    assert.ok(!goesOn(job({ offset: at }), at), 'it may be about to fail again');
    assert.ok(goesOn(job({ offset: at + 1 }), at));
    assert.ok(goesOn(job({ status: 'ready', ready: true, offset: 100 }), 100));
    assert.ok(goesOn(job({ 'io-status': 'nospace' }), at), 'the sample shows it');
    assert.ok(goesOn(undefined, at));
  });
});

describe('the names of jobs and nodes', () => {
  test('the names of jobs and nodes fit QEMU, and are the same for each mover', () => {
    assert.ok(nodeName.safeParse(WHOLE_MARK).success);
    assert.ok(!isCopyName(WHOLE_MARK));
    fc.assert(
      fc.property(fc.string(), fc.string(), (one, other) => {
        assert.ok(nodeName.safeParse(copyName(one)).success);
        assert.ok(isCopyName(copyName(one)));
        assert.equal(copyName(one) === copyName(other), one === other);
      }),
    );
  });

  test('the names of jobs are read from any answer of QEMU, or the answer is refused', () => {
    fc.assert(fc.property(fc.anything(), (answer) => void blockJobs.safeParse(answer)));
    const reported = [{ ...JOB, busy: true, paused: false, type: 'mirror', speed: 0 }];
    assert.deepEqual(blockJobs.parse(reported), [JOB]);
  });
});
