import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { hasCode } from '../../../../src/errors.ts';
import type { SourceState } from '../../../../src/migration/direct/source-state.ts';
import { initialSource } from '../../../../src/migration/direct/source-state.ts';
import type { SourceContext } from '../../../../src/mover/direct/source/source-context.ts';
import { regain } from '../../../../src/mover/direct/source/regain.ts';
import { planned } from '../../../migration/direct/samples.ts';

/** A guest that is paused here, whose stream broke off, in a migration that is at `known`. */
async function taken(known: Partial<SourceState>): Promise<'resumed' | 'held'> {
  let resumed = false;
  const session = {
    cancel: async () => ({ run: 'paused', stream: 'failed' }),
    resumeGuest: async () => {
      resumed = true;
    },
  };
  const parts: unknown = {
    guest: { session: async () => session },
    request: { request: { guest: 'web1' } },
    state: () => ({ ...initialSource(planned()).state, ...known }),
    peer: { resume: () => undefined, call: async () => undefined },
    fenceMs: 0,
  };
  try {
    await regain(parts as SourceContext, new AbortController().signal);
  } catch (thrown) {
    assert.ok(hasCode(thrown, 'GODWIT_HELD'));
  }
  return resumed ? 'resumed' : 'held';
}

describe('a source whose stream broke off with its guest paused', () => {
  test('runs the guest on where no commit was sent', async () => {
    assert.equal(await taken({ right: 'armed', via: 'postcopy' }), 'resumed');
  });

  test('keeps the guest stopped where post-copy may have run it, and only a proof closed the epoch', async () => {
    const proofs = ['fenced', 'operator', 'observed'] as const;
    for (const proof of proofs) {
      assert.equal(await taken({ right: 'abandoned', via: 'postcopy', proof }), 'held');
    }
  });

  test('runs the guest on where the destination itself refused, or nothing but a proof is needed', async () => {
    assert.equal(await taken({ right: 'abandoned', via: 'postcopy' }), 'resumed');
    assert.equal(await taken({ right: 'abandoned', via: 'precopy', proof: 'fenced' }), 'resumed');
  });
});
