import {
  drainSpec,
  evacuateSpec,
  auditSpec,
  historySpec,
  limitsSpec,
  maintenanceSpec,
  relaySpec,
  rollSpec,
  statsSpec,
  undrainSpec,
  wishesSpec,
} from './specs-fleet.ts';
import { checkSpec, migrateSpec } from './specs-migrate.ts';
import { recoverSpec } from './specs-recover.ts';
import { baselineSpec, planSpec, simSpec } from './specs-plan.ts';
import * as policy from './specs-policy.ts';
import * as setup from './specs-setup.ts';
import * as specs from './specs.ts';
import { verb, type Verb, type VerbGroup } from './verb.ts';

/** Every verb of `godwit`, in the order in which the help shows them. */
export const TABLE: readonly (Verb | VerbGroup)[] = [
  verb(specs.hostsSpec, () => import('./commands/hosts.ts')),
  verb(specs.guestsSpec, () => import('./commands/guests.ts')),
  verb(specs.guestSpec, () => import('./commands/guest.ts')),
  verb(specs.labelSpec, () => import('./commands/label.ts')),
  verb(checkSpec, () => import('./commands/check.ts')),
  verb(planSpec, () => import('./commands/plan.ts')),
  verb(baselineSpec, () => import('./commands/baseline.ts')),
  verb(simSpec, () => import('./commands/sim.ts')),
  verb(migrateSpec, () => import('./commands/migrate.ts')),
  verb(specs.moveDiskSpec, () => import('./commands/move-disk.ts')),
  verb(specs.watchSpec, () => import('./commands/watch.ts')),
  verb(specs.cancelSpec, () => import('./commands/cancel.ts')),
  verb(specs.resolveSpec, () => import('./commands/resolve.ts')),
  verb(specs.migrationsSpec, () => import('./commands/migrations.ts')),
  verb(drainSpec, () => import('./commands/drain.ts')),
  verb(evacuateSpec, () => import('./commands/evacuate.ts')),
  verb(rollSpec, () => import('./commands/roll.ts')),
  verb(recoverSpec, () => import('./commands/recover.ts')),
  verb(undrainSpec, () => import('./commands/undrain.ts')),
  verb(wishesSpec, () => import('./commands/wishes.ts')),
  verb(historySpec, () => import('./commands/history.ts')),
  verb(auditSpec, () => import('./commands/audit.ts')),
  verb(statsSpec, () => import('./commands/stats.ts')),
  verb(limitsSpec, () => import('./commands/limits.ts')),
  verb(maintenanceSpec, () => import('./commands/maintenance.ts')),
  verb(policy.balanceSpec, () => import('./commands/balance.ts')),
  verb(policy.consolidateSpec, () => import('./commands/consolidate.ts')),
  verb(policy.proposalsSpec, () => import('./commands/proposals.ts')),
  verb(policy.policySpec, () => import('./commands/policy.ts')),
  verb(policy.placeSpec, () => import('./commands/place.ts')),
  verb(specs.reportSpec, () => import('./commands/report.ts')),
  verb(specs.doctorSpec, () => import('./commands/doctor.ts')),
  {
    name: 'cache',
    summary: 'what hosts keep of guests’ memory, so that the wire need not send it again',
    examples: ['cache status', 'cache seed /var/lib/images/debian-13.raw --guest web1'],
    verbs: async () => (await import('./commands/cache.ts')).CACHE_VERBS,
  },
  {
    name: 'lab',
    summary: 'hosts, guests and a client on this machine, to try Godwit and to test it',
    examples: ['lab up --hosts 3 --link 1gbit', 'lab guest web1 --host a --memory 512M'],
    verbs: async () => (await import('./commands/lab.ts')).LAB_VERBS,
  },
  {
    name: 'pki',
    summary: 'the certificate authority and certificates of hosts and people',
    examples: ['pki init --dir /etc/godwit/ca', 'pki issue b --addresses 10.0.0.2'],
    verbs: async () => (await import('./commands/pki.ts')).PKI_VERBS,
  },
  {
    name: 'context',
    summary: 'several fleets: where the agent or controller of each is, and your certificate there',
    examples: [
      'context set prod --agent https://rack1:7443 --certificates ~/.godwit',
      'context use prod',
      'context list',
    ],
    verbs: async () => (await import('./commands/context.ts')).CONTEXT_VERBS,
  },
  {
    name: 'token',
    summary: "who may what at a controller's web listener",
    examples: ['token create ann --role operator --expires 90d', 'token list'],
    verbs: async () => (await import('./commands/token.ts')).TOKEN_VERBS,
  },
  {
    name: 'session',
    summary: "sessions of people's browsers at a controller",
    examples: ['session list', 'session end --name ann'],
    verbs: async () => (await import('./commands/session.ts')).SESSION_VERBS,
  },
  {
    name: 'manager',
    summary: 'vCenters and Hyper-V hosts of a controller',
    examples: ['manager add vc1 --vsphere https://vc1.example.com --user godwit', 'manager list'],
    verbs: async () => (await import('./commands/manager.ts')).MANAGER_VERBS,
  },
  verb(setup.initSpec, () => import('./commands/init.ts')),
  verb(setup.inviteSpec, () => import('./commands/invite.ts')),
  verb(setup.joinSpec, () => import('./commands/join.ts')),
  verb(setup.agentSpec, () => import('./commands/agent.ts')),
  verb(setup.reloadSpec, () => import('./commands/reload.ts')),
  verb(setup.controllerSpec, () => import('./commands/controller.ts')),
  verb(relaySpec, () => import('./commands/relay.ts')),
  verb(specs.completionSpec, async () => ({
    run: (await import('./commands/completion.ts')).completionOf(TABLE),
  })),
  verb(specs.versionSpec, () => import('./commands/version.ts')),
];
