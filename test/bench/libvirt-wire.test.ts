import assert from 'node:assert/strict';
import { test } from 'node:test';
import { judge } from '../../bench/contract.ts';
import { measures, type MoveResult } from '../../bench/libvirt-wire.ts';
import { packagesOf } from '../../bench/libvirt-moves.ts';

const move = (seconds: number, megabytes: number, clientGapMs?: number): MoveResult => ({
  totalMs: seconds * 1000 + 500,
  jobMs: seconds * 1000,
  linkBytes: megabytes * 1e6,
  ...(clientGapMs === undefined ? {} : { clientGapMs }),
});
const place = { name: 'here', targets: { second: { bytes: 0.4, time: 0.45 } } };

test('the wire is held against the best of virsh in each column', () => {
  const results = new Map([
    ['plain', [move(40, 500, 30)]],
    ['xbzrle', [move(50, 400, 60)]],
    ['second', [move(18, 160, 50)]],
    ['return', [move(2, 4, 51)]],
  ]);
  const judged = measures(place, results).map(judge);
  const of = (name: string) => judged.find((each) => each.name === `here: ${name}`);
  const { value, ok } = of('second: bytes, of virsh’s best') ?? {};
  assert.deepEqual([value, ok], [0.4, true]);
  const job = of('second: libvirt’s job, of virsh’s best');
  assert.deepEqual([job?.value, job?.ok], [0.45, true]);
  const gap = of('second: client gap, more than virsh’s best');
  assert.deepEqual([gap?.value, gap?.ok], [20, true]);
  assert.equal(of('return: client gap, more than virsh’s best')?.ok, false);
  // No aim is set for it here.
  assert.equal(of('return: bytes, of virsh’s best')?.ok, null);
});

test('a guest that was lost counts with its bytes and has no gap', () => {
  const results = new Map([
    ['plain', [move(40, 500, 30), move(40, 520)]],
    ['second', [move(18, 160), move(18, 170)]],
  ]);
  const all = measures(place, results);
  const of = (name: string) => all.find((each) => each.name === `here: ${name}`);
  assert.deepEqual([of('plain: bytes')?.value, of('plain: bytes')?.runs], [510, 2]);
  assert.deepEqual([of('plain: client gap')?.value, of('plain: client gap')?.runs], [30, 1]);
  const gap = of('second: client gap, more than virsh’s best');
  assert.deepEqual([gap?.value, gap?.runs, gap?.target], [Number.NaN, 0, undefined]);
  assert.deepEqual([of('guests lost, virsh')?.value, of('guests lost, Godwit')?.value], [1, 2]);
});

test('a libvirt that is not there is refused before anything is started', async () => {
  await assert.rejects(packagesOf({ words: { libvirt: '1.2' } }), /--libvirt 1\.2: there is/);
  assert.equal(await packagesOf({}), undefined);
});
