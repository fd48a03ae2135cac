import type { Clock } from '../../clock.ts';
import type { AgentConfig } from '../../config.ts';
import { godwitError } from '../../errors.ts';
import { holders } from '../../pki/issued.ts';
import { rotationOf } from '../../pki/rotation.ts';
import { defined } from '../../protocol/defined.ts';
import {
  MAX_ROTATION_MEMBERS,
  type CaRotation,
  type RotationMember,
} from '../../protocol/public/rotation.ts';
import type { Trust } from '../../protocol/public/trust.ts';
import { trustInCas, type Peers } from '../peers.ts';

export interface RotationStatusDependencies {
  readonly config: AgentConfig;
  readonly clock: Clock;
  readonly peers: Pick<Peers, 'names' | 'trust'>;
  /** Of this host. */
  readonly trust: () => Trust;
}

/**
 * Every member of the fleet with the CAs that it trusts and the CA of its certificate. Hosts are asked now; for persons,
 * controllers and relays the CA's records count. GODWIT_PKI if this host does not hold the CA.
 */
export async function rotationStatus(deps: RotationStatusDependencies): Promise<CaRotation> {
  const { config, clock, peers } = deps;
  const { caDir } = config;
  if (caDir === undefined) {
    const hint = 'Ask the agent of the host that holds the CA: the one with `caDir`.';
    throw godwitError('GODWIT_PKI', { what: `${config.name} does not hold the CA` }, { hint });
  }
  const { stage, fingerprint: issuing, authorities } = rotationOf(caDir);
  const all = holders(caDir, clock.wallMs());
  const issued = all.filter(({ role }) => role === 'agent').map(({ name }) => name);
  const names = [...new Set([...peers.names(), ...issued])].filter((name) => name !== config.name);
  const hosts = (await peers.trust(names.toSorted())).map((each): RotationMember => ({
    ...each,
    role: 'agent',
  }));
  const others = all.filter(({ role }) => role !== 'agent').map(memberOf);
  const own = { name: config.name, role: 'agent', ...trustInCas(deps.trust()) } as const;
  const members = [own, ...hosts, ...others];
  const omitted = members.length - MAX_ROTATION_MEMBERS;
  return {
    stage,
    issuing,
    authorities: authorities.map((each) => each.fingerprint),
    members: members.slice(0, MAX_ROTATION_MEMBERS),
    ...(omitted > 0 && { omitted }),
  };
}

/** A record of an earlier build has neither: its certificate is of the CA that there was then. */
function memberOf({ name, role, record }: ReturnType<typeof holders>[number]): RotationMember {
  return { name, role, ...defined({ issuer: record.issuer, trusts: record.trusts }) };
}
