import { godwitError } from '../../errors.ts';
import type { Check } from '../../protocol/public/migration.ts';
import {
  newestLike,
  readCapabilities,
  readMachineCapabilities,
  type HostCapabilities,
  type MachineCapabilities,
} from './capabilities.ts';
import { managerPass, managerRefusal } from '../../port/manager-checks.ts';
import type { LibvirtClient } from './client.ts';
import type { DomainFacts } from './domain-xml.ts';
import { processorChecks } from './processor.ts';
import { capabilities, domainCapabilities } from './questions.ts';
import { LibvirtRefusal } from './rpc/connection.ts';
import type { SecurityLabel } from './security-labels.ts';
import { answerOrWarning, unanswered } from './answer-or-warning.ts';

/** Checks whether the destination's hypervisor supports the guest's machine. */

/** libvirt caches its answers about a machine until it ends. */
const LOOKS_ONCE = 'Then restart libvirtd or virtqemud there, which looks once; guests run on.';

interface PlatformQuery {
  readonly facts: DomainFacts;
  readonly to: string;
  readonly here: LibvirtClient;
  readonly there: LibvirtClient;
}

export async function platformChecks(asked: PlatformQuery, signal: AbortSignal): Promise<Check[]> {
  const { facts, to, there } = asked;
  const known = await answerOrWarning('machine', signal, async () => {
    const read = readCapabilities(await capabilities(there, signal));
    return read ?? unanswered('machine', 'its capabilities cannot be read');
  });
  if ('verdict' in known) return [known];
  const checks = isOfAnother(facts, known)
    ? [await emulatorCheck(asked, signal), ...labelChecks(facts, to, known)]
    : machineChecks(facts, to, known);
  // libvirt compares no processor of an unsupported machine.
  const isRefused = checks.some(({ verdict }) => verdict === 'refuse');
  if (isRefused) return checks;
  return [
    ...checks,
    ...(await processorChecks({ ...asked, vendor: known.vendor }, signal)),
    ...(await partsChecks(asked, signal)),
  ];
}

async function partsChecks(
  { facts, to, here, there }: PlatformQuery,
  signal: AbortSignal,
): Promise<Check[]> {
  const { firmware, tpm, machine } = facts;
  if (firmware === undefined && tpm === undefined) return [];
  const name = firmware === undefined ? 'tpm' : 'firmware';
  const destination = await answerOrWarning(name, signal, async () => {
    const read = readMachineCapabilities(await domainCapabilities(there, machine, signal));
    return read ?? unanswered(name, 'its capabilities of that machine cannot be read');
  });
  if ('verdict' in destination) return [destination];
  // Values that the source does not report are not compared.
  const nothing: MachineCapabilities = {
    loaders: [],
    tpmBackends: undefined,
    processor: undefined,
  };
  const source =
    firmware === undefined
      ? nothing
      : await domainCapabilities(here, machine, signal).then(readMachineCapabilities, (thrown) => {
          if (thrown instanceof LibvirtRefusal) return nothing;
          throw thrown;
        });
  return partChecks(facts, to, { source: source ?? nothing, destination });
}

/** The guest's QEMU is not the one in the host's capabilities. */
function isOfAnother(
  { machine: { arch, emulator } }: DomainFacts,
  { guests }: HostCapabilities,
): boolean {
  return emulator !== undefined && guests.get(arch)?.emulators.includes(emulator) === false;
}

async function emulatorCheck({ facts, there }: PlatformQuery, signal: AbortSignal): Promise<Check> {
  const { machine } = facts;
  return answerOrWarning('machine', signal, async () => {
    await domainCapabilities(there, machine, signal);
    const evidence = `libvirt there has machine type ${machine.type} by ${machine.emulator}`;
    return managerPass('machine', 'destination', evidence);
  });
}

