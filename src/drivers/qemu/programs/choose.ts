import { godwitError } from '../../../errors.ts';
import { pass, refusal, warn, type NamedCheck } from '../../../migration/preflight/check.ts';
import type { GuestDescription } from '../../../protocol/peer/migration.ts';
import type { DestinationOptions } from '../../../port/direct.ts';
import type { QemuProgram } from './binaries.ts';
import type { GuestSpec } from '../spec/schema.ts';
import { compareVersions, release } from './version.ts';
import { knownOf } from './version-pairs.ts';

export type Choice =
  | {
      readonly kind: 'program';
      readonly program: QemuProgram;
      /** Older than the source's QEMU: it supports the machine type, but QEMU promises no compatibility. */
      readonly older: boolean;
    }
  | { readonly kind: 'no-machine'; readonly newest: string }
  | { readonly kind: 'no-accelerator' };

/**
 * Program for a guest: the source's version if this host has it, otherwise the newest that supports the guest's
 * machine type and accelerator. Pure.
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
 * True if newer QEMU versions keep this machine type compatible, by the version in its name (`pc-q35-7.2`). They
 * do not for `isapc` and `microvm`. Pure.
 */
function isVersioned(machineType: string): boolean {
  return machineType.includes('-');
}

export function programChecks(
  description: GuestDescription,
  spec: GuestSpec,
  { host, isCold = false }: Pick<DestinationOptions, 'host' | 'isCold'>,
  programs: readonly QemuProgram[],
): { program: QemuProgram | undefined; checks: NamedCheck[] } {
  const choice = chooseProgram(description.hypervisorVersion, spec, programs);
  const machine = spec.machine.type;
  if (choice.kind === 'no-machine') {
    const facts = { host, machine, version: choice.newest };
    return {
      program: undefined,
      checks: [refusal('machine', godwitError('GODWIT_MACHINE_TYPE', facts), 'destination')],
    };
  }
  if (choice.kind === 'no-accelerator') {
    const facts = { guest: description.name, accel: spec.accelerator.name, host };
    return {
      program: undefined,
      checks: [refusal('accelerator', godwitError('GODWIT_ACCELERATOR', facts), 'destination')],
    };
  }
  const { program } = choice;
  const devices = spec.devices.map(({ driver }) => driver);
  const pair = { from: description.hypervisorVersion, to: program.version, machine, devices };
  const { defect, by } = isCold ? {} : knownOf(pair);
  const emulated = spec.accelerator.name === 'tcg' ? '' : ', with emulated guests alone';
  const how = by === undefined ? 'not tried' : `a tested pair of versions${emulated}`;
  const tried = isCold ? '' : `, from QEMU ${pair.from}: ${how}`;
  const evidence = `${machine} on QEMU ${program.version} with ${spec.accelerator.name}`;
  const version = { theirs: description.hypervisorVersion, ours: program.version };
  const isOther = release(program.version) !== release(description.hypervisorVersion);
  if (isOther && !isCold && !isVersioned(machine)) {
    return {
      program,
      checks: [withoutVersions({ guest: description.name, host, evidence }, version)],
    };
  }
  if (defect !== undefined) {
    const what = `${evidence}, from QEMU ${pair.from}: of QEMU ${defect.only} it is known that ${defect.what} (${defect.source})`;
    const hint = `Use another version than ${defect.only} on the host that has it, or move the guest with --mode cold.`;
    return { program, checks: [warn('machine', what, hint, 'destination')] };
  }
  if (!choice.older) {
    return { program, checks: [pass('machine', `${evidence}${tried}`, 'destination')] };
  }
  const older = `${evidence}, which is older than the source’s ${version.theirs}${tried}`;
  const hint = `Install QEMU ${version.theirs} or later on ${host}, or choose another host.`;
  return { program, checks: [warn('machine', older, hint, 'destination')] };
}

/** An older QEMU does not understand a newer one's stream of such a machine (`MIG_CMD 0xb unknown`, 10.0 to 7.2). */
function withoutVersions(
  {
    guest,
    host,
    evidence,
  }: { readonly guest: string; readonly host: string; readonly evidence: string },
  { theirs, ours }: { readonly theirs: string; readonly ours: string },
): NamedCheck {
  const what = `QEMU keeps no versions of its machine, and QEMU ${ours} does not understand what ${theirs} sends of it`;
  const hint = `Install QEMU ${theirs} on ${host}, or choose a host that has it.`;
  if (compareVersions(ours, theirs) < 0) {
    const error = godwitError('GODWIT_MACHINE_DIFFERS', { guest, host, what }, { hint });
    return refusal('machine', error, 'destination');
  }
  const later = `${evidence}: QEMU keeps no versions of this machine, so that ${guest} cannot go back to QEMU ${theirs}`;
  return warn('machine', later, hint, 'destination');
}
