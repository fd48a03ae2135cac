import { readdir, realpath, stat } from 'node:fs/promises';
import path from 'node:path';
import { reasonOf, tryProgram, type Outcome } from './attempt.ts';
import type { Attempt, HypervisorFact } from './facts.ts';

const NAMES = ['qemu-system-x86_64', 'qemu-kvm'];
const MAX_BINARIES = 16;

/** QEMUs of the configuration, of the PATH and of setup's own folder, each tried out. */
export async function findHypervisors(
  configured: readonly string[],
  folders: readonly string[],
  cache: string,
): Promise<HypervisorFact[]> {
  const inFolders = folders.flatMap((folder) => NAMES.map((name) => path.join(folder, name)));
  const versions = await readdir(path.join(cache, 'qemu')).catch(() => []);
  const own = versions.map((each) => path.join(cache, 'qemu', each, 'bin', 'qemu-system-x86_64'));
  const real = await Promise.all([...configured, ...inFolders, ...own].map(realProgram));
  const binaries = [...new Set(real.filter((each) => each !== undefined))].slice(0, MAX_BINARIES);
  return Promise.all(binaries.map(tryHypervisor));
}

async function realProgram(file: string): Promise<string | undefined> {
  try {
    const found = await realpath(file);
    return (await stat(found)).isFile() ? found : undefined;
  } catch {
    return undefined;
  }
}

async function tryHypervisor(binary: string): Promise<HypervisorFact> {
  const [version, kvm, tcg] = await Promise.all([
    tryProgram([binary, '--version']),
    tryMachine(binary, 'kvm'),
    tryMachine(binary, 'tcg'),
  ]);
  return {
    binary,
    version: /version (\d+\.\d+(?:\.\d+)?)/.exec(version.stdout)?.[1],
    kvm: kvm.status === 0 ? { ok: true } : { ok: false, reason: words(kvm, binary) },
    postcopy: postcopyAnswer(tcg, binary),
  };
}

/** An empty machine, set up as a destination that is asked for post-copy, and ended. */
function tryMachine(binary: string, accelerator: 'kvm' | 'tcg'): Promise<Outcome> {
  const commands = [
    { execute: 'qmp_capabilities' },
    {
      execute: 'migrate-set-capabilities',
      arguments: { capabilities: [{ capability: 'postcopy-ram', state: true }] },
      id: 'postcopy',
    },
    { execute: 'quit' },
  ];
  const input = commands.map((each) => `${JSON.stringify(each)}\n`).join('');
  const machine = [
    '-machine',
    'none',
    '-accel',
    accelerator,
    '-S',
    '-nodefaults',
    '-display',
    'none',
  ];
  return tryProgram([binary, ...machine, '-incoming', 'defer', '-qmp', 'stdio'], { input });
}

/** QEMU tries userfaultfd before it accepts the capability on an incoming machine. */
function postcopyAnswer(outcome: Outcome, binary: string): Attempt {
  for (const line of outcome.stdout.split('\n')) {
    const answer = parse(line);
    if (answer.id !== 'postcopy') continue;
    if (answer.error === undefined) return { ok: true };
    return { ok: false, reason: String(answer.error.desc ?? 'refused').slice(0, 300) };
  }
  return { ok: false, reason: words(outcome, binary) };
}

function parse(line: string): { id?: unknown; error?: { desc?: string } } {
  try {
    return JSON.parse(line) as { id?: unknown; error?: { desc?: string } };
  } catch {
    return {};
  }
}

/** QEMU puts its own path before what it says. */
function words(outcome: Outcome, binary: string): string {
  return reasonOf(outcome).replace(`${binary}: `, '');
}
