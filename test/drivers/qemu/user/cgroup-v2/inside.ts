/**
 * Runs as root on a kernel that has cgroup v2 alone, and prints what it saw there as one line of JSON. It is a program of
 * its own because this machine's kernel has v1 as well: cgroup-v2.e2e.ts boots a guest for it.
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdirSync, readFileSync, readdirSync } from 'node:fs';
import {
  cgroupCheck,
  entering,
  inCgroup,
  removeCgroup,
} from '../../../../../src/drivers/qemu/user/cgroup.ts';

const ROOT = '/sys/fs/cgroup';
const GUEST_DIR = '/run/guests/web1';
const TASKS = 8;
const LIMITS = { memoryBytes: 64 * 1024 * 1024, tasks: TASKS };

const inShell = (script: string): { file: string; argv: readonly string[] } => ({
  file: '/bin/sh',
  argv: ['-c', script],
});

function started(script: string, again = false): ReturnType<typeof spawn> {
  const command = inShell(script);
  const { file, argv } = again
    ? entering(GUEST_DIR, command)
    : inCgroup(GUEST_DIR, LIMITS, command);
  return spawn(file, argv, { stdio: ['ignore', 'pipe', 'ignore'] });
}

async function output(script: string, again = false): Promise<string> {
  const child = started(script, again);
  let text = '';
  child.stdout?.setEncoding('utf8').on('data', (more: string) => void (text += more));
  await once(child, 'close');
  return text.trim();
}

mkdirSync(GUEST_DIR, { recursive: true });
const check = cgroupCheck({ memoryMarginBytes: 0, tasks: TASKS });
const own = await output('cat /proc/self/cgroup');
const directory = `${ROOT}${own.replace(/^0::/, '')}`;
const limits = ['memory.max', 'pids.max'].map((file) =>
  readFileSync(`${directory}/${file}`, 'utf8').trim(),
);
const ownAgain = await output('cat /proc/self/cgroup', true);

// A shell that keeps all that it reads: the kernel ends it.
const greedy = started('tail -c 400000000 /dev/zero');
const [, signal] = (await once(greedy, 'close')) as [number | null, string | null];

// More programs than the bound: a shell that cannot start one ends, so that another holds the last of the eight places.
const crowd = started(
  '(for each in 1 2 3 4 5 6 7 8 9 10 11 12; do sleep 1000 & done); sleep 1000; true',
);
let most = 0;
let refused = false;
for (let look = 0; look < 500 && !(most >= TASKS && refused); look += 1) {
  const members = readFileSync(`${directory}/cgroup.procs`, 'utf8').split('\n').filter(Boolean);
  most = Math.max(most, members.length);
  refused = /^max ([1-9]\d*)$/m.test(readFileSync(`${directory}/pids.events`, 'utf8'));
  await new Promise((resolve) => setTimeout(resolve, 20));
}
await removeCgroup(GUEST_DIR);
if (crowd.exitCode === null && crowd.signalCode === null) await once(crowd, 'close');

const seen = {
  verdict: check.verdict,
  evidence: check.evidence,
  own,
  ownAgain,
  limits,
  greedyEndedBy: signal,
  most,
  refused,
  isGone: !existsSync(directory),
  left: readdirSync(`${ROOT}/godwit`).filter((name) => name.startsWith('web1')),
};
process.stdout.write(`SEEN ${JSON.stringify(seen)}\n`);
