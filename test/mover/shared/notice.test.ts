import assert from 'node:assert/strict';
import { readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { describe, test, type TestContext } from 'node:test';
import { hasCode } from '../../../src/errors.ts';
import { hookInput } from '../../../src/hooks/hooks.ts';
import {
  initialSource,
  type StepFacts,
} from '../../../src/migration/direct/source/source-state.ts';
import type { StepContext } from '../../../src/mover/direct/source/ports.ts';
import { LIFECYCLE } from '../../../src/mover/direct/source/lifecycle.ts';
import type { MigrationSettings } from '../../../src/protocol/public/migration.ts';
import { planned } from '../../migration/direct/samples.ts';
import { tempDir } from '../../rpc/test-contract.ts';

const HOUR_MS = 3_600_000;

interface Setup {
  readonly script?: string;
  readonly mayRefuse?: boolean;
  readonly settings?: Partial<MigrationSettings>;
  /** When it was asked for, ms since 1970. */
  readonly createdMs?: number;
}

/** What a migration with a notice of an hour comes to while it waits, where the site has that hook. */
function waited(
  t: TestContext,
  { script, mayRefuse = false, settings = {}, createdMs = Date.now() }: Setup,
  signal = new AbortController().signal,
): { facts: Promise<StepFacts>; directory: string } {
  const directory = tempDir(t);
  if (script !== undefined)
    writeFileSync(path.join(directory, 'notice'), `#!/bin/sh\n${script}\n`, { mode: 0o755 });
  const context: unknown = {
    host: { config: { name: 'a', hooks: { directory, noticeMayRefuse: mayRefuse } } },
    hypervisor: {},
    state: () => initialSource(planned({ noticeMs: HOUR_MS, ...settings })).state,
    request: { createdAt: new Date(createdMs).toISOString() },
  };
  return { facts: LIFECYCLE.wait.do(context as StepContext, signal), directory };
}

describe('a notice', () => {
  test('a notice is the first step of a migration that has one', () => {
    assert.deepEqual(initialSource(planned({ noticeMs: 1000 })).state.doing, {
      kind: 'do',
      step: 'wait',
    });
  });

  test('a notice gives the hook its duration, and ends at once when the hook is ready', async (t) => {
    const script = `cat > "\${0%/*}/reported"; echo ready`;
    const { facts, directory } = waited(t, { script });
    assert.match((await facts).waited ?? '', /is ready/);
    const reported = hookInput.parse(
      JSON.parse(readFileSync(path.join(directory, 'reported'), 'utf8')),
    );
    assert.equal(reported.hook, 'notice');
    assert.ok((reported.noticeMs ?? 0) > HOUR_MS / 2 && (reported.noticeMs ?? 0) <= HOUR_MS);
  });

  test('a notice refuses the migration on a no if the site allows that, with the reason', async (t) => {
    const { facts } = waited(t, {
      script: 'echo in the middle of a backup; exit 10',
      mayRefuse: true,
    });
    await assert.rejects(facts, (thrown) => {
      assert.ok(hasCode(thrown, 'GODWIT_NOTICE_REFUSED'));
      assert.match(thrown.message, /in the middle of a backup/);
      return true;
    });
  });

  test('a notice lasts to its end on a no that the site does not allow, or if the hook fails', async (t) => {
    const settings = { noticeMs: 1000 };
    const no = await waited(t, { script: 'exit 10', settings }).facts;
    assert.match(no.waited ?? '', /its no does not count here/);
    const failed = await waited(t, { script: 'exit 3', settings, mayRefuse: true }).facts;
    assert.match(failed.waited ?? '', /the hook ended with 3/);
  });

  test('a notice without an answer lasts to its end, and the hook is ended', async (t) => {
    const { facts } = waited(t, { script: 'sleep 600', settings: { noticeMs: 1000 } });
    assert.match((await facts).waited ?? '', /did not say that it is ready/);
  });

  test('a notice is given by a mover that takes over late, since it may have reached no one', async (t) => {
    const script = `cat > "\${0%/*}/reported"; exit 10`;
    const settings = { noticeMs: 1000 };
    const { facts, directory } = waited(t, { script, settings, createdMs: 0 });
    assert.match((await facts).waited ?? '', /notified [0-9.]+ m?s ahead/);
    const { noticeMs = 0 } = hookInput.parse(
      JSON.parse(readFileSync(path.join(directory, 'reported'), 'utf8')),
    );
    assert.ok(noticeMs > 500 && noticeMs <= 1000, String(noticeMs));
  });

  test('a notice is refused if the host has no hook for it', async (t) => {
    await assert.rejects(waited(t, {}).facts, (thrown) => hasCode(thrown, 'GODWIT_CAPABILITY'));
  });

  test('a notice ends when the migration is canceled', async (t) => {
    const stop = new AbortController();
    const { facts } = waited(t, { script: 'sleep 600' }, stop.signal);
    stop.abort(new Error('cancelled'));
    await assert.rejects(facts, /cancelled/);
  });
});
