import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  giveBackMs,
  gpuObstacles,
  predictedSeconds,
  useOf,
  whyNoGpu,
} from '../../../../src/drivers/criu/gpu/gpu-checks.ts';
import type { HostGpuFacts } from '../../../../src/drivers/criu/gpu/gpu.ts';

const GIB = 1024 ** 3;
const UUID = 'a0'.repeat(16);
const GPU = {
  uuid: UUID,
  name: 'NVIDIA H200',
  totalBytes: 140 * GIB,
  usedBytes: 12 * GIB,
  mig: false,
  driver: '580.1',
};
const FACTS: HostGpuFacts = {
  gpus: [GPU],
  apps: [{ pid: 7, uuid: UUID, bytes: 8 * GIB }],
  shared: false,
};
const SPEC = {
  gpus: [{ name: 'NVIDIA H200', uuid: 'b0'.repeat(16) }],
  driver: '580.1',
  bytes: 8 * GIB,
};
const ROOM = { availableBytes: 64 * GIB };

const reasons = (facts: HostGpuFacts | string, room: object = ROOM): string =>
  gpuObstacles(facts, { bytes: 8 * GIB }, { ...ROOM, ...room })
    .map(({ reason }) => reason)
    .join('; ');

test("the GPU memory of a container is the driver's report for its processes, else all that is used there", () => {
  assert.equal(useOf(FACTS, [7]).bytes, 8 * GIB);
  const two = { ...FACTS, apps: [...FACTS.apps, { pid: 9, uuid: UUID, bytes: GIB }] };
  assert.equal(useOf(two, [7, 9]).bytes, 9 * GIB);
  assert.equal(useOf(two, [7]).bytes, 8 * GIB);
  assert.equal(useOf(FACTS, [7, 8]).bytes, 12 * GIB, 'of 8 the driver says nothing');
  const silent = { ...FACTS, apps: [{ pid: 7, uuid: UUID }] };
  assert.equal(useOf(silent, [7]).bytes, 12 * GIB);
});

test('a GPU state that cannot be taken away is refused by name, except for a cold move', () => {
  assert.equal(reasons(FACTS), '');
  assert.match(reasons('no libcuda'), /cannot take state away: no libcuda/);
  assert.match(reasons({ ...FACTS, gpus: [{ ...GPU, mig: true }] }), /MIG/);
  assert.match(reasons({ ...FACTS, shared: true }), /MPS/);
  assert.match(reasons(FACTS, { availableBytes: 8 * GIB }), /8 GiB are free/);
  assert.equal(reasons(FACTS, { availableBytes: 9 * GIB }), '');
  const limit = { bytes: 10 * GIB, usedBytes: 2 * GIB };
  assert.match(reasons(FACTS, { limit }), /may have 10 GiB/);
  assert.equal(reasons(FACTS, { limit: { bytes: 11 * GIB, usedBytes: 2 * GIB } }), '');
  const all = gpuObstacles({ ...FACTS, shared: true }, { bytes: 0 }, ROOM);
  assert.ok(all.every(({ ofMemory }) => ofMemory === true));
});

test('a destination has as many GPUs of the same kind, the same driver, and room', () => {
  const why = (change: object, available = 64 * GIB, more: object = {}): string | undefined =>
    whyNoGpu(SPEC, { ...FACTS, gpus: [{ ...GPU, ...change }], ...more }, available)?.what;
  assert.equal(why({}), undefined);
  assert.match(why({ name: 'NVIDIA A100' }) ?? '', /A100, and the source has NVIDIA H200/);
  assert.match(whyNoGpu(SPEC, { ...FACTS, gpus: [] }, GIB)?.what ?? '', /^no GPU/);
  assert.match(
    whyNoGpu(SPEC, { ...FACTS, gpus: [GPU, GPU] }, GIB)?.what ?? '',
    /H200, NVIDIA H200/,
  );
  assert.match(why({ driver: '575.2' }) ?? '', /driver 575\.2, and the source has 580\.1/);
  assert.match(why({ mig: true }) ?? '', /divided/);
  assert.match(why({}, 64 * GIB, { shared: true }) ?? '', /shared/);
  assert.match(why({ usedBytes: 133 * GIB }) ?? '', /7 GiB free on its GPUs/);
  assert.match(why({}, 8 * GIB) ?? '', /of memory/);
  assert.match(whyNoGpu(SPEC, 'no libcuda', GIB)?.what ?? '', /no libcuda/);
});

test("the prediction has the GPU's standstill", () => {
  assert.equal(
    predictedSeconds(8 * GIB),
    'their work stops for about 76 s, longer on a busy machine or a slow link: 4.9 s to take away, 40.9 s to send as memory, 28.6 s frozen, 1.5 s to give back',
  );
});

test('the wait for restored GPUs is ten times the measured time plus a minute', () => {
  assert.equal(giveBackMs(0), 60_000);
  assert.equal(giveBackMs(5.9e9), 70_000);
});