/** Firmware that the source's libvirt does not list was given by path; libvirt checks whether it exists. */
export function partChecks(
  { name: guest, firmware, tpm }: DomainFacts,
  to: string,
  ends: { readonly source: MachineCapabilities; readonly destination: MachineCapabilities },
): Check[] {
  const { source, destination } = ends;
  const checks: Check[] = [];
  const loader = firmware?.loader;
  if (loader !== undefined && source.loaders.includes(loader)) {
    // libvirt lists only firmware with descriptions. The file may exist without one, and libvirt checks before
    // the guest stops.
    const evidence = `libvirt there does not list ${loader}`.slice(0, 4096);
    const hint = `See that ${to} has that file (Debian: ovmf; on ARM qemu-efi-aarch64). ${LOOKS_ONCE}`;
    checks.push(
      destination.loaders.includes(loader)
        ? managerPass('firmware', 'destination', `libvirt there lists ${loader}`)
        : { name: 'firmware', side: 'destination', verdict: 'warn', evidence, hint },
    );
  }
  if (tpm?.backend === 'emulator' && destination.tpmBackends !== undefined) {
    const facts = { device: 'the TPM', guest, host: to, what: 'libvirt there emulates none' };
    const hint = `Install swtpm at {host} (Debian: packages swtpm and swtpm-tools). ${LOOKS_ONCE}`;
    checks.push(
      destination.tpmBackends.includes('emulator')
        ? managerPass('tpm', 'destination', 'libvirt there emulates one')
        : managerRefusal(
            'tpm',
            'destination',
            godwitError('GODWIT_DEVICE_UNMAPPED', facts, { hint }),
          ),
    );
  }
  return checks;
}

export function machineChecks(facts: DomainFacts, to: string, host: HostCapabilities): Check[] {
  const { name: guest, machine } = facts;
  const { arch, type, virtType } = machine;
  const { machines = [], virtTypes = [] } = host.guests.get(arch) ?? {};
  const version = newestLike(type, machines) ?? 'none of its kind';
  return [
    virtTypes.includes(virtType)
      ? managerPass('accelerator', 'destination', `libvirt there runs ${virtType} on ${arch}`)
      : managerRefusal(
          'accelerator',
          'destination',
          godwitError('GODWIT_ACCELERATOR', { guest, host: to, accel: `${virtType} on ${arch}` }),
        ),
    machines.includes(type)
      ? managerPass('machine', 'destination', `libvirt there has machine type ${type}`)
      : managerRefusal(
          'machine',
          'destination',
          godwitError('GODWIT_MACHINE_TYPE', { host: to, machine: type, version }),
        ),
    ...labelChecks(facts, to, host),
  ];
}

/** One check for each model, with the text of its first label. */
function labelChecks(
  { name: guest, securityLabels }: DomainFacts,
  to: string,
  { labelModels }: HostCapabilities,
): Check[] {
  const isOff = ({ kind }: SecurityLabel): number => (kind === 'off' ? 1 : 0);
  const last = securityLabels.toSorted((a, b) => isOff(a) - isOff(b)).toReversed();
  return [...new Map(last.map((label) => [label.model, label])).values()].map((label) => {
    if (labelModels.includes(label.model))
      return managerPass(
        'labels',
        'destination',
        `libvirt there confines guests by ${label.model}`,
      );
    return label.kind === 'off' ? labelWarning(label) : labelRefusal(guest, to, label);
  });
}

/** libvirt 9.0 and 11.3 refuse such a guest; 12.8 does not. */
function labelWarning({ model, device = 'the guest' }: SecurityLabel): Check {
  const evidence = `a label keeps ${model} from ${device}; libvirt there does not confine guests by ${model}, and some versions refuse that label too`;
  const hint = `If libvirt refuses it, start the guest from a definition without that label.`;
  return { name: 'labels', side: 'destination', verdict: 'warn', evidence, hint };
}

const ENABLED_BY: Readonly<Record<string, string>> = {
  selinux: 'SELinux has to be enabled there (`getenforce`)',
  apparmor: 'AppArmor has to be enabled there (`aa-status`)',
};

function labelRefusal(guest: string, to: string, { model, kind, device }: SecurityLabel): Check {
  const of = device === undefined ? '' : ` of ${device}`;
  const facts = {
    device: `${kind === 'fixed' ? 'a fixed security label' : 'the confinement'}${of} (${model})`,
    guest,
    host: to,
    what: `libvirt there does not confine guests by ${model}`,
  };
  const enabled = ENABLED_BY[model];
  const there = `Set \`security_driver\` in qemu.conf of {host} and restart its libvirtd or virtqemud${enabled === undefined ? '' : `; ${enabled}`}.`;
  const here =
    kind === 'fixed'
      ? 'Or define the guest without a label of its own.'
      : 'A guest that runs keeps its model: it goes there once it was started without.';
  return managerRefusal(
    'labels',
    'destination',
    godwitError('GODWIT_DEVICE_UNMAPPED', facts, { hint: `${there} ${here}` }),
  );
}
