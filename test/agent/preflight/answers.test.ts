import assert from 'node:assert/strict';
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { test, type TestContext } from 'node:test';
import { systemClock } from '../../../src/clock.ts';
import { PreflightAnswers } from '../../../src/agent/preflight/answers.ts';
import { askProcess, type AskChecker } from '../../../src/agent/preflight/checker-process.ts';
import { issue, storeCredentials } from '../../../src/pki/authority.ts';
import { loadAgentConfig, parseAgentConfig } from '../../../src/config.ts';
import { cacheDirectory, siteSecrets } from '../../../src/host/wire.ts';
import { migrationRequest, type Check } from '../../../src/protocol/public/migration.ts';
import { Scope } from '../../../src/wire/cache/scope.ts';
import { Store } from '../../../src/wire/cache/store.ts';
import { Summary } from '../../../src/wire/cache/summary.ts';
import { writeProof } from '../../../src/disks/proof/proof.ts';
import { authority, tempDir } from '../../rpc/test-contract.ts';
import { untilSo } from '../../until.ts';
import { admissionOf } from '../../protocol/peer/admission.ts';

const text = JSON.stringify({ name: 'b', address: '127.0.0.1:7001', stateDir: '/nowhere' });
const answersWith = (apart: AskChecker) =>
  new PreflightAnswers({
    clock: systemClock,
    config: parseAgentConfig('agent.json', text),
    apart,
    incoming: {} as never,
  });
const caller = { role: 'agent', name: 'a' } as never;
const admission = admissionOf({ id: 'c-0000000000000001' });
const question = { admission, preparation: {} as never };
const noWord = (): Promise<void> => new Promise(() => {});

test('questions that were given up before their start take no room from later ones', async () => {
  let begun = 0;
  const answers = answersWith(() => {
    begun += 1;
    return { answer: Promise.resolve({ checks: [] }), gone: Promise.resolve() };
  });
  const ask = (signal: AbortSignal): Promise<unknown> =>
    answers.assess(question, caller, signal, undefined);
  for (let asked = 0; asked < 40; asked += 1) {
    await assert.rejects(ask(AbortSignal.abort()), { name: 'AbortError' });
  }
  assert.equal(begun, 0);
  assert.deepEqual(await ask(new AbortController().signal), { checks: [] });
});

test('a question that storage blocks is counted until nothing of it is left', async () => {
  const { promise: gone, resolve: release } = Promise.withResolvers<void>();
  let begun = 0;
  const answers = answersWith(() => {
    begun += 1;
    return { answer: noWord(), gone };
  });
  const requester = new AbortController();
  const codes: unknown[] = [];
  const ask = (): Promise<unknown> =>
    answers
      .assess(question, caller, requester.signal, undefined)
      .catch((error: { code?: string | number }) => {
        codes.push(error.code);
      });
  const all = Array.from({ length: 6 }, ask);
  await untilSo(() => codes.length === 2);
  requester.abort();
  await Promise.all(all);
  // The four that were given up have processes that nobody could end.
  await assert.rejects(answers.assess(question, caller, new AbortController().signal, undefined), {
    code: 'GODWIT_OVERLOADED',
  });
  // What a cache has is asked for beside them, and finds room.
  await assert.rejects(
    async () => answers.known({ admission, ports: 1, cache: {} as never }, caller),
    (thrown: { code?: string }) => thrown.code !== 'GODWIT_OVERLOADED',
  );
  assert.equal(begun, 4);
  release();
  await gone;
  const later = new AbortController();
  const asked = answers.assess(question, caller, later.signal, undefined);
  assert.equal(begun, 5);
  later.abort();
  await assert.rejects(asked);
});

test('the checks of one host occupy a limited number of addresses, and other hosts continue', async () => {
  const answers = answersWith(() => ({
    answer: Promise.resolve({ checks: [] }),
    gone: Promise.resolve(),
  }));
  const attachment = { kind: 'bridge', bridge: 'br0', mtu: 1500 };
  const networks = Array.from({ length: 64 }, (_each, index) => ({
    id: `net${index}`,
    addresses: Array.from({ length: 8 }, (_every, last) => `10.0.${index}.${last}`),
    attachment,
  }));
  const ask = (name: string): Promise<unknown> => {
    const asked = { admission: { ...admission, from: name }, preparation: { networks } as never };
    const by = { role: 'agent', name } as never;
    return answers.assess(asked, by, new AbortController().signal, undefined);
  };
  await ask('a');
  await ask('a');
  await assert.rejects(ask('a'), {
    code: 'GODWIT_OVERLOADED',
    message: /addresses of guests of a/,
  });
  assert.deepEqual(await ask('c'), { checks: [] });
});

/** A host with a storage, whose agent’s configuration is a file. */
async function hostFile(t: TestContext) {
  const { caDir } = await authority(t);
  const root = tempDir(t);
  const stateDir = path.join(root, 'state');
  const storage = path.join(root, 'images');
  mkdirSync(storage);
  const pki = await issue({ caDir, name: 'b', role: 'agent', addresses: ['127.0.0.1'] });
  storeCredentials(path.join(stateDir, 'pki'), pki);
  const file = path.join(root, 'agent.json');
  const config = { name: 'b', address: '127.0.0.1:7001', stateDir, storage: [{ path: storage }] };
  writeFileSync(file, JSON.stringify(config));
  return { file, storage, root };
}

