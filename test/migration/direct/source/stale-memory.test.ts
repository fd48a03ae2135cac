import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { isMemoryStale } from '../../../../src/migration/direct/source/resolve.ts';
import type { SourceState } from '../../../../src/migration/direct/source/source-state.ts';

describe('the age of source memory', () => {
  const image = (node: string, readOnly: boolean) => ({ node, readOnly });
  const at = (...nodes: string[]) => nodes.map((node) => ({ node, pool: 'p', path: node }));
  const isStale = (places: object[], ...disks: object[][]): boolean => {
    const description = disks.length === 0 ? {} : { disks: disks.map((images) => ({ images })) };
    const known = { places, description } as unknown as SourceState['known'];
    return isMemoryStale({ mayHaveRunThere: true, known });
  };

  test('source memory may be older than a shared disk or volume that the guest writes to', () => {
    assert.equal(isStale(at('top', 'base'), [image('top', false), image('base', true)]), true);
    assert.equal(isStale(at('data')), true);
  });

  test('source memory is as new as its disks if every writable disk was copied', () => {
    for (const readOnly of [true, false])
      assert.equal(isStale(at('base'), [image('top', false), image('base', readOnly)]), false);
    assert.equal(isStale(at('cd'), [image('cd', true)]), false);
  });

  test('source memory is the newest if no commit was sent', () => {
    const known = { places: at('data') } as SourceState['known'];
    assert.equal(isMemoryStale({ known }), false);
  });
});
