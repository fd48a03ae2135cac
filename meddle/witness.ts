/**
 * Watches one guest from outside: the hypervisors' own monitors, /proc, the files, the links, and the guest itself. It
 * shares no code with what it judges, and imports nothing of it.
 */
import { execFile } from 'node:child_process';
import { existsSync, readFileSync, readdirSync, readlinkSync, statSync } from 'node:fs';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';
import { bothRan, spans, type RunMark } from '../faults/timeline.ts';
import { Qmp, type QmpEvent } from './qmp.ts';
import { portsIn } from './remains.ts';
import type { SeenCopy, SeenDisk } from './verdict.ts';

const run = promisify(execFile);
const LOOK_MS = 25;
const STATUS_EVERY = 4;

/** A host of the lab, as the witness reaches it. */
export interface Place {
  readonly host: string;
  readonly namespace: string;
  /** Directory of the guest there, with the monitor's socket. */
  readonly guestDir: string;
}

export interface WitnessRequest {
  readonly guest: string;
  readonly address: string;
  readonly clientNamespace: string;
  readonly places: readonly Place[];
}

const COMMAND_PORT = 7002;
/** What is on each disk before a move, at a place that no guest writes to; words of `qemu-io`. */
export const MARK = '-P 0xa7 1M 64k';

export class Witness {
  readonly marks: RunMark[] = [];
  readonly #request: WitnessRequest;
  readonly #monitors = new Map<string, Qmp>();
  readonly #events = new Map<string, QmpEvent[]>();
  readonly #over = new AbortController();
  readonly #loops: Promise<void>[] = [];

  private constructor(request: WitnessRequest) {
    this.#request = request;
  }

  /** Resolves once it holds the monitor of the guest at `host`. */
  static async open(request: WitnessRequest, host: string): Promise<Witness> {
    const witness = new Witness(request);
    for (const place of request.places) witness.#loops.push(witness.#watch(place));
    while (witness.monitor(host) === undefined) await sleep(LOOK_MS);
    return witness;
  }

