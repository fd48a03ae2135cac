import assert from 'node:assert/strict';
import { test } from 'node:test';
import { linkToChooseBy, SEVERAL_STREAMS } from '../../../src/migration/prediction/data-path.ts';
import { ask, pathOf } from './paths.ts';
import { thin } from './samples.ts';

test('a path over an ample link is chosen for the lowest processor time, with that reason', () => {
  const link = { rate: 80 * 1_000_000, how: 'measured', isLeast: true } as const;
  const seen = pathOf(ask(), { ...thin, ...linkToChooseBy(link) });
  assert.deepEqual('stream' in seen && seen.stream, SEVERAL_STREAMS);
  assert.match(
    seen.why,
    /^over a link that carries 76\.3 MiB\/s at the least, as over 1\.16 GiB\/s, /,
  );
  // A cap is kept to, however fast the link is.
  const capped = pathOf(ask({ maxBandwidth: 80 * 1_000_000 }), {
    ...thin,
    ...linkToChooseBy(link),
  });
  assert.match(capped.why, /^at 76\.3 MiB\/s /);
});

test("a path uses a link's rate as it is if it was measured, is low, or was reached by an earlier migration", () => {
  const measured = { how: 'measured', isLeast: true } as const;
  const linkIsLeast = true;
  assert.deepEqual(linkToChooseBy({ rate: 80_000_000, how: 'measured' }), {
    linkBytesPerS: 80_000_000,
  });
  for (const link of [
    { ...measured, rate: 40_000_000 },
    { ...measured, rate: 140_000_000, how: 'seen' as const },
    { ...measured, rate: 2_000_000_000 },
  ])
    assert.deepEqual(linkToChooseBy(link), { linkBytesPerS: link.rate, linkIsLeast });
  // No link of 1 Gbit/s carries what an earlier migration came to.
  const fast = { ...measured, rate: 200_000_000, how: 'seen' as const };
  const ample = { linkBytesPerS: 1_250_000_000, seenBytesPerS: fast.rate };
  assert.deepEqual(linkToChooseBy(fast), ample);
  assert.deepEqual(linkToChooseBy(undefined), { linkBytesPerS: undefined });
});

test('a path is calculated as in a plan if only a lower bound of the link is known', () => {
  const link = { rate: 40_000_000, how: 'measured', isLeast: true } as const;
  const least = pathOf(ask(), { ...thin, ...linkToChooseBy(link) });
  const known = pathOf(ask(), { ...thin, ...linkToChooseBy({ ...link, isLeast: false }) });
  assert.notEqual(least.why, known.why);
});
