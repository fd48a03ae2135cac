import type { NicPlan } from '../../../port/direct.ts';
import type { AgentConfig } from '../../../config.ts';
import { godwitError } from '../../../errors.ts';
import { routesOf } from '../../../protocol/network.ts';
import type { Admission, Preparation } from '../../../protocol/peer/migration.ts';

/**
 * Checks that the guest to be built is the admitted one: same name, processors and NICs, no more memory, no new
 * routes. Unencrypted memory must be allowed for the source. GODWIT_DESCRIPTION_REFUSED with the difference. Facts
 * that an older source omitted at its admission are not compared.
 */
export function checkAdmitted(
  { name: host, unencryptedMemory }: Pick<AgentConfig, 'name' | 'unencryptedMemory'>,
  admission: Admission,
  {
    description,
    networks = [],
    stream,
  }: Pick<Preparation, 'description' | 'networks'> & Partial<Pick<Preparation, 'stream'>>,
  nics: readonly NicPlan[],
): void {
  const refuse = (part: string, what: string, hint?: string): never => {
    const { guest, from: peer } = admission;
    const facts = { host, guest, peer, part, what };
    throw godwitError('GODWIT_DESCRIPTION_REFUSED', facts, hint === undefined ? {} : { hint });
  };
  const { name, memoryBytes, vcpus } = description;
  // The source has checked this too, which this host does not rely on.
  if (stream?.tls === false && !unencryptedMemory.includes(admission.from)) {
    const hint = `Add ${admission.from} to \`unencryptedMemory\` in the configuration of ${host}, where the link is the site’s own.`;
    refuse('stream', `memory that is not encrypted: allowed is TLS`, hint);
  }
  if (name !== admission.guest) refuse('name', `${name}: allowed is the guest that was admitted`);
  if (memoryBytes > admission.memoryBytes) {
    refuse('memoryBytes', `${memoryBytes}: allowed are the ${admission.memoryBytes} admitted`);
  }
  if (admission.vcpus !== undefined && vcpus !== admission.vcpus) {
    refuse('vcpus', `${vcpus}: allowed are the ${admission.vcpus} admitted`);
  }
  const macs = nics.map(({ mac }) => mac.toLowerCase());
  const { macs: allowed } = admission;
  if (allowed !== undefined && macs.toSorted().join() !== allowed.toSorted().join()) {
    refuse('nics', `${macs.join(', ') || 'none'}: allowed are ${allowed.join(', ') || 'none'}`);
  }
  const admitted = new Set(admission.routes);
  const more = routesOf(networks).filter((each) => !admitted.has(each));
  if (more.length > 0) {
    const allowed = admission.routes?.join(', ') ?? 'none';
    // A peer that omits them could otherwise have any.
    const hint = `Try again where they changed just now. Where ${admission.from} has an earlier build, upgrade it first.`;
    refuse(
      'networks',
      `the routes ${more.join(', ')}: allowed are those admitted, ${allowed}`,
      hint,
    );
  }
  for (const { id, mac } of networks) {
    if (nics.some((nic) => nic.id === id && nic.mac.toLowerCase() === mac.toLowerCase())) continue;
    refuse('networks', `${id} (${mac}): allowed are the NICs of the description`);
  }
}
