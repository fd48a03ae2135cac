/** What the owner does on the host: files, file systems, other programs, ports. */
import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { copyFileSync, existsSync, renameSync, rmSync } from 'node:fs';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';
import type { At, HandResult, Hand, Hands } from './owner.ts';
import { Qmp } from './qmp.ts';
import { FILLER, portsIn } from './remains.ts';

const run = promisify(execFile);
const START_MS = 10_000;
const LOOK_MS = 20;
/** Nothing of the guest is there: it writes to eight places that are 3 MiB apart, 64 KiB to each. */
const SPARE_OFFSET = '2M';

/** As a restore does: a file with other contents is renamed over the path. The guest goes on with the first. */
export const replace: Hand = async ({ hands, host }, { file: place, id }) => {
  const file = hands.fileOn(host, place);
  const made = `${file}.restored`;
  copyFileSync(file, made);
  renameSync(made, file);
  hands.keep(file);
  return { file, id };
};

/** Another program of the host writes to the image as well. */
export const secondUser: Hand = async ({ hands, host }, { file: place, id }) => {
  const file = hands.fileOn(host, place);
  const child = spawn('bash', ['-c', `exec 5<>"${file}" && echo open && exec sleep 600`], {
    stdio: ['ignore', 'pipe', 'ignore'],
  });
  await once(child.stdout, 'data');
  hands.keep(file);
  hands.later(async () => {
    child.kill('SIGKILL');
    await once(child, 'close');
  });
  return { id, file };
};

/** Another guest, with its own hypervisor, writes to the disk as well: each has it as a shared one. */
export const secondGuest: Hand = async ({ number, hands }, { id, file }) => {
  const socket = path.join(hands.own, `second${number}.sock`);
  const words = ['-name', 'second', '-nodefaults', '-display', 'none', '-m', '32M'];
  const drive = `if=none,id=both,file=${file},format=raw,cache=none`;
  const device = 'virtio-blk-pci,id=both-dev,drive=both,share-rw=on';
  const monitor = ['-qmp', `unix:${socket},server=on,wait=off`];
  const argv = [...words, '-drive', drive, '-device', device, ...monitor];
  const child = spawn(hands.qemu, argv, { stdio: ['ignore', 'ignore', 'pipe'] });
  hands.later(async () => {
    if (child.exitCode !== null || child.signalCode !== null) return;
    child.kill('SIGKILL');
    await once(child, 'close');
  });
  let said = '';
  child.stderr.on('data', (chunk) => (said += String(chunk)));
  for (let left = START_MS; left > 0 && child.exitCode === null; left -= LOOK_MS) {
    const own = existsSync(socket) ? await Qmp.open(socket) : undefined;
    if (own !== undefined) {
      const line = `qemu-io both "write -P 0x5a ${SPARE_OFFSET} 64k"`;
      await own.ask('human-monitor-command', { 'command-line': line });
      own.close();
      hands.keep(file);
      return { id, file };
    }
    await sleep(LOOK_MS);
  }
  throw new Error(`the second guest does not start: ${said.trim()}`);
};

/** The guest's first port on the host where it is. */
async function portOf({
  host,
  hands,
}: At): Promise<{ readonly namespace: string; readonly port: string }> {
  const namespace = hands.namespaces[host] ?? '';
  const [found] = await portsIn(namespace);
  if (found === undefined) throw new Error('the guest has no port there');
  return { namespace, port: found.name };
}

export const isolatePort: Hand = async (at) => {
  const { namespace, port } = await portOf(at);
  await run('bridge', ['-n', namespace, 'link', 'set', 'dev', port, 'isolated', 'on']);
  return {};
};

/** Into a bridge that leads nowhere, as a port is taken out of use. */
export const movePort: Hand = async (at) => {
  const { namespace, port } = await portOf(at);
  const ip = (...words: string[]): Promise<unknown> => run('ip', ['-n', namespace, ...words]);
  await ip('link', 'add', 'br1', 'type', 'bridge').catch(() => undefined);
  at.hands.later(() => ip('link', 'del', 'br1'));
  await ip('link', 'set', 'br1', 'up');
  await ip('link', 'set', port, 'master', 'br1');
  return {};
};

/** Puts ports that an owner moved back where the guest can be asked. */
export async function returnPorts(namespace: string): Promise<void> {
  for (const { name, bridge } of await portsIn(namespace)) {
    if (bridge === 'br1') await run('ip', ['-n', namespace, 'link', 'set', name, 'master', 'br0']);
  }
}

export const unfloodPort: Hand = async (at) => {
  const { namespace, port } = await portOf(at);
  await run('bridge', ['-n', namespace, 'link', 'set', 'dev', port, 'flood', 'off']);
  return {};
};

/** Enough for what the witness asks of the guest. */
export const limitPort: Hand = async (at) => {
  const { namespace, port } = await portOf(at);
  const rate = ['tbf', 'rate', '20mbit', 'burst', '64kb', 'latency', '50ms'];
  await run('tc', ['-n', namespace, 'qdisc', 'add', 'dev', port, 'root', ...rate]);
  return {};
};

const FILL = `
at=0
for size in 33554432 4194304 524288 65536 4096; do
  while fallocate -o $at -l $size "$1" 2>/dev/null; do at=$((at + size)); done
done`;

/** Takes all room of a host's own storage, until the guest has been judged. */
export async function fill({ storage, soon }: Hands, host: string): Promise<HandResult> {
  const file = path.join(storage[host] ?? '', FILLER);
  soon(() => Promise.resolve(rmSync(file, { force: true })));
  await run('bash', ['-c', FILL, 'bash', file]);
  return {};
}
