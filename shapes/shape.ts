import type { ErrorCode } from '../src/errors.ts';
import type { AsideName } from './aside.ts';

/** A guest as its manager or administrator starts it, as data, and what becomes of it when it is moved. */
export interface Shape {
  /** Of letters, digits and dashes; `--only` looks for a part of it. */
  readonly name: string;
  readonly by: Starter;
  /** What is particular about it, for the table of docs/guests.md. */
  readonly what: string;
  /** The whole line of a manager, and not a line about one trait. */
  readonly whole?: true;
  /** As a shell reads it; paths are those of its host. */
  readonly line: string;
  /** Which rules of aside.ts change the line for this machine. A unit test holds that they are all, and none too many. */
  readonly aside: readonly AsideName[];
  readonly host?: Host;
  readonly expected: ShapeExpectation;
  /** Why it moves only between QEMUs of one version. */
  readonly oneVersion?: string;
  /** The oldest QEMU that starts it; default 7.2. */
  readonly since?: string;
  /** Done over QMP once it runs, before it is moved. */
  readonly once?: readonly (readonly [command: string, args: object])[];
}

export const STARTERS = ['libvirt', 'Proxmox VE', 'Nova', 'script', 'trait'] as const;
export type Starter = (typeof STARTERS)[number];

/** What its host has. Paths are below the trial's own root. */
export interface Host {
  readonly images?: Readonly<Record<string, ImageKind>>;
  /** Files of UEFI firmware, as the package `ovmf` has them: with them the guest is booted by it. */
  readonly firmware?: Readonly<Record<string, FirmwareKind>>;
  /** Sockets at which swtpm serves a TPM before it starts. */
  readonly tpms?: Readonly<Record<string, TpmKind>>;
  /** Files with a text; one that begins with `#!` may be run. */
  readonly texts?: Readonly<Record<string, string>>;
  /** Passphrases of encrypted disks that the destination has, by guest. */
  readonly passphrases?: Readonly<Record<string, string>>;
  /** Taps that lie there before it starts, each with its bridge; an empty name: in none. */
  readonly taps?: Readonly<Record<string, string>>;
  /** The same, with more than one queue. */
  readonly multiQueueTaps?: Readonly<Record<string, string>>;
  /** Folders on which huge pages of 2 MiB are mounted, each with how many of them the host sets aside. */
  readonly hugePages?: Readonly<Record<string, number>>;
  /** What is handed over as an open file: a listening unix socket, a file to write to, or a tap. */
  readonly files?: Readonly<
    Record<
      number,
      { readonly listens: string } | { readonly writes: string } | { readonly tap: string }
    >
  >;
}

/** A volume is a block device. */
export type ImageKind =
  | 'raw'
  | 'qcow2'
  | 'iso'
  | 'floppy'
  | 'volume'
  | 'volume-qcow2'
  | 'luks'
  | 'luks-qcow2'
  | 'vmdk'
  | { readonly backing: string }
  | { readonly dataFile: string };

export type FirmwareKind = 'code' | 'secure-code' | 'variables' | 'variables-qcow2';

/** A TPM 2.0, but where it says otherwise. */
export type TpmKind = 'plain' | 'encrypted' | '1.2';

export type ShapeExpectation =
  | { readonly is: 'moved' }
  /** It moves, and a check of the source warns of what is lost with these words in it. */
  | { readonly is: 'warned'; readonly of: readonly string[] }
  /** Before anything starts, with this code and these words. */
  | { readonly is: 'refused'; readonly code: ErrorCode; readonly says: string };

export const MOVED: ShapeExpectation = { is: 'moved' };

export function warned(...of: string[]): ShapeExpectation {
  return { is: 'warned', of };
}

export function refused(code: ErrorCode, says: string): ShapeExpectation {
  return { is: 'refused', code, says };
}
