import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';

/** What the process of all hosts (bench/fleet-hosts.ts) says of itself. */
export interface LoadFigures {
  /** Samples that it has sent. */
  readonly sent: number;
  /** Hosts that are followed. */
  readonly streams: number;
  readonly cpu: { readonly user: number; readonly system: number };
  /** Of moves that its hosts were asked for: begun, open at once at most, and begun while the guest had one already. */
  readonly moves: {
    readonly begun: number;
    readonly open: number;
    readonly mostAtOnce: number;
    readonly twice: number;
  };
}

/** `pause`: no sample is sent until `go on`. `release`: every move that is open ends, and each later one at once. */
export async function askLoad(
  load: ChildProcess,
  word: 'figures' | 'pause' | 'go on' | 'release' = 'figures',
): Promise<LoadFigures> {
  const reported = once(load, 'message') as Promise<[LoadFigures]>;
  load.send(word);
  return (await reported)[0];
}
