import { godwitError } from '../../errors.ts';
import type { Check } from '../../protocol/public/migration.ts';
import type { XmlElement } from '../../formats/xml.ts';
import { managerPass, managerRefusal, managerWarn } from '../../port/manager-checks.ts';
import { readCapabilities, readMachineCapabilities } from './capabilities.ts';
import type { LibvirtClient } from './client.ts';
import type { DomainFacts } from './domain-xml.ts';
import { capabilities, compareCpu, domainCapabilities, type CpuComparison } from './questions.ts';
import { LibvirtRefusal } from './rpc/connection.ts';
import { answerOrWarning } from './answer-or-warning.ts';

/** Checks whether the destination's hypervisor provides the guest's processor. */

/** Guests with all features of their host. libvirt does not compare these before or during a move. */
const OF_THE_HOST = ['host-passthrough', 'host-model', 'maximum'];
/** Emulated, and withdrawn before any processor had it: no software uses it. */
const WITHDRAWN = 'pcommit';
/** Hint for a processor that libvirt does not compare. */
const ALIKE = 'Move it only between hosts with the same processor, microcode, libvirt and QEMU.';

interface ProcessorQuery {
  readonly facts: Pick<DomainFacts, 'name' | 'machine'>;
  readonly to: string;
  readonly here: LibvirtClient;
  readonly there: LibvirtClient;
  readonly vendor: string | undefined;
}

/** Only the vendor is compared with `check='none'`, unless the processor is the host's. */
export async function processorChecks(
  asked: ProcessorQuery,
  signal: AbortSignal,
): Promise<Check[]> {
  const { facts, to, here, there } = asked;
  const { name: guest, machine } = facts;
  const { mode = '', check } = machine.cpu?.attributes ?? {};
  const isOfHost = OF_THE_HOST.includes(mode);
  const foreign = await foreignVendor(asked, signal);
  if (foreign !== undefined) {
    const hint =
      'Shut it down and start it there with libvirt, or choose a host with processors of the same vendor.';
    const error = godwitError('GODWIT_CPU_VENDOR', { guest, host: to, ...foreign }, { hint });
    return [managerRefusal('processor', 'destination', error)];
  }
  if (!isOfHost && (mode !== 'custom' || check === 'none')) return [];
  const cpu = isOfHost ? await hostCpu(asked, signal) : machine.cpu;
  if (cpu === undefined) return [unknown(guest, mode)];
  const found = await answerOrWarning('processor', signal, () =>
    compareCpu(there, { ...machine, cpu }, signal),
  );
  if ('is' in found) {
    // libvirt omits some features of a host's processor, so even that host may appear to offer less.
    const isLess =
      isOfHost && found.is === 'less' && !(await isLessAt(here, { ...machine, cpu }, signal));
    return [judgeComparison(found, { guest, to, hasMore: isLess })];
  }
  return [isOfHost ? { ...found, hint: ALIKE } : found];
}

async function isLessAt(
  client: LibvirtClient,
  machine: Parameters<typeof compareCpu>[1],
  signal: AbortSignal,
): Promise<boolean> {
  const found = await answerOrWarning('processor', signal, () =>
    compareCpu(client, machine, signal),
  );
  return 'is' in found && found.is === 'less';
}

/** Under KVM a guest uses its host's instructions, whatever its model. */
async function foreignVendor(
  { facts: { machine }, here, vendor: other }: ProcessorQuery,
  signal: AbortSignal,
): Promise<{ readonly vendor: string; readonly other: string } | undefined> {
  if (machine.virtType !== 'kvm' || other === undefined) return undefined;
  const own = await orUnsaid(capabilities(here, signal));
  const vendor = own === undefined ? undefined : readCapabilities(own)?.vendor;
  return vendor === undefined || vendor === other ? undefined : { vendor, other };
}

/** Source processor as the guest sees it, with a model name that another host can compare. */
async function hostCpu(
  { facts: { machine }, here }: ProcessorQuery,
  signal: AbortSignal,
): Promise<XmlElement | undefined> {
  const own = await orUnsaid(domainCapabilities(here, machine, signal));
  const offered = own === undefined ? undefined : readMachineCapabilities(own)?.processor;
  if (offered === undefined || machine.cpu === undefined) return undefined;
  return seenCpu(offered, machine.cpu);
}

/** The guest's definition may remove host features or require more. Pure. */
export function seenCpu(offered: XmlElement, own: XmlElement): XmlElement {
  const isFeature = ({ name }: XmlElement): boolean => name === 'feature';
  const all = [...offered.children, ...own.children].filter(isFeature);
  const features = new Map(all.map((each) => [each.attributes['name'], each]));
  features.delete(WITHDRAWN);
  const model = offered.children.filter((each) => !isFeature(each));
  return {
    name: 'cpu',
    attributes: { mode: 'custom', match: 'exact' },
    children: [...model, ...features.values()],
    text: '',
  };
}

export function judgeComparison(
  compared: CpuComparison,
  {
    guest,
    to,
    hasMore,
  }: { readonly guest: string; readonly to: string; readonly hasMore: boolean },
): Check {
  if (compared.is === 'incompatible') {
    const { why } = compared;
    const features = (/required features: (.*)/.exec(why)?.[1] ?? why).slice(0, 1024);
    const error = godwitError('GODWIT_CPU_FEATURE', { host: to, guest, features });
    return managerRefusal('processor', 'destination', error);
  }
  if (hasMore) {
    const evidence = `${guest} has the processor of its host, and that of ${to} has features beyond it`;
    const hint = `It moves, and sees them from then on. Software that takes them into use there may keep it from coming back: start it with a named model that both hosts have (\`virsh hypervisor-cpu-baseline\`).`;
    return managerWarn('processor', 'destination', evidence, hint);
  }
  const evidence = 'its hypervisor gives all that the guest uses';
  return managerPass('processor', 'destination', evidence);
}

function unknown(guest: string, mode: string): Check {
  const evidence = `${guest} has the processor of its host (${mode}), and libvirt here does not say what that is: it was not compared`;
  return managerWarn('processor', 'source', evidence, ALIKE);
}

/** A refused question is not compared. */
async function orUnsaid(question: Promise<string>): Promise<string | undefined> {
  try {
    return await question;
  } catch (thrown) {
    if (thrown instanceof LibvirtRefusal) return undefined;
    throw thrown;
  }
}