test("a separate process answers for the storage, as the destination's mover does", async (t) => {
  const { file, storage } = await hostFile(t);
  const answers = new PreflightAnswers({
    clock: systemClock,
    config: loadAgentConfig(file),
    apart: askProcess(file),
    incoming: {} as never,
  });
  const name = `.godwit-${admission.id}`;
  const nonce = await writeProof(storage, name);
  const proof = { places: [{ directory: '', file: name }] };
  const { places } = await answers.storage({ admission, proof }, caller);
  assert.equal(places[0]?.read, nonce);
  assert.match(places[0]?.wrote ?? '', /^[0-9a-f]{64}$/);
  // Its words are errors as those of a mover are.
  const description = {
    name: 'web1',
    driver: 'qemu',
    vcpus: 1,
    hypervisorVersion: '8.0.0',
    spec: {},
    memoryBytes: 1,
  } as never;
  const stream = { mode: 'precopy', streams: 1, compress: 'none', tls: true } as never;
  const asked = { admission, preparation: { epoch: 1, description, stream } as never };
  await assert.rejects(answers.assess(asked, caller, AbortSignal.timeout(10_000), undefined), {
    code: 'GODWIT_PROTOCOL_INVALID',
  });
});

test("the cache is disclosed only to the guest's source, and only if the guest would be admitted", async (t) => {
  const { file } = await hostFile(t);
  const config = loadAgentConfig(file);
  writeFileSync(path.join(config.stateDir, 'pki', 'site.secret'), 'ab'.repeat(32));
  const [secret] = siteSecrets(config);
  assert.ok(secret !== undefined);
  const scope = new Scope(secret, { with: 'guest', guest: admission.guest }, admission.from);
  const page = Buffer.alloc(4096, 'page');
  const store = await Store.open({
    directory: cacheDirectory(config),
    mostBytes: 2 ** 20,
    scope,
  });
  store.insert(scope.nameOf(page), page);
  store.close();
  const checks: Check[] = [];
  const judge = () => Promise.resolve({ checks });
  const apart = askProcess(file);
  const answers = new PreflightAnswers({
    clock: systemClock,
    config,
    apart,
    incoming: { judge },
  });
  const cache = { sharing: 'guest' as const, tags: [scope.tag] };
  const asked = { admission, ports: 1, cache };
  const { known } = await answers.known(asked, caller);
  assert.deepEqual([known?.tag, known?.parts], [scope.tag, 1]);
  assert.equal(new Summary(Buffer.from(known?.summary ?? '', 'base64')).size, 1);
  const foreign = { ...asked, cache: { ...cache, tags: ['0123456789abcdef'] } };
  assert.deepEqual(await answers.known(foreign, caller), {});
  const other = { role: 'agent', name: 'c' } as never;
  await assert.rejects(async () => answers.known(asked, other), { code: 'GODWIT_ROLE_FORBIDDEN' });
  checks.push({
    name: 'admission',
    side: 'destination',
    verdict: 'refuse',
    evidence: 'it is here',
  });
  assert.deepEqual(await answers.known(asked, caller), {});
});

test('a process reports its start-up time, and the same time with each answered question', async (t) => {
  const { file } = await hostFile(t);
  const apart = askProcess(file);
  const seen: (number | undefined)[] = [];
  const request = migrationRequest.parse({ guest: 'web1', to: 'c' });
  const handle = { driver: 'none', name: 'web1' };
  const hosts = [{ id: 'c-0000000000000001', request, handle, seen: {} }];
  for (let count = 0; count < 2; count += 1) {
    const { answer, gone } = apart(
      { what: 'examine', hosts, deadlineMs: 10_000 },
      ({ startedMs }) => seen.push(startedMs),
      AbortSignal.timeout(20_000),
    );
    await answer;
    await gone;
  }
  const [first = 0, second] = seen;
  assert.deepEqual([first > 0, second], [true, first]);
});

test('a process that does not end by itself is killed, and no thread hangs with it', async (t) => {
  const { file, root } = await hostFile(t);
  const program = path.join(root, 'hangs.mjs');
  const pidFile = path.join(root, 'pid');
  writeFileSync(
    program,
    `import { writeFileSync } from 'node:fs'; writeFileSync(${JSON.stringify(pidFile)}, String(process.pid)); for (;;);`,
  );
  const apart = askProcess(file, program);
  const requester = new AbortController();
  const { answer, gone } = apart(
    { what: 'examine', hosts: [], deadlineMs: 1000 },
    () => {},
    requester.signal,
  );
  void untilSo(() => existsSync(pidFile)).then(() => requester.abort());
  await assert.rejects(answer, { name: 'AbortError' });
  await gone;
  const pid = Number(readFileSync(pidFile, 'utf8'));
  assert.throws(() => process.kill(pid, 0), { code: 'ESRCH' });
});
