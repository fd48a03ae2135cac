import assert from 'node:assert/strict';
import { readFileSync, rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { describe, test, type TestContext } from 'node:test';
import fc from 'fast-check';
import { hasCode } from '../../../../src/errors.ts';
import { hookInput } from '../../../../src/hooks/hooks.ts';
import { silentLog } from '../../../../src/log.ts';
import {
  initialSource,
  type SourceState,
} from '../../../../src/migration/direct/source/source-state.ts';
import { askHook, callEndHook, factsOf } from '../../../../src/mover/direct/source/hooks.ts';
import type { StepContext } from '../../../../src/mover/direct/source/ports.ts';
import { END_PHASES, type EndPhase } from '../../../../src/protocol/public/migration.ts';
import type { NicNetwork } from '../../../../src/protocol/network.ts';
import { errorOf, planned } from '../../../migration/direct/samples.ts';
import { tempDir } from '../../../rpc/test-contract.ts';

const NIC: NicNetwork = {
  id: 'net0',
  mac: '52:54:00:00:00:01',
  port: 'tap0',
  addresses: ['10.0.0.9'],
  attachment: { kind: 'bridge', bridge: 'br0', mtu: 1500 },
};

function partsOf(state: Partial<SourceState>, directory = '/nowhere'): StepContext {
  const context: unknown = {
    host: { config: { name: 'a', hooks: { directory } } },
    state: () => ({ ...initialSource(planned()).state, ...state }),
  };
  return context as StepContext;
}

/** A site with every hook of the source; what each was given is in a file of its name. */
function site(t: TestContext, exit = 0): string {
  const directory = tempDir(t);
  for (const hook of ['before-start', 'before-switchover', 'after-done', 'after-rollback']) {
    const script = `#!/bin/sh\ncat > "$0.given"\nexit ${exit}\n`;
    writeFileSync(path.join(directory, hook), script, { mode: 0o755 });
  }
  return directory;
}

function given(directory: string, hook: string): { readonly hook: string } | undefined {
  try {
    const file = path.join(directory, `${hook}.given`);
    const input = hookInput.parse(JSON.parse(readFileSync(file, 'utf8')));
    rmSync(file);
    return input;
  } catch {
    return undefined;
  }
}

describe('input of a hook', () => {
  test("a hook's input follows its schema, whatever ended the migration", () => {
    const because = fc.option(
      fc.nat({ max: 5000 }).map((length) => errorOf('é'.repeat(length))),
      { nil: undefined },
    );
    const networks = fc.subarray([NIC]);
    fc.assert(
      fc.property(because, networks, fc.boolean(), (error, nics, rehearse) => {
        const plan = { ...initialSource(planned(rehearse ? { rehearse } : {})).state.plan };
        const facts = factsOf(partsOf({ plan, because: error, known: { networks: nics } }));
        const input = { ...facts, version: 1, hook: 'after-rollback', host: 'a' };
        const parsed = hookInput.parse(JSON.parse(JSON.stringify(input)));
        assert.deepEqual(parsed, input);
        assert.equal(parsed.error?.code, error?.code);
        assert.equal(parsed.rehearsal === true, rehearse);
        assert.deepEqual(parsed.ports, nics.length === 0 ? {} : { net0: 'tap0' });
      }),
    );
  });
});

describe('a hook of the source', () => {
  test('a source hook before the start and before the switch may refuse', async (t) => {
    for (const hook of ['before-start', 'before-switchover'] as const) {
      const yes = site(t);
      await askHook(partsOf({}, yes), hook, AbortSignal.timeout(10_000));
      assert.equal(given(yes, hook)?.hook, hook);
      const no = askHook(partsOf({}, site(t, 1)), hook, AbortSignal.timeout(10_000));
      await assert.rejects(no, (thrown) => hasCode(thrown, 'GODWIT_HOOK_FAILED'));
    }
  });

  test('a source hook at the end matches the outcome, and its failure changes nothing', async (t) => {
    const hooks: Record<EndPhase, string | undefined> = {
      done: 'after-done',
      rehearsed: 'after-rollback',
      failed: 'after-rollback',
      cancelled: 'after-rollback',
      // The guest may be paused, or be gone: a person decides, and no program.
      held: undefined,
      lost: undefined,
    };
    for (const exit of [0, 1]) {
      const directory = site(t, exit);
      for (const outcome of END_PHASES) {
        assert.equal(await callEndHook(partsOf({}, directory), outcome, silentLog), outcome);
        const called = ['after-done', 'after-rollback'].filter((hook) => given(directory, hook));
        const expected = hooks[outcome];
        assert.deepEqual(called, expected === undefined ? [] : [expected], outcome);
      }
    }
  });
});
