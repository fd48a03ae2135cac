import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { test } from 'node:test';
import type { SourceSession } from '../../../../src/port/direct.ts';
import type { LookDependencies } from '../../../../src/mover/direct/source/source-base.ts';
import { choose, MBIT, OFFER, partsOf } from './path-scene.ts';

const signal = new AbortController().signal;

test("the path is chosen by the destination's cache report, if the wire may carry the guest", async (t) => {
  const directory = mkdtempSync(path.join(os.tmpdir(), 'godwit-path-'));
  t.after(() => rmSync(directory, { recursive: true, force: true }));
  const secretFile = path.join(directory, 'secret');
  writeFileSync(secretFile, 'ab'.repeat(32));
  const asked = async (offered: boolean, answer: () => Promise<object>) => {
    let [calls, looks, given] = [0, 0, false];
    const measure: SourceSession['measure'] = async (_signal, _brief, knows) => {
      looks += 1;
      given = knows !== undefined;
      assert.equal(await knows, undefined);
      return { how: 'pages', memoryBytes: 1 << 30, pages: 1024, curve: [] };
    };
    const parts = partsOf({
      settings: { path: 'auto' },
      configured: 100 * MBIT,
      offered,
      measure,
    });
    const known = () => {
      calls += 1;
      return answer();
    };
    const peer = {
      byRelay: false,
      resume: () => undefined,
      call: (_id: string, _signal: AbortSignal, question: (api: object) => unknown) =>
        question({ known }),
    };
    const { config } = parts;
    const context = {
      ...parts,
      peer,
      config: { ...config, cache: { ...config.cache, secretFile } },
    };
    await choose(context as unknown as LookDependencies, OFFER, signal);
    return [calls, looks, given];
  };
  assert.deepEqual(await asked(true, () => Promise.resolve({})), [1, 1, true]);
  const older = new Error('an earlier build has no such route');
  assert.deepEqual(await asked(true, () => Promise.reject(older)), [1, 1, true]);
  assert.deepEqual(await asked(false, () => Promise.resolve({})), [0, 1, false]);
});
