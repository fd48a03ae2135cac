import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { access, constants, readFile, realpath, stat } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { z } from 'zod';
import { toGodwitError } from '../../../errors.ts';
import type { NetworkClient } from '../../../protocol/network-file.ts';
import { askProgram, type Question } from './one-shot-qemu.ts';
import { readKept, writeKept } from './answer-cache.ts';
import * as answers from '../qmp/answers.ts';
import type { QmpClient } from '../qmp/client.ts';
import { featureNames } from '../spec/cpu.ts';
import { readTsc } from './tsc.ts';
import type { StreamAbilities } from '../stream.ts';
import type { RunAs } from '../user/confine.ts';
import { deviceUser } from '../user/devices.ts';
import { rangeOf, type QemuUser } from '../user/ids.ts';

const program = z.object({
  binary: z.string(),
  version: z.string(),
  arch: z.string(),
  machineTypes: z.array(z.string()),
  capabilities: z.array(z.string()),
  multifdCompression: z.array(z.string()),
  postcopyObstacle: z.string().optional(),
  sandbox: z.boolean(),
  rdma: z.boolean(),
  /** Features of the best processor, by accelerator; an accelerator that does not work is absent. */
  features: z.partialRecord(z.enum(['kvm', 'tcg']), z.array(z.string())),
  /** Default TSC frequency of a guest under KVM, Hz: this host's frequency. */
  tscHz: z.number().positive().optional(),
});
export type QemuProgram = z.infer<typeof program> & StreamAbilities;

const PROBE_MS = 10_000;

export interface BinaryOptions {
  readonly host: string;
  readonly binaries: readonly string[];
  /** User of guests' QEMUs: not every user may use post-copy. */
  readonly user: QemuUser;
  readonly cacheDir: string;
}

/** Programs of this host, newest first; programs that do not run are left out. */
export async function listPrograms(
  options: BinaryOptions,
  signal: AbortSignal,
): Promise<QemuProgram[]> {
  const files = options.binaries.length > 0 ? options.binaries : await programsOnPath();
  const found = await Promise.all(
    files.map((file) => cachedProgram(file, options, signal).catch(() => undefined)),
  );
  signal.throwIfAborted();
  return found.filter((each) => each !== undefined);
}

/** Each program once, by its first path: /bin is often a link to /usr/bin. */
export async function programsOnPath(folderList = process.env['PATH'] ?? ''): Promise<string[]> {
  const name = `qemu-system-${os.arch() === 'arm64' ? 'aarch64' : 'x86_64'}`;
  const folders = folderList.split(path.delimiter).filter((dir) => dir !== '');
  const candidates = [...folders.map((dir) => path.join(dir, name)), '/usr/libexec/qemu-kvm'];
  const found = new Map<string, string>();
  for (const file of candidates) {
    const real = await realpath(file).catch(() => undefined);
    if (real === undefined || found.has(real)) continue;
    const usable = await access(file, constants.X_OK).then(
      () => true,
      () => false,
    );
    if (usable) found.set(real, file);
  }
  return [...found.values()].slice(0, 16);
}

/** Program's abilities, from the cache file if the program, kernel and processor are unchanged. */
async function cachedProgram(
  file: string,
  options: BinaryOptions,
  signal: AbortSignal,
): Promise<QemuProgram> {
  const kept = path.join(options.cacheDir, `${await factsKey(file, options)}.json`);
  const cached = await readKept(kept, program);
  if (cached !== undefined) return cached;
  const fresh = await probe(file, await kvmUsable(), options, signal);
  await writeKept(kept, fresh);
  return fresh;
}

export async function factsKey(
  file: string,
  options: Pick<BinaryOptions, 'user'>,
): Promise<string> {
  const { mtimeMs, size } = await stat(file);
  const kvm = await kvmUsable();
  const postcopy = await readFile('/proc/sys/vm/unprivileged_userfaultfd', 'utf8').catch(() => '');
  const user = JSON.stringify(options.user);
  const machine = [os.release(), os.cpus()[0]?.model ?? '', process.getuid?.() ?? '', postcopy];
  const facts = ['8', file, user, mtimeMs, size, kvm, ...machine];
  return createHash('sha256').update(facts.join('\n')).digest('hex').slice(0, 24);
}

async function kvmUsable(): Promise<boolean> {
  return access('/dev/kvm', constants.R_OK | constants.W_OK).then(
    () => true,
    () => false,
  );
}

async function probe(
  file: string,
  kvm: boolean,
  { host, user }: BinaryOptions,
  signal: AbortSignal,
): Promise<QemuProgram> {
  const about = (as: RunAs | undefined) =>
    askProgram(
      { file, host, deadlineMs: PROBE_MS, as, accelerator: 'tcg' },
      signal,
      async (client, inner) => ({
        ...(await askAbilities(client, inner)),
        features: await askFeatures(client, inner),
      }),
    );
  const as = await questionUser(user);
  // A program that only we can run is refused by name if a guest needs it (`user`).
  const base = await about(as).catch((error: unknown) => {
    if (as === undefined || signal.aborted) throw error;
    return about(undefined);
  });
  const question = { file, host, deadlineMs: PROBE_MS, as, sandbox: base.sandbox };
  const withKvm = kvm
    ? await askProgram({ ...question, accelerator: 'kvm' }, signal, askFeatures).catch(
        () => undefined,
      )
    : undefined;
  const features =
    withKvm === undefined ? { tcg: base.features } : { kvm: withKvm, tcg: base.features };
  const tscHz = withKvm === undefined ? undefined : await askTsc(question, signal);
  const obstacle = await postcopyObstacle(question, signal);
  const postcopy = obstacle === undefined ? {} : { postcopyObstacle: obstacle };
  const tsc = tscHz === undefined ? {} : { tscHz };
  return { ...base, binary: file, features, ...tsc, rdma: await hasRdma(file), ...postcopy };
}

