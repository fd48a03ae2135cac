import { execFile } from 'node:child_process';
import { open, readdir } from 'node:fs/promises';
import path from 'node:path';
import type { Clock } from '../../clock.ts';
import type { Log } from '../../log.ts';
import { Poller } from '../../poller.ts';
import type { HealthSignal, HostHealth } from '../../protocol/public/hosts/health.ts';
import * as parse from './health-parse.ts';
import type { HealthLook } from './health-parse.ts';

/** Interval of reads; disks are read less often, because each takes a process. */
const EVERY_MS = 60_000;
const DISKS_EVERY_MS = 30 * 60_000;
const MAX_BYTES = 4096;
const MAX_PARTS = 256;
const MAX_DISKS = 64;
const ASKING_MS = 10_000;
const MAX_ANSWER = 1024 * 1024;
/** Spacing of kept reads. A day of them is kept to compare counters. */
const KEPT_EVERY_MS = 600_000;

export interface HealthReader {
  readonly list: (folder: string) => Promise<readonly string[]>;
  readonly read: (file: string) => Promise<string | undefined>;
  /** Output of smartctl; undefined if it is not installed or does not answer. */
  readonly smartctl: (args: readonly string[], signal: AbortSignal) => Promise<string | undefined>;
}

export function healthReader(root = '/sys', smartctl = 'smartctl'): HealthReader {
  return {
    list: async (folder) => {
      const names = await readdir(path.join(root, folder)).catch(() => []);
      return names.toSorted((one, other) => (one < other ? -1 : 1)).slice(0, MAX_PARTS);
    },
    read: (file) => firstBytes(path.join(root, file)),
    smartctl: (args, signal) =>
      new Promise((resolve) => {
        // A process that hangs in the kernel survives its kill.
        const late = setTimeout(() => resolve(undefined), ASKING_MS + 1000);
        const options = {
          timeout: ASKING_MS,
          killSignal: 'SIGKILL' as const,
          maxBuffer: MAX_ANSWER,
          signal,
        };
        // The exit code also reports the disk's state, so any output counts.
        execFile(smartctl, [...args], options, (_error, stdout) => {
          clearTimeout(late);
          resolve(stdout === '' ? undefined : stdout);
        });
      }),
  };
}

async function firstBytes(file: string): Promise<string | undefined> {
  try {
    const handle = await open(file, 'r');
    try {
      const { buffer, bytesRead } = await handle.read(Buffer.alloc(MAX_BYTES), 0, MAX_BYTES, 0);
      return buffer.toString('latin1', 0, bytesRead);
    } finally {
      await handle.close();
    }
  } catch {
    return undefined;
  }
}

export class Health {
  readonly #clock: Clock;
  readonly #reader: HealthReader;
  readonly #loops: Poller;
  #looks: HealthLook[] = [];
  #newest: HostHealth | undefined;
  #disks: { readonly signals: HealthSignal[]; readonly reported: boolean } | undefined;

  constructor(
    { clock, log }: { readonly clock: Clock; readonly log: Log },
    reader = healthReader(),
  ) {
    this.#clock = clock;
    this.#loops = new Poller({ clock, log });
    this.#reader = reader;
  }

  readonly newest = (): HostHealth | undefined => this.#newest;

  /** Disks have a separate loop, because many disks that do not answer take minutes. */
  start(): void {
    const failed = 'how well this host is was not read';
    this.#loops.start(EVERY_MS, () => this.look(), failed);
    this.#loops.start(DISKS_EVERY_MS, () => this.lookAtDisks(), failed);
  }

  stop(): void {
    void this.#loops.close();
  }

