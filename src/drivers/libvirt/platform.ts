import { godwitError } from '../../errors.ts';
import type { Check } from '../../protocol/public/migration.ts';
import { newestLike, readCapabilities, readMachineCapabilities } from './capabilities.ts';
import type { HostCapabilities, MachineCapabilities } from './capabilities.ts';
import { passes, refuses } from './check.ts';
import type { LibvirtClient } from './client.ts';
import type { DomainFacts } from './domain-xml.ts';
import { capabilities, domainCapabilities, whyNoCpu } from './questions.ts';
import { LibvirtRefusal } from './rpc/connection.ts';

/** Whether the destination's hypervisor can be the guest's machine. */

interface Asked {
  readonly facts: DomainFacts;
  /** The host's name. */
  readonly to: string;
  readonly here: LibvirtClient;
  readonly there: LibvirtClient;
}

export async function platformChecks(asked: Asked, signal: AbortSignal): Promise<Check[]> {
  const { facts, to, there } = asked;
  const known = readCapabilities(await capabilities(there, signal));
  if (known === undefined) {
    return [unsaid('machine', 'its capabilities cannot be read')];
  }
  const checks = machineChecks(facts, to, known);
  // Of a machine that it does not have libvirt compares no processor.
  const isRefused = checks.some(({ verdict }) => verdict === 'refuse');
  if (isRefused) return checks;
  return [
    ...checks,
    ...(await processorChecks(asked, signal)),
    ...(await partsChecks(asked, signal)),
  ];
}

async function partsChecks(
  { facts, to, here, there }: Asked,
  signal: AbortSignal,
): Promise<Check[]> {
  if (facts.firmware === undefined && facts.tpm === undefined) return [];
  try {
    const [source, destination] = await Promise.all(
      [here, there].map(async (client) =>
        readMachineCapabilities(await domainCapabilities(client, facts.machine, signal)),
      ),
    );
    if (source === undefined || destination === undefined) return [];
    return partChecks(facts, to, { source, destination });
  } catch (thrown) {
    if (thrown instanceof LibvirtRefusal) return [unsaid('firmware', thrown.message)];
    throw thrown;
  }
}

/** Firmware that the source's libvirt does not list either was given by its path: whether it is there, libvirt sees. */
export function partChecks(
  { name: guest, firmware, tpm }: DomainFacts,
  to: string,
  ends: { readonly source: MachineCapabilities; readonly destination: MachineCapabilities },
): Check[] {
  const { source, destination } = ends;
  const checks: Check[] = [];
  const loader = firmware?.loader;
  if (loader !== undefined && source.loaders.includes(loader)) {
    const what = `libvirt there does not list ${loader}`;
    const facts = { device: 'the firmware', guest, host: to, what };
    const hint = 'Install the same firmware at {host} (Debian: package ovmf).';
    checks.push(
      destination.loaders.includes(loader)
        ? passes('firmware', 'destination', `libvirt there lists ${loader}`)
        : refuses(
            'firmware',
            'destination',
            godwitError('GODWIT_DEVICE_UNMAPPED', facts, { hint }),
          ),
    );
  }
  if (tpm?.backend === 'emulator' && destination.tpmBackends !== undefined) {
    const facts = { device: 'the TPM', guest, host: to, what: 'libvirt there emulates none' };
    const hint = 'Install swtpm at {host} (Debian: packages swtpm and swtpm-tools).';
    checks.push(
      destination.tpmBackends.includes('emulator')
        ? passes('tpm', 'destination', 'libvirt there emulates one')
        : refuses('tpm', 'destination', godwitError('GODWIT_DEVICE_UNMAPPED', facts, { hint })),
    );
  }
  return checks;
}

export function machineChecks(
  { name: guest, machine: { arch, type, virtType }, fixedLabels }: DomainFacts,
  to: string,
  { guests, labelModels }: HostCapabilities,
): Check[] {
  const { machines, virtTypes } = guests.get(arch) ?? { machines: [], virtTypes: [] };
  const version = newestLike(type, machines) ?? 'none of its kind';
  const lacking = fixedLabels.filter((model) => !labelModels.includes(model));
  return [
    virtTypes.includes(virtType)
      ? passes('accelerator', 'destination', `libvirt there runs ${virtType} on ${arch}`)
      : refuses(
          'accelerator',
          'destination',
          godwitError('GODWIT_ACCELERATOR', { guest, host: to, accel: `${virtType} on ${arch}` }),
        ),
    machines.includes(type)
      ? passes('machine', 'destination', `libvirt there has machine type ${type}`)
      : refuses(
          'machine',
          'destination',
          godwitError('GODWIT_MACHINE_TYPE', { host: to, machine: type, version }),
        ),
    ...lacking.map((model) => labelCheck(guest, to, model)),
  ];
}

function labelCheck(guest: string, to: string, model: string): Check {
  const facts = {
    device: `a fixed security label (${model})`,
    guest,
    host: to,
    what: `libvirt there does not confine guests by ${model}`,
  };
  const hint = `Set \`security_driver\` in qemu.conf of {host}, or define the guest without a label of its own.`;
  return refuses('labels', 'destination', godwitError('GODWIT_DEVICE_UNMAPPED', facts, { hint }));
}

/** Of a processor that is named. That of the host itself, and any that libvirt does not check, it compares with none. */
async function processorChecks(
  { facts: { name: guest, machine }, to, there }: Asked,
  signal: AbortSignal,
): Promise<Check[]> {
  const { cpu } = machine;
  if (cpu?.attributes['mode'] !== 'custom' || cpu.attributes['check'] === 'none') return [];
  try {
    const why = await whyNoCpu(there, { ...machine, cpu }, signal);
    if (why === undefined) {
      return [passes('processor', 'destination', 'its hypervisor gives all that the guest uses')];
    }
    const features = (/required features: (.*)$/.exec(why)?.[1] ?? why).slice(0, 1024);
    const error = godwitError('GODWIT_CPU_FEATURE', { host: to, guest, features });
    return [refuses('processor', 'destination', error)];
  } catch (thrown) {
    if (thrown instanceof LibvirtRefusal) return [unsaid('processor', thrown.message)];
    throw thrown;
  }
}

function unsaid(name: string, why: string): Check {
  const evidence = `libvirt there does not say: ${why}`.slice(0, 4096);
  const hint = 'libvirt itself refuses once the move has begun; the guest then stays where it is.';
  return { name, side: 'destination', verdict: 'warn', evidence, hint };
}