/** KVM reports the frequency only for a processor, so the empty machine gets one. */
async function askTsc(
  question: Omit<Question, 'accelerator'>,
  signal: AbortSignal,
): Promise<number | undefined> {
  const withCpu = { ...question, accelerator: 'kvm', cpu: 'qemu64,apic-id=0' } as const;
  return askProgram(withCpu, signal, async (client, inner) => {
    const cpus = await client.query('query-cpus-fast', {}, answers.cpus, inner);
    return readTsc(client, cpus[0]?.['qom-path'] ?? '', inner);
  }).catch(() => undefined);
}

/** The library in the file shows RDMA support; no QEMU answer does. */
export async function hasRdma(file: string): Promise<boolean> {
  const wanted = 'librdmacm.so';
  let end = '';
  for await (const piece of createReadStream(file, { encoding: 'latin1' })) {
    const text = end + String(piece);
    if (text.includes(wanted)) return true;
    end = text.slice(-wanted.length);
  }
  return false;
}

/** User of a program that is queried: it may open the same devices as a guest's QEMU. Undefined: as this process. */
export async function questionUser(user: QemuUser): Promise<RunAs | undefined> {
  // Missing users have a separate refusal.
  const range = await rangeOf(user).catch(() => undefined);
  return range === undefined ? undefined : deviceUser(range);
}

async function postcopyObstacle(
  question: Omit<Question, 'accelerator'>,
  signal: AbortSignal,
): Promise<string | undefined> {
  const capabilities = [{ capability: 'postcopy-ram', state: true }];
  try {
    return await askProgram({ ...question, accelerator: 'tcg' }, signal, async (client, inner) => {
      const answer = await client.request('migrate-set-capabilities', { capabilities }, inner);
      return answer.ok ? undefined : answer.reason;
    });
  } catch (thrown) {
    signal.throwIfAborted();
    return `it cannot be asked as another user: ${toGodwitError(thrown).message}`;
  }
}

async function askAbilities(client: QmpClient, signal: AbortSignal) {
  const [machines, capabilities, schema, target, sandbox] = await Promise.all([
    client.query('query-machines', {}, answers.machines, signal),
    client.query('query-migrate-capabilities', {}, answers.capabilityList, signal),
    client.query('query-qmp-schema', {}, answers.schemaEntries, signal),
    client.query('query-target', {}, z.object({ arch: z.string() }), signal),
    client.request('query-command-line-options', { option: 'sandbox' }, signal),
  ]);
  const compression = schema.find(
    (entry) => entry['meta-type'] === 'enum' && isMultifdCompression(entry.values ?? []),
  );
  return {
    version: client.version,
    arch: target.arch,
    machineTypes: machines.map((machine) => machine.name),
    capabilities: capabilities.map((each) => each.capability),
    multifdCompression: compression?.values ?? [],
    sandbox: sandbox.ok,
  };
}

/**
 * Errors that each client reports before it contacts a server: a path without a directory, a user without a
 * password, a missing configuration.
 */
const FAULTS = {
  nfs: { driver: 'nfs', server: { type: 'inet', host: '127.0.0.1' }, path: 'none' },
  iscsi: {
    driver: 'iscsi',
    transport: 'tcp',
    portal: '127.0.0.1',
    target: 'iqn.none',
    lun: 0,
    user: 'none',
  },
  rbd: { driver: 'rbd', pool: 'none', image: 'none', conf: '/proc/none' },
} as const;

/**
 * Checks whether a program can open network images. Each client is a module that may be installed at any time,
 * so it is given an input that only an installed client rejects.
 */
export async function hasClient(
  { binary: file, sandbox }: Pick<QemuProgram, 'binary' | 'sandbox'>,
  client: NetworkClient,
  { host, user }: Pick<BinaryOptions, 'host' | 'user'>,
  signal: AbortSignal,
): Promise<boolean> {
  const as = await questionUser(user);
  const question = { file, host, deadlineMs: PROBE_MS, as, sandbox };
  return askProgram({ ...question, accelerator: 'tcg' }, signal, async (monitor, inner) => {
    const asked = { ...FAULTS[client], 'node-name': client };
    const opened = await monitor.request('blockdev-add', asked, inner);
    return opened.ok || !/unknown driver/i.test(opened.reason);
  });
}

/** The schema hides type names, so the enumeration is recognized by its values. */
export function isMultifdCompression(values: readonly string[]): boolean {
  return values[0] === 'none' && values.includes('zlib');
}

async function askFeatures(client: QmpClient, signal: AbortSignal): Promise<string[]> {
  const { model } = await client.query(
    'query-cpu-model-expansion',
    { type: 'full', model: { name: 'max' } },
    answers.cpuModel,
    signal,
  );
  return featureNames(model.props);
}
