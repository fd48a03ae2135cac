import * as policy from './fleet/policy-specs.ts';
import * as fleet from './fleet/specs.ts';
import * as guests from './guests/specs.ts';
import * as history from './history/specs.ts';
import * as migrate from './migrate/specs.ts';
import * as setup from './setup/specs.ts';
import * as support from './support/specs.ts';
import { verb, type Entry, type VerbGroup } from './verb.ts';

type Entries = readonly Entry[];

/** A help section: `main` is on the first screen, `further` in `godwit help --all`. */
function section(title: string, main: Entries, further: Entries = []): Entries {
  return [
    ...main.map((entry) => ({ ...entry, section: title, isMain: true })),
    ...further.map((entry) => ({ ...entry, section: title })),
  ];
}

const start = (further: Entries): Entries =>
  section('Start here', [
    verb(setup.initSpec, () => import('./setup/init.ts')),
    verb(setup.inviteSpec, () => import('./setup/invite.ts')),
    verb(setup.joinSpec, () => import('./setup/join.ts')),
    verb(setup.doctorSpec, () => import('./setup/doctor.ts')),
    ...further,
  ]);

const MOVE = section(
  'Move a guest',
  [
    verb(guests.guestsSpec, () => import('./guests/guests.ts')),
    verb(guests.guestSpec, () => import('./guests/guest.ts')),
    verb(migrate.migrateSpec, () => import('./migrate/migrate.ts')),
    verb(migrate.watchSpec, () => import('./migrate/watch.ts')),
    verb(migrate.cancelSpec, () => import('./migrate/cancel.ts')),
    verb(migrate.resolveSpec, () => import('./migrate/resolve.ts')),
  ],
  [
    verb(guests.labelSpec, () => import('./guests/label.ts')),
    verb(migrate.moveDiskSpec, () => import('./migrate/move-disk.ts')),
  ],
);

const POLICY: VerbGroup = {
  name: 'policy',
  summary: 'standing policies that balance or empty hosts, and their proposals',
  examples: [
    'policy list',
    'policy set balance --mode approve',
    'policy balance --dry-run',
    'policy proposals',
  ],
  verbs: async () => [
    verb(policy.listSpec, () => import('./fleet/policy-list.ts')),
    verb(policy.setSpec, () => import('./fleet/policy-set.ts')),
    verb(policy.balanceSpec, () => import('./fleet/balance.ts')),
    verb(policy.consolidateSpec, () => import('./fleet/consolidate.ts')),
    verb(policy.proposalsSpec, () => import('./fleet/proposals.ts')),
  ],
};

const ADVISE: VerbGroup = {
  name: 'advise',
  summary: 'advice that changes nothing: CPU models, places, and the effect of a policy',
  examples: ['advise cpu a b c', 'advise place --memory 8G --cpus 4'],
  verbs: async () => [
    verb(policy.cpuSpec, () => import('./fleet/baseline.ts')),
    verb(policy.placeSpec, () => import('./fleet/place.ts')),
    verb(policy.replaySpec, () => import('./fleet/replay.ts')),
  ],
};

const CACHE: VerbGroup = {
  name: 'cache',
  summary: "the cache of guests' memory on hosts, which the wire need not send again",
  examples: ['cache status', 'cache seed /var/lib/images/debian-13.raw --guest web1'],
  verbs: async () => (await import('./fleet/cache.ts')).CACHE_VERBS,
};

const MAINTAIN = section(
  'Maintain hosts',
  [
    verb(guests.hostsSpec, () => import('./guests/hosts.ts')),
    verb(fleet.drainSpec, () => import('./fleet/drain.ts')),
    verb(fleet.undrainSpec, () => import('./fleet/undrain.ts')),
    verb(fleet.requestsSpec, () => import('./fleet/requests.ts')),
    POLICY,
  ],
  [
    verb(fleet.evacuateSpec, () => import('./fleet/evacuate.ts')),
    verb(fleet.rollSpec, () => import('./fleet/roll.ts')),
    verb(fleet.recoverSpec, () => import('./fleet/recover.ts')),
    verb(fleet.maintenanceSpec, () => import('./fleet/maintenance.ts')),
    verb(fleet.limitsSpec, () => import('./fleet/limits.ts')),
    ADVISE,
    CACHE,
  ],
);

const LOOK_BACK = section(
  'Look back',
  [
    verb(migrate.migrationsSpec, () => import('./migrate/migrations.ts')),
    verb(migrate.reportSpec, () => import('./migrate/report.ts')),
    verb(history.historySpec, () => import('./history/history.ts')),
  ],
  [
    verb(history.statsSpec, () => import('./history/stats.ts')),
    verb(history.auditSpec, () => import('./history/audit.ts')),
  ],
);

const CONTEXT: VerbGroup = {
  name: 'context',
  summary: 'the fleets that you use, and your certificate for each',
  examples: [
    'context set prod --agent https://rack1 --certificates ~/.godwit',
    'context use prod',
    'context list',
  ],
  verbs: async () => (await import('./access/context.ts')).CONTEXT_VERBS,
};

const PKI: VerbGroup = {
  name: 'pki',
  summary: 'the certificate authority and certificates of hosts and people',
  examples: ['pki init --dir /etc/godwit/ca', 'pki issue b --addresses 10.0.0.2'],
  verbs: async () => (await import('./access/pki.ts')).PKI_VERBS,
};

const SERVE: VerbGroup = {
  name: 'serve',
  summary: 'run an agent, a controller or a relay in the foreground',
  examples: ['serve agent', 'serve controller --config /srv/controller.json'],
  verbs: async () => [
    verb(setup.agentSpec, () => import('./setup/agent.ts')),
    verb(setup.controllerSpec, () => import('./setup/controller.ts')),
    verb(setup.relaySpec, () => import('./setup/relay.ts')),
  ],
};

const TOKEN: VerbGroup = {
  name: 'token',
  summary: "tokens for a controller's web listener",
  examples: ['token create ann --role operator --expires 90d', 'token list'],
  verbs: async () => (await import('./access/token.ts')).TOKEN_VERBS,
};

const SESSION: VerbGroup = {
  name: 'session',
  summary: 'browser sessions at a controller',
  examples: ['session list', 'session end --name ann'],
  verbs: async () => (await import('./access/session.ts')).SESSION_VERBS,
};

const MANAGER: VerbGroup = {
  name: 'manager',
  summary: 'managers of a controller: vCenters and Hyper-V hosts',
  examples: ['manager add vc1 --vsphere https://vc1.example.com --user godwit', 'manager list'],
  verbs: async () => (await import('./access/manager.ts')).MANAGER_VERBS,
};

/** Every verb of `godwit` in the help's order; `further` groups exist only in a clone. */
export function tableWith(...further: readonly VerbGroup[]): Entries {
  const completion = verb(setup.completionSpec, async () => ({
    run: (await import('./setup/completion.ts')).completionOf(table),
  }));
  const table: Entries = [
    ...start(further),
    ...MOVE,
    ...MAINTAIN,
    ...LOOK_BACK,
    ...section(
      'Set up and access',
      [CONTEXT, PKI, SERVE],
      [
        TOKEN,
        SESSION,
        MANAGER,
        verb(setup.reloadSpec, () => import('./setup/reload.ts')),
        verb(support.backupSpec, () => import('./support/backup.ts')),
        verb(support.restoreSpec, () => import('./support/restore.ts')),
        verb(support.supportBundleSpec, () => import('./support/support-bundle.ts')),
        completion,
        verb(setup.versionSpec, () => import('./setup/version.ts')),
      ],
    ),
  ];
  return table;
}

export const TABLE = tableWith();
