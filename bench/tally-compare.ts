import { TCP_STATES, tcpSockets, unixSockets } from '../src/system/kernel-tables.ts';

/** What moves left behind, found by counting before and after. Pure. */

export interface HostTally {
  readonly host: string;
  readonly processes: readonly string[];
  readonly taps: readonly string[];
  /** Below the host's state directory, relative to it. */
  readonly files: readonly string[];
  /** Open file descriptors of the host's agent. */
  readonly agentDescriptors: number;
  /** TCP sockets, those that only wait for late packets left out. */
  readonly tcpSockets: number;
  readonly unixSockets: number;
}

/** The record of a migration that has ended stays on purpose. */
const RECORD =
  /^migrations(\/[^/]+(\/(request\.json|mover\.json|mover\.log|mover-\w+\.lock|journal-\w+\.jsonl))?)?$/;

/**
 * A line for each difference between two tallies of one lab with its guest on the same host both times.
 * Taps count by their number, since each move names its own.
 */
export function leftBehind(before: readonly HostTally[], after: readonly HostTally[]): string[] {
  return after.flatMap((now) => {
    const then = before.find(({ host }) => host === now.host);
    if (then === undefined) return [`host ${now.host} was not there before`];
    return [
      ...more('process', then.processes, now.processes),
      ...counted('taps', then.taps.length, now.taps.length),
      ...more(
        'file',
        then.files,
        now.files.filter((file) => !RECORD.test(file)),
      ),
      ...counted('file descriptors of the agent', then.agentDescriptors, now.agentDescriptors),
      ...counted('TCP sockets', then.tcpSockets, now.tcpSockets),
      ...counted('unix sockets', then.unixSockets, now.unixSockets),
    ].map((line) => `host ${now.host}: ${line}`);
  });
}

/** From /proc/net/tcp and /proc/net/unix, one after the other. */
export function socketsOf(text: string): { tcpSockets: number; unixSockets: number } {
  const open = tcpSockets(text).filter(({ state }) => state !== TCP_STATES.timeWait);
  return { tcpSockets: open.length, unixSockets: unixSockets(text).length };
}

function counted(what: string, before: number, now: number): string[] {
  return now <= before ? [] : [`${now} ${what}, ${before} before`];
}

function more(what: string, before: readonly string[], now: readonly string[]): string[] {
  const rest = [...before];
  return now.flatMap((entry) => {
    const index = rest.indexOf(entry);
    if (index === -1) return [`${what} ${entry} was left behind`];
    rest.splice(index, 1);
    return [];
  });
}
