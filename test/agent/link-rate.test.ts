import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { seenLinkRate } from '../../src/agent/link-rate.ts';
import { migrationSettings } from '../../src/protocol/public/migration.ts';

const MIB = 1024 ** 2;
const settings = migrationSettings.parse({});
const whole = {
  outcome: 'done',
  finished: 'precopy',
  settings,
  bytes: 512 * MIB,
  throughput: 12_000_000,
} as const;

describe('what is known of a link by earlier migrations', () => {
  test('is what the newest native one came to', () => {
    assert.equal(seenLinkRate([whole, { ...whole, throughput: 5 }]), 12_000_000);
  });

  test('is nothing where something else held them back', () => {
    const wire = { levels: [] } as never;
    const held = [
      { ...whole, settings: { ...settings, maxBandwidth: 4 * MIB } },
      { ...whole, settings: { ...settings, compress: 'zstd' as const } },
      { ...whole, stream: { streams: 4, compress: 'zstd' as const } },
      { ...whole, wire },
      { ...whole, outcome: 'failed' as const },
      { ...whole, finished: 'postcopy' as const },
      { ...whole, bytes: MIB },
    ];
    assert.equal(seenLinkRate(held), undefined);
  });
});
