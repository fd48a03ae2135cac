import * as policy from './fleet/policy-specs.ts';
import * as fleet from './fleet/specs.ts';
import * as guests from './guests/specs.ts';
import * as history from './history/specs.ts';
import * as migrate from './migrate/specs.ts';
import * as setup from './setup/specs.ts';
import { verb, type Verb, type VerbGroup } from './verb.ts';

type Entries = readonly (Verb | VerbGroup)[];

const WORK: Entries = [
  verb(guests.hostsSpec, () => import('./guests/hosts.ts')),
  verb(guests.guestsSpec, () => import('./guests/guests.ts')),
  verb(guests.guestSpec, () => import('./guests/guest.ts')),
  verb(guests.labelSpec, () => import('./guests/label.ts')),
  verb(migrate.checkSpec, () => import('./migrate/check.ts')),
  verb(migrate.planSpec, () => import('./migrate/plan.ts')),
  verb(policy.baselineSpec, () => import('./fleet/baseline.ts')),
  verb(policy.simSpec, () => import('./fleet/sim.ts')),
  verb(migrate.migrateSpec, () => import('./migrate/migrate.ts')),
  verb(migrate.moveDiskSpec, () => import('./migrate/move-disk.ts')),
  verb(migrate.watchSpec, () => import('./migrate/watch.ts')),
  verb(migrate.cancelSpec, () => import('./migrate/cancel.ts')),
  verb(migrate.resolveSpec, () => import('./migrate/resolve.ts')),
  verb(migrate.migrationsSpec, () => import('./migrate/migrations.ts')),
  verb(fleet.drainSpec, () => import('./fleet/drain.ts')),
  verb(fleet.evacuateSpec, () => import('./fleet/evacuate.ts')),
  verb(fleet.rollSpec, () => import('./fleet/roll.ts')),
  verb(fleet.recoverSpec, () => import('./fleet/recover.ts')),
  verb(fleet.undrainSpec, () => import('./fleet/undrain.ts')),
  verb(fleet.requestsSpec, () => import('./fleet/requests.ts')),
  verb(history.historySpec, () => import('./history/history.ts')),
  verb(history.auditSpec, () => import('./history/audit.ts')),
  verb(history.statsSpec, () => import('./history/stats.ts')),
  verb(fleet.limitsSpec, () => import('./fleet/limits.ts')),
  verb(fleet.maintenanceSpec, () => import('./fleet/maintenance.ts')),
  verb(policy.balanceSpec, () => import('./fleet/balance.ts')),
  verb(policy.consolidateSpec, () => import('./fleet/consolidate.ts')),
  verb(policy.proposalsSpec, () => import('./fleet/proposals.ts')),
  verb(policy.policySpec, () => import('./fleet/policy.ts')),
  verb(policy.placeSpec, () => import('./fleet/place.ts')),
  verb(migrate.reportSpec, () => import('./migrate/report.ts')),
  verb(setup.doctorSpec, () => import('./setup/doctor.ts')),
  {
    name: 'cache',
    summary: "the cache of guests' memory on hosts, which the wire need not send again",
    examples: ['cache status', 'cache seed /var/lib/images/debian-13.raw --guest web1'],
    verbs: async () => (await import('./fleet/cache.ts')).CACHE_VERBS,
  },
];

const ACCESS: Entries = [
  {
    name: 'pki',
    summary: 'the certificate authority and certificates of hosts and people',
    examples: ['pki init --dir /etc/godwit/ca', 'pki issue b --addresses 10.0.0.2'],
    verbs: async () => (await import('./access/pki.ts')).PKI_VERBS,
  },
  {
    name: 'context',
    summary: 'the fleets that you use: the agent or controller of each, and your certificate there',
    examples: [
      'context set prod --agent https://rack1:7443 --certificates ~/.godwit',
      'context use prod',
      'context list',
    ],
    verbs: async () => (await import('./access/context.ts')).CONTEXT_VERBS,
  },
  {
    name: 'token',
    summary: "tokens for a controller's web listener",
    examples: ['token create ann --role operator --expires 90d', 'token list'],
    verbs: async () => (await import('./access/token.ts')).TOKEN_VERBS,
  },
  {
    name: 'session',
    summary: 'browser sessions at a controller',
    examples: ['session list', 'session end --name ann'],
    verbs: async () => (await import('./access/session.ts')).SESSION_VERBS,
  },
  {
    name: 'manager',
    summary: 'vCenters and Hyper-V hosts of a controller',
    examples: ['manager add vc1 --vsphere https://vc1.example.com --user godwit', 'manager list'],
    verbs: async () => (await import('./access/manager.ts')).MANAGER_VERBS,
  },
];

const SETUP: Entries = [
  verb(setup.initSpec, () => import('./setup/init.ts')),
  verb(setup.inviteSpec, () => import('./setup/invite.ts')),
  verb(setup.joinSpec, () => import('./setup/join.ts')),
  verb(setup.agentSpec, () => import('./setup/agent.ts')),
  verb(setup.reloadSpec, () => import('./setup/reload.ts')),
  verb(setup.controllerSpec, () => import('./setup/controller.ts')),
  verb(setup.relaySpec, () => import('./setup/relay.ts')),
];

/** Every verb of `godwit`, in the order in which the help shows them; `further` groups are a clone's own. */
export function tableWith(...further: readonly VerbGroup[]): Entries {
  const completion = verb(setup.completionSpec, async () => ({
    run: (await import('./setup/completion.ts')).completionOf(table),
  }));
  const version = verb(setup.versionSpec, () => import('./setup/version.ts'));
  const table: Entries = [...WORK, ...further, ...ACCESS, ...SETUP, completion, version];
  return table;
}

export const TABLE = tableWith();
