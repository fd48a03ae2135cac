/** What an owner has at hand to change its guest. */
import type { Orders } from './orders.ts';
import type { Scene } from './plan.ts';
import type { Qmp } from './qmp.ts';
import type { Witness } from './witness.ts';

export interface Hands {
  readonly witness: Witness;
  readonly scene: Scene;
  readonly from: string;
  readonly to: string;
  /** Network namespace of each host. */
  readonly namespaces: Readonly<Record<string, string>>;
  /** The storage of each host alone, as this machine sees it. */
  readonly storage: Readonly<Record<string, string>>;
  /** The program of the guest's hypervisor. */
  readonly qemu: string;
  readonly guest: string;
  readonly mac: string;
  /** A file of a host, as this machine sees it. */
  readonly fileOn: (host: string, file: string) => string;
  /** The client of the guest's manager on a host; absent: nobody manages it. */
  readonly manage?: ((host: string, words: readonly string[]) => Promise<string>) | undefined;
  /** A directory of the owner's own, for what is put aside. */
  readonly own: string;
  /** A medium for the CD drive that is not in it at first. */
  readonly otherMedium: string;
  /** Called with what undoes an operation on the host, once the run has been judged. */
  readonly later: (undo: () => Promise<unknown>) => void;
  /** The same, before the guest is asked for what it finds. */
  readonly soon: (undo: () => Promise<unknown>) => void;
  /** A file of the owner that must stay as it is. */
  readonly keep: (file: string) => void;
}

export interface HandResult {
  readonly id?: string;
  readonly file?: string;
  readonly key?: string | undefined;
  readonly value?: number;
  /** The order was taken, and may be obeyed later. */
  readonly isPending?: boolean;
}

/** Where the guest is now, and what its owner wants of it. */
export interface At {
  readonly monitor: Qmp;
  readonly host: string;
  readonly orders: Orders;
  /** Of the operation: names that are made end in it. */
  readonly number: number;
  readonly hands: Hands;
}

export interface Disk {
  readonly id: string;
  readonly node: string;
  readonly file: string;
  readonly backing: string | undefined;
  readonly bytes: number;
}

export type Hand = (at: At, disk: Disk) => Promise<HandResult>;