  async close(): Promise<void> {
    this.#over.abort();
    for (const monitor of this.#monitors.values()) monitor.close();
    await Promise.all(this.#loops);
  }

  monitor(host: string): Qmp | undefined {
    const found = this.#monitors.get(host);
    return found?.isClosed === true ? undefined : found;
  }

  /** Whether the hypervisor of a host has reported such an event. */
  saw(host: string, wanted: (event: QmpEvent) => boolean): boolean {
    return (this.#events.get(host) ?? []).some(wanted);
  }

  /** Two copies ran at the same time: where, and how long. */
  bothRan(): string | undefined {
    const both = bothRan(spans(this.marks, Date.now()));
    return both && `${both.host}, for ${Math.round(both.toMs - both.fromMs)} ms`;
  }

  /** Every hypervisor process of the guest, whoever started it. */
  async copies(): Promise<SeenCopy[]> {
    const found = this.#processes();
    return Promise.all(found.map(({ pid, host }) => this.#copy(pid, host)));
  }

  async status(host: string): Promise<string> {
    const answer = await this.monitor(host)
      ?.ask('query-status')
      .catch(() => undefined);
    return (answer as { status?: string } | undefined)?.status ?? 'silent';
  }

  /** One line to the guest, from the lab's client; undefined if it does not answer in time. */
  async askGuest(line: string, seconds: number): Promise<Record<string, unknown> | undefined> {
    const { address, clientNamespace } = this.#request;
    const script = `exec 3<>/dev/tcp/${address}/${COMMAND_PORT} && echo "${line}" >&3 && head -n 1 <&3`;
    const words = [
      'netns',
      'exec',
      clientNamespace,
      'timeout',
      String(seconds),
      'bash',
      '-c',
      script,
    ];
    const said = await run('ip', words).catch(() => undefined);
    if (said === undefined || said.stdout.trim() === '') return undefined;
    return JSON.parse(said.stdout) as Record<string, unknown>;
  }

  /** The client looks for the guest again: nobody told it where a guest is that moved with its link down. */
  async forgetNeighbours(): Promise<void> {
    await run('ip', ['-n', this.#request.clientNamespace, 'neigh', 'flush', 'all']);
  }

  #processes(): { pid: number; host: string }[] {
    const inodes = new Map<string, string>(
      this.#request.places.flatMap(({ host, namespace }) => {
        const file = `/run/netns/${namespace}`;
        return existsSync(file) ? [[`net:[${statSync(file).ino}]`, host] as const] : [];
      }),
    );
    return readdirSync('/proc').flatMap((name) => {
      if (!/^\d+$/.test(name)) return [];
      try {
        const argv = readFileSync(`/proc/${name}/cmdline`, 'utf8').split('\0');
        if (!isHypervisorOf(argv, this.#request.guest)) return [];
        const host = inodes.get(readlinkSync(`/proc/${name}/ns/net`));
        return host === undefined ? [] : [{ pid: Number(name), host }];
      } catch {
        return [];
      }
    });
  }

  async #copy(pid: number, host: string): Promise<SeenCopy> {
    const monitor = this.monitor(host);
    const ask = async <T>(command: string, otherwise: T, args = {}): Promise<T> => {
      const answer = monitor?.ask(command, args);
      return ((await answer?.catch(() => undefined)) as T) ?? otherwise;
    };
    const [status, blocks, devices, processors, jobs] = await Promise.all([
      this.status(host),
      ask<Block[]>('query-block', []),
      ask<{ name: string }[]>('qom-list', [], { path: '/machine/peripheral' }),
      ask<unknown[]>('query-cpus-fast', []),
      ask<{ id: string; status: string }[]>('query-jobs', []),
    ]);
    const open = openFiles(pid);
    const groups = await this.#limits(host, blocks);
    const place = this.#request.places.find((each) => each.host === host);
    const [port] = place === undefined ? [] : await portsIn(place.namespace);
    const disks = blocks.filter(({ removable, inserted }) => !removable && inserted !== undefined);
    const drive = blocks.find(({ removable }) => removable);
    return {
      host,
      status,
      port,
      disks: await Promise.all(disks.map((block) => this.#disk(pid, block, open, groups))),
      medium: fileOf(drive?.inserted),
      devices: devices.map(({ name }) => name),
      processors: processors.length,
      jobs: [
        ...jobs.filter(({ status: at }) => at !== 'concluded').map(({ id }) => id),
        ...this.#endedJobs(host),
      ],
    };
  }

  /** As its hypervisor sees it, among its own mounts. */
  async #disk(
    pid: number,
    block: Block,
    open: ReadonlyMap<string, string>,
    groups: ReadonlyMap<string, number>,
  ): Promise<SeenDisk> {
    const seen = seenDisk(pid, block, open, groups);
    // A job may put a node above the image.
    const format = /\.(qcow2|over\d+)$/.test(seen.file) ? 'qcow2' : 'raw';
    if (seen.id.startsWith('plugged') || seen.key === undefined || !seen.isAtPath) return seen;
    const read = ['qemu-io', '-U', '-r', '-f', format, '-c', `read ${MARK}`, seen.file];
    const said = await run('nsenter', [`--mount=/proc/${pid}/ns/mnt`, ...read]).catch(() => ({
      stdout: 'failed',
    }));
    return { ...seen, hasMark: !/failed/i.test(said.stdout) };
  }

  /** Bytes/s of the throttle groups that nodes of the disks are in. */
  async #limits(host: string, blocks: readonly Block[]): Promise<Map<string, number>> {
    const groups = new Set(blocks.map(({ inserted }) => groupOf(inserted)));
    const found = new Map<string, number>();
    for (const group of groups) {
      if (group === undefined) continue;
      const asked = { path: `/objects/${group}`, property: 'limits' };
      const limits = await this.monitor(host)
        ?.ask('qom-get', asked)
        .catch(() => undefined);
      found.set(group, (limits as { 'bps-total'?: number } | undefined)?.['bps-total'] ?? 0);
    }
    return found;
  }

  /** Jobs that came to their end by themselves. */
  #endedJobs(host: string): string[] {
    const all = this.#events.get(host) ?? [];
    return all.flatMap(({ event, data }) => {
      return event === 'BLOCK_JOB_COMPLETED' && data['error'] === undefined
        ? [String(data['device'])]
        : [];
    });
  }

  async #watch(place: Place): Promise<void> {
    for (let turn = 0; !this.#over.signal.aborted; turn += 1) {
      await this.#look(place, turn % STATUS_EVERY === 0).catch(() => undefined);
      await sleep(LOOK_MS, undefined, { signal: this.#over.signal }).catch(() => undefined);
    }
  }

  async #look({ host, guestDir }: Place, asksStatus: boolean): Promise<void> {
    let monitor = this.monitor(host);
    if (monitor === undefined) {
      const socket = path.join(guestDir, 'qmp-witness.sock');
      if (!existsSync(socket)) return;
      monitor = await Qmp.open(socket, (event) => this.#heard(host, event));
      if (monitor === undefined) return;
      this.#monitors.set(host, monitor);
    } else if (!asksStatus) return;
    const before = Date.now();
    const status = await this.status(host);
    if (status !== 'silent') this.#mark(host, before, status === 'running');
  }

  #heard(host: string, event: QmpEvent): void {
    const all = this.#events.get(host) ?? [];
    this.#events.set(host, [...all, event]);
    if (event.event === 'STOP' || event.event === 'CLOSED') this.#mark(host, event.atMs, false);
    if (event.event === 'RESUME') this.#mark(host, event.atMs, true);
  }

  /** A look that was begun before the latest event adds nothing. */
  #mark(host: string, atMs: number, runs: boolean): void {
    const last = this.marks.findLast((mark) => mark.host === host);
    if (last?.runs === runs || (last !== undefined && last.atMs > atMs)) return;
    this.marks.push({ host, atMs, runs });
  }
}

interface BlockDeviceInfo {
  readonly file?: string;
  readonly 'node-name'?: string;
  readonly image?: {
    readonly filename?: string;
    readonly 'backing-filename'?: string;
    readonly 'virtual-size'?: number;
  };
  readonly bps?: number;
}

/** A line of `query-block`. */
export interface Block {
  readonly device?: string;
  readonly qdev?: string;
  readonly removable: boolean;
  readonly inserted?: BlockDeviceInfo;
}

export function isHypervisorOf(argv: readonly string[], guest: string): boolean {
  if (!path.basename(argv[0] ?? '').startsWith('qemu-system')) return false;
  const name = argv[argv.indexOf('-name') + 1] ?? '';
  return argv.includes('-name') && (name.split(',')[0] ?? '').replace(/^guest=/, '') === guest;
}

/** `disk0-dev` of `/machine/peripheral/disk0-dev/virtio-backend`. */
export function deviceId(qdev = ''): string {
  return /\/peripheral\/([^/]+)/.exec(qdev)?.[1] ?? qdev;
}

/** The path of a file, which may stand in a `json:` description. */
export function fileOf(inserted: BlockDeviceInfo | undefined): string {
  const name = inserted?.image?.filename ?? inserted?.file ?? '';
  if (!name.startsWith('json:')) return name;
  for (
    let node: unknown = JSON.parse(name.slice('json:'.length));
    isRecord(node);
    node = node['file']
  ) {
    if (typeof node['filename'] === 'string') return node['filename'];
  }
  return name;
}

/** The throttle group of a disk whose top node is a throttle filter. */
export function groupOf(inserted: BlockDeviceInfo | undefined): string | undefined {
  const { file = '' } = inserted ?? {};
  if (!file.startsWith('json:')) return undefined;
  const top: unknown = JSON.parse(file.slice('json:'.length));
  const group = isRecord(top) ? top['throttle-group'] : undefined;
  return typeof group === 'string' ? group : undefined;
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null;
}

function seenDisk(
  pid: number,
  block: Block,
  open: ReadonlyMap<string, string>,
  groups: ReadonlyMap<string, number>,
): SeenDisk & { readonly isAtPath: boolean } {
  const file = fileOf(block.inserted);
  const atPath = fileKey(`/proc/${pid}/root${file}`);
  const isOpen = atPath !== undefined && [...open.values()].includes(atPath);
  return {
    id: deviceId(block.qdev),
    file,
    key: isOpen ? atPath : open.get(`${file} (deleted)`),
    bytes: block.inserted?.image?.['virtual-size'] ?? 0,
    isAtPath: isOpen,
    hasMark: undefined,
    // Set at the disk itself, or by a throttle node below it.
    limit: block.inserted?.bps || (groups.get(groupOf(block.inserted) ?? '') ?? 0),
  };
}

/** `dev:ino` of the file at a path. */
export function fileKey(file: string): string | undefined {
  const found = statSync(file, { throwIfNoEntry: false });
  return found && `${found.dev}:${found.ino}`;
}

/** The open files of a process: where each leads, and which file it is. */
export function openFiles(pid: number): Map<string, string> {
  const found = new Map<string, string>();
  const directory = `/proc/${pid}/fd`;
  try {
    for (const name of readdirSync(directory)) {
      const link = path.join(directory, name);
      try {
        const { dev, ino } = statSync(link);
        found.set(readlinkSync(link), `${dev}:${ino}`);
      } catch {
        // It was closed meanwhile.
      }
    }
  } catch {
    // The process has ended.
  }
  return found;
}
