import assert from 'node:assert/strict';
import { chmodSync, existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { describe, test, type TestContext } from 'node:test';
import { hasCode } from '../../src/errors.ts';
import { HOOK_NAMES, hookInput, HOOKS, type HookFacts } from '../../src/hooks/hooks.ts';
import { runHook } from '../../src/hooks/runner.ts';
import { startTicksOf } from '../../src/system/processes/process.ts';
import { until } from '../until.ts';
import { isBeforeNoReturn, STEPS } from '../../src/migration/direct/source/steps.ts';

const facts: HookFacts = {
  migration: 'm-12345678',
  guest: 'web1',
  from: 'a',
  to: 'b',
  mode: 'precopy',
  networks: [],
  ports: { net0: 'gw0' },
};

interface Site {
  readonly directory: string;
  readonly config: { readonly name: string; readonly hooks: { readonly directory: string } };
}

function site(t: TestContext, script?: string, executable = true): Site {
  const directory = mkdtempSync(path.join(tmpdir(), 'godwit-hooks-'));
  t.after(() => rmSync(directory, { recursive: true, force: true }));
  if (script !== undefined) {
    const file = path.join(directory, 'before-start');
    writeFileSync(file, `#!/bin/sh\n${script}\n`);
    if (executable) chmodSync(file, 0o755);
  }
  return { directory, config: { name: 'a', hooks: { directory } } };
}

function hasEnded(pid: string): boolean {
  return startTicksOf(Number(pid)) === undefined;
}

describe('a hook', () => {
  test("a hook reads the migration's facts, and its exit code is its result", async (t) => {
    const { directory, config } = site(t, `cat > "\${0%/*}/reported"`);
    await runHook(config, 'before-start', () => facts);
    const reported = hookInput.parse(
      JSON.parse(readFileSync(path.join(directory, 'reported'), 'utf8')),
    );
    assert.deepEqual(reported, { ...facts, version: 1, hook: 'before-start', host: 'a' });
  });

  test('a hook that fails gives the reason in its last line', async (t) => {
    const { config } = site(t, 'echo first; echo "no window" >&2; exit 3');
    await assert.rejects(
      runHook(config, 'before-start', () => facts),
      (error) => {
        assert.ok(hasCode(error, 'GODWIT_HOOK_FAILED'));
        assert.match(String(error), /before-start.*ended with 3: no window/);
        return true;
      },
    );
  });

  test('a hook need not read its input, however long it is', async (t) => {
    const { config } = site(t, 'exec <&-; exit 0');
    const ports = Object.fromEntries(Array.from({ length: 5000 }, (_, at) => [`net${at}`, 'gw0']));
    await runHook(config, 'before-start', () => ({ ...facts, ports }));
  });

  test('a hook that takes too long is ended, and fails', async (t) => {
    const { config } = site(t, 'sleep 60');
    const started = runHook(config, 'before-start', () => facts, undefined, 1);
    await assert.rejects(started, /longer than 1 ms/);
  });

  test('a hook and its children are ended when the migration no longer waits for it', async (t) => {
    const { directory, config } = site(t, `sleep 60 & echo $! > "\${0%/*}/pid"; wait`);
    const stop = new AbortController();
    const started = runHook(config, 'before-start', () => facts, stop.signal);
    const file = path.join(directory, 'pid');
    const pid = await until('the hook to start', 20_000, () => {
      const written = existsSync(file) ? readFileSync(file, 'utf8').trim() : '';
      return Promise.resolve(written === '' ? undefined : written);
    });
    stop.abort(new Error('cancelled'));
    await assert.rejects(started, /cancelled/);
    await until('its process to end', 20_000, () => Promise.resolve(hasEnded(pid) || undefined));
  });

  test('a hook that is missing or not executable is not called, nor are its facts requested', async (t) => {
    const unasked = (): HookFacts => assert.fail('asked');
    await runHook({ name: 'a' }, 'before-start', unasked);
    await runHook(site(t).config, 'before-start', unasked);
    await runHook(site(t, 'exit 1', false).config, 'before-start', unasked);
  });
});

test('no hook may take longer than its step', () => {
  const within = {
    'before-start': 'assess',
    'prepare-destination': 'prepare',
    'before-switchover': 'arm',
  } as const;
  for (const [hook, step] of Object.entries(within)) {
    const { deadline } = STEPS[step];
    assert.ok(
      typeof deadline === 'number' && HOOKS[hook as keyof typeof within].deadlineMs < deadline,
    );
    assert.ok(isBeforeNoReturn(step), `${hook} can still be heeded`);
  }
  const heeded = HOOK_NAMES.filter((hook) => HOOKS[hook].failure !== 'is logged');
  assert.deepEqual(heeded, Object.keys(within));
});
