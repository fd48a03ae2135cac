/** Where a run is played: two hosts, and what starts guests on the first of them. */
import type { Lab } from '../lab/state.ts';
import type { agentContract } from '../src/protocol/contract.ts';
import type { Api } from '../src/rpc/client.ts';
import type { Scene } from './plan.ts';

/** A disk as it is at first. */
export interface StagedDisk {
  readonly id: string;
  /** As its host sees it. */
  readonly file: string;
  readonly isShared: boolean;
}

export interface StagedGuest {
  readonly name: string;
  readonly address: string;
  readonly mac: string;
  /** The program of its hypervisor. */
  readonly qemu: string;
  readonly disks: readonly StagedDisk[];
  /** Devices besides its disks. */
  readonly devices: readonly string[];
  /** A directory of its owner. */
  readonly own: string;
  /** In its CD drive; empty: nothing, or it has none. */
  readonly medium: string;
  readonly otherMedium: string;
}

export interface Ground {
  readonly lab: Lab;
  readonly from: string;
  readonly to: string;
  agent(host: string): Api<typeof agentContract>;
  /** Directory of a guest on a host, with the witness's monitor. */
  guestDirectory(host: string, guest: string): string;
  /** The storage of one host alone, as this machine sees it. */
  ownStorage(host: string): string;
  /** A file of a host, as this machine sees it. */
  fileOn(host: string, file: string): string;
  /** The manager's own client on a host; absent: nobody manages the guests. */
  manage?(host: string, words: readonly string[]): Promise<string>;
  boot(name: string, scene: Scene): Promise<StagedGuest>;
  remove(guest: StagedGuest): Promise<void>;
  close(): Promise<void>;
}
