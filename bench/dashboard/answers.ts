/** What the API of the made-up fleet answers; no controller answers so, and no package has it. Pure. */
import { controllerContract } from '../../src/protocol/controller/contract.ts';
import type {
  Overview,
  OverviewGuest,
  OverviewHost,
} from '../../src/protocol/controller/overview.ts';
import { auditEntries } from './audit.ts';
import { movesOf, policies, proposals, requests, requestPlan } from './requests.ts';
import { insight } from './insight.ts';
import { at, dice, GIB, guestAt, hostAt, NOW_MS, OPEN_ID, REQUEST_ID } from './sample-values.ts';
import { migrations, plan, reportOf } from './migrations.ts';

/** As `/v1/overview` answers: so many hosts, each with so many guests. */
export function overviewOf(hosts: number, guestsOfEach: number): Overview {
  const all = Array.from({ length: hosts }, (_, index): OverviewHost => {
    const state = index % 97 === 13 ? 'silent' : index % 211 === 17 ? 'untrusted' : 'up';
    const memory = (index % 3 === 0 ? 512 : 256) * GIB;
    const left = Math.round(memory * (0.08 + 0.6 * dice(index)));
    const load = state === 'up' ? 0.05 + 0.9 * dice(index + 1) : null;
    const pressure = load === null ? null : Math.max(0, load - 0.7) * dice(index + 2);
    const isDrained = index === 0 ? 1 : 0;
    return [hostAt(index), state, 64, memory, left, load, pressure, isDrained, guestsOfEach];
  });
  const guests = Array.from({ length: hosts * guestsOfEach }, (_, index): OverviewGuest => {
    const state = index === 0 ? 'migrating' : index % 61 === 7 ? 'paused' : 'running';
    return [
      guestAt(index),
      Math.floor(index / guestsOfEach),
      (1 + Math.floor(15 * dice(index))) * GIB,
      state,
    ];
  });
  return { at: at(0), hosts: all, guests };
}

const OWN_PROBLEMS = [
  {
    about: 'disk',
    severity: 'warn',
    words: 'the disk of /var/lib/godwit-controller is almost full: 900 MiB of 100 GiB are free',
    hint: 'Free room there. A controller with a full disk accepts no request; migrations continue.',
  },
];

/** What a path is answered; undefined: nothing stands there. Each answer is one that the contract allows. */
export function answerTo(
  path: string,
  fleet: Overview,
  method = 'GET',
  query = new URLSearchParams(),
): unknown {
  const { hosts } = fleet;
  const [, , part = '', id = '', more = ''] = path.split('/');
  const responses = controllerContract;
  switch (`${part}${id === '' ? '' : '/:'}${more === '' ? '' : `/${more}`}`) {
    case 'session':
      return responses.session.response.parse({
        name: 'ann',
        role: 'admin',
        methods: { token: true },
      });
    case 'problems':
      return responses.ownProblems.response.parse({ controller: 'one', problems: OWN_PROBLEMS });
    case 'overview':
      return fleet;
    case 'requests':
      return responses.requests.response.parse({ requests: requests() });
    case 'requests/:': {
      if (method === 'PUT')
        return responses.putRequest.response.parse({ started: false, plan: requestPlan() });
      const request = requests().find((each) => each.id === id);
      return request && responses.request.response.parse({ request, moves: movesOf(id) });
    }
    case 'plans':
      return responses.plan.response.parse(plan());
    case 'migrations':
      return responses.migrations.response.parse({ migrations: migrations() });
    case 'migrations/:': {
      const found = migrations().find((each) => each.id === id);
      if (found === undefined) return undefined;
      const report = reportOf(found, found.state === 'open' ? 0 : 5);
      return responses.migration.response.parse({ ...found, report });
    }
    case 'insight':
      return responses.insight.response.parse(insight());
    case 'audit':
      return responses.audit.response.parse({ entries: auditEntries() });
    case 'proposals':
      return responses.proposals.response.parse({
        proposals: proposals().filter(({ state }) => (query.get('state') ?? state) === state),
      });
    case 'policies':
      return responses.policies.response.parse({ policies: policies() });
    case 'hosts/:': {
      const found = hosts.find(([name]) => name === id);
      return found && responses.host.response.parse(hostDetail(found));
    }
    case 'hosts/:/samples':
      return responses.samples.response.parse({ points: hostSamples() });
    case 'guests':
      return responses.guests.response.parse({ guests: fleetGuests(fleet, query) });
    case 'guests/:/samples':
      return responses.guestSamples.response.parse({ points: guestLoad(query.get('span')) });
    case 'guests/:/history':
      return responses.guestHistory.response.parse({ guest: id, isPart: false, stays: stays() });
    case 'guests/:':
      return responses.guest.response.parse({ guests: [guestDetail(id, hosts[4]?.[0] ?? '')] });
    default:
      return undefined;
  }
}

