import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { decideDataPath, goesByPages } from '../../../src/migration/prediction/data-path.ts';
import { migrationSettings } from '../../../src/protocol/public/migration.ts';
import { offer, thin } from './samples.ts';

test('the choice of auto depends on the page contents only if the plan reports that', () => {
  let hung = 0;
  const modes = fc.constantFrom('precopy' as const, 'postcopy' as const);
  const path = fc.constantFrom('auto' as const, 'auto' as const, 'wire' as const);
  const asked = fc.record({
    mode: modes,
    path,
    streams: fc.constantFrom(1, 4),
    compress: fc.constantFrom('none' as const, 'zstd' as const),
    maxBandwidth: fc.constantFrom(undefined, 5_000_000),
  });
  const known = fc.record({
    linkBytesPerS: fc.constantFrom(undefined, 12_500_000),
    offer: fc.constantFrom(undefined, offer),
    byRelay: fc.boolean(),
  });
  const mixes = [0, 0.5, 1].map((zero) => ({ zero, duplicate: 0, packed: 0.2 + zero / 2 }));
  fc.assert(
    fc.property(asked, known, (settings, some) => {
      const facts = { ...thin, ...some };
      const request = migrationSettings.parse(settings);
      const choices = mixes.map((mix) => {
        const measured = { curve: [], mix };
        const choice = decideDataPath(request, { ...facts, measured });
        return JSON.stringify({ ...choice, why: '' });
      });
      if (new Set(choices).size === 1) return;
      hung += 1;
      assert.ok(goesByPages(request, facts), choices.join('\n'));
    }),
    { numRuns: 2000 },
  );
  assert.ok(hung > 20, String(hung));
});
