import type { QemuProgram } from './binaries.ts';
import type { GuestSpec } from './spec/schema.ts';
import { compareVersions } from './version.ts';

export type Choice =
  | {
      readonly kind: 'program';
      readonly program: QemuProgram;
      /** Older than the source's: it knows the machine type, and QEMU promises no more. */
      readonly older: boolean;
    }
  | { readonly kind: 'no-machine'; readonly newest: string }
  | { readonly kind: 'no-accelerator' };

/**
 * The program for a guest: the source's version where this host has it, else the newest that knows the guest's
 * machine type and has its accelerator. Pure.
 */
export function chooseProgram(
  sourceVersion: string,
  spec: Pick<GuestSpec, 'arch' | 'machine' | 'accelerator'>,
  programs: readonly QemuProgram[],
): Choice {
  const newestFirst = programs.toSorted((one, two) => compareVersions(two.version, one.version));
  const ofArch = newestFirst.filter((program) => program.arch === spec.arch);
  const knowing = ofArch.filter((program) => program.machineTypes.includes(spec.machine.type));
  if (knowing.length === 0) return { kind: 'no-machine', newest: ofArch[0]?.version ?? 'none' };
  const able = knowing.filter((program) => program.features[spec.accelerator.name] !== undefined);
  const program =
    able.find((each) => compareVersions(each.version, sourceVersion) === 0) ?? able[0];
  if (program === undefined) return { kind: 'no-accelerator' };
  return { kind: 'program', program, older: compareVersions(program.version, sourceVersion) < 0 };
}

/**
 * Whether QEMU keeps a machine of this type alike in its newer versions, by the version in its name (`pc-q35-7.2`). Of
 * `isapc` and `microvm` it does not: each QEMU makes and sends its own. Pure.
 */
export function isVersioned(machineType: string): boolean {
  return machineType.includes('-');
}
