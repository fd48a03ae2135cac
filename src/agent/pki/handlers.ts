import { X509Certificate } from 'node:crypto';
import type { Clock } from '../../clock.ts';
import type { AgentConfig } from '../../config.ts';
import { godwitError } from '../../errors.ts';
import type { Log } from '../../log.ts';
import type { agentContract } from '../../protocol/contract.ts';
import type { CaRotation } from '../../protocol/public/rotation.ts';
import type { Trust } from '../../protocol/public/trust.ts';
import type { Handlers } from '../../rpc/server.ts';
import { renewCertificate } from '../../pki/issued.ts';
import type { Peers } from '../peers.ts';
import { rotationStatus } from './rotation-status.ts';
import { JoinFailures } from './join-failures.ts';
import type { Spread } from './spread.ts';
import { redeemToken } from '../../pki/token.ts';

export interface FleetHandlerDependencies {
  readonly config: AgentConfig;
  readonly clock: Clock;
  readonly log: Log;
  readonly spread: Spread;
  readonly peers: Pick<Peers, 'names' | 'trust'>;
  readonly trust: () => Trust;
}

type FleetRoutes = Pick<
  typeof agentContract,
  'newerList' | 'authorities' | 'caRotation' | 'offerList' | 'siteSecret' | 'renew' | 'join'
>;

/** The fleet's list and certificates: what every host asks of the one that holds the CA, and of each other. */
export function fleetHandlers({
  config,
  clock,
  log,
  spread,
  peers,
  trust,
}: FleetHandlerDependencies): Handlers<FleetRoutes> {
  let asking: Promise<CaRotation> | undefined;
  const joinFailures = new JoinFailures(() => clock.monotonicMs());
  return {
    newerList: ({ query, caller }) => {
      // Every agent asks for lists: so the CA sees which certificate each host uses.
      if (caller.role === 'agent' && 'certificate' in caller) spread.saw(caller.certificate);
      return spread.newerThan(query.after);
    },
    authorities: ({ query }) => spread.newerThan(query.after),
    // Every host is asked: who asks meanwhile gets the same answer.
    caRotation: () =>
      (asking ??= rotationStatus({ config, clock, peers, trust }).finally(() => {
        asking = undefined;
      })),
    offerList: ({ body }) => ({ number: spread.take(body) }),
    siteSecret: ({ query }) => spread.secrets.named(query.id),
    renew: async ({ body, caller }) => {
      if (config.caDir === undefined) {
        throw godwitError('GODWIT_PKI', { what: `${config.name} does not hold the CA` });
      }
      const shown = 'certificate' in caller ? caller.certificate : undefined;
      if (shown === undefined) {
        const facts = { peer: caller.name, reason: 'a renewal needs one' };
        throw godwitError('GODWIT_PEER_UNTRUSTED', facts);
      }
      try {
        const certificate = new X509Certificate(shown);
        const renewed = await renewCertificate(
          config.caDir,
          certificate,
          body.request,
          clock.wallMs(),
          body.trusts,
        );
        if (renewed.certificate === undefined) return {};
        log.info({ host: renewed.name }, 'certificate renewed');
        return { certificate: renewed.certificate };
      } catch (err) {
        log.warn({ err, host: caller.name }, 'certificate not renewed');
        throw err;
      }
    },
    join: async ({ body, calledFrom }) => {
      if (config.caDir === undefined) {
        const hint = 'Name the agent of the host that holds the CA in the token.';
        const reason = `${config.name} does not hold the CA`;
        throw godwitError('GODWIT_JOIN_TOKEN', { reason }, { hint });
      }
      const { caDir } = config;
      const signed = await joinFailures.run(calledFrom, () =>
        redeemToken(caDir, body.token, body.request, clock.wallMs()),
      );
      log.info({ host: signed.name }, 'host joined');
      spread.look();
      const { name: _name, ...answer } = signed;
      return answer;
    },
  };
}
