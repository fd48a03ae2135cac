import assert from 'node:assert/strict';
import { readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { test, type TestContext } from 'node:test';
import { fileURLToPath } from 'node:url';
import { askProcess, type AskChecker } from '../../../src/agent/preflight/checker-process.ts';
import { writeProof } from '../../../src/disks/proof/proof.ts';
import { admissionOf } from '../../protocol/peer/admission.ts';
import { tempDir } from '../../rpc/test-contract.ts';
import { untilSo } from '../../until.ts';

const CHECKER = fileURLToPath(new URL('../../../src/bin/checker.ts', import.meta.url));

const CALLS = fileURLToPath(
  new URL('../../../src/system/processes/hanging-calls.ts', import.meta.url),
);

/** A host whose processes that check note that they have started, and then run `body`. */
function hostWhose(t: TestContext, body: string, keptMs?: number) {
  let root = '';
  const started = (): number[] =>
    readFileSync(path.join(root, 'started'), 'utf8').trim().split('\n').map(Number);
  // Before the directory is removed.
  t.after(() => started().forEach(end));
  root = tempDir(t);
  const log = path.join(root, 'started');
  const program = path.join(root, 'checker.mjs');
  const start = `import { appendFileSync } from 'node:fs'; appendFileSync(${JSON.stringify(log)}, process.pid + '\\n');`;
  writeFileSync(program, `${start}\n${body}\n`);
  const file = path.join(root, 'agent.json');
  const config = {
    name: 'b',
    address: '127.0.0.1:7001',
    stateDir: root,
    storage: [{ path: root }],
  };
  writeFileSync(file, JSON.stringify(config));
  return { ask: askProcess(file, program, keptMs), started, root };
}

function end(pid: number): void {
  try {
    process.kill(pid, 'SIGKILL');
  } catch {
    // It has ended.
  }
}

/** What it found, once nothing of the question is left. */
async function storageOf(ask: AskChecker, from: string, root: string): Promise<unknown> {
  const id = 'c-0000000000000001';
  const admission = admissionOf({ id, from });
  const proof = { places: [{ directory: '', file: `.godwit-${id}` }] };
  const placeKey = '0'.repeat(64);
  await writeProof(root, `.godwit-${id}`).catch(() => undefined);
  const question = { what: 'storage', admission, proof, placeKey } as const;
  const { answer, gone } = ask(question, () => undefined, AbortSignal.timeout(20_000));
  const found = await answer;
  await gone;
  return found;
}

test('a process that has answered accepts the next question of the same host, and none of another', async (t) => {
  const { ask, started, root } = hostWhose(t, `await import(${JSON.stringify(CHECKER)});`);
  await storageOf(ask, 'a', root);
  await storageOf(ask, 'a', root);
  assert.equal(started().length, 1);
  await storageOf(ask, 'c', root);
  assert.equal(started().length, 2);
  // One waits at a time.
  const [first = 0] = started();
  await untilSo(() => isGone(first));
});

test('a process in which a step may hang answers no other question', async (t) => {
  const { ask, started, root } = hostWhose(
    t,
    `process.stdin.on('data', () => process.stdout.write('{"answer":null,"isClear":false}\\n'));`,
  );
  await storageOf(ask, 'a', root);
  await storageOf(ask, 'a', root);
  assert.equal(started().length, 2);
});

test('a process with a hanging device call answers no other question', async (t) => {
  const begins = `const { countedCall } = await import(${JSON.stringify(CALLS)}); void countedCall(new Promise(() => {}));`;
  const { ask, started, root } = hostWhose(
    t,
    `${begins} await import(${JSON.stringify(CHECKER)});`,
  );
  await storageOf(ask, 'a', root);
  await storageOf(ask, 'a', root);
  assert.equal(started().length, 2);
});

test('a question to a process that ended while idle is asked once more, of a new process', async (t) => {
  // It answers one question, and ends as it reads the next.
  const { ask, started, root } = hostWhose(
    t,
    `let asked = 0; process.stdin.on('data', () => {
      if ((asked += 1) > 1) process.exit(3);
      process.stdout.write('{"answer":null,"isClear":true}\\n');
    });`,
  );
  assert.equal(await storageOf(ask, 'a', root), null);
  assert.equal(await storageOf(ask, 'a', root), null);
  assert.equal(started().length, 2);
  // The new one waits in its place.
  assert.equal(await storageOf(ask, 'a', root), null);
  assert.equal(started().length, 3);
});

test('a new process that ends at its first question is not asked again', async (t) => {
  const { ask, started, root } = hostWhose(
    t,
    `process.stdin.on('data', () => { console.error('no room'); process.exit(3); });`,
  );
  await assert.rejects(storageOf(ask, 'a', root), /a process that checks ended: no room/);
  assert.equal(started().length, 1);
});

test('a process without further questions ends by itself', async (t) => {
  const { ask, started, root } = hostWhose(t, `await import(${JSON.stringify(CHECKER)});`, 200);
  await storageOf(ask, 'a', root);
  const [only = 0] = started();
  // While somebody waits: an agent that rests would not be kept up by it.
  await untilSo(() => isGone(only));
});

test('a process that ends while idle is replaced', async (t) => {
  const { ask, started, root } = hostWhose(
    t,
    `process.stdin.on('data', () => process.stdout.write('{"answer":null,"isClear":true}\\n'));`,
  );
  await storageOf(ask, 'a', root);
  const [first = 0] = started();
  process.kill(first, 'SIGKILL');
  await untilSo(() => isGone(first));
  await storageOf(ask, 'a', root);
  assert.equal(started().length, 2);
});

function isGone(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return false;
  } catch {
    return true;
  }
}
