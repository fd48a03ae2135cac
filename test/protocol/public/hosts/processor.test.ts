import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  baselineRequest,
  processorRoutes,
  processorsAnswer,
} from '../../../../src/protocol/public/hosts/processor.ts';

const offer = (features: number) => ({
  driver: 'qemu',
  version: '10.0.2',
  accelerator: 'kvm',
  vendor: 'GenuineIntel',
  features: Array.from({ length: features }, (_none, at) => `f${at}`),
  models: [],
});

test('a host reports a bounded number of features, and whole offers', () => {
  const read = (offers: object[]) => processorsAnswer.safeParse({ offers, guests: [] }).success;
  assert.ok(read([offer(1024)]));
  assert.ok(!read([offer(1025)]));
  assert.ok(!read([{ ...offer(1), vendor: undefined }]));
  assert.ok(!read(Array.from({ length: 65 }, () => offer(1))));
});

test('a baseline covers all hosts or some, and none is invalid', () => {
  assert.deepEqual(baselineRequest.parse({}), {});
  assert.ok(baselineRequest.safeParse({ hosts: ['a'], check: 'b' }).success);
  assert.ok(!baselineRequest.safeParse({ hosts: [] }).success);
  assert.ok(!baselineRequest.safeParse({ hosts: ['a b'] }).success);
});

test('any reader may request a baseline, since it changes nothing', () => {
  for (const { access } of Object.values(processorRoutes)) assert.equal(access, 'viewer');
});
