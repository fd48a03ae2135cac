/**
 * The independent witness of one container: by runc's record of it on each host, and by what the kernel says of its first
 * process and its cgroup. It asks nothing of Godwit.
 */
import { readFileSync } from 'node:fs';
import path from 'node:path';
import { z } from 'zod';
import { systemClock } from '../../src/clock.ts';
import { readStat } from '../../src/system/processes/process.ts';
import { runcRoot } from '../../lab/container/places.ts';
import { labHost, type Lab } from '../../lab/state.ts';
import { spans, type RunMark, type Span } from '../timeline.ts';

const LOOK_MS = 2;
/** Of 64, SIGKILL and SIGSTOP cannot be blocked, and the C library keeps two. */
const MAX_SIGNALS = 60;
const SIGKILL = 9;
/** What the kernel takes to stop a process before it runs is far less. */
const MIN_RUN_NS = 500_000;
const record = z.object({
  init_process_pid: z.number().int(),
  init_process_start: z.number(),
  cgroup_paths: z.record(z.string(), z.string()),
});

/** What is seen of its first process. */
interface Look {
  readonly pid: number;
  readonly runsNothing: boolean;
  readonly frozen: boolean;
  readonly place: Place | undefined;
  /** How long it has been on a processor, ns; NaN where the kernel does not say. */
  readonly ranNs: number;
}

/** Where a process is in its program. */
export interface Place {
  /** Its stack pointer and program counter. */
  readonly at: string;
  /** It has called the kernel, and the call is not over. */
  readonly inCall: boolean;
}

const runs = (seen: Look | undefined): boolean =>
  seen !== undefined && !seen.frozen && !seen.runsNothing;

/** It is on its way to a processor, or has been there for less than a program needs to begin. Pure. */
export function waitsForProcessor(
  seen: Pick<Look, 'place' | 'ranNs'> | undefined,
  ranNs: number,
): boolean {
  return seen !== undefined && seen.place === undefined && seen.ranNs - ranNs < MIN_RUN_NS;
}

/** '' where the kernel has no such file: then nothing is taken back of what seems to run. */
function textOf(file: string): string {
  try {
    return readFileSync(file, 'utf8');
  } catch {
    return '';
  }
}

/**
 * Seen as running one look before, it is stopped where it was frozen at the other host, and has called nothing: CRIU has let
 * go of what it restored, which is runnable for as long as it waits for a processor, and stops before the first instruction
 * of its program. Pure.
 */
export function neverBegan(
  seen: Pick<Look, 'runsNothing' | 'place'> | undefined,
  frozenAt: string | undefined,
): boolean {
  const place = seen?.runsNothing === true ? seen.place : undefined;
  return place !== undefined && !place.inCall && place.at === frozenAt;
}

/** By /proc/PID/syscall; undefined of a process that is on a processor. Pure. */
export function placeIn(syscall: string): Place | undefined {
  const at = /(0x[0-9a-f]+ 0x[0-9a-f]+)\s*$/.exec(syscall)?.[1];
  return at === undefined ? undefined : { at, inCall: !syscall.startsWith('-1 ') };
}

export class ContainerWitness {
  readonly marks: RunMark[] = [];
  readonly #lab: Lab;
  readonly #name: string;
  /** Hosts where it seems to run since then, and may not have been on a processor yet. */
  readonly #seeming = new Map<string, { readonly atMs: number; readonly ranNs: number }>();
  /** Where in its program it was frozen last. */
  #frozenAt: string | undefined;
  readonly #over = new AbortController();
  readonly #loop: Promise<void>;

  constructor(lab: Lab, name: string) {
    this.#lab = lab;
    this.#name = name;
    this.#loop = this.#watch();
  }

  /** Its first process there, alive or stopped; undefined where there is none. */
  pid(host: string): number | undefined {
    return this.#look(host)?.pid;
  }

  isFrozen(host: string): boolean {
    return this.#look(host)?.frozen === true;
  }

  spans(): Span[] {
    return spans(this.marks, systemClock.wallMs());
  }

  runningOn(): string[] {
    return this.#lab.hosts.filter((host) => runs(this.#look(host)));
  }