  async look(): Promise<HostHealth> {
    const atMs = this.#clock.monotonicMs();
    const [memory, temperatures, links] = [
      await this.#memory(),
      await this.#temperatures(),
      await this.#links(),
    ];
    const disks = this.#disks;
    const look = { atMs, memory, temperatures, links, disks: disks?.signals ?? [] };
    const looks = [...this.#looks.filter((each) => atMs - each.atMs <= parse.DAY_MS), look];
    const signals = parse.signalsOf(looks);
    this.#keep(look);
    const notRead = [
      ...(memory.length === 0 ? ['errors of memory: its kernel has no EDAC driver for it'] : []),
      ...(disks === undefined ? ['disks: they have not been asked yet'] : []),
      ...(disks?.reported === false ? ['disks: smartctl is not installed, or knows none'] : []),
      ...(temperatures.length === 0 ? ['temperature: its kernel has no sensor'] : []),
    ];
    this.#newest = { at: new Date(this.#clock.wallMs()).toISOString(), signals, notRead };
    return this.#newest;
  }

  #keep(look: HealthLook): void {
    const within = this.#looks.filter(({ atMs }) => look.atMs - atMs <= parse.DAY_MS);
    const last = within.at(-1);
    if (last === undefined || look.atMs - last.atMs >= KEPT_EVERY_MS) within.push(look);
    this.#looks = within;
  }

  async #memory(): Promise<HealthLook['memory']> {
    const { list, read } = this.#reader;
    const root = 'devices/system/edac/mc';
    const all: parse.MemoryErrors[] = [];
    for (const part of await list(root)) {
      if (!/^mc\d+$/.test(part)) continue;
      const corrected = parse.parseCount(await read(`${root}/${part}/ce_count`));
      const uncorrected = parse.parseCount(await read(`${root}/${part}/ue_count`));
      if (corrected === undefined && uncorrected === undefined) continue;
      all.push({ part, corrected: corrected ?? 0, uncorrected: uncorrected ?? 0 });
    }
    return all;
  }

  async #temperatures(): Promise<HealthLook['temperatures']> {
    const { list, read } = this.#reader;
    const all: parse.Temperature[] = [];
    for (const chip of await list('class/hwmon')) {
      const name = parse.nameOf(await read(`class/hwmon/${chip}/name`), chip);
      for (const file of await list(`class/hwmon/${chip}`)) {
        const sensor = /^(temp\d{1,3})_input$/.exec(file)?.[1];
        if (sensor === undefined || all.length >= MAX_PARTS) continue;
        const of = (what: string) => read(`class/hwmon/${chip}/${sensor}_${what}`);
        const now = parse.parseDegrees(await of('input'));
        if (now === undefined) continue;
        const [most, critical] = [await of('max'), await of('crit')].map(limitOf);
        all.push({
          part: `${name} ${parse.nameOf(await of('label'), sensor)}`,
          now,
          most,
          critical,
        });
      }
    }
    return all;
  }

  async #links(): Promise<HealthLook['links']> {
    const { list, read } = this.#reader;
    const all: parse.LinkState[] = [];
    for (const part of await list('class/net')) {
      const at = `class/net/${part}`;
      // Physical links have a `device` entry; bridges and taps have none.
      if ((await list(`${at}/device`)).length === 0) continue;
      const count = async (file: string): Promise<number> =>
        parse.parseCount(await read(`${at}/${file}`)) ?? 0;
      const carrier = parse.parseCount(await read(`${at}/carrier`));
      all.push({
        part,
        carrier: carrier === undefined ? undefined : carrier === 1,
        errors: (await count('statistics/rx_errors')) + (await count('statistics/tx_errors')),
        packets: (await count('statistics/rx_packets')) + (await count('statistics/tx_packets')),
        changes: await count('carrier_changes'),
      });
    }
    return all;
  }

  async lookAtDisks(): Promise<void> {
    const known = this.#disks;
    const { signal } = this.#loops;
    const scan = await this.#reader.smartctl(['--scan', '--json=c'], signal);
    if (scan === undefined && known !== undefined) return;
    const disks = parse.parseScan(scan ?? '', MAX_DISKS);
    const signals: HealthSignal[] = [];
    for (const { name, type } of disks) {
      // `standby`: a sleeping disk is not woken.
      const asked = ['--json=c', '-H', '-A', '-n', 'standby', '-d', type, name];
      const reported = parse.parseSmart(name, (await this.#reader.smartctl(asked, signal)) ?? '');
      signals.push(...(reported ?? known?.signals.filter(({ part }) => part === name) ?? []));
    }
    this.#disks = { signals, reported: disks.length > 0 };
  }
}

/** A driver without a threshold reports 0 or nonsense. */
function limitOf(text: string | undefined): number | undefined {
  const degrees = parse.parseDegrees(text);
  return degrees !== undefined && degrees > 0 ? degrees : undefined;
}