function stays() {
  return [
    {
      host: hostAt(4),
      from: at(1),
      why: 'the drain of node-00001',
      migration: OPEN_ID,
      request: REQUEST_ID,
      by: 'ann',
      tries: [],
    },
    {
      host: hostAt(0),
      from: at(4000),
      to: at(1),
      why: 'balance: node-00007 was asked for more than it has',
      migration: 'm-ended0000003',
      tries: [
        {
          migration: 'm-ended0000005',
          to: hostAt(9),
          outcome: 'failed' as const,
          at: at(900),
          words: 'it writes faster than the link takes',
        },
      ],
    },
    {
      host: hostAt(6),
      to: at(4000),
      why: 'it was there when the fleet was first looked at',
      tries: [],
    },
  ];
}

const MAX_LISTED = 100;
const LABELS = [{ 'godwit/priority': '2', team: 'shop' }, { team: 'db' }, {}, { team: 'ci' }];

function fleetGuests({ hosts, guests }: Overview, query: URLSearchParams) {
  const find = query.get('find') ?? '';
  const asked = guests.filter(([name]) => name.includes(find)).slice(0, MAX_LISTED);
  const all = asked.map(([name, place, memoryBytes, state], index) => ({
    name,
    state,
    host: hosts[place]?.[0] ?? '',
    driver: 'qemu',
    hostState: hosts[place]?.[1] ?? 'up',
    hostSince: at(9000),
    memoryBytes: memoryBytes ?? 0,
    vcpus: 4,
    labels: LABELS[index % LABELS.length] ?? {},
    ...(index % 9 === 4 ? { unmovable: ['device usb0 is passed through to the guest'] } : {}),
    ...(hosts[place]?.[1] === 'up' ? { load: { cores: 4 * dice(index), residentBytes: GIB } } : {}),
  }));
  const host = query.get('host') ?? '';
  return all.filter((each) => host === '' || each.host === host);
}

function hostDetail([name, state, cores, memoryBytes, memoryAvailableBytes]: OverviewHost) {
  return {
    name,
    state,
    address: `${name}.example:7443`,
    since: at(9000),
    followedBy: 'one',
    version: '0.1.0',
    cores: cores ?? 0,
    memoryBytes: memoryBytes ?? 0,
    memoryAvailableBytes: memoryAvailableBytes ?? 0,
    guests: 9,
  };
}

function hostSamples() {
  return Array.from({ length: 60 }, (_, index) => ({
    at: new Date(NOW_MS - (60 - index) * 10_000).toISOString(),
    samples: 1,
    mean: {
      processorUsed: 0.5 + 0.3 * Math.sin(index / 8),
      processorSteal: 0.02 * dice(index),
      pressureProcessor: 0.1 * dice(index + 1),
      pressureMemory: 0,
      pressureIo: 0.05 * dice(index + 2),
      memoryAvailableBytes: 100 * GIB,
      networkInBytesPerS: 2e7 * dice(index),
      networkOutBytesPerS: 3e7 * dice(index + 3),
      diskReadBytesPerS: 1e6,
      diskWriteBytesPerS: 4e6,
    },
  }));
}

/** A point for each five minutes, or for each hour. */
function guestLoad(span: string | null) {
  const [everyMinutes, count] = span === 'hour' ? [60, 168] : [5, 36];
  return Array.from({ length: count }, (_, index) => ({
    at: at((count - 1 - index) * everyMinutes),
    cores: 1.2 + Math.sin(index / 5) + 0.4 * dice(index),
  }));
}

function guestDetail(name: string, host: string) {
  return {
    name,
    host,
    state: 'running' as const,
    driver: 'qemu',
    hostState: 'up' as const,
    hostSince: at(9000),
    memoryBytes: 8 * GIB,
    vcpus: 4,
    load: { cores: 1.4, residentBytes: 7 * GIB },
    info: {
      name,
      host,
      driver: 'qemu',
      state: 'running' as const,
      memoryBytes: 8 * GIB,
      vcpus: 4,
      hypervisorVersion: '10.0.2',
      machineType: 'pc-q35-10.0',
      accelerator: 'kvm',
      nics: [],
      devices: [],
      unmovable: [],
    },
  };
}