  async close(): Promise<void> {
    this.#over.abort(new Error('closed'));
    await this.#loop;
  }

  async #watch(): Promise<void> {
    while (!this.#over.signal.aborted) {
      for (const host of this.#lab.hosts) this.#mark(host, this.#look(host));
      await systemClock.sleep(LOOK_MS, this.#over.signal).catch(() => {});
    }
  }

  /** One that seems to run is marked once it has been on a processor, or is found elsewhere than where it was frozen. */
  #mark(host: string, seen: Look | undefined): void {
    if (seen?.frozen === true) this.#frozenAt = seen.place?.at;
    const [isRunning, atMs] = [runs(seen), systemClock.wallMs()];
    const since = this.#seeming.get(host);
    if (since !== undefined) {
      if (isRunning && waitsForProcessor(seen, since.ranNs)) return;
      this.#seeming.delete(host);
      if (!neverBegan(seen, this.#frozenAt))
        this.marks.push({ host, atMs: since.atMs, runs: true });
    }
    const didRun = this.marks.findLast((mark) => mark.host === host)?.runs === true;
    if (didRun && !isRunning) this.marks.push({ host, atMs, runs: false });
    if (!didRun && isRunning) this.#seeming.set(host, { atMs, ranNs: seen?.ranNs ?? NaN });
  }

  #look(host: string): Look | undefined {
    const file = path.join(runcRoot(labHost(this.#lab, host).stateDir), this.#name, 'state.json');
    try {
      const known = record.parse(JSON.parse(readFileSync(file, 'utf8')));
      const pid = known.init_process_pid;
      // In this order: one that is killed while it is frozen is thawed then, takes the signal, and says at once that it ends.
      // Each file read before its forerunner would miss what has happened in between.
      const freezer = known.cgroup_paths['freezer'];
      const said =
        freezer === undefined
          ? readFileSync(path.join(known.cgroup_paths[''] ?? '', 'cgroup.events'), 'utf8')
          : readFileSync(path.join(freezer, 'freezer.state'), 'utf8');
      const frozen = freezer === undefined ? /^frozen 1$/m.test(said) : said.trim() !== 'THAWED';
      const status = readFileSync(`/proc/${pid}/status`, 'utf8');
      const stat = readStat(readFileSync(`/proc/${pid}/stat`, 'utf8'));
      // Another process may have its number by now.
      if (stat?.startTicks !== known.init_process_start || stat.hasEnded) return undefined;
      const place = placeIn(textOf(`/proc/${pid}/syscall`));
      const ranNs = Number.parseInt(textOf(`/proc/${pid}/schedstat`), 10);
      const nothing = isEnding(stat.flags) || runsNothing(status);
      return { pid, frozen, runsNothing: nothing, place, ranNs };
    } catch {
      return undefined;
    }
  }
}

/** PF_EXITING and PF_SIGNALED of the kernel: the process has taken the signal that ends it. */
const ENDING = 0x4 | 0x400;

/** By a process's flags in /proc/PID/stat: no instruction of its program follows. Pure. */
export const isEnding = (flags: number): boolean => (flags & ENDING) !== 0;

/**
 * By /proc/PID/status: it is stopped; or it blocks every signal, as CRIU has it in the process that it restores, until that
 * goes on with the container's own program; or SIGKILL waits for it or it has given back its memory, and it ends before its
 * next instruction. All by one reading: CRIU stops what it restored in the moment in which that blocks no signal any more, so
 * the state of one moment beside the signals of the next would look as if it ran. Pure.
 */
export function runsNothing(status: string): boolean {
  const bitsOf = (field: string): string => {
    const digits = new RegExp(`^${field}:\\s*([0-9a-f]+)`, 'm').exec(status)?.[1] ?? '0';
    return BigInt(`0x${digits}`).toString(2).padStart(64, '0');
  };
  const blocked = bitsOf('SigBlk').replaceAll('0', '').length;
  const isKilled = [bitsOf('SigPnd'), bitsOf('ShdPnd')].some((bits) => bits.at(-SIGKILL) === '1');
  const isStopped = /^State:\s*[Tt]/m.test(status);
  return isStopped || blocked >= MAX_SIGNALS || isKilled || !/^VmSize:/m.test(status);
}
